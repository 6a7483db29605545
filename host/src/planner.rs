//! Planning: golden records in, a plan on disk out, a component in between.
//!
//! Three things happen at once, each with a few batches of slack: a thread reads the next records, the component
//! judges the current ones, and a thread spools the changes before them. Nothing is held but those batches.

use crate::{
    account::{self, Expecting, NotHeld},
    bindings::{
        streams,
        types::{self as wit, Target},
    },
    component::{Component, Grant, GrantError, Phase},
    destination::Destination,
    egress::{Egress, Link, Traffic, base_url::BaseUrl, credential::CredentialError},
    engine::{EngineError, Guest, called},
    plan::{Accounting, ChangeBatch, DroppedField, Fingerprint, Guard, Miscount, Plan, PlanError, PlanMode, PlannedBy, Spool, SpoolError},
    records::{RecordsError, bounds, to_columns},
    run::StopSignal,
};
use arrow_array::RecordBatch;
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;
use wasmtime::component::Resource;

/// Records read at once. Large enough that crossing the boundary does not count, small enough to stay in the cache.
pub const READ_ROWS: usize = 4_096;
/// Bytes of the records that the component is given at once, about, and never fewer than one record: with long texts, batches are short,
/// whatever it asks for.
const HANDED_BYTES: usize = 2 << 20;
/// Batches that may wait between reading, planning and spooling.
const SLACK: usize = 2;
/// Warnings and dropped columns kept of one plan.
const MAX_REMARKS: usize = 1_000;
/// Bytes of all that it may say about the plan as a whole.
const MAX_REMARK_BYTES: usize = 2 << 20;
/// Flags for each row that was read, on average: each is kept on disk until the plan is sealed.
const MAX_FLAGS: u64 = 16;
/// Bytes of a guard's name and of what is the matter, which are kept once for all rows.
const MAX_MATTER: usize = 1_000;

