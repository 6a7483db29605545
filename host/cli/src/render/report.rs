//! What a run came to.

use super::{counted, number, plan_summary, run_command, shorten};
use crate::{
    global_args::{quoted, typed},
    rejects::Written,
    terminal,
};
use reverse_sync::{
    journal::{self, Ending, RunId},
    passes::{Canary, Done},
    plan::{Header, Plan, PlanMode},
    run::{Report, StopReason},
    summary::{ErrorEntry, PlanSummary, RunSummary},
    values::shown,
    verify::Verified,
    visible::one_line,
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeSeq},
};
use std::{
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Problems shown in the report; all of them are in the JSON and in the rejects file.
const PROBLEMS_SHOWN: usize = 10;

/// The finished run of a plan.
pub(crate) struct Applied {
    pub(crate) run_id: RunId,
    pub(crate) past: journal::Past,
    pub(crate) journal: PathBuf,
}

/// The JSON of a run, with that of its plan: nobody has shown it where it was confirmed by a flag.
#[derive(Serialize)]
struct RunJson<'a> {
    #[serde(flatten)]
    run: &'a RunSummary,
    errors: Errors<'a>,
    /// When it was run, if that was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejects: Option<&'a Written>,
    plan: PlanSummary,
}

/// The records that a run did not update, read from its journal while they are written, so that
/// there may be any number of them.
struct Errors<'a>(Option<&'a Path>);

impl Serialize for Errors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut errors = serializer.serialize_seq(None)?;
        let mut written = Ok(());
        if let Some(journal) = self.0 {
            let read = journal::read(journal, |ending, problem| {
                if written.is_ok() {
                    written = errors.serialize_element(&ErrorEntry::new(ending, problem));
                }
            });
            read.map_err(S::Error::custom)?;
        }
        written?;
        errors.end()
    }
}

/// Prints a run, with the errors in its journal.
pub(crate) fn run_json(
    run: &RunSummary,
    journal: Option<&Path>,
    plan: &Plan,
    rejects: Option<&Written>,
) -> anyhow::Result<()> {
    print(&RunJson {
        run,
        errors: Errors(journal),
        applied_at: None,
        rejects,
        plan: plan_summary(plan)?,
    })
}

