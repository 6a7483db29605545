//! Planning: golden records in, a plan on disk out, a component in between.
//!
//! Three things happen at once, each with a few batches of slack: a thread reads the next records,
//! the component judges the current ones, and a thread spools the changes before them. Nothing is
//! held but those batches.
//!
//! [`Target::plan`](crate::Target::plan) is the usual way here. What may go wrong, to a caller:
//!
//! ```
//! use reverse_sync::{
//!     ErrorKind, PlanningError,
//!     failure::{Failure, Kind},
//! };
//!
//! fn should_try_again(error: &PlanningError) -> bool {
//!     let kind = Failure::from(error).kind;
//!     matches!(kind, Kind::Crm(ErrorKind::Unavailable | ErrorKind::RateLimited))
//! }
//! ```

use crate::{
    account::{self, Expecting, NotHeld},
    component::{Component, Grant, GrantError, Phase},
    contract::types::{self as wit, Target},
    destination::Destination,
    egress::{Egress, Link, Traffic, base_url::BaseUrl, credential::CredentialError},
    engine::{EngineError, PeakMemory, called},
    plan::{Miscount, Plan, PlanError, PlanMode, PlannedBy, Spool, SpoolError},
    records::RecordsError,
    source::SourceError,
    stop::StopSignal,
    streams::{Decision, Failed, PlanSinkResource, RecordsResource, Shared, lock},
};
use arrow_array::RecordBatch;
use parking_lot::Mutex;
use std::{io, path::Path, sync::Arc};
use tokio::sync::mpsc;

pub use crate::records::Records;

/// Records read at once. Large enough that crossing the boundary does not count, small enough to
/// stay in the cache.
pub const READ_ROWS: usize = 4_096;
/// Batches that may wait between reading, planning and spooling.
const SLACK: usize = 2;

/// What planning may ask of the CRM.
pub enum Asking {
    /// Nothing: no connection is made and no credential is looked up.
    Nothing,
    /// Its metadata, so that values are brought into the form that it takes.
    Metadata(Link),
    /// Its metadata and its records, so that only what differs is planned.
    Records(Link),
}

impl Asking {
    fn link(&self) -> Option<&Link> {
        match self {
            Asking::Nothing => None,
            Asking::Metadata(link) | Asking::Records(link) => Some(link),
        }
    }

    /// The mode of a plan that is made so.
    pub fn mode(&self) -> PlanMode {
        match self {
            Asking::Nothing => PlanMode::Offline,
            Asking::Metadata(_) => PlanMode::Online,
            Asking::Records(_) => PlanMode::Compare,
        }
    }
}

/// What to plan.
pub struct Planning<'a> {
    /// Where it would be written.
    pub destination: &'a Destination,
    /// The CRM's base URL. An offline plan makes no connection; the URL is part of what is
    /// confirmed.
    pub base_url: &'a BaseUrl,
    /// What may be asked of the CRM.
    pub asking: Asking,
    /// What the operator allows the component.
    pub grant: &'a Grant,
    /// The golden records.
    pub records: Box<dyn Records>,
    /// Where plans are kept.
    pub plans_dir: &'a Path,
}

