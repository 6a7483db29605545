//! What must never happen, whatever people do at the same time or one after the other: a write that
//! nobody confirmed, one that is done twice, and an end on record that is not what the CRM holds.

use super::{
    status_codes::{ready, reverse_run},
    world::{
        Tenant, crm, hubspot_source, id, new_names, program, received, renamed, service, until,
        written,
    },
};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};
use std::time::Duration;

/// An org that can rename 300 contacts, three batches.
async fn three_batches(database: Database) -> (Service, Simulator, Tenant, String) {
    let (service, simulator) = (service(database).await, crm(300).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({"in_flight": 1})).await;
    tenant.golden("person", &new_names(0..300)).await;
    (service, simulator, tenant, destination)
}

/// A run that is stopped after its first batches; its id.
async fn stopped_in_the_middle(
    tenant: &Tenant,
    simulator: &Simulator,
    destination: &str,
) -> String {
    let before = simulator.world().writes.len();
    simulator.world().fault(Rule::always(Fault::Latency(150)).on("/batch/update"));
    let run = tenant.start(destination).await;
    written(simulator, before + 100).await;
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    let ended = tenant.ended(&run).await;
    simulator.world().faults.clear();
    assert_eq!(ended["status"], "stopped", "{ended}");
    assert!(ended["pending"].as_u64().unwrap() >= 100, "{ended}");
    run
}

async fn a_destination_that_changes_while_it_is_planned_is_not_written(database: Database) {
    let (_service, simulator, tenant, _) = ready(database).await;
    let destination = tenant.destination("person", &json!({"compare": true})).await;
    let second = id(&tenant.admin.post("/sources", &hubspot_source(&simulator)).await.is(201));
    simulator.world().fault(Rule::always(Fault::Latency(1_000)).on("/batch/read"));
    let before = simulator.world().requests.len();
    let (path, change) = (reverse_run(&destination), async {
        received(&simulator, before + 2).await;
        let mut config = tenant.definition()["config_json"].clone();
        config["source_id"] = json!(second);
        tenant
            .admin
            .patch(&format!("/destinations/{destination}"), &json!({"config_json": config}))
            .await
            .is(200);
    });
    let body = json!({"confirm": true});
    let (answer, ()) = tokio::join!(tenant.admin.post(&path, &body), change);
    answer.problem(409, &["changed"]);
    assert_eq!(simulator.world().writes.len(), 0);
}

async fn a_run_that_others_have_overtaken_is_not_taken_up_again(database: Database) {
    let (_service, simulator, tenant, destination) = three_batches(database).await;
    let old = stopped_in_the_middle(&tenant, &simulator, &destination).await;
    // Something newer is written over all of it.
    let newer = new_names(0..300).replace("New", "Newer");
    tenant.golden("person", &newer).await;
    assert_eq!(tenant.run(&destination).await.is(200)["updated"], 300);
    let problem = tenant
        .admin
        .post(&format!("/runs/{old}/resume"), &json!({}))
        .await
        .problem(409, &["came after it"]);
    assert_eq!(problem["code"], "run_superseded");
    assert_eq!(renamed(&simulator, 0..300), 0);

    // The old records once more: what counts is what the CRM holds in the end, not what an old
    // journal says.
    tenant.golden("person", &new_names(0..300)).await;
    let again = tenant.run(&destination).await.is(200);
    assert_eq!((&again["ok"], &again["updated"]), (&json!(true), &json!(300)), "{again}");
    assert_ne!(again["run_id"], old.as_str());
    assert_eq!(renamed(&simulator, 0..300), 300);
}

async fn a_key_stays_the_key_of_its_run(database: Database) {
    let (_service, simulator, tenant, destination) = three_batches(database).await;
    simulator.world().fault(Rule::always(Fault::Latency(150)).on("/batch/update"));
    let path = format!("/destinations/{destination}/reverse-run?wait=0");
    let send = || {
        tenant
            .admin
            .call("POST", &path)
            .header("idempotency-key", "monday")
            .json(&json!({"confirm": true}))
            .send()
    };
    let first = send().await.is(202);
    let run = first["run_id"].as_str().unwrap();
    written(&simulator, 100).await;
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    tenant.ended(run).await;
    simulator.world().faults.clear();
    // Without the key it is another run, and the key still names the first.
    assert_ne!(tenant.run(&destination).await.is(200)["run_id"], run);
    let writes = simulator.world().writes.len();
    let again = send().await.is(200);
    assert_eq!((&again["run_id"], &again["status"]), (&json!(run), &json!("stopped")), "{again}");
    assert_eq!(tenant.list("/runs").await.len(), 2);
    assert_eq!(simulator.world().writes.len(), writes);
}

async fn a_plan_that_was_resumed_to_its_end_is_applied(database: Database) {
    let (_service, simulator, tenant, destination) = three_batches(database).await;
    let plan = tenant.dry_run(&destination).await;
    let run = stopped_in_the_middle(&tenant, &simulator, &destination).await;
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    // While it can be resumed, that is the way to continue.
    tenant.admin.post(&reverse_run(&destination), &body).await.problem(409, &["/resume"]);
    assert_eq!(tenant.dry_run(&destination).await["plan_id"], plan["plan_id"]);
    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.is(202);
    assert_eq!(tenant.ended(&run).await["status"], "succeeded");
    tenant.admin.post(&reverse_run(&destination), &body).await.problem(409, &["applied"]);
    assert_eq!(simulator.world().written_twice(), []);
    // Looked at again after that, it may be written again.
    tenant.dry_run(&destination).await;
    assert_eq!(tenant.admin.post(&reverse_run(&destination), &body).await.is(200)["updated"], 300);
}

