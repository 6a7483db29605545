//! `reverse-sync check`: whether the project's destinations can be planned and run, before anything
//! is.
//!
//! Everything is looked at, whatever was wrong before it, so that all mistakes show at once. The
//! CRM is only read.

use crate::{
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    render, terminal,
    workspace::{Target, Workspace},
};
use anyhow::anyhow;
use clap::Args;
use reverse_sync::{
    failure,
    records::{RecordSource, Records},
};
use serde::Serialize;
use std::time::Duration;

/// How long the CRM may take, repetitions and all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records that are read of the golden records, for their columns.
const ROWS: usize = 100;

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The destinations to check [default: all]
    destinations: Vec<String>,
    /// Without the CRM: the project file and the golden records only
    #[arg(long)]
    offline: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was found about one destination.
#[derive(Serialize)]
pub(crate) struct Checked {
    pub(crate) destination: String,
    pub(crate) ok: bool,
    pub(crate) checks: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Serialize)]
pub(crate) struct Finding {
    /// `destination`, `golden_records` or `credential`.
    pub(crate) name: &'static str,
    /// `None`: it was not looked at.
    pub(crate) ok: Option<bool>,
    pub(crate) detail: String,
    /// The code that the command ends with because of it.
    #[serde(skip)]
    exit: Exit,
}

impl Finding {
    fn good(name: &'static str, detail: impl Into<String>) -> Finding {
        Finding { name, ok: Some(true), detail: detail.into(), exit: Exit::Ok }
    }

    fn bad(name: &'static str, detail: impl Into<String>, exit: Exit) -> Finding {
        Finding { name, ok: Some(false), detail: detail.into(), exit }
    }

    fn skipped(name: &'static str, why: &str) -> Finding {
        Finding { name, ok: None, detail: format!("not checked: {why}"), exit: Exit::Ok }
    }
}

pub(crate) async fn check(global: &GlobalArgs, args: &CheckArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(global).await?;
    let names: Vec<&String> = match args.destinations.as_slice() {
        [] => workspace.project.destinations.keys().collect(),
        named => named.iter().collect(),
    };
    if names.is_empty() {
        let error = anyhow!(
            "{} has no destination; `reverse-sync init` writes a project file with one",
            global.project().display()
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let (mut exit, mut all) = (Exit::Ok, Vec::new());
    for name in names {
        let checks = match workspace.target(name) {
            Ok(target) => one(&workspace, &target, args).await,
            Err(failure) => {
                vec![Finding::bad("destination", format!("{:#}", failure.error), failure.exit)]
            }
        };
        // The exit code is about the project if that is wrong, and else about the CRM.
        let worst = checks.iter().map(|check| check.exit).find(|exit| *exit != Exit::Ok);
        if let Some(worst) = worst.filter(|worst| exit == Exit::Ok || *worst == Exit::Usage) {
            exit = worst;
        }
        let ok = checks.iter().all(|check| check.ok != Some(false));
        all.push(Checked { destination: name.clone(), ok, checks });
    }
    if args.json {
        render::checked_json(&all).or_exit(Exit::Usage)?;
    } else {
        terminal::print(format_args!("{}", render::checked(&all)));
    }
    Ok(exit)
}

async fn one(workspace: &Workspace, target: &Target<'_>, args: &CheckArgs) -> Vec<Finding> {
    let config = match target.there.check_config().await {
        Ok(()) => Finding::good(
            "destination",
            format!("{} at {}", target.served.name, target.there.source().base_url()),
        ),
        Err(error) => Finding::bad("destination", format!("{error:#}"), Exit::Usage),
    };
    let config_is_good = config.ok == Some(true);
    let credential = match (args.offline, config_is_good) {
        (true, _) => Finding::skipped("credential", "--offline"),
        (_, false) => Finding::skipped("credential", "the destination's settings come first"),
        _ => credential(target).await,
    };
    vec![config, records(workspace, target), credential]
}

/// Whether there are golden records, with a column for the record id.
fn records(workspace: &Workspace, target: &Target<'_>) -> Finding {
    const NAME: &str = "golden_records";
    let destination = target.there.destination();
    let Some(pattern) = target.records else {
        return Finding::skipped(
            NAME,
            "the destination has no `records`, so --records FILES names them",
        );
    };
    let opened = RecordSource::open(pattern, &workspace.project.dir, destination.record_options());
    let mut source = match opened {
        Ok(source) => source,
        Err(error) => return Finding::bad(NAME, error.to_string(), Exit::Usage),
    };
    let batch = match source.next_batch(ROWS) {
        Ok(Some(batch)) => batch,
        Ok(None) => return Finding::bad(NAME, format!("{pattern} has no records"), Exit::Usage),
        Err(error) => return Finding::bad(NAME, error.to_string(), Exit::Usage),
    };
    let schema = batch.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let listed = columns.join(", ");
    let files = match source.inputs() {
        [file] => file.display().to_string(),
        files => format!("{} files", files.len()),
    };
    match destination.config_json.get("provider_id_field").and_then(|name| name.as_str()) {
        Some(id) if !columns.contains(&id) => Finding::bad(
            NAME,
            format!(
                "{files}: no column `{id}`, which `provider_id_field` names; the columns are {listed}"
            ),
            Exit::Usage,
        ),
        _ => Finding::good(NAME, format!("{files}, with the columns {listed}")),
    }
}

/// What the credential may do.
async fn credential(target: &Target<'_>) -> Finding {
    const NAME: &str = "credential";
    match target.there.check(PATIENCE).await {
        Ok(found) => {
            let account = found.account.as_ref().map(|account| format!("account {account}. "));
            let detail = format!("{}{}", account.unwrap_or_default(), found.detail);
            match found.ok {
                true => Finding::good(NAME, detail),
                false => Finding::bad(NAME, detail, Exit::Unavailable),
            }
        }
        Err(error) => {
            let exit = failure::Failure::from(&error).kind.into();
            Finding::bad(NAME, format!("{:#}", anyhow::Error::new(error)), exit)
        }
    }
}
