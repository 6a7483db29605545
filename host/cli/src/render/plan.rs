//! A plan, for the person who confirms it and for programs.

use super::{counted, number, shorten};
use crate::{exit::flags, global_args::typed, rejects::Written, terminal};
use reverse_sync::{
    guards,
    plan::{Guard, Header, Plan, PlanError, PlanMode, PlannedChange, SampleChange, SkippedRows},
    summary::PlanSummary,
    values::{is_empty, members, shown},
    visible::one_line,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{fmt::Write as _, io::Write};

/// Rows that are left out for a reason of their own, shown one by one; all of them are in the
/// rejects file.
const EXPLAINED_SHOWN: usize = 10;
/// The same for programs.
const EXPLAINED_IN_JSON: usize = 1_000;

/// The JSON of a dry run.
#[derive(Serialize)]
struct PlanJson<'a> {
    #[serde(flatten)]
    plan: PlanSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejects: Option<&'a Written>,
}

/// The JSON of a dry run.
pub(crate) fn plan_json(plan: &Plan, rejects: Option<&Written>) -> anyhow::Result<()> {
    let json = serde_json::to_string(&PlanJson { plan: plan_summary(plan)?, rejects })?;
    Ok(writeln!(terminal::out(), "{json}")?)
}

/// A plan, for programs.
pub(crate) fn plan_summary(plan: &Plan) -> Result<PlanSummary, PlanError> {
    PlanSummary::of(plan, EXPLAINED_IN_JSON)
}

/// The plan's warnings, and the likely cause when there is nothing to write.
fn warnings(header: &Header) -> Vec<String> {
    let mut warnings = header.warnings.clone();
    warnings.extend(header.hint());
    warnings
}

/// What to type to run a plan, or go on with its run: nobody gets that far but by overriding the
/// guards that hold it back.
pub(crate) fn run_command(header: &Header) -> String {
    let flags = match header.guards.as_slice() {
        [] => String::new(),
        guards => format!(" {}", flags(&guards::name_list(guards))),
    };
    typed(format_args!("run {}{flags}", header.plan_id))
}

/// A plan for people. `next` says what to type.
pub(crate) fn plan(plan: &Plan, next: bool) -> Result<String, PlanError> {
    let header = plan.header();
    let explained = plan.explained_rows(EXPLAINED_SHOWN + 1)?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = plan_into(&mut out, header, &explained, next);
    Ok(out)
}

fn plan_into(
    out: &mut String,
    header: &Header,
    explained: &[SkippedRows],
    next: bool,
) -> std::fmt::Result {
    counts(out, header)?;
    if !explained.is_empty() {
        writeln!(
            out,
            "\n{}:",
            if header.undoes.is_some() { "Left alone" } else { "Skipped rows" }
        )?;
        for rows in explained.iter().take(EXPLAINED_SHOWN) {
            writeln!(
                out,
                "  row {}: {}",
                rows.first_row,
                shorten(rows.detail.as_deref().unwrap_or(&rows.reason), 300)
            )?;
        }
        let more = if explained.len() > EXPLAINED_SHOWN { "… and more; " } else { "" };
        let all = typed(format_args!("show {} --skipped", header.plan_id));
        writeln!(
            out,
            "  {more}--rejects FILE gives all of them, with their columns; `{all}` lists them"
        )?;
    }
    if !header.fields.is_empty() {
        writeln!(out, "\nFields written:")?;
        let longest = header.fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (field, count) in &header.fields {
            let field = one_line(field);
            writeln!(out, "  {field:<longest$}  {}", counted(*count, "record"))?;
        }
    }
    if !header.dropped_fields.is_empty() {
        writeln!(out, "\nColumns not written:")?;
        let longest = header
            .dropped_fields
            .iter()
            .map(|dropped| dropped.name.chars().count())
            .max()
            .unwrap_or(0);
        for dropped in &header.dropped_fields {
            writeln!(
                out,
                "  {:<longest$}  {}",
                one_line(&dropped.name),
                dropped_in_words(&dropped.reason)
            )?;
        }
    }
    let warnings = warnings(header);
    if !warnings.is_empty() {
        writeln!(out, "\nWarnings:")?;
        for warning in &warnings {
            writeln!(out, "  ! {}", one_line(warning))?;
        }
    }
    if !header.sample.is_empty() {
        writeln!(out, "\nSample ({} of {}):", header.sample.len(), number(header.writable))?;
        for change in &header.sample {
            sample(out, change)?;
        }
    }
    if !header.guards.is_empty() {
        // Nobody is asked about a plan whose guards are not overridden.
        writeln!(out, "\n{}:", if next { "Held back by guards" } else { "Overridden" })?;
        held_back(out, &header.guards)?;
    }
    writeln!(out)?;
    if next {
        writeln!(out, "Nothing was written. This is {}.", header.plan_id)?;
        if header.writable > 0 {
            let in_spite = if header.guards.is_empty() { "" } else { ", despite the guards" };
            writeln!(out, "To write exactly this{in_spite}:\n\n  {}", run_command(header))?;
        }
    }
    Ok(())
}

fn held_back(out: &mut String, guards: &[Guard]) -> std::fmt::Result {
    for guard in guards {
        writeln!(out, "  ! {}: {}", one_line(&guard.name), one_line(&guard.message))?;
    }
    Ok(())
}

/// That guards hold a plan back, and what to type.
pub(crate) fn guarded(header: &Header, held: &[Guard], confirmed: bool) -> String {
    let mut out = "Held back by guards:\n".to_owned();
    // Writing to a string cannot fail.
    let _ = held_back(&mut out, held);
    let confirm = if confirmed { " --confirm" } else { "" };
    let _ = write!(
        out,
        "\nLook at it:\n\n  {}\n\nIf this is intended:\n\n  {}{confirm}",
        typed(format_args!("show {}", header.plan_id)),
        run_command(header)
    );
    out.push('\n');
    out
}

