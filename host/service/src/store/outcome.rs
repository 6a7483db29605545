//! What a run was asked to do, the JSON in the column `runs.options`; and what it came to, a
//! [`RunSummary`] in `runs.result`.

use crate::store::RunRow;
use reverse_sync::{
    journal::Counts,
    passes::{Canary, Checks},
    plan::{Header, PlanMode},
    run::{StopReason, Stopped},
    summary::RunSummary,
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

super::decode!(RunOptions, serde_json::from_str::<RunOptions>);
super::decode!(RunResult, |text| serde_json::from_str(text).map(RunResult));

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult(pub RunSummary);

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

impl RunOptions {
    /// A run as it was confirmed.
    pub fn summary(&self, row: &RunRow) -> RunSummary {
        let summary = RunSummary {
            run_id: row.run_id.parse().ok(),
            plan_id: row.plan_id.parse().ok(),
            total: Some(self.total),
            writable: Some(self.writable),
            skipped: Some(self.skipped),
            undoes: self.undoes.as_ref().and_then(|run| run.parse().ok()),
            requests: Some(0),
            refused_requests: Some(0),
            canary: self.checks.canary.map(|size| Canary { size: size.get(), held: None }),
            ..RunSummary::default()
        };
        summary.with_counts(Some(Counts::default()))
    }
}

pub(crate) fn stop(reason: StopReason, message: impl Into<String>) -> Stopped {
    Stopped { reason, code: None, message: message.into() }
}

/// A run that has not got as far as writing, with what its journal says by now, if that can be
/// read.
pub(crate) fn not_begun(
    options: &RunOptions,
    row: &RunRow,
    counts: Option<Counts>,
    stopped: Stopped,
) -> RunSummary {
    let run = options.summary(row).with_counts(counts);
    RunSummary { ok: Some(false), peak_memory_bytes: Some(0), stopped: Some(stopped), ..run }
}

/// The counts of a run's row in the audit log.
pub(crate) fn audited(run: &RunSummary) -> Value {
    let counts = &run.counts;
    json!({
        "total": run.total, "writable": run.writable, "updated": counts.updated, "unchanged": counts.unchanged, "failed": counts.failed,
        "drifted": counts.drifted, "unknown": counts.unknown, "pending": run.pending, "skipped": run.skipped,
    })
}
