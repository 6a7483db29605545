//! A run as it is answered: what is on record, and where it stands right now.

use crate::{
    app::App,
    jobs::live::{Live, Now},
    store::{OutcomeRow, RunRow, Status, Stopped, time_text},
};
use reverse_sync::{
    journal::{Counts, KnownCounts, Response},
    passes::HowMany,
    plan::PlanMode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Records that were not updated, in the answer of a run.
pub(super) const ERRORS: usize = 1_000;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunStatus {
    /// Confirmed, and waiting for its turn.
    Queued,
    /// A limit of the CRM is used up that waiting a little does not cure. It goes on by itself at `due_at`.
    Waiting,
    /// Under way.
    Running,
    /// It stops after the requests in flight.
    Cancelling,
    /// The service ended in the middle; it goes on when the service starts.
    Interrupted,
    /// It came to its end, and every change is in the CRM.
    Succeeded,
    /// It came to its end, and some records failed, drifted or are unknown.
    Failed,
    /// It ended early; what is pending can be resumed.
    Stopped,
}

/// A run. The numbers add up: updated + unchanged + failed + drifted + unknown + pending = writable, and with skipped = total. What nobody
/// knows, because the run's journal cannot be read, is null.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunJson {
    /// Its id.
    pub(super) run_id: String,
    /// Its plan.
    plan_id: String,
    /// Its destination.
    destination_id: String,
    /// Where it stands.
    pub(super) status: RunStatus,
    /// Whether every change is in the CRM; null while it is under way.
    ok: Option<bool>,
    /// Golden records.
    total: u64,
    /// Changes in the plan.
    writable: u64,
    /// Changes that the CRM has confirmed.
    updated: Option<u64>,
    /// Records that held the values already.
    unchanged: Option<u64>,
    /// Records that the CRM refused.
    failed: Option<u64>,
    /// Records that were changed in the CRM since they were planned, and so were not written.
    drifted: Option<u64>,
    /// Changes that were sent, and no answer says whether they were applied.
    unknown: Option<u64>,
    /// Changes without an outcome.
    pending: Option<u64>,
    /// Golden records that are not in the plan's changes.
    skipped: u64,
    /// Requests with which the last attempt has written, and read what it was about to write. Reading back what was written (`canary`, `verify`)
    /// is not among them; `GET /runs/{run_id}/requests` has all.
    requests: u64,
    /// As many as the service did not let out.
    refused_requests: u64,
    /// Why it ended early, if it did.
    stopped: Option<Stopped>,
    /// The canary that was asked for.
    canary: Option<CanaryJson>,
    /// What was read back: `verified`, `as_written`, `different`, `stored_differently`, `not_read`; or why it could not be: `error`.
    #[schema(value_type = Option<Object>)]
    verified: Option<Value>,
    /// Reading back that was asked for.
    verify: Option<HowMany>,
    /// Guards that were overridden.
    #[serde(rename = "override")]
    overridden: Vec<String>,
    /// The run that it undoes.
    undoes: Option<String>,
    /// Whether it can be undone: it was planned with the values before, has ended, and has written something.
    can_undo: bool,
    /// Who confirmed it.
    started_by: String,
    /// When it was confirmed.
    created_at: String,
    /// When it began.
    started_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// When it goes on, if it waits.
    due_at: Option<String>,
    /// The most memory that the component had in the last attempt, in bytes; null before there is an end.
    peak_memory_bytes: Option<u64>,
    /// The rights that the credential needs, if it lacked some.
    required_rights: Option<String>,
}

/// A canary: so many changes are written first, and read back.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Canary)]
struct CanaryJson {
    /// How many.
    size: u64,
    /// Whether all of them held what was written; null before that is known.
    held: Option<bool>,
}

impl RunJson {
    /// Of a row, which may be under way in this process.
    pub(super) fn of(app: &App, row: &RunRow) -> RunJson {
        let live = app.jobs.live(&row.org_id, &row.run_id).filter(|_| row.status.is_under_way());
        RunJson::at(row, live.as_deref())
    }

