//! What a run came to.

use super::{number, plan::facts, shorten};
use crate::{rejects::Written, terminal};
use reverse_sync::{
    journal::{self, Ending, Problem, RunId},
    passes::{Canary, Done},
    plan::{Header, Plan, PlanMode},
    run::{Report, StopReason},
    values::shown,
    verify::Verified,
    visible::one_line,
};
use serde::Serialize;
use serde_json::json;
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

/// A plan that needs no run.
pub(crate) fn nothing_to_do_json(plan: &Plan, rejects: Option<&Written>) -> anyhow::Result<()> {
    let header = plan.header();
    let rest = json!({
        "total": header.total, "writable": 0, "unchanged": 0, "failed": 0, "drifted": 0, "unknown": 0, "pending": 0, "plan_id": header.plan_id,
    });
    let head = json!({"ok": true, "dry_run": false, "updated": 0, "skipped": header.skipped});
    answer(&head, None, rest, plan, rejects)
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    provider_id: &'a str,
    row: u64,
    outcome: Ending,
    response: ResponseJson<'a>,
}

#[derive(Serialize)]
struct ResponseJson<'a> {
    status: Option<u16>,
    code: &'a str,
    message: &'a str,
}

/// The JSON of a run, with that of its plan: nobody has shown it where it was confirmed by a flag.
pub(crate) fn report_json(done: &Done, plan: &Plan, rejects: Option<&Written>, required_rights: &str) -> anyhow::Result<()> {
    let report = &done.report;
    let counts = &report.counts;
    let mut rest = json!({
        "total": report.total, "writable": report.writable, "unchanged": counts.unchanged, "failed": counts.failed, "drifted": counts.drifted, "unknown": counts.unknown, "pending": report.pending,
        "plan_id": report.plan_id, "run_id": report.run_id, "requests": report.requests, "refused_requests": report.refused, "stopped": report.stopped,
    });
    if report.stopped.as_ref().is_some_and(|stopped| stopped.reason == StopReason::Unauthorized) {
        rest["required_rights"] = json!(required_rights);
    }
    if let Some(canary) = &done.canary {
        rest["canary"] = json!(canary);
    }
    match &done.verified {
        // Its keys stand beside the others.
        Some(Ok(verified)) => {
            if let (Some(rest), Ok(serde_json::Value::Object(verified))) = (rest.as_object_mut(), serde_json::to_value(verified)) {
                rest.extend(verified);
            }
        }
        Some(Err(error)) => rest["not_verified"] = json!(error),
        None => {}
    }
    let head = json!({"ok": done.ok(), "dry_run": false, "updated": counts.updated, "skipped": report.skipped});
    answer(&head, Some(&report.journal), rest, plan, rejects)
}

/// Prints counts, errors, and what the plan says. Errors are streamed from the journal, so that there may be any number of them.
fn answer(
    head: &serde_json::Value,
    journal: Option<&Path>,
    mut rest: serde_json::Value,
    plan: &Plan,
    rejects: Option<&Written>,
) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(terminal::out());
    let head = head.to_string();
    write!(out, "{},\"errors\":[", &head[..head.len() - 1])?;
    let mut first = true;
    let mut failed: anyhow::Result<()> = Ok(());
    if let Some(journal) = journal {
        journal::read(journal, |ending, problem| {
            if failed.is_ok() {
                failed = error_json(&mut out, ending, &problem, std::mem::replace(&mut first, false)).map_err(Into::into);
            }
        })?;
    }
    failed?;
    if let Some(rejects) = rejects {
        rest["rejects"] = json!(rejects);
    }
    let rest = rest.to_string();
    write!(out, "],{},", &rest[1..rest.len() - 1])?;
    // In its own text, so that numbers keep their digits.
    let facts = serde_json::to_string(&facts(plan)?)?;
    writeln!(out, "{}", &facts[1..])?;
    Ok(out.flush()?)
}

fn error_json(out: &mut impl Write, outcome: Ending, problem: &Problem, first: bool) -> io::Result<()> {
    if !first {
        out.write_all(b",")?;
    }
    let response = ResponseJson { status: problem.status, code: &problem.code, message: &problem.message };
    Ok(serde_json::to_writer(out, &ErrorJson { provider_id: &problem.provider_id, row: problem.row, outcome, response })?)
}

