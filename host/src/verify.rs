//! Verifying: what the CRM holds now in the fields that a run has written. Reads only.
//!
//! [`verify`] shows every reading, [`check`] says which of them are not what was written.

use crate::{
    bindings::{
        streams,
        types::{self as wit, Error as GuestError},
    },
    component::{Component, Grant, GrantError},
    egress::{Egress, Link, credential::CredentialError},
    engine::{EngineError, Guest, called},
    journal::{Past, Ranges},
    outstanding::{Outstanding, Taken},
    plan::{Malformed, Packed, Plan},
    planner::target,
    run::{ConfirmedResource, MAX_OUTSTANDING, Selection, StopSignal},
    values::members,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use wasmtime::component::Resource;

pub use wit::Holding;

/// Bytes of readings that wait for one before them.
const MAX_EARLY: usize = 64 << 20;

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
    /// Fields that hold another value than the one written, by the component's rule.
    pub differing: &'a [String],
    /// Fields that hold another value than before, by the same rule.
    pub moved: &'a [String],
    /// Fields that the CRM would not take back to the value before.
    pub one_way: &'a [String],
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
    /// There was no access token for a request.
    #[error(transparent)]
    NoAccess(CredentialError),
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

/// Reads the records of these changes (numbers in the plan) and shows what each of them holds now, in the order of the plan.
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
    let (blocks, reader) = plan.blocks();
    let outstanding = Outstanding::new();
    let (to_read, read) = (changes.count(), Arc::new(AtomicU64::new(0)));
    let written = ConfirmedResource::new(blocks, Selection::Only(changes), Past::default(), None, outstanding.clone(), stop);
    let sink = VerifySinkResource {
        outstanding: outstanding.clone(),
        early: BTreeMap::new(),
        early_bytes: 0,
        read: Arc::clone(&read),
        show: Box::new(show),
    };

    let loaded = component.loaded();
    let egress = Egress::verifying(capabilities, link.held_to(header.account.as_ref()), outstanding.clone(), loaded.budget());
    let traffic = egress.traffic();
    let (mut store, instance) = loaded.instantiate(egress).await?;
    let table = &mut store.data_mut().table;
    let written = table.push(written).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let sink = table.push(sink).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let guest = instance.reverse_sync_destination_destination();
    let target = target(&header.destination, &header.base_url);
    let called = called(loaded.deadline(), store, async |store| guest.call_verify(store, &target, written, sink).await).await;
    reader.await.map_err(io::Error::other)??;
    called?.map_err(|error| traffic.no_access().cloned().map_or(VerifyError::Stopped(error), VerifyError::NoAccess))?;
    match to_read.saturating_sub(read.load(Relaxed)) {
        0 => Ok(()),
        unread => Err(VerifyError::Unread(unread)),
    }
}

/// Details kept of what is not as it was written; everything is counted.
const MAX_DETAILS: usize = 1_000;

/// What a check of written records came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    /// Records that were to be read.
    pub verified: u64,
    /// Those of them that hold what was written.
    pub as_written: u64,
    /// Those that hold something else.
    pub different: u64,
    /// Each field that holds something else, of the first 1,000.
    pub stored_differently: Vec<Difference>,
    /// Records that could not be read, the first 1,000.
    pub not_read: Vec<NotRead>,
}

/// A field that does not hold what was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: String,
    /// The field.
    pub field: String,
    /// What was written.
    pub written: Value,
    /// What the CRM holds.
    pub now: Value,
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotRead {
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: String,
    /// Why.
    pub reason: String,
}

impl Verified {
    /// Whether every record holds what was written.
    pub fn ok(&self) -> bool {
        self.as_written == self.verified
    }

    fn see(&mut self, reading: &Reading<'_>) {
        let reason = match reading.holding {
            Holding::Confirmed => {
                self.as_written += 1;
                return;
            }
            Holding::Other => {
                self.different += 1;
                let (mut written, mut now) = (members(reading.written), members(reading.now));
                for field in reading.differing.iter().cloned() {
                    if self.stored_differently.len() < MAX_DETAILS {
                        let (written, now) = (written.remove(&field).unwrap_or_default(), now.remove(&field).unwrap_or_default());
                        let provider_id = reading.provider_id.to_owned();
                        self.stored_differently.push(Difference { row: reading.row, provider_id, field, written, now });
                    }
                }
                return;
            }
            Holding::Gone => "the record is gone",
            Holding::Unreadable => "the CRM does not show it",
        };
        if self.not_read.len() < MAX_DETAILS {
            let reason = if reading.detail.is_empty() { reason.to_owned() } else { format!("{reason}: {}", reading.detail) };
            self.not_read.push(NotRead { row: reading.row, provider_id: reading.provider_id.to_owned(), reason });
        }
    }
}

