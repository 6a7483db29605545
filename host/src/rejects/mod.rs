//! Rejects: the golden records that were not written, with the reason of each, in a form that can
//! be fed back as input.
//!
//! Plans do not keep golden records, so the inputs are read once more, in the same order, and each
//! rejected row is written out with its columns as they were: planning the file gives what the plan
//! had for these rows, and nothing else (`rows` has how). What became of it stands in columns whose
//! names begin with `__`: those are never written, so the file can be fixed and planned as it is.
//! Nothing is held in memory but one batch: outcomes are brought into the order of the rows outside
//! it.
//!
//! ```no_run
//! use reverse_sync::{Plan, Report, rejects};
//! use std::path::Path;
//!
//! # fn keep(plan: &Plan, report: &Report) -> Result<(), rejects::RejectsError> {
//! let rejected = rejects::write(Path::new("rejects.csv"), plan, Some(&report.journal))?;
//! println!("{} records were not written", rejected.records);
//! # Ok(())
//! # }
//! ```

mod file;
mod ledger;
mod rows;

pub use rows::LeftOut;

use crate::{
    journal::JournalError,
    plan::{Plan, PlanError},
    planner::READ_ROWS,
    records::{RecordOptions, RecordSource, Records, RecordsError, bounds},
};
use arrow_array::RecordBatch;
use file::{EARLIER, Format, Output};
use jiff::tz::Offset;
use ledger::{Entry, Ledger};
use rows::Rows;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Why there are no rejects.
#[derive(Debug, thiserror::Error)]
pub enum RejectsError {
    /// The name does not say what should be in the file.
    #[error("rejects go to a .csv or a .jsonl file, not to {0}")]
    Name(PathBuf),
    /// The golden records are not to be overwritten.
    #[error("{0} holds golden records of this plan; give the rejects another name")]
    IsInput(PathBuf),
    /// The disk.
    #[error("cannot write the rejects to {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The golden records, which were read before.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The skipped rows.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The problems.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Records in the file.
    pub records: u64,
    /// Why they are there without the columns of the golden records, if so.
    pub without_columns: Option<String>,
    /// Columns of the golden records that are not in the file.
    pub left_out: Vec<LeftOut>,
}

/// Bytes of the golden records that are written at once, about.
const AT_ONCE: usize = 2 << 20;

/// Checks the file's name, before anything is done that could be rejected.
///
/// # Errors
/// If it does not say what should be in the file.
pub fn check(path: &Path) -> Result<(), RejectsError> {
    Format::of(path).map(drop)
}

/// Checks that the file is not one of the plan's golden records.
///
/// # Errors
/// If it is.
pub fn check_inputs(path: &Path, plan: &Plan) -> Result<(), RejectsError> {
    let Ok(there) = path.canonicalize() else { return Ok(()) };
    let is_there = |input: &Path| input.canonicalize().is_ok_and(|input| input == there);
    let is_input = plan.header().records.iter().any(|input| is_there(&input.path));
    if is_input { Err(RejectsError::IsInput(path.to_owned())) } else { Ok(()) }
}

/// Writes what a run of this plan did not update, or, without a journal, what the plan skips.
///
/// # Errors
/// See [`RejectsError`]. A file that is there already is replaced only by a whole one.
pub fn write(path: &Path, plan: &Plan, journal: Option<&Path>) -> Result<Rejected, RejectsError> {
    let format = Format::of(path)?;
    check_inputs(path, plan)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (output, rejected) = collect(path, format, dir, plan, journal)?;
    output.finish(path, dir).map_err(|error| RejectsError::Io { path: path.to_owned(), error })?;
    Ok(rejected)
}

/// The same as CSV, in a file without a name that stands at its start: it is in `dir` while it is
/// open, and gone when it is closed. The run may still be running: what has not ended yet is not in
/// it.
///
/// # Errors
/// See [`RejectsError`].
pub fn csv_file(
    dir: &Path,
    plan: &Plan,
    journal: Option<&Path>,
) -> Result<(File, Rejected), RejectsError> {
    let (output, rejected) = collect(dir, Format::Csv, dir, plan, journal)?;
    let file =
        output.unnamed(dir).map_err(|error| RejectsError::Io { path: dir.to_owned(), error })?;
    Ok((file, rejected))
}

/// All rejects, with temporary files in `dir`.
fn collect(
    path: &Path,
    format: Format,
    dir: &Path,
    plan: &Plan,
    journal: Option<&Path>,
) -> Result<(Output, Rejected), RejectsError> {
    let options = plan.header().destination.record_options();
    let inputs: Vec<PathBuf> =
        plan.header().records.iter().map(|input| input.path.clone()).collect();
    let failed = |error| RejectsError::Io { path: path.to_owned(), error };
    let mut rejects = Rejects {
        ledger: Ledger::collect(plan, journal, dir, failed)?,
        output: Output::create(format, options.csv, dir).map_err(failed)?,
        id: options.id_column.clone(),
        zone: zone(plan),
        path,
        at: None,
        records: 0,
    };
    let without_columns = match golden_records(plan, inputs, options) {
        Ok(mut records) => {
            rejects.with_columns(&mut records)?;
            None
        }
        Err(reason) => Some(reason),
    };
    rejects.the_rest()?;
    let Rejects { mut output, records, .. } = rejects;
    let left_out = output.left_out();
    Ok((output, Rejected { records, without_columns, left_out }))
}

