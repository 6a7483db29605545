//! From a plan to what became of it: shown, confirmed, run, verified, reported. What `run` and `undo` share.

use crate::{
    audit,
    exit::{Exit, Failure, OrExit},
    progress, rejects, render,
    workspace::{OnceLink, Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    gate::{Confirmation, ConfirmedPlan, Refused},
    journal::{self, Journal, JournalError, Ranges},
    plan::{Header, Plan},
    run::{self, Part, Report, RunError, StopReason, StopSignal},
    verify::{self, Verified},
};
use std::{
    collections::BTreeSet,
    io::{BufRead, IsTerminal, Write},
    num::NonZeroU64,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
};

/// From this many records on, a yes is not enough: the number has to be typed.
const LARGE: u64 = 1_000;
/// Records that `--verify` reads back.
const SAMPLE: u64 = 100;

#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// Say yes to the plan without being asked
    #[arg(long)]
    pub(crate) confirm: bool,
    /// Go on in spite of this guard; may be given several times
    #[arg(long = "override", value_name = "GUARD")]
    overridden: Vec<String>,
    /// Write this many records first, read all of them back, and go on only if each holds what was written
    #[arg(long, value_name = "N")]
    canary: Option<NonZeroU64>,
    /// Read records back after the run: a sample of 100, or `--verify=all`
    #[arg(long, value_name = "all", num_args = 0..=1, require_equals = true, default_missing_value = "sample")]
    verify: Option<HowMany>,
    /// Print the result as JSON, alone on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Write failed, drifted, unknown and skipped records to this file (.csv or .jsonl)
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// How many of the written records are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HowMany {
    Sample,
    All,
}

impl FromStr for HowMany {
    type Err = String;

    fn from_str(text: &str) -> Result<HowMany, String> {
        match text {
            "sample" => Ok(HowMany::Sample),
            "all" => Ok(HowMany::All),
            _ => Err("it is --verify for a sample, or --verify=all".to_owned()),
        }
    }
}

impl ApplyArgs {
    /// What can be said before anything is read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.rejects.as_deref().map_or(Ok(()), rejects::check).or_exit(Exit::Usage)
    }
}

/// What the first changes came to, which were written before all others.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Canary {
    /// So many were asked for.
    pub(crate) size: u64,
    /// Whether all of them hold what was written, so that the rest followed.
    pub(crate) held: bool,
}

/// A run, and what was read back of it.
pub(crate) struct Done {
    pub(crate) report: Report,
    pub(crate) canary: Option<Canary>,
    /// The last check, or why there could not be one.
    pub(crate) verified: Option<Result<Verified, String>>,
}

impl Done {
    /// Whether every change is in the CRM now, as far as anybody looked.
    pub(crate) fn ok(&self) -> bool {
        self.report.ok() && self.verified.as_ref().is_none_or(|verified| verified.as_ref().is_ok_and(Verified::ok))
    }

    fn exit(&self) -> Exit {
        match self.report.stopped.as_ref().map(|stopped| stopped.reason) {
            Some(StopReason::Cancelled) => Exit::Interrupted,
            Some(StopReason::Unauthorized | StopReason::RateLimited | StopReason::Unavailable) => Exit::Unavailable,
            Some(StopReason::Rejected | StopReason::Component) => Exit::RecordsFailed,
            None if self.ok() => Exit::Ok,
            None if matches!(self.verified, Some(Err(_))) && self.report.ok() => Exit::Unavailable,
            None => Exit::RecordsFailed,
        }
    }
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Shows a plan, asks for a yes unless it was given, and runs it.
pub(crate) async fn apply(
    workspace: &Workspace,
    target: &Target<'_>,
    link: &OnceLink<'_>,
    plan: Plan,
    args: &ApplyArgs,
    can_ask: bool,
) -> Result<Exit, Failure> {
    let header = plan.header().clone();
    if let Some(path) = &args.rejects {
        rejects::check_inputs(path, &plan).or_exit(Exit::Usage)?;
    }
    if !args.json || !args.confirm {
        // Standard output belongs to the JSON; what a person has to judge goes where the question goes.
        eprint!("{}", render::plan(&plan, false).or_exit(Exit::Usage)?);
    }
    if header.writable == 0 {
        if args.json {
            render::nothing_to_do_json(&header).or_exit(Exit::Usage)?;
        }
        return Ok(Exit::Ok);
    }
    let overridden: BTreeSet<String> = args.overridden.iter().cloned().collect();
    // Nobody is asked about a plan that a guard holds back.
    plan.check_guards(&overridden).map_err(refused)?;
    let confirmation = confirm(args, &header, can_ask)?.overriding(overridden);
    let confirmed = plan.confirm(confirmation, &target.destination, &target.base_url, &workspace.component).map_err(refused)?;
    let ended = go(workspace, target, link, &confirmed, args).await;
    audit::append(&workspace.audit_log(), &confirmed, &workspace.component, ended.as_ref().map_err(|failure| &failure.error))
        .or_exit(Exit::Usage)?;
    let done = ended?;
    if let Some(path) = &args.rejects {
        rejects::write(path, confirmed.plan(), Some(&done.report)).or_exit(Exit::Usage)?;
    }
    if args.json {
        render::report_json(&done).or_exit(Exit::Usage)?;
    } else {
        print!("{}", render::report(&done, &header, &target.served.required_rights).or_exit(Exit::Usage)?);
    }
    Ok(done.exit())
}

fn refused(error: Refused) -> Failure {
    let exit = if matches!(error, Refused::NoSuchGuard { .. }) { Exit::Usage } else { Exit::Refused };
    Failure::new(exit, error)
}

fn confirm(args: &ApplyArgs, header: &Header, can_ask: bool) -> Result<Confirmation, Failure> {
    if args.confirm {
        return Ok(Confirmation::explicit(header.plan_id.clone()));
    }
    if !can_ask {
        let error = anyhow!("nothing was written: this plan has not been confirmed. To confirm it, run it with --confirm");
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
        let error = anyhow!("nothing was written: the plan was not confirmed. It is kept: reverse-sync run {}", header.plan_id);
        Err(Failure::new(Exit::Refused, error))
    }
}

/// Runs, the canary first, and reads back what was asked for. Ctrl-C is the way to stop.
async fn go(
    workspace: &Workspace,
    target: &Target<'_>,
    link: &OnceLink<'_>,
    confirmed: &ConfirmedPlan,
    args: &ApplyArgs,
) -> Result<Done, Failure> {
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
    let passes = Passes { workspace, target, link, confirmed, stop };
    let done = passes.all(args).await;
    ctrl_c.abort();
    done
}

struct Passes<'a> {
    workspace: &'a Workspace,
    target: &'a Target<'a>,
    link: &'a OnceLink<'a>,
    confirmed: &'a ConfirmedPlan,
    stop: StopSignal,
}

