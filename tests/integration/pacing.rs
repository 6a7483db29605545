//! Limits: storms, days, shared budgets. That a limit is used to the last call is measured in
//! `limits/`, alone on the machine.

use crm_simulator::{Config, Fault, Rule};
use reverse_sync::{
    egress::pacing::Pacer,
    journal::Journal,
    run::{self, StopReason, StopSignal},
};
use reverse_sync_tests::crm::{Crm, Provider, TOKEN, config, impatient};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// 190 calls in a second instead of ten.
fn scaled(contacts: usize) -> Config {
    Config {
        hubspot_contacts: contacts,
        salesforce_contacts: contacts,
        hubspot_limit: 190,
        hubspot_window_ms: 1_000,
        ..Config::default()
    }
}

#[tokio::test]
async fn two_runs_on_one_credential_share_its_budget() {
    let crm = Crm::with(Provider::HubSpot, scaled(60_000), json!({})).await;
    let mut first = crm.new_names(60_000);
    let rest: String = first.split_off(first.match_indices('\n').nth(30_000).unwrap().0 + 1);
    let one = crm.confirm(&first).await;
    let two = crm.confirm(&format!("hs_object_id,firstname\n{rest}")).await;
    let pacer =
        Pacer::new(&crm.bench.component.destination_type("hubspot_dest").unwrap().pacing, None);
    let run = |confirmed| {
        let link = crm.bench.link_with(TOKEN, Arc::clone(&pacer), impatient()).unwrap();
        crm.bench.run(confirmed, link, StopSignal::new(), |_| {})
    };
    let started = Instant::now();
    let (one, two) = tokio::join!(run(&one), run(&two));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.counts.updated, two.counts.updated), (30_000, 30_000));
    assert_eq!(crm.simulator.world().throttled, 0);
    // 600 calls: three windows after the first.
    assert!(started.elapsed() >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_storm_of_429_or_403_slows_the_run_and_fails_no_record() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, scaled(2_000), json!({})).await;
        crm.simulator.world().fault(Rule::next(12, Fault::Throttle));
        let report = crm.run(&crm.new_names(2_000)).await;
        assert!(report.ok(), "{provider:?} {report:?}");
        assert_eq!(report.counts.updated, 2_000);
        let world = crm.simulator.world();
        assert!(world.throttled >= 12);
        assert_eq!(world.written_twice(), []);
    }
}

#[tokio::test]
async fn a_daily_limit_stops_the_run_and_the_next_day_goes_on() {
    for (provider, more) in
        [(Provider::HubSpot, json!({})), (Provider::Salesforce, json!({"bulk_above": 5_000}))]
    {
        let crm = Crm::with(provider, config(5_000), more).await;
        let confirmed = crm.confirm(&crm.new_names(5_000)).await;
        crm.simulator.world().fault(Rule::always(Fault::DailyLimit).after(10));
        let report = crm.run_confirmed(&confirmed).await;
        let stopped = report.stopped.unwrap();
        assert_eq!(stopped.reason, StopReason::RateLimited, "{stopped:?}");
        assert!(stopped.message.contains("run"), "it says how to continue: {stopped:?}");
        assert!(report.pending > 0 && report.counts.failed == 0 && report.counts.unknown == 0);
        // It did not hammer on: what was in flight got its answer, and no more was tried.
        assert!(crm.simulator.world().throttled <= 9, "{}", crm.simulator.world().throttled);

        crm.simulator.world().faults.clear();
        let report = crm.run_confirmed(&confirmed).await;
        assert!(report.ok(), "{report:?}");
        assert_eq!(crm.simulator.world().written_twice(), []);
    }
}

#[tokio::test]
async fn more_requests_are_on_their_way_where_calls_take_long_unless_a_number_is_set() {
    // Twelve: the ten before have brought more.
    for (more, fewest, most) in [(json!({}), 12, 32), (json!({"in_flight": 8}), 6, 8)] {
        let scaled = Config { hubspot_limit: 1_000, ..scaled(10_000) };
        let crm = Crm::with(Provider::HubSpot, scaled, more).await;
        crm.simulator.world().fault(Rule::always(Fault::Latency(600)));
        let report = crm.run(&crm.new_names(10_000)).await;
        assert!(report.ok(), "{report:?}");
        let world = crm.simulator.world();
        let updates = world.requests.iter().filter(|request| request.method == "POST");
        let at: Vec<u64> = updates.map(|request| request.at_ms).collect();
        let together =
            |begun: &u64| at.iter().filter(|at| (*begun..begun + 590).contains(*at)).count();
        let together = at.iter().map(together).max().unwrap();
        assert!((fewest..=most).contains(&together), "{together} at once");
    }
}

#[tokio::test]
async fn a_crm_that_finds_records_locked_gets_fewer_requests_at_once() {
    let crm = Crm::with(
        Provider::HubSpot,
        Config { hubspot_limit: 1_000, ..scaled(10_000) },
        json!({"in_flight": 8}),
    )
    .await;
    crm.simulator.world().fault(Rule::always(Fault::Latency(50)));
    crm.simulator.world().fault(Rule::next(8, Fault::Status(423)).on("/batch/update"));
    let report = crm.run(&crm.new_names(10_000)).await;
    assert!(report.ok(), "{report:?}");
    let world = crm.simulator.world();
    let updates = world.requests.iter().filter(|request| request.method == "POST");
    let at: Vec<u64> = updates.map(|request| request.at_ms).collect();
    // Those that were on their way are repeated; what is pulled then is half as much.
    let after = &at[24..56];
    let together =
        |begun: &u64| after.iter().filter(|at| (*begun..begun + 45).contains(*at)).count();
    assert!(after.iter().map(together).max().unwrap() <= 4, "{after:?}");
}

#[tokio::test]
async fn latency_is_hidden_by_requests_in_flight() {
    // Long beside what it takes to send eight requests, on a machine with other work too.
    const LATENCY: u64 = 300;
    let crm = Crm::hubspot(4_000).await;
    crm.simulator.world().fault(Rule::always(Fault::Latency(LATENCY)));
    let confirmed = crm.confirm(&crm.new_names(4_000)).await;
    let journal = Journal::open(&crm.bench.runs_dir(), confirmed.plan().id()).unwrap();
    let report = run::run(
        &crm.bench.component,
        &crm.bench.grant,
        &confirmed,
        run::Part::Whole,
        crm.link(),
        journal,
        StopSignal::new(),
        |_| {},
    )
    .await
    .unwrap();
    assert!(report.ok());
    // Requests overlap: the log has eight begun before the first could be answered.
    let world = crm.simulator.world();
    let updates: Vec<u64> = world
        .requests
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.at_ms)
        .collect();
    assert!(updates.iter().filter(|at| **at < updates[0] + LATENCY).count() >= 8);
}
