//! The example project, as its README runs it.

use crate::project::Project;
use crm_simulator::Simulator;
use reverse_sync_tests::crm::config;
use std::{fs, path::Path};

fn example(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path))
        .unwrap()
}

#[tokio::test]
async fn the_project_folder_plans_and_runs() {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let toml = example("contacts/reverse-sync.toml")
        .replace("http://127.0.0.1:8099", &simulator.base_url());
    let project = Project::empty();
    project.write("reverse-sync.toml", &toml);
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/people.csv", &example("contacts/golden/people.csv"));
    let plan = project.run(&["plan", "people"]).await;
    assert!(
        plan.code == Some(0) && plan.stdout.contains("53 golden records\n   2 would be updated"),
        "{plan:?}"
    );
    let run = project.run(&["run", "people", "--confirm"]).await;
    assert!(run.code == Some(0) && run.stdout.contains("   2 updated\n  51 skipped"), "{run:?}");
}
