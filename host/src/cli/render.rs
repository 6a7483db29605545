//! What people and programs read: plans, reports, errors. Counts first, then what would change, then what to type.

use crate::exit::Failure;
use reverse_sync::{
    component::{Component, Effect, Phase},
    journal::{self, Ending, Past, Problem, RunId},
    plan::{Header, SampleChange},
    run::{Report, StopReason},
};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

/// Problems shown in the report; all of them are in the JSON and in the rejects file.
const PROBLEMS_SHOWN: usize = 10;

/// An error with its causes.
pub(crate) fn error(failure: &Failure) {
    eprintln!("error: {:#}", failure.error);
}

#[derive(Serialize)]
struct PlanJson<'a> {
    dry_run: bool,
    total: u64,
    writable: u64,
    skipped: u64,
    sample: &'a [SampleChange],
    plan_id: &'a str,
    skipped_by_reason: &'a BTreeMap<String, u64>,
    fields: &'a BTreeMap<String, u64>,
    dropped_fields: Vec<serde_json::Value>,
    warnings: Vec<String>,
    destination: &'a str,
    component: String,
}

/// The JSON of a dry run.
pub(crate) fn plan_json(header: &Header) -> io::Result<()> {
    let json = PlanJson {
        dry_run: true,
        total: header.total,
        writable: header.writable,
        skipped: header.skipped,
        sample: &header.sample,
        plan_id: header.plan_id.as_str(),
        skipped_by_reason: &header.skipped_by_reason,
        fields: &header.fields,
        dropped_fields: header.dropped_fields.iter().map(|dropped| json!({"name": dropped.name, "reason": dropped.reason})).collect(),
        warnings: warnings(header),
        destination: &header.destination.name,
        component: header.component.digest.to_string(),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &json)?;
    out.write_all(b"\n")
}

/// The plan's warnings, and the likely cause when there is nothing to write.
fn warnings(header: &Header) -> Vec<String> {
    let mut warnings = header.warnings.clone();
    if header.writable == 0 {
        let cause = if header.total == 0 {
            "there are no golden records; check `records`".to_owned()
        } else if header.skipped_by_reason.keys().any(|reason| reason.starts_with("provider_id_")) {
            let field = header.destination.config_json.get("provider_id_field").and_then(|field| field.as_str()).unwrap_or("provider id");
            format!(
                "nothing would be written: no golden record carries a usable provider id in `{field}`; ingest and resolve the CRM source first, so that its record ids arrive with the records"
            )
        } else {
            "nothing would be written: see the reasons above".to_owned()
        };
        warnings.push(cause);
    }
    warnings
}

/// A plan for people. `next` says what to type.
pub(crate) fn plan(header: &Header, next: bool) -> String {
    let mut out = String::new();
    let destination = &header.destination;
    let _ = plan_into(&mut out, header, next, destination.name.as_str());
    out
}

fn plan_into(out: &mut String, header: &Header, next: bool, name: &str) -> std::fmt::Result {
    writeln!(out, "Plan for {name}: {} at {}", header.destination.destination_type, header.base_url)?;
    writeln!(out)?;
    let width = number(header.total).len();
    writeln!(out, "  {:>width$} golden records", number(header.total))?;
    writeln!(out, "  {:>width$} would be updated", number(header.writable))?;
    writeln!(out, "  {:>width$} would be skipped", number(header.skipped))?;
    for (reason, count) in &header.skipped_by_reason {
        writeln!(out, "      {:>width$} {}", number(*count), reason_in_words(reason))?;
    }
    if !header.fields.is_empty() {
        writeln!(out, "\nFields written:")?;
        let longest = header.fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (field, count) in &header.fields {
            writeln!(out, "  {field:<longest$}  {} records", number(*count))?;
        }
    }
    if !header.dropped_fields.is_empty() {
        writeln!(out, "\nColumns not written:")?;
        let longest = header.dropped_fields.iter().map(|dropped| dropped.name.chars().count()).max().unwrap_or(0);
        for dropped in &header.dropped_fields {
            writeln!(out, "  {:<longest$}  {}", dropped.name, dropped_in_words(&dropped.reason))?;
        }
    }
    let warnings = warnings(header);
    if !warnings.is_empty() {
        writeln!(out, "\nWarnings:")?;
        for warning in &warnings {
            writeln!(out, "  ! {warning}")?;
        }
    }
    if !header.sample.is_empty() {
        writeln!(out, "\nSample ({} of {}):", header.sample.len(), number(header.writable))?;
        for change in &header.sample {
            writeln!(out, "  {}  {}", change.provider_id, shorten(change.fields.get(), 160))?;
        }
    }
    writeln!(out)?;
    if next {
        writeln!(out, "Nothing was written. This is {}.", header.plan_id)?;
        if header.writable > 0 {
            writeln!(out, "To write exactly this:\n\n  reverse-sync run {}", header.plan_id)?;
        }
    }
    Ok(())
}

fn reason_in_words(reason: &str) -> String {
    let words = match reason {
        "provider_id_missing" => "have no provider id column",
        "provider_id_null" => "have no provider id (null)",
        "provider_id_empty" => "have an empty provider id",
        "provider_id_not_pristine" => "have a provider id that is not as the CRM issued it",
        "no_writable_field" => "have no field to write",
        "value_not_encodable" => "have a value that cannot be written",
        "duplicate_id" => "claim a CRM record that another golden record claims too",
        _ => "",
    };
    if words.is_empty() { reason.to_owned() } else { format!("{words} ({reason})") }
}