/// Golden records as a stream of Arrow batches.
pub trait Records: Send {
    /// The next records, `max_rows` at most, or `None` at the end.
    ///
    /// # Errors
    /// Says what is wrong, where, and what to do.
    fn next_batch(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError>;
}

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
    /// The CRM's base URL. An offline plan makes no connection; the URL is part of what is confirmed.
    pub base_url: &'a BaseUrl,
    /// What may be asked of the CRM.
    pub asking: Asking,
    /// What the operator allows the component.
    pub grant: &'a Grant,
    /// The golden records.
    pub records: Box<dyn Records>,
    /// The files they come from, for the check that they are still the same when the plan is applied.
    pub fingerprints: Vec<Fingerprint>,
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
    #[error("the component's plan does not add up: {0}")]
    Miscount(#[from] Miscount),
    /// The changes could not be spooled.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The plan could not be kept.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl PlanningError {
    /// The CRM's or the component's error, if one of them ended the plan.
    pub fn kind(&self) -> Option<wit::ErrorKind> {
        match self {
            PlanningError::Refused(error) => Some(error.kind),
            PlanningError::NoAccess(error) => Some(error.kind()),
            PlanningError::Account(NotHeld::Unanswered(unanswered)) => Some(unanswered.kind()),
            _ => None,
        }
    }

    /// Whether the destination's configuration is at fault.
    pub fn is_config(&self) -> bool {
        matches!(self, PlanningError::Refused(error) if error.kind == wit::ErrorKind::InvalidConfig)
            || matches!(self, PlanningError::Grant(_))
    }
}

/// Plans. No write can leave, and without a [`Link`] no request at all.
///
/// # Errors
/// See [`PlanningError`].
pub async fn plan(component: &Component, planning: Planning<'_>) -> Result<Plan, PlanningError> {
    // Compiled now so that a capability nobody grants is refused before anyone looks at a plan.
    let capabilities = component.capabilities(planning.grant, planning.destination)?;
    let question = component.question(&planning.destination.destination_type)?;
    let mode = planning.asking.mode();
    let link = planning.asking.link().cloned();
    // Before anything is read that may be another company's.
    let held = match &link {
        Some(link) => {
            let expected = [(Expecting::Source, link.account.as_ref())];
            account::hold(question.as_ref(), link, &expected, &Traffic::default(), &StopSignal::new()).await?
        }
        None => None,
    };
    let egress = match planning.asking {
        Asking::Nothing => Egress::closed(Phase::Plan),
        Asking::Metadata(link) | Asking::Records(link) => Egress::planning(capabilities, link, component.loaded().budget()),
    };
    let shared = Arc::new(Mutex::new(Shared::default()));

    let (read_tx, read_rx) = mpsc::channel(SLACK);
    let mut records = planning.records;
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

    let target = target(planning.destination, planning.base_url.as_str());
    let traffic = egress.traffic();
    let called = call(component, &target, mode, egress, read_rx, spool_tx, &shared).await;
    // Both threads end by themselves: their channels are closed now.
    let spooled = spooler.await.map_err(|error| SpoolError::Io(io::Error::other(error)))?;
    reader.await.map_err(|error| SpoolError::Io(io::Error::other(error)))?;

    let mut shared = std::mem::take(&mut *lock(&shared));
    // What went wrong first explains the rest: input, then spool, then the component's own account.
    if let Some(error) = shared.failed.take() {
        return Err(error);
    }
    let mut spooled = spooled?;
    // The component cannot know that there was no access token for its request; egress does.
    called?.map_err(|error| traffic.no_access().cloned().map_or(PlanningError::Refused(error), PlanningError::NoAccess))?;
    shared.accounting.finish()?;
    let descriptor = component.descriptor();
    let (mut warnings, mut guards) = (std::mem::take(&mut shared.warnings), std::mem::take(&mut shared.guards));
    let found = std::mem::take(&mut spooled.watcher).judge(&planning.destination.guards, spooled.read());
    warnings.extend(found.warnings);
    guards.append(&mut spooled.flagged);
    guards.extend(found.guards);
    // Where nobody expects an account, what goes wrong while asking for it goes wrong after all else has gone well.
    let account = match (held, &link) {
        (None, Some(link)) => account::note(question.as_ref(), &link.held_to(traffic.account()), &mut warnings).await,
        (held, _) => held,
    };
    let draft = crate::plan::Draft {
        destination: planning.destination.clone(),
        base_url: planning.base_url.as_str().to_owned(),
        account,
        component: PlannedBy { name: descriptor.name.clone(), version: descriptor.version.clone(), digest: component.digest() },
        mode,
        total: shared.accounting.total(),
        spooled,
        dropped_fields: std::mem::take(&mut shared.dropped),
        warnings,
        guards,
        joined: std::mem::take(&mut shared.joined),
        records: planning.fingerprints,
        undoes: None,
    };
    Ok(Plan::seal(draft, planning.plans_dir)?)
}

/// Plans no record at all, with the CRM's metadata: what a credential shows of itself before anything is planned. Nothing is
/// kept. Beside how it ended, what left on the way.
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

/// What the component says of a destination's configuration. No request leaves, no record is read, and nothing is kept.
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
    without_records(component, destination, base_url, PlanMode::Offline, Egress::closed(Phase::Plan)).await
}

async fn without_records(
    component: &Component,
    destination: &Destination,
    base_url: &BaseUrl,
    mode: PlanMode,
    egress: Egress,
) -> Result<(), PlanningError> {
    let target = target(destination, base_url.as_str());
    let traffic = egress.traffic();
    // Both ends are gone before it begins: there is nothing to read, and nowhere to put a change.
    let ((_, nothing), (nowhere, _)) = (mpsc::channel(1), mpsc::channel(1));
    let shared = Arc::new(Mutex::new(Shared::default()));
    match call(component, &target, mode, egress, nothing, nowhere, &shared).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(traffic.no_access().cloned().map_or(PlanningError::Refused(error), PlanningError::NoAccess)),
        Err(error) => Err(error.into()),
    }
}