impl Passes<'_> {
    async fn all(&self, args: &ApplyArgs) -> Result<Done, Failure> {
        let mut canary = None;
        let mut verified = None;
        let mut whole = None;
        if let Some(size) = args.canary.map(NonZeroU64::get) {
            let report = self.run(Part::First(size)).await?;
            if report.stopped.is_some() {
                return Ok(Done { report, canary, verified });
            }
            let mut problems = 0;
            let past = journal::read(&report.journal, |_, problem| problems += u64::from(problem.change() < size)).or_exit(Exit::Usage)?;
            let checked = self.check(past.updated.below(size)).await;
            let held = problems == 0 && checked.as_ref().is_ok_and(Verified::ok);
            (canary, verified) = (Some(Canary { size, held }), Some(checked));
            if !held {
                return Ok(Done { report, canary, verified });
            }
            // A canary as large as the plan has left nothing, and its run has ended.
            whole = (report.pending == 0).then_some(report);
        }
        let report = match whole {
            Some(report) => report,
            None => self.run(Part::Whole).await?,
        };
        if let Some(how_many) = args.verify
            && report.stopped.is_none()
        {
            let updated = journal::read(&report.journal, |_, _| {}).or_exit(Exit::Usage)?.updated;
            let chosen = if how_many == HowMany::All { updated } else { updated.spread(SAMPLE) };
            verified = Some(self.check(chosen).await);
        }
        Ok(Done { report, canary, verified })
    }

    /// Runs a part of the plan, with progress on standard error.
    async fn run(&self, part: Part) -> Result<Report, Failure> {
        let link = self.link.get()?;
        let journal = Journal::open(&self.workspace.runs_dir(), self.confirmed.plan().id()).map_err(|error| match error {
            JournalError::Busy(_) => Failure::new(Exit::Refused, error),
            _ => Failure::new(Exit::Usage, error),
        })?;
        let past = journal.past();
        if past.handed_out > 0 {
            let (resumed, writable) = (past.counts.done(), self.confirmed.plan().header().writable);
            eprintln!("going on with run {}: {resumed} of {writable} records have their outcome", journal.run_id());
        }
        let pacer = Arc::clone(&link.pacer);
        let mut showing = None;
        let Passes { workspace, target, confirmed, stop, .. } = self;
        let ended = run::run(&workspace.component, target.grant, confirmed, part, link, journal, stop.clone(), |watch| {
            showing = Some(tokio::spawn(progress::show(watch, pacer)));
        })
        .await;
        if let Some(showing) = showing {
            showing.abort();
        }
        ended.map_err(|error| match error {
            RunError::Grant(_) => Failure::new(Exit::Refused, error),
            _ => Failure::new(Exit::Usage, error),
        })
    }

    /// Reads written records back. That they cannot be read says nothing about the run, which has its own report.
    async fn check(&self, changes: Ranges) -> Result<Verified, String> {
        if changes.count() == 0 {
            return Ok(Verified::default());
        }
        let link = self.link.get().map_err(|failure| format!("{:#}", failure.error))?;
        let Passes { workspace, target, confirmed, stop, .. } = self;
        verify::check(&workspace.component, target.grant, confirmed.plan(), changes, link, stop.clone())
            .await
            .map_err(|error| error.to_string())
    }
}