/// Why there is no plan. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The golden records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The destination's configuration, in the component's words.
    #[error("{}", .0.message)]
    Refused(wit::Error),
    /// There was no access token for a request of the component.
    #[error(transparent)]
    NoAccess(CredentialError),
    /// There is no way to the CRM.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The credential may open another account than the one that the source is for.
    #[error(transparent)]
    Account(#[from] NotHeld),
    /// The grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The component broke off.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its plan does not add up.
    #[error("the plugin's plan does not add up: {0}")]
    Miscount(#[from] Miscount),
    /// The changes could not be spooled.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The plan could not be kept.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl From<Failed> for PlanningError {
    fn from(failed: Failed) -> PlanningError {
        match failed {
            Failed::Records(error) => error.into(),
            Failed::Miscount(error) => error.into(),
            Failed::Spool(error) => error.into(),
        }
    }
}

impl PlanningError {
    /// Whether the destination's configuration is at fault.
    pub fn is_config(&self) -> bool {
        matches!(self, PlanningError::Refused(error) if error.kind == wit::ErrorKind::InvalidConfig)
            || matches!(self, PlanningError::Grant(_))
    }
}

/// A plan, and what it took to make it.
pub struct Measured {
    /// The plan.
    pub plan: Plan,
    /// The most bytes of memory that the component had.
    pub peak_memory: u64,
    /// Requests that egress refused.
    pub refused: u64,
}

/// Plans. No write can leave, and without a [`Link`] no request at all.
///
/// # Errors
/// See [`PlanningError`].
pub async fn plan(component: &Component, planning: Planning<'_>) -> Result<Plan, PlanningError> {
    Ok(plan_measured(component, planning).await?.plan)
}

/// The same, with what it took.
///
/// # Errors
/// See [`PlanningError`].
pub async fn plan_measured(
    component: &Component,
    planning: Planning<'_>,
) -> Result<Measured, PlanningError> {
    // Compiled now so that a capability nobody grants is refused before anyone looks at a plan.
    let capabilities = component.capabilities(planning.grant, planning.destination)?;
    let question = component.question(&planning.destination.destination_type)?;
    let mode = planning.asking.mode();
    let link = planning.asking.link().cloned();
    // Before anything is read that may be another company's.
    let held = match &link {
        Some(link) => {
            let expected = [(Expecting::Source, link.account.as_ref())];
            account::hold(
                question.as_ref(),
                link,
                &expected,
                &Traffic::default(),
                &StopSignal::new(),
            )
            .await?
        }
        None => None,
    };
    let egress = match planning.asking {
        Asking::Nothing => Egress::closed(Phase::Plan),
        Asking::Metadata(link) | Asking::Records(link) => {
            Egress::planning(capabilities, link, component.loaded().budget())
        }
    };
    let shared = Arc::new(Mutex::new(Shared::default()));

    let (read_tx, read_rx) = mpsc::channel(SLACK);
    let mut records = planning.records;
    let fingerprints = records.fingerprints()?;
    let reader = tokio::task::spawn_blocking(move || {
        loop {
            let batch = records.next_batch(READ_ROWS).transpose();
            let Some(batch) = batch else { return };
            let failed = batch.is_err();
            if read_tx.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });

    let (spool_tx, mut spool_rx) = mpsc::channel(SLACK * 4);
    let mut spool = Spool::new(planning.plans_dir)?;
    let policy = planning.destination.on_duplicate_id;
    let spooler = tokio::task::spawn_blocking(move || {
        while let Some(decision) = spool_rx.blocking_recv() {
            match decision {
                Decision::Push(changes) => spool.push(changes)?,
                Decision::Skip(skipped) => spool.skip(skipped)?,
                Decision::Flag(flagged) => spool.flag(flagged)?,
            }
        }
        spool.finish(policy)
    });

    let target = planning.destination.target(planning.base_url.as_str());
    let traffic = egress.traffic();
    let mut peak = PeakMemory::default();
    let called =
        call(component, &target, mode, egress, read_rx, spool_tx, &shared, &mut peak).await;
    // Both threads end by themselves: their channels are closed now.
    let spooled = spooler.await.map_err(|error| SpoolError::Io(io::Error::other(error)))?;
    reader.await.map_err(|error| SpoolError::Io(io::Error::other(error)))?;

    let mut shared = std::mem::take(&mut *lock(&shared));
    // What went wrong first explains the rest: input, then spool, then the component's own account.
    if let Some(error) = shared.failed.take() {
        return Err(error.into());
    }
    let mut spooled = spooled?;
    // The component cannot know that there was no access token for its request; egress does.
    called?.map_err(|error| match traffic.no_access() {
        Some(error) => PlanningError::NoAccess(error.clone()),
        None => PlanningError::Refused(traffic.told(error)),
    })?;
    shared.accounting.finish()?;
    let descriptor = component.descriptor();
    let (mut warnings, mut guards) =
        (std::mem::take(&mut shared.warnings), std::mem::take(&mut shared.guards));
    let found =
        std::mem::take(&mut spooled.watcher).judge(&planning.destination.guards, spooled.read());
    warnings.extend(found.warnings);
    guards.append(&mut spooled.flagged);
    guards.extend(found.guards);
    // Where nobody expects an account, what goes wrong while asking for it goes wrong after all
    // else has gone well.
    let account = match (held, &link) {
        (None, Some(link)) => {
            account::note(question.as_ref(), &link.held_to(traffic.account()), &mut warnings).await
        }
        (held, _) => held,
    };
    let draft = crate::plan::Draft {
        destination: planning.destination.clone(),
        base_url: planning.base_url.as_str().to_owned(),
        account,
        component: PlannedBy {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: component.digest(),
        },
        mode,
        total: shared.accounting.total(),
        spooled,
        dropped_fields: std::mem::take(&mut shared.dropped),
        warnings,
        guards,
        joined: std::mem::take(&mut shared.joined),
        records: fingerprints,
        undoes: None,
    };
    Ok(Measured {
        plan: Plan::seal(draft, planning.plans_dir)?,
        peak_memory: peak.bytes(),
        refused: traffic.refused(),
    })
}

/// Plans no record at all, with the CRM's metadata: what a credential shows of itself before
/// anything is planned. Nothing is kept. Beside how it ended, what left on the way.
pub(crate) async fn plan_nothing(
    component: &Component,
    destination: &Destination,
    grant: &Grant,
    link: Link,
) -> (Result<(), PlanningError>, Arc<Traffic>) {
    let capabilities = match component.capabilities(grant, destination) {
        Ok(capabilities) => capabilities,
        Err(error) => return (Err(error.into()), Arc::default()),
    };
    let base_url = link.base_url.clone();
    let egress = Egress::planning(capabilities, link, component.loaded().budget());
    let traffic = egress.traffic();
    (without_records(component, destination, &base_url, PlanMode::Online, egress).await, traffic)
}

/// What the component says of a destination's configuration. No request leaves, no record is read,
/// and nothing is kept.
///
/// # Errors
/// If it refuses the configuration ([`PlanningError::is_config`]), or breaks off.
pub async fn check_config(
    component: &Component,
    destination: &Destination,
    grant: &Grant,
    base_url: &BaseUrl,
) -> Result<(), PlanningError> {
    component.capabilities(grant, destination)?;
    without_records(
        component,
        destination,
        base_url,
        PlanMode::Offline,
        Egress::closed(Phase::Plan),
    )
    .await
}

async fn without_records(
    component: &Component,
    destination: &Destination,
    base_url: &BaseUrl,
    mode: PlanMode,
    egress: Egress,
) -> Result<(), PlanningError> {
    let target = destination.target(base_url.as_str());
    let traffic = egress.traffic();
    // Both ends are gone before it begins: there is nothing to read, and nowhere to put a change.
    let ((_, nothing), (nowhere, _)) = (mpsc::channel(1), mpsc::channel(1));
    let shared = Arc::new(Mutex::new(Shared::default()));
    let mut peak = PeakMemory::default();
    match call(component, &target, mode, egress, nothing, nowhere, &shared, &mut peak).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match traffic.no_access() {
            Some(error) => PlanningError::NoAccess(error.clone()),
            None => PlanningError::Refused(traffic.told(error)),
        }),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::too_many_arguments, reason = "what a call is made of, and what is known after it")]
async fn call(
    component: &Component,
    target: &Target,
    mode: PlanMode,
    egress: Egress,
    batches: mpsc::Receiver<Result<RecordBatch, RecordsError>>,
    decisions: mpsc::Sender<Decision>,
    shared: &Arc<Mutex<Shared>>,
    peak_memory: &mut PeakMemory,
) -> Result<Result<(), wit::Error>, EngineError> {
    let loaded = component.loaded();
    let (mut store, instance) = loaded.instantiate(egress).await?;
    *peak_memory = store.data().peak_memory();
    let table = &mut store.data_mut().table;
    let records = table
        .push(RecordsResource::new(batches, Arc::clone(shared)))
        .map_err(wasmtime::Error::from)?;
    let sink = table
        .push(PlanSinkResource::new(decisions, Arc::clone(shared)))
        .map_err(wasmtime::Error::from)?;
    let guest = instance.reverse_sync_destination_destination();
    called(loaded.deadline(), store, async |store| {
        guest.call_plan(store, target, mode.into(), records, sink).await
    })
    .await
}
