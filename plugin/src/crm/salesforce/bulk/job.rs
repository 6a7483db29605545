//! What Salesforce tells about a job, and about its rows. (crm-apis B9)

use super::csv::Rows;
use super::step::{ID_COLUMN, Step};
use crate::crm::error::CrmError;
use crate::provider::Provider;
use crate::provider_id;
use serde_json::Value;

/// Where a job stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
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
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: State,
    /// As many as can be, if the answer does not say.
    pub(crate) processed: u64,
    /// Of the processed ones, if the answer says so.
    pub(crate) failed: Option<u64>,
    pub(crate) error: String,
}

impl Job {
    pub(crate) fn read(body: &[u8]) -> Option<Job> {
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
        let count = |key: &str| told.get(key).and_then(Value::as_u64);
        let processed = count("numberRecordsProcessed").unwrap_or(u64::MAX);
        let failed = count("numberRecordsFailed");
        plain.then(|| Job { id, state, processed, failed, error: text("errorMessage").to_owned() })
    }

    /// The result sets that have rows, as the counts say, and those that have none.
    pub(crate) fn result_sets(&self) -> [Vec<Step>; 2] {
        let sets = [Step::Succeeded, Step::Failed, Step::Unprocessed];
        let (some, none) = sets.into_iter().partition(|set| match set {
            Step::Succeeded => self.failed.is_none_or(|failed| failed < self.processed),
            Step::Failed => self.failed != Some(0),
            _ => self.state != State::Complete,
        });
        [some, none]
    }
}

/// What one row of a result set says.
pub(crate) struct Row<'r> {
    /// The record's id in its normal form.
    pub(crate) id: &'r str,
    /// `sf__Error`, in the set of those that failed.
    pub(crate) error: &'r str,
}

pub(crate) fn read_rows(body: &[u8], each: &mut dyn FnMut(Row<'_>)) -> bool {
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

/// What `sf__Error` says, such as `STRING_TOO_LONG:First Name: data value too large: …:FirstName
/// --`.
pub(crate) fn row_error(text: &str) -> CrmError {
    let (code, message) = match text.split_once(':') {
        Some((code, message))
            if !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') =>
        {
            (Some(code), message)
        }
        _ => (None, text),
    };
    let message = message.trim().trim_end_matches("--").trim_end().trim_end_matches(':').to_owned();
    CrmError { code: code.map(str::to_owned), message, ..CrmError::default() }
}

/// Why a job failed as such, such as `InvalidBatch : Field name not found : Titel`.
pub(crate) fn job_error(job: &Job) -> CrmError {
    let code = job
        .error
        .split(" : ")
        .next()
        .filter(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    let message = if job.error.is_empty() {
        format!("Bulk job {} failed in Salesforce, which gives no reason", job.id)
    } else {
        format!("Bulk job {} failed in Salesforce: {}", job.id, job.error)
    };
    CrmError { code: Some(code.unwrap_or("job_failed").to_owned()), message, ..CrmError::default() }
}

/// The column that a job failed for.
pub(crate) fn unknown_column(job: &Job) -> Option<&str> {
    job.error.split_once("Field name not found : ").map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rows_have_a_code_and_a_message() {
        for (text, code, message) in [
            (
                "ENTITY_IS_DELETED:entity is deleted: --",
                Some("ENTITY_IS_DELETED"),
                "entity is deleted",
            ),
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
        assert_eq!(
            (job.id.as_str(), job.state, job.processed),
            ("7505t0000000001AAA", State::Running, 3)
        );
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
        for (told, some) in [
            (
                r#""state":"JobComplete","numberRecordsProcessed":3,"numberRecordsFailed":0"#,
                &[Step::Succeeded][..],
            ),
            (
                r#""state":"JobComplete","numberRecordsProcessed":3,"numberRecordsFailed":1"#,
                &[Step::Succeeded, Step::Failed],
            ),
            (
                r#""state":"JobComplete","numberRecordsProcessed":3,"numberRecordsFailed":3"#,
                &[Step::Failed],
            ),
            (
                r#""state":"JobComplete","numberRecordsProcessed":3"#,
                &[Step::Succeeded, Step::Failed],
            ),
            (
                r#""state":"Aborted","numberRecordsProcessed":3,"numberRecordsFailed":0"#,
                &[Step::Succeeded, Step::Unprocessed],
            ),
            (
                r#""state":"Failed","numberRecordsProcessed":0,"numberRecordsFailed":0"#,
                &[Step::Unprocessed],
            ),
            // It may have come to some.
            (r#""state":"Failed""#, &[Step::Succeeded, Step::Failed, Step::Unprocessed]),
        ] {
            let [has_rows, empty] =
                Job::read(format!(r#"{{"id":"7",{told}}}"#).as_bytes()).unwrap().result_sets();
            assert_eq!((has_rows.as_slice(), empty.len()), (some, 3 - some.len()), "{told}");
        }
        let failed = Job::read(br#"{"id":"7","state":"Failed","errorMessage":"InvalidBatch : Field name not found : Titel"}"#).unwrap();
        // How many it came to is not said, so nobody may say that it wrote none.
        assert_ne!(failed.processed, 0);
        assert_eq!(
            (job_error(&failed).code.as_deref(), unknown_column(&failed)),
            (Some("InvalidBatch"), Some("Titel"))
        );
        let silent = Job::read(br#"{"id":"7","state":"Failed","errorMessage":null}"#).unwrap();
        assert_eq!(
            (job_error(&silent).code.as_deref(), unknown_column(&silent)),
            (Some("job_failed"), None)
        );
    }
}
