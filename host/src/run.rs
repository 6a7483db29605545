//! Running: confirmed changes in, outcomes out, a component in between and egress around it.
//!
//! [`run`] is one function that knows nothing of who calls it: it takes up a confirmed plan where
//! its journal ends, and returns when every change has an outcome or something stops it. Calling it
//! again with the same plan and journal continues after the last change that was acknowledged.
//!
//! [`Target::run`](crate::Target::run) is the usual way here, with progress and a signal to stop:
//!
//! ```no_run
//! use reverse_sync::{ConfirmedPlan, Report, RunError, StopSignal, Target};
//!
//! async fn run(people: &Target, plan: &ConfirmedPlan, stop: &StopSignal) -> Result<Report, RunError> {
//!     let done = people
//!         .run(plan)
//!         .stop(stop)
//!         .watch(|mut watch| {
//!             tokio::spawn(async move {
//!                 while watch.counts.changed().await.is_ok() {
//!                     println!("{} of {}", watch.counts.borrow().done(), watch.writable);
//!                 }
//!             });
//!         })
//!         .await?;
//!     if let Some(stopped) = &done.report.stopped {
//!         println!("{}; run the same plan again to resume", stopped.message);
//!     }
//!     Ok(done.report)
//! }
//! ```

pub use crate::stop::StopSignal;
use crate::{
    account::{self, Expecting, NotHeld, Question},
    component::{Component, Grant, GrantError},
    contract::types::{Error as GuestError, ErrorKind},
    egress::{Egress, Link, Traffic, Unanswered, credential::CredentialError, pacing::Pacer},
    engine::{EngineError, PeakMemory, called},
    gate::ConfirmedPlan,
    held::{self, Holding},
    journal::{
        Closing, Counts, Ending, Journal, JournalError, OutcomeQueue, Outcomes, Problem, RunId,
    },
    outstanding::Outstanding,
    plan::{Header, PlanError, PlanId},
    source::SourceError,
    streams::{ConfirmedResource, OutcomeSinkResource, Selection},
};
use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::watch;
use tracing::Instrument;

/// How much of a plan is run. The rest stays pending, and a later call with the same journal goes
/// on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its first changes, so many at most: a canary.
    First(u64),
}

impl Part {
    /// Changes of a plan that belong to this part.
    fn end(self, writable: u64) -> u64 {
        match self {
            Part::Whole => writable,
            Part::First(count) => count.min(writable),
        }
    }
}

/// Where a run stands, for those who watch it. Only what is safely in the journal counts.
#[derive(Clone)]
pub struct Watch {
    /// The run.
    pub run_id: RunId,
    /// Changes of the plan, or of the part of it that is run.
    pub writable: u64,
    /// Outcomes so far, those of earlier attempts included.
    pub counts: watch::Receiver<Counts>,
    /// Requests so far.
    pub traffic: Arc<Traffic>,
    /// The pace that the CRM allows.
    pub pacer: Arc<Pacer>,
}

/// What a run came to. The numbers add up: `updated + unchanged + failed + drifted + unknown +
/// pending = writable`, and with `skipped` they make `total`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run.
    pub run_id: RunId,
    /// Its plan.
    pub plan_id: PlanId,
    /// Golden records.
    pub total: u64,
    /// Changes in the plan.
    pub writable: u64,
    /// Golden records that were not in the plan's changes.
    pub skipped: u64,
    /// How changes ended, over all attempts of this run.
    pub counts: Counts,
    /// Changes without an outcome, because the run was stopped. Run the plan again to continue.
    pub pending: u64,
    /// Requests that left in this attempt.
    pub requests: u64,
    /// Requests of this attempt that egress refused.
    pub refused: u64,
    /// The most bytes of memory that the component had in this attempt; 0 if nothing was left to
    /// ask of it.
    pub peak_memory: u64,
    /// Why the run did not finish, if it did not.
    pub stopped: Option<Stopped>,
    /// The journal.
    pub journal: PathBuf,
    /// The run that it undoes, if it does.
    pub undoes: Option<RunId>,
    /// The rights that a credential needs, as the plugin describes them.
    pub required_rights: String,
}

impl Report {
    /// Whether every change is in the CRM now.
    pub fn ok(&self) -> bool {
        let counts = &self.counts;
        counts.failed == 0
            && counts.drifted == 0
            && counts.unknown == 0
            && self.pending == 0
            && self.stopped.is_none()
    }
}

