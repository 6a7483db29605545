//! The lines of a journal: how they are written, and what a file of them says.

use super::{
    Counts, Ending, JournalError, Outcomes, Problem, RunId,
    ranges::{Ranges, runs},
};
use crate::{account::Account, plan::PlanId};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Started(Started),
    /// The account that an attempt was held to, before it began.
    Account(Account),
    /// Changes below this number may have been handed out.
    HandedOut(u64),
    /// First and last number of changes.
    Updated(Vec<(u64, u64)>),
    Unchanged(Vec<(u64, u64)>),
    Failed(Problem),
    Drifted(Problem),
    Unknown(Problem),
    Remembered(Note),
    /// The process ended in order: whatever was handed out has its outcome.
    Settled,
    Finished(Counts),
}

/// What a component wanted a later attempt to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its own words.
    pub text: String,
    /// The jobs of this run that it names.
    pub jobs: Vec<String>,
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) format: u32,
    pub(super) run_id: RunId,
    pub(super) plan_id: PlanId,
    pub(super) started_at: String,
}

/// What a journal says happened.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Changes that have an outcome.
    pub done: Ranges,
    /// Those of them that were written.
    pub updated: Ranges,
    /// Those that may have been written.
    pub unknown: Ranges,
    /// Changes below this number that have no outcome may have been sent.
    pub handed_out: u64,
    /// How they ended.
    pub counts: Counts,
    /// What the component has remembered, oldest first.
    pub notes: Vec<Note>,
    /// The account that an attempt was held to.
    pub account: Option<Account>,
    /// Whether the run came to its end.
    pub finished: bool,
    /// When it began.
    pub started_at: String,
    /// Its plan, as its first line says.
    pub plan_id: Option<PlanId>,
    /// Bytes up to the end of the last line that can be read.
    pub(super) whole: u64,
}

pub(super) fn write_line(to: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

pub(super) fn write_outcomes(to: &mut Vec<u8>, outcomes: Outcomes, counts: &mut Counts) -> io::Result<()> {
    counts.updated += outcomes.updated.len() as u64;
    counts.unchanged += outcomes.unchanged.len() as u64;
    if !outcomes.updated.is_empty() {
        write_line(to, &Line::Updated(runs(outcomes.updated)))?;
    }
    if !outcomes.unchanged.is_empty() {
        write_line(to, &Line::Unchanged(runs(outcomes.unchanged)))?;
    }
    for (ending, problem) in outcomes.problems {
        let line = match ending {
            Ending::Failed => {
                counts.failed += 1;
                Line::Failed(problem)
            }
            Ending::Drifted => {
                counts.drifted += 1;
                Line::Drifted(problem)
            }
            Ending::Unknown => {
                counts.unknown += 1;
                Line::Unknown(problem)
            }
        };
        write_line(to, &line)?;
    }
    Ok(())
}

/// Reads a journal from the start; `problem` sees every problem in it.
pub(super) fn read_past(path: &Path, mut problem: impl FnMut(Ending, Problem)) -> Result<Past, JournalError> {
    let io_error = |error| JournalError::Io { path: path.to_owned(), error };
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(io_error)?);
    let mut past = Past::default();
    let mut text = Vec::new();
    let mut number = 0;
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(io_error)? == 0 {
            return Ok(past);
        }
        number += 1;
        if text.last() != Some(&b'\n') {
            // Torn by a crash while it was written: nobody was told of it.
            return Ok(past);
        }
        let line = match serde_json::from_slice(&text) {
            Ok(line) => line,
            Err(error) => {
                // After a power failure the end of a file may be there without its contents.
                let rest_is_torn = text.iter().all(|b| *b == 0) || reader.fill_buf().map_err(io_error)?.is_empty();
                if rest_is_torn {
                    return Ok(past);
                }
                return Err(JournalError::Damaged { path: path.to_owned(), line: number, error: error.to_string() });
            }
        };
        past.whole += text.len() as u64;
        match line {
            Line::Started(started) => (past.started_at, past.plan_id) = (started.started_at, Some(started.plan_id)),
            Line::Account(account) => past.account = Some(account),
            Line::HandedOut(mark) => past.handed_out = past.handed_out.max(mark),
            Line::Updated(ranges) => {
                past.counts.updated += add(&mut past.done, ranges.clone());
                add(&mut past.updated, ranges);
            }
            Line::Unchanged(ranges) => past.counts.unchanged += add(&mut past.done, ranges),
            Line::Failed(found) => {
                past.counts.failed += 1;
                past.done.add(found.change, found.change);
                problem(Ending::Failed, found);
            }
            Line::Drifted(found) => {
                past.counts.drifted += 1;
                past.done.add(found.change, found.change);
                problem(Ending::Drifted, found);
            }
            Line::Unknown(found) => {
                past.counts.unknown += 1;
                past.done.add(found.change, found.change);
                past.unknown.add(found.change, found.change);
                problem(Ending::Unknown, found);
            }
            Line::Remembered(note) => past.notes.push(note),
            Line::Settled => past.handed_out = 0,
            Line::Finished(_) => past.finished = true,
        }
    }
}

fn add(done: &mut Ranges, ranges: Vec<(u64, u64)>) -> u64 {
    let mut count = 0;
    for (first, last) in ranges {
        done.add(first, last);
        count += last + 1 - first;
    }
    count
}

/// What a run's journal says, and every problem in it.
///
/// # Errors
/// If it cannot be read or is damaged.
pub fn read(path: &Path, problem: impl FnMut(Ending, Problem)) -> Result<Past, JournalError> {
    read_past(path, problem)
}
