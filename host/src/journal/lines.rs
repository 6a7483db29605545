//! The lines of a journal: how they are written, and what a file of them says.
//!
//! Each line is a JSON object whose last member, `sum`, is a checksum of the line and of all lines
//! before it. So a line that is changed, lost or moved shows at its place, and what stands behind
//! it is not believed.

use super::{
    Counts, Ending, JournalError, Outcomes, Problem, RunId,
    ranges::{Ranges, runs},
};
use crate::ids::{Account, PlanId};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    str::FromStr,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What this version writes and reads.
pub(super) const FORMAT: u32 = 2;
/// Before the 16 digits of a line's checksum.
const SUM: &[u8] = b",\"sum\":\"";
/// Behind them.
const END: &[u8] = b"\"}\n";
const DIGITS: usize = 16;
/// No plan has this many changes, so a larger number is invalid.
const MAX_CHANGES: u64 = 1 << 48;

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
    /// What stood here could not be read: every change without an outcome may have been handed out.
    Doubted {},
    /// The process ended in order: whatever was handed out has its outcome.
    Settled {},
    Finished(Counts),
}

impl Line {
    /// Whether what it says of changes can be.
    fn is_possible(&self) -> bool {
        match self {
            Line::Updated(ranges) | Line::Unchanged(ranges) => {
                ranges.iter().all(|(first, last)| first <= last && *last < MAX_CHANGES)
            }
            Line::Failed(problem) | Line::Drifted(problem) | Line::Unknown(problem) => {
                problem.change < MAX_CHANGES
            }
            _ => true,
        }
    }
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
    pub(super) journal_id: JournalId,
    pub(super) run_id: RunId,
    pub(super) plan_id: PlanId,
    pub(super) started_at: String,
}

/// Names a journal, whatever its file is called: 32 random hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalId(String);

