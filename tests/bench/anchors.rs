//! What others need for the same file: the readers that ours stand on, and two databases.

use crate::{
    process::{Format, project},
    spent::{self, Clock, Spent},
    table::{Table, Target},
};
use arrow_csv::ReaderBuilder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicU64},
};

const ROWS: usize = 1_000_000;
const TURNS: usize = 5;
const BATCH: usize = 4_096;

/// Reads a Parquet file and writes a line of JSON for each row, as a plan does, on one core.
const DUCKDB: &str = "import duckdb, sys; c = duckdb.connect(); c.execute('SET threads=1'); c.execute(f\"COPY (SELECT hs_object_id, to_json({{firstname: firstname, lastname: lastname, email: email, phone: phone, company: company, city: city, jobtitle: jobtitle}}) AS fields FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT json)\")";
const POLARS: &str = "import os, sys; os.environ['POLARS_MAX_THREADS'] = '1'; import polars; polars.scan_parquet(sys.argv[1]).sink_ndjson(sys.argv[2])";
const PACKAGES: [&str; 2] = ["duckdb==2.0.1", "polars==2.1.0"];

/// A plan as a whole process beside all of them.
pub(crate) fn plans(table: &mut Table, binary: &Path) -> anyhow::Result<()> {
    let binary = binary.canonicalize()?;
    let python = python()
        .inspect_err(|error| eprintln!("DuckDB and Polars are NOT MEASURED: {error:#}"))
        .ok();
    for format in [Format::Csv, Format::Parquet] {
        let dir = project(ROWS, format)?;
        let file = dir.path().join(format.file());
        let (mut plan, mut reader, mut duckdb, mut polars) = (vec![], vec![], vec![], vec![]);
        for _ in 0..TURNS {
            let state = dir.path().join(".reverse-sync");
            let _ = fs::remove_dir_all(&state);
            plan.push(spent::command(
                Command::new(&binary)
                    .args(["plan", "people", "--offline", "--json"])
                    .current_dir(dir.path()),
            )?);
            reader.push(read(&file, format)?);
            if let (Format::Parquet, Some(python)) = (format, &python) {
                let out = dir.path().join("out.ndjson");
                for (script, spent) in [(DUCKDB, &mut duckdb), (POLARS, &mut polars)] {
                    spent.push(spent::command(
                        Command::new(python).args(["-c", script]).args([&file, &out]),
                    )?);
                }
            }
        }
        let (name, reading, goal) = match format {
            Format::Csv => ("CSV", "arrow-csv", 1.5e6),
            Format::Parquet => ("Parquet", "parquet-rs", 2e6),
        };
        rates(
            table,
            &format!("plan from {name}, whole process, {ROWS} x 8 columns"),
            &plan,
            Target::AtLeast(goal),
        );
        rates(table, &format!("{reading} alone, the same file"), &reader, Target::None);
        rates(table, "DuckDB, the same file to NDJSON, one thread", &duckdb, Target::None);
        rates(table, "Polars, the same file to NDJSON, one thread", &polars, Target::None);
    }
    Ok(())
}

/// Records in a second, and a second of processor time.
fn rates(table: &mut Table, name: &str, spent: &[Spent], target: Target) {
    if spent.is_empty() {
        return;
    }
    let rate = |seconds: fn(&Spent) -> f64| {
        spent.iter().map(|spent| ROWS as f64 / seconds(spent)).collect::<Vec<_>>()
    };
    table.add(name, "records/s", &rate(|spent| spent.wall), target);
    table.add(
        &format!("{name}: processor"),
        "records/s",
        &rate(|spent| spent.processor),
        Target::None,
    );
}

fn read(file: &Path, format: Format) -> anyhow::Result<Spent> {
    let nobody = AtomicU64::new(0);
    let clock = Clock::start(&nobody);
    let file = File::open(file)?;
    let rows: usize = match format {
        Format::Csv => {
            let schema = Arc::new(crate::golden::batch(0, 0, false)?.schema().as_ref().clone());
            let reader =
                ReaderBuilder::new(schema).with_header(true).with_batch_size(BATCH).build(file)?;
            reader.map(|batch| Ok(batch?.num_rows())).sum::<anyhow::Result<_>>()?
        }
        Format::Parquet => {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH).build()?;
            reader.map(|batch| Ok(batch?.num_rows())).sum::<anyhow::Result<_>>()?
        }
    };
    anyhow::ensure!(rows == ROWS, "{rows} rows");
    Ok(clock.stop())
}

/// Python with both, in an environment of its own in the target folder.
fn python() -> anyhow::Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let dir = target.join("bench-python");
    let python = dir.join("bin/python");
    let has_both = || {
        Command::new(&python)
            .args(["-c", "import duckdb, polars"])
            .status()
            .is_ok_and(|status| status.success())
    };
    if !has_both() {
        spent::command(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
        spent::command(
            Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES),
        )?;
    }
    Ok(fs::canonicalize(dir)?.join("bin/python"))
}
