//! `reverse-sync plugin test`: tests a plugin against the contract.
//!
//! The plugin runs in the library's own sandbox ([`scene`]), over real sockets. The library refuses
//! much of what breaks the contract; the [`checks`] give the plugin occasions to break it. The
//! [`crm`] answers as the author's [`fixture`] says. A check that was not made is never called ok.

mod checks;
mod crm;
mod fixture;
mod report;
mod scene;

use crate::{
    exit::{Exit, Failure, OrExit},
    terminal, workspace,
};
use checks::describe;
use clap::Args;
use fixture::Fixture;
use report::Checks;
use scene::Bench;
use std::{path::PathBuf, time::Duration};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// The plugin
    file: PathBuf,
    /// A configuration, golden records and answers of the CRM, as JSON: docs/writing-a-destination.md
    /// says how; without it, only the description is tested
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Time for each call of the plugin.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a check has no good end.
enum Stop {
    /// The plugin breaks this.
    Failed(String),
    /// This could not be looked at.
    NotChecked(String),
    /// The kit itself cannot go on.
    Broken(anyhow::Error),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Broken(error.into())
    }
}

/// How a check ended: what was seen, or why not.
type Found = Result<String, Stop>;

fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(why.into()))
}

fn not_checked<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotChecked(why.into()))
}

pub(crate) async fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let component = workspace::load(Some(&args.file)).await.or_exit(Exit::Usage)?;
    let component = component.with_deadline(DEADLINE);
    let fixture = args.fixture.as_deref().map(Fixture::read).transpose().or_exit(Exit::Usage)?;
    if let Some(fixture) = &fixture {
        component.destination_type(&fixture.destination_type).or_exit(Exit::Usage)?;
    }
    let mut checks = Checks::new(&component);
    let bench = fixture.map(|fixture| Bench { component: component.clone(), fixture });
    checks.add("describe", describe(&component).await)?;
    macro_rules! with_fixture {
        ($($check:ident),*) => {$(
            let found = match &bench {
                Some(bench) => bench.$check().await,
                None => not_checked("needs --fixture"),
            };
            checks.add(stringify!($check), found)?;
        )*};
    }
    with_fixture!(
        grant,
        plan,
        plan_batches,
        plan_memory,
        run,
        verify,
        compare,
        run_memory,
        stop,
        doubt,
        lost_answers,
        lost_updates,
        silence,
        slow_down,
        daily_limit,
        refusal,
        jobs
    );
    if args.json {
        terminal::print(format_args!("{}\n", checks.to_json()));
    } else {
        terminal::print(format_args!("{}", checks.to_text()));
    }
    Ok(if checks.failed() > 0 { Exit::RecordsFailed } else { Exit::Ok })
}
