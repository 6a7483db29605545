//! An offline plan makes no connection and looks up no credential.

use crate::project::Project;
use crm_simulator::Simulator;
use reverse_sync_tests::crm::{Crm, Provider, config};
use serde_json::json;

#[tokio::test]
async fn an_offline_plan_makes_no_connection_at_all() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(50), json!({})).await;
        let plan = crm.plan(&crm.new_names(50)).await;
        assert_eq!(plan.header().writable, 50);
        assert_eq!(crm.simulator.connections(), 0);
    }
}

#[tokio::test]
async fn an_offline_plan_needs_no_credential_anywhere() {
    let simulator = Simulator::start(config(0)).await.unwrap();
    // The variable that the project names is not set, and nothing asks for it.
    let project =
        Project::hubspot(&simulator, "hs_object_id,firstname\n492564112121,Brian\n").await;
    let output =
        project.command(&["plan", "people"]).env_remove("HUBSPOT_TOKEN").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn the_default_lets_only_writable_columns_through_and_says_what_it_dropped() {
    let crm = Crm::hubspot(0).await;
    let csv =
        "hs_object_id,firstname,createdate,__cluster,city\n492564112121,Brian,2020-01-01,c1,\n";
    let plan = crm.plan(csv).await;
    let header = plan.header();
    assert_eq!(header.sample[0].fields.get(), r#"{"firstname":"Brian"}"#);
    let dropped: Vec<(&str, &str)> = header
        .dropped_fields
        .iter()
        .map(|dropped| (dropped.name.as_str(), dropped.reason.as_str()))
        .collect();
    assert_eq!(
        dropped,
        [("hs_object_id", "provider_id"), ("createdate", "read_only"), ("__cluster", "internal")]
    );
}

#[tokio::test]
async fn every_skipped_row_has_its_reason() {
    let crm = Crm::hubspot(0).await;
    let csv = "hs_object_id,firstname\n492564112121,Brian\n,A\n4.92564112121e11,B\n492564112121.0,C\n\" 492564112122\",D\n492564112123,\nabc,E\n";
    let plan = crm.plan(csv).await;
    let header = plan.header();
    assert_eq!((header.total, header.writable, header.skipped), (7, 1, 6));
    let rows: Vec<(u64, String)> = plan
        .skipped_rows()
        .unwrap()
        .map(|rows| rows.unwrap())
        .map(|rows| (rows.first_row, rows.reason))
        .collect();
    let mut sorted = rows.clone();
    sorted.sort();
    let reasons: Vec<&str> = sorted.iter().map(|(_, reason)| reason.as_str()).collect();
    let pristine = "provider_id_not_pristine";
    assert_eq!(
        reasons,
        ["provider_id_null", pristine, pristine, pristine, "no_writable_field", pristine]
    );
    assert_eq!(header.skipped_by_reason.values().sum::<u64>(), 6);
}

#[tokio::test]
async fn both_forms_of_a_salesforce_id_are_the_same_record() {
    let crm = Crm::salesforce(2).await;
    let id = Provider::Salesforce.id(0);
    let plan = crm
        .plan(&format!("Id,FirstName\n{id},A\n{},B\n{},C\n", &id[..15], Provider::Salesforce.id(1)))
        .await;
    assert_eq!(
        (plan.header().writable, plan.header().skipped_by_reason.get("duplicate_id")),
        (1, Some(&2))
    );
    let detail = plan.skipped_rows().unwrap().find_map(|rows| rows.unwrap().detail).unwrap();
    assert!(detail.contains(&id) && detail.contains("row 2"), "{detail}");
}
