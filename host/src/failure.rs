//! What failed, as one value: a front end makes an exit code or an HTTP status of its kind, and
//! puts its hint into the words that its users type.

use crate::{
    account::NotHeld,
    component::GrantError,
    contract::types as wit,
    egress::credential::{CredentialError, OTHER_ACCOUNT},
    engine::EngineError,
    gate::Refused,
    guards,
    journal::JournalError,
    plan::PlanError,
    planner::PlanningError,
    records::RecordsError,
    run::RunError,
    source::SourceError,
    undo::UndoError,
    verify::VerifyError,
};
use wit::ErrorKind;

/// What failed, and what to do about it. Nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// A word for programs, such as `stale_plan`.
    pub code: &'static str,
    /// Of [`Kind::Config`]: a JSON Pointer into the destination's `config_json`, if the plugin
    /// names one.
    pub pointer: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<Hint>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The destination's configuration.
    Config,
    /// The golden records, or a name that names nothing.
    Input,
    /// The plugin may not do what this takes.
    Grant,
    /// What it is about does not allow it.
    Conflict,
    /// As things are now, it is refused.
    Refused,
    /// The credential opens another account than the one that is meant, or which is not known.
    Account,
    /// The CRM, or the credential.
    Crm(ErrorKind),
    /// It took longer than it may.
    TooLong,
    /// Anything else: the disk, or a plugin that breaks the contract.
    Internal,
}

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Look at the plan, then confirm it despite these guards.
    Override(Vec<String>),
    /// Name the golden records.
    NameRecords,
    /// Plan in the mode `compare`.
    Compare,
    /// Plan fewer golden records, or have the limit raised.
    Less,
    /// Set the destination back to what it was.
    SetBack,
    /// See which runs there are.
    ListRuns,
    /// Look at what the plugin asks for, then grant it.
    Grant,
    /// The credential needs these rights.
    Rights(String),
}

impl Failure {
    fn new(kind: Kind, code: &'static str, error: &impl ToString) -> Failure {
        Failure { kind, code, pointer: None, message: error.to_string(), hint: None }
    }

    fn internal(error: &impl ToString) -> Failure {
        Failure::new(Kind::Internal, "internal", error)
    }

    fn crm(kind: ErrorKind, error: &impl ToString) -> Failure {
        let code = match kind {
            ErrorKind::Unauthorized => "crm_unauthorized",
            ErrorKind::RateLimited => "crm_rate_limited",
            ErrorKind::Unavailable => "crm_unavailable",
            _ => "crm_rejected",
        };
        Failure::new(Kind::Crm(kind), code, error)
    }

    fn hinting(self, hint: Hint) -> Failure {
        Failure { hint: Some(hint), ..self }
    }

    /// With the rights that the credential needs, where it may lack one.
    #[must_use]
    pub fn needing(self, rights: &str) -> Failure {
        match self.kind {
            Kind::Crm(ErrorKind::Unauthorized) if !self.message.contains(rights) => {
                self.hinting(Hint::Rights(rights.to_owned()))
            }
            _ => self,
        }
    }
}

impl From<&wit::Error> for Failure {
    fn from(error: &wit::Error) -> Failure {
        match error.kind {
            ErrorKind::InvalidConfig => Failure {
                pointer: error.pointer.clone(),
                ..Failure::new(Kind::Config, "invalid_config", &error.message)
            },
            kind => Failure::crm(kind, &error.message),
        }
    }
}

impl From<&CredentialError> for Failure {
    fn from(error: &CredentialError) -> Failure {
        if error.is_other_account() {
            Failure::new(Kind::Account, OTHER_ACCOUNT, error)
        } else {
            Failure::crm(error.kind(), error)
        }
    }
}

impl From<&NotHeld> for Failure {
    fn from(error: &NotHeld) -> Failure {
        match (error, error.code()) {
            (_, Some(code)) => Failure::new(Kind::Account, code, error),
            (NotHeld::Unanswered(unanswered), None) => Failure::crm(unanswered.kind(), error),
            (_, None) => Failure::internal(error),
        }
    }
}

impl From<&GrantError> for Failure {
    fn from(error: &GrantError) -> Failure {
        let failure = Failure::new(Kind::Grant, "invalid_config", error);
        match error {
            GrantError::NotGranted { .. } => failure.hinting(Hint::Grant),
            _ => failure,
        }
    }
}

