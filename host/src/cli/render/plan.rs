//! A plan, for the person who confirms it and for programs.

use super::{number, shorten};
use reverse_sync::{
    guards,
    plan::{Guard, Header, Plan, PlanError, PlanMode, SampleChange, SkippedRows},
    undo::AS_BEFORE,
    values::{is_empty, members, shown},
};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write},
};

/// Records that an undo leaves alone, shown one by one; all of them are in the rejects file.
const LEFT_ALONE_SHOWN: usize = 10;
/// The same for programs.
const LEFT_ALONE_IN_JSON: usize = 1_000;

#[derive(Serialize)]
struct PlanJson<'a> {
    dry_run: bool,
    mode: PlanMode,
    total: u64,
    writable: u64,
    skipped: u64,
    sample: &'a [SampleChange],
    plan_id: &'a str,
    skipped_by_reason: &'a BTreeMap<String, u64>,
    fields: &'a BTreeMap<String, u64>,
    dropped_fields: Vec<serde_json::Value>,
    warnings: Vec<String>,
    guards: &'a [Guard],
    destination: &'a str,
    account: Option<&'a str>,
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_alone: Option<Vec<serde_json::Value>>,
}

/// The JSON of a dry run.
pub(crate) fn plan_json(plan: &Plan) -> anyhow::Result<()> {
    let header = plan.header();
    let left_alone = header.undoes.as_ref().map(|_| left_alone(plan, LEFT_ALONE_IN_JSON)).transpose()?;
    let json = PlanJson {
        dry_run: true,
        mode: header.mode,
        total: header.total,
        writable: header.writable,
        skipped: header.skipped,
        sample: &header.sample,
        plan_id: header.plan_id.as_str(),
        skipped_by_reason: &header.skipped_by_reason,
        fields: &header.fields,
        dropped_fields: header.dropped_fields.iter().map(|dropped| json!({"name": dropped.name, "reason": dropped.reason})).collect(),
        warnings: warnings(header),
        guards: &header.guards,
        destination: &header.destination.name,
        account: header.account.as_ref().map(|account| account.as_str()),
        component: header.component.digest.to_string(),
        undoes: header.undoes.as_ref().map(|run| run.as_str()),
        left_alone: left_alone
            .map(|left| left.iter().map(|rows| json!({"row": rows.first_row, "reason": rows.reason, "detail": rows.detail})).collect()),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &json)?;
    Ok(out.write_all(b"\n")?)
}

/// The plan's warnings, and the likely cause when there is nothing to write.
fn warnings(header: &Header) -> Vec<String> {
    let mut warnings = header.warnings.clone();
    warnings.extend(header.hint());
    warnings
}

/// A plan for people. `next` says what to type.
pub(crate) fn plan(plan: &Plan, next: bool) -> Result<String, PlanError> {
    let header = plan.header();
    let left_alone = if header.undoes.is_some() { left_alone(plan, LEFT_ALONE_SHOWN + 1)? } else { Vec::new() };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = plan_into(&mut out, header, &left_alone, next);
    Ok(out)
}

/// Records that an undo does not touch, apart from those that need no touching.
fn left_alone(plan: &Plan, max: usize) -> Result<Vec<SkippedRows>, PlanError> {
    plan.skipped_rows()?.filter(|rows| rows.as_ref().map_or(true, |rows| rows.reason != AS_BEFORE)).take(max).collect()
}

