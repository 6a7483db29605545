//! See [`crate::fuzzing`].

use super::{Capability, check_jobs, csv, job_names as names};

/// The ids of an answer in CSV.
pub fn csv_ids(answer: &[u8], column: &str) -> Vec<String> {
    let mut found = Vec::new();
    csv::ids(answer, column, |id| found.push(id.to_owned()));
    found
}

/// The words of an answer that can be names of jobs.
pub fn job_names(text: &[u8]) -> Vec<String> {
    names(text).map(str::to_owned).collect()
}

/// Whether each job among these has an upload beside it.
pub fn are_jobs_allowed(capabilities: &[Capability]) -> bool {
    check_jobs(capabilities).is_ok()
}
