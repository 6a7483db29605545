//! The command as a whole process: time and memory as the operating system sees them.

use crate::{golden::write_parquet, table::Table};
use anyhow::Context;
use reverse_sync::plan::{ChangeFilter, Cursor, PlanId, changes_page};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PROJECT: &str = r#"
[sources.src_1]
provider = "hubspot"

[destinations.people]
destination_type = "hubspot_dest"
entity_type = "person"
records = "golden.parquet"
config_json = { provider_id_field = "hs_object_id", source_id = "src_1", fields = ["firstname", "lastname", "email", "phone", "company", "city", "jobtitle"] }
"#;

fn project(rows: usize) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("reverse-sync.toml"), PROJECT)?;
    write_parquet(&dir.path().join("golden.parquet"), rows)?;
    Ok(dir)
}

/// 53 records, the artefact cached.
pub(crate) fn small_plan(table: &mut Table, binary: &Path) -> anyhow::Result<()> {
    let binary = binary
        .canonicalize()
        .with_context(|| format!("{}: run `cargo xtask bench`", binary.display()))?;
    let dir = project(53)?;
    let mut times = Vec::new();
    for turn in 0..21 {
        let started = Instant::now();
        let status = Command::new(&binary)
            .args(["plan", "people", "--json"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .status()?;
        anyhow::ensure!(status.success(), "plan ended with {status}");
        if turn > 0 {
            times.push(started.elapsed());
        }
    }
    times.sort();
    let median = times[times.len() / 2];
    table.add(
        "plan of 53 records, whole process",
        format!("{:.0} ms", median.as_secs_f64() * 1e3),
        "50 ms",
        median < Duration::from_millis(50),
    );
    Ok(())
}

/// Resident memory, the highest it ever was.
pub(crate) fn memory(table: &mut Table, binary: &Path, large: bool) -> anyhow::Result<()> {
    let binary = binary.canonicalize()?;
    let sizes: &[usize] = if large { &[1_000_000, 10_000_000] } else { &[100_000, 1_000_000] };
    for rows in sizes {
        let dir = project(*rows)?;
        let started = Instant::now();
        let mut child = Command::new(&binary)
            .args(["plan", "people", "--json"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()?;
        let status_file = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        let status = loop {
            if let Ok(status) = fs::read_to_string(&status_file)
                && let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:"))
            {
                peak = peak.max(
                    line.split_whitespace()
                        .nth(1)
                        .and_then(|kb| kb.parse::<u64>().ok())
                        .unwrap_or(0),
                );
            }
            match child.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        anyhow::ensure!(status.success(), "plan ended with {status}");
        let name = format!("plan of {rows} records, peak memory");
        let took = started.elapsed().as_secs_f64();
        table.add(&name, format!("{} MB (in {took:.1} s)", peak / 1_000), "200 MB", peak < 200_000);
        let page = page_in_the_middle(&dir.path().join(".reverse-sync/plans"), *rows)?;
        let name = format!("plan of {rows} records, page of 500 changes");
        table.add(
            &name,
            format!("{:.1} ms", page.as_secs_f64() * 1e3),
            "20 ms",
            page < Duration::from_millis(20),
        );
    }
    Ok(())
}

/// How long the page of changes in the middle of the only plan takes, the median of many.
fn page_in_the_middle(plans_dir: &Path, rows: usize) -> anyhow::Result<Duration> {
    let mut plans = fs::read_dir(plans_dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<PlanId>().ok());
    let plan = plans.next().context("there is no plan")?;
    let page = |after| changes_page(plans_dir, &plan, after, 500, &ChangeFilter::default());
    let mut after = page(Some(Cursor::number(rows as u64 / 2)))?.next;
    let mut times = Vec::new();
    for _ in 0..51 {
        let started = Instant::now();
        let page = page(after)?;
        times.push(started.elapsed());
        anyhow::ensure!(page.items.len() == 500, "a page of {} changes", page.items.len());
        after = page.next;
    }
    times.sort();
    Ok(times[times.len() / 2])
}
