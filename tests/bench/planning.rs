//! How fast plans are made.

use crate::{
    golden::{in_memory, write_parquet},
    table::{Table, Target},
};
use cpu_time::ThreadTime;
use reverse_sync::{
    engine::EngineConfig,
    planner::Records,
    records::{RecordOptions, RecordSource},
};
use reverse_sync_tests::{Bench, component_file, load};
use serde_json::json;
use std::{path::Path, sync::Arc, time::Instant};

const ROWS: usize = 1_000_000;
const TURNS: usize = 5;

/// Plugin and boundary alone, reading alone, and everything.
pub(crate) fn speed(table: &mut Table) -> anyhow::Result<()> {
    // One thread runs the guest and the host's side of the boundary; reading and spooling have
    // their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("golden.parquet");
    write_parquet(&file, ROWS)?;
    let component = Arc::new(runtime.block_on(load_component())?);
    let (mut boundary, mut reading, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let config = json!({"provider_id_field": "hs_object_id", "source_id": "src_1"});
        let bench =
            Bench::new(Arc::clone(&component), "http://127.0.0.1:9", "hubspot_dest", config)?;
        let records = in_memory(ROWS, false)?;
        let spent = ThreadTime::now();
        let plan = runtime.block_on(bench.plan(records))?;
        boundary.push(ROWS as f64 / spent.elapsed().as_secs_f64());
        anyhow::ensure!(plan.header().writable == ROWS as u64, "{:?}", plan.header());

        let spent = ThreadTime::now();
        let mut source = open(&file)?;
        while source.next_batch(4_096)?.is_some() {}
        reading.push(spent.elapsed().as_secs_f64() / ROWS as f64);

        let started = Instant::now();
        runtime.block_on(bench.plan(open(&file)?))?;
        whole.push(ROWS as f64 / started.elapsed().as_secs_f64());
    }
    let with_reading: Vec<f64> = boundary
        .iter()
        .zip(&reading)
        .map(|(boundary, reading)| 1.0 / (1.0 / boundary + reading))
        .collect();
    let name = "plan, 8 columns";
    table.add(
        &format!("{name}: plugin and boundary, one core"),
        "records/s",
        &boundary,
        Target::AtLeast(3e6),
    );
    table.add(
        &format!("{name}: and reading Parquet, one core"),
        "records/s",
        &with_reading,
        Target::None,
    );
    table.add(&format!("{name}: everything, spooled to disk"), "records/s", &whole, Target::None);
    Ok(())
}

/// The component itself.
pub(crate) fn component(table: &mut Table) -> anyhow::Result<()> {
    let size = std::fs::metadata(component_file())?.len();
    table.add("component, size", "KB", &[size as f64 / 1e3], Target::AtMost(1_200.0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let component = runtime.block_on(load_component())?;
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        runtime.block_on(component.instantiate())?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    table.add("component, one instance made and dropped", "us", &times, Target::AtMost(50.0));
    Ok(())
}

async fn load_component() -> anyhow::Result<reverse_sync::component::Component> {
    load(component_file(), EngineConfig::default()).await
}

fn open(file: &Path) -> anyhow::Result<RecordSource> {
    Ok(RecordSource::open(&file.display().to_string(), Path::new("."), RecordOptions::default())?)
}