    fn at(row: &RunRow, live: Option<&Live>) -> RunJson {
        let options = &row.options;
        let under_way = row.status.is_under_way();
        let now = live.and_then(Live::now);
        // What an attempt before this one came to stands until this one has begun; from then on the journal has the word. Nobody has looked
        // into it yet if a service has just taken up what another one has left.
        let counts = match (now.as_ref().and_then(|now| now.counts), &row.result) {
            (Some(counts), _) => Some(counts),
            _ if row.begun && matches!(row.status, Status::Running | Status::Interrupted) => None,
            (None, Some(result)) => result.counts.known(),
            (None, None) => Some(Counts::default()),
        };
        // A run that waits says what it waits for.
        let ended = row.result.as_ref().filter(|_| !under_way || (row.status == Status::Waiting && now.is_none()));
        let (requests, refused_requests) = match (&now, &ended) {
            (Some(now), _) => (now.requests, now.refused),
            (None, Some(ended)) => (ended.requests, ended.refused_requests),
            (None, None) => (0, 0),
        };
        let KnownCounts { updated, unchanged, failed, drifted, unknown } = counts.into();
        let held = ended.and_then(|ended| ended.canary).map(|canary| canary.held);
        RunJson {
            run_id: row.run_id.clone(),
            plan_id: row.plan_id.clone(),
            destination_id: row.destination_id.clone(),
            status: status(row, live, now.as_ref()),
            ok: ended.filter(|_| !under_way).map(|ended| ended.ok),
            total: options.total,
            writable: options.writable,
            updated,
            unchanged,
            failed,
            drifted,
            unknown,
            pending: counts.map(|counts| options.writable.saturating_sub(counts.done())),
            skipped: options.skipped,
            requests,
            refused_requests,
            canary: options.checks.canary.map(|size| CanaryJson { size: size.get(), held }),
            verify: options.checks.verify,
            overridden: options.overridden.clone(),
            undoes: options.undoes.clone(),
            can_undo: !under_way && options.mode == PlanMode::Compare && counts.is_none_or(|counts| counts.updated + counts.unknown > 0),
            started_by: row.started_by.clone(),
            created_at: time_text(row.created_at),
            started_at: row.started_at.map(time_text),
            ended_at: row.ended_at.map(time_text),
            due_at: row.due_at.map(time_text),
            peak_memory_bytes: ended.map(|ended| ended.peak_memory_bytes),
            required_rights: ended.and_then(|ended| ended.required_rights.clone()),
            verified: ended.and_then(|ended| ended.verified.clone()),
            stopped: ended.and_then(|ended| ended.stopped.clone()),
        }
    }

    /// Records that were not updated.
    pub(super) fn problems(&self) -> u64 {
        [self.failed, self.drifted, self.unknown].into_iter().flatten().sum()
    }
}

fn status(row: &RunRow, live: Option<&Live>, now: Option<&Now>) -> RunStatus {
    match row.status {
        Status::Queued | Status::Waiting | Status::Running | Status::Interrupted if live.is_some_and(Live::is_cancelled) => {
            RunStatus::Cancelling
        }
        // It has begun, and the row says so in a moment.
        Status::Queued | Status::Waiting | Status::Interrupted if now.is_some_and(|now| now.running) => RunStatus::Running,
        Status::Queued => RunStatus::Queued,
        Status::Waiting => RunStatus::Waiting,
        Status::Running => RunStatus::Running,
        Status::Interrupted => RunStatus::Interrupted,
        Status::Succeeded => RunStatus::Succeeded,
        Status::Failed => RunStatus::Failed,
        Status::Stopped => RunStatus::Stopped,
    }
}

/// The answer of a run that has ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndedRun)]
pub(super) struct RunAnswer {
    /// The run.
    #[serde(flatten)]
    pub(super) run: RunJson,
    /// Always false: what was confirmed was written.
    pub(super) dry_run: bool,
    /// The first 1,000 records that were not updated, in the order of the plan.
    pub(super) errors: Vec<ErrorJson>,
    /// Whether there are more; `GET /runs/{run_id}/outcomes` has all.
    pub(super) errors_truncated: bool,
}

/// A record that was not updated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordError)]
pub(super) struct ErrorJson {
    provider_id: String,
    /// The golden record's row, from 1.
    row: i64,
    /// `failed`, `drifted` or `unknown`.
    outcome: String,
    response: Response,
}

impl From<OutcomeRow> for ErrorJson {
    fn from(row: OutcomeRow) -> ErrorJson {
        let response =
            Response { status: row.http_status.and_then(|status| u16::try_from(status).ok()), code: row.code, message: row.message };
        ErrorJson { provider_id: row.provider_id, row: row.row_number, outcome: row.outcome, response }
    }
}
