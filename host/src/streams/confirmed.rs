//! The cursor of a running or verifying guest: which changes it is handed, and when they count as
//! handed out.

use crate::{
    changes::ChangeBatch,
    contract::types::{self as wit, Error as GuestError, ErrorKind},
    held::Held,
    journal::{Marker, Past, Ranges},
    outstanding::Outstanding,
    plan::Stored,
    stop::StopSignal,
};
use tokio::sync::mpsc;

/// Changes that an instance may hold without an outcome. The bundled component holds in_flight
/// batches, 6,400 at most, or one job.
pub(crate) const MAX_OUTSTANDING: usize = 50_000;
/// Bytes that the host holds of them.
const MAX_OUTSTANDING_BYTES: usize = 96 << 20;
/// Most changes handed out at once.
const MAX_HAND_OUT: usize = 10_000;
/// Bytes of the changes that are handed out at once, about, and never fewer than one change: the
/// component has little memory, and what it makes of a change is several times as long.
const HAND_OUT_BYTES: usize = 2 << 20;

/// Which changes of a plan are handed out, of those without an outcome.
pub(crate) enum Selection {
    /// Those with numbers below this one.
    Below(u64),
    /// Those with these numbers.
    Only(Ranges),
}

impl Selection {
    fn has(&self, number: u64) -> bool {
        match self {
            Selection::Below(end) => number < *end,
            Selection::Only(numbers) => numbers.contains(number),
        }
    }

    /// Whether neither this number nor a later one is handed out.
    fn is_over(&self, number: u64) -> bool {
        matches!(self, Selection::Below(end) if number >= *end)
    }
}

/// The confirmed changes, as the guest sees them.
pub struct ConfirmedResource {
    changes: mpsc::Receiver<Stored>,
    block: Option<(Stored, usize)>,
    /// Number of the next change in the plan.
    next: u64,
    selection: Selection,
    past: Past,
    /// Of what is written: marks what is handed out, of so many changes, once the account is known.
    marking: Option<(Marker, u64, Held)>,
    outstanding: Outstanding,
    stop: StopSignal,
    /// Changes that have yet to be handed out.
    remaining: u64,
    /// Fields whose values the plan made of lists.
    joined: Vec<String>,
}

impl ConfirmedResource {
    pub(crate) fn new(
        changes: mpsc::Receiver<Stored>,
        selection: Selection,
        past: Past,
        marking: Option<(Marker, u64, Held)>,
        outstanding: Outstanding,
        stop: StopSignal,
    ) -> ConfirmedResource {
        let remaining = match &selection {
            Selection::Below(end) => end.saturating_sub(past.done.below(*end).count()),
            // Reading, nothing has an outcome yet.
            Selection::Only(numbers) => numbers.count(),
        };
        ConfirmedResource {
            changes,
            block: None,
            next: 0,
            selection,
            past,
            marking,
            outstanding,
            stop,
            remaining,
            joined: Vec::new(),
        }
    }

    /// Of a plan that made values of these fields of lists.
    pub(crate) fn with_joined(self, joined: Vec<String>) -> ConfirmedResource {
        ConfirmedResource { joined, ..self }
    }

    /// The next changes without an outcome, all in doubt or none.
    async fn take(&mut self, max: usize) -> (ChangeBatch, Vec<u64>, bool) {
        let mut batch = ChangeBatch::new();
        let mut ordinals = Vec::new();
        let mut doubtful = false;
        while batch.len() < max && !self.selection.is_over(self.next) {
            let (block, at) = match &mut self.block {
                Some((block, at)) if *at < block.len() => (block, at),
                _ => match self.changes.recv().await {
                    Some(block) => {
                        self.block = Some((block, 0));
                        continue;
                    }
                    None => break,
                },
            };
            if !self.past.done.contains(self.next) && self.selection.has(self.next) {
                let in_doubt = self.next < self.past.handed_out;
                if batch.is_empty() {
                    doubtful = in_doubt;
                } else if doubtful != in_doubt {
                    break;
                }
                if !batch.takes(block.before(*at)) || batch.bytes() >= HAND_OUT_BYTES {
                    break;
                }
                block.append(*at, &mut batch);
                ordinals.push(self.next);
            }
            *at += 1;
            self.next += 1;
        }
        (batch, ordinals, doubtful)
    }

    /// The next changes to make or to read, or `None` at their end.
    pub(crate) async fn next(
        &mut self,
        max: u32,
    ) -> wasmtime::Result<Result<Option<wit::ChangeBatch>, GuestError>> {
        if let Some((_, _, held)) = &self.marking {
            if !held.known().await {
                return Ok(Err(cancelled("nothing is handed out: the account is not known")));
            }
            self.stop.unpaused().await;
        }
        if self.stop.is_set() {
            let message =
                "stopped on request; the rest stays pending, run the plan again to continue";
            return Ok(Err(cancelled(message)));
        }
        let (count, bytes) = self.outstanding.held();
        if count > MAX_OUTSTANDING || bytes > MAX_OUTSTANDING_BYTES {
            wasmtime::bail!(
                "it took {count} changes of {bytes} bytes without reporting what became of them"
            );
        }
        let (batch, ordinals, doubtful) = self.take((max as usize).clamp(1, MAX_HAND_OUT)).await;
        let Some(last) = ordinals.last() else { return Ok(Ok(None)) };
        if let Some((marker, total, _)) = &mut self.marking {
            marker.hand_out(last + 1, *total).await?;
        }
        self.remaining = self.remaining.saturating_sub(ordinals.len() as u64);
        let handed = batch.to_wit(doubtful);
        self.outstanding.hand_out(batch, ordinals, doubtful);
        Ok(Ok(Some(handed)))
    }

    pub(crate) fn joined(&self) -> Vec<String> {
        self.joined.clone()
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// What earlier attempts had remembered.
    pub(crate) fn recall(&self) -> Vec<String> {
        self.past.notes.iter().map(|note| note.text.clone()).collect()
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.is_set()
    }
}

fn cancelled(message: &str) -> GuestError {
    let message = message.to_owned();
    GuestError {
        kind: ErrorKind::Cancelled,
        code: None,
        pointer: None,
        message,
        missing_scopes: Vec::new(),
    }
}
