//! The journal of a run: what was handed out and what became of it, on disk before anybody is told.
//!
//! One file of JSON lines per run, append-only, held by one process at a time, each line with a
//! checksum. A thread writes and syncs it in groups, so that a fast run does not wait for the disk
//! at every batch; only what has been synced is counted, shown and reported. Changes are marked as
//! handed out *before* they are; so after a crash, everything below the mark without an outcome is
//! in doubt, and a read settles it before it is written again. What stands behind damage is not
//! believed: then every change without an outcome is in doubt.
//!
//! What became of each change, by pages and while the run is running, too; and which runs there are:
//!
//! ```no_run
//! use reverse_sync::{PlanId, Workspace, journal};
//!
//! # fn read(workspace: &Workspace, plan: &PlanId) -> Result<(), Box<dyn std::error::Error>> {
//! let (plans, runs) = (workspace.plans_dir(), workspace.runs_dir());
//! for (run_id, file) in journal::runs_of(&runs, plan)? {
//!     let failed = Some(journal::Outcome::Failed);
//!     let page = journal::outcomes_page(&plans, plan, Some(&file), failed, None, 100)?;
//!     for change in page.items {
//!         println!("{run_id}: {} {:?}", change.provider_id, change.response);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod lines;
mod page;
mod ranges;
mod runs;
#[cfg(test)]
mod tests;

pub use crate::ids::RunId;
pub use error::JournalError;
pub use lines::{Damage, JournalId, Note, Past, read};
pub use page::{ChangeOutcome, Outcome, OutcomesError, Response, outcomes_page};
pub use ranges::Ranges;
pub use runs::{file, is_held, last_number, next_run, read_run, runs, runs_of};

use crate::{
    append_only::AppendOnly,
    ids::{Account, PlanId},
    private_file,
};
use lines::{FORMAT, Line, Lines, Started, scan};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// The smallest step by which changes are marked as handed out: what is in doubt after a crash, at
/// most, on a run whose pace a CRM sets.
const SMALLEST_STEP: u64 = 2_000;
/// Marking costs a disk sync: when steps follow each other faster than this, they get larger.
const STEP_TIME: Duration = Duration::from_millis(100);
/// Outcomes wait this long for others before they are synced and shown together.
const GROUP: Duration = Duration::from_millis(50);
/// How long the journal's thread dozes within a group. A change that waits to be marked waits no
/// longer than this.
const DOZE: Duration = Duration::from_millis(2);
/// Outcomes that wait for the disk, in batches.
const QUEUE: usize = 1_024;

/// How many changes ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Acknowledged by the CRM, or proved by a read.
    pub updated: u64,
    /// The CRM already held the values.
    pub unchanged: u64,
    /// Refused, or impossible.
    pub failed: u64,
    /// Changed in the CRM since they were planned, so not written.
    pub drifted: u64,
    /// Sent, never answered, and no read could settle it.
    pub unknown: u64,
}

impl Counts {
    /// Changes that have an outcome.
    pub fn done(&self) -> u64 {
        self.updated + self.unchanged + self.failed + self.drifted + self.unknown
    }
}

/// [`Counts`], or null each if the journal that has them cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KnownCounts {
    /// Changes that the CRM has confirmed.
    pub updated: Option<u64>,
    /// Records that held the values already.
    pub unchanged: Option<u64>,
    /// Records that the CRM refused.
    pub failed: Option<u64>,
    /// Records that were changed in the CRM since they were planned, and so were not written.
    pub drifted: Option<u64>,
    /// Changes that were sent, and no answer says whether they were applied.
    pub unknown: Option<u64>,
}

impl From<Option<Counts>> for KnownCounts {
    fn from(counts: Option<Counts>) -> KnownCounts {
        counts.map_or_else(
            KnownCounts::default,
            |Counts { updated, unchanged, failed, drifted, unknown }| KnownCounts {
                updated: Some(updated),
                unchanged: Some(unchanged),
                failed: Some(failed),
                drifted: Some(drifted),
                unknown: Some(unknown),
            },
        )
    }
}

impl KnownCounts {
    /// The counts, if they are known.
    pub fn known(self) -> Option<Counts> {
        let KnownCounts { updated, unchanged, failed, drifted, unknown } = self;
        Some(Counts {
            updated: updated?,
            unchanged: unchanged?,
            failed: failed?,
            drifted: drifted?,
            unknown: unknown?,
        })
    }
}

