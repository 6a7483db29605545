//! Guards: what keeps a whole plan from being confirmed until somebody overrides it by name.

use crate::project::{Project, hubspot_toml};
use crm_simulator::Simulator;
use reverse_sync_tests::crm::{Provider, config};
use serde_json::{Value, json};
use std::fs;

fn three_records() -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    (0..3).for_each(|n| csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n))));
    csv
}

#[tokio::test]
async fn the_command_says_what_was_found_and_what_to_type() {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let project = Project::hubspot(&simulator, &three_records()).await;
    let toml = hubspot_toml(&simulator.base_url()).replace(
        "[destinations.people]\n",
        "[destinations.people]\nguards = { max_changes = 2 }\n",
    );
    project.write("reverse-sync.toml", &toml);

    let plan = project.run(&["plan", "people"]).await;
    assert_eq!(plan.code, Some(0), "planning is never held back: {plan:?}");
    assert!(plan.stdout.contains("3 records would be updated; the limit is 2"), "{plan:?}");
    assert!(plan.stdout.contains("--override max_changes\n"), "{plan:?}");
    let json = project.run(&["plan", "people", "--json"]).await.json();
    assert_eq!(
        (json["guards"][0]["name"].as_str(), json["mode"].as_str()),
        (Some("max_changes"), Some("online")),
        "{json}"
    );
    let id = json["plan_id"].as_str().unwrap();

    let held = project.run(&["run", id, "--confirm"]).await;
    assert_eq!(held.code, Some(3), "{held:?}");
    assert!(held.stderr.contains("--override max_changes"), "{held:?}");
    let mistyped = project.run(&["run", id, "--confirm", "--override", "max_change"]).await;
    assert!(
        mistyped.code == Some(2) && mistyped.stderr.contains("no guard `max_change`"),
        "{mistyped:?}"
    );
    assert_eq!(simulator.world().writes.len(), 0);

    // The guards and what to type, and not the plan once more.
    let lines = held.stderr.lines().count();
    assert!(lines < 15 && !held.stderr.contains("Fields written"), "{held:?}");
    let typed = format!("\n  reverse-sync run {id} --override max_changes --confirm\n");
    assert!(held.stderr.contains(&typed), "{held:?}");
    assert_eq!(held.stderr.matches("the limit is 2").count(), 1, "{held:?}");

    let ran = project.run(&["run", id, "--confirm", "--override", "max_changes"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(simulator.world().writes.len(), 3);
    let log = fs::read_to_string(project.path(".reverse-sync/audit_log.jsonl")).unwrap();
    let row: Value = serde_json::from_str(log.lines().next_back().unwrap()).unwrap();
    assert_eq!(row["overridden"], json!(["max_changes"]), "{row}");
}

/// With the overrides, and the options that say which project it is.
#[tokio::test]
async fn the_commands_that_are_printed_work_as_they_are() {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let csv = three_records().replacen(&Provider::HubSpot.id(0), "999", 1);
    let project = Project::hubspot(&simulator, &csv).await;
    let toml = hubspot_toml(&simulator.base_url());
    fs::create_dir(project.path("my project")).unwrap();
    fs::rename(project.path("golden.csv"), project.path("my project/golden.csv")).unwrap();
    fs::remove_file(project.path("reverse-sync.toml")).unwrap();
    project.write(
        "my project/sync.toml",
        &format!("{toml}\n[destinations.people.guards]\nmax_changes = 2\n"),
    );
    // As a shell does it.
    let typed = async |line: &str| {
        let line = line.strip_prefix("reverse-sync ").unwrap();
        let words = line.replace("'my project/sync.toml'", "my_project");
        let words = words.split(' ');
        let words: Vec<&str> = words
            .map(|word| if word == "my_project" { "my project/sync.toml" } else { word })
            .chain(["--confirm", "--json"])
            .collect();
        project.run(&words).await
    };
    let named = ["--project", "my project/sync.toml"];
    let planned = project.run(&[&["plan", "people"], &named[..]].concat()).await;
    let line = planned.stdout.lines().last().unwrap().trim();
    assert!(line.ends_with(" --override max_changes --project 'my project/sync.toml'"), "{line}");
    let id = line.split(' ').nth(2).unwrap();

    let canary = ["run", id, "--confirm", "--canary", "1", "--override", "max_changes"];
    let died = project.run(&[&canary, &named[..]].concat()).await;
    assert!(died.code == Some(1) && died.stdout.contains(&format!("  {line}\n")), "{died:?}");
    let runs = project.run(&[&["runs"], &named[..]].concat()).await;
    assert!(runs.stdout.contains(&format!("continue with: {line})")), "{runs:?}");
    let rest = typed(line).await;
    assert_eq!((rest.code, &rest.json()["updated"]), (Some(1), &json!(2)), "{rest:?}");
}

#[tokio::test]
async fn a_limit_that_is_no_percentage_is_an_error() {
    let simulator = Simulator::start(config(0)).await.unwrap();
    let project = Project::hubspot(&simulator, &three_records()).await;
    for (guards, says) in [
        (
            "{ max_lossy_percent = 101 }",
            "line 8: `destinations.people.guards.max_lossy_percent` is a percentage, 0 to 100",
        ),
        (
            "{ max_change = 1 }",
            "unknown key `max_change` in `destinations.people.guards` (did you mean `max_changes`?)",
        ),
    ] {
        let toml = hubspot_toml(&simulator.base_url());
        project.write(
            "reverse-sync.toml",
            &toml.replace(
                "[destinations.people]\n",
                &format!("[destinations.people]\nguards = {guards}\n"),
            ),
        );
        let ended = project.run(&["plan", "people"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{guards}: {ended:?}");
    }
}

#[tokio::test]
async fn telephone_numbers_that_would_lose_their_format_hold_the_plan_back() {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let mut csv = "hs_object_id,phone\n".to_owned();
    for n in 0..30 {
        let id = Provider::HubSpot.id(n);
        simulator.world().hubspot.edit("contacts", &id, "phone", &format!("+1 406-555-{n:04}"));
        csv.push_str(&format!("{id},406555{n:04}\n"));
    }
    for n in 30..100 {
        csv.push_str(&format!(",{n}\n"));
    }
    let project = Project::comparing(&simulator, &csv).await;
    let plan = project.run(&["plan", "people"]).await;
    assert!(plan.stdout.contains("(compared with the CRM's records)"), "{plan:?}");
    assert!(
        plan.stdout.contains("phone  +1 406-555-0000 -> 4065550000"),
        "before and after: {plan:?}"
    );
    assert!(
        plan.stdout.contains("phone would be cut off or lose its format in 30 of 30 records"),
        "{plan:?}"
    );
    assert!(plan.stdout.contains("--override max_lossy_percent"), "{plan:?}");
    assert_eq!(simulator.world().writes.len(), 0);
}
