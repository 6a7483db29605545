//! One job: opened, filled, closed, waited for, and asked what became of its rows. (crm-apis B9)

use super::csv::Rows;
use super::notes::{Note, Way};
use crate::bindings::reverse_sync::destination::types::{Error, ErrorKind};
use crate::jobs::{ID_COLUMN, Step};
use crate::provider::Provider;
use crate::provider_id;
use crate::run::Runner;
use crate::run::changes::cap;
use crate::run::crm_error::CrmError;
use crate::run::exchange::{Exchange, backoff, unavailable};
use crate::run::world::Network;
use serde_json::Value;

/// How often something that is safe to repeat is tried before another way is taken.
const MAX_TRIES: u32 = 3;
/// Between two looks at a job, in milliseconds: first, and at most.
const FIRST_PAUSE: u64 = 500;
const LONGEST_PAUSE: u64 = 20_000;
/// A pause is cut into pieces, so that a run that is to stop does not wait for the rest of it.
const PIECE: u64 = 500;

/// Where a job stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its upload to be complete.
    Open,
    /// It is worked on, or will be.
    Running,
    Complete,
    /// It failed as such.
    Failed,
    Aborted,
}

/// What Salesforce tells about a job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) processed: u64,
    pub(super) error: String,
}

impl Job {
    pub(super) fn read(body: &[u8]) -> Option<Job> {
        let told: Value = serde_json::from_slice(body).ok()?;
        let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
        let state = match text("state") {
            "Open" => State::Open,
            "UploadComplete" | "InProgress" => State::Running,
            "JobComplete" => State::Complete,
            "Failed" => State::Failed,
            "Aborted" => State::Aborted,
            _ => return None,
        };
        let id = text("id").to_owned();
        let plain = (1..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let processed = told.get("numberRecordsProcessed").and_then(Value::as_u64).unwrap_or_default();
        plain.then(|| Job { id, state, processed, error: text("errorMessage").to_owned() })
    }
}

/// What one row of a result set says.
pub(super) struct Row<'r> {
    /// The record's id in its normal form.
    pub(super) id: &'r str,
    /// `sf__Error`, in the set of those that failed.
    pub(super) error: &'r str,
}

