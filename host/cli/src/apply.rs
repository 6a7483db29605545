//! From a plan to what became of it: shown, confirmed, run, verified, reported. What `run` and
//! `undo` share.

use crate::{
    exit::{Exit, Failure, OrExit},
    progress, rejects, render, terminal,
    workspace::{Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    audit, failure,
    gate::{Confirmation, ConfirmedPlan, Refused},
    guards,
    passes::{Checks, Done, HowMany},
    plan::{Header, Plan},
    run::{StopReason, StopSignal},
    summary::RunSummary,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, IsTerminal, Write},
    num::NonZeroU64,
    path::PathBuf,
};

/// From this many records on, a yes is not enough: the number must be typed.
const LARGE: u64 = 1_000;

#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// Say yes to the plan without being asked
    #[arg(long)]
    pub(crate) confirm: bool,
    /// Continue despite this guard; may be given several times
    #[arg(long = "override", value_name = "GUARD")]
    overridden: Vec<String>,
    /// Write this many records first, read all of them back, and continue only if each holds what was
    /// written
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

impl ApplyArgs {
    /// What can be said before anything is read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.rejects.as_deref().map_or(Ok(()), rejects::check).or_exit(Exit::Usage)
    }
}

fn exit(done: &Done) -> Exit {
    match done.report.stopped.as_ref().map(|stopped| stopped.reason) {
        Some(StopReason::Cancelled) => Exit::Interrupted,
        Some(
            StopReason::Unauthorized
            | StopReason::RateLimited
            | StopReason::Unavailable
            | StopReason::Credential,
        ) => Exit::Unavailable,
        Some(StopReason::Refused) => Exit::Refused,
        Some(StopReason::Rejected | StopReason::Component) => Exit::RecordsFailed,
        Some(StopReason::Journal | StopReason::Internal) => Exit::Usage,
        None if done.ok() => Exit::Ok,
        None if matches!(done.verified, Some(Err(_))) && done.report.ok() => Exit::Unavailable,
        None => Exit::RecordsFailed,
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
    plan: Plan,
    args: &ApplyArgs,
    can_ask: bool,
) -> Result<Exit, Failure> {
    let header = plan.header().clone();
    if let Some(path) = &args.rejects {
        rejects::check_inputs(path, &plan).or_exit(Exit::Usage)?;
    }
    let overridden: BTreeSet<String> = args.overridden.iter().cloned().collect();
    // Nobody is asked about a plan that a guard holds back, and nobody looks for the guards below
    // a plan.
    let is_open = plan.check_guards(&overridden).is_ok();
    if is_open && (!args.json || !args.confirm) {
        // Standard output belongs to the JSON; what a person has to judge goes where the question
        // goes.
        write!(terminal::err(), "{}", render::plan(&plan, false).or_exit(Exit::Usage)?)
            .or_exit(Exit::Usage)?;
    }
    if header.writable == 0 {
        // Whoever asked for the rejects gets those of the plan: all of it is skipped.
        let rejects = rejects::write(args.rejects.as_deref(), &plan, None).or_exit(Exit::Usage)?;
        if args.json {
            let ok = header.no_id_column().is_none();
            let nothing = RunSummary { ok: Some(ok), ..RunSummary::begun(&header) };
            render::run_json(&nothing, None, &plan, rejects.as_ref()).or_exit(Exit::Usage)?;
        }
        return Exit::of_shown(&header, args.json);
    }
    let confirmed = match confirmed(workspace, target, plan, args, can_ask) {
        Err(failure) if args.confirm => {
            audit::append_refused(
                &workspace.audit_log(),
                &header,
                &workspace.component,
                &failure.error,
            )
            .or_exit(Exit::Usage)?;
            return Err(failure);
        }
        confirmed => confirmed?,
    };
    // On disk before the first request: whatever happens to this process, it is known who said yes.
    workspace.keep_component().or_exit(Exit::Usage)?;
    audit::append_begin(&workspace.audit_log(), &confirmed, &workspace.component)
        .or_exit(Exit::Usage)?;
    let ended = go(target, &confirmed, args).await;
    let summary = ended.as_ref().map(RunSummary::of);
    audit::append(
        &workspace.audit_log(),
        &confirmed,
        &workspace.component,
        summary.as_ref().map_err(|failure| &failure.error),
    )
    .or_exit(Exit::Usage)?;
    let summary = summary.ok();
    let done = ended?;
    let plan = confirmed.plan();
    let rejects =
        rejects::write(args.rejects.as_deref(), plan, Some(&done.report)).or_exit(Exit::Usage)?;
    match summary.filter(|_| args.json) {
        Some(summary) => {
            render::run_json(&summary, Some(&done.report.journal), plan, rejects.as_ref())
                .or_exit(Exit::Usage)?
        }
        None => terminal::print(format_args!(
            "{}",
            render::report(&done, &header).or_exit(Exit::Usage)?
        )),
    }
    Ok(exit(&done))
}

/// The plan, once somebody has said yes to it.
fn confirmed(
    workspace: &Workspace,
    target: &Target<'_>,
    plan: Plan,
    args: &ApplyArgs,
    can_ask: bool,
) -> Result<ConfirmedPlan, Failure> {
    let shown = args
        .json
        .then(|| render::plan_summary(&plan).map(Box::new))
        .transpose()
        .or_exit(Exit::Usage)?;
    let overridden: BTreeSet<String> = args.overridden.iter().cloned().collect();
    let made_by = plan.header().component.digest;
    // Nobody is asked about a plan that a guard holds back.
    plan.check_guards(&overridden)
        .map_err(|error| match error {
            Refused::Guarded { ref guards, .. } if !args.json => {
                terminal::say(render::guarded(plan.header(), guards, args.confirm || !can_ask));
                let names = guards::name_list(guards).join(", ");
                let error = anyhow!("nothing was written: the plan is blocked by {names}");
                Failure { code: Some("guarded"), ..Failure::new(Exit::Refused, error) }
            }
            error => refused(error),
        })
        .and_then(|()| confirm(args, plan.header(), can_ask))
        .map(|confirmation| confirmation.overriding(overridden))
        .and_then(|confirmation| target.there.confirm(plan, confirmation).map_err(refused))
        .map_err(|failure| Failure { plan: shown, ..failure })
        .map_err(|failure| match workspace.kept_component(made_by).filter(|_| made_by != workspace.component.digest()) {
            // It has begun, and can be finished.
            Some(file) => {
                let file = file.display();
                let hint = format!(
                    "its run began with another plugin, which is kept: grant that in the project file, by digest and by the names that `reverse-sync plugin inspect {file}` shows, and continue with --plugin {file}"
                );
                Failure { error: failure.error.context(hint), ..failure }
            }
            None => failure,
        })
}

fn refused(error: Refused) -> Failure {
    failure::Failure::from(&error).into()
}

fn confirm(args: &ApplyArgs, header: &Header, can_ask: bool) -> Result<Confirmation, Failure> {
    if args.confirm {
        return Ok(Confirmation::explicit(header.plan_id.clone()));
    }
    if !can_ask {
        let error = format!(
            "this plan has not been confirmed. To confirm it: {} --confirm",
            render::run_command(header)
        );
        return Err(Failure::not_confirmed(&error));
    }
    let expected =
        if header.writable >= LARGE { header.writable.to_string() } else { "yes".to_owned() };
    let mut err = terminal::err();
    let asked = write!(
        err,
        "Update {} records at {}? Type {expected} to confirm: ",
        header.writable,
        render::place(header)
    );
    asked.and_then(|()| err.flush()).or_exit(Exit::Usage)?;
    drop(err);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).or_exit(Exit::Usage)?;
    if answer.trim() == expected {
        Ok(Confirmation::explicit(header.plan_id.clone()))
    } else {
        let error =
            format!("the plan was not confirmed. It is kept: {}", render::run_command(header));
        Err(Failure::not_confirmed(&error))
    }
}

