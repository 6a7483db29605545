//! A plan and a run as JSON: what the command prints, what the service answers and keeps, and what
//! its page shows.
//!
//! A front end that knows more flattens these into a type of its own.
//!
//! ```no_run
//! use reverse_sync::{Done, Plan, PlanSummary, RunSummary};
//!
//! # fn show(plan: &Plan, done: &Done) -> Result<(), Box<dyn std::error::Error>> {
//! let shown = PlanSummary::of(plan, 10)?;
//! println!("{}", serde_json::to_string_pretty(&shown)?);
//! let run = RunSummary::of(done);
//! assert_eq!(run.plan_id.as_ref(), Some(plan.id()));
//! # Ok(())
//! # }
//! ```

use crate::{
    ids::{PlanId, RunId},
    journal::{Counts, Ending, KnownCounts, Past, Problem, Response},
    passes::{Canary, Done},
    plan::{DroppedField, Guard, Header, Plan, PlanError, PlanMode, SampleChange, SkippedRows},
    run::{StopReason, Stopped},
    verify::Verified,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanSummary {
    /// Always true: nothing was written.
    pub dry_run: bool,
    /// Golden records; of an undo, the records that the run has written.
    pub total: u64,
    /// Records that would be updated.
    pub writable: u64,
    /// All others.
    pub skipped: u64,
    /// The first changes; left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub sample: Option<Vec<SampleChange>>,
    /// Names the plan: the same for the same golden records, destination and plugin.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub plan_id: PlanId,
    /// Where it would be written.
    pub destination: PlannedFor,
    /// The CRM's base URL; null in plans of earlier versions.
    pub base_url: Option<String>,
    /// The account that it was made with, and that its runs require, by the CRM's own name; null if
    /// nobody asked (offline) or it is not known.
    pub account: Option<String>,
    /// `offline`: without asking the CRM; `online`: with its metadata; `compare`: with its records.
    pub mode: PlanMode,
    /// Records that are not written, by reason.
    pub skipped_by_reason: BTreeMap<String, u64>,
    /// The first of them that are left out for a reason of their own, such as a value that cannot
    /// be written; of an undo, those that somebody changed since. Left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub skipped_rows: Option<Vec<SkippedRows>>,
    /// Whether there are more of them. Left out where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub more_skipped_rows: Option<bool>,
    /// How many records each field would be written for.
    pub fields: BTreeMap<String, u64>,
    /// Columns that are not written.
    pub dropped_fields: Vec<DroppedField>,
    /// What the person who confirms should know.
    pub warnings: Vec<String>,
    /// What the person who confirms has to override by name.
    pub guards: Vec<Guard>,
    /// The run that it undoes.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub undoes: Option<RunId>,
    /// When it was made.
    pub planned_at: String,
    /// The digest of the plugin that made it, and alone may run it.
    pub component: String,
    /// The likely cause, if there is nothing to write.
    pub hint: Option<String>,
}

/// The destination of a plan, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedFor {
    /// Its name.
    pub name: String,
    /// Its type.
    pub destination_type: String,
}

impl PlanSummary {
    /// Of a plan, with up to `rows` of its skipped rows that have a reason of their own.
    ///
    /// # Errors
    /// If the plan's file of skipped rows cannot be read.
    pub fn of(plan: &Plan, rows: usize) -> Result<PlanSummary, PlanError> {
        let header = plan.header();
        let mut skipped_rows = plan.explained_rows(rows + 1)?;
        let more_skipped_rows = Some(skipped_rows.len() > rows);
        skipped_rows.truncate(rows);
        Ok(PlanSummary {
            dry_run: true,
            total: header.total,
            writable: header.writable,
            skipped: header.skipped,
            sample: Some(header.sample.clone()),
            plan_id: header.plan_id.clone(),
            destination: PlannedFor {
                name: header.destination.name.clone(),
                destination_type: header.destination.destination_type.clone(),
            },
            base_url: Some(header.base_url.clone()),
            account: header.account.as_ref().map(ToString::to_string),
            mode: header.mode,
            skipped_by_reason: header.skipped_by_reason.clone(),
            skipped_rows: Some(skipped_rows),
            more_skipped_rows,
            fields: header.fields.clone(),
            dropped_fields: header.dropped_fields.clone(),
            warnings: header.warnings.clone(),
            guards: header.guards.clone(),
            undoes: header.undoes.clone(),
            planned_at: header.planned_at.clone(),
            component: header.component.digest.to_string(),
            hint: header.hint(),
        })
    }

