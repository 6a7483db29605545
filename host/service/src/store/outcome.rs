//! What a run was asked to do, and what it came to: the JSON in the columns `runs.options` and `runs.result`.

use reverse_sync::{
    journal::{Counts, KnownCounts},
    passes::{Canary, Checks, Done},
    plan::{Header, PlanMode},
    run::StopReason,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What was confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunOptions {
    /// Guards that were overridden by name.
    #[serde(rename = "override")]
    pub overridden: Vec<String>,
    /// A canary, and reading back.
    #[serde(flatten)]
    pub checks: Checks,
    /// How its plan was made.
    pub mode: PlanMode,
    /// Golden records.
    pub total: u64,
    /// Changes in the plan.
    pub writable: u64,
    /// Golden records that are not in the plan's changes.
    pub skipped: u64,
    /// The run that it undoes.
    pub undoes: Option<String>,
    /// The component that made the plan and runs it; `None` in runs of earlier versions.
    #[serde(default)]
    pub component: Option<String>,
    /// Somebody asked it to stop. It stays so over a restart.
    #[serde(default)]
    pub cancelled: bool,
}

super::decode!(RunOptions, "runs.options", serde_json::from_str::<RunOptions>);
super::decode!(RunResult, "runs.result", serde_json::from_str::<RunResult>);

impl RunOptions {
    /// For a plan.
    pub fn new(header: &Header, overridden: Vec<String>, checks: Checks) -> RunOptions {
        RunOptions {
            overridden,
            checks,
            mode: header.mode,
            total: header.total,
            writable: header.writable,
            skipped: header.skipped,
            undoes: header.undoes.as_ref().map(ToString::to_string),
            component: Some(header.component.digest.to_string()),
            cancelled: false,
        }
    }
}

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stopped {
    /// `cancelled`, `unauthorized`, `rate_limited`, `unavailable`, `rejected`, `component`; `refused`: the gate did not open, or the credential
    /// opens another account (`other_account`) or one that nobody knows (`account_unknown`); `credential`: there is no usable credential; `internal`: the service failed.
    pub reason: String,
    /// The CRM's own code, if there was one.
    pub code: Option<String>,
    /// What happened and what to do.
    pub message: String,
}

impl Stopped {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Stopped {
        Stopped { reason: reason.to_owned(), code: None, message: message.into() }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// Whether every change is in the CRM now, as far as anybody looked.
    pub ok: bool,
    /// How changes ended, over all attempts.
    #[serde(flatten)]
    pub counts: KnownCounts,
    /// Changes without an outcome.
    pub pending: Option<u64>,
    /// Requests that left in the last attempt, without those that read back what it had written.
    pub requests: u64,
    /// Requests of that attempt that egress refused.
    pub refused_requests: u64,
    /// The most memory that the component had in that attempt, in bytes.
    pub peak_memory_bytes: u64,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
    /// What the first changes came to.
    pub canary: Option<Canary>,
    /// What was read back, or why it could not be.
    pub verified: Option<Value>,
    /// The rights that the credential needs, if it lacked some.
    pub required_rights: Option<String>,
}

impl RunResult {
    /// A run that has not got as far as writing, with what its journal says by now, if that can be read.
    pub(crate) fn not_begun(counts: Option<Counts>, writable: u64, stopped: Stopped) -> RunResult {
        RunResult {
            ok: false,
            counts: counts.into(),
            pending: counts.map(|counts| writable.saturating_sub(counts.done())),
            requests: 0,
            refused_requests: 0,
            peak_memory_bytes: 0,
            stopped: Some(stopped),
            canary: None,
            verified: None,
            required_rights: None,
        }
    }

    pub(crate) fn of(done: &Done, required_rights: &str) -> RunResult {
        let report = &done.report;
        let stopped = report.stopped.as_ref().map(|stopped| Stopped {
            reason: serde_json::to_value(stopped.reason).ok().and_then(|reason| Some(reason.as_str()?.to_owned())).unwrap_or_default(),
            code: stopped.code.clone(),
            message: stopped.message.clone(),
        });
        let unauthorized = report.stopped.as_ref().is_some_and(|stopped| stopped.reason == StopReason::Unauthorized);
        RunResult {
            ok: done.ok(),
            counts: Some(report.counts).into(),
            pending: Some(report.pending),
            requests: report.requests,
            refused_requests: report.refused,
            peak_memory_bytes: report.peak_memory,
            stopped,
            canary: done.canary,
            verified: done.verified.as_ref().map(|verified| match verified {
                Ok(verified) => json!(verified),
                Err(error) => json!({ "error": error }),
            }),
            required_rights: unauthorized.then(|| required_rights.to_owned()),
        }
    }

    /// The counts of its row in the audit log.
    pub(crate) fn audited(&self, options: &RunOptions) -> Value {
        let counts = &self.counts;
        json!({
            "total": options.total, "writable": options.writable, "updated": counts.updated, "unchanged": counts.unchanged, "failed": counts.failed,
            "drifted": counts.drifted, "unknown": counts.unknown, "pending": self.pending, "skipped": options.skipped,
        })
    }
}