impl<N: Network> Runner<'_, N> {
    async fn step(&self, step: Step, job: &str) -> Result<Exchange, Error> {
        self.exchange(&step.request(self.config, job, String::new())).await
    }

    /// Puts an upload into a new job and closes it; the work on it begins then. `None`: Bulk cannot be used for it.
    pub(super) async fn fill_job(&self, rows: (u64, u64), mut upload: String) -> Result<Option<Job>, Error> {
        for attempt in 1..=MAX_TRIES {
            let Some(job) = self.open_job().await? else { return Ok(None) };
            self.remember(Way::Job(job.id.clone()), rows)?;
            let request = Step::Upload.request(self.config, &job.id, upload);
            let exchanged = self.exchange(&request).await?;
            upload = request.body;
            let closed = match exchanged {
                Exchange::Accepted(_) => self.close_job(&job.id).await?,
                // A value of it is to blame, or its size: collections can be split.
                Exchange::Refused(status, error) if status == 413 || error.is_blocked() => {
                    self.give_up(&job.id, rows).await?;
                    return Ok(None);
                }
                // Whether it arrived is not asked: a job that is never closed is never worked on.
                Exchange::Refused(..) | Exchange::Doubtful(_) => None,
            };
            if let Some(job) = closed {
                return Ok(Some(job));
            }
            self.give_up(&job.id, rows).await?;
            self.network.pause(backoff(attempt, self.network.random())).await;
        }
        Ok(None)
    }

    /// `None`: Salesforce, or the grant, has no Bulk API for this object.
    async fn open_job(&self) -> Result<Option<Job>, Error> {
        for attempt in 1..=MAX_TRIES {
            match self.step(Step::Open, "").await {
                Ok(Exchange::Accepted(answer)) => {
                    if let Some(job) = Job::read(&answer.body).filter(|job| job.state == State::Open) {
                        return Ok(Some(job));
                    }
                }
                Err(error) if error.code.as_deref() != Some("request_denied") => return Err(error),
                _ => {
                    // Asked once: it will be the same for the next load.
                    self.no_bulk.set(true);
                    return Ok(None);
                }
            }
            self.network.pause(backoff(attempt, self.network.random())).await;
        }
        Err(unavailable(self.config, MAX_TRIES, "an answer to the opening of a Bulk job that is not in the documented form"))
    }

    /// Says that the upload is complete. `None`: the job is still open.
    async fn close_job(&self, id: &str) -> Result<Option<Job>, Error> {
        if let Exchange::Accepted(answer) = self.step(Step::Close, id).await?
            && let Some(job) = Job::read(&answer.body).filter(|job| job.state != State::Open)
        {
            return Ok(Some(job));
        }
        // Closed by an earlier try whose answer was lost, or not at all.
        Ok(self.job_state(id).await?.filter(|job| job.state != State::Open))
    }

    /// Cancels a job whose upload is not complete: nothing of it is ever worked on, whether this succeeds or not.
    pub(super) async fn give_up(&self, id: &str, rows: (u64, u64)) -> Result<Option<Job>, Error> {
        self.remember(Way::NotYet, rows)?;
        match self.step(Step::Abort, id).await? {
            Exchange::Accepted(answer) => Ok(Job::read(&answer.body)),
            _ => Ok(None),
        }
    }

    /// Where a job stands now. `None`: there is no such job any more.
    pub(super) async fn job_state(&self, id: &str) -> Result<Option<Job>, Error> {
        for attempt in 1..=MAX_TRIES {
            match self.step(Step::State, id).await? {
                Exchange::Accepted(answer) => match Job::read(&answer.body) {
                    Some(job) => return Ok(Some(job)),
                    None => self.network.pause(backoff(attempt, self.network.random())).await,
                },
                Exchange::Refused(404, _) => return Ok(None),
                // It may well go on: nothing of it is sent another way.
                Exchange::Refused(status, error) => {
                    let message = format!(
                        "Salesforce does not tell what became of Bulk job {id} (HTTP {status}, {}). Its changes stay pending; run the same plan again, it asks again",
                        error.told()
                    );
                    return Err(Error::new(ErrorKind::Unavailable, error.code, cap(&message, 2000)));
                }
                Exchange::Doubtful(why) => return Err(unavailable(self.config, attempt, &why)),
            }
        }
        Err(unavailable(self.config, MAX_TRIES, "an answer about a Bulk job that is not in the documented form"))
    }

    /// Waits until a job has ended. `None`: there is no such job any more.
    pub(super) async fn ended(&self, id: &str) -> Result<Option<Job>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(job) = self.job_state(id).await? else { return Ok(None) };
            if job.state != State::Running {
                return Ok(Some(job));
            }
            let mut left = pause;
            while left > 0 {
                if self.stream.stopping() {
                    let message = format!(
                        "stopped on request; Bulk job {id} goes on in Salesforce. Run the plan again to pick up its results and go on"
                    );
                    return Err(Error::new(ErrorKind::Cancelled, None, message));
                }
                let piece = left.min(PIECE);
                self.network.pause(piece).await;
                left -= piece;
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads a result set. `false`: it cannot be read.
    pub(super) async fn results(&self, set: Step, id: &str, each: &mut dyn FnMut(Row<'_>)) -> Result<bool, Error> {
        for attempt in 1..=MAX_TRIES {
            match self.step(set, id).await? {
                Exchange::Accepted(answer) => {
                    if read_rows(&answer.body, each) {
                        return Ok(true);
                    }
                    self.network.pause(backoff(attempt, self.network.random())).await;
                }
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Keeps a note about these rows, before what it says can happen.
    pub(super) fn remember(&self, way: Way, (first, last): (u64, u64)) -> Result<(), Error> {
        self.stream.remember(&Note { way, first, last }.to_string())
    }
}

pub(super) fn read_rows(body: &[u8], each: &mut dyn FnMut(Row<'_>)) -> bool {
    let mut rows = Rows::new(body);
    if !rows.advance() {
        return false;
    }
    let Some(id_at) = rows.position(ID_COLUMN) else { return false };
    let error_at = rows.position("sf__Error");
    let mut id = String::new();
    while rows.advance() {
        id.clear();
        if provider_id::append_normal(Provider::Salesforce, rows.cell(id_at), &mut id).is_ok() {
            each(Row { id: &id, error: error_at.map_or("", |at| rows.cell(at)) });
        }
    }
    true
}

/// What `sf__Error` says, such as `STRING_TOO_LONG:First Name: data value too large: …:FirstName --`.
pub(super) fn row_error(text: &str) -> CrmError {
    let (code, message) = match text.split_once(':') {
        Some((code, message)) if !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => (Some(code), message),
        _ => (None, text),
    };
    let message = message.trim().trim_end_matches("--").trim_end().trim_end_matches(':').to_owned();
    CrmError { code: code.map(str::to_owned), message, ..CrmError::default() }
}

/// Why a job failed as such, such as `InvalidBatch : Field name not found : Titel`.
pub(super) fn job_error(job: &Job) -> CrmError {
    let code = job.error.split(" : ").next().filter(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    let message = if job.error.is_empty() {
        format!("Bulk job {} failed in Salesforce, which gives no reason", job.id)
    } else {
        format!("Bulk job {} failed in Salesforce: {}", job.id, job.error)
    };
    CrmError { code: Some(code.unwrap_or("job_failed").to_owned()), message, ..CrmError::default() }
}

/// The column that a job failed for.
pub(super) fn unknown_column(job: &Job) -> Option<&str> {
    job.error.split_once("Field name not found : ").map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rows_have_a_code_and_a_message() {
        for (text, code, message) in [
            ("ENTITY_IS_DELETED:entity is deleted: --", Some("ENTITY_IS_DELETED"), "entity is deleted"),
            (
                "STRING_TOO_LONG:First Name: data value too large: Xxx (max length=40):FirstName --",
                Some("STRING_TOO_LONG"),
                "First Name: data value too large: Xxx (max length=40):FirstName",
            ),
            (
                "INVALID_FIELD:Failed to deserialize field at col 3. Due to, 'x' is not a valid value for the type xsd:date:CloseDate --",
                Some("INVALID_FIELD"),
                "Failed to deserialize field at col 3. Due to, 'x' is not a valid value for the type xsd:date:CloseDate",
            ),
            ("something: else", None, "something: else"),
            ("", None, ""),
        ] {
            let error = row_error(text);
            assert_eq!((error.code.as_deref(), error.message.as_str()), (code, message));
        }
    }

    #[test]
    fn a_job_is_read_from_what_is_documented_of_it() {
        let job = Job::read(br#"{"id":"7505t0000000001AAA","state":"InProgress","numberRecordsProcessed":3,"x":[1]}"#).unwrap();
        assert_eq!((job.id.as_str(), job.state, job.processed), ("7505t0000000001AAA", State::Running, 3));
        for bad in [
            "",
            "[]",
            r#"{"id":"7","state":"New"}"#,
            r#"{"id":"../7","state":"Open"}"#,
            r#"{"id":"","state":"Open"}"#,
            r#"{"state":"Open"}"#,
        ] {
            assert!(Job::read(bad.as_bytes()).is_none(), "{bad}");
        }
        let failed = Job::read(br#"{"id":"7","state":"Failed","errorMessage":"InvalidBatch : Field name not found : Titel"}"#).unwrap();
        assert_eq!((job_error(&failed).code.as_deref(), unknown_column(&failed)), (Some("InvalidBatch"), Some("Titel")));
        let silent = Job::read(br#"{"id":"7","state":"Failed","errorMessage":null}"#).unwrap();
        assert_eq!((job_error(&silent).code.as_deref(), unknown_column(&silent)), (Some("job_failed"), None));
    }
}