/// The golden records, if they are still what was planned, or why they cannot be read again.
fn golden_records(
    plan: &Plan,
    inputs: Vec<PathBuf>,
    options: RecordOptions,
) -> Result<RecordSource, String> {
    if plan.header().undoes.is_some() {
        return Err("an undo has no golden records".to_owned());
    }
    if inputs.is_empty() {
        return Err(
            "the golden records did not come from a file, so they cannot be read again".to_owned()
        );
    }
    plan.check_records().map_err(|error| error.to_string())?;
    RecordSource::of(inputs, options).map_err(|error| error.to_string())
}

/// How far the destination's `time_zone` is ahead of UTC.
fn zone(plan: &Plan) -> Option<Offset> {
    match plan.header().destination.config_json.get("time_zone")?.as_str()? {
        "UTC" => Some(Offset::UTC),
        zone => {
            let minutes = |range: std::ops::Range<usize>| zone.get(range)?.parse::<i32>().ok();
            let ahead = minutes(1..3)? * 60 + minutes(4..6)?;
            Offset::from_seconds(if zone.starts_with('-') { -ahead } else { ahead } * 60).ok()
        }
    }
}

struct Rejects<'p> {
    ledger: Ledger,
    output: Output,
    /// The column that holds the record ids.
    id: Option<String>,
    /// What the plan took times without a zone for.
    zone: Option<Offset>,
    path: &'p Path,
    /// The entry at hand.
    at: Option<Entry>,
    records: u64,
}

impl Rejects<'_> {
    /// The entry at hand, of which something is left.
    fn entry(&mut self) -> Result<Option<&mut Entry>, RejectsError> {
        if self.at.as_ref().is_none_or(|entry| entry.rows == 0) {
            self.at = self
                .ledger
                .next()
                .map_err(|error| RejectsError::Io { path: self.path.to_owned(), error })?;
        }
        Ok(self.at.as_mut())
    }

    /// Goes through the golden records and takes out the rejected ones.
    fn with_columns(&mut self, records: &mut impl Records) -> Result<(), RejectsError> {
        let mut first = 1;
        while let Some(batch) = records.next_batch(READ_ROWS)? {
            let end = first + batch.num_rows() as u64;
            while let Some(entry) = self.entry()? {
                if entry.first_row >= end {
                    break;
                }
                let count = entry.rows.min(end - entry.first_row);
                let offset = entry.first_row.saturating_sub(first);
                self.rows(&batch.slice(offset as usize, count as usize))?;
            }
            first = end;
        }
        Ok(())
    }

    /// Writes rows that belong to the entry at hand, and takes them off it.
    fn rows(&mut self, rows: &RecordBatch) -> Result<(), RejectsError> {
        let mut from = 0;
        while from < rows.num_rows() {
            let rest = rows.slice(from, rows.num_rows() - from);
            let count = bounds::fitting(&rest, rest.num_rows(), AT_ONCE);
            let golden = Rows::of(&rest.slice(0, count), &EARLIER, self.id.as_deref(), self.zone);
            self.output.columns(&golden);
            for row in 0..golden.len() {
                self.push(Some((&golden, row)))?;
            }
            from += count;
        }
        Ok(())
    }

    /// One row of the entry at hand.
    fn push(&mut self, record: Option<(&Rows, usize)>) -> Result<(), RejectsError> {
        let Some(entry) = &mut self.at else { return Ok(()) };
        let pushed = self.output.push(record, entry);
        entry.first_row += 1;
        entry.rows = entry.rows.saturating_sub(1);
        self.records += 1;
        pushed.map_err(|error| RejectsError::Io { path: self.path.to_owned(), error })
    }

    /// What is left has no golden records beside it.
    fn the_rest(&mut self) -> Result<(), RejectsError> {
        while self.entry()?.is_some() {
            self.push(None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::sample;
    use std::io::Read;

    #[test]
    fn rejects_are_in_a_file_that_nobody_has_to_remove() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 3);
        let place = tempfile::tempdir().unwrap();
        let (mut file, rejected) = csv_file(place.path(), &plan, None).unwrap();
        assert_eq!(rejected.records, 3);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "__outcome,__row,__provider_id,__http_status,__code,__message");
        assert_eq!(
            lines[1..],
            [
                "skipped,2,,,provider_id_null,x",
                "skipped,4,,,provider_id_null,x",
                "skipped,6,,,provider_id_null,x"
            ]
        );

        let path = place.path().join("rejects.csv");
        assert_eq!(write(&path, &plan, None).unwrap(), rejected);
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "both ways give the same file");
    }
}
