//! `reverse-sync plan`: the dry run.

use crate::{
    Common,
    exit::{Exit, Failure, OrExit},
    render,
    workspace::{Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    plan::{Fingerprint, Plan},
    planner::{self, Asking, Planning, PlanningError},
    records::{RecordOptions, RecordSource},
};
use std::path::Path;

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The destination to plan
    destination: String,
    #[command(flatten)]
    records: RecordsArgs,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct RecordsArgs {
    /// Golden records: a file, a glob, or `-` for standard input; instead of the project file's `records`
    #[arg(long, value_name = "FILES")]
    records: Option<String>,
}

impl RecordsArgs {
    /// Whether standard input is taken, so that nothing can be asked there.
    pub(crate) fn is_stdin(&self) -> bool {
        self.records.as_deref() == Some("-")
    }
}

pub(crate) async fn plan(common: &Common, args: &PlanArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(common).await?;
    let target = workspace.target(&args.destination)?;
    let plan = make(&workspace, &target, &args.records).await?;
    if args.json {
        render::plan_json(plan.header()).or_exit(Exit::Usage)?;
    } else {
        print!("{}", render::plan(plan.header(), true));
    }
    Ok(Exit::Ok)
}

/// Plans a destination and keeps the plan.
pub(crate) async fn make(workspace: &Workspace, target: &Target<'_>, args: &RecordsArgs) -> Result<Plan, Failure> {
    let name = &target.destination.name;
    // A pattern on the command line is relative to where the command runs, one in the project file to that file.
    let (pattern, base) = match (&args.records, target.records) {
        (Some(pattern), _) => (pattern.as_str(), Path::new("")),
        (None, Some(pattern)) => (pattern, workspace.project.dir.as_path()),
        (None, None) => {
            let error = anyhow!("destinations.{name} has no `records`; say where the golden records are, there or with --records FILES");
            return Err(Failure::new(Exit::Usage, error));
        }
    };
    let id_columns =
        target.destination.config_json.get("provider_id_field").and_then(|field| field.as_str()).map(str::to_owned).into_iter().collect();
    let source = RecordSource::open(pattern, base, RecordOptions { id_columns }).or_exit(Exit::Usage)?;
    let fingerprints = source.inputs().iter().map(|path| Fingerprint::of(path)).collect::<Result<_, _>>().or_exit(Exit::Usage)?;
    let planning = Planning {
        destination: &target.destination,
        base_url: &target.base_url,
        asking: Asking::Nothing,
        grant: target.grant,
        records: Box::new(source),
        fingerprints,
        plans_dir: &workspace.plans_dir(),
    };
    planner::plan(&workspace.component, planning).await.map_err(|error| {
        let exit = if matches!(error, PlanningError::Grant(_)) { Exit::Refused } else { Exit::Usage };
        let context = error.is_config().then(|| format!("destinations.{name}"));
        let error = anyhow::Error::new(error);
        Failure {
            exit,
            error: match context {
                Some(context) => error.context(context),
                None => error,
            },
        }
    })
}
