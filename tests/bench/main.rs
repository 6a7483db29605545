//! The benchmarks. Each figure stands beside what it is measured against, in the same run, as a
//! ratio.
//!
//! `cargo xtask bench` builds everything in release and runs this.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod anchors;
mod comparing;
mod golden;
mod instructions;
mod native;
mod null_crm;
mod planning;
mod process;
mod running;
mod service;
mod spent;
mod table;

use clap::Parser;
use null_crm::Reading;
use std::{path::PathBuf, time::Duration};
use table::Table;

#[derive(Parser)]
struct Options {
    /// Ten million records instead of one for the largest plan (needs some 8 GB of disk)
    #[arg(long)]
    large: bool,
    /// Only the benchmarks whose name has this in it
    #[arg(long)]
    only: Option<String>,
    /// The release binary
    #[arg(long, env = "REVERSE_SYNC_BIN", default_value = "target/release/reverse-sync")]
    binary: PathBuf,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Stand each figure beside that of an earlier run, from the file that it wrote
    #[arg(long)]
    against: Option<PathBuf>,
    /// Fail if a target is missed
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    let mut table = Table::new(options.against.as_deref())?;
    if wanted("run") {
        running::against_native(&mut table, Duration::ZERO, Reading::Parses, 1_000_000)?;
        running::against_native(&mut table, Duration::ZERO, Reading::Skims, 1_000_000)?;
        running::against_native(&mut table, Duration::from_millis(50), Reading::Parses, 40_000)?;
        running::calls(&mut table)?;
    }
    if wanted("bulk") {
        running::bulk(&mut table, Duration::ZERO, 50_000)?;
        running::bulk(&mut table, Duration::from_millis(50), 2_000)?;
    }
    if wanted("plan") {
        planning::speed(&mut table)?;
    }
    if wanted("compare") {
        comparing::cost(&mut table)?;
    }
    if wanted("process") {
        process::small_plan(&mut table, &options.binary)?;
        process::memory(&mut table, &options.binary, options.large)?;
    }
    if wanted("service") {
        service::dry_runs(&mut table, &options.binary)?;
        service::page(&mut table, &options.binary, options.large)?;
    }
    if wanted("component") {
        planning::component(&mut table)?;
    }
    if wanted("anchors") {
        anchors::plans(&mut table, &options.binary)?;
    }
    if wanted("instructions") {
        instructions::count(&mut table, &options.binary)?;
    }
    if let Some(file) = &options.json {
        table.write(file)?;
    }
    print!("{table}");
    anyhow::ensure!(!options.check || table.all_met(), "a target is missed");
    Ok(())
}
