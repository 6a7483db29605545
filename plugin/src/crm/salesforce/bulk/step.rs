//! The requests of a job of Salesforce's Bulk API 2.0, as templates (crm-apis B9). As with
//! `routes`, `describe` asks for exactly these, and a run fills in the same text.

use crate::config::Config;
use crate::contract::capabilities::{Body, Capability, CsvForm, Effect, Header, Phase};
use crate::crm::network::{Media, Request};
use crate::crm::salesforce::routes::NO_ASSIGNMENT;
use crate::crm::template::{Filling, Template};

/// The column that holds the record's id.
pub(crate) const ID_COLUMN: &str = "Id";
/// What clears a field. An empty cell would leave it alone.
pub(crate) const NULL: &str = "#N/A";
/// Most records in a job: the host lets a run have so many changes in hand.
pub(crate) const MAX_ROWS: usize = 50_000;

/// One request of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    Upload,
    /// The upload is complete, the work may begin.
    Close,
    Abort,
    State,
    Succeeded,
    Failed,
    Unprocessed,
}

const STEPS: [Step; 8] = [
    Step::Open,
    Step::Upload,
    Step::Close,
    Step::Abort,
    Step::State,
    Step::Succeeded,
    Step::Failed,
    Step::Unprocessed,
];

const JOBS: &str = "/services/data/${api_version}/jobs/ingest";

impl Step {
    fn method(self) -> &'static str {
        match self {
            Step::Open => "POST",
            Step::Upload => "PUT",
            Step::Close | Step::Abort => "PATCH",
            Step::State | Step::Succeeded | Step::Failed | Step::Unprocessed => "GET",
        }
    }

    /// Below [`JOBS`]. The guide writes the result sets with a slash at the end, and the last of
    /// them in lower case.
    fn path(self) -> &'static str {
        match self {
            Step::Open => "",
            Step::Upload => "/${job}/batches",
            Step::Close | Step::Abort | Step::State => "/${job}",
            Step::Succeeded => "/${job}/successfulResults/",
            Step::Failed => "/${job}/failedResults/",
            Step::Unprocessed => "/${job}/unprocessedrecords/",
        }
    }

    fn body(self) -> &'static str {
        match self {
            Step::Open => {
                r#"{"object":"${object}","operation":"update","contentType":"CSV","lineEnding":"LF","columnDelimiter":"COMMA"}"#
            }
            Step::Close => r#"{"state":"UploadComplete"}"#,
            Step::Abort => r#"{"state":"Aborted"}"#,
            _ => "",
        }
    }

    /// Whether jobs heed it is not documented; they take it from the one who opens them, if at all.
    fn headers(self) -> &'static [(&'static str, &'static str)] {
        if self == Step::Open { NO_ASSIGNMENT } else { &[] }
    }

    /// The request. `upload` is the body of an upload.
    pub(crate) fn request(self, config: &Config, job: &str, upload: String) -> Request {
        let fill =
            |text: &str| Template::new(text, config).filled(Filling { job, ..Filling::default() });
        Request {
            // Only an upload carries records. The others may be repeated: a job that was opened
            // twice is filled once.
            writes: self == Step::Upload,
            method: self.method(),
            path: fill(JOBS) + &fill(self.path()),
            headers: self.headers().iter().map(|(name, value)| (*name, (*value).into())).collect(),
            body: if self == Step::Upload { upload } else { fill(self.body()) },
            media: match self {
                Step::Upload | Step::Succeeded | Step::Failed | Step::Unprocessed => Media::Csv,
                _ => Media::Json,
            },
        }
    }
}

fn headers(of: &[(&str, &str)]) -> Vec<Header> {
    of.iter()
        .map(|(name, value)| Header { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect()
}

/// What a component that uses jobs asks for.
pub(crate) fn capabilities() -> impl Iterator<Item = Capability> {
    STEPS.into_iter().map(|step| Capability {
        phase: Phase::Run,
        effect: match step {
            Step::Open | Step::Close | Step::Abort => Effect::Job,
            Step::Upload => Effect::Write,
            _ => Effect::Read,
        },
        method: step.method().to_owned(),
        path: format!("{JOBS}{}", step.path()),
        query: Vec::new(),
        headers: self::headers(step.headers()),
        body: match step {
            Step::Upload => Body::Csv(CsvForm {
                id_column: ID_COLUMN.to_owned(),
                null: NULL.to_owned(),
                max: u32::try_from(MAX_ROWS).unwrap_or(u32::MAX),
            }),
            _ if step.body().is_empty() => Body::None,
            _ => Body::One(step.body().to_owned()),
        },
    })
}
