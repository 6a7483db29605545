//! `run` against the native ceiling, on the same local server.

use crate::{
    golden::in_memory,
    native,
    null_crm::{self, Reading},
    spent::{Clock, Spent},
    table::{Table, Target},
};
use bytes::Bytes;
use reverse_sync::{
    egress::{pacing::Pacer, transport::TransportLimits},
    engine::EngineConfig,
    gate::ConfirmedPlan,
    planner::Asking,
    run::StopSignal,
};
use reverse_sync_tests::{Bench, component_file, load};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

const IN_FLIGHT: usize = 8;
/// Both sides take turns, so that a machine that changes its speed changes both.
const TURNS: usize = 5;

/// Batch mode, every egress stage on, against a native client that sends the same bodies.
pub(crate) fn against_native(
    table: &mut Table,
    latency: Duration,
    reading: Reading,
    records: usize,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = null_crm::start(latency, reading)?;
    let address = server.address;
    let (mut ours, mut native) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let config = json!({"provider_id_field": "hs_object_id", "source_id": "src_1", "in_flight": IN_FLIGHT});
        let bench = bench(address, "hubspot_dest", config).await?;
        // As `run NAME` plans: with the CRM's metadata.
        let plan = bench.plan_asking(Asking::Metadata(bench.link("token")?), in_memory(records, false)?).await?;
        let bodies = Arc::new(bodies(&bench, plan.id())?);
        let confirmed = bench.confirm_overriding(plan, &["max_changes"])?;
        for _ in 0..TURNS {
            native.push(native::send(address, "/crm/v3/objects/contacts/batch/update", Arc::clone(&bodies), IN_FLIGHT).await?.as_secs_f64());
            ours.push(run(&bench, &confirmed, &server.spent).await?.0);
        }
        anyhow::Ok(())
    })?;
    let ratios: Vec<f64> =
        native.iter().zip(&ours).map(|(native, ours)| native / ours.wall).collect();
    let target = match (latency.is_zero(), reading) {
        (true, Reading::Parses) => Target::AtLeast(0.6),
        // How far from a server that costs nothing.
        (true, Reading::Skims) => Target::None,
        (false, _) => Target::AtLeast(0.98),
    };
    let server = if reading == Reading::Skims { ", a server that only skims" } else { "" };
    let name = format!("run, {} ms latency, {IN_FLIGHT} in flight{server}", latency.as_millis());
    table.add(&name, "of native", &ratios, target);
    speed(table, &name, records, &ours);
    Ok(())
}

/// Records in a second, and the processor time of one.
fn speed(table: &mut Table, name: &str, records: usize, spent: &[Spent]) {
    let rates: Vec<f64> = spent.iter().map(|spent| records as f64 / spent.wall).collect();
    table.add(&format!("{name}: speed"), "records/s", &rates, Target::None);
    let each: Vec<f64> = spent.iter().map(|spent| spent.processor * 1e6 / records as f64).collect();
    let name = format!("{name}: processor time of a record, server not counted");
    table.add(&name, "us", &each, Target::AtMost(0.8));
}

async fn bench(
    address: SocketAddr,
    destination_type: &str,
    config: serde_json::Value,
) -> anyhow::Result<Bench> {
    let component = Arc::new(load(component_file(), EngineConfig::default()).await?);
    Bench::new(component, &format!("http://{address}"), destination_type, config)
}

/// One run of all of a plan: what it took, and its requests.
async fn run(
    bench: &Bench,
    confirmed: &ConfirmedPlan,
    server: &AtomicU64,
) -> anyhow::Result<(Spent, u64)> {
    // The pacer is on and counts every call; only its limit is out of the way.
    let mut pacing =
        bench.component.destination_type(&bench.destination.destination_type)?.pacing.clone();
    pacing.limit = Some(reverse_sync::contract::capabilities::Rate {
        requests: 10_000_000,
        window_ms: 10_000,
    });
    let link = bench.link_with("token", Pacer::new(&pacing, None), TransportLimits::default())?;
    let clock = Clock::start(server);
    let report = bench.run(confirmed, link, StopSignal::new(), |_| {}).await?;
    let spent = clock.stop();
    anyhow::ensure!(report.ok() && report.counts.updated == report.writable, "{report:?}");
    Ok((spent, report.requests))
}

