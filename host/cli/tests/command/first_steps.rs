//! The first hour: a project file, what is wrong with it, and a look at the first plan.

use crate::project::Project;
use crm_simulator::Simulator;
use reverse_sync_tests::crm::{Provider, config};
use serde_json::{Value, json};

/// Golden records with the headers of HubSpot's own export.
fn export() -> String {
    let id = |n| Provider::HubSpot.id(n);
    format!(
        "Record ID,First Name,Last Name,Newsletter\n{},Ada,Lovelace,no\n{},Bob,,yes\n,Nobody,,no\n",
        id(0),
        id(1)
    )
}

async fn started() -> (Simulator, Project) {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let project = Project::empty();
    project.write("people.csv", &export());
    let url = simulator.base_url();
    let arguments =
        ["init", "--provider", "hubspot", "--records", "people.csv", "--base-url", &url];
    let ended = project.run(&arguments).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("2 of 3 columns are known"), "{ended:?}");
    assert!(ended.stdout.contains("not written: Newsletter."), "{ended:?}");
    (simulator, project)
}

#[tokio::test]
async fn a_project_that_init_has_written_is_checked_planned_and_run_as_it_is() {
    let (simulator, project) = started().await;
    let checked = project.run(&["check", "--json"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let json = checked.json();
    assert_eq!((&json["ok"], &json["destinations"][0]["ok"]), (&json!(true), &json!(true)));
    let oks: Vec<&Value> = (0..3).map(|n| &json["destinations"][0]["checks"][n]["ok"]).collect();
    assert_eq!(oks, [&json!(true); 3], "{json}");
    assert!(simulator.world().writes.is_empty());

    let planned = project.run(&["plan", "golden", "--compare", "--json"]).await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let plan = planned.json()["plan_id"].as_str().unwrap().to_owned();

    let shown = project.run(&["show", &plan]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains(&format!("record {} (row 1)", Provider::HubSpot.id(0))));
    // The CRM has this first name already.
    assert!(!shown.stdout.contains("Ada") && shown.stdout.contains("-> Lovelace"), "{shown:?}");
    let lines = project.run(&["show", &plan, "--json"]).await;
    let lines: Vec<Value> =
        lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["fields"], json!({"firstname": "Bob"}));
    let one = project.run(&["show", &plan, "--limit", "1"]).await;
    assert!(one.stderr.contains("more than these 1") && !one.stdout.contains("Bob"), "{one:?}");
    let lastname = project.run(&["show", &plan, "--field", "lastname"]).await;
    assert!(!lastname.stdout.contains("Bob") && lastname.stdout.contains("Lovelace"));
    let wrong = project.run(&["show", &plan, "--field", "name"]).await;
    assert!(wrong.stderr.contains("`name`, but firstname, lastname"), "{wrong:?}");
    let skipped = project.run(&["show", &plan, "--skipped"]).await;
    assert_eq!(skipped.stdout, "row 3: provider_id_null\n", "{skipped:?}");

    let run = project.run(&["run", &plan, "--confirm"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(simulator.world().writes.len(), 2);
    assert_eq!(std::fs::read_to_string(project.path(".reverse-sync/.gitignore")).unwrap(), "*\n");
}

#[tokio::test]
async fn a_project_file_that_is_there_is_not_written_over() {
    let (_simulator, project) = started().await;
    project.write("reverse-sync.toml", "# mine\n");
    let ended = project.run(&["init", "--provider", "hubspot", "--records", "people.csv"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("is there already"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(project.path("reverse-sync.toml")).unwrap(), "# mine\n");
    let none = project.run(&["check"]).await;
    assert!(none.code == Some(2) && none.stderr.contains("reverse-sync init"), "{none:?}");
}

#[tokio::test]
async fn a_check_tells_all_that_is_wrong_at_once() {
    let (simulator, project) = started().await;
    simulator.world().config.tokens[0].expired = true;
    let toml = std::fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
    // A second destination, whose records have no such column, and whose object is none.
    let second = toml[toml.find("[destinations").unwrap()..]
        .replace("golden", "second")
        .replace("Record ID", "Id")
        .replace("people.csv", "other.csv")
        .replace("object = \"contacts\"", "objct = \"contacts\"");
    project.write("reverse-sync.toml", &format!("{toml}\n{second}"));
    project.write("other.csv", "Name\nAda\n");

    let ended = project.run(&["check"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for says in [
        "!! credential",
        "unknown key `objct`",
        "no column `Id`, which `provider_id_field` names; the columns are Name",
        "-- credential",
    ] {
        assert!(ended.stdout.contains(says), "{says}: {ended:?}");
    }
    let alone = project.run(&["check", "golden"]).await;
    assert_eq!(alone.code, Some(4), "{alone:?}");
    let offline = project.run(&["check", "golden", "--offline"]).await;
    assert_eq!(offline.code, Some(0), "{offline:?}");
    assert!(simulator.world().writes.is_empty());
}

#[tokio::test]
async fn shells_and_man_know_the_commands() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = project.run(&["completions", shell]).await;
        assert!(script.code == Some(0) && script.stdout.contains("undo"), "{shell} {script:?}");
    }
    assert_eq!(project.run(&["man", "."]).await.code, Some(0));
    let page = std::fs::read_to_string(project.path("reverse-sync-plan.1")).unwrap();
    assert!(page.contains("compare"), "{page}");
}
