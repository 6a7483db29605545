//! Failed, unknown and skipped records to a file, for people and for the next tool.

use anyhow::{Context, bail};
use reverse_sync::{
    journal::{self, Ending},
    plan::Plan,
    run::Report,
};
use serde::Serialize;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

#[derive(Serialize)]
struct Reject<'a> {
    outcome: &'a str,
    row: u64,
    provider_id: Option<&'a str>,
    status: Option<u16>,
    code: &'a str,
    message: &'a str,
}

enum Sink {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    JsonLines(BufWriter<File>),
}

impl Sink {
    fn create(path: &Path) -> anyhow::Result<Sink> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let create = || File::create(path).map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()));
        match ending {
            "csv" => Ok(Sink::Csv(Box::new(csv::Writer::from_writer(create()?)))),
            "jsonl" | "ndjson" => Ok(Sink::JsonLines(create()?)),
            _ => bail!("--rejects {}: the name has to end in .csv or .jsonl", path.display()),
        }
    }

    fn write(&mut self, reject: &Reject<'_>) -> anyhow::Result<()> {
        match self {
            Sink::Csv(writer) => writer.serialize(reject)?,
            Sink::JsonLines(writer) => {
                serde_json::to_writer(&mut *writer, reject)?;
                writer.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Sink::Csv(mut writer) => writer.flush()?,
            Sink::JsonLines(mut writer) => writer.flush()?,
        }
        Ok(())
    }
}

/// Checks the file name before anything is sent.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv" | "jsonl" | "ndjson") => Ok(()),
        _ => bail!("--rejects {}: the name has to end in .csv or .jsonl", path.display()),
    }
}

/// Writes what was not updated. How many lines that are.
pub(crate) fn write(path: &Path, plan: &Plan, report: &Report) -> anyhow::Result<u64> {
    let mut sink = Sink::create(path)?;
    let mut lines = 0;
    let mut failed = Ok(());
    journal::read(&report.journal, |ending, problem| {
        let outcome = match ending {
            Ending::Failed => "failed",
            Ending::Drifted => "drifted",
            Ending::Unknown => "unknown",
        };
        lines += 1;
        if failed.is_ok() {
            let reject = Reject {
                outcome,
                row: problem.row,
                provider_id: Some(&problem.provider_id),
                status: problem.status,
                code: &problem.code,
                message: &problem.message,
            };
            failed = sink.write(&reject);
        }
    })?;
    failed?;
    for rows in plan.skipped_rows()? {
        let rows = rows?;
        for row in rows.first_row..rows.first_row + rows.rows {
            lines += 1;
            let message = rows.detail.as_deref().unwrap_or_default();
            sink.write(&Reject { outcome: "skipped", row, provider_id: None, status: None, code: &rows.reason, message })?;
        }
    }
    sink.finish()?;
    Ok(lines)
}
