//! No tenant can see, starve or stop another.
//!
//! Told by counting, not by the clock: while one org's runs hang or storm, another's come to their
//! end with exactly the requests that they would need alone.

use super::world::{Tenant, crm, new_names, received, renamed, service, until};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::service::{Database, Service};
use serde_json::json;

/// More runs of one org than a service of two cores would work on at a time.
const RUNS: usize = 12;

/// An org that has started many runs in this CRM.
async fn busy(service: &Service, simulator: &Simulator, name: &str) -> (Tenant, Vec<String>) {
    let tenant = Tenant::hubspot(service, simulator, name).await;
    tenant.golden("person", &new_names(0..300)).await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let destination = tenant.destination("person", &json!({})).await;
        runs.push(tenant.start(&destination).await);
    }
    (tenant, runs)
}

/// What a quiet org's run needs: the metadata and three updates; and that it needs no more now.
async fn works_as_if_alone(service: &Service, quiet: &Simulator) {
    let tenant = Tenant::hubspot(service, quiet, "quiet").await;
    tenant.golden("person", &new_names(0..300)).await;
    for n in 1..=3 {
        let destination = tenant.destination("person", &json!({})).await;
        tenant.dry_run(&destination).await;
        let run = tenant.run(&destination).await.is(200);
        assert_eq!((&run["ok"], &run["updated"]), (&json!(true), &json!(300)), "{run}");
        assert_eq!(run["requests"], 4, "{run}");
        let world = quiet.world();
        assert_eq!((world.requests.len(), world.throttled), (n * 4, 0));
    }
    assert_eq!(renamed(quiet, 0..300), 300);
}

async fn a_crm_that_hangs_slows_nobody_else(database: Database) {
    let (service, hanging, quiet) = (service(database).await, crm(300).await, crm(300).await);
    hanging.world().fault(Rule::always(Fault::Latency(3_600_000)));
    let (tenant, runs) = busy(&service, &hanging, "hanging").await;
    received(&hanging, 1).await;

    works_as_if_alone(&service, &quiet).await;

    // They were running all the time.
    for run in &runs {
        let state = tenant.run_state(run).await;
        assert!(matches!(state["status"].as_str(), Some("queued" | "running")), "{state}");
    }
    assert_eq!(hanging.world().writes.len(), 0);
    service.client(None).get("/healthz").await.status.is_success().then_some(()).unwrap();
}

async fn a_storm_of_429_slows_nobody_else(database: Database) {
    let (service, storm, quiet) = (service(database).await, crm(300).await, crm(300).await);
    storm.world().fault(Rule::always(Fault::Throttle));
    let (_tenant, _runs) = busy(&service, &storm, "storm").await;
    until("the storm", async || (storm.world().throttled > 0).then_some(())).await;

    works_as_if_alone(&service, &quiet).await;

    // One credential's storm closes its bucket: the runs of that org do not add up to a storm of
    // their own.
    assert_eq!(storm.world().writes.len(), 0);
    let sent = storm.world().requests.len();
    assert!(sent < RUNS * 20, "{sent} requests into a storm");
}

async fn orgs_see_only_what_is_theirs(database: Database) {
    let (service, simulator) = (service(database).await, crm(6).await);
    let (one, two) = (
        Tenant::hubspot(&service, &simulator, "one").await,
        Tenant::hubspot(&service, &simulator, "two").await,
    );
    one.golden("person", &new_names(0..2)).await;
    two.golden("person", &new_names(2..6)).await;
    let (first, second) =
        (one.destination("person", &json!({})).await, two.destination("person", &json!({})).await);
    // The same type of golden records: each pushes its own.
    assert_eq!(one.run(&first).await.is(200)["updated"], 2);
    assert_eq!(two.run(&second).await.is(200)["updated"], 4);
    for path in
        ["/destinations", "/sources", "/golden", "/plans", "/runs", "/api-keys", "/audit-log"]
    {
        let (theirs, ours) = (one.list(path).await, two.list(path).await);
        assert!(!theirs.is_empty() && !ours.is_empty(), "{path}");
        assert!(theirs.iter().all(|item| !ours.contains(item)), "{path}");
    }
    assert_eq!((one.list("/runs").await.len(), two.list("/runs").await.len()), (1, 1));
}

async fn members_of_an_org_share_its_destinations_and_golden_records(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    let operator = tenant.member("operator").await;
    operator.put("/golden/person", "text/csv", new_names(0..3)).await.is(200);
    let run = operator
        .post(
            &format!("/destinations/{destination}/reverse-run?wait=120"),
            &json!({"confirm": true}),
        )
        .await
        .is(200);
    assert_eq!(run["updated"], 3);
    let viewer = tenant.member("viewer").await;
    let seen = viewer.get(&format!("/runs/{}", run["run_id"].as_str().unwrap())).await.is(200);
    assert_eq!(seen["updated"], 3);
}

reverse_sync_tests::on_both!(
    a_crm_that_hangs_slows_nobody_else,
    a_storm_of_429_slows_nobody_else,
    orgs_see_only_what_is_theirs,
    members_of_an_org_share_its_destinations_and_golden_records,
);
