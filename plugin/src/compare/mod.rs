//! Comparing while planning: between the planner and the host's sink, each change is held against what the CRM has now.
//!
//! Changes are collected until a read is full (100 for HubSpot, 2,000 for Salesforce), several reads are on their way at the
//! same time, and what comes of them goes on in the order of the rows. Memory holds what is on its way and no more; long texts make
//! small reads, and fewer of them.
//!
//! What is equal under the CRM's own normal form is left out; a change of which nothing is left is skipped as `unchanged`.
//! Records that are not there are looked for one by one (HubSpot) or in one query (Salesforce): deleted, or merged
//! into another one.

pub(crate) mod answer;
mod email;
pub(crate) mod judge;
mod missing;

use crate::bindings::reverse_sync::destination::types::{ChangeBatch, Error, FlaggedBatch, RecordBatch, SkippedBatch};
use crate::config::Config;
use crate::metadata::Metadata;
use crate::packed::{Packed, append, empty_strings};
use crate::plan::PlanHost;
use crate::routes::{BodyForm, Routes};
use crate::run::changes::Changes;
use crate::run::world::Network;
use crate::run::{MAX_BYTES_IN_FLIGHT, REQUEST_BYTES, Runner};
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

/// What comes of one read.
#[derive(Default)]
pub(crate) struct Compared {
    rows: Vec<u64>,
    ids: Packed,
    fields: Packed,
    before: Packed,
    /// By reason: rows, a sentence for each, and the record that each claims.
    skipped: Vec<(&'static str, Vec<u64>, Packed, Packed)>,
    /// By guard and by what is the matter: rows, and a few words for each.
    flagged: Vec<(&'static str, &'static str, Vec<u64>, Packed)>,
}

impl Compared {
    /// Puts changes that came late in the order of their rows.
    pub(crate) fn sort(&mut self) {
        if self.rows.is_sorted() {
            return;
        }
        let mut order: Vec<(u64, usize)> = self.rows.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let sorted = |packed: &Packed| {
            let mut sorted = Packed::default();
            for (_, at) in &order {
                append(&mut sorted.0, &packed.0, *at);
            }
            sorted
        };
        (self.ids, self.fields, self.before) = (sorted(&self.ids), sorted(&self.fields), sorted(&self.before));
        self.rows = order.into_iter().map(|(row, _)| row).collect();
    }

    /// Somebody has to have a second look at a row.
    pub(crate) fn flag(&mut self, guard: &'static str, what: &'static str, row: u64, detail: &str) {
        let at = self.flagged.iter().position(|(known, about, ..)| (*known, *about) == (guard, what)).unwrap_or_else(|| {
            self.flagged.push((guard, what, Vec::new(), Packed::default()));
            self.flagged.len() - 1
        });
        let (.., rows, details) = &mut self.flagged[at];
        rows.push(row);
        details.push(detail);
    }

    pub(crate) fn skip(&mut self, reason: &'static str, row: u64, id: &str, detail: &str) {
        let at = self.skipped.iter().position(|(known, ..)| *known == reason).unwrap_or_else(|| {
            self.skipped.push((reason, Vec::new(), Packed::default(), Packed::default()));
            self.skipped.len() - 1
        });
        let (_, rows, details, ids) = &mut self.skipped[at];
        rows.push(row);
        details.push(detail);
        ids.push(id);
    }
}

/// Values that are not written for a reason that only comparing shows, counted for a warning: field, reason, how many, and
/// the first row.
pub(crate) type HeldBack = RefCell<Vec<(String, &'static str, u64, u64)>>;

/// What all reads share.
pub(crate) struct Comparer<'r, N> {
    pub(crate) config: &'r Config,
    pub(crate) metadata: &'r Metadata,
    pub(crate) runner: &'r Runner<'r, N>,
    held_back: HeldBack,
    /// Bytes of the last answer; nobody knows before the first one.
    answer: Cell<Option<usize>>,
}

impl<'r, N> Comparer<'r, N> {
    pub(crate) fn new(config: &'r Config, metadata: &'r Metadata, runner: &'r Runner<'r, N>) -> Self {
        Comparer { config, metadata, runner, held_back: RefCell::default(), answer: Cell::new(None) }
    }
}

/// The host's sink, behind the comparison.
pub(crate) struct Comparing<'r, 'h, H, N> {
    comparer: &'r Comparer<'r, N>,
    host: &'h mut H,
    /// Records in a full read.
    most: usize,
    pending: ChangeBatch,
    /// On their way, in the order of the rows, each with the bytes of its changes and of the answer that is expected.
    reads: VecDeque<(Read<'r>, usize)>,
    bytes: usize,
}

enum Read<'r> {
    OnItsWay(LocalBoxFuture<'r, Result<Compared, Error>>),
    Done(Result<Compared, Error>),
}

impl<'r, 'h, H: PlanHost, N: Network> Comparing<'r, 'h, H, N> {
    pub(crate) fn new(comparer: &'r Comparer<'r, N>, host: &'h mut H) -> Self {
        let most = match Routes::of(comparer.config.provider).read_many.body {
            BodyForm::Many { max, .. } => max as usize,
            _ => 1,
        };
        Comparing { comparer, host, most, pending: no_changes(), reads: VecDeque::new(), bytes: 0 }
    }