/// Why a change was not updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The change's number in the plan.
    change: u64,
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: String,
    /// HTTP status of the CRM's answer, if there was one.
    pub status: Option<u16>,
    /// The CRM's code, or one of ours.
    pub code: String,
    /// The CRM's words, or ours.
    pub message: String,
}

/// How a change with a problem ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ending {
    /// It was not written.
    Failed,
    /// It was not written, because it has changed in the CRM since it was planned.
    Drifted,
    /// It may have been.
    Unknown,
}

/// The journal of one run, open for writing.
pub struct Journal {
    run_id: RunId,
    path: PathBuf,
    queue: mpsc::Sender<Entry>,
    durable: watch::Receiver<Counts>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
    past: Past,
}

/// Marks changes as handed out.
pub(crate) struct Marker {
    queue: mpsc::Sender<Entry>,
    handed_out: u64,
    step: u64,
    marked_at: Option<Instant>,
}

enum Entry {
    Account(Account),
    HandedOut(u64, oneshot::Sender<()>),
    Remembered(Note, oneshot::Sender<()>),
    Outcomes(Outcomes),
    Doubted,
    Settled,
    Finished,
}

/// How a journal is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The run ended.
    Finished,
    /// It stopped before that, and whatever was handed out has its outcome.
    Settled,
    /// It stopped, and what was handed out without an outcome may have been sent.
    InDoubt,
}

/// Outcomes on their way to the journal.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) updated: Vec<u64>,
    pub(crate) unchanged: Vec<u64>,
    pub(crate) problems: Vec<(Ending, Problem)>,
}

impl Problem {
    /// The change's number in the plan.
    pub fn change(&self) -> u64 {
        self.change
    }

    pub(crate) fn new(
        change: u64,
        row: u64,
        provider_id: String,
        status: Option<u16>,
        code: String,
        message: String,
    ) -> Problem {
        Problem { change, row, provider_id, status, code, message }
    }
}

impl Journal {
    /// Opens the journal of a plan's unfinished run, or that of a new run.
    ///
    /// # Errors
    /// If another process holds it, it is another run's, or the disk refuses.
    pub fn open(runs_dir: &Path, plan: &PlanId) -> Result<Journal, JournalError> {
        Journal::open_run(runs_dir, next_run(runs_dir, plan)?, plan, None)
    }

