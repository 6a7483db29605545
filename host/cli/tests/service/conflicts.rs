//! What is refused for what else is running (409), what is told to come back (429), and what is
//! taken to be worked on (202).

use super::{
    status_codes::{ready, reverse_run},
    world::{Tenant, new_names, received, renamed},
};
use crm_simulator::{Fault, Rule};
use reverse_sync_tests::service::Database;
use serde_json::{Value, json};

async fn a_plan_whose_destination_changed_is_409(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let plan = tenant.dry_run(&destination).await;
    let mut config = tenant.definition()["config_json"].clone();
    config["fields"] = json!(["firstname", "lastname"]);
    tenant
        .admin
        .patch(&format!("/destinations/{destination}"), &json!({"config_json": config}))
        .await
        .is(200);
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    tenant
        .admin
        .post(&reverse_run(&destination), &body)
        .await
        .problem(409, &["destination", "reverse-dry-run"]);
    assert_eq!(simulator.connections(), 0);
}

async fn a_plan_whose_golden_records_were_replaced_is_409(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let plan = tenant.dry_run(&destination).await;
    tenant.golden("person", &new_names(0..2)).await;
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    tenant
        .admin
        .post(&reverse_run(&destination), &body)
        .await
        .problem(409, &["golden records", "reverse-dry-run"]);
    assert_eq!(simulator.connections(), 0);
}

async fn a_plan_of_another_destination_is_404(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let plan = tenant.dry_run(&destination).await;
    let other = tenant.destination("person", &json!({"fields": ["lastname"]})).await;
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    tenant.admin.post(&reverse_run(&other), &body).await.problem(404, &[]);
    assert_eq!(simulator.connections(), 0);
}

async fn a_plan_is_applied_once(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let plan = tenant.dry_run(&destination).await;
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    assert_eq!(tenant.admin.post(&reverse_run(&destination), &body).await.is(200)["updated"], 3);
    tenant.admin.post(&reverse_run(&destination), &body).await.problem(409, &["applied"]);
    assert_eq!(simulator.world().writes.len(), 3);
}

async fn a_guard_that_trips_is_409_until_it_is_overridden_by_its_name(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    tenant
        .admin
        .patch(&format!("/destinations/{destination}"), &json!({"guards": {"max_changes": 2}}))
        .await
        .is(200);
    let plan = tenant.dry_run(&destination).await;
    assert_eq!(plan["guards"][0]["name"], "max_changes", "{plan}");
    let body =
        |names: Value| json!({"confirm": true, "plan_id": plan["plan_id"], "override": names});
    let held = tenant
        .admin
        .post(&reverse_run(&destination), &body(json!([])))
        .await
        .problem(409, &["max_changes"]);
    assert_eq!((&held["plan_id"], &held["guards"]), (&plan["plan_id"], &plan["guards"]), "{held}");
    // Also of a plan that nobody has seen.
    let held = tenant
        .admin
        .post(&reverse_run(&destination), &json!({"confirm": true}))
        .await
        .problem(409, &["max_changes"]);
    assert_eq!((&held["plan_id"], &held["guards"]), (&plan["plan_id"], &plan["guards"]), "{held}");
    tenant
        .admin
        .post(&reverse_run(&destination), &body(json!(["max_same_value_percent"])))
        .await
        .problem(409, &["max_changes"]);
    tenant
        .admin
        .post(&reverse_run(&destination), &body(json!(["max_change"])))
        .await
        .problem(422, &["max_change"]);
    assert_eq!(simulator.connections(), 0);
    let run =
        tenant.admin.post(&reverse_run(&destination), &body(json!(["max_changes"]))).await.is(200);
    assert_eq!((&run["updated"], &run["override"]), (&json!(3), &json!(["max_changes"])), "{run}");
}

async fn the_forward_path_is_409_and_points_to_the_reverse_path(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    for body in [json!({}), json!({"confirm": true})] {
        let path = format!("/destinations/{destination}/run");
        tenant
            .admin
            .post(&path, &body)
            .await
            .problem(409, &[&format!("/destinations/{destination}/reverse-run")]);
    }
    tenant.admin.post("/destinations/dst_0/run", &json!({})).await.problem(404, &[]);
    assert_eq!(simulator.connections(), 0);
}

