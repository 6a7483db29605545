//! The streams of a planning call: records out, decisions in.

use crate::{
    changes::ChangeBatch,
    contract::types as wit,
    guards::Guard,
    plan::{Accounting, DroppedField, Miscount, SpoolError},
    records::{RecordsError, bounds, to_columns},
};
use arrow_array::RecordBatch;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of the records that the component is given at once, about, and never fewer than one
/// record: with long texts, batches are short, whatever it asks for.
const HANDED_BYTES: usize = 2 << 20;
/// Warnings and dropped columns kept of one plan.
const MAX_REMARKS: usize = 1_000;
/// Bytes of all that it may say about the plan as a whole.
const MAX_REMARK_BYTES: usize = 2 << 20;
/// Flags for each row that was read, on average: each is kept on disk until the plan is sealed.
const MAX_FLAGS: u64 = 16;
/// Bytes of a guard's name and of what is the matter, which are kept once for all rows.
const MAX_MATTER: usize = 1_000;

/// What a component has decided about rows.
pub(crate) enum Decision {
    /// They are to be updated.
    Push(ChangeBatch),
    /// They are not.
    Skip(wit::SkippedBatch),
    /// They are for a guard to show.
    Flag(wit::FlaggedBatch),
}

/// What both resources of a planning call work on.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) accounting: Accounting,
    pub(crate) dropped: Vec<DroppedField>,
    pub(crate) warnings: Vec<String>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) joined: Vec<String>,
    /// Bytes of all remarks that were made.
    remarks: usize,
    /// Rows that were flagged, each as often as it was.
    flagged: u64,
    pub(crate) failed: Option<Failed>,
}

impl Shared {
    /// Counts a remark, whether it is kept or not.
    fn remarked(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.remarks = self.remarks.saturating_add(bytes);
        if self.remarks > MAX_REMARK_BYTES {
            wasmtime::bail!(
                "its warnings, guards and names of columns are longer than {MAX_REMARK_BYTES} bytes"
            );
        }
        Ok(())
    }

    /// Counts flagged rows, which must be read before.
    fn flagged(&mut self, flagged: &wit::FlaggedBatch) -> wasmtime::Result<()> {
        if flagged.guard.len() + flagged.what.len() > MAX_MATTER {
            wasmtime::bail!("it flagged rows in more than {MAX_MATTER} bytes");
        }
        let read = self.accounting.total();
        self.flagged = self.flagged.saturating_add(flagged.rows.len() as u64);
        if self.flagged > read.saturating_mul(MAX_FLAGS)
            || flagged.rows.iter().any(|row| *row > read)
        {
            wasmtime::bail!(
                "it flagged rows that it has not read, or more than {MAX_FLAGS} times as many as it has"
            );
        }
        Ok(())
    }
}

pub(crate) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Each statement leaves it consistent, so it is good after a panic, too.
    shared.lock()
}

