//! Where a run stands.

use std::{fmt, str::FromStr};

/// Where a run stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Confirmed, and waiting for its turn.
    Queued,
    /// A limit of the CRM is used up: it resumes when it is due.
    Waiting,
    /// Running.
    Running,
    /// The service ended while it was running; it resumes when the service starts again.
    Interrupted,
    /// It ended, and every change is in the CRM.
    Succeeded,
    /// It ended, or could not begin, and not every change is in the CRM.
    Failed,
    /// It ended early. What is pending can be resumed.
    Stopped,
}

super::decode!(Status, str::parse::<Status>);

impl Status {
    /// The word in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Waiting => "waiting",
            Status::Running => "running",
            Status::Interrupted => "interrupted",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Stopped => "stopped",
        }
    }

    /// Whether it will resume by itself.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Status::Queued | Status::Waiting | Status::Running | Status::Interrupted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Status, String> {
        let all = [
            Status::Queued,
            Status::Waiting,
            Status::Running,
            Status::Interrupted,
            Status::Succeeded,
            Status::Failed,
            Status::Stopped,
        ];
        all.into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a status of a run; there are queued, running, interrupted, succeeded, failed and stopped"))
    }
}
