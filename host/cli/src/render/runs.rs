//! The list of runs.

use super::number;
use crate::{global_args::typed, terminal};
use reverse_sync::{plan::PlanId, summary::RunSummary};
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// One run, as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    pub(crate) run: RunSummary,
    pub(crate) started_at: String,
    pub(crate) status: Status,
    pub(crate) destination: Option<String>,
    pub(crate) can_undo: bool,
    /// What to type to continue it.
    #[serde(skip)]
    pub(crate) again: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Succeeded,
    /// It has ended, and some records failed, drifted or are unknown.
    Failed,
    /// Stopped or interrupted; running the plan again resumes it.
    Stopped,
    Running,
    /// Its journal is damaged; running the plan again reads from the CRM what the journal does not
    /// say.
    Damaged,
}

/// The list for programs.
pub(crate) fn runs_json(runs: &[Listed]) -> io::Result<()> {
    let mut out = terminal::out();
    serde_json::to_writer(&mut out, runs)?;
    out.write_all(b"\n")
}

/// The list for people, oldest first.
pub(crate) fn runs(runs: &[Listed]) -> String {
    if runs.is_empty() {
        return "Nothing was run here yet.\n".to_owned();
    }
    let mut out = String::new();
    for run in runs {
        // Writing to a string cannot fail.
        let _ = one(&mut out, run);
    }
    out
}

fn one(out: &mut String, run: &Listed) -> std::fmt::Result {
    let started_at = run.started_at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let run_id = run.run.run_id.as_ref().map_or("", |run_id| run_id.as_str());
    write!(
        out,
        "{run_id}  {started_at}Z  {}",
        run.destination.as_deref().unwrap_or("(its plan is not here)")
    )?;
    if let Some(counts) = run.run.counts.known() {
        write!(out, "  {} updated", number(counts.updated))?;
        for (count, what) in [
            (counts.unchanged, "unchanged"),
            (counts.failed, "failed"),
            (counts.drifted, "drifted"),
            (counts.unknown, "unknown"),
        ] {
            if count > 0 {
                write!(out, ", {} {what}", number(count))?;
            }
        }
    }
    let again =
        |plan: &PlanId| run.again.clone().unwrap_or_else(|| typed(format_args!("run {plan}")));
    match (run.status, &run.run.plan_id) {
        (Status::Succeeded | Status::Failed, _) => {}
        (Status::Stopped, Some(plan)) => {
            write!(out, "  (not finished; continue with: {})", again(plan))?
        }
        (Status::Stopped, None) => write!(out, "  (not finished)")?,
        (Status::Running, _) => write!(out, "  (running)")?,
        (Status::Damaged, Some(plan)) => {
            write!(
                out,
                "  (its journal is damaged, so nobody knows what it wrote; continue with: {})",
                again(plan)
            )?;
        }
        (Status::Damaged, None) => write!(
            out,
            "  (its journal is damaged, so nobody knows what it wrote; run its plan again)"
        )?,
    }
    if let Some(undone) = &run.run.undoes {
        write!(out, "  (undid {undone})")?;
    }
    writeln!(out, "{}", if run.can_undo { "  can be undone" } else { "" })
}