    /// Opens the journal of this run of a plan, new or not. A finished one has nothing left to do;
    /// in a damaged one, every change without an outcome is in doubt. With `journal_id` it has to
    /// be that one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_run(
        runs_dir: &Path,
        run_id: RunId,
        plan: &PlanId,
        journal_id: Option<&JournalId>,
    ) -> Result<Journal, JournalError> {
        let path = file(runs_dir, &run_id);
        let io_error = |error| JournalError::Io { path: path.clone(), error };
        private_file::create_dir(runs_dir).map_err(io_error)?;
        let mut journal = AppendOnly::open(&path).map_err(io_error)?;
        match journal.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(JournalError::Busy(run_id)),
            Err(fs::TryLockError::Error(error)) => return Err(io_error(error)),
        }
        // Read only now that nobody else writes.
        let mut past = scan(&path, |_, _| {})?;
        let another = |theirs: String| Err(JournalError::Conflict { path: path.clone(), theirs });
        match (&past.plan_id, &past.journal_id) {
            (Some(theirs), _) if theirs != plan => return another(theirs.to_string()),
            (_, Some(theirs)) if journal_id.is_some_and(|ours| ours != theirs) => {
                return another(format!("journal {}", theirs.as_str()));
            }
            _ => {}
        }
        let mut lines = Lines::after(past.sum);
        let mut first = Vec::new();
        if past.whole == 0 {
            let started_at = jiff::Timestamp::now().to_string();
            let journal_id = journal_id.cloned().unwrap_or_else(JournalId::random);
            past.journal_id = Some(journal_id.clone());
            let line = Line::Started(Started {
                format: FORMAT,
                journal_id,
                run_id: run_id.clone(),
                plan_id: plan.clone(),
                started_at,
            });
            lines.write(&mut first, &line).map_err(io_error)?;
        }
        let mut damaged = None;
        if past.damage.take().is_some() {
            past.handed_out = u64::MAX;
            lines.write(&mut first, &Line::Doubted {}).map_err(io_error)?;
            damaged = Some(journal.repair(past.whole, &first).map_err(io_error)?);
            tracing::warn!(path = %path.display(), "the journal was damaged: it was set aside, and every change without an outcome is read from the CRM");
        } else {
            // What a crash has torn is cut off, so that the next line begins at the start of a
            // line.
            journal
                .cut(past.whole)
                .and_then(|()| journal.append(&first))
                .and_then(|()| journal.sync())
                .map_err(io_error)?;
        }
        if !first.is_empty() {
            // So that the file itself outlives the machine, too.
            private_file::sync_dir(runs_dir).map_err(io_error)?;
        }
        let (queue, entries) = mpsc::channel(QUEUE);
        let (publish, durable) = watch::channel(past.counts);
        let counts = past.counts;
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                // Held as long as the other one: whoever has opened it before it was set aside gets
                // no hold of it.
                let _damaged = damaged;
                keep(journal, lines, entries, counts, &publish)
            })
            .map_err(io_error)?;
        Ok(Journal { run_id, path, queue, durable, thread: Some(thread), past })
    }

    /// Puts every change without an outcome in doubt, in the journal of a run that is there: it may
    /// be older than what was done.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn doubt(runs_dir: &Path, run_id: RunId, plan: &PlanId) -> Result<(), JournalError> {
        if !file(runs_dir, &run_id).exists() {
            return Ok(());
        }
        let journal = Journal::open_run(runs_dir, run_id, plan, None)?;
        let Journal { queue, thread, path, .. } = journal;
        // If the thread has failed, its error is reported below.
        let _ = queue.try_send(Entry::Doubted);
        drop(queue);
        let kept = thread.map_or(Ok(Ok(())), std::thread::JoinHandle::join);
        let kept = kept.unwrap_or_else(|_| Err(io::Error::other("the journal's thread panicked")));
        kept.map_err(|error| JournalError::Io { path, error })
    }

    /// The run's name.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What happened before this process took the run up.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Counts of what is safely on disk, as they grow.
    pub fn durable(&self) -> watch::Receiver<Counts> {
        self.durable.clone()
    }

    /// Keeps the account that this attempt is held to. It is on disk before any change is marked as
    /// handed out.
    pub(crate) async fn held_to(&self, account: Account) {
        // If the thread has failed, no change can be marked as handed out, and its error is
        // reported when the journal is closed.
        let _ = self.queue.send(Entry::Account(account)).await;
    }

    pub(crate) fn marker(&self) -> Marker {
        Marker {
            queue: self.queue.clone(),
            handed_out: self.past.handed_out,
            step: SMALLEST_STEP,
            marked_at: None,
        }
    }

    pub(crate) fn outcomes(&self) -> OutcomeQueue {
        OutcomeQueue(self.queue.clone())
    }

    /// Waits until everything is on disk.
    pub(crate) async fn close(mut self, closing: Closing) -> Result<Counts, JournalError> {
        let last = match closing {
            Closing::Finished => Some(Entry::Finished),
            Closing::Settled => Some(Entry::Settled),
            Closing::InDoubt => None,
        };
        if let Some(last) = last {
            // If the thread has failed, its error is reported below.
            let _ = self.queue.send(last).await;
        }
        let Journal { queue, thread, path, durable, .. } = &mut self;
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(queue, closed));
        if let Some(thread) = thread.take() {
            let joined =
                tokio::task::spawn_blocking(move || thread.join()).await.map_err(io::Error::other);
            let kept = joined
                .and_then(|joined| {
                    joined.map_err(|_| io::Error::other("the journal's thread panicked"))
                })
                .and_then(|kept| kept);
            kept.map_err(|error| JournalError::Io { path: path.clone(), error })?;
        }
        Ok(*durable.borrow())
    }
}

