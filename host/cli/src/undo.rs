//! `reverse-sync undo`: a plan that puts back what the CRM held before a run, through the same gate
//! as any other.

use crate::{
    apply::{self, ApplyArgs},
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    render, terminal,
    workspace::Workspace,
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    failure::{self, Kind},
    journal::RunId,
    undo::{PastRun, UndoError},
};

#[derive(Args)]
pub(crate) struct UndoArgs {
    /// The run to undo, as `reverse-sync runs` lists it
    run_id: String,
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

pub(crate) async fn undo(global: &GlobalArgs, args: &UndoArgs) -> Result<Exit, Failure> {
    args.apply.check()?;
    let run_id: RunId =
        args.run_id.parse().map_err(|error: String| Failure::new(Exit::Usage, anyhow!(error)))?;
    let workspace = Workspace::open(global).await?;
    let past =
        PastRun::read(&workspace.runs_dir(), &workspace.plans_dir(), run_id).map_err(failure)?;
    let target = workspace.target(&past.plan.header().destination.name)?;
    let plan = target.there.undo_run(&past).await.map_err(failure)?;
    if !args.apply.confirm && !apply::can_ask() {
        // As far as it goes without a yes: the plan is kept.
        if args.apply.json {
            render::plan_json(&plan, None).or_exit(Exit::Usage)?;
        } else {
            terminal::print(format_args!("{}", render::plan(&plan, true).or_exit(Exit::Usage)?));
        }
        return Ok(Exit::Ok);
    }
    apply::apply(&workspace, &target, plan, &args.apply, apply::can_ask()).await
}

fn failure(error: UndoError) -> Failure {
    let failure = failure::Failure::from(&error);
    let unread = matches!(error, UndoError::Verify(_)) && failure.kind != Kind::Config;
    let failure = Failure::from(failure);
    match failure.exit {
        // What could not be read now may be read later.
        Exit::Usage if unread => Failure { exit: Exit::Unavailable, ..failure },
        _ => failure,
    }
}
