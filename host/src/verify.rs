//! Verifying: what the CRM holds now in the fields that a run has written. Reads only.

use crate::{
    bindings::{
        streams,
        types::{self as wit, Error as GuestError},
    },
    component::{Component, Grant, GrantError},
    egress::{Egress, Link},
    engine::{EngineError, Guest, within},
    journal::{Past, Ranges},
    outstanding::Outstanding,
    plan::{Malformed, Packed, Plan, Stored, read_changes},
    planner::target,
    run::{ConfirmedResource, Selection, StopSignal},
};
use std::io;
use tokio::sync::mpsc;
use wasmtime::component::Resource;

pub use wit::Holding;

/// What one record holds now, in the fields of the change that was written to it.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: &'a str,
    /// The confirmed values, others, or none.
    pub holding: Holding,
    /// What was written, as a JSON object.
    pub written: &'a str,
    /// What the CRM held while planning, as a JSON object, if somebody looked.
    pub before: Option<&'a str>,
    /// What it holds now, as a JSON object, spelled so that writing it would put it back.
    pub now: &'a str,
    /// One sentence where there is something to say, else empty.
    pub detail: &'a str,
}

/// Why records could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The component broke off, or broke the contract.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The component gave up, for example because the CRM cannot be reached.
    #[error("{}", .0.message)]
    Stopped(GuestError),
    /// The component did not say what became of each record.
    #[error("the component ended without a word about {0} of the records it should have read")]
    Unread(u64),
    /// The plan's changes cannot be read.
    #[error("cannot read the plan's changes: {0}")]
    Changes(#[from] arrow_schema::ArrowError),
    /// A thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the records of these changes (numbers in the plan) and shows what each of them holds now.
///
/// # Errors
/// If any of them could not be read at all; what was shown before that stands.
pub async fn verify(
    component: &Component,
    grant: &Grant,
    plan: &Plan,
    changes: Ranges,
    link: Link,
    stop: StopSignal,
    show: impl FnMut(Reading<'_>) + Send + 'static,
) -> Result<(), VerifyError> {
    let header = plan.header();
    let capabilities = component.capabilities(grant, &header.destination)?;
    let (changes_tx, blocks) = mpsc::channel(1);
    let file = plan.changes_file();
    let reader = tokio::task::spawn_blocking(move || -> Result<(), arrow_schema::ArrowError> {
        for block in read_changes(&file)? {
            if changes_tx.blocking_send(Stored::new(&block?)?).is_err() {
                break;
            }
        }
        Ok(())
    });
    let outstanding = Outstanding::new();
    let written = ConfirmedResource::new(blocks, Selection::Only(changes), Past::default(), None, outstanding.clone(), stop);
    let sink = VerifySinkResource { outstanding: outstanding.clone(), show: Box::new(show) };

    let loaded = component.loaded();
    let (mut store, instance) = loaded.instantiate(Egress::verifying(capabilities, link, outstanding.clone())).await?;
    let table = &mut store.data_mut().table;
    let written = table.push(written).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let sink = table.push(sink).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let guest = instance.reverse_sync_destination_destination();
    let target = target(&header.destination, &header.base_url);
    let called = within(loaded.engine().config.deadline, store, async |store| guest.call_verify(store, &target, written, sink).await).await;
    reader.await.map_err(io::Error::other)??;
    called?.map_err(VerifyError::Stopped)?;
    match outstanding.len() as u64 {
        0 => Ok(()),
        unread => Err(VerifyError::Unread(unread)),
    }
}

/// Where the guest reports what it read.
pub struct VerifySinkResource {
    outstanding: Outstanding,
    show: Box<dyn FnMut(Reading<'_>) + Send>,
}

impl VerifySinkResource {
    fn take(&mut self, batch: wit::ReadingBatch) -> wasmtime::Result<()> {
        let malformed = |_: Malformed| wasmtime::format_err!("it pushed readings that do not fit together");
        let (values, details) = (Packed::from_wit(batch.values).map_err(malformed)?, Packed::from_wit(batch.details).map_err(malformed)?);
        let rows = batch.rows.len();
        if [batch.holdings.len(), values.len(), details.len()].iter().any(|length| *length != rows) {
            return Err(malformed(Malformed));
        }
        for (index, row) in batch.rows.into_iter().enumerate() {
            let change = self.outstanding.take(row);
            let Some(change) = change else {
                wasmtime::bail!("it reported what row {row} holds, which is not in hand");
            };
            let holding = match batch.holdings[index] {
                // Without an answer to a read, nothing is known about the record.
                Holding::Confirmed | Holding::Other if !change.was_read => Holding::Unreadable,
                holding => holding,
            };
            (self.show)(Reading {
                row,
                provider_id: &change.id,
                holding,
                written: &change.fields,
                before: change.before.as_deref(),
                now: values.get(index),
                detail: details.get(index),
            });
        }
        Ok(())
    }
}

impl streams::HostVerifySink for Guest {
    async fn push(&mut self, this: Resource<VerifySinkResource>, batch: wit::ReadingBatch) -> wasmtime::Result<Result<(), GuestError>> {
        self.progressed();
        self.table.get_mut(&this)?.take(batch)?;
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<VerifySinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
