//! `run` against the native ceiling, on the same local server.

use crate::{
    golden::in_memory,
    native,
    null_crm::{self, Reading},
    table::Table,
};
use bytes::Bytes;
use reverse_sync::{
    egress::{pacing::Pacer, transport::TransportLimits},
    engine::EngineConfig,
    planner::Asking,
    run::StopSignal,
};
use reverse_sync_tests::{Bench, component_file, load};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
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
    let address = null_crm::start(latency, reading)?;
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    runtime.block_on(async {
        let component = Arc::new(load(component_file(), EngineConfig::default()).await?);
        let config = json!({"provider_id_field": "hs_object_id", "source_id": "src_1", "in_flight": IN_FLIGHT});
        let bench = Bench::new(component, &format!("http://{address}"), "hubspot_dest", config)?;
        // As `run NAME` plans: with the CRM's metadata.
        let plan = bench.plan_asking(Asking::Metadata(bench.link("token")?), in_memory(records, false)?).await?;
        let bodies = Arc::new(bodies(&bench, plan.id())?);
        let confirmed = bench.confirm_overriding(plan, &["max_changes"])?;
        for _ in 0..TURNS {
            let native = native::send(address, "/crm/v3/objects/contacts/batch/update", Arc::clone(&bodies), IN_FLIGHT).await?;
            // The pacer is on and counts every call; only its limit is out of the way.
            let mut pacing = bench.component.destination_type("hubspot_dest")?.pacing.clone();
            pacing.limit = Some(reverse_sync::contract::capabilities::Rate { requests: 10_000_000, window_ms: 10_000 });
            let link = bench.link_with("token", Pacer::new(&pacing, None), TransportLimits::default())?;
            let started = Instant::now();
            let report = bench.run(&confirmed, link, StopSignal::new(), |_| {}).await?;
            let ours = started.elapsed();
            anyhow::ensure!(report.counts.updated == records as u64, "{report:?}");
            ratios.push(native.as_secs_f64() / ours.as_secs_f64());
            rates.push((records as f64 / ours.as_secs_f64(), records as f64 / native.as_secs_f64()));
        }
        anyhow::Ok(())
    })?;
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[TURNS / 2];
    let (ours, native) = rates[TURNS / 2];
    let (target, least) = match (latency.is_zero(), reading) {
        (true, Reading::Parses) => ("0.50 of native", 0.5),
        // How far from a server that costs nothing.
        (true, Reading::Skims) => ("", 0.0),
        (false, _) => ("0.98 of native", 0.98),
    };
    let server = if reading == Reading::Skims { ", a server that only skims" } else { "" };
    let name = format!("run, {} ms latency, {IN_FLIGHT} in flight{server}", latency.as_millis());
    table.add(
        &name,
        format!("{ratio:.2} of native ({ours:.0} and {native:.0} records/s)"),
        target,
        ratio >= least,
    );
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
    let address = null_crm::start(Duration::ZERO, Reading::Parses)?;
    for (destination_type, id, expected) in
        [("hubspot_dest", "hs_object_id", 100), ("salesforce_dest", "Id", 50)]
    {
        let calls = runtime.block_on(async {
            let component = Arc::new(load(component_file(), EngineConfig::default()).await?);
            let mut config = json!({"provider_id_field": id, "source_id": "src_1"});
            if destination_type == "salesforce_dest" {
                // Collections are counted here, and no jobs.
                config["bulk_above"] = json!(10_000);
            }
            let bench =
                Bench::new(component, &format!("http://{address}"), destination_type, config)?;
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
        table.add(
            &format!("calls for 10,000 records, {destination_type}"),
            calls.to_string(),
            &expected.to_string(),
            calls == expected,
        );
    }
    Ok(())
}