    async fn start(&mut self) -> Result<(), Error> {
        let changes = Changes::new(std::mem::replace(&mut self.pending, no_changes()))?;
        let comparer = self.comparer;
        // What the CRM holds may be longer than what is to be written.
        let size = loop {
            let answer = comparer.answer.get();
            let size = changes.size() + answer.unwrap_or(MAX_BYTES_IN_FLIGHT);
            if self.reads.is_empty() || (self.reads.len() < comparer.config.in_flight && self.bytes + size <= MAX_BYTES_IN_FLIGHT) {
                break size;
            }
            self.take().await?;
        };
        self.reads.push_back((Read::OnItsWay(Box::pin(comparer.compare(changes))), size));
        self.bytes += size;
        Ok(())
    }

    /// Hands the oldest read's result on.
    async fn take(&mut self) -> Result<(), Error> {
        // All of them go on while the oldest is waited for; there are in_flight at most.
        let oldest = poll_fn(|context| {
            for (read, _) in &mut self.reads {
                if let Read::OnItsWay(future) = read
                    && let Poll::Ready(done) = future.as_mut().poll(context)
                {
                    *read = Read::Done(done);
                }
            }
            match self.reads.pop_front() {
                Some((Read::Done(done), size)) => Poll::Ready(Some((done, size))),
                Some(waiting) => {
                    self.reads.push_front(waiting);
                    Poll::Pending
                }
                None => Poll::Ready(None),
            }
        });
        let Some((compared, size)) = oldest.await else { return Ok(()) };
        self.bytes -= size;
        let compared = compared?;
        if !compared.rows.is_empty() {
            let changes = ChangeBatch {
                rows: compared.rows,
                ids: compared.ids.0,
                fields: compared.fields.0,
                before: Some(compared.before.0),
                doubtful: false,
            };
            self.host.push(&changes).await?;
        }
        for (reason, rows, details, ids) in compared.skipped {
            let details = (reason != judge::UNCHANGED).then_some(details.0);
            self.host.skip(&SkippedBatch { rows, reason: reason.to_owned(), details, ids: Some(ids.0) })?;
        }
        for (guard, what, rows, details) in compared.flagged {
            self.host.flag(&FlaggedBatch { guard: guard.to_owned(), what: what.to_owned(), rows, details: details.0 })?;
        }
        Ok(())
    }

    /// Compares what is left, and tells what was found on the way.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        if !self.pending.rows.is_empty() {
            self.start().await?;
        }
        while !self.reads.is_empty() {
            self.take().await?;
        }
        for (field, why, count, row) in self.comparer.held_back.take() {
            self.host.warn(&format!("`{field}`: not written for {count} records, because {why}; the first is row {row}"));
        }
        Ok(())
    }
}

impl<H: PlanHost, N: Network> PlanHost for Comparing<'_, '_, H, N> {
    fn next(&mut self, max: u32) -> Result<Option<RecordBatch>, Error> {
        self.host.next(max)
    }

    async fn push(&mut self, changes: &ChangeBatch) -> Result<(), Error> {
        for (at, row) in changes.rows.iter().enumerate() {
            self.pending.rows.push(*row);
            append(&mut self.pending.ids, &changes.ids, at);
            append(&mut self.pending.fields, &changes.fields, at);
            if self.pending.rows.len() == self.most || self.pending.fields.bytes.len() >= REQUEST_BYTES {
                self.start().await?;
            }
        }
        Ok(())
    }

    fn compares(&self) -> bool {
        true
    }

    fn skip(&mut self, skipped: &SkippedBatch) -> Result<(), Error> {
        self.host.skip(skipped)
    }

    fn drop_column(&mut self, name: &str, reason: &str) {
        self.host.drop_column(name, reason);
    }

    fn warn(&mut self, message: &str) {
        self.host.warn(message);
    }

    fn guard(&mut self, name: &str, message: &str) {
        self.host.guard(name, message);
    }

    fn flag(&mut self, flagged: &FlaggedBatch) -> Result<(), Error> {
        self.host.flag(flagged)
    }

    fn joined(&mut self, field: &str) {
        self.host.joined(field);
    }
}

fn no_changes() -> ChangeBatch {
    ChangeBatch { rows: Vec::new(), ids: empty_strings(), fields: empty_strings(), before: None, doubtful: false }
}
