//! Jobs: requests that tell the CRM to open, close or cancel some work, and carry no record.
//!
//! Their text is fixed, but nothing in it says what it does; a fixed text could create a record as
//! well. So they are narrowed from all sides: they exist only beside an upload of confirmed
//! changes, whose path continues from theirs; they say a few plain words; they may name only a job
//! that an answer to one of them has named in this run; and the grant has to name them.

use super::{
    Body, Capability, Effect, Method, Phase, Segment, Template, Unacceptable, template::Piece,
};

/// Longest name of a job.
const MAX_JOB: usize = 40;
/// Longest text of a request, in bytes.
const MAX_BODY: usize = 1_000;

/// Whether a job can have this name.
pub(crate) fn is_job(text: &str) -> bool {
    (1..=MAX_JOB).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The words of a text that can be names of jobs.
pub(crate) fn names(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|b| !b.is_ascii_alphanumeric())
        .filter_map(|word| str::from_utf8(word).ok())
        .filter(|word| is_job(word))
}

impl Capability {
    /// A job request opens a job by POST or changes its state by PATCH, with a flat object of fixed
    /// texts.
    pub(super) fn check_job(&self) -> Result<(), String> {
        let named = self.path.iter().filter(|segment| !matches!(segment, Segment::Text(_))).count();
        let in_place = match self.method {
            Method::POST => named == 0,
            Method::PATCH => named == 1 && self.path.last() == Some(&Segment::Job),
            _ => false,
        };
        if self.phase != Phase::Run || !self.query.is_empty() || !in_place {
            return Err("a job is opened by a POST, or changed by a PATCH whose path ends with `${job}`, in a confirmed run".to_owned());
        }
        let fixed = match &self.body {
            Body::One(template) => literal(template)
                .filter(|text| text.len() <= MAX_BODY)
                .and_then(|text| serde_json::from_str(text).ok()),
            _ => None,
        };
        let Some(serde_json::Value::Object(members)) = fixed else {
            return Err("what a job is told is one short JSON object without placeholders but those of the configuration".to_owned());
        };
        if members.values().any(|value| !value.is_string()) {
            return Err("what a job is told is plain texts, no lists and no objects".to_owned());
        }
        Ok(())
    }
}

fn literal(template: &Template) -> Option<&str> {
    match template.as_slice() {
        [Piece::Literal(text)] => Some(text),
        _ => None,
    }
}

/// Whether every job among these belongs to an upload: the path of the upload is that of the job
/// and continues from it.
///
/// # Errors
/// The job that does not.
pub(crate) fn check_jobs(capabilities: &[Capability]) -> Result<(), Unacceptable> {
    let opens = |job: &Capability, upload: &Capability| {
        let at = upload.path.iter().position(|segment| *segment == Segment::Job);
        at.and_then(|at| upload.path.get(..at))
            == Some(job.path.strip_suffix(&[Segment::Job]).unwrap_or(&job.path))
    };
    let uploads = || capabilities.iter().filter(|capability| capability.is_upload());
    match capabilities.iter().find(|job| job.effect == Effect::Job && !uploads().any(|upload| opens(job, upload))) {
        None => Ok(()),
        Some(job) => Err(Unacceptable {
            label: job.label.clone(),
            reason: "it is a job without an upload of confirmed changes beside it; both must be asked for, and granted".to_owned(),
        }),
    }
}
