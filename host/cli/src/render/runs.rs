//! The list of runs.

use super::number;
use crate::terminal;
use reverse_sync::{
    journal::{KnownCounts, RunId},
    plan::PlanId,
};
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// One run, as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) run_id: RunId,
    pub(crate) started_at: String,
    pub(crate) state: State,
    pub(crate) plan_id: Option<PlanId>,
    pub(crate) destination: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: KnownCounts,
    pub(crate) undoes: Option<RunId>,
    pub(crate) can_be_undone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Finished,
    /// Stopped or broken off; running the plan again goes on.
    Pending,
    UnderWay,
    /// Its journal is damaged; running the plan again reads from the CRM what the journal does not say.
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
    write!(out, "{}  {started_at}Z  {}", run.run_id, run.destination.as_deref().unwrap_or("(its plan is not here)"))?;
    if let Some(counts) = run.counts.known() {
        write!(out, "  {} updated", number(counts.updated))?;
        for (count, what) in
            [(counts.unchanged, "unchanged"), (counts.failed, "failed"), (counts.drifted, "drifted"), (counts.unknown, "unknown")]
        {
            if count > 0 {
                write!(out, ", {} {what}", number(count))?;
            }
        }
    }
    match (run.state, &run.plan_id) {
        (State::Finished, _) => {}
        (State::Pending, Some(plan)) => write!(out, "  (not finished; go on with: reverse-sync run {plan})")?,
        (State::Pending, None) => write!(out, "  (not finished)")?,
        (State::UnderWay, _) => write!(out, "  (under way)")?,
        (State::Damaged, Some(plan)) => {
            write!(out, "  (its journal is damaged, so nobody knows what it wrote; go on with: reverse-sync run {plan})")?;
        }
        (State::Damaged, None) => write!(out, "  (its journal is damaged, so nobody knows what it wrote; run its plan again)")?,
    }
    if let Some(undone) = &run.undoes {
        write!(out, "  (undid {undone})")?;
    }
    writeln!(out, "{}", if run.can_be_undone { "  can be undone" } else { "" })
}
