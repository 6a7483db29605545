//! A run as it is answered: what is on record, and where it stands right now.

use crate::{
    app::App,
    scheduler::live::{Live, Now},
    store::{RunRow, Status, StatusFilter, time_text},
};
use reverse_sync::{
    journal::Counts,
    passes::HowMany,
    summary::{ErrorEntry, RunSummary},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Records that were not updated, in the answer of a run.
pub(super) const ERRORS: usize = 1_000;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunStatus {
    /// Confirmed, and waiting for its turn.
    Queued,
    /// A limit of the CRM is used up that waiting a little does not cure. It resumes by itself at
    /// `due_at`.
    Waiting,
    /// Running.
    Running,
    /// It stops after the requests in flight.
    Cancelling,
    /// The service ended in the middle; it resumes when the service starts.
    Interrupted,
    /// It ended, and every change is in the CRM.
    Succeeded,
    /// It ended, and some records failed, drifted or are unknown.
    Failed,
    /// It ended early; what is pending can be resumed.
    Stopped,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunJson {
    /// What it came to, or has come to by now.
    #[serde(flatten)]
    pub(super) run: RunSummary,
    /// Its destination.
    destination_id: String,
    /// Where it stands.
    pub(super) status: RunStatus,
    /// Reading back that was asked for.
    verify: Option<HowMany>,
    /// Guards that were overridden.
    #[serde(rename = "override")]
    overridden: Vec<String>,
    /// Whether it can be undone: it was planned with the previous values, has ended, and has
    /// written something.
    can_undo: bool,
    /// Who confirmed it.
    started_by: String,
    /// When it was confirmed.
    created_at: String,
    /// When it began.
    started_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// When it resumes, if it waits.
    due_at: Option<String>,
    /// Milliseconds that its attempts took that have ended. Pauses between them are not counted,
    /// nor is an attempt that ended with the service.
    worked_ms: i64,
    /// When the current attempt began.
    working_since: Option<String>,
}

impl RunStatus {
    /// What the rows of such runs are stored as. A run that is being cancelled is stored in any
    /// unfinished state, and only the process that carries it out knows.
    pub(super) fn stored(self) -> StatusFilter {
        StatusFilter::Is(match self {
            RunStatus::Cancelling => return StatusFilter::Unfinished,
            RunStatus::Queued => Status::Queued,
            RunStatus::Waiting => Status::Waiting,
            RunStatus::Running => Status::Running,
            RunStatus::Interrupted => Status::Interrupted,
            RunStatus::Succeeded => Status::Succeeded,
            RunStatus::Failed => Status::Failed,
            RunStatus::Stopped => Status::Stopped,
        })
    }
}

impl RunJson {
    /// Of a row, which may be running in this process.
    pub(super) fn of(app: &App, row: &RunRow) -> RunJson {
        let live = app.jobs.live(&row.org_id, &row.run_id).filter(|_| row.status.is_unfinished());
        RunJson::at(row, live.as_deref())
    }

    fn at(row: &RunRow, live: Option<&Live>) -> RunJson {
        let options = &row.options;
        let result = row.result.as_ref().map(|result| &result.0);
        let unfinished = row.status.is_unfinished();
        let now = live.and_then(Live::now);
        // What an attempt before this one came to stands until this one has begun; from then on the
        // journal has the word. Nobody has looked into it yet if a service has just taken up what
        // another one has left.
        let counts = match (now.as_ref().and_then(|now| now.counts), result) {
            (Some(counts), _) => Some(counts),
            _ if row.begun && matches!(row.status, Status::Running | Status::Interrupted) => None,
            (None, Some(result)) => result.counts.known(),
            (None, None) => Some(Counts::default()),
        };
        // A run that waits says what it waits for.
        let ended = result
            .filter(|_| !unfinished || (row.status == Status::Waiting && now.is_none()))
            .cloned();
        let mut run = options.summary(row).with_counts(counts);
        if let Some(now) = &now {
            (run.requests, run.refused_requests) = (Some(now.requests), Some(now.refused));
        } else if let Some(ended) = &ended {
            (run.requests, run.refused_requests) = (ended.requests, ended.refused_requests);
        }
        if let Some(ended) = ended {
            run = RunSummary {
                ok: ended.ok.filter(|_| !unfinished),
                canary: ended.canary.or(run.canary),
                peak_memory_bytes: ended.peak_memory_bytes,
                required_rights: ended.required_rights,
                verified: ended.verified,
                stopped: ended.stopped,
                ..run
            };
        }
        RunJson {
            destination_id: row.destination_id.clone(),
            status: status(row, live, now.as_ref()),
            verify: options.checks.verify,
            overridden: options.overridden.clone(),
            can_undo: !unfinished && run.can_undo(options.mode),
            run,
            started_by: row.started_by.clone(),
            created_at: time_text(row.created_at),
            started_at: row.started_at.map(time_text),
            ended_at: row.ended_at.map(time_text),
            due_at: row.due_at.map(time_text),
            worked_ms: row.worked_ms,
            working_since: row.attempt_at.map(time_text),
        }
    }

    /// Records that were not updated.
    pub(super) fn problems(&self) -> u64 {
        [self.run.counts.failed, self.run.counts.drifted, self.run.counts.unknown]
            .into_iter()
            .flatten()
            .sum()
    }
}

fn status(row: &RunRow, live: Option<&Live>, now: Option<&Now>) -> RunStatus {
    match row.status {
        Status::Queued | Status::Waiting | Status::Running | Status::Interrupted
            if live.is_some_and(Live::is_cancelled) =>
        {
            RunStatus::Cancelling
        }
        // It has begun, and the row says so in a moment.
        Status::Queued | Status::Waiting | Status::Interrupted
            if now.is_some_and(|now| now.running) =>
        {
            RunStatus::Running
        }
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
    /// The first 1,000 records that were not updated, in the order of the plan.
    pub(super) errors: Vec<ErrorEntry>,
    /// Whether there are more; `GET /runs/{run_id}/outcomes` has all.
    pub(super) errors_truncated: bool,
}