fn dropped_in_words(reason: &str) -> String {
    match reason {
        "provider_id" => "is the key".to_owned(),
        "internal" => "is internal".to_owned(),
        "read_only" => "is read-only in the CRM".to_owned(),
        "not_in_fields" => "is not in `fields`".to_owned(),
        "not_in_records" => "is in `fields`, but the golden records do not have it".to_owned(),
        "unsupported_type" => "has a type that cannot be written".to_owned(),
        other => other.to_owned(),
    }
}

/// A plan that needs no run.
pub(crate) fn nothing_to_do_json(header: &Header) -> io::Result<()> {
    let json = json!({
        "ok": true, "dry_run": false, "updated": 0, "skipped": header.skipped, "errors": [],
        "total": header.total, "unchanged": 0, "failed": 0, "drifted": 0, "unknown": 0, "pending": 0, "plan_id": header.plan_id,
    });
    writeln!(io::stdout().lock(), "{json}")
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

/// The JSON of a run. Its errors are streamed from the journal, so that there may be any number of them.
pub(crate) fn report_json(report: &Report) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let counts = &report.counts;
    write!(out, "{{\"ok\":{},\"dry_run\":false,\"updated\":{},\"skipped\":{},\"errors\":[", report.ok(), counts.updated, report.skipped)?;
    let mut first = true;
    let mut failed: anyhow::Result<()> = Ok(());
    journal::read(&report.journal, |ending, problem| {
        if failed.is_ok() {
            failed = error_json(&mut out, ending, &problem, std::mem::replace(&mut first, false)).map_err(Into::into);
        }
    })?;
    failed?;
    let rest = json!({
        "total": report.total, "unchanged": counts.unchanged, "failed": counts.failed, "drifted": counts.drifted, "unknown": counts.unknown, "pending": report.pending,
        "plan_id": report.plan_id, "run_id": report.run_id, "requests": report.requests, "refused_requests": report.refused, "stopped": report.stopped,
    });
    let rest = rest.to_string();
    writeln!(out, "],{}", &rest[1..])?;
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
pub(crate) fn report(report: &Report, required_rights: &str) -> anyhow::Result<String> {
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
                problem.code,
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
    if let Some(stopped) = &report.stopped {
        let code = stopped.code.as_deref().map(|code| format!(" [{code}]")).unwrap_or_default();
        writeln!(out, "\nStopped{code}: {}", stopped.message)?;
        if stopped.reason == StopReason::Unauthorized {
            writeln!(out, "The credential needs: {required_rights}")?;
        }
        if report.pending > 0 {
            writeln!(out, "To go on where it stopped:\n\n  reverse-sync run {}", report.plan_id)?;
        }
    }
    Ok(out)
}

/// A stored plan that has been applied.
pub(crate) fn applied_already(header: &Header, (run_id, past): &(RunId, Past)) {
    let counts = &past.counts;
    println!(
        "Nothing to do: this plan was applied by run {run_id} at {} ({} updated, {} failed, {} unknown). To push the same values again, plan again: reverse-sync plan {}",
        past.started_at, counts.updated, counts.failed, counts.unknown, header.destination.name
    );
}

/// What a component asks for, in words.
pub(crate) fn component(component: &Component, file: Option<&Path>) -> String {
    let mut out = String::new();
    let _ = component_into(&mut out, component, file);
    out
}

fn component_into(out: &mut String, component: &Component, file: Option<&Path>) -> std::fmt::Result {
    let descriptor = component.descriptor();
    let from = file.map_or_else(|| "bundled with this command".to_owned(), |file| file.display().to_string());
    writeln!(out, "{} {} ({from})\n{}\n", descriptor.name, descriptor.version, component.digest())?;
    writeln!(out, "It never sees a credential. While planning it has no network, apart from reads listed here for `plan`.")?;
    for served in &descriptor.destinations {
        writeln!(out, "\n{} (for sources of provider {})\n  {}", served.name, served.provider, served.description)?;
        writeln!(out, "  The credential needs: {}", served.required_rights)?;
        writeln!(out, "  It asks to:")?;
        for capability in &served.capabilities {
            let what = match capability.effect {
                Effect::Read => "read",
                Effect::Write => "UPDATE confirmed records",
                Effect::Job => "open, close or cancel a job with a fixed text (only if the grant names it)",
            };
            let how_many = match &capability.body {
                reverse_sync::bindings::capabilities::Body::Many(many) => format!(", up to {} at once", many.max),
                reverse_sync::bindings::capabilities::Body::Csv(form) => format!(", up to {} in an upload that a job works on", form.max),
                _ if capability.effect == Effect::Read && capability.path.contains("${job}") => " about a job that it opened".to_owned(),
                reverse_sync::bindings::capabilities::Body::One(text) if capability.effect == Effect::Job => format!(": {text}"),
                _ => ", one at a time".to_owned(),
            };
            let when = match capability.phase {
                Phase::Plan => "while planning",
                Phase::Run => "in a confirmed run",
            };
            writeln!(out, "    - {what}{how_many}, {when}\n      {}", reverse_sync::capability::label(capability))?;
        }
        if let Some(limit) = served.pacing.limit {
            writeln!(
                out,
                "  Pace: at most {} calls in {} s until the CRM says otherwise",
                limit.requests,
                f64::from(limit.window_ms) / 1_000.0
            )?;
        }
    }
    if file.is_some() {
        writeln!(
            out,
            "\nTo let it do this (jobs have to be named), add to the project file:\n\n[[grants]]\ncomponent = \"{}\"",
            component.digest()
        )?;
        writeln!(out, "# or only some of it, or jobs too: capabilities = [\"run PATCH …\"]")?;
    }
    Ok(())
}

/// With thousands separated, as people read numbers.
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max { text.to_owned() } else { text.chars().take(max).chain(['…']).collect() }
}
