//! The examples, as their READMEs run them.

use crate::{
    project::{Ended, Project, beside},
    support::{Crm, TOKEN, config},
};
use crm_simulator::Simulator;
use reverse_sync_tests::component_file;
use std::{fs, path::Path};
use tokio::process::Command;

fn example(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(path)).unwrap()
}

#[tokio::test]
async fn the_project_folder_plans_and_runs() {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let toml = example("contacts/reverse-sync.toml").replace("http://127.0.0.1:8099", &simulator.base_url());
    let project = Project::empty();
    project.write("reverse-sync.toml", &toml);
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/people.csv", &example("contacts/golden/people.csv"));
    let plan = project.run(&["plan", "people"]).await;
    assert!(plan.code == Some(0) && plan.stdout.contains("53 golden records\n   2 would be updated"), "{plan:?}");
    let run = project.run(&["run", "people", "--confirm"]).await;
    assert!(run.code == Some(0) && run.stdout.contains("   2 updated\n  51 skipped"), "{run:?}");
}

#[tokio::test]
async fn the_smallest_host_plans_and_runs() {
    let crm = Crm::hubspot(3).await;
    let output = Command::new(beside("embed"))
        .arg(component_file().unwrap())
        .arg(crm.simulator.base_url())
        .arg(crm.bench.state.path())
        .env("HUBSPOT_TOKEN", TOKEN)
        .output();
    let ended = Ended::from(output.await.unwrap());
    assert!(ended.code == Some(0) && ended.stdout.contains("\"updated\": 2"), "{ended:?}");
    assert_eq!((crm.first_name(0).as_str(), crm.first_name(1).as_str()), ("Brian", "Maria"));
}
