use crate::{alone, example, file, printed, tool};
use reverse_sync_tests::spec_example;
use std::{fs, process::Command, time::Instant};

/// The time for it is written down.
#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn from_pip_install_to_a_first_plan() {
    let dir = tempfile::tempdir().unwrap();
    let (bin, python) = (dir.path().join("venv/bin"), tool("python/bin/python"));
    let venv = Command::new(&python)
        .args(["-m", "venv", "--without-pip"])
        .arg(dir.path().join("venv"))
        .output()
        .unwrap();
    assert!(venv.status.success(), "{venv:?}");
    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();

    let started = Instant::now();
    printed(
        Command::new(&python)
            .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--python"])
            .arg(bin.join("python"))
            .args(["install", "--no-index"])
            .arg(file("reverse_sync-", ".whl")),
    );
    let installed = started.elapsed();
    let command = |arguments: &[&str]| {
        printed(
            alone(&bin.join("reverse-sync"), &[&bin])
                .args(arguments)
                .current_dir(&project)
                .env("HOME", dir.path()),
        )
    };
    example::plans_a_file_of_its_own(&project, command);
    let planned = started.elapsed();
    println!(
        "pip install: {:.1} s; with init and the first plan: {:.1} s",
        installed.as_secs_f32(),
        planned.as_secs_f32()
    );
    assert!(planned.as_secs() < 300, "{planned:?}");

    example::plans_the_example(&project, command);
    let script = r#"
import json
import reverse_sync as rs

people = {
    "name": "people",
    "destination_type": "hubspot_dest",
    "entity_type": "person",
    "config_json": {"provider_id_field": "hs_object_id", "fields": ["firstname"]},
}
source = {"provider": "hubspot"}
print(json.dumps(rs.plan("golden.csv", destination=people, source=source, mode="offline").summary))
"#;
    let plan = printed(
        alone(&bin.join("python"), &[&bin])
            .args(["-I", "-c", script])
            .current_dir(&project)
            .env("HOME", dir.path()),
    );
    spec_example::assert_planned(&serde_json::from_str(&plan).unwrap());
}