async fn while_a_run_is_under_way_its_destination_is_left_alone(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    simulator.world().fault(Rule::next(1, Fault::Latency(600_000)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    // The metadata and the update.
    received(&simulator, 2).await;
    assert_eq!(tenant.run_state(&run).await["status"], "running");

    tenant
        .admin
        .post(&reverse_run(&destination), &json!({"confirm": true}))
        .await
        .problem(409, &[&run]);
    let path = format!("/destinations/{destination}");
    tenant.admin.patch(&path, &json!({"name": "other"})).await.problem(409, &[&run]);
    tenant.admin.delete(&path).await.problem(409, &[&run]);
    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.problem(409, &[]);
    tenant.admin.post(&format!("/runs/{run}/undo"), &json!({})).await.problem(409, &[]);
    // Looking is free.
    tenant.dry_run(&destination).await;

    let cancelled = tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    assert!(matches!(cancelled["status"].as_str(), Some("cancelling" | "stopped")), "{cancelled}");
}

async fn what_has_ended_cannot_be_cancelled_or_resumed(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let run = tenant.run(&destination).await.is(200);
    let run = run["run_id"].as_str().unwrap();
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.problem(409, &["ended"]);
    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.problem(409, &[]);
    // It was planned offline: what the CRM held before is not known.
    tenant.admin.post(&format!("/runs/{run}/undo"), &json!({})).await.problem(409, &["compar"]);
}

async fn a_source_that_a_destination_uses_stays(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let source = format!("/sources/{}", tenant.source);
    tenant.admin.delete(&source).await.problem(409, &[&destination]);
    tenant.admin.delete(&format!("/destinations/{destination}")).await.is(204);
    tenant.admin.get(&format!("/destinations/{destination}")).await.problem(404, &[]);
    tenant.admin.delete(&source).await.is(204);
    tenant.admin.get(&source).await.problem(404, &[]);
}

async fn a_run_that_nobody_waits_for_is_202_and_can_be_followed(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let answer = tenant
        .admin
        .post(&format!("/destinations/{destination}/reverse-run?wait=0"), &json!({"confirm": true}))
        .await;
    let run = answer.is(202);
    let place = answer.header("location").unwrap();
    assert_eq!(place, format!("/runs/{}", run["run_id"].as_str().unwrap()));
    assert!(matches!(run["status"].as_str(), Some("queued" | "running" | "succeeded")), "{run}");
    let ended = tenant.ended(place.strip_prefix("/runs/").unwrap()).await;
    assert_eq!(
        (&ended["status"], &ended["ok"], &ended["updated"]),
        (&json!("succeeded"), &json!(true), &json!(3))
    );
    assert_eq!(renamed(&simulator, 0..3), 3);
    tenant
        .admin
        .post(
            &format!("/destinations/{destination}/reverse-run?wait=301"),
            &json!({"confirm": true}),
        )
        .await
        .problem(400, &["300"]);
}

async fn the_thirty_first_run_of_an_hour_is_429_and_says_when_to_come_back(database: Database) {
    let (service, simulator, tenant, destination) = ready(database).await;
    for _ in 0..30 {
        tenant.run(&destination).await.is(200);
    }
    let before = simulator.world().requests.len();
    let answer = tenant.run(&destination).await;
    answer.problem(429, &["30"]);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&seconds), "{answer:?}");
    assert_eq!(simulator.world().requests.len(), before);
    assert_eq!(tenant.admin.get("/me").await.is(200)["quota"]["used"], 30);
    // A person who only looks is not held up, and neither is another org.
    tenant.dry_run(&destination).await;
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    other.golden("person", &new_names(0..1)).await;
    let own = other.destination("person", &json!({})).await;
    other.run(&own).await.is(200);
}

async fn the_same_idempotency_key_never_starts_a_second_run(database: Database) {
    let (service, simulator, tenant, destination) = ready(database).await;
    let send = async |key: &str, body: &Value| {
        tenant
            .admin
            .call("POST", &reverse_run(&destination))
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
    };
    let confirm = json!({"confirm": true});
    let first = send("monday", &confirm).await.is(200);
    let again = send("monday", &confirm).await.is(200);
    assert_eq!(first["run_id"], again["run_id"]);
    assert_eq!(tenant.list("/runs").await.len(), 1);
    assert_eq!(simulator.world().writes.len(), 3);
    // It counts once.
    assert_eq!(tenant.admin.get("/me").await.is(200)["quota"]["used"], 1);
    // Another request under the same key is a mistake.
    send("monday", &json!({"confirm": true, "canary": 1})).await.problem(422, &["Idempotency-Key"]);
    send("", &confirm).await.problem(400, &["Idempotency-Key"]);
    send(&"x".repeat(300), &confirm).await.problem(400, &["Idempotency-Key"]);
    // It is the org's own.
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    other.golden("person", &new_names(0..1)).await;
    let own = other.destination("person", &json!({})).await;
    let theirs = other
        .admin
        .call("POST", &reverse_run(&own))
        .header("idempotency-key", "monday")
        .json(&confirm)
        .send()
        .await
        .is(200);
    assert_ne!(theirs["run_id"], first["run_id"]);
    // Another key is another run.
    assert_ne!(send("tuesday", &confirm).await.is(200)["run_id"], first["run_id"]);
}

async fn the_same_idempotency_key_at_the_same_time_is_one_run(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let send = || async {
        tenant
            .admin
            .call("POST", &reverse_run(&destination))
            .header("idempotency-key", "k")
            .json(&json!({"confirm": true}))
            .send()
            .await
    };
    let (first, second, third, fourth) = tokio::join!(send(), send(), send(), send());
    let runs: Vec<_> = [first, second, third, fourth]
        .iter()
        .map(|answer| answer.is(200)["run_id"].clone())
        .collect();
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(tenant.list("/runs").await.len(), 1);
}

reverse_sync_tests::on_both!(
    a_plan_whose_destination_changed_is_409,
    a_plan_whose_golden_records_were_replaced_is_409,
    a_plan_of_another_destination_is_404,
    a_plan_is_applied_once,
    a_guard_that_trips_is_409_until_it_is_overridden_by_its_name,
    the_forward_path_is_409_and_points_to_the_reverse_path,
    while_a_run_is_under_way_its_destination_is_left_alone,
    what_has_ended_cannot_be_cancelled_or_resumed,
    a_source_that_a_destination_uses_stays,
    a_run_that_nobody_waits_for_is_202_and_can_be_followed,
    the_thirty_first_run_of_an_hour_is_429_and_says_when_to_come_back,
    the_same_idempotency_key_never_starts_a_second_run,
    the_same_idempotency_key_at_the_same_time_is_one_run,
);