async fn call(
    component: &Component,
    target: &Target,
    mode: PlanMode,
    egress: Egress,
    batches: mpsc::Receiver<Result<RecordBatch, RecordsError>>,
    decisions: mpsc::Sender<Decision>,
    shared: &Arc<Mutex<Shared>>,
) -> Result<Result<(), wit::Error>, EngineError> {
    let loaded = component.loaded();
    let (mut store, instance) = loaded.instantiate(egress).await?;
    let table = &mut store.data_mut().table;
    let records = table.push(RecordsResource { batches, rest: None, shared: Arc::clone(shared) }).map_err(wasmtime::Error::from)?;
    let sink = table.push(PlanSinkResource { decisions, shared: Arc::clone(shared) }).map_err(wasmtime::Error::from)?;
    let guest = instance.reverse_sync_destination_destination();
    called(loaded.deadline(), store, async |store| guest.call_plan(store, target, mode.into(), records, sink).await).await
}

pub(crate) fn target(destination: &Destination, base_url: &str) -> Target {
    Target {
        destination_type: destination.destination_type.clone(),
        entity_type: destination.entity_type.clone(),
        config: serde_json::Value::Object(destination.config_json.clone()).to_string(),
        base_url: base_url.to_owned(),
    }
}

enum Decision {
    Push(ChangeBatch),
    Skip(wit::SkippedBatch),
    Flag(wit::FlaggedBatch),
}

/// What both resources of a planning call work on.
#[derive(Default)]
struct Shared {
    accounting: Accounting,
    dropped: Vec<DroppedField>,
    warnings: Vec<String>,
    guards: Vec<Guard>,
    joined: Vec<String>,
    /// Bytes of all remarks that were made.
    remarks: usize,
    /// Rows that were flagged, each as often as it was.
    flagged: u64,
    failed: Option<PlanningError>,
}

impl Shared {
    /// Counts a remark, whether it is kept or not.
    fn remarked(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.remarks = self.remarks.saturating_add(bytes);
        if self.remarks > MAX_REMARK_BYTES {
            wasmtime::bail!("its warnings, guards and names of columns are longer than {MAX_REMARK_BYTES} bytes");
        }
        Ok(())
    }