    /// As it is listed.
    #[must_use]
    pub fn listed(self) -> PlanSummary {
        PlanSummary { sample: None, skipped_rows: None, more_skipped_rows: None, ..self }
    }
}

/// A run. The numbers add up: updated + unchanged + failed + drifted + unknown + pending =
/// writable, and with skipped = total. What is not known, because the run's journal or its plan
/// cannot be read, is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSummary {
    /// Whether every change is in the CRM, as far as was checked; null while it is running.
    pub ok: Option<bool>,
    /// Always false: what was confirmed was written.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub dry_run: bool,
    /// Its id; left out if the plan had nothing to write and so was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = true))]
    pub run_id: Option<RunId>,
    /// Its plan.
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = true))]
    pub plan_id: Option<PlanId>,
    /// Golden records.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub total: Option<u64>,
    /// Changes in the plan.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub writable: Option<u64>,
    /// How changes ended, over all attempts.
    #[serde(flatten)]
    pub counts: KnownCounts,
    /// Changes without an outcome.
    pub pending: Option<u64>,
    /// Golden records that are not in the plan's changes.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub skipped: Option<u64>,
    /// The run that it undoes.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub undoes: Option<RunId>,
    /// Requests of the last attempt that write, and that read what is about to be written. Reading
    /// back what was written (`canary`, `verify`) is not counted.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub requests: Option<u64>,
    /// Requests of that attempt that egress refused.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, required = true))]
    pub refused_requests: Option<u64>,
    /// The most memory that the plugin had in that attempt, in bytes; null before it has ended.
    pub peak_memory_bytes: Option<u64>,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
    /// The canary that was asked for.
    pub canary: Option<Canary>,
    /// What was read back, or why it could not be.
    pub verified: Option<Verification>,
    /// The rights that the credential needs, if it lacked some.
    pub required_rights: Option<String>,
}

/// What was read back of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Verification {
    /// It was read back.
    Read(Verified),
    /// It could not be.
    Failed {
        /// Why.
        error: String,
    },
}

impl RunSummary {
    /// Of a plan of which nothing was written yet.
    pub fn begun(header: &Header) -> RunSummary {
        RunSummary {
            plan_id: Some(header.plan_id.clone()),
            total: Some(header.total),
            writable: Some(header.writable),
            skipped: Some(header.skipped),
            undoes: header.undoes.clone(),
            requests: Some(0),
            refused_requests: Some(0),
            ..RunSummary::default()
        }
        .with_counts(Some(Counts::default()))
    }

    /// Of a run that has ended, early or not.
    pub fn of(done: &Done) -> RunSummary {
        let report = &done.report;
        let unauthorized = report
            .stopped
            .as_ref()
            .is_some_and(|stopped| stopped.reason == StopReason::Unauthorized);
        RunSummary {
            ok: Some(done.ok()),
            run_id: Some(report.run_id.clone()),
            requests: Some(report.requests),
            refused_requests: Some(report.refused),
            peak_memory_bytes: Some(report.peak_memory),
            stopped: report.stopped.clone(),
            canary: done.canary,
            verified: done.verified.as_ref().map(|verified| match verified {
                Ok(verified) => Verification::Read(verified.clone()),
                Err(error) => Verification::Failed { error: error.clone() },
            }),
            required_rights: unauthorized.then(|| report.required_rights.clone()),
            plan_id: Some(report.plan_id.clone()),
            total: Some(report.total),
            writable: Some(report.writable),
            skipped: Some(report.skipped),
            undoes: report.undoes.clone(),
            ..RunSummary::default()
        }
        .with_counts(Some(report.counts))
    }

    /// Of a run as its journal tells it, and its plan, if that is still there.
    pub fn past(run_id: RunId, past: &Past, header: Option<&Header>) -> RunSummary {
        let Counts { failed, drifted, unknown, .. } = past.counts;
        RunSummary {
            ok: past.damage.is_none().then_some(past.finished && failed + drifted + unknown == 0),
            run_id: Some(run_id),
            plan_id: past.plan_id.clone(),
            requests: None,
            refused_requests: None,
            ..header.map(RunSummary::begun).unwrap_or_default()
        }
        .with_counts(past.damage.is_none().then_some(past.counts))
    }

    /// With these counts, and what is pending then.
    #[must_use]
    pub fn with_counts(self, counts: Option<Counts>) -> RunSummary {
        let pending = counts.and_then(|counts| Some(self.writable?.saturating_sub(counts.done())));
        RunSummary { counts: counts.into(), pending, ..self }
    }

