//! `--rejects FILE`: what was not written, for people and for the next plan.

use reverse_sync::{
    plan::Plan,
    rejects::{self, RejectsError},
    run::Report,
};
use std::path::Path;

pub(crate) use rejects::{check, check_inputs};

/// Writes the file and says what is in it.
pub(crate) fn write(path: &Path, plan: &Plan, report: Option<&Report>) -> Result<(), RejectsError> {
    let rejected = rejects::write(path, plan, report.map(|report| report.journal.as_path()))?;
    let what = if report.is_some() { "that were not updated" } else { "that would be skipped" };
    eprintln!("{} records {what} are in {}", rejected.records, path.display());
    if let Some(reason) = rejected.without_columns {
        eprintln!("they are there without the columns of the golden records: {reason}");
    }
    Ok(())
}