/// Jobs of Salesforce's Bulk API: speed, and requests.
pub(crate) fn bulk(table: &mut Table, latency: Duration, records: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = null_crm::start(latency, Reading::Skims)?;
    let (mut ours, mut requests) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let config = json!({"provider_id_field": "Id", "source_id": "src_1", "write_mode": "bulk"});
        let bench = bench(server.address, "salesforce_dest", config).await?;
        let plan = bench.plan(in_memory(records, true)?).await?;
        let confirmed = bench.confirm_overriding(plan, &["max_changes"])?;
        for _ in 0..TURNS {
            let (spent, sent) = run(&bench, &confirmed, &server.spent).await?;
            ours.push(spent);
            requests.push(sent as f64);
        }
        anyhow::Ok(())
    })?;
    let name = format!("run by Bulk 2.0, {records} records, {} ms latency", latency.as_millis());
    speed(table, &name, records, &ours);
    table.add(&format!("{name}: requests"), "", &requests, Target::AtMost(6.0));
    Ok(())
}

/// The bodies that the component sends: batches of 100 in the order of the plan.
fn bodies(bench: &Bench, plan: &reverse_sync::plan::PlanId) -> anyhow::Result<Vec<Bytes>> {
    let plan = reverse_sync::plan::Plan::load(&bench.plans_dir(), plan)?;
    let mut bodies = Vec::new();
    let mut body = String::new();
    let mut items = 0;
    plan.for_each_change(|change| {
        let (id, fields) = (change.provider_id, change.fields);
        body.push_str(if items == 0 { "{\"inputs\":[" } else { "," });
        body.push_str(&format!("{{\"id\":\"{id}\",\"properties\":{fields}}}"));
        items += 1;
        if items == 100 {
            body.push_str("]}");
            bodies.push(Bytes::from(std::mem::take(&mut body)));
            items = 0;
        }
    })?;
    if items > 0 {
        body.push_str("]}");
        bodies.push(Bytes::from(body));
    }
    Ok(bodies)
}

/// How many calls ten thousand changed records take.
pub(crate) fn calls(table: &mut Table) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = null_crm::start(Duration::ZERO, Reading::Parses)?;
    for (destination_type, id, expected) in
        [("hubspot_dest", "hs_object_id", 100.0), ("salesforce_dest", "Id", 50.0)]
    {
        let calls = runtime.block_on(async {
            let mut config = json!({"provider_id_field": id, "source_id": "src_1"});
            if destination_type == "salesforce_dest" {
                // Collections are counted here, and no jobs.
                config["bulk_above"] = json!(10_000);
            }
            let bench = bench(server.address, destination_type, config).await?;
            let asking = Asking::Metadata(bench.link("token")?);
            let plan = bench.plan_asking(asking, in_memory(10_000, id == "Id")?).await?;
            let confirmed = bench.confirm(plan)?;
            let pacer = Pacer::new(
                &bench.component.destination_type(destination_type)?.pacing,
                Some((1_000_000, Duration::from_secs(10))),
            );
            let report = bench
                .run(
                    &confirmed,
                    bench.link_with("token", pacer, TransportLimits::default())?,
                    StopSignal::new(),
                    |_| {},
                )
                .await?;
            anyhow::ensure!(report.ok(), "{report:?}");
            anyhow::Ok(report.requests)
        })?;
        let name = format!("calls for 10,000 records, {destination_type}");
        table.add(&name, "", &[calls as f64], Target::AtMost(expected));
    }
    Ok(())
}
