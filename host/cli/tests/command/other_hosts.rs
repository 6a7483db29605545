//! Hosts that are not ours, with the very same file: what they plan is what the command plans.

use crate::project::{Project, hubspot_toml};
use crm_simulator::{Config, Simulator};
use reverse_sync_tests::{component_file, crm::Provider};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

const CONFIG: &str = r#"{"provider_id_field":"hs_object_id","source_id":"src_1","object":"contacts","fields":["firstname"]}"#;

/// What `.ci/install test` has installed.
fn tools(name: &str, needed: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().nth(3).unwrap().join("tools").join(name);
    assert!(
        dir.join(needed).exists(),
        "this test needs {}; `.ci/install test` installs it",
        dir.join(needed).display()
    );
    dir
}

fn examples(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder)
}

fn node() -> Command {
    let dir = tools("host-node", "node_modules");
    // Node.js looks for packages beside the script.
    for script in ["host.mjs", "plan.mjs"] {
        let made = dir.join(format!("{script}.{:?}", std::thread::current().id()));
        fs::copy(examples("node").join(script), &made).unwrap();
        fs::rename(&made, dir.join(script)).unwrap();
    }
    let mut command = Command::new("node");
    command.arg(dir.join("plan.mjs"));
    command
}

fn python() -> Command {
    let mut command = Command::new(tools("host-python", "bin/python").join("bin/python"));
    command.arg("-B").arg(examples("wasmtime-python").join("plan.py"));
    command
}

/// What another host makes of a file.
async fn planned(mut host: Command, records: &Path) -> Value {
    let output = host.arg(component_file()).arg(records).arg(CONFIG).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Records with and without an id, with whatever text may be made of, in more than one batch.
fn golden() -> String {
    let texts =
        ["", "Zürich", "\"a \"\"b\"\", c\nd\"", "  x ", "数据", "null", "0012", "=1+1", "🎉"];
    (0..5_000).fold("hs_object_id,firstname,city\n".to_owned(), |csv, n| {
        let id = if n % 7 == 3 { String::new() } else { Provider::HubSpot.id(n) };
        format!("{csv}{id},{},Ghent\n", texts[n % texts.len()])
    })
}

async fn plans_the_same(host: fn() -> Command) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let people = fs::read_to_string(examples("contacts/golden/people.csv")).unwrap();
    for csv in [people, golden()] {
        let project = Project::empty();
        project.write("reverse-sync.toml", &hubspot_toml(&simulator.base_url()));
        project.write("golden.csv", &csv);
        let ours = project.run(&["plan", "people", "--offline", "--json"]).await.json();
        let shown = project.run(&["show", ours["plan_id"].as_str().unwrap(), "--json"]).await;
        let changes: Vec<Value> = shown
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|it| json!({"row": it["row"], "provider_id": it["provider_id"], "fields": it["fields"]}))
            .collect();
        assert!(changes.len() >= 2);
        let theirs = planned(host(), &project.path("golden.csv")).await;
        assert_eq!(theirs["plugin"], ours["component"], "the same file");
        assert_eq!(theirs["changes"], json!(changes));
        assert_eq!(
            (&theirs["total"], &theirs["skipped"]),
            (&ours["total"], &ours["skipped_by_reason"])
        );
    }
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
#[ignore = "needs Node.js: .ci/install test"]
async fn a_host_in_node_plans_the_same() {
    plans_the_same(node).await;
}

#[tokio::test]
#[ignore = "needs Python: .ci/install test"]
async fn a_host_in_python_plans_the_same() {
    plans_the_same(python).await;
}