/// Why a run ended early. Pending changes stay pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stopped {
    /// What kind of reason.
    pub reason: StopReason,
    /// The CRM's code, if the reason came from there.
    pub code: Option<String>,
    /// What happened and what to do.
    pub message: String,
}

/// Kinds of reasons to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StopReason {
    /// Somebody asked for it.
    Cancelled,
    /// The CRM refused the credential.
    Unauthorized,
    /// A limit that waiting a little does not cure.
    RateLimited,
    /// The CRM cannot be reached.
    Unavailable,
    /// The gate did not open, or the credential opens another account than the one that was meant
    /// (`other_account`), or it is not known which (`account_unknown`).
    Refused,
    /// Egress or the CRM refused a request as such.
    Rejected,
    /// The component broke off or broke the contract, or is not there.
    Component,
    /// There is no usable credential.
    Credential,
    /// The run's journal is gone, another run's, or of another version.
    Journal,
    /// The program that runs it failed.
    Internal,
}

impl Stopped {
    /// There was no access token for a request.
    fn no_access(error: &CredentialError) -> Stopped {
        let message = format!(
            "{error}. Changes without an outcome stay pending; run the same plan again after that, it resumes where it stopped"
        );
        let reason = if error.is_other_account() {
            StopReason::Refused
        } else {
            StopReason::of(error.kind())
        };
        Stopped { reason, code: error.code().map(str::to_owned), message }
    }

    /// The account was not held, so nothing was handed out.
    fn not_held(error: &NotHeld) -> Stopped {
        match error {
            NotHeld::Unanswered(Unanswered::NoAccess(error)) => Stopped::no_access(error),
            NotHeld::Unanswered(Unanswered::Stopped) => {
                let message = format!(
                    "{}; run the same plan again, it resumes where it stopped",
                    Unanswered::Stopped
                );
                Stopped { reason: StopReason::Cancelled, code: None, message }
            }
            NotHeld::Unanswered(unanswered) => {
                let message = format!(
                    "asked which account the credential opens: {unanswered}. Changes without an outcome stay pending; run the same plan again after that, it resumes where it stopped"
                );
                Stopped { reason: StopReason::of(unanswered.kind()), code: None, message }
            }
            refused => Stopped {
                reason: StopReason::Refused,
                code: refused.code().map(str::to_owned),
                message: refused.to_string(),
            },
        }
    }
}

impl StopReason {
    fn of(kind: ErrorKind) -> StopReason {
        match kind {
            ErrorKind::Cancelled => StopReason::Cancelled,
            ErrorKind::Unauthorized => StopReason::Unauthorized,
            ErrorKind::RateLimited => StopReason::RateLimited,
            ErrorKind::Unavailable => StopReason::Unavailable,
            ErrorKind::Rejected | ErrorKind::InvalidConfig => StopReason::Rejected,
            ErrorKind::Other => StopReason::Component,
        }
    }
}

