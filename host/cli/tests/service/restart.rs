//! The service is killed at any instant, and resumes where it was.

use super::world::{
    Tenant, contact, crm, half_written, has_ended, new_names, service, until, written,
};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};
use std::fs::File;

/// How many records each run writes: ten batches.
const RECORDS: usize = 1_000;

/// A run, whose records are nobody else's.
struct Job<'a> {
    tenant: &'a Tenant,
    run: String,
    /// Its part of the CRM's contacts.
    part: usize,
}

/// Three orgs, and ten runs of theirs, all of the same CRM.
async fn ten_runs<'a>(tenants: &'a [Tenant; 3]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for part in 0..10 {
        let tenant = &tenants[part % 3];
        let entity_type = format!("people_{part}");
        tenant.golden(&entity_type, &new_names(part * RECORDS..(part + 1) * RECORDS)).await;
        let destination = tenant.destination(&entity_type, &json!({})).await;
        jobs.push(Job { tenant, run: tenant.start(&destination).await, part });
    }
    jobs
}

async fn three_orgs(service: &Service, simulator: &Simulator) -> [Tenant; 3] {
    [
        Tenant::hubspot(service, simulator, "one").await,
        Tenant::hubspot(service, simulator, "two").await,
        Tenant::hubspot(service, simulator, "three").await,
    ]
}

/// How many orgs have had something written.
fn orgs_written(simulator: &Simulator) -> usize {
    let world = simulator.world();
    let first: u64 = contact(0).parse().unwrap();
    let parts = world
        .writes
        .iter()
        .map(|write| (write.id.parse::<u64>().unwrap() - first) as usize / 3 / RECORDS);
    parts.map(|part| part % 3).collect::<std::collections::BTreeSet<_>>().len()
}

async fn kill_9_in_the_middle_of_ten_runs_of_three_orgs(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(10 * RECORDS).await);
    let tenants = three_orgs(&service, &simulator).await;
    simulator.world().fault(Rule::always(Fault::Latency(100)).on("/batch/update"));
    let jobs = ten_runs(&tenants).await;

    // More than once, at different points.
    for more in [500, 2_500, 5_500] {
        written(&simulator, more).await;
        until("every org to have written", async || (orgs_written(&simulator) == 3).then_some(()))
            .await;
        service.kill().await.unwrap();
        let before = simulator.world().writes.len();
        assert!(before < 10 * RECORDS, "it was killed too late to prove anything");
        service.start_again().await.unwrap();
    }
    simulator.world().faults.clear();

    for job in &jobs {
        let run = job.tenant.ended(&job.run).await;
        assert_eq!(
            (&run["status"], &run["ok"], &run["pending"]),
            (&json!("succeeded"), &json!(true), &json!(0)),
            "{run}"
        );
        // However a change in doubt was found done, it was written.
        let done = run["updated"].as_u64().unwrap() + run["unchanged"].as_u64().unwrap();
        assert_eq!(done, RECORDS as u64, "{run}");
        let numbers = job.part * RECORDS..(job.part + 1) * RECORDS;
        assert_eq!(super::world::renamed(&simulator, numbers), RECORDS);
        let rows = job.tenant.list("/audit-log").await;
        let rows: Vec<&Value> =
            rows.iter().filter(|row| row["run_id"] == job.run.as_str()).collect();
        let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["destination.reverse_run", "run.begin"]);
        for key in ["total", "updated", "unchanged", "failed", "unknown", "skipped"] {
            assert_eq!(rows[0]["counts"][key], run[key], "{key}");
        }
    }
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(simulator.world().writes.len(), 10 * RECORDS);
    let verified = service.run(&["audit", "verify"]).await.unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

async fn a_graceful_stop_ends_between_batches_and_goes_on_at_the_next_start(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3 * RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    simulator.world().fault(Rule::always(Fault::Latency(50)).on("/batch/update"));
    tenant.golden("person", &new_names(0..3 * RECORDS)).await;
    let destination = tenant.destination("person", &json!({})).await;
    let run = tenant.start(&destination).await;
    written(&simulator, 300).await;

    assert!(service.stop().await.unwrap(), "{}", service.log());
    let at_stop = {
        let world = simulator.world();
        // Nothing was cut off: every request has had its answer.
        assert!(
            world.requests.iter().all(|request| request.answered),
            "{:?}",
            world.requests.last().map(|request| &request.target)
        );
        world.writes.len()
    };
    assert!(at_stop < 3 * RECORDS, "it was stopped too late to prove anything");

    service.start_again().await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["updated"]),
        (&json!("succeeded"), &json!(3 * RECORDS)),
        "{ended}"
    );
    assert_eq!(simulator.world().written_twice(), []);
    // What was answered before the stop was known to be: nothing had to be read again.
    let reads = simulator
        .world()
        .requests
        .iter()
        .filter(|request| request.target.contains("/batch/read"))
        .count();
    assert_eq!(reads, 0);
}