fn print(run: &RunJson<'_>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(terminal::out());
    serde_json::to_writer(&mut out, run)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// A report for people.
pub(crate) fn report(done: &Done, header: &Header) -> anyhow::Result<String> {
    let report = &done.report;
    let mut out = String::new();
    let counts = &report.counts;
    let width = number(report.total).len();
    writeln!(out, "Run {}\n", report.run_id)?;
    writeln!(out, "  {:>width$} updated", number(counts.updated))?;
    for (count, what) in [
        (counts.unchanged, "unchanged"),
        (counts.failed, "failed"),
        (counts.drifted, "drifted: changed in the CRM since the plan was made, so not written"),
        (counts.unknown, "unknown: sent, and no answer says whether it was applied"),
        (report.pending, "pending"),
    ] {
        if count > 0 {
            writeln!(out, "  {:>width$} {what}", number(count))?;
        }
    }
    writeln!(out, "  {:>width$} skipped", number(report.skipped))?;
    writeln!(
        out,
        "  {:>width$} in all; {}",
        counted(report.total, "golden record"),
        counted(report.requests, "request")
    )?;
    if report.refused > 0 {
        writeln!(
            out,
            "\n  ! Refused at egress: {} of the plugin; the log says why",
            counted(report.refused, "request")
        )?;
    }
    let mut shown = 0;
    let mut text = String::new();
    journal::read(&report.journal, |ending, problem| {
        shown += 1;
        if shown <= PROBLEMS_SHOWN {
            let outcome = match ending {
                Ending::Failed => "failed",
                Ending::Drifted => "drifted",
                Ending::Unknown => "unknown",
            };
            let status = problem.status.map(|status| format!("HTTP {status} ")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {} (row {}) {outcome}: {status}{}: {}",
                problem.provider_id,
                problem.row,
                one_line(&problem.code),
                shorten(&problem.message, 300)
            );
        }
    })?;
    if shown > 0 {
        writeln!(out, "\nRecords that were not updated:\n{text}")?;
        if shown > PROBLEMS_SHOWN {
            writeln!(
                out,
                "  … and {} more; --json or --rejects FILE give all of them",
                number((shown - PROBLEMS_SHOWN) as u64)
            )?;
        }
    }
    if let Some(verified) = &done.verified {
        verification(&mut out, verified)?;
    }
    if let Some(canary) = done.canary.filter(|canary| canary.held == Some(false)) {
        canary_died(&mut out, canary, report, header)?;
    }
    if let Some(stopped) = &report.stopped {
        let code = stopped
            .code
            .as_deref()
            .map(|code| format!(" [{}]", one_line(code)))
            .unwrap_or_default();
        writeln!(out, "\nStopped{code}: {}", one_line(&stopped.message))?;
        if stopped.reason == StopReason::Unauthorized
            && !stopped.message.contains(&report.required_rights)
        {
            writeln!(out, "The credential needs: {}", one_line(&report.required_rights))?;
        }
        if report.pending > 0 {
            writeln!(out, "To continue where it stopped:\n\n  {}", run_command(header))?;
        }
    }
    Ok(out)
}

/// What the CRM holds of what was written.
fn verification(out: &mut String, verified: &Result<Verified, String>) -> std::fmt::Result {
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => {
            return writeln!(
                out,
                "\n  ! What was written could not be read back: {}",
                one_line(error)
            );
        }
    };
    writeln!(
        out,
        "\nRead back: {} of {} records hold what was written",
        number(verified.as_written),
        number(verified.verified)
    )?;
    for difference in verified.stored_differently.iter().take(PROBLEMS_SHOWN) {
        let (written, now) = (shown(Some(&difference.written)), shown(Some(&difference.now)));
        writeln!(
            out,
            "  ! {} (row {}): {} was written as {written}, and the CRM holds {now}",
            difference.provider_id,
            difference.row,
            one_line(&difference.field),
            written = one_line(&written),
            now = one_line(&now)
        )?;
    }
    for not_read in verified.not_read.iter().take(PROBLEMS_SHOWN) {
        writeln!(
            out,
            "  ! {} (row {}): {}",
            not_read.provider_id,
            not_read.row,
            shorten(&not_read.reason, 300)
        )?;
    }
    if verified.stored_differently.len().max(verified.not_read.len()) > PROBLEMS_SHOWN {
        writeln!(out, "  … and more; --json gives the first 1,000 of each kind")?;
    }
    Ok(())
}

/// The first changes did not do what they should, so the rest was not written.
fn canary_died(
    out: &mut String,
    canary: Canary,
    report: &Report,
    header: &Header,
) -> std::fmt::Result {
    writeln!(
        out,
        "\nNot all of the canary ({}) holds what was written, so {} stay pending.",
        counted(canary.size, "record"),
        number(report.pending)
    )?;
    writeln!(out, "To continue with them all the same:\n\n  {}", run_command(header))?;
    if header.mode == PlanMode::Compare {
        let undo = typed(format_args!("undo {}", report.run_id));
        writeln!(out, "\nTo put back what was written:\n\n  {undo}")
    } else {
        writeln!(out, "\nWhat was written cannot be undone: the plan was made without --compare.")
    }
}

/// The JSON of a stored plan that has been applied: what its run came to, and that nothing was sent
/// now.
pub(crate) fn applied_already_json(plan: &Plan, applied: &Applied) -> anyhow::Result<()> {
    let run = RunSummary::past(applied.run_id.clone(), &applied.past, Some(plan.header()));
    let run = RunSummary { requests: Some(0), refused_requests: Some(0), ..run };
    let (errors, applied_at) =
        (Errors(Some(&applied.journal)), Some(applied.past.started_at.as_str()));
    print(&RunJson { run: &run, errors, applied_at, rejects: None, plan: plan_summary(plan)? })
}

/// A stored plan that has been applied.
pub(crate) fn applied_already(header: &Header, applied: &Applied) {
    let counts = &applied.past.counts;
    terminal::print(format_args!(
        "Nothing to do: this plan was applied by run {} at {} ({} updated, {} failed, {} drifted, {} unknown). To push the same values again, plan again: {}\n",
        applied.run_id,
        applied.past.started_at,
        counts.updated,
        counts.failed,
        counts.drifted,
        counts.unknown,
        typed(format_args!("plan {}", quoted(&header.destination.name)))
    ));
}
