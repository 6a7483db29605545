//! What people and programs read: plans, reports, errors. Counts first, then what would change,
//! then what to type.

mod check;
mod component;
mod plan;
mod report;
mod runs;

pub(crate) use check::{checked, checked_json};
pub(crate) use component::component;
pub(crate) use plan::{
    change, guarded, place, plan, plan_json, plan_summary, run_command, skipped,
};
pub(crate) use report::{Applied, applied_already, applied_already_json, report, run_json};
pub(crate) use runs::{Listed, Status, runs, runs_json};

use crate::exit::Failure;
use crate::terminal;
use reverse_sync::{summary::PlanSummary, visible::one_line};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// An error for programs that asked for JSON, with the plan that it is about, if there is one.
pub(crate) fn error_json(failure: &Failure) {
    let error = ErrorJson {
        ok: false,
        exit_code: failure.exit as u8,
        error: json!({"code": failure.code(), "message": format!("{:#}", failure.error)}),
        plan: failure.plan.as_deref(),
    };
    // A pipe that is closed: the exit code still tells.
    let _ = serde_json::to_string(&error).map(|error| writeln!(terminal::out(), "{error}"));
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    ok: bool,
    exit_code: u8,
    error: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a PlanSummary>,
}

/// An error with its causes.
pub(crate) fn error(failure: &Failure) {
    terminal::say(format_args!("error: {:#}", failure.error));
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

/// A count with its noun.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

/// A text that is not ours, on one line and not too long.
fn shorten(text: &str, max: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= max {
        text.into_owned()
    } else {
        text.chars().take(max).chain(['…']).collect()
    }
}
