//! The gate: what is run is what was confirmed.

use crate::{
    project::{Project, hubspot_toml},
    support::{Crm, Provider, config},
};
use crm_simulator::Simulator;
use reverse_sync::{
    gate::{Confirmation, Refused},
    plan::{Plan, PlanError},
};
use serde_json::json;
use std::{fs, path::PathBuf};

const CSV: &str = "hs_object_id,firstname\n492564112121,Brian\n492564112124,Maria\n";

async fn planned() -> (Simulator, Project, String) {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let project = Project::hubspot(&simulator, CSV).await;
    let id = project.run(&["plan", "people", "--json"]).await.json()["plan_id"].as_str().unwrap().to_owned();
    (simulator, project, id)
}

fn plan_file(project: &Project, id: &str, file: &str) -> PathBuf {
    project.path(&format!(".reverse-sync/plans/{id}/{file}"))
}

#[tokio::test]
async fn nothing_is_written_without_a_confirmation() {
    let (simulator, project, id) = planned().await;
    for what in [id.as_str(), "people"] {
        let ended = project.run(&["run", what]).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("--confirm"), "{ended:?}");
    }
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn a_tampered_plan_is_refused() {
    for (file, from, to) in [
        ("changes.arrow", "Brian", "Britt"),
        ("changes.arrow", "492564112121", "492564112127"),
        ("plan.json", "\"writable\": 2", "\"writable\": 3"),
    ] {
        let (simulator, project, id) = planned().await;
        let path = plan_file(&project, &id, file);
        let bytes = fs::read(&path).unwrap();
        let at =
            bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap_or_else(|| panic!("{from} is not in {file}"));
        let mut changed = bytes;
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, changed).unwrap();
        let ended = project.run(&["run", &id, "--confirm"]).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("altered"), "{ended:?}");
        assert_eq!(simulator.connections(), 0);
    }
}

#[tokio::test]
async fn a_plan_under_another_plans_name_is_refused() {
    let (simulator, project, id) = planned().await;
    let other = format!("{}0", &id[..id.len() - 1]);
    let other = if other == id { format!("{}1", &id[..id.len() - 1]) } else { other };
    fs::rename(project.path(&format!(".reverse-sync/plans/{id}")), project.path(&format!(".reverse-sync/plans/{other}"))).unwrap();
    let ended = project.run(&["run", &other, "--confirm"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn a_plan_is_refused_when_what_it_was_made_from_has_changed() {
    let (simulator, project, id) = planned().await;
    project.write("golden.csv", "hs_object_id,firstname\n492564112121,Someone else\n");
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("golden.csv have changed since"), "{ended:?}");

    let (other, project, id) = planned().await;
    let toml = hubspot_toml(&other.base_url());
    project.write("reverse-sync.toml", &toml.replace("object = \"contacts\"", "object = \"companies\""));
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("configured differently"), "{ended:?}");

    project.write("reverse-sync.toml", &hubspot_toml(&simulator.base_url()));
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("base_url was"), "{ended:?}");
    assert_eq!((simulator.connections(), other.connections()), (0, 0));
}

#[tokio::test]
async fn a_confirmation_opens_the_gate_for_its_own_plan_only() {
    let crm = Crm::hubspot(3).await;
    let (one, two) = (crm.plan(CSV).await, crm.plan(&crm.new_names(3)).await);
    let refused = two.confirm(Confirmation::explicit(one.id().clone()), &crm.bench.destination, &crm.bench.base_url, &crm.bench.component);
    assert!(matches!(refused, Err(Refused::OtherPlan { .. })));
}

#[tokio::test]
async fn the_same_records_give_the_same_plan_and_other_records_another() {
    let crm = Crm::hubspot(3).await;
    let (one, again, other) = (crm.plan(CSV).await, crm.plan(CSV).await, crm.plan(&crm.new_names(3)).await);
    assert_eq!(one.id(), again.id());
    assert_ne!(one.id(), other.id());
    assert!(Plan::load(&crm.bench.plans_dir(), one.id()).is_ok());
    let missing = "plan_00000000000000000000000000000000".parse().unwrap();
    assert!(matches!(Plan::load(&crm.bench.plans_dir(), &missing), Err(PlanError::Unknown(_))));
}

#[tokio::test]
async fn a_plan_is_applied_once_until_it_is_planned_again() {
    let (simulator, project, id) = planned().await;
    assert_eq!(project.run(&["run", &id, "--confirm"]).await.code, Some(0));
    let again = project.run(&["run", &id, "--confirm"]).await;
    assert!(again.code == Some(0) && again.stdout.contains("applied by run"), "{again:?}");
    let json = project.run(&["run", &id, "--confirm", "--json"]).await.json();
    assert!(json["updated"] == 2 && json["requests"] == 0 && json["applied_at"].is_string(), "{json}");
    let updates = || simulator.world().requests.iter().filter(|request| request.method == "POST").count();
    assert_eq!(updates(), 1);
    project.run(&["plan", "people"]).await;
    assert_eq!(project.run(&["run", &id, "--confirm"]).await.code, Some(0));
    assert_eq!(updates(), 2);
}

#[tokio::test]
async fn duplicates_are_left_out_by_policy() {
    use reverse_sync::destination::OnDuplicateId::{First, Last, Skip};
    for (policy, names) in [(Skip, vec!["C"]), (First, vec!["A", "C"]), (Last, vec!["C", "B"])] {
        let mut crm = Crm::with(Provider::HubSpot, config(3), json!({})).await;
        crm.bench.destination.on_duplicate_id = policy;
        let ids = [0, 1].map(|n| Provider::HubSpot.id(n));
        let plan = crm.plan(&format!("hs_object_id,firstname\n{},A\n{},C\n{},B\n", ids[0], ids[1], ids[0])).await;
        let mut planned = Vec::new();
        plan.for_each_change(|change| planned.push(change.fields.to_owned())).unwrap();
        let expected: Vec<String> = names.iter().map(|name| format!("{{\"firstname\":\"{name}\"}}")).collect();
        assert_eq!(planned, expected, "{policy:?}");
        assert_eq!(plan.header().writable + plan.header().skipped, 3);
        assert_eq!(plan.header().fields["firstname"], names.len() as u64);
    }
}