/// Reads the records of these changes (numbers in the plan) and holds them against what was written.
///
/// # Errors
/// As [`verify`].
pub async fn check(
    component: &Component,
    grant: &Grant,
    plan: &Plan,
    changes: Ranges,
    link: Link,
    stop: StopSignal,
) -> Result<Verified, VerifyError> {
    let verified = Arc::new(Mutex::new(Verified { verified: changes.count(), ..Verified::default() }));
    let seen = Arc::clone(&verified);
    let show = move |reading: Reading<'_>| seen.lock().unwrap_or_else(PoisonError::into_inner).see(&reading);
    verify(component, grant, plan, changes, link, stop, show).await?;
    let verified = std::mem::take(&mut *verified.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(verified)
}

/// Where the guest reports what it read.
pub struct VerifySinkResource {
    outstanding: Outstanding,
    /// Readings of rows that follow one that is still outstanding.
    early: BTreeMap<u64, Early>,
    early_bytes: usize,
    /// Readings shown.
    read: Arc<AtomicU64>,
    show: Box<dyn FnMut(Reading<'_>) + Send>,
}

/// Lists of names, one for each row.
struct Names {
    items: Packed,
    offsets: Vec<u32>,
}

impl Names {
    fn from_wit(lists: wit::StringLists, rows: usize) -> Result<Names, Malformed> {
        let items = Packed::from_wit(lists.items)?;
        let offsets = lists.offsets;
        let fits = offsets.len() == rows + 1 && offsets.is_sorted() && offsets.last().is_some_and(|last| *last as usize <= items.len());
        if fits { Ok(Names { items, offsets }) } else { Err(Malformed) }
    }

    fn get(&self, row: usize) -> Vec<String> {
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) => (start as usize..end as usize).map(|at| self.items.get(at).to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}

/// A reading that waits for its turn.
struct Early {
    change: Taken,
    holding: Holding,
    now: String,
    detail: String,
    /// Fields that differ, that have moved, and that go one way only.
    names: [Vec<String>; 3],
}

impl VerifySinkResource {
    fn take(&mut self, batch: wit::ReadingBatch) -> wasmtime::Result<()> {
        let malformed = |_: Malformed| wasmtime::format_err!("it pushed readings that do not fit together");
        let (values, details) = (Packed::from_wit(batch.values).map_err(malformed)?, Packed::from_wit(batch.details).map_err(malformed)?);
        let rows = batch.rows.len();
        if [batch.holdings.len(), values.len(), details.len()].iter().any(|length| *length != rows) {
            return Err(malformed(Malformed));
        }
        let names = [batch.differing, batch.moved, batch.one_way].map(|lists| Names::from_wit(lists, rows));
        let [Ok(differing), Ok(moved), Ok(one_way)] = names else { return Err(malformed(Malformed)) };
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
            let (now, detail) = (values.get(index).to_owned(), details.get(index).to_owned());
            let names = [differing.get(index), moved.get(index), one_way.get(index)];
            self.early_bytes += now.len() + detail.len();
            if self.early_bytes > MAX_EARLY {
                wasmtime::bail!("it reported {} bytes of records without a word about one before them", self.early_bytes);
            }
            self.early.insert(row, Early { change, holding, now, detail, names });
        }
        self.show_in_order()
    }

    /// Shows what no outstanding row comes before.
    fn show_in_order(&mut self) -> wasmtime::Result<()> {
        let first = self.outstanding.first_row().unwrap_or(u64::MAX);
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() < first) {
            let (row, early) = entry.remove_entry();
            self.early_bytes -= early.now.len() + early.detail.len();
            (self.show)(Reading {
                row,
                provider_id: &early.change.id,
                holding: early.holding,
                written: &early.change.fields,
                before: early.change.before.as_deref(),
                now: &early.now,
                detail: &early.detail,
                differing: &early.names[0],
                moved: &early.names[1],
                one_way: &early.names[2],
            });
            self.read.fetch_add(1, Relaxed);
        }
        if self.early.len() > MAX_OUTSTANDING {
            wasmtime::bail!("it read more than {MAX_OUTSTANDING} records without a word about row {first} before them");
        }
        Ok(())
    }
}

impl streams::HostVerifySink for Guest {
    async fn push(&mut self, this: Resource<VerifySinkResource>, batch: wit::ReadingBatch) -> wasmtime::Result<Result<(), GuestError>> {
        let rows = batch.rows.len();
        self.table.get_mut(&this)?.take(batch)?;
        if rows > 0 {
            self.progressed();
        }
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<VerifySinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
