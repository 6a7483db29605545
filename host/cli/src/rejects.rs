//! `--rejects FILE`: what was not written, for people and for the next plan.

use crate::terminal;
use reverse_sync::{
    plan::Plan,
    rejects::{self, LeftOut, RejectsError},
    run::Report,
};
use serde::Serialize;
use std::path::Path;

pub(crate) use rejects::{check, check_inputs};

/// A file of rejects, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    file: String,
    records: u64,
    /// Why the columns of the golden records are not in it, if so.
    without_columns: Option<String>,
    /// Columns that are not in it, because they are never written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// Writes the file, if one was asked for, and says what is in it.
pub(crate) fn write(
    path: Option<&Path>,
    plan: &Plan,
    report: Option<&Report>,
) -> Result<Option<Written>, RejectsError> {
    let Some(path) = path else { return Ok(None) };
    let rejected = rejects::write(path, plan, report.map(|report| report.journal.as_path()))?;
    let what = if report.is_some() { "that were not updated" } else { "that would be skipped" };
    terminal::say(format_args!("{} records {what} are in {}", rejected.records, path.display()));
    if let Some(reason) = &rejected.without_columns {
        terminal::say(format_args!(
            "they are there without the columns of the golden records: {reason}"
        ));
    }
    if !rejected.left_out.is_empty() {
        let are = if rejected.left_out.len() == 1 { "is" } else { "are" };
        terminal::say(format_args!(
            "without {}, which {are} never written",
            listed(&rejected.left_out)
        ));
    }
    Ok(Some(Written {
        file: path.display().to_string(),
        records: rejected.records,
        without_columns: rejected.without_columns,
        left_out: rejected.left_out.into_iter().map(|column| column.name).collect(),
    }))
}

/// Columns that are named; of more it is said how many they are.
const SHOWN: usize = 8;

/// Columns with their types.
fn listed(columns: &[LeftOut]) -> String {
    let shown: Vec<String> = columns
        .iter()
        .take(SHOWN)
        .map(|column| format!("`{}` ({})", column.name, column.kind))
        .collect();
    match columns.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more columns", shown.join(", ")),
    }
}