    /// Counts flagged rows, which have to be read before.
    fn flagged(&mut self, flagged: &wit::FlaggedBatch) -> wasmtime::Result<()> {
        if flagged.guard.len() + flagged.what.len() > MAX_MATTER {
            wasmtime::bail!("it flagged rows in more than {MAX_MATTER} bytes");
        }
        let read = self.accounting.total();
        self.flagged = self.flagged.saturating_add(flagged.rows.len() as u64);
        if self.flagged > read.saturating_mul(MAX_FLAGS) || flagged.rows.iter().any(|row| *row > read) {
            wasmtime::bail!("it flagged rows that it has not read, or more than {MAX_FLAGS} times as many as it has");
        }
        Ok(())
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Each statement leaves it consistent, so a poisoned lock is still good.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the call with an error that [`plan`] reports instead of the trap.
fn fail(shared: &Mutex<Shared>, error: PlanningError) -> wasmtime::Error {
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

/// Where the guest puts its decisions.
pub struct PlanSinkResource {
    decisions: mpsc::Sender<Decision>,
    shared: Arc<Mutex<Shared>>,
}

impl PlanSinkResource {
    async fn send(&self, decision: Decision) -> wasmtime::Result<()> {
        // A closed channel means that the spooler has failed; its own error is reported.
        self.decisions.send(decision).await.map_err(|_| wasmtime::format_err!("the plan cannot be written"))
    }
}

impl streams::HostRecords for Guest {
    async fn next(&mut self, this: Resource<RecordsResource>, max: u32) -> wasmtime::Result<Result<Option<wit::RecordBatch>, wit::Error>> {
        let records = self.table.get_mut(&this)?;
        let batch = loop {
            let batch = match records.rest.take() {
                Some(batch) => batch,
                None => match records.batches.recv().await {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => return Err(fail(&records.shared, error.into())),
                    None => return Ok(Ok(None)),
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        let length = bounds::fitting(&batch, max.max(1) as usize, HANDED_BYTES);
        if length < batch.num_rows() {
            records.rest = Some(batch.slice(length, batch.num_rows() - length));
        }
        let first_row = lock(&records.shared).accounting.read(length as u64);
        let first_row = first_row.map_err(|error| fail(&records.shared, error.into()))?;
        let columns = to_columns(&batch.slice(0, length));
        self.progressed();
        Ok(Ok(Some(wit::RecordBatch { first_row, length: length as u32, columns })))
    }

    fn drop(&mut self, this: Resource<RecordsResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostPlanSink for Guest {
    async fn push(&mut self, this: Resource<PlanSinkResource>, changes: wit::ChangeBatch) -> wasmtime::Result<Result<(), wit::Error>> {
        let sink = self.table.get(&this)?;
        let changes = ChangeBatch::from_wit(changes).map_err(|error| fail(&sink.shared, SpoolError::from(error).into()))?;
        let counted = lock(&sink.shared).accounting.plan(changes.rows());
        counted.map_err(|error| fail(&sink.shared, error.into()))?;
        if changes.is_empty() {
            return Ok(Ok(()));
        }
        sink.send(Decision::Push(changes)).await?;
        self.progressed();
        Ok(Ok(()))
    }

    async fn skip(&mut self, this: Resource<PlanSinkResource>, skipped: wit::SkippedBatch) -> wasmtime::Result<Result<(), wit::Error>> {
        let sink = self.table.get(&this)?;
        let counted = {
            let accounting = &mut lock(&sink.shared).accounting;
            skipped.rows.iter().try_for_each(|row| accounting.decide(*row))
        };
        counted.map_err(|error| fail(&sink.shared, error.into()))?;
        if !skipped.rows.is_empty() {
            sink.send(Decision::Skip(skipped)).await?;
            self.progressed();
        }
        Ok(Ok(()))
    }

    fn drop_column(&mut self, this: Resource<PlanSinkResource>, name: String, reason: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.table.get(&this)?.shared);
        shared.remarked(name.len() + reason.len())?;
        if shared.dropped.len() < MAX_REMARKS {
            shared.dropped.push(DroppedField { name, reason });
        }
        Ok(())
    }

    fn warn(&mut self, this: Resource<PlanSinkResource>, message: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.table.get(&this)?.shared);
        shared.remarked(message.len())?;
        if shared.warnings.len() < MAX_REMARKS {
            shared.warnings.push(message);
        }
        Ok(())
    }

    fn guard(&mut self, this: Resource<PlanSinkResource>, name: String, message: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.table.get(&this)?.shared);
        shared.remarked(name.len() + message.len())?;
        if shared.guards.len() < MAX_REMARKS {
            shared.guards.push(Guard { name, message });
        }
        Ok(())
    }

    async fn flag(&mut self, this: Resource<PlanSinkResource>, flagged: wit::FlaggedBatch) -> wasmtime::Result<Result<(), wit::Error>> {
        // It settles nothing: a row may be flagged for several reasons. But it takes room on disk.
        let sink = self.table.get(&this)?;
        lock(&sink.shared).flagged(&flagged)?;
        sink.send(Decision::Flag(flagged)).await?;
        Ok(Ok(()))
    }

    fn joined(&mut self, this: Resource<PlanSinkResource>, field: String) -> wasmtime::Result<()> {
        let mut shared = lock(&self.table.get(&this)?.shared);
        shared.remarked(field.len())?;
        if shared.joined.len() >= MAX_REMARKS {
            wasmtime::bail!("it named more than {MAX_REMARKS} fields that were made of lists");
        }
        if !shared.joined.contains(&field) {
            shared.joined.push(field);
        }
        Ok(())
    }

    fn drop(&mut self, this: Resource<PlanSinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::Host for Guest {}
impl wit::Host for Guest {}
impl crate::bindings::capabilities::Host for Guest {}