/// A run of one batch, whose answer is held back until it was asked to stop.
async fn stopped_with_the_last_batch_in_flight(
    database: Database,
    stop: impl AsyncFnOnce(&mut Service, &Tenant, &str),
) -> (Value, Tenant, String, Service) {
    let (mut service, simulator, tenant, destination) = ready(database).await;
    simulator.world().fault(Rule::next(1, Fault::Latency(800)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    received(&simulator, 2).await;
    stop(&mut service, &tenant, &run).await;
    let ended = tenant.ended(&run).await;
    assert_eq!(simulator.world().writes.len(), 3);
    (ended, tenant, destination, service)
}

async fn a_run_that_is_cancelled_when_nothing_is_left_has_succeeded(database: Database) {
    let (ended, tenant, destination, _service) =
        stopped_with_the_last_batch_in_flight(database, async |_, tenant, run| {
            tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
        })
        .await;
    assert_eq!(
        (&ended["status"], &ended["ok"], &ended["updated"]),
        (&json!("succeeded"), &json!(true), &json!(3)),
        "{ended}"
    );
    // And its plan can be run again once it was looked at again.
    let plan = tenant.dry_run(&destination).await;
    tenant
        .admin
        .post(&reverse_run(&destination), &json!({"confirm": true, "plan_id": plan["plan_id"]}))
        .await
        .is(200);
}

async fn a_stop_of_the_service_makes_no_run_a_failure(database: Database) {
    let (ended, tenant, _, _service) =
        stopped_with_the_last_batch_in_flight(database, async |service, _, _| {
            assert!(service.stop().await.unwrap(), "{}", service.log());
            service.start_again().await.unwrap();
        })
        .await;
    assert_eq!((&ended["status"], &ended["updated"]), (&json!("succeeded"), &json!(3)), "{ended}");
    assert!(
        tenant
            .list("/audit-log")
            .await
            .iter()
            .all(|row| row["action"] != "destination.reverse_run.failed")
    );
}

async fn a_stop_while_records_are_read_back_is_made_up_for(database: Database) {
    let (mut service, simulator, tenant, destination) = ready(database).await;
    simulator.world().fault(Rule::next(1, Fault::Latency(800)).on("/batch/read"));
    let path = format!("/destinations/{destination}/reverse-run?wait=0");
    let run = tenant.admin.post(&path, &json!({"confirm": true, "verify": "all"})).await.is(202);
    let run = run["run_id"].as_str().unwrap();
    written(&simulator, 3).await;
    received(&simulator, 3).await;
    assert!(service.stop().await.unwrap(), "{}", service.log());
    service.start_again().await.unwrap();
    let ended = tenant.ended(run).await;
    assert_eq!(
        (&ended["status"], &ended["ok"], &ended["verified"]["as_written"]),
        (&json!("succeeded"), &json!(true), &json!(3)),
        "{ended}"
    );
    assert_eq!(simulator.world().writes.len(), 3);
}

async fn a_second_service_on_the_same_state_does_not_start(database: Database) {
    let (service, simulator, tenant, destination) = ready(database).await;
    simulator.world().fault(Rule::next(1, Fault::Latency(3_000)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    received(&simulator, 2).await;
    // One that starts does not end by itself.
    let second = service.run(&["serve", "--listen", "127.0.0.1:0"]);
    let second = tokio::time::timeout(Duration::from_secs(60), second)
        .await
        .expect("it has started")
        .unwrap();
    assert!(!second.status.success(), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another `reverse-sync serve`"), "{said}");
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["updated"]), (&json!("succeeded"), &json!(3)), "{ended}");
    if database == Database::Postgres {
        // The same database is the same state, wherever the folder is.
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::copy(service.state().join("keys"), elsewhere.path().join("keys")).unwrap();
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--database", &service.database_url(), "--state"];
        let third = tokio::process::Command::new(program())
            .args(arguments)
            .arg(elsewhere.path())
            .kill_on_drop(true)
            .output();
        let third = third.await.unwrap();
        assert!(
            !third.status.success() && String::from_utf8_lossy(&third.stderr).contains("another"),
            "{third:?}"
        );
    }
}

async fn a_client_that_goes_away_leaves_nothing_half_done(database: Database) {
    let (service, simulator, tenant, destination) = three_batches(database).await;
    let run = stopped_in_the_middle(&tenant, &simulator, &destination).await;
    simulator.world().fault(Rule::always(Fault::Latency(20)).on("/batch/update"));
    // At any point of the request, again and again.
    for ms in 0..12 {
        for what in ["resume", "cancel"] {
            let (path, body) = (format!("/runs/{run}/{what}"), json!({}));
            let call = tenant.admin.call("POST", &path).json(&body).try_send();
            // Whether there was an answer in time does not matter.
            let _ = tokio::time::timeout(Duration::from_millis(ms), call).await;
        }
    }
    until("the run to be resumed to its end", async || {
        let state = tenant.run_state(&run).await;
        match state["status"].as_str() {
            Some("succeeded") => Some(()),
            Some("stopped") => {
                tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await;
                None
            }
            _ => None,
        }
    })
    .await;
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(renamed(&simulator, 0..300), 300);
    assert!(!service.log().contains("panicked"));
}

reverse_sync_tests::on_both!(
    a_destination_that_changes_while_it_is_planned_is_not_written,
    a_run_that_others_have_overtaken_is_not_taken_up_again,
    a_key_stays_the_key_of_its_run,
    a_plan_that_was_resumed_to_its_end_is_applied,
    a_run_that_is_cancelled_when_nothing_is_left_has_succeeded,
    a_stop_of_the_service_makes_no_run_a_failure,
    a_stop_while_records_are_read_back_is_made_up_for,
    a_second_service_on_the_same_state_does_not_start,
    a_client_that_goes_away_leaves_nothing_half_done,
);
