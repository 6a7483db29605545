//! The command: exit codes, files, words.

use crate::{
    project::{Project, hubspot_toml},
    support::{Provider, component, config},
};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::hostile_guest_file;
use std::fs;
use tokio::io::AsyncWriteExt;

async fn project(csv: &str) -> (Simulator, Project) {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let project = Project::hubspot(&simulator, csv).await;
    (simulator, project)
}

fn ids(count: usize) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in 0..count {
        csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n)));
    }
    csv
}

#[tokio::test]
async fn exit_codes_say_what_happened() {
    let (simulator, project) = project(&(ids(3) + "999,Nobody\n")).await;
    let failed = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let json = failed.json();
    assert_eq!((json["ok"].as_bool(), json["updated"].as_u64(), json["failed"].as_u64()), (Some(false), Some(3), Some(1)));
    assert_eq!((json["errors"][0]["provider_id"].as_str(), json["errors"][0]["row"].as_u64()), (Some("999"), Some(4)), "{json}");
    assert!(json["errors"][0]["response"]["message"].as_str().unwrap().contains("Could not get some CONTACT objects"), "{json}");

    for arguments in [
        &["run", "nobody", "--confirm"][..],
        &["plan", "nobody"],
        &["plan"],
        &["plan", "people", "--records", "nothing/*.csv"],
        &["plan", "people", "--project", "other.toml"],
    ] {
        let ended = project.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
    }

    simulator.world().config.tokens[0].expired = true;
    let expired = project.run(&["run", "people", "--confirm"]).await;
    assert_eq!(expired.code, Some(4), "{expired:?}");
    assert!(expired.stderr.contains("crm.objects.contacts.write"), "it says which right is needed: {expired:?}");
    drop(simulator);
    let down = project.run(&["run", "people", "--confirm"]).await;
    assert_eq!(down.code, Some(4), "{down:?}");
}

#[tokio::test]
async fn configuration_mistakes_name_the_key_and_what_would_be_right() {
    let (simulator, project) = project(&ids(1)).await;
    let right = hubspot_toml(&simulator.base_url());
    for (from, to, says) in [
        ("provider_id_field = \"hs_object_id\", ", "", "provider_id_field"),
        ("source_id = \"src_1\", ", "", "source_id"),
        ("source_id = \"src_1\"", "source_id = \"src_2\"", "no [sources.src_2]"),
        ("object = \"contacts\"", "objekt = \"contacts\"", "objekt"),
        ("fields = [\"firstname\"]", "fields = \"firstname\"", "fields"),
        ("provider = \"hubspot\"", "provider = \"salesforce\"", "needs a source with provider `hubspot`"),
        ("\"hubspot_dest\"", "\"hubspot\"", "hubspot_dest"),
        ("entity_type = \"person\"", "entity_type = \"person\"\nconnection_string = \"postgres://x\"", "has no connection_string"),
        ("http://127.0.0.1", "http://crm.example", "plain http"),
        ("access_token = { env = \"HUBSPOT_TOKEN\" }", "access_token = \"pat-sesame\"", "never written here"),
    ] {
        assert!(right.contains(from), "{from}");
        project.write("reverse-sync.toml", &right.replacen(from, to, 1));
        let ended = project.run(&["plan", "people"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says) && !ended.stderr.contains("sesame"), "{to}: {ended:?}");
    }
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn golden_records_come_from_globs_packed_files_and_standard_input() {
    let (_simulator, project) = project("").await;
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/a.csv", &ids(2));
    let line = format!("{{\"hs_object_id\":{},\"firstname\":\"J\"}}\n", Provider::HubSpot.id(5));
    project.write("golden/b.jsonl", &line);
    let plan = project.run(&["plan", "people", "--json", "--records", "golden/*"]).await.json();
    assert_eq!((plan["total"].as_u64(), plan["writable"].as_u64()), (Some(3), Some(3)), "{plan}");

    let mut child = project
        .command(&["plan", "people", "--json", "--records", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line.as_bytes()).await.unwrap();
    drop(stdin);
    let plan: serde_json::Value = serde_json::from_slice(&child.wait_with_output().await.unwrap().stdout).unwrap();
    assert_eq!(plan["sample"][0]["provider_id"].as_str(), Some(Provider::HubSpot.id(5).as_str()), "{plan}");
}

#[tokio::test]
async fn bad_golden_records_are_an_error_with_file_and_line() {
    let (_simulator, project) = project("hs_object_id,firstname\n1,A\n2\n").await;
    let ended = project.run(&["plan", "people"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("golden.csv, line 3"), "{ended:?}");
    assert!(!project.path(".reverse-sync/plans").read_dir().unwrap().any(|entry| entry.is_ok()), "half a plan was kept");
}

#[tokio::test]
async fn a_component_from_elsewhere_needs_a_grant_for_its_digest() {
    let (simulator, project) = project(&ids(3)).await;
    let guest = hostile_guest_file().unwrap().display().to_string();
    let inspect = project.run(&["plugin", "inspect", &guest]).await;
    assert!(inspect.code == Some(0) && inspect.stdout.contains("UPDATE confirmed records, up to 100 at once"), "{inspect:?}");
    let ended = project.run(&["plan", "people", "--plugin", &guest]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("has no grant"), "{ended:?}");

    let digest = inspect.stdout.lines().find(|line| line.starts_with("sha256:")).unwrap().to_owned();
    project.write("reverse-sync.toml", &format!("{}\n[[grants]]\ncomponent = \"{digest}\"\n", hubspot_toml(&simulator.base_url())));
    let ended = project.run(&["plan", "people", "--plugin", &guest]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // A grant of less than everything: the batch update is not in it.
    let only = "capabilities = [\"run PATCH /crm/v3/objects/${object}/${id}\"]\n";
    let mut toml = hubspot_toml(&simulator.base_url()).replace("fields = [\"firstname\"]", "attack = \"same_id_twice\"");
    toml.push_str(&format!("\n[[grants]]\ncomponent = \"{digest}\"\n{only}"));
    project.write("reverse-sync.toml", &toml);
    let ended = project.run(&["run", "people", "--confirm", "--plugin", &guest]).await;
    assert!(ended.stderr.contains("no granted capability covers POST"), "{ended:?}");
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn the_bundled_component_is_the_one_that_was_built() {
    let (_simulator, project) = project(&ids(1)).await;
    let inspect = project.run(&["plugin", "inspect"]).await;
    assert!(inspect.stdout.contains(&component().await.digest().to_string()), "{inspect:?}");
}

#[tokio::test]
async fn every_run_leaves_a_row_in_the_audit_log() {
    let (simulator, project) = project(&ids(3)).await;
    project.run(&["run", "people", "--confirm"]).await;
    simulator.world().fault(Rule::always(Fault::ExpiredToken));
    project.run(&["plan", "people"]).await;
    project.run(&["run", "people", "--confirm"]).await;
    let log = fs::read_to_string(project.path(".reverse-sync/audit_log.jsonl")).unwrap();
    let actions: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(actions.len(), 2);
    assert_eq!(
        (actions[0]["action"].as_str(), actions[1]["action"].as_str()),
        (Some("destination.reverse_run"), Some("destination.reverse_run.failed"))
    );
    assert_eq!(actions[0]["report"]["updated"], 3);
}