/// Runs, with progress on standard error. Ctrl-C is the way to stop.
async fn go(
    target: &Target<'_>,
    confirmed: &ConfirmedPlan,
    args: &ApplyArgs,
) -> Result<Done, Failure> {
    let stop = StopSignal::new();
    let stopper = stop.clone();
    let again = render::run_command(confirmed.plan().header());
    let ctrl_c = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            terminal::say(format_args!(
                "stopping after the requests in flight (Ctrl-C again to quit at once). To continue: {again}"
            ));
            stopper.stop();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let mut showing: Option<tokio::task::JoinHandle<()>> = None;
    let writable = confirmed.plan().header().writable;
    let done = target
        .there
        .run(confirmed)
        .checks(Checks { canary: args.canary, verify: args.verify })
        .stop(&stop)
        .watch(|watch| {
            match showing.take() {
                Some(showing) => showing.abort(),
                None => {
                    let resumed = watch.counts.borrow().done();
                    if resumed > 0 {
                        terminal::say(format_args!(
                            "resuming run {}: {resumed} of {writable} records have their outcome",
                            watch.run_id
                        ));
                    }
                }
            }
            showing = Some(tokio::spawn(progress::show(watch)));
        })
        .await;
    if let Some(showing) = showing {
        showing.abort();
    }
    ctrl_c.abort();
    done.map_err(|error| failure::Failure::from(&error).into())
}
