//! Verifying: what the CRM holds now in the fields that a run has written. Reads only.
//!
//! [`verify`] shows every reading, [`check`] says which of them are not what was written.
//!
//! What a run's check came to is in [`Done`](crate::Done):
//!
//! ```
//! use reverse_sync::Done;
//!
//! fn differing(done: &Done) -> Vec<&str> {
//!     let Some(Ok(verified)) = &done.verified else { return Vec::new() };
//!     verified.stored_differently.iter().map(|record| record.provider_id.as_str()).collect()
//! }
//! ```

use crate::{
    component::{Component, Grant, GrantError},
    contract::types::Error as GuestError,
    egress::{Egress, Link, credential::CredentialError},
    engine::{EngineError, called},
    journal::{Past, Ranges},
    outstanding::Outstanding,
    plan::Plan,
    stop::StopSignal,
    streams::{ConfirmedResource, Selection, VerifySinkResource},
    values::members,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub use crate::streams::{Holding, Reading};

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
    #[error("the plugin ended without a word about {0} of the records it should have read")]
    Unread(u64),
    /// The plan's changes cannot be read.
    #[error("cannot read the plan's changes: {0}")]
    Changes(#[from] arrow_schema::ArrowError),
    /// A thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the records of these changes (numbers in the plan) and shows what each of them holds now,
/// in the order of the plan.
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
    let written = ConfirmedResource::new(
        blocks,
        Selection::Only(changes),
        Past::default(),
        None,
        outstanding.clone(),
        stop,
    );
    let sink = VerifySinkResource::new(outstanding.clone(), Arc::clone(&read), Box::new(show));

    let loaded = component.loaded();
    let egress = Egress::verifying(
        capabilities,
        link.held_to(header.account.as_ref()),
        outstanding.clone(),
        loaded.budget(),
    );
    let traffic = egress.traffic();
    let (mut store, instance) = loaded.instantiate(egress).await?;
    let table = &mut store.data_mut().table;
    let written = table.push(written).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let sink = table.push(sink).map_err(wasmtime::Error::from).map_err(EngineError::from)?;
    let guest = instance.reverse_sync_destination_destination();
    let target = header.destination.target(&header.base_url);
    let called = called(loaded.deadline(), store, async |store| {
        guest.call_verify(store, &target, written, sink).await
    })
    .await;
    reader.await.map_err(io::Error::other)??;
    called?.map_err(|error| match traffic.no_access() {
        Some(error) => VerifyError::NoAccess(error.clone()),
        None => VerifyError::Stopped(traffic.told(error)),
    })?;
    match to_read.saturating_sub(read.load(Relaxed)) {
        0 => Ok(()),
        unread => Err(VerifyError::Unread(unread)),
    }
}

/// Details kept of what is not as it was written; everything is counted.
const MAX_DETAILS: usize = 1_000;

/// What a check of written records came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
                        let (written, now) = (
                            written.remove(&field).unwrap_or_default(),
                            now.remove(&field).unwrap_or_default(),
                        );
                        let provider_id = reading.provider_id.to_owned();
                        self.stored_differently.push(Difference {
                            row: reading.row,
                            provider_id,
                            field,
                            written,
                            now,
                        });
                    }
                }
                return;
            }
            Holding::Gone => "the record is gone",
            Holding::Unreadable => "the CRM does not show it",
        };
        if self.not_read.len() < MAX_DETAILS {
            let reason = if reading.detail.is_empty() {
                reason.to_owned()
            } else {
                format!("{reason}: {}", reading.detail)
            };
            self.not_read.push(NotRead {
                row: reading.row,
                provider_id: reading.provider_id.to_owned(),
                reason,
            });
        }
    }
}

/// Reads the records of these changes (numbers in the plan) and compares them with what was
/// written.
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
    let verified =
        Arc::new(Mutex::new(Verified { verified: changes.count(), ..Verified::default() }));
    let seen = Arc::clone(&verified);
    let show = move |reading: Reading<'_>| seen.lock().see(&reading);
    verify(component, grant, plan, changes, link, stop, show).await?;
    let verified = std::mem::take(&mut *verified.lock());
    Ok(verified)
}
