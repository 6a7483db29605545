//! See [`crate::fuzzing`].

use super::notes::{Note, Notes};
use crate::crm::salesforce::bulk::csv::{Rows, split, upload};
use crate::crm::salesforce::bulk::job::{Job, job_error, read_rows, row_error, unknown_column};
use crate::run::fuzzing::Confirmed;

/// The rows of a CSV.
pub fn rows(text: &[u8], width: usize) -> Vec<Vec<String>> {
    let mut rows = Rows::new(text);
    let mut all = Vec::new();
    while rows.advance() {
        all.push((0..width).map(|at| rows.cell(at).to_owned()).collect());
    }
    all
}

/// What a result set says: ids and errors. `None`: it cannot be read.
pub fn results(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let read = read_rows(body, &mut |row| {
        row_error(row.error).failure(200);
        found.push((row.id.to_owned(), row.error.to_owned()));
    });
    read.then_some(found)
}

/// What an answer says about a job: its id, and how many records it has dealt with.
pub fn job(body: &[u8]) -> Option<(String, u64)> {
    let job = Job::read(body)?;
    job_error(&job).failure(200);
    unknown_column(&job);
    Some((job.id, job.processed))
}

/// A note, read and written again.
pub fn note(text: &str) -> Option<String> {
    Notes::read(&[text.to_owned()]).about(0, u64::MAX).way(1);
    Some(Note::parse(text)?.to_string())
}

/// The members that an upload can say, and an upload of the first of them.
pub fn uploaded(confirmed: &Confirmed) -> (Vec<usize>, Option<String>) {
    let (can, _) = split(&confirmed.0, confirmed.0.members());
    let upload = (!can.is_empty()).then(|| upload(&confirmed.0, &can));
    let sent = upload.as_ref().map_or(0, |upload| upload.members);
    (can.into_iter().take(sent).collect(), upload.map(|upload| upload.text))
}