impl JournalId {
    /// One that no other journal has.
    pub fn random() -> JournalId {
        let bytes: [u8; 16] = rand::random();
        JournalId(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JournalId {
    type Err = String;

    fn from_str(text: &str) -> Result<JournalId, String> {
        let fits = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits {
            Ok(JournalId(text.to_owned()))
        } else {
            Err("a journal id has 32 hexadecimal digits".to_owned())
        }
    }
}

/// Where a journal cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first line that is not what was written, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
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
    /// Changes below this number that have no outcome may have been sent; `u64::MAX` if any may.
    pub handed_out: u64,
    /// How they ended.
    pub counts: Counts,
    /// What the component has remembered, oldest first.
    pub notes: Vec<Note>,
    /// The account that an attempt was held to.
    pub account: Option<Account>,
    /// Whether the run ended.
    pub finished: bool,
    /// When it began.
    pub started_at: String,
    /// Its plan, as its first line says.
    pub plan_id: Option<PlanId>,
    /// Its name, as its first line says.
    pub journal_id: Option<JournalId>,
    /// Where it cannot be read any further. Everything above is what stands before that, so counts
    /// may be too low.
    pub damage: Option<Damage>,
    /// Bytes up to the end of the last line that can be read.
    pub(super) whole: u64,
    /// The checksum of that line.
    pub(super) sum: u64,
}

impl Past {
    /// Changes that may have been written though nothing says so: those that an attempt left in
    /// doubt, of `writable`.
    pub fn in_doubt(&self, writable: u64) -> Ranges {
        let end = if self.damage.is_some() { writable } else { self.handed_out.min(writable) };
        self.done.gaps_below(end)
    }
}

/// Writes lines, each with its checksum. Nothing is written of a line that cannot be.
pub(super) struct Lines {
    sum: u64,
}

impl Lines {
    /// Behind a line that has this checksum; 0 if it is the first.
    pub(super) fn after(sum: u64) -> Lines {
        Lines { sum }
    }

    pub(super) fn write(&mut self, to: &mut Vec<u8>, line: &Line) -> io::Result<()> {
        let start = to.len();
        serde_json::to_writer(&mut *to, line)?;
        // The brace that closes it follows the checksum.
        to.pop();
        self.seal(to, start)
    }

    /// Puts a line's checksum behind it.
    fn seal(&mut self, to: &mut Vec<u8>, start: usize) -> io::Result<()> {
        self.sum = xxh3_64_with_seed(&to[start..], self.sum);
        to.extend_from_slice(SUM);
        write!(to, "{:0DIGITS$x}", self.sum)?;
        to.extend_from_slice(END);
        Ok(())
    }

    /// A line that is any text, without the brace that closes it; its checksum.
    #[cfg(fuzzing)]
    pub(super) fn write_raw(&mut self, to: &mut Vec<u8>, line: &[u8]) -> u64 {
        let start = to.len();
        to.extend_from_slice(line);
        self.seal(to, start).unwrap_or_else(|error| panic!("{error}"));
        self.sum
    }

    pub(super) fn write_outcomes(
        &mut self,
        to: &mut Vec<u8>,
        outcomes: Outcomes,
        counts: &mut Counts,
    ) -> io::Result<()> {
        counts.updated += outcomes.updated.len() as u64;
        counts.unchanged += outcomes.unchanged.len() as u64;
        if !outcomes.updated.is_empty() {
            self.write(to, &Line::Updated(runs(outcomes.updated)))?;
        }
        if !outcomes.unchanged.is_empty() {
            self.write(to, &Line::Unchanged(runs(outcomes.unchanged)))?;
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
            self.write(to, &line)?;
        }
        Ok(())
    }
}

/// The text of a line without its checksum, if that is right.
fn checked(text: &mut Vec<u8>, before: u64) -> Result<u64, &'static str> {
    let length = text.len().checked_sub(SUM.len() + DIGITS + END.len()).ok_or("it is too short")?;
    let (line, rest) = text.split_at(length);
    let digits = rest
        .strip_prefix(SUM)
        .and_then(|rest| rest.strip_suffix(END))
        .and_then(|digits| str::from_utf8(digits).ok());
    // A sign is taken for part of a number, and capital letters are not what is written.
    let digits = digits
        .filter(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    let sum = digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or("it has no checksum")?;
    if sum != xxh3_64_with_seed(line, before) {
        return Err("its checksum is wrong: it was changed, or lines before it are missing");
    }
    text.truncate(length);
    text.push(b'}');
    Ok(sum)
}

/// What a line says that this version does not read, of a file that another version has written.
#[derive(Deserialize)]
struct Unread {
    started: Option<UnreadFormat>,
}

#[derive(Deserialize)]
struct UnreadFormat {
    format: u32,
}

/// Reads a journal from the start, up to its end or to where it is damaged; `problem` sees every
/// problem in it.
pub(super) fn scan(
    path: &Path,
    problem: impl FnMut(Ending, Problem),
) -> Result<Past, JournalError> {
    let file =
        File::open(path).map_err(|error| JournalError::Io { path: path.to_owned(), error })?;
    scan_lines(BufReader::with_capacity(1 << 18, file), path, problem)
}

/// [`scan`], of a journal that is open.
pub(super) fn scan_lines(
    mut reader: impl BufRead,
    path: &Path,
    mut problem: impl FnMut(Ending, Problem),
) -> Result<Past, JournalError> {
    let io_error = |error| JournalError::Io { path: path.to_owned(), error };
    let mut past = Past::default();
    let mut text = Vec::new();
    let mut number = 0;
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(io_error)? == 0 {
            return Ok(past);
        }
        number += 1;
        // After a power failure the end of a file may be there without its contents.
        if text.last() != Some(&b'\n') {
            // Torn by a crash while it was written: nobody was told of it.
            return Ok(past);
        }
        let length = text.len() as u64;
        let format = |text: &[u8]| {
            serde_json::from_slice::<Unread>(text).ok()?.started.map(|started| started.format)
        };
        match checked(&mut text, past.sum) {
            Ok(sum) => past.sum = sum,
            Err(error) => {
                // Lines of the first version have no checksums.
                if let (1, Some(format)) =
                    (number, format(&text).filter(|format| *format != FORMAT))
                {
                    return Err(JournalError::Format { path: path.to_owned(), format });
                }
                past.damage = Some(Damage { line: number, error: error.to_owned() });
                return Ok(past);
            }
        }
        let line = match serde_json::from_slice(&text) {
            Ok(line) => line,
            // It is what was written, so somebody else's words are in it.
            Err(error) => {
                return Err(match format(&text) {
                    Some(format) if format != FORMAT => {
                        JournalError::Format { path: path.to_owned(), format }
                    }
                    _ => JournalError::Line {
                        path: path.to_owned(),
                        line: number,
                        error: error.to_string(),
                    },
                });
            }
        };
        if !Line::is_possible(&line) {
            let error = "it names changes that no plan has".to_owned();
            return Err(JournalError::Line { path: path.to_owned(), line: number, error });
        }
        past.whole += length;
        match line {
            Line::Started(started) if started.format != FORMAT => {
                return Err(JournalError::Format { path: path.to_owned(), format: started.format });
            }
            Line::Started(started) => {
                (past.started_at, past.plan_id, past.journal_id) =
                    (started.started_at, Some(started.plan_id), Some(started.journal_id));
            }
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
            Line::Doubted {} => past.handed_out = u64::MAX,
            Line::Settled {} => past.handed_out = 0,
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
    let past = scan(path, problem)?;
    match past.damage {
        Some(damage) => Err(JournalError::Damaged {
            path: path.to_owned(),
            line: damage.line,
            error: damage.error,
        }),
        None => Ok(past),
    }
}
