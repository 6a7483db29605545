//! Which runs there are: their names, and the files that their journals are in.

use super::{
    JournalError,
    lines::{Past, scan},
};
use crate::ids::{PlanId, RunId};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Runs of a plan, oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub fn runs_of(runs_dir: &Path, plan: &PlanId) -> io::Result<Vec<(RunId, PathBuf)>> {
    let prefix = RunId::prefix(plan);
    let mut runs = runs(runs_dir)?;
    runs.retain(|(run_id, _)| run_id.as_str().rsplit_once('_').is_some_and(|(of, _)| of == prefix));
    runs.sort_by_key(|(run_id, _)| run_id.number());
    Ok(runs)
}

/// The largest number that a run of a plan has here; 0 if there is none.
///
/// # Errors
/// If the folder cannot be read.
pub fn last_number(runs_dir: &Path, plan: &PlanId) -> io::Result<u64> {
    Ok(runs_of(runs_dir, plan)?.last().map_or(0, |(run_id, _)| run_id.number()))
}

/// The run that a plan continues with: its last one if that has not finished, else the next.
///
/// # Errors
/// If the folder or the last journal cannot be read.
pub fn next_run(runs_dir: &Path, plan: &PlanId) -> Result<RunId, JournalError> {
    let runs = runs_of(runs_dir, plan)
        .map_err(|error| JournalError::Io { path: runs_dir.to_owned(), error })?;
    match runs.last() {
        Some((run_id, path)) if !scan(path, |_, _| {})?.finished => Ok(run_id.clone()),
        last => Ok(RunId::new(plan, last.map_or(0, |(run_id, _)| run_id.number()) + 1)),
    }
}

/// All runs that are kept, in the order of their ids.
///
/// # Errors
/// If the folder cannot be read.
pub fn runs(runs_dir: &Path) -> io::Result<Vec<(RunId, PathBuf)>> {
    let entries = match fs::read_dir(runs_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl"));
        if let Some(Ok(run_id)) = name.map(str::parse) {
            runs.push((run_id, path));
        }
    }
    runs.sort();
    Ok(runs)
}

/// What the journal of a run says, up to where it may be damaged. Nobody may be writing it.
///
/// # Errors
/// If there is no such run, it is still running, or its journal cannot be read.
pub fn read_run(runs_dir: &Path, run_id: &RunId) -> Result<Past, JournalError> {
    let path = file(runs_dir, run_id);
    let handle = match File::open(&path) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::Unknown(run_id.clone()));
        }
        Err(error) => return Err(JournalError::Io { path, error }),
    };
    match handle.try_lock_shared() {
        Ok(()) => scan(&path, |_, _| {}),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::Busy(run_id.clone())),
        Err(fs::TryLockError::Error(error)) => Err(JournalError::Io { path, error }),
    }
}

/// Where the journal of a run is.
pub fn file(runs_dir: &Path, run_id: &RunId) -> PathBuf {
    runs_dir.join(format!("{run_id}.jsonl"))
}

/// Whether some process holds a journal.
pub fn is_held(file: &Path) -> bool {
    // One that is not there, or cannot be opened, is held by nobody who could write to it.
    File::open(file).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_no_path() {
        assert_eq!("run_0123456789ab_12".parse::<RunId>().unwrap().as_str(), "run_0123456789ab_12");
        for bad in [
            "",
            "run_",
            "run_0123456789ab",
            "run_0123456789ab_",
            "run_0123456789AB_1",
            "run_../../../etc_1",
            "run_0123456789ab_1/x",
            "plan_1",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