    /// Whether it can be undone once it has ended: it was planned with the previous values, and may
    /// have written something.
    pub fn can_undo(&self, mode: PlanMode) -> bool {
        mode == PlanMode::Compare
            && self.counts.known().is_none_or(|counts| counts.updated + counts.unknown > 0)
    }
}

/// A record that a run did not update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RecordError))]
pub struct ErrorEntry {
    /// The CRM's record id.
    pub provider_id: String,
    /// The golden record's row, from 1.
    pub row: u64,
    /// How it ended.
    pub outcome: Ending,
    /// The CRM's answer.
    pub response: Response,
}

impl ErrorEntry {
    /// Of a problem in the journal.
    pub fn new(outcome: Ending, problem: Problem) -> ErrorEntry {
        let Problem { row, provider_id, status, code, message, .. } = problem;
        ErrorEntry { provider_id, row, outcome, response: Response { status, code, message } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::sample, run::Report};
    use serde_json::{Value, json};

    #[test]
    fn a_run_adds_up_and_can_be_kept() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 5);
        let header = plan.header();
        let counts = Counts { updated: 1, unchanged: 1, failed: 1, drifted: 0, unknown: 0 };
        let report = Report {
            run_id: RunId::new(plan.id(), 1),
            plan_id: plan.id().clone(),
            total: header.total,
            writable: header.writable,
            skipped: header.skipped,
            counts,
            pending: 2,
            requests: 3,
            refused: 1,
            peak_memory: 7,
            stopped: Some(Stopped {
                reason: StopReason::Unauthorized,
                code: None,
                message: "no".to_owned(),
            }),
            journal: dir.path().join("journal"),
            undoes: None,
            required_rights: "a scope".to_owned(),
        };
        let done = Done {
            report,
            canary: None,
            verified: Some(Err("not read".to_owned())),
            unread: false,
        };
        let run = RunSummary::of(&done);
        let json: Value = serde_json::to_value(&run).unwrap();
        assert_eq!(
            (&json["ok"], &json["dry_run"], &json["verified"]),
            (&json!(false), &json!(false), &json!({"error": "not read"}))
        );
        assert_eq!(
            (&json["peak_memory_bytes"], &json["refused_requests"], &json["required_rights"]),
            (&json!(7), &json!(1), &json!("a scope"))
        );
        let sum = |names: &[&str]| -> u64 {
            names.iter().map(|name| json[*name].as_u64().unwrap()).sum()
        };
        assert_eq!(
            sum(&["updated", "unchanged", "failed", "drifted", "unknown", "pending"]),
            header.writable
        );
        assert_eq!(sum(&["writable", "skipped"]), header.total);
        assert_eq!(serde_json::from_value::<RunSummary>(json).unwrap(), run);
        let unknown = serde_json::to_value(run.with_counts(None)).unwrap();
        assert!(unknown["updated"].is_null() && unknown["pending"].is_null(), "{unknown}");
    }

    #[test]
    fn what_earlier_versions_have_kept_of_a_run_is_read() {
        let kept = json!({
            "ok": false, "updated": 2, "unchanged": 0, "failed": 1, "drifted": 0, "unknown": 0, "pending": 0, "requests": 3, "refused_requests": 0,
            "peak_memory_bytes": 5, "stopped": {"reason": "journal", "code": null, "message": "gone"}, "canary": {"size": 2, "held": true},
            "verified": {"verified": 2, "as_written": 1, "different": 1, "not_read": [],
                "stored_differently": [{"row": 1, "provider_id": "1", "field": "a", "written": 1, "now": null}]},
            "required_rights": null,
        });
        let run: RunSummary = serde_json::from_value(kept).unwrap();
        assert_eq!(
            (run.counts.updated, run.canary, run.dry_run),
            (Some(2), Some(Canary { size: 2, held: Some(true) }), false)
        );
        assert!(
            matches!(run.verified, Some(Verification::Read(Verified { as_written: 1, .. }))),
            "{run:?}"
        );
    }

    #[test]
    fn a_kept_plan_has_its_digits() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 5);
        let json = serde_json::to_string(&PlanSummary::of(&plan, 2).unwrap()).unwrap();
        let rows: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (rows["skipped_rows"].as_array().unwrap().len(), &rows["more_skipped_rows"]),
            (2, &json!(true))
        );
        let json = json.replacen("\"note\":\"city\"", "\"note\":12345678901234567890.10", 1);
        let kept: PlanSummary = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), json);
        assert!(json.contains("12345678901234567890.10") && kept.listed().sample.is_none());
    }
}
