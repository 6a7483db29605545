//! Comparing while planning: between the planner and the host's sink, each change is compared with
//! what the CRM has now.
//!
//! Changes are collected until a read is full (100 for HubSpot, 2,000 for Salesforce), several
//! reads are on their way at the same time, and what comes of them continues in the order of the
//! rows. Memory holds what is on its way and no more; long texts make small reads, and fewer of
//! them.
//!
//! What is equal under the CRM's own normal form is left out; a change of which nothing is left is
//! skipped as `unchanged`. Records that are not there are looked for one by one (HubSpot) or in one
//! query (Salesforce): deleted, or merged into another one.

pub(super) mod comparer;
mod email;
mod judge;
mod missing;

use super::host::PlanHost;
use crate::contract::changes::Changes;
use crate::contract::packed::{append, empty_strings};
use crate::contract::types::{ChangeBatch, Error, FlaggedBatch, RecordBatch, SkippedBatch};
use crate::crm::network::Network;
use crate::crm::requests::{MAX_BYTES_IN_FLIGHT, REQUEST_BYTES};
use crate::crm::routes;
use comparer::{Compared, Comparer, UNCHANGED};
use futures_util::future::LocalBoxFuture;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

/// The host's sink, behind the comparison.
pub(crate) struct Comparing<'r, 'h, H, N> {
    comparer: &'r Comparer<'r, N>,
    host: &'h mut H,
    /// Records in a full read.
    most: usize,
    pending: ChangeBatch,
    /// On their way, in the order of the rows, each with the bytes of its changes and of the answer
    /// that is expected.
    reads: VecDeque<(Read<'r>, usize)>,
    bytes: usize,
}

enum Read<'r> {
    OnItsWay(LocalBoxFuture<'r, Result<Compared, Error>>),
    Done(Result<Compared, Error>),
}

impl<'r, 'h, H: PlanHost, N: Network> Comparing<'r, 'h, H, N> {
    pub(crate) fn new(comparer: &'r Comparer<'r, N>, host: &'h mut H) -> Self {
        let most = routes::of(comparer.crm.config.provider).read_many.most() as usize;
        Comparing { comparer, host, most, pending: no_changes(), reads: VecDeque::new(), bytes: 0 }
    }

    async fn start(&mut self) -> Result<(), Error> {
        let changes = Changes::new(std::mem::replace(&mut self.pending, no_changes()))?;
        let comparer = self.comparer;
        // What the CRM holds may be longer than what is to be written.
        let size = loop {
            let answer = comparer.answer.get();
            let size = changes.size() + answer.unwrap_or(MAX_BYTES_IN_FLIGHT);
            if self.reads.is_empty()
                || (self.reads.len() < comparer.crm.config.in_flight
                    && self.bytes + size <= MAX_BYTES_IN_FLIGHT)
            {
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
        // All of them continue while the oldest is waited for; there are in_flight at most.
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
            let details = (reason != UNCHANGED).then_some(details.0);
            self.host.skip(&SkippedBatch {
                rows,
                reason: reason.to_owned(),
                details,
                ids: Some(ids.0),
            })?;
        }
        for (guard, what, rows, details) in compared.flagged {
            self.host.flag(&FlaggedBatch {
                guard: guard.to_owned(),
                what: what.to_owned(),
                rows,
                details: details.0,
            })?;
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
            let s = if count == 1 { "" } else { "s" };
            self.host.warn(&format!(
                "`{field}`: not written for {count} record{s}, because {why}; the first is row {row}"
            ));
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
            if self.pending.rows.len() == self.most
                || self.pending.fields.bytes.len() >= REQUEST_BYTES
            {
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
    ChangeBatch {
        rows: Vec::new(),
        ids: empty_strings(),
        fields: empty_strings(),
        before: None,
        doubtful: false,
    }
}
