//! Reading back what was written: after a run, and after its first records.

use crate::project::{Project, salesforce_toml};
use crm_simulator::{Config, Fault, Rule, Simulator, Switches};
use reverse_sync::{
    journal::{self},
    run::StopSignal,
    verify,
};
use reverse_sync_tests::crm::{Crm, Provider, TOKEN, config};
use serde_json::{Value, json};

fn renames(count: usize) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    (0..count).for_each(|n| csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n))));
    csv
}

/// A Salesforce project, in an org where a trigger puts each title in upper case.
async fn salesforce(titles: &[&str]) -> (Simulator, Project) {
    let switches = Switches { salesforce_trigger: true, ..Switches::default() };
    let simulator = Simulator::start(Config { switches, ..config(20) }).await.unwrap();
    let project = Project::empty();
    project.write("reverse-sync.toml", &salesforce_toml(&simulator.base_url(), &["Title"]));
    let mut csv = "Id,Title\n".to_owned();
    titles
        .iter()
        .enumerate()
        .for_each(|(n, title)| csv.push_str(&format!("{},{title}\n", Provider::Salesforce.id(n))));
    project.write("golden.csv", &csv);
    (simulator, project)
}

async fn planned(project: &Project) -> String {
    project.run(&["plan", "people", "--json"]).await.json()["plan_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn values_that_the_crm_stored_differently_are_reported() {
    let (_simulator, project) = salesforce(&["CEO", "Head of Sales", "CTO"]).await;
    let run =
        project.run(&["run", &planned(&project).await, "--confirm", "--json", "--verify"]).await;
    let json = run.json();
    assert_eq!(
        (run.code, json["ok"].as_bool(), json["updated"].as_u64()),
        (Some(1), Some(false), Some(3)),
        "{run:?}"
    );
    assert_eq!(
        (json["verified"]["verified"].as_u64(), json["verified"]["as_written"].as_u64()),
        (Some(3), Some(2)),
        "{json}"
    );
    let difference = json!([{"row": 2, "provider_id": Provider::Salesforce.id(1), "field": "Title", "written": "Head of Sales", "now": "HEAD OF SALES"}]);
    assert_eq!(json["verified"]["stored_differently"], difference, "{json}");
}

#[tokio::test]
async fn what_was_stored_as_written_is_said_too() {
    let simulator = Simulator::start(config(300)).await.unwrap();
    let project = Project::hubspot(&simulator, &renames(250)).await;
    let run = project.run(&["run", &planned(&project).await, "--confirm", "--verify"]).await;
    assert!(
        run.code == Some(0)
            && run.stdout.contains("Read back: 100 of 100 records hold what was written"),
        "{run:?}"
    );
    let plan = planned(&project).await;
    let run = project.run(&["run", &plan, "--confirm", "--verify=all", "--json"]).await;
    assert_eq!(
        (run.code, run.json()["verified"]["verified"].as_u64()),
        (Some(0), Some(250)),
        "{run:?}"
    );
    let mistyped = project.run(&["run", &plan, "--confirm", "--verify=some"]).await;
    assert_eq!(mistyped.code, Some(2), "{mistyped:?}");
}

#[tokio::test]
async fn a_record_that_is_gone_after_the_run_and_a_crm_that_cannot_be_read_are_no_success() {
    let crm = Crm::hubspot(3).await;
    let confirmed = crm.confirm(&crm.new_names(3)).await;
    let report = crm.run_confirmed(&confirmed).await;
    let updated = journal::read(&report.journal, |_, _| {}).unwrap().updated;
    crm.simulator.world().hubspot.archive("contacts", &Provider::HubSpot.id(1));
    let bench = &crm.bench;
    let check = || {
        verify::check(
            &bench.component,
            &bench.grant,
            confirmed.plan(),
            updated.clone(),
            crm.link(),
            StopSignal::new(),
        )
    };
    let verified = check().await.unwrap();
    assert!(!verified.ok());
    assert_eq!(
        (verified.as_written, verified.not_read.len(), verified.not_read[0].row),
        (2, 1, 2),
        "{verified:?}"
    );

    crm.simulator.world().fault(Rule::always(Fault::ExpiredToken));
    check().await.unwrap_err();

    let simulator = Simulator::start(config(3)).await.unwrap();
    let project = Project::hubspot(&simulator, &renames(2)).await;
    let plan = planned(&project).await;
    simulator.world().fault(Rule::always(Fault::ExpiredToken).on("batch/read"));
    let run = project.run(&["run", &plan, "--confirm", "--json", "--verify"]).await;
    assert_eq!(
        (run.code, run.json()["updated"].as_u64()),
        (Some(4), Some(2)),
        "the run itself is reported: {run:?}"
    );
    assert!(run.json()["verified"]["error"].is_string(), "{run:?}");
}

#[tokio::test]
async fn a_canary_that_holds_is_followed_by_the_rest() {
    let simulator = Simulator::start(config(30)).await.unwrap();
    let project = Project::hubspot(&simulator, &renames(25)).await;
    let run = project
        .run(&["run", &planned(&project).await, "--confirm", "--json", "--canary", "5"])
        .await;
    let json = run.json();
    assert_eq!(
        (run.code, json["updated"].as_u64(), json["pending"].as_u64()),
        (Some(0), Some(25), Some(0)),
        "{run:?}"
    );
    assert_eq!(
        (json["canary"].clone(), json["verified"]["verified"].as_u64()),
        (json!({"size": 5, "held": true}), Some(5)),
        "{json}"
    );
    let world = simulator.world();
    // What is asked about the object itself is left out here.
    let requests: Vec<_> =
        world.requests.iter().filter(|request| request.target.contains("/batch/")).collect();
    let calls: Vec<&str> =
        requests.iter().filter_map(|request| request.target.rsplit('/').next()).collect();
    assert_eq!(calls, ["update", "read", "update"]);
    let ids = |at: usize| {
        serde_json::from_slice::<Value>(&requests[at].body).unwrap()["inputs"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((ids(0), ids(1), ids(2)), (5, 5, 20));
}

#[tokio::test]
async fn a_canary_that_dies_stops_the_run_and_says_how_to_go_on() {
    let (simulator, project) = salesforce(&["CEO", "Head of Sales", "CTO", "CFO", "CIO"]).await;
    let plan = planned(&project).await;
    let run = project.run(&["run", &plan, "--confirm", "--canary", "2"]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.contains("3 stay pending")
            && run.stdout.contains(&format!("reverse-sync run {plan}")),
        "{run:?}"
    );
    assert!(
        run.stdout.contains("Title was written as Head of Sales, and the CRM holds HEAD OF SALES"),
        "{run:?}"
    );
    assert!(run.stdout.contains("cannot be undone"), "it was not compared: {run:?}");
    assert_eq!(simulator.world().writes.len(), 2);

    let rest = project.run(&["run", &plan, "--confirm", "--json"]).await;
    assert_eq!((rest.code, rest.json()["updated"].as_u64()), (Some(0), Some(5)), "{rest:?}");
    let world = simulator.world();
    assert_eq!((world.writes.len(), world.written_twice()), (5, vec![]));
}

#[tokio::test]
async fn a_canary_that_fails_stops_the_run() {
    let simulator = Simulator::start(config(30)).await.unwrap();
    let csv = renames(10).replacen(&Provider::HubSpot.id(1), "999", 1);
    let project = Project::hubspot(&simulator, &csv).await;
    let run = project
        .run(&["run", &planned(&project).await, "--confirm", "--json", "--canary", "3"])
        .await;
    let json = run.json();
    assert_eq!(
        (run.code, json["updated"].as_u64(), json["failed"].as_u64(), json["pending"].as_u64()),
        (Some(1), Some(2), Some(1), Some(7))
    );
    assert_eq!(json["canary"], json!({"size": 3, "held": false}), "{json}");
}

#[tokio::test]
async fn a_canary_as_large_as_the_plan_is_the_whole_run() {
    let simulator = Simulator::start(config(5)).await.unwrap();
    let project = Project::hubspot(&simulator, &renames(5)).await;
    let run = project
        .run(&["run", &planned(&project).await, "--confirm", "--json", "--canary", "50"])
        .await;
    assert_eq!(
        (run.code, run.json()["updated"].as_u64(), run.json()["verified"]["verified"].as_u64()),
        (Some(0), Some(5), Some(5)),
        "{run:?}"
    );
    let listed = project.run(&["runs", "--json"]).await.json();
    assert_eq!(
        (listed.as_array().unwrap().len(), listed[0]["status"].as_str()),
        (1, Some("succeeded")),
        "{listed}"
    );
    assert!(TOKEN.len() > 1 && !run.stdout.contains(TOKEN));
}
