//! `reverse-sync run`: the confirmed push.

use crate::{
    Common, audit,
    exit::{Exit, Failure, OrExit},
    plan::{self, RecordsArgs},
    progress, rejects, render,
    workspace::{Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    gate::Confirmation,
    journal::{self, Journal, JournalError, RunId},
    plan::{Header, Plan, PlanError},
    run::{self, Report, RunError, StopReason, StopSignal},
};
use std::{
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
};

/// From this many records on, a yes is not enough: the number has to be typed.
const LARGE: u64 = 1_000;

#[derive(Args)]
pub(crate) struct RunArgs {
    /// A destination (it is planned first), or the id of a stored plan (at least its first 8 digits)
    what: String,
    #[command(flatten)]
    records: RecordsArgs,
    /// Say yes to the plan without being asked
    #[arg(long)]
    confirm: bool,
    /// Print the result as JSON, alone on standard output
    #[arg(long)]
    json: bool,
    /// Write failed, unknown and skipped records to this file (.csv or .jsonl)
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

pub(crate) async fn run(common: &Common, args: &RunArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.rejects {
        rejects::check(path).or_exit(Exit::Usage)?;
    }
    let workspace = Workspace::open(common).await?;
    let by_name = workspace.project.destinations.contains_key(&args.what);
    let plan = if by_name {
        plan::make(&workspace, &workspace.target(&args.what)?, &args.records).await?
    } else {
        let id = workspace.plan_id(&args.what)?;
        Plan::load(&workspace.plans_dir(), &id).map_err(|error| match error {
            PlanError::Unknown(_) => Failure::new(Exit::Usage, error),
            _ => Failure::new(Exit::Refused, error),
        })?
    };
    let header = plan.header().clone();
    let target = workspace.target(&header.destination.name)?;
    if !args.json || !args.confirm {
        // Standard output belongs to the JSON; what a person has to judge goes where the question goes.
        eprint!("{}", render::plan(&header, false));
    }
    if !by_name && let Some(report) = applied_already(&workspace, &header)? {
        render::applied_already(&header, &report);
        return Ok(Exit::Ok);
    }
    if header.writable == 0 {
        if args.json {
            render::nothing_to_do_json(&header).or_exit(Exit::Usage)?;
        }
        return Ok(Exit::Ok);
    }
    let confirmation = confirm(args, &header)?;
    let confirmed = plan.confirm(confirmation, &target.destination, &target.base_url, &workspace.component).or_exit(Exit::Refused)?;
    let ended = go(&workspace, &target, &confirmed).await;
    audit::append(&workspace.audit_log(), &header, &workspace.component, ended.as_ref().map_err(|failure| &failure.error))
        .or_exit(Exit::Usage)?;
    let report = ended?;
    if let Some(path) = &args.rejects {
        let lines = rejects::write(path, confirmed.plan(), &report).or_exit(Exit::Usage)?;
        eprintln!("{lines} records that were not updated are in {}", path.display());
    }
    if args.json {
        render::report_json(&report).or_exit(Exit::Usage)?;
    } else {
        print!("{}", render::report(&report, &target.served.required_rights).or_exit(Exit::Usage)?);
    }
    Ok(exit_of(&report))
}

/// Runs, with progress on standard error and Ctrl-C as the way to stop.
async fn go(workspace: &Workspace, target: &Target<'_>, confirmed: &reverse_sync::gate::ConfirmedPlan) -> Result<Report, Failure> {
    let link = target.link()?;
    let journal = Journal::open(&workspace.runs_dir(), confirmed.plan().id()).map_err(|error| match error {
        JournalError::Busy(_) => Failure::new(Exit::Refused, error),
        _ => Failure::new(Exit::Usage, error),
    })?;
    let resumed = journal.past().counts.done();
    if journal.past().handed_out > 0 {
        eprintln!("going on with run {}: {resumed} of {} records have their outcome", journal.run_id(), confirmed.plan().header().writable);
    }
    let stop = StopSignal::new();
    let stopper = stop.clone();
    let ctrl_c = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping after the requests in flight; the same command goes on from there (Ctrl-C again to quit at once)");
            stopper.stop();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let pacer = std::sync::Arc::clone(&link.pacer);
    let mut showing = None;
    let ended = run::run(&workspace.component, target.grant, confirmed, link, journal, stop, |watch| {
        showing = Some(tokio::spawn(progress::show(watch, pacer)));
    })
    .await;
    ctrl_c.abort();
    if let Some(showing) = showing {
        showing.abort();
    }
    ended.map_err(|error| match error {
        RunError::Grant(_) => Failure::new(Exit::Refused, error),
        _ => Failure::new(Exit::Usage, error),
    })
}

/// A stored plan is applied once: its finished run, unless it was planned again since.
fn applied_already(workspace: &Workspace, header: &Header) -> Result<Option<(RunId, journal::Past)>, Failure> {
    let runs = journal::runs_of(&workspace.runs_dir(), &header.plan_id).or_exit(Exit::Usage)?;
    let Some((run_id, path)) = runs.into_iter().next_back() else { return Ok(None) };
    let past = journal::read(&path, |_, _| {}).or_exit(Exit::Usage)?;
    let after = |at: &str, other: &str| at.parse::<jiff::Timestamp>().ok() > other.parse().ok();
    Ok((past.finished && after(&past.started_at, &header.planned_at)).then_some((run_id, past)))
}

fn confirm(args: &RunArgs, header: &Header) -> Result<Confirmation, Failure> {
    if args.confirm {
        return Ok(Confirmation::explicit(header.plan_id.clone()));
    }
    if !std::io::stdin().is_terminal() || args.records.is_stdin() {
        let error = anyhow!(
            "nothing was written: this plan has not been confirmed. Look at it with `reverse-sync plan {}`, then run it with --confirm",
            header.destination.name
        );
        return Err(Failure::new(Exit::Refused, error));
    }
    let expected = if header.writable >= LARGE { header.writable.to_string() } else { "yes".to_owned() };
    eprint!("Update {} records at {}? Type {expected} to confirm: ", header.writable, header.base_url);
    std::io::stderr().flush().or_exit(Exit::Usage)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).or_exit(Exit::Usage)?;
    if answer.trim() == expected {
        Ok(Confirmation::explicit(header.plan_id.clone()))
    } else {
        Err(Failure::new(Exit::Refused, anyhow!("nothing was written: the plan was not confirmed")))
    }
}

fn exit_of(report: &Report) -> Exit {
    match report.stopped.as_ref().map(|stopped| stopped.reason) {
        Some(StopReason::Cancelled) => Exit::Interrupted,
        Some(StopReason::Unauthorized | StopReason::RateLimited | StopReason::Unavailable) => Exit::Unavailable,
        Some(StopReason::Rejected | StopReason::Component) => Exit::RecordsFailed,
        None if report.ok() => Exit::Ok,
        None => Exit::RecordsFailed,
    }
}