/// What ended the call from the host's side. The trap that the component sees says the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The golden records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The component's decisions do not add up.
    #[error(transparent)]
    Miscount(#[from] Miscount),
    /// The changes could not be spooled.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Ends the call with an error that planning reports instead of the trap.
fn fail(shared: &Mutex<Shared>, error: impl Into<Failed>) -> wasmtime::Error {
    let error = error.into();
    let text = wasmtime::format_err!("{error}");
    lock(shared).failed.get_or_insert(error);
    text
}

/// The golden records, as the guest sees them.
pub struct RecordsResource {
    batches: mpsc::Receiver<Result<RecordBatch, RecordsError>>,
    rest: Option<RecordBatch>,
    shared: Arc<Mutex<Shared>>,
}

impl RecordsResource {
    pub(crate) fn new(
        batches: mpsc::Receiver<Result<RecordBatch, RecordsError>>,
        shared: Arc<Mutex<Shared>>,
    ) -> RecordsResource {
        RecordsResource { batches, rest: None, shared }
    }

    /// The next records, or `None` at their end.
    pub(crate) async fn next(&mut self, max: u32) -> wasmtime::Result<Option<wit::RecordBatch>> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => match self.batches.recv().await {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => return Err(fail(&self.shared, error)),
                    None => return Ok(None),
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        let length = bounds::fitting(&batch, max.max(1) as usize, HANDED_BYTES);
        if length < batch.num_rows() {
            self.rest = Some(batch.slice(length, batch.num_rows() - length));
        }
        let first_row = lock(&self.shared).accounting.read(length as u64);
        let first_row = first_row.map_err(|error| fail(&self.shared, error))?;
        let columns = to_columns(&batch.slice(0, length));
        Ok(Some(wit::RecordBatch { first_row, length: length as u32, columns }))
    }
}

/// Where the guest puts its decisions.
pub struct PlanSinkResource {
    decisions: mpsc::Sender<Decision>,
    shared: Arc<Mutex<Shared>>,
}

impl PlanSinkResource {
    pub(crate) fn new(
        decisions: mpsc::Sender<Decision>,
        shared: Arc<Mutex<Shared>>,
    ) -> PlanSinkResource {
        PlanSinkResource { decisions, shared }
    }

    async fn send(&self, decision: Decision) -> wasmtime::Result<()> {
        // A closed channel means that the spooler has failed; its own error is reported.
        self.decisions
            .send(decision)
            .await
            .map_err(|_| wasmtime::format_err!("the plan cannot be written"))
    }

    /// Changes to make; the number of them.
    pub(crate) async fn push(&self, changes: wit::ChangeBatch) -> wasmtime::Result<usize> {
        let changes = ChangeBatch::from_wit(changes)
            .map_err(|error| fail(&self.shared, SpoolError::from(error)))?;
        let counted = lock(&self.shared).accounting.plan(changes.rows());
        counted.map_err(|error| fail(&self.shared, error))?;
        let count = changes.len();
        if count > 0 {
            self.send(Decision::Push(changes)).await?;
        }
        Ok(count)
    }

    /// Rows to leave alone; the number of them.
    pub(crate) async fn skip(&self, skipped: wit::SkippedBatch) -> wasmtime::Result<usize> {
        let counted = {
            let accounting = &mut lock(&self.shared).accounting;
            skipped.rows.iter().try_for_each(|row| accounting.decide(*row))
        };
        counted.map_err(|error| fail(&self.shared, error))?;
        let count = skipped.rows.len();
        if count > 0 {
            self.send(Decision::Skip(skipped)).await?;
        }
        Ok(count)
    }

    /// Rows that a guard is to show. It settles nothing: a row may be flagged for several reasons.
    /// But it takes room on disk.
    pub(crate) async fn flag(&self, flagged: wit::FlaggedBatch) -> wasmtime::Result<()> {
        lock(&self.shared).flagged(&flagged)?;
        self.send(Decision::Flag(flagged)).await
    }

    pub(crate) fn drop_column(&self, name: String, reason: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.shared);
        shared.remarked(name.len() + reason.len())?;
        if shared.dropped.len() < MAX_REMARKS {
            shared.dropped.push(DroppedField { name, reason });
        }
        Ok(())
    }

    pub(crate) fn warn(&self, message: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.shared);
        shared.remarked(message.len())?;
        if shared.warnings.len() < MAX_REMARKS {
            shared.warnings.push(message);
        }
        Ok(())
    }

    pub(crate) fn guard(&self, name: String, message: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.shared);
        shared.remarked(name.len() + message.len())?;
        if shared.guards.len() < MAX_REMARKS {
            shared.guards.push(Guard { name, message });
        }
        Ok(())
    }

    pub(crate) fn joined(&self, field: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.shared);
        shared.remarked(field.len())?;
        if shared.joined.len() >= MAX_REMARKS {
            wasmtime::bail!("it named more than {MAX_REMARKS} fields that were made of lists");
        }
        if !shared.joined.contains(&field) {
            shared.joined.push(field);
        }
        Ok(())
    }
}
