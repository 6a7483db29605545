//! `reverse-sync plan`: the dry run.

use crate::{
    exit::{Exit, Failure, OrExit},
    global_args::{GlobalArgs, quoted, typed},
    rejects, render, terminal,
    workspace::{Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    ErrorKind, PlanningError,
    destination::Destination,
    failure::{self, Kind},
    plan::{Plan, PlanMode},
    records::{RecordOptions, RecordSource},
};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The destination to plan
    destination: String,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    mode: ModeArgs,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write skipped records with their reasons to this file (.csv or .jsonl)
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Exit with 10 if records would be updated, and with 3 if a guard blocks the plan
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(Args)]
pub(crate) struct RecordsArgs {
    /// Golden records: files, globs, or `-` for standard input; instead of the project file's
    /// `records`
    #[arg(long, value_name = "FILES")]
    records: Vec<String>,
    /// What a shell makes of `--records golden/*.csv`
    #[arg(value_name = "FILES", requires = "records", hide = true)]
    more: Vec<String>,
    /// Accept golden records that are empty, which most often means a broken export and is an error
    #[arg(long)]
    allow_empty: bool,
}

impl RecordsArgs {
    /// Whether standard input is taken, so that nothing can be asked there.
    pub(crate) fn is_stdin(&self) -> bool {
        self.records.iter().chain(&self.more).any(|pattern| pattern == "-")
    }

    /// The golden records of a destination. A pattern on the command line is relative to where the
    /// command runs, one in the project file to that file.
    fn open(&self, workspace: &Workspace, target: &Target<'_>) -> Result<RecordSource, Failure> {
        let name = &target.there.destination().name;
        let options =
            RecordOptions { allow_empty: self.allow_empty, ..target.there.record_options() };
        let given: Vec<&String> = self.records.iter().chain(&self.more).collect();
        let opened = match (given.as_slice(), target.records) {
            ([], Some(pattern)) => RecordSource::open(pattern, &workspace.project.dir, options),
            ([], None) => {
                let error = anyhow!(
                    "destinations.{name} has no `records`; say where the golden records are, there or with --records FILES"
                );
                return Err(Failure::new(Exit::Usage, error));
            }
            ([pattern], _) => RecordSource::open(pattern, Path::new(""), options),
            (several, _) if self.is_stdin() => {
                let error = anyhow!("--records takes `-` alone, and not {} values", several.len());
                return Err(Failure::new(Exit::Usage, error));
            }
            (several, _) => several
                .iter()
                .map(|pattern| RecordSource::open(pattern, Path::new(""), options.clone()))
                .map(|opened| opened.map(|source| source.inputs().to_vec()))
                .collect::<Result<Vec<_>, _>>()
                .and_then(|files| RecordSource::of(files.concat(), options)),
        };
        opened.map_err(|error| failure::Failure::from(&error).into())
    }
}

/// What planning may ask of the CRM.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct ModeArgs {
    /// Plan without a request to the CRM, and without a credential
    #[arg(long)]
    offline: bool,
    /// Plan with the CRM's metadata, so that values are in the form that it takes
    #[arg(long)]
    online: bool,
    /// Plan with the CRM's records: only what differs, with the previous values, so that the run
    /// can be undone
    #[arg(long)]
    compare: bool,
}

impl ModeArgs {
    /// What was asked for; else `compare` if the destination says so; else online.
    pub(crate) fn mode(&self, destination: &Destination) -> PlanMode {
        let compares = destination.config_json.get("compare").and_then(serde_json::Value::as_bool)
            == Some(true);
        match self {
            ModeArgs { offline: true, .. } => PlanMode::Offline,
            ModeArgs { online: true, .. } => PlanMode::Online,
            ModeArgs { compare: true, .. } => PlanMode::Compare,
            _ if compares => PlanMode::Compare,
            _ => PlanMode::Online,
        }
    }
}

pub(crate) async fn plan(global: &GlobalArgs, args: &PlanArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.rejects {
        rejects::check(path).or_exit(Exit::Usage)?;
    }
    let workspace = Workspace::open(global).await?;
    let target = workspace.target(&args.destination)?;
    let mut mode = args.mode.mode(target.there.destination());
    let mut unchecked = None;
    // Nobody asked for the CRM, so a credential is no condition.
    if mode == PlanMode::Online
        && !args.mode.online
        && let Err(error) = target.there.source().link()
    {
        mode = PlanMode::Offline;
        unchecked = Some(format!(
            "NOT CHECKED with the CRM, which may refuse names and values of this plan, since there is no credential:\n  {error}\n"
        ));
    }
    let plan = make(&workspace, &target, &args.records, mode).await?;
    let rejects = rejects::write(args.rejects.as_deref(), &plan, None).or_exit(Exit::Usage)?;
    if args.json {
        render::plan_json(&plan, rejects.as_ref()).or_exit(Exit::Usage)?;
        unchecked.into_iter().for_each(terminal::say);
    } else {
        unchecked.into_iter().for_each(|said| terminal::print(said + "\n"));
        terminal::print(format_args!("{}", render::plan(&plan, true).or_exit(Exit::Usage)?));
    }
    match args.detailed_exitcode {
        true if !plan.header().guards.is_empty() => Ok(Exit::Refused),
        true if plan.header().writable > 0 => Ok(Exit::Changes),
        _ => Exit::of_shown(plan.header(), args.json),
    }
}

/// Plans a destination and keeps the plan. The credential is looked up only for a mode that needs
/// it.
pub(crate) async fn make(
    workspace: &Workspace,
    target: &Target<'_>,
    args: &RecordsArgs,
    mode: PlanMode,
) -> Result<Plan, Failure> {
    let name = &target.there.destination().name;
    let failed = |error: PlanningError| {
        let failure = failure::Failure::from(&error).needing(&target.served.required_rights);
        let kind = failure.kind;
        let failure = Failure::from(failure);
        let error = match (kind, &target.token_place) {
            (Kind::Config | Kind::Grant, _) => {
                failure.error.context(format!("destinations.{name}"))
            }
            (Kind::Crm(ErrorKind::Unauthorized), Some(place)) => anyhow!(
                "{:#}\nThe token comes from {place}; `{}` looks at a new one",
                failure.error,
                typed(format_args!("check {}", quoted(name)))
            ),
            (Kind::Crm(ErrorKind::Unavailable), _) => {
                let told = format!("{:#}", failure.error);
                let check = typed(format_args!("check {}", quoted(name)));
                anyhow!(
                    "{told}. Nothing was planned. `{check}` looks again; --offline plans without the CRM"
                )
            }
            _ => failure.error,
        };
        Failure { error, ..failure }
    };
    // What is wrong with the settings is told before the golden records are looked for.
    target.there.check_config().await.map_err(failed)?;
    let records = args.open(workspace, target)?;
    let files = records.inputs().to_vec();
    let plan = target.there.plan(mode, records).await.map_err(failed)?;
    if plan.header().total == 0 && !args.allow_empty {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let files = if files.is_empty() { "standard input".to_owned() } else { files.join(", ") };
        let error = anyhow!(
            "there are no golden records in {files}. Most often that is a broken export; if it is meant, add --allow-empty"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    Ok(plan)
}
