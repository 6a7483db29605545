//! `reverse-sync runs`: what was run, when, and what can be undone.

use crate::{
    Common,
    exit::{Exit, Failure, OrExit},
    render::{self, Listed, State},
    terminal,
    workspace::Workspace,
};
use clap::Args;
use reverse_sync::{
    journal::{self, JournalError},
    plan::{Header, PlanMode},
};

#[derive(Args)]
pub(crate) struct RunsArgs {
    /// Print the list as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn runs(common: &Common, args: &RunsArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(common).await?;
    let mut listed = Vec::new();
    for (run_id, path) in journal::runs(&workspace.runs_dir()).or_exit(Exit::Usage)? {
        let (past, state) = match journal::read_run(&workspace.runs_dir(), &run_id) {
            Ok(past) if past.damage.is_some() => (past, State::Damaged),
            Ok(past) if past.finished => (past, State::Finished),
            Ok(past) => (past, State::Pending),
            Err(JournalError::Busy(_)) => (journal::read(&path, |_, _| {}).or_exit(Exit::Usage)?, State::UnderWay),
            Err(error) => return Err(Failure::new(Exit::Usage, error)),
        };
        // A run whose plan was deleted is still a run.
        let header = past.plan_id.as_ref().and_then(|plan| Header::read(&workspace.plans_dir(), plan).ok());
        listed.push(Listed {
            run_id,
            state,
            destination: header.as_ref().map(|header| header.destination.name.clone()),
            can_be_undone: header.as_ref().is_some_and(|header| header.mode == PlanMode::Compare)
                && (past.counts.updated + past.counts.unknown > 0 || past.damage.is_some()),
            undoes: header.and_then(|header| header.undoes),
            started_at: past.started_at,
            plan_id: past.plan_id,
            counts: past.damage.is_none().then_some(past.counts).into(),
        });
    }
    listed.sort_by(|one, other| one.started_at.cmp(&other.started_at));
    if args.json {
        render::runs_json(&listed).or_exit(Exit::Usage)?;
    } else {
        terminal::print(format_args!("{}", render::runs(&listed)));
    }
    Ok(Exit::Ok)
}
