//! The audit log of a program that one person uses: a line for every confirmation, refused or not,
//! and one for what became of its run. Append-only. The command and the Python module keep one; a
//! service has its own.
//!
//! ```no_run
//! use reverse_sync::{Component, ConfirmedPlan, Done, RunError, RunSummary, Target, audit};
//! use std::path::Path;
//!
//! async fn run(people: &Target, plan: &ConfirmedPlan, plugin: &Component) -> Result<Done, RunError> {
//!     let log = Path::new("state/audit_log.jsonl");
//!     audit::append_begin(log, plan, plugin)?;
//!     let ended = people.run(plan).await;
//!     audit::append(log, plan, plugin, ended.as_ref().map(RunSummary::of).as_ref())?;
//!     ended
//! }
//! ```

use crate::{
    append_only::AppendOnly, component::Component, gate::ConfirmedPlan, plan::Header, private_file,
    summary::RunSummary,
};
use serde::Serialize;
use std::{fmt::Display, io, path::Path};

/// Its name in the folder of plans and journals.
pub const FILE: &str = "audit_log.jsonl";

#[derive(Serialize)]
struct Row<'a> {
    action: &'static str,
    at: String,
    who: String,
    destination: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<&'a str>,
    component: String,
    /// Guards that had tripped and were overridden.
    overridden: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<RunSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Adds the row of a confirmation, before the first request of its run.
///
/// # Errors
/// If the line cannot be put on disk.
pub fn append_begin(
    log: &Path,
    confirmed: &ConfirmedPlan,
    component: &Component,
) -> io::Result<()> {
    write(
        log,
        &Row {
            overridden: confirmed.overridden(),
            ..Row::of("run.begin", confirmed.plan().header(), component)
        },
    )
}

/// Adds the row of a confirmation that was refused.
///
/// # Errors
/// If the line cannot be put on disk.
pub fn append_refused(
    log: &Path,
    header: &Header,
    component: &Component,
    error: &impl Display,
) -> io::Result<()> {
    write(
        log,
        &Row { error: Some(format!("{error:#}")), ..Row::of("run.refused", header, component) },
    )
}

/// Adds the row of a run: its summary without the records that were read back, or why it could not
/// start.
///
/// # Errors
/// If the line cannot be put on disk.
pub fn append(
    log: &Path,
    confirmed: &ConfirmedPlan,
    component: &Component,
    ended: Result<&RunSummary, &impl Display>,
) -> io::Result<()> {
    let action = if ended.is_ok_and(|run| run.ok == Some(true)) {
        "destination.reverse_run"
    } else {
        "destination.reverse_run.failed"
    };
    let row = Row {
        overridden: confirmed.overridden(),
        report: ended.ok().map(|run| RunSummary { verified: None, ..run.clone() }),
        error: ended.err().map(|error| format!("{error:#}")),
        ..Row::of(action, confirmed.plan().header(), component)
    };
    write(log, &row)
}

impl<'r> Row<'r> {
    /// Of a plan, without anything that its run would add.
    fn of(action: &'static str, header: &'r Header, component: &Component) -> Row<'r> {
        Row {
            action,
            at: jiff::Timestamp::now().to_string(),
            who: who(),
            destination: &header.destination.name,
            plan_id: Some(header.plan_id.as_str()),
            component: component.digest().to_string(),
            overridden: &[],
            undoes: header.undoes.as_ref().map(|run| run.as_str()),
            report: None,
            error: None,
        }
    }
}

/// Adds the row of a confirmed run that did not get as far as a plan, because the CRM could not be
/// asked.
///
/// # Errors
/// If the line cannot be put on disk.
pub fn append_unplanned(
    log: &Path,
    destination: &str,
    component: &Component,
    error: &impl Display,
) -> io::Result<()> {
    let row = Row {
        action: "destination.reverse_run.failed",
        at: jiff::Timestamp::now().to_string(),
        who: who(),
        destination,
        plan_id: None,
        component: component.digest().to_string(),
        overridden: &[],
        undoes: None,
        report: None,
        error: Some(format!("{error:#}")),
    };
    write(log, &row)
}

fn write(log: &Path, row: &Row<'_>) -> io::Result<()> {
    add(log, row).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot write the audit log {}: {error}", log.display()),
        )
    })
}

fn add(log: &Path, row: &Row<'_>) -> io::Result<()> {
    let mut line = serde_json::to_vec(row)?;
    line.push(b'\n');
    let mut file = AppendOnly::open(log)?;
    file.append(&line)?;
    file.sync()?;
    // The row outlives the machine if the file does.
    log.parent().map_or(Ok(()), private_file::sync_dir)
}

fn who() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