/// Why a run could not even start, or its journal could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The grant.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// There is no way to the CRM.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The plan was confirmed for another target or plugin.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The plan's changes cannot be read.
    #[error("cannot read the plan's changes: {0}")]
    Changes(#[from] arrow_schema::ArrowError),
    /// A thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs a confirmed plan, or a part of it, from where its journal ends. `watching` is told once
/// where to look for progress.
///
/// # Errors
/// Only for what makes running impossible. Whatever happens while running is in the [`Report`].
#[expect(
    clippy::too_many_arguments,
    reason = "each is a decision of its own, and none of them has a default"
)]
pub async fn run(
    component: &Component,
    grant: &Grant,
    confirmed: &ConfirmedPlan,
    part: Part,
    link: Link,
    journal: Journal,
    stop: StopSignal,
    watching: impl FnOnce(Watch),
) -> Result<Report, RunError> {
    // Of the error level, so that lines have it whatever the level is.
    let span =
        tracing::error_span!("run", run_id = %journal.run_id(), plan_id = %confirmed.plan().id());
    let running = async move {
        let header = confirmed.plan().header();
        let capabilities = component.capabilities(grant, &header.destination)?;
        let served = component.destination_type(&header.destination.destination_type)?;
        let question = component.question(&served.name)?;
        let plan = confirmed.plan().clone();
        tokio::task::spawn_blocking(move || plan.sync()).await.map_err(io::Error::other)??;
        let (changes, reader) = confirmed.plan().blocks();
        let outstanding = Outstanding::new();
        for job in journal.past().notes.iter().flat_map(|note| &note.jobs) {
            outstanding.opened(job.as_bytes());
        }
        let notes = journal.past().notes.len();
        let end = part.end(header.writable);
        let to_do = end - journal.past().done.below(end).count();
        let mark = journal.past().handed_out.min(header.writable);
        let in_doubt = mark - journal.past().done.below(mark).count();
        let settled = Arc::new(AtomicU64::new(0));
        let (holding, held) = held::held();
        let marking = Some((journal.marker(), end, held.clone()));
        let confirmed_resource = ConfirmedResource::new(
            changes,
            Selection::Below(end),
            journal.past().clone(),
            marking,
            outstanding.clone(),
            stop.clone(),
        )
        .with_joined(header.joined.clone());
        let sink = OutcomeSinkResource::new(
            journal.outcomes(),
            outstanding.clone(),
            Arc::clone(&settled),
            notes,
        );
        // Whoever expects it: a new access token that is said to open another one is not used.
        let held_to = link.held_to(header.account.as_ref().or(journal.past().account.as_ref()));
        let egress = Egress::running(
            capabilities,
            held_to,
            outstanding.clone(),
            held,
            component.loaded().budget(),
        );
        let traffic = egress.traffic();
        watching(Watch {
            run_id: journal.run_id().clone(),
            writable: end,
            counts: journal.durable(),
            traffic: Arc::clone(&traffic),
            pacer: Arc::clone(&link.pacer),
        });

        let mut peak_memory = PeakMemory::default();
        // Also where this part has nothing left to do: what was written in it may be read back
        // next.
        let hold = async {
            if header.writable > journal.past().done.count() {
                hold(question.as_ref(), &link, header, &journal, &traffic, &stop, holding).await?;
            }
            Ok(())
        };
        let mut stopped = if to_do > 0 {
            // What the component reads before it is handed anything need not wait.
            let calling =
                call(component, confirmed, egress, confirmed_resource, sink, &mut peak_memory);
            let (hold, calling) = (pin!(hold), pin!(calling));
            match select(hold, calling).await {
                Either::Left((Ok(()), calling)) => stopped(calling.await, &traffic),
                Either::Left((Err(error), _)) => Some(Stopped::not_held(&error)),
                Either::Right((called, hold)) => match hold.await {
                    Ok(()) => stopped(called, &traffic),
                    Err(error) => Some(Stopped::not_held(&error)),
                },
            }
        } else {
            // Nobody reads changes or reports outcomes.
            drop((confirmed_resource, sink));
            hold.await.err().map(|error| Stopped::not_held(&error))
        };
        reader.await.map_err(io::Error::other)??;

        if stopped.is_none() {
            settled.fetch_add(leave_nothing_open(&outstanding, &journal.outcomes()).await, Relaxed);
        }
        let left = to_do.saturating_sub(settled.load(Relaxed));
        match &stopped {
            None if left > 0 => {
                let message = format!(
                    "the plugin ended without taking {left} of {to_do} changes; they stay pending"
                );
                stopped = Some(Stopped { reason: StopReason::Component, code: None, message });
            }
            // It was asked to stop when there was nothing left to stop.
            Some(Stopped { reason: StopReason::Cancelled, .. }) if left == 0 => stopped = None,
            _ => {}
        }
        let (run_id, path) = (journal.run_id().clone(), journal.path().to_owned());
        let closing = match &stopped {
            None if end == header.writable => Closing::Finished,
            // What an earlier attempt has left in doubt is handed out first; until all of it is
            // settled, the doubt stays.
            _ if outstanding.held().0 == 0 && settled.load(Relaxed) >= in_doubt => Closing::Settled,
            _ => Closing::InDoubt,
        };
        let counts = journal.close(closing).await?;
        let ended =
            stopped.as_ref().map_or("all changes have an outcome", |stopped| &stopped.message);
        tracing::info!(
            updated = counts.updated,
            unchanged = counts.unchanged,
            failed = counts.failed,
            drifted = counts.drifted,
            unknown = counts.unknown,
            requests = traffic.requests(),
            refused = traffic.refused(),
            ended,
            "the run has ended"
        );
        Ok::<_, RunError>(Report {
            run_id,
            plan_id: header.plan_id.clone(),
            total: header.total,
            writable: header.writable,
            skipped: header.skipped,
            counts,
            pending: header.writable.saturating_sub(counts.done()),
            requests: traffic.requests(),
            refused: traffic.refused(),
            peak_memory: peak_memory.bytes(),
            stopped,
            journal: path,
            undoes: header.undoes.clone(),
            required_rights: served.required_rights.clone(),
        })
    };
    running.instrument(span).await
}

