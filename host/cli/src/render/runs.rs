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

/// The list for people, newest first.
pub(crate) fn runs(runs: &[Listed]) -> String {
    if runs.is_empty() {
        return "Nothing was run here yet.\n".to_owned();
    }
    let longest = |header: &str, of: fn(&Listed) -> &str| {
        runs.iter().map(|run| of(run).chars().count()).chain([header.len()]).max().unwrap_or(0)
    };
    let widths = (longest("RUN", id), longest("DESTINATION", destination));
    let mut out = format!(
        "{:<run$}  {:<20}  {:<name$}  RESULT\n",
        "RUN",
        "STARTED",
        "DESTINATION",
        run = widths.0,
        name = widths.1
    );
    for run in runs {
        let undone = runs.iter().find(|other| {
            other.status == Status::Succeeded
                && other.run.undoes.as_ref() == run.run.run_id.as_ref()
                && run.run.run_id.is_some()
        });
        // Writing to a string cannot fail.
        let _ = one(&mut out, run, widths, undone);
    }
    out
}

fn id(run: &Listed) -> &str {
    run.run.run_id.as_ref().map_or("", |run_id| run_id.as_str())
}

fn destination(run: &Listed) -> &str {
    run.destination.as_deref().unwrap_or("(its plan is gone)")
}

fn one(
    out: &mut String,
    run: &Listed,
    widths: (usize, usize),
    undone: Option<&Listed>,
) -> std::fmt::Result {
    let started_at = run.started_at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    write!(
        out,
        "{:<id$}  {started_at}Z  {:<name$}",
        id(run),
        destination(run),
        id = widths.0,
        name = widths.1
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
    match undone {
        Some(undone) => writeln!(out, "  (undone by {})", id(undone)),
        None if run.can_undo => writeln!(out, "  can be undone"),
        None => writeln!(out),
    }
}
