//! `reverse-sync run`: the confirmed push of a plan that is made now, or was made before.

use crate::{
    apply::{self, ApplyArgs},
    exit::{Exit, Failure, OrExit},
    global_args::{GlobalArgs, quoted, typed},
    plan::{self, ModeArgs, RecordsArgs},
    render::{self, Applied},
    workspace::Workspace,
};
use clap::Args;
use reverse_sync::{
    audit,
    journal::{self, JournalError},
    plan::{Header, Plan, PlanError},
};

#[derive(Args)]
pub(crate) struct RunArgs {
    /// A destination (it is planned first, online), or the id of a stored plan (at least its first
    /// 8 digits)
    what: String,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    mode: ModeArgs,
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: &RunArgs) -> Result<Exit, Failure> {
    args.apply.check()?;
    let workspace = Workspace::open(global).await?;
    let can_ask = apply::can_ask() && !args.records.is_stdin();
    if workspace.project.destinations.contains_key(&args.what) {
        let target = workspace.target(&args.what)?;
        if !args.apply.confirm && !can_ask {
            // Known before anything is planned, so before a credential is looked up for it.
            let error = format!(
                "there is nobody to confirm the plan. Look at it with `{}`, then run {} with --confirm",
                typed(format_args!("plan {}", quoted(&args.what))),
                args.what
            );
            return Err(Failure::not_confirmed(&error));
        }
        let mode = args.mode.mode(target.there.destination());
        let plan = match plan::make(&workspace, &target, &args.records, mode).await {
            Err(failure) if args.apply.confirm && failure.exit == Exit::Unavailable => {
                audit::append_unplanned(
                    &workspace.audit_log(),
                    &args.what,
                    &workspace.component,
                    &failure.error,
                )
                .or_exit(Exit::Usage)?;
                return Err(failure);
            }
            made => made?,
        };
        return apply::apply(&workspace, &target, plan, &args.apply, can_ask).await;
    }
    let id = workspace.plan_id(&args.what)?;
    let plan = Plan::load(&workspace.plans_dir(), &id).map_err(|error| match error {
        PlanError::Unknown(_) => Failure::new(Exit::Usage, error),
        _ => Failure::new(Exit::Refused, error),
    })?;
    let target = workspace.target(&plan.header().destination.name)?;
    if let Some(applied) = applied_already(&workspace, plan.header())? {
        if args.apply.json {
            render::applied_already_json(&plan, &applied).or_exit(Exit::Usage)?;
        } else {
            render::applied_already(plan.header(), &applied);
        }
        return Ok(Exit::Ok);
    }
    apply::apply(&workspace, &target, plan, &args.apply, can_ask).await
}

/// A stored plan is applied once: its finished run, unless it was planned again since.
fn applied_already(workspace: &Workspace, header: &Header) -> Result<Option<Applied>, Failure> {
    let runs = journal::runs_of(&workspace.runs_dir(), &header.plan_id).or_exit(Exit::Usage)?;
    let Some((run_id, journal)) = runs.into_iter().next_back() else { return Ok(None) };
    let past = match journal::read(&journal, |_, _| {}) {
        Ok(past) => past,
        // What it does not say is read from the CRM when the plan is run again.
        Err(JournalError::Damaged { .. }) => return Ok(None),
        Err(error) => return Err(Failure::new(Exit::Usage, error)),
    };
    let after = |at: &str, other: &str| at.parse::<jiff::Timestamp>().ok() > other.parse().ok();
    Ok((past.finished && after(&past.started_at, &header.planned_at)).then_some(Applied {
        run_id,
        past,
        journal,
    }))
}