impl From<&SourceError> for Failure {
    fn from(error: &SourceError) -> Failure {
        match error {
            // Without a credential there is nothing to be had of the CRM.
            SourceError::Credential(_) | SourceError::NoCredential => {
                Failure::crm(ErrorKind::Unavailable, error)
            }
            _ => Failure::new(Kind::Input, "source_unusable", error),
        }
    }
}

impl From<&RecordsError> for Failure {
    fn from(error: &RecordsError) -> Failure {
        let failure = Failure::new(Kind::Input, "golden_records", error);
        match error {
            RecordsError::NoMatch { .. } => failure.hinting(Hint::NameRecords),
            _ => failure,
        }
    }
}

impl From<&EngineError> for Failure {
    fn from(error: &EngineError) -> Failure {
        match error {
            EngineError::Deadline(_) => {
                Failure::new(Kind::TooLong, "too_long", error).hinting(Hint::Less)
            }
            error => Failure::internal(error),
        }
    }
}

impl From<&Refused> for Failure {
    fn from(error: &Refused) -> Failure {
        match error {
            Refused::Guarded { guards, .. } => {
                let names = guards::name_list(guards).into_iter().map(str::to_owned).collect();
                Failure::new(Kind::Refused, "guarded", error).hinting(Hint::Override(names))
            }
            Refused::NoSuchGuard { .. } => Failure::new(Kind::Input, "unknown_guard", error),
            Refused::OtherPlan { .. } | Refused::Plan(_) => {
                Failure::new(Kind::Refused, "stale_plan", error)
            }
        }
    }
}

impl From<&JournalError> for Failure {
    fn from(error: &JournalError) -> Failure {
        match error {
            JournalError::Busy(_) => Failure::new(Kind::Refused, "run_under_way", error),
            JournalError::Conflict { .. } => Failure::new(Kind::Refused, "other_journal", error),
            JournalError::Unknown(_) => {
                Failure::new(Kind::Input, "not_found", error).hinting(Hint::ListRuns)
            }
            error => Failure::internal(error),
        }
    }
}

impl From<&RunError> for Failure {
    fn from(error: &RunError) -> Failure {
        match error {
            RunError::Source(error) => error.into(),
            RunError::Grant(error) => error.into(),
            RunError::Plan(_) => Failure::new(Kind::Refused, "stale_plan", error),
            RunError::Journal(error) => error.into(),
            error => Failure::internal(error),
        }
    }
}

impl From<&PlanningError> for Failure {
    fn from(error: &PlanningError) -> Failure {
        match error {
            PlanningError::Source(error) => error.into(),
            PlanningError::Records(error) => error.into(),
            PlanningError::Refused(error) => error.into(),
            PlanningError::NoAccess(error) => error.into(),
            PlanningError::Account(error) => error.into(),
            PlanningError::Grant(error) => error.into(),
            PlanningError::Engine(error) => error.into(),
            error => Failure::internal(error),
        }
    }
}

impl From<&UndoError> for Failure {
    fn from(error: &UndoError) -> Failure {
        let refused = || Failure::new(Kind::Refused, "not_undoable", error);
        match error {
            UndoError::Source(error) => error.into(),
            UndoError::Journal(error) => error.into(),
            UndoError::Plan(PlanError::Io(_)) => Failure::internal(error),
            UndoError::Plan(_) => Failure::new(Kind::Refused, "plan_unusable", error),
            UndoError::NoValuesBefore(_) => {
                Failure { kind: Kind::Conflict, ..refused() }.hinting(Hint::Compare)
            }
            UndoError::NothingWritten(_) => Failure { kind: Kind::Conflict, ..refused() },
            UndoError::OtherTarget { .. } => refused().hinting(Hint::SetBack),
            UndoError::Account(error) => error.into(),
            UndoError::Grant(error) | UndoError::Verify(VerifyError::Grant(error)) => match error {
                GrantError::NotServed { .. } => refused(),
                error => Failure::from(error),
            },
            UndoError::Verify(VerifyError::Stopped(error)) => error.into(),
            UndoError::Verify(VerifyError::NoAccess(error)) => error.into(),
            UndoError::Verify(VerifyError::Engine(error)) => error.into(),
            error => Failure::internal(error),
        }
    }
}
