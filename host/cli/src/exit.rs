//! How the command ends.

use reverse_sync::{account::NotHeld, gate::Refused, planner::PlanningError, summary::PlanSummary};
use std::process::ExitCode;

/// Exit codes, as documented in the README and in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All updated, or nothing to do.
    Ok = 0,
    /// Some records failed or are unknown.
    RecordsFailed = 1,
    /// Usage, configuration, or golden records that cannot be read.
    Usage = 2,
    /// The gate stayed shut.
    Refused = 3,
    /// The CRM or the credential is not available.
    Unavailable = 4,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Nobody said yes to a plan.
#[derive(Debug, thiserror::Error)]
#[error("nothing was written: {0}")]
pub(crate) struct NotConfirmed(pub(crate) String);

/// An error and the code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    /// The plan that it is about, for programs.
    pub(crate) plan: Option<Box<PlanSummary>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit, error: error.into(), plan: None }
    }

    /// A word for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.error.chain().find_map(code).unwrap_or(match self.exit {
            Exit::Ok | Exit::RecordsFailed => "failed",
            Exit::Usage => "usage",
            Exit::Refused => "refused",
            Exit::Unavailable => "unavailable",
            Exit::Interrupted => "interrupted",
        })
    }
}

fn code(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if error.is::<NotConfirmed>() {
        return Some("not_confirmed");
    }
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return Some(match refused {
            Refused::Guarded { .. } => "guarded",
            Refused::NoSuchGuard { .. } => "unknown_guard",
            Refused::OtherPlan { .. } | Refused::Plan(_) => "stale_plan",
        });
    }
    let of = |error: &PlanningError| match error {
        PlanningError::Account(error) => error.code(),
        PlanningError::NoAccess(error) if error.is_other_account() => Some("other_account"),
        _ => None,
    };
    error
        .downcast_ref::<PlanningError>()
        .and_then(of)
        .or_else(|| error.downcast_ref::<NotHeld>()?.code())
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