async fn a_cancelled_run_stays_stopped_over_a_restart_until_it_is_resumed(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3 * RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    simulator.world().fault(Rule::always(Fault::Latency(200)).on("/batch/update"));
    tenant.golden("person", &new_names(0..3 * RECORDS)).await;
    let destination = tenant.destination("person", &json!({})).await;
    let run = tenant.start(&destination).await;
    written(&simulator, 100).await;
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    let stopped = tenant.ended(&run).await;
    assert_eq!(
        (&stopped["status"], &stopped["stopped"]["reason"]),
        (&json!("stopped"), &json!("cancelled")),
        "{stopped}"
    );
    let pending = stopped["pending"].as_u64().unwrap();
    assert!(pending > 0, "{stopped}");
    assert_eq!(stopped["updated"].as_u64().unwrap() + pending, 3 * RECORDS as u64, "{stopped}");

    service.kill().await.unwrap();
    service.start_again().await.unwrap();
    assert_eq!(tenant.run_state(&run).await["status"], "stopped");

    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.is(202);
    let ended = tenant.ended(&run).await;
    assert!(has_ended(&ended));
    assert_eq!(
        (&ended["status"], &ended["updated"], &ended["pending"]),
        (&json!("succeeded"), &json!(3 * RECORDS), &json!(0)),
        "{ended}"
    );
    assert_eq!(simulator.world().written_twice(), []);
}

async fn what_was_there_before_a_kill_is_there_after_it(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.golden("person", &new_names(0..3)).await;
    let destination = tenant.destination("person", &json!({})).await;
    let plan = tenant.dry_run(&destination).await;
    service.kill().await.unwrap();
    service.start_again().await.unwrap();
    // The same key, source, destination, golden records and plan.
    let path = format!("/destinations/{destination}/reverse-run?wait=120");
    let run = tenant
        .admin
        .post(&path, &json!({"confirm": true, "plan_id": plan["plan_id"]}))
        .await
        .is(200);
    assert_eq!(run["updated"], 3, "{run}");
}

async fn what_was_counted_stays_counted_while_the_journal_is_in_other_hands(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(RECORDS).await);
    let (tenant, _, run) = half_written(&service, &simulator, RECORDS).await;
    let told = until("something to be counted", async || {
        let state = tenant.run_state(&run).await;
        (state["updated"].as_u64() > Some(0)).then_some(state)
    })
    .await;
    service.kill().await.unwrap();
    let journal =
        service.state().join("orgs").join(&tenant.org.id).join("runs").join(format!("{run}.jsonl"));
    let held = File::open(journal).unwrap();
    held.lock().unwrap();
    service.start_again().await.unwrap();
    until("the run to wait for its journal", async || {
        service.log().contains("another process holds").then_some(())
    })
    .await;
    let state = tenant.run_state(&run).await;
    assert!(state["updated"].as_u64() >= told["updated"].as_u64(), "{told}, and then {state}");
    assert_eq!(state["status"], "running", "{state}");
    drop(held);
    simulator.world().faults.clear();
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["updated"]),
        (&json!("succeeded"), &json!(RECORDS)),
        "{ended}"
    );
}

async fn a_run_that_cannot_be_read_is_set_aside_and_the_others_go_on(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(200).await);
    let (tenant, _, run) = half_written(&service, &simulator, 200).await;
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    let destination = other.destination("people", &json!({})).await;
    other.golden("people", &new_names(0..1)).await;
    let good = other.run(&destination).await.is(200)["run_id"].as_str().unwrap().to_owned();
    service.kill().await.unwrap();
    simulator.world().faults.clear();
    let sent = || {
        let world = simulator.world();
        world.requests.iter().filter(|request| request.target.contains("/batch/update")).count()
    };
    let sent_before = sent();
    for sql in [
        format!("UPDATE runs SET options = '{{}}', status = 'running' WHERE run_id = '{run}'"),
        format!("UPDATE runs SET status = 'running', ended_at = NULL WHERE run_id = '{good}'"),
    ] {
        service.execute(&sql).await.unwrap();
    }

    service.start_again().await.unwrap();
    assert_eq!(other.ended(&good).await["status"], "succeeded");
    let page = tenant.admin.get("/runs").await.is(200);
    let unreadable = json!([{"id": run, "place": "runs.options"}]);
    assert_eq!((&page["items"], &page["unreadable"]), (&json!([]), &unreadable));
    let answer = tenant.admin.get(&format!("/runs/{run}")).await;
    let problem = answer.problem(500, &[&run, "runs.options", "request_id"]);
    assert_eq!(problem["code"], "unreadable");
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.problem(500, &[&run]);
    let log = service.log();
    let said = log.lines().find(|line| line.contains("set aside")).unwrap();
    assert!(said.contains(&format!("runs.options of {run} cannot be read")), "{said}");
    assert_eq!(sent(), sent_before, "nothing of it is executed");
}

reverse_sync_tests::on_both!(
    a_run_that_cannot_be_read_is_set_aside_and_the_others_go_on,
    kill_9_in_the_middle_of_ten_runs_of_three_orgs,
    a_graceful_stop_ends_between_batches_and_goes_on_at_the_next_start,
    a_cancelled_run_stays_stopped_over_a_restart_until_it_is_resumed,
    what_was_there_before_a_kill_is_there_after_it,
    what_was_counted_stays_counted_while_the_journal_is_in_other_hands,
);