impl Marker {
    /// Returns once every change below `end` is marked as handed out.
    pub(crate) async fn hand_out(&mut self, end: u64, total: u64) -> io::Result<()> {
        if end <= self.handed_out {
            return Ok(());
        }
        let quick = self.marked_at.is_some_and(|at| at.elapsed() < STEP_TIME);
        self.step = if quick { self.step * 2 } else { (self.step / 2).max(SMALLEST_STEP) };
        let mark = (end + self.step).min(total.max(end));
        let (written, done) = oneshot::channel();
        self.queue
            .send(Entry::HandedOut(mark, written))
            .await
            .map_err(|_| io::Error::other("the journal cannot be written"))?;
        done.await.map_err(|_| io::Error::other("the journal cannot be written"))?;
        self.handed_out = mark;
        self.marked_at = Some(Instant::now());
        Ok(())
    }
}

/// Where outcomes are put.
#[derive(Clone)]
pub(crate) struct OutcomeQueue(mpsc::Sender<Entry>);

impl OutcomeQueue {
    pub(crate) async fn push(&self, outcomes: Outcomes) -> io::Result<()> {
        self.0
            .send(Entry::Outcomes(outcomes))
            .await
            .map_err(|_| io::Error::other("the journal cannot be written"))
    }

    /// Returns once the note is on disk.
    pub(crate) async fn remember(&self, note: Note) -> io::Result<()> {
        let lost = || io::Error::other("the journal cannot be written");
        let (written, done) = oneshot::channel();
        self.0.send(Entry::Remembered(note, written)).await.map_err(|_| lost())?;
        done.await.map_err(|_| lost())
    }
}

/// Writes entries as they come, and syncs at once where somebody waits for it, else in groups.
///
/// What is written survives the end of this process; what is synced survives the end of the
/// machine. Only the latter is published.
fn keep(
    mut file: AppendOnly,
    mut lines: Lines,
    mut entries: mpsc::Receiver<Entry>,
    mut counts: Counts,
    publish: &watch::Sender<Counts>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(1 << 16);
    let mut unsynced_since: Option<Instant> = None;
    loop {
        let (next, ended) = match receive(&mut entries, unsynced_since.map(|since| since + GROUP)) {
            Received::Entry(entry) => (Some(entry), false),
            Received::Late => (None, false),
            Received::Closed => (None, true),
        };
        let mut marked = Vec::new();
        let mut next = next;
        while let Some(entry) = next {
            match entry {
                Entry::HandedOut(mark, written) => {
                    lines.write(&mut buffer, &Line::HandedOut(mark))?;
                    marked.push(written);
                }
                Entry::Remembered(note, written) => {
                    lines.write(&mut buffer, &Line::Remembered(note))?;
                    marked.push(written);
                }
                Entry::Account(account) => lines.write(&mut buffer, &Line::Account(account))?,
                Entry::Outcomes(outcomes) => {
                    lines.write_outcomes(&mut buffer, outcomes, &mut counts)?
                }
                Entry::Doubted => lines.write(&mut buffer, &Line::Doubted {})?,
                Entry::Settled => lines.write(&mut buffer, &Line::Settled {})?,
                Entry::Finished => lines.write(&mut buffer, &Line::Finished(counts))?,
            }
            next = if buffer.len() < 1 << 20 { entries.try_recv().ok() } else { None };
        }
        if !buffer.is_empty() {
            file.append(&buffer)?;
            buffer.clear();
            unsynced_since.get_or_insert_with(Instant::now);
        }
        let due = unsynced_since.is_some_and(|since| since.elapsed() >= GROUP);
        if ended || due || !marked.is_empty() {
            file.sync()?;
            unsynced_since = None;
            for written in marked {
                // The run may be gone by now; the mark stands all the same.
                let _ = written.send(());
            }
            publish.send_replace(counts);
        }
        if ended {
            return Ok(());
        }
    }
}

enum Received {
    Entry(Entry),
    Late,
    Closed,
}

/// The next entry, until a time.
fn receive(entries: &mut mpsc::Receiver<Entry>, until: Option<Instant>) -> Received {
    let Some(until) = until else {
        return entries.blocking_recv().map_or(Received::Closed, Received::Entry);
    };
    loop {
        match entries.try_recv() {
            Ok(entry) => return Received::Entry(entry),
            Err(mpsc::error::TryRecvError::Disconnected) => return Received::Closed,
            Err(mpsc::error::TryRecvError::Empty) if Instant::now() >= until => {
                return Received::Late;
            }
            // Outcomes of a group may wait a little: waking up for each of them is what grouping
            // saves.
            Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(DOZE),
        }
    }
}
