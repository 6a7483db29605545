//! The command as a whole process: time and memory as the operating system sees them.

use crate::{
    golden::{self, write_parquet},
    spent,
    table::{Table, Target},
};
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
base_url = "BASE_URL"
access_token = { env = "HUBSPOT_TOKEN" }

[destinations.people]
destination_type = "hubspot_dest"
entity_type = "person"
records = "golden.*"
config_json = { provider_id_field = "hs_object_id", source_id = "src_1", fields = ["firstname", "lastname", "email", "phone", "company", "city", "jobtitle"] }
"#;

/// What the golden records are in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Csv,
    Parquet,
}

impl Format {
    pub(crate) fn file(self) -> &'static str {
        match self {
            Format::Csv => "golden.csv",
            Format::Parquet => "golden.parquet",
        }
    }
}

/// A project folder that needs no CRM.
pub(crate) fn project(rows: usize, format: Format) -> anyhow::Result<tempfile::TempDir> {
    project_at(rows, format, "http://127.0.0.1:9")
}

pub(crate) fn project_at(
    rows: usize,
    format: Format,
    base_url: &str,
) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("reverse-sync.toml"), PROJECT.replace("BASE_URL", base_url))?;
    let file = dir.path().join(format.file());
    match format {
        Format::Csv => fs::write(file, golden::csv(rows)?)?,
        Format::Parquet => write_parquet(&file, rows)?,
    }
    Ok(dir)
}

/// 53 records, the artefact cached.
pub(crate) fn small_plan(table: &mut Table, binary: &Path) -> anyhow::Result<()> {
    let binary = binary
        .canonicalize()
        .with_context(|| format!("{}: run `cargo xtask bench`", binary.display()))?;
    let dir = project(53, Format::Parquet)?;
    let plan = || {
        spent::command(
            Command::new(&binary)
                .args(["plan", "people", "--offline", "--json"])
                .current_dir(dir.path()),
        )
    };
    plan()?;
    let times = (0..21).map(|_| Ok(plan()?.wall * 1e3)).collect::<anyhow::Result<Vec<f64>>>()?;
    table.add("plan of 53 records, whole process", "ms", &times, Target::AtMost(50.0));
    let size = fs::metadata(&binary)?.len() as f64 / 1e6;
    table.add("the binary", "MB", &[size], Target::AtMost(35.0));
    Ok(())
}

/// Resident memory, the highest it ever was.
pub(crate) fn memory(table: &mut Table, binary: &Path, large: bool) -> anyhow::Result<()> {
    let binary = binary.canonicalize()?;
    let sizes: &[usize] = if large { &[1_000_000, 10_000_000] } else { &[100_000, 1_000_000] };
    for rows in sizes {
        let dir = project(*rows, Format::Parquet)?;
        let started = Instant::now();
        let mut child = Command::new(&binary)
            .args(["plan", "people", "--offline", "--json"])
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
        let name = format!("plan of {rows} records");
        table.add(&format!("{name}: time"), "s", &[started.elapsed().as_secs_f64()], Target::None);
        let peak = peak as f64 / 1e3;
        table.add(&format!("{name}: peak memory"), "MB", &[peak], Target::AtMost(100.0));
        let pages = pages_in_the_middle(&dir.path().join(".reverse-sync/plans"), *rows)?;
        table.add(&format!("{name}: page of 500 changes"), "ms", &pages, Target::AtMost(20.0));
    }
    Ok(())
}

/// How long pages of changes in the middle of the only plan take, in milliseconds.
fn pages_in_the_middle(plans_dir: &Path, rows: usize) -> anyhow::Result<Vec<f64>> {
    let mut plans = fs::read_dir(plans_dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<PlanId>().ok());
    let plan = plans.next().context("there is no plan")?;
    let page = |after| changes_page(plans_dir, &plan, after, 500, &ChangeFilter::default());
    let mut after = page(Some(Cursor::number(rows as u64 / 2)))?.next;
    let mut times = Vec::new();
    for _ in 0..51 {
        let started = Instant::now();
        let page = page(after)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(page.items.len() == 500, "a page of {} changes", page.items.len());
        after = page.next;
    }
    Ok(times)
}
