//! How the command ends.

use crate::global_args::typed;
use anyhow::anyhow;
use reverse_sync::{
    ErrorKind,
    failure::{self, Hint, Kind},
    plan::Header,
    summary::PlanSummary,
};
use std::process::ExitCode;

/// Exit codes, as documented in `docs/command-line.md` and in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All updated, or nothing to do.
    Ok = 0,
    /// Some records failed, drifted or are unknown, a canary failed, or the CRM stored something
    /// differently.
    RecordsFailed = 1,
    /// Usage, configuration, or golden records that cannot be read.
    Usage = 2,
    /// The gate stayed shut.
    Refused = 3,
    /// The CRM or the credential is not available.
    Unavailable = 4,
    /// A plan would update records (`--detailed-exitcode`).
    Changes = 10,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// How it ends with a plan that was shown, of which nothing can be written if its golden
    /// records come without the ids. JSON has said so.
    pub(crate) fn of_shown(header: &Header, json: bool) -> Result<Exit, Failure> {
        match header.no_id_column() {
            None => Ok(Exit::Ok),
            Some(_) if json => Ok(Exit::Usage),
            Some(error) => Err(Failure::new(Exit::Usage, anyhow!(error))),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Exit {
        match kind {
            Kind::Grant | Kind::Refused | Kind::Account => Exit::Refused,
            Kind::Crm(ErrorKind::Cancelled) => Exit::Interrupted,
            Kind::Crm(
                ErrorKind::Unauthorized | ErrorKind::RateLimited | ErrorKind::Unavailable,
            ) => Exit::Unavailable,
            Kind::Config | Kind::Input | Kind::Conflict | Kind::TooLong | Kind::Internal => {
                Exit::Usage
            }
            Kind::Crm(_) => Exit::Usage,
        }
    }
}

/// An error and the code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    /// A word for programs, if the exit code does not say it all.
    pub(crate) code: Option<&'static str>,
    /// The plan that it is about, for programs.
    pub(crate) plan: Option<Box<PlanSummary>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit, error: error.into(), code: None, plan: None }
    }

    /// Nobody said yes to a plan.
    pub(crate) fn not_confirmed(what: &str) -> Failure {
        let error = anyhow!("nothing was written: {what}");
        Failure { code: Some("not_confirmed"), ..Failure::new(Exit::Refused, error) }
    }

    /// A word for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.code.unwrap_or(match self.exit {
            Exit::Ok | Exit::RecordsFailed | Exit::Changes => "failed",
            Exit::Usage => "usage",
            Exit::Refused => "refused",
            Exit::Unavailable => "unavailable",
            Exit::Interrupted => "interrupted",
        })
    }
}

/// What the library names by a word that programs of this command know. For all else the exit code
/// has one.
const NAMED: [&str; 5] =
    ["guarded", "unknown_guard", "stale_plan", "other_account", "account_unknown"];

impl From<failure::Failure> for Failure {
    fn from(failure: failure::Failure) -> Failure {
        let advice = failure.hint.as_ref().map_or_else(String::new, advice);
        Failure {
            code: NAMED.into_iter().find(|code| *code == failure.code),
            ..Failure::new(failure.kind.into(), anyhow!("{}{advice}", failure.message))
        }
    }
}

/// A hint as it is typed here, to follow a message.
fn advice(hint: &Hint) -> String {
    match hint {
        Hint::Override(names) => {
            let it = if names.len() == 1 { "it" } else { "them" };
            format!(". Look at it, then continue despite {it} with {}", flags(names))
        }
        Hint::NameRecords => ", or pass --records FILES".to_owned(),
        Hint::Compare => "; plan with --compare to be able to undo".to_owned(),
        Hint::Less => "; plan fewer golden records".to_owned(),
        Hint::SetBack => {
            "; set that back, or undo with the project file of that time".to_owned()
        }
        Hint::ListRuns => format!("; `{}` lists those there are", typed("runs")),
        Hint::Grant => {
            "; look at what it asks for with `reverse-sync plugin inspect`, then grant it by its digest".to_owned()
        }
        Hint::Rights(rights) => format!("\nThe credential needs: {rights}"),
    }
}

/// What to type to continue despite guards.
pub(crate) fn flags(guards: &[impl AsRef<str>]) -> String {
    let flags: Vec<String> =
        guards.iter().map(|name| format!("--override {}", name.as_ref())).collect();
    flags.join(" ")
}

/// Gives an error its exit code.
pub(crate) trait OrExit<T> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