/// Where a plan would be written: the CRM, and the account in it, if that is known.
pub(crate) fn place(header: &Header) -> String {
    let account =
        header.account.as_ref().map(|account| format!(", account {}", one_line(account.as_str())));
    format!("{}{}", header.base_url, account.unwrap_or_default())
}

fn counts(out: &mut String, header: &Header) -> std::fmt::Result {
    let name = &header.destination.name;
    let (total, writable, skipped) =
        (number(header.total), number(header.writable), number(header.skipped));
    let width = total.len();
    match &header.undoes {
        None => {
            let mode = match header.mode {
                PlanMode::Offline => "offline",
                PlanMode::Online => "online: with the CRM's metadata",
                PlanMode::Compare => "compared with the CRM's records",
            };
            writeln!(
                out,
                "Plan for {name}: {} at {} ({mode})\n",
                header.destination.destination_type,
                place(header)
            )?;
            writeln!(out, "  {}", counted(header.total, "golden record"))?;
            writeln!(out, "  {writable:>width$} would be updated")?;
            writeln!(out, "  {skipped:>width$} would be skipped")?;
        }
        Some(run_id) => {
            writeln!(
                out,
                "Plan to undo {run_id} for {name}: {} at {}\n",
                header.destination.destination_type,
                place(header)
            )?;
            writeln!(out, "  {} written by that run", counted(header.total, "record"))?;
            writeln!(out, "  {writable:>width$} would be put back")?;
            writeln!(out, "  {skipped:>width$} would be left alone")?;
        }
    }
    for (reason, count) in &header.skipped_by_reason {
        writeln!(out, "      {:>width$} {}", number(*count), reason_in_words(reason))?;
    }
    Ok(())
}

/// A change: on one line as it will be written; field by field where there is something before, or
/// something is cleared.
fn sample(out: &mut String, change: &SampleChange) -> std::fmt::Result {
    let fields = members(change.fields.get());
    if change.before.is_none() && !fields.values().any(is_empty) {
        return writeln!(out, "  {}  {}", change.provider_id, shorten(change.fields.get(), 160));
    }
    writeln!(out, "  {}", change.provider_id)?;
    values(out, &change.fields, change.before.as_deref())
}

/// A change, field by field; long values are cut.
pub(crate) fn change(out: &mut String, change: &PlannedChange) -> std::fmt::Result {
    writeln!(out, "record {} (row {})", one_line(&change.provider_id), change.row)?;
    values(out, &change.fields, change.before.as_deref())
}

/// Rows that are skipped for one reason.
pub(crate) fn skipped(out: &mut String, rows: &SkippedRows) -> std::fmt::Result {
    match rows.rows {
        0 | 1 => write!(out, "row {}: ", rows.first_row)?,
        many => write!(out, "rows {} to {}: ", rows.first_row, rows.first_row + many - 1)?,
    }
    writeln!(out, "{}", one_line(rows.detail.as_deref().unwrap_or(&rows.reason)))
}

/// Field by field, with what is there now if that is known.
fn values(out: &mut String, fields: &RawValue, before: Option<&RawValue>) -> std::fmt::Result {
    let fields = members(fields.get());
    let before = before.map(|before| members(before.get()));
    let longest = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, after) in &fields {
        let (name, after) = (
            one_line(name),
            if is_empty(after) { "(cleared)".to_owned() } else { shown(Some(after)) },
        );
        let after = one_line(&after);
        match &before {
            Some(before) => writeln!(
                out,
                "    {name:<longest$}  {} -> {after}",
                one_line(&shown(before.get(name.as_ref())))
            )?,
            None => writeln!(out, "    {name:<longest$}  {after}")?,
        }
    }
    Ok(())
}

fn reason_in_words(reason: &str) -> String {
    let words = match reason {
        "provider_id_missing" => "without a provider id column",
        "provider_id_null" => "without a provider id (null)",
        "provider_id_empty" => "with an empty provider id",
        "provider_id_not_pristine" => "with a provider id that is not as the CRM issued it",
        "no_writable_field" => "without a field to write",
        "value_not_encodable" => "with a value that cannot be written",
        "changed_since" => "changed in the CRM since that run",
        "as_before" => "with the previous values already",
        "gone" => "not in the CRM any more",
        "unreadable" => "not readable in the CRM",
        "unchanged" => "with these values already",
        "merged" => "merged into another record in the CRM",
        "deleted" => "deleted in the CRM",
        "not_found" => "not in the CRM",
        "duplicate_id" => "claiming a CRM record that another golden record claims too",
        _ => "",
    };
    if words.is_empty() { one_line(reason).into_owned() } else { format!("{words} ({reason})") }
}

fn dropped_in_words(reason: &str) -> String {
    match reason {
        "provider_id" => "is the key".to_owned(),
        "internal" => "is internal".to_owned(),
        "read_only" => "is read-only in the CRM".to_owned(),
        "unknown_field" => "is not a field of the CRM's object".to_owned(),
        "not_in_fields" => "is not in `fields`".to_owned(),
        "not_in_records" => "is in `fields`, but the golden records do not have it".to_owned(),
        "needs_compare" => {
            "moves forward only in the CRM, so it needs a plan with --compare".to_owned()
        }
        "unsupported_type" => "has a type that cannot be written".to_owned(),
        other => one_line(other).into_owned(),
    }
}