async fn call(
    component: &Component,
    confirmed: &ConfirmedPlan,
    egress: Egress,
    changes: ConfirmedResource,
    sink: OutcomeSinkResource,
    peak_memory: &mut PeakMemory,
) -> Result<Result<(), GuestError>, EngineError> {
    let header = confirmed.plan().header();
    let loaded = component.loaded();
    let (mut store, instance) = loaded.instantiate(egress).await?;
    *peak_memory = store.data().peak_memory();
    let table = &mut store.data_mut().table;
    let changes = table.push(changes).map_err(wasmtime::Error::from)?;
    let sink = table.push(sink).map_err(wasmtime::Error::from)?;
    let guest = instance.reverse_sync_destination_destination();
    let target = header.destination.target(&header.base_url);
    let mode = header.mode.into();
    called(loaded.deadline(), store, async |store| {
        guest.call_run(store, &target, mode, changes, sink).await
    })
    .await
}

/// Why a call ended before its time, if it did. The component cannot know that there was no access
/// token for a request; egress does.
fn stopped(
    called: Result<Result<(), GuestError>, EngineError>,
    traffic: &Traffic,
) -> Option<Stopped> {
    let error = match called {
        Ok(Ok(())) => return None,
        Ok(Err(_)) if let Some(error) = traffic.no_access() => {
            return Some(Stopped::no_access(error));
        }
        Ok(Err(error)) => traffic.told(error),
        Err(error) => {
            return Some(Stopped {
                reason: StopReason::Component,
                code: None,
                message: format!("{error}; changes without an outcome stay pending"),
            });
        }
    };
    let message = match error.kind {
        ErrorKind::Unauthorized | ErrorKind::RateLimited | ErrorKind::Unavailable => format!(
            "{}. Changes without an outcome stay pending; run the same plan again after that, it resumes where it stopped",
            error.message
        ),
        _ => error.message,
    };
    Some(Stopped { reason: StopReason::of(error.kind), code: error.code, message })
}

/// Asks the CRM for its account, if the plan, the source or an earlier attempt expects one. Later
/// attempts are held to what is found; what waits for it goes ahead.
async fn hold(
    question: Option<&Question>,
    link: &Link,
    header: &Header,
    journal: &Journal,
    traffic: &Traffic,
    stop: &StopSignal,
    holding: Holding,
) -> Result<(), NotHeld> {
    let before = journal.past().account.as_ref();
    let expected = [
        (Expecting::Plan, header.account.as_ref()),
        (Expecting::Run, before),
        (Expecting::Source, link.account.as_ref()),
    ];
    match account::hold(question, link, &expected, traffic, stop).await? {
        Some(account) if before != Some(&account) => journal.held_to(account).await,
        _ => {}
    }
    holding.known();
    Ok(())
}

/// A component that says it is done, and is not: what it was handed and did not report is unknown.
async fn leave_nothing_open(outstanding: &Outstanding, outcomes: &OutcomeQueue) -> u64 {
    let mut left = Outcomes::default();
    for row in outstanding.rows() {
        if let Some(evidence) = outstanding.settle(row, |_| true) {
            let message = "the plugin ended without saying what became of this change".to_owned();
            left.problems.push((
                Ending::Unknown,
                Problem::new(
                    evidence.ordinal,
                    row,
                    evidence.id,
                    None,
                    "no_outcome".to_owned(),
                    message,
                ),
            ));
        }
    }
    let count = left.problems.len() as u64;
    // If the journal's thread has failed, its own error is reported when the journal is closed.
    if outcomes.push(left).await.is_ok() { count } else { 0 }
}