fn plan_into(out: &mut String, header: &Header, left_alone: &[SkippedRows], next: bool) -> std::fmt::Result {
    counts(out, header)?;
    if !left_alone.is_empty() {
        writeln!(out, "\nLeft alone:")?;
        for rows in left_alone.iter().take(LEFT_ALONE_SHOWN) {
            writeln!(out, "  {} (row {})", shorten(rows.detail.as_deref().unwrap_or(&rows.reason), 300), rows.first_row)?;
        }
        if left_alone.len() > LEFT_ALONE_SHOWN {
            writeln!(out, "  … and more; --rejects FILE gives all of them")?;
        }
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
            sample(out, change)?;
        }
    }
    if !header.guards.is_empty() {
        writeln!(out, "\nHeld back by guards:")?;
        for guard in &header.guards {
            writeln!(out, "  ! {}\n    if this is intended, override with --override {}", guard.message, guard.name)?;
        }
    }
    writeln!(out)?;
    if next {
        writeln!(out, "Nothing was written. This is {}.", header.plan_id)?;
        if header.writable > 0 {
            let flags = if header.guards.is_empty() { String::new() } else { format!(" {}", guards::flags(&header.guards)) };
            let in_spite = if header.guards.is_empty() { "" } else { ", in spite of the guards" };
            writeln!(out, "To write exactly this{in_spite}:\n\n  reverse-sync run {}{flags}", header.plan_id)?;
        }
    }
    Ok(())
}

/// Where a plan would be written: the CRM, and the account in it, if that is known.
pub(crate) fn place(header: &Header) -> String {
    let account = header.account.as_ref().map(|account| format!(", account {account}"));
    format!("{}{}", header.base_url, account.unwrap_or_default())
}

fn counts(out: &mut String, header: &Header) -> std::fmt::Result {
    let name = &header.destination.name;
    let (total, writable, skipped) = (number(header.total), number(header.writable), number(header.skipped));
    let width = total.len();
    match &header.undoes {
        None => {
            let mode = match header.mode {
                PlanMode::Offline => "offline",
                PlanMode::Online => "online: with the CRM's metadata",
                PlanMode::Compare => "compared with the CRM's records",
            };
            writeln!(out, "Plan for {name}: {} at {} ({mode})\n", header.destination.destination_type, place(header))?;
            writeln!(out, "  {total} golden records")?;
            writeln!(out, "  {writable:>width$} would be updated")?;
            writeln!(out, "  {skipped:>width$} would be skipped")?;
        }
        Some(run_id) => {
            writeln!(out, "Plan to undo {run_id} for {name}: {} at {}\n", header.destination.destination_type, place(header))?;
            writeln!(out, "  {total} records were written by that run")?;
            writeln!(out, "  {writable:>width$} would be put back")?;
            writeln!(out, "  {skipped:>width$} would be left alone")?;
        }
    }
    for (reason, count) in &header.skipped_by_reason {
        writeln!(out, "      {:>width$} {}", number(*count), reason_in_words(reason))?;
    }
    Ok(())
}

/// A change: on one line as it will be written; field by field where there is something before, or something is cleared.
fn sample(out: &mut String, change: &SampleChange) -> std::fmt::Result {
    let fields = members(change.fields.get());
    let before = change.before.as_ref().map(|before| members(before.get()));
    if before.is_none() && !fields.values().any(is_empty) {
        return writeln!(out, "  {}  {}", change.provider_id, shorten(change.fields.get(), 160));
    }
    writeln!(out, "  {}", change.provider_id)?;
    let longest = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, after) in &fields {
        let after = if is_empty(after) { "(cleared)".to_owned() } else { shown(Some(after)) };
        match &before {
            Some(before) => writeln!(out, "    {name:<longest$}  {} -> {after}", shown(before.get(name)))?,
            None => writeln!(out, "    {name:<longest$}  {after}")?,
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
        "changed_since" => "were changed in the CRM since that run",
        "as_before" => "hold what they held before already",
        "gone" => "are not in the CRM any more",
        "unreadable" => "cannot be read in the CRM",
        "unchanged" => "hold these values already",
        "merged" => "were merged into another record in the CRM",
        "deleted" => "were deleted in the CRM",
        "not_found" => "are not in the CRM",
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
        "unknown_field" => "is no field of the CRM's object".to_owned(),
        "not_in_fields" => "is not in `fields`".to_owned(),
        "not_in_records" => "is in `fields`, but the golden records do not have it".to_owned(),
        "unsupported_type" => "has a type that cannot be written".to_owned(),
        other => other.to_owned(),
    }
}
