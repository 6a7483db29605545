//! What is compared with the clock: a limit is used to the last call, and two hundred runs share the
//! machine.
//!
//! Each test has the machine to itself: it waits for [`alone`].

#![expect(clippy::print_stdout, reason = "says how close it was")]

#[cfg(unix)]
mod tenants;

use crm_simulator::{Config, Simulator};
use reverse_sync::{
    engine::EngineConfig,
    records::{RecordOptions, RecordSource},
    run::StopSignal,
};
use reverse_sync_tests::{Bench, component_file, load};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Waits until no other test is running.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// In record mode 1,880 records take a read of the metadata, 19 reads of 100 ids, and 1,880
/// updates: 1,900 calls.
const RECORDS: usize = 1_880;
const CALLS: u64 = 1_900;

#[tokio::test(flavor = "multi_thread")]
async fn nineteen_hundred_calls_under_a_limit_of_190_a_window_take_nine_windows_and_draw_no_429() {
    let _alone = alone().await;
    // HubSpot's ten seconds are one here.
    let config = Config {
        hubspot_contacts: RECORDS,
        hubspot_limit: 190,
        hubspot_window_ms: 1_000,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let component = Arc::new(load(component_file(), EngineConfig::default()).await.unwrap());
    let config =
        json!({"provider_id_field": "hs_object_id", "source_id": "src_1", "write_mode": "record"});
    let bench = Bench::new(component, &simulator.base_url(), "hubspot_dest", config).unwrap();
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in 0..RECORDS {
        csv.push_str(&format!("{},New {n}\n", 492_564_112_121 + n as u64 * 3));
    }
    std::fs::write(bench.state.path().join("golden.csv"), csv).unwrap();
    let records =
        RecordSource::open("golden.csv", bench.state.path(), RecordOptions::default()).unwrap();
    let plan = bench.plan(records).await.unwrap();
    let confirmed = bench.confirm(plan).unwrap();

    let started = Instant::now();
    let report = bench
        .run(&confirmed, bench.link("test-token").unwrap(), StopSignal::new(), |_| {})
        .await
        .unwrap();
    let took = started.elapsed();
    assert_eq!((report.counts.updated, report.requests), (RECORDS as u64, CALLS), "{report:?}");
    assert_eq!(simulator.world().throttled, 0);
    // The calls of the first window go at once; nine windows have to pass for the rest.
    let allowed = Duration::from_secs(9);
    assert!(took >= allowed, "faster than the limit allows: {took:?}");
    assert!(took <= allowed.mul_f64(1.05), "{took:?} for what the limit allows in {allowed:?}");
    println!("{CALLS} calls in {took:?}; the limit allows them in {allowed:?}");
}
