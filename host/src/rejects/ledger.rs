//! What became of the rejected rows, in the order of the rows. A journal has its problems in the
//! order of time, a plan its skipped rows in the order of planning; both may be larger than memory,
//! so they are sorted outside it.

use super::RejectsError;
use crate::{
    journal::{self, Ending},
    plan::{ExternalSort, Plan, Sorted},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

/// Keys sorted in memory: 4 MiB.
const RUN: usize = 1 << 18;

/// Consecutive rows that share a fate. No row is in two of them: each golden record ends in one
/// outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) first_row: u64,
    pub(super) rows: u64,
    pub(super) outcome: Outcome,
    pub(super) provider_id: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Failed,
    Drifted,
    Unknown,
    Skipped,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::Failed => "failed",
            Outcome::Drifted => "drifted",
            Outcome::Unknown => "unknown",
            Outcome::Skipped => "skipped",
        }
    }
}

/// Entries in ascending order of row.
pub(super) struct Ledger {
    sorted: Sorted<16>,
    entries: BufReader<File>,
    /// Where the reader stands.
    at: u64,
}

struct Draft {
    keys: ExternalSort<16>,
    entries: BufWriter<File>,
    at: u64,
}

impl Draft {
    fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&entry.first_row.to_be_bytes());
        key[8..].copy_from_slice(&self.at.to_be_bytes());
        self.keys.push(key)?;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.at += line.len() as u64;
        self.entries.write_all(&line)
    }
}

impl Ledger {
    /// Collects the skipped rows of a plan and the problems of a run. Temporary files are in `dir`.
    pub(super) fn collect(
        plan: &Plan,
        journal: Option<&Path>,
        dir: &Path,
        failed: impl Fn(io::Error) -> RejectsError,
    ) -> Result<Ledger, RejectsError> {
        let entries =
            BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(dir).map_err(&failed)?);
        let mut draft = Draft { keys: ExternalSort::new(dir, RUN), entries, at: 0 };
        for rows in plan.skipped_rows()? {
            let rows = rows?;
            let entry = Entry {
                first_row: rows.first_row,
                rows: rows.rows,
                outcome: Outcome::Skipped,
                provider_id: None,
                status: None,
                code: rows.reason,
                message: rows.detail.unwrap_or_default(),
            };
            draft.add(&entry).map_err(&failed)?;
        }
        if let Some(journal) = journal {
            let mut added = Ok(());
            journal::read(journal, |ending, problem| {
                if added.is_err() {
                    return;
                }
                let outcome = match ending {
                    Ending::Failed => Outcome::Failed,
                    Ending::Drifted => Outcome::Drifted,
                    Ending::Unknown => Outcome::Unknown,
                };
                added = draft.add(&Entry {
                    first_row: problem.row,
                    rows: 1,
                    outcome,
                    provider_id: Some(problem.provider_id),
                    status: problem.status,
                    code: problem.code,
                    message: problem.message,
                });
            })?;
            added.map_err(&failed)?;
        }
        draft.finish().map_err(failed)
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(key) = self.sorted.next()? else { return Ok(None) };
        let mut offset = [0; 8];
        offset.copy_from_slice(&key[8..]);
        let offset = u64::from_be_bytes(offset);
        if offset != self.at {
            self.entries.seek(SeekFrom::Start(offset))?;
        }
        let mut line = Vec::new();
        self.at = offset + self.entries.read_until(b'\n', &mut line)? as u64;
        Ok(Some(serde_json::from_slice(&line)?))
    }
}

impl Draft {
    fn finish(self) -> io::Result<Ledger> {
        let mut entries = self.entries.into_inner().map_err(|error| error.into_error())?;
        entries.rewind()?;
        Ok(Ledger { sorted: self.keys.sorted()?, entries: BufReader::new(entries), at: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_their_rows() {
        let dir = tempfile::tempdir().unwrap();
        let entries = BufWriter::new(tempfile::tempfile_in(dir.path()).unwrap());
        let mut draft = Draft { keys: ExternalSort::new(dir.path(), 2), entries, at: 0 };
        let rows = [7, 3, 900, 1, 40, 41, 2];
        for row in rows {
            let entry = Entry {
                first_row: row,
                rows: 1,
                outcome: Outcome::Failed,
                provider_id: None,
                status: Some(400),
                code: "x".repeat(row as usize),
                message: "line\nbreak".to_owned(),
            };
            draft.add(&entry).unwrap();
        }
        let mut ledger = draft.finish().unwrap();
        let mut seen = Vec::new();
        while let Some(entry) = ledger.next().unwrap() {
            assert_eq!(entry.code.len() as u64, entry.first_row);
            seen.push(entry.first_row);
        }
        assert_eq!(seen, [1, 2, 3, 7, 40, 41, 900]);
    }
}
