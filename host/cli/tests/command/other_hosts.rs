//! Hosts that are not ours, with the very same file: what they plan is what the command plans.

use crate::project::{Project, hubspot_toml};
use crm_simulator::{Config, Fault, Rule, Simulator};
use reverse_sync_tests::{
    component_file,
    crm::{Provider, TOKEN, config},
};
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

/// A script of the example, where Node.js finds its packages: beside it.
fn script(name: &str) -> Command {
    let dir = tools("host-node", "node_modules");
    for entry in fs::read_dir(examples("node")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "mjs") {
            let name = path.file_name().unwrap().to_str().unwrap();
            // At once, as another test may run it.
            let made = dir.join(format!("{name}.{:?}", std::thread::current().id()));
            fs::copy(&path, &made).unwrap();
            fs::rename(&made, dir.join(name)).unwrap();
        }
    }
    let mut command = Command::new("node");
    command.env("HUBSPOT_TOKEN", TOKEN).kill_on_drop(true).arg(dir.join(name));
    command
}

fn node() -> Command {
    script("plan.mjs")
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

#[tokio::test]
#[ignore = "needs Node.js: .ci/install test"]
async fn the_gate_of_the_host_in_node_lets_out_what_was_confirmed() {
    let mut tests = Command::new("node");
    let output = tests.args(["--test", "gate.test.mjs"]).current_dir(examples("node")).output();
    let output = output.await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("# pass 2"), "{output:?}");
}

#[tokio::test]
#[ignore = "needs Node.js: .ci/install test"]
async fn a_host_in_node_runs_the_plan_of_this_id_and_no_other() {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let base_url = simulator.base_url();
    let people = examples("contacts/golden/people.csv");
    let with = |name: &str| {
        let mut command = script(name);
        command.arg(component_file()).arg(&people).args([CONFIG, &base_url]);
        command
    };
    let plan = with("plan.mjs").output().await.unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let other =
        with("run.mjs").arg("plan_95e48d55475f877766111b586e6d0f15").output().await.unwrap();
    assert_eq!(other.status.code(), Some(3), "{other:?}");
    assert_eq!(simulator.connections(), 0);

    // The first answer is lost; a read shows that the update was carried out.
    simulator.world().fault(Rule::next(1, Fault::DropAfter).on("/batch/update"));
    let run = with("run.mjs").arg(plan["id"].as_str().unwrap()).output().await.unwrap();
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    let run: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run["counts"], json!({"updated": 2}), "{run}");
    let world = simulator.world();
    for change in plan["changes"].as_array().unwrap() {
        let id = change["provider_id"].as_str().unwrap();
        let name = world.hubspot.value("contacts", id, "firstname");
        assert_eq!(name, change["fields"]["firstname"].as_str());
    }
    assert_eq!(world.writes.len(), 2);
}
