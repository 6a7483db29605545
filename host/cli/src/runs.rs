//! `reverse-sync runs`: what was run, when, and what can be undone.

use crate::{
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    render::{self, Listed, Status},
    terminal,
    workspace::Workspace,
};
use clap::Args;
use reverse_sync::{
    journal::{self, JournalError},
    plan::Header,
    summary::RunSummary,
};

#[derive(Args)]
pub(crate) struct RunsArgs {
    /// Print the list as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn runs(global: &GlobalArgs, args: &RunsArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(global).await?;
    let mut listed = Vec::new();
    for (run_id, path) in journal::runs(&workspace.runs_dir()).or_exit(Exit::Usage)? {
        let (past, status) = match journal::read_run(&workspace.runs_dir(), &run_id) {
            Ok(past) if past.damage.is_some() => (past, Status::Damaged),
            Ok(past)
                if past.finished
                    && past.counts.failed + past.counts.drifted + past.counts.unknown == 0 =>
            {
                (past, Status::Succeeded)
            }
            Ok(past) if past.finished => (past, Status::Failed),
            Ok(past) => (past, Status::Stopped),
            Err(JournalError::Busy(_)) => {
                (journal::read(&path, |_, _| {}).or_exit(Exit::Usage)?, Status::Running)
            }
            Err(error) => return Err(Failure::new(Exit::Usage, error)),
        };
        // A run whose plan was deleted is still a run.
        let header =
            past.plan_id.as_ref().and_then(|plan| Header::read(&workspace.plans_dir(), plan).ok());
        let mut run = RunSummary::past(run_id, &past, header.as_ref());
        let running = status == Status::Running;
        run.ok = run.ok.filter(|_| !running);
        listed.push(Listed {
            can_undo: !running && header.as_ref().is_some_and(|header| run.can_undo(header.mode)),
            run,
            status,
            again: header.as_ref().map(render::run_command),
            destination: header.map(|header| header.destination.name),
            started_at: past.started_at,
        });
    }
    listed.sort_by(|one, other| one.started_at.cmp(&other.started_at));
    if args.json {
        render::runs_json(&listed).or_exit(Exit::Usage)?;
    } else {
        // People look for the last one.
        listed.reverse();
        terminal::print(format_args!("{}", render::runs(&listed)));
    }
    Ok(Exit::Ok)
}