/// A report for people.
pub(crate) fn report(done: &Done, header: &Header, required_rights: &str) -> anyhow::Result<String> {
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
    writeln!(out, "  {:>width$} golden records in all; {} requests", number(report.total), number(report.requests))?;
    if report.refused > 0 {
        writeln!(out, "\n  ! {} requests of the component were refused at egress; the log says why", number(report.refused))?;
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
            writeln!(out, "  … and {} more; --json or --rejects FILE give all of them", number((shown - PROBLEMS_SHOWN) as u64))?;
        }
    }
    if let Some(verified) = &done.verified {
        verification(&mut out, verified)?;
    }
    if let Some(canary) = done.canary.filter(|canary| !canary.held) {
        canary_died(&mut out, canary, report, header)?;
    }
    if let Some(stopped) = &report.stopped {
        let code = stopped.code.as_deref().map(|code| format!(" [{}]", one_line(code))).unwrap_or_default();
        writeln!(out, "\nStopped{code}: {}", one_line(&stopped.message))?;
        if stopped.reason == StopReason::Unauthorized {
            writeln!(out, "The credential needs: {}", one_line(required_rights))?;
        }
        if report.pending > 0 {
            writeln!(out, "To go on where it stopped:\n\n  reverse-sync run {}", report.plan_id)?;
        }
    }
    Ok(out)
}

/// What the CRM holds of what was written.
fn verification(out: &mut String, verified: &Result<Verified, String>) -> std::fmt::Result {
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => return writeln!(out, "\n  ! What was written could not be read back: {}", one_line(error)),
    };
    writeln!(out, "\nRead back: {} of {} records hold what was written", number(verified.as_written), number(verified.verified))?;
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
        writeln!(out, "  ! {} (row {}): {}", not_read.provider_id, not_read.row, shorten(&not_read.reason, 300))?;
    }
    if verified.stored_differently.len().max(verified.not_read.len()) > PROBLEMS_SHOWN {
        writeln!(out, "  … and more; --json gives the first 1,000 of each kind")?;
    }
    Ok(())
}

/// The first changes did not do what they should, so the rest was not written.
fn canary_died(out: &mut String, canary: Canary, report: &Report, header: &Header) -> std::fmt::Result {
    writeln!(
        out,
        "\nThe first {} changes did not all come to hold what was written, so {} stay pending.",
        canary.size,
        number(report.pending)
    )?;
    writeln!(out, "To go on with them all the same:\n\n  reverse-sync run {}", report.plan_id)?;
    if header.mode == PlanMode::Compare {
        writeln!(out, "\nTo put back what was written:\n\n  reverse-sync undo {}", report.run_id)
    } else {
        writeln!(out, "\nWhat was written cannot be undone: the plan was made without --compare.")
    }
}

/// The JSON of a stored plan that has been applied: what its run came to, and that nothing was sent now.
pub(crate) fn applied_already_json(plan: &Plan, applied: &Applied) -> anyhow::Result<()> {
    let (header, counts) = (plan.header(), &applied.past.counts);
    let ok = counts.failed + counts.drifted + counts.unknown == 0;
    let rest = json!({
        "total": header.total, "writable": header.writable, "unchanged": counts.unchanged, "failed": counts.failed, "drifted": counts.drifted, "unknown": counts.unknown, "pending": 0,
        "plan_id": header.plan_id, "run_id": applied.run_id, "requests": 0, "applied_at": applied.past.started_at,
    });
    let head = json!({"ok": ok, "dry_run": false, "updated": counts.updated, "skipped": header.skipped});
    answer(&head, Some(&applied.journal), rest, plan, None)
}

/// A stored plan that has been applied.
pub(crate) fn applied_already(header: &Header, applied: &Applied) {
    let counts = &applied.past.counts;
    terminal::print(format_args!(
        "Nothing to do: this plan was applied by run {} at {} ({} updated, {} failed, {} drifted, {} unknown). To push the same values again, plan again: reverse-sync plan {}\n",
        applied.run_id, applied.past.started_at, counts.updated, counts.failed, counts.drifted, counts.unknown, header.destination.name
    ));
}
