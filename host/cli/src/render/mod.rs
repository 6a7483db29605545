//! What people and programs read: plans, reports, errors. Counts first, then what would change, then what to type.

mod component;
mod plan;
mod report;
mod runs;

pub(crate) use component::component;
pub(crate) use plan::{json_of_plan, place, plan, plan_json};
pub(crate) use report::{Applied, applied_already, applied_already_json, nothing_to_do_json, report, report_json};
pub(crate) use runs::{Listed, State, runs, runs_json};

use crate::exit::Failure;
use crate::terminal;
use reverse_sync::visible::one_line;
use serde_json::json;
use std::io::Write;

/// An error for programs that asked for JSON, with the plan that it is about, if there is one.
pub(crate) fn error_json(failure: &Failure) {
    let error = json!({
        "ok": false, "exit_code": failure.exit as u8, "error": {"code": failure.code(), "message": format!("{:#}", failure.error)},
    });
    let mut error = error.to_string();
    if let Some(plan) = failure.plan.as_deref().and_then(|plan| plan.strip_prefix('{')) {
        error.pop();
        error.push(',');
        error.push_str(plan);
    }
    // A pipe that is closed: the exit code still tells.
    let _ = writeln!(terminal::out(), "{error}");
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

/// A text that is not ours, on one line and not too long.
fn shorten(text: &str, max: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= max { text.into_owned() } else { text.chars().take(max).chain(['…']).collect() }
}
