//! The sink of a running guest: what it reports, compared with what egress saw.

use crate::{
    contract::types as wit,
    journal::{Ending, Note, OutcomeQueue, Outcomes, Problem},
    outstanding::{Evidence, Outstanding},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Longest note that a component may have remembered, in bytes, and how many of them.
const MAX_NOTE: usize = 200;
const MAX_NOTES: usize = 100_000;
/// Longest message kept of one problem, in characters.
const MAX_MESSAGE: usize = 2_000;

/// Where the guest reports outcomes.
pub struct OutcomeSinkResource {
    outcomes: OutcomeQueue,
    outstanding: Outstanding,
    settled: Arc<AtomicU64>,
    /// Notes that were remembered so far.
    notes: usize,
}

impl OutcomeSinkResource {
    /// Counts in `settled`. `notes` were remembered in earlier attempts.
    pub(crate) fn new(
        outcomes: OutcomeQueue,
        outstanding: Outstanding,
        settled: Arc<AtomicU64>,
        notes: usize,
    ) -> OutcomeSinkResource {
        OutcomeSinkResource { outcomes, outstanding, settled, notes }
    }

    /// What became of changes; the number of them.
    pub(crate) async fn push(&mut self, batch: wit::OutcomeBatch) -> wasmtime::Result<usize> {
        let outcomes = judge(batch, &self.outstanding)?;
        let count = outcomes.updated.len() + outcomes.unchanged.len() + outcomes.problems.len();
        self.outcomes.push(outcomes).await?;
        self.settled.fetch_add(count as u64, Relaxed);
        Ok(count)
    }

    /// A note for later attempts.
    pub(crate) async fn remember(&mut self, note: String) -> wasmtime::Result<()> {
        self.notes += 1;
        if note.len() > MAX_NOTE || self.notes > MAX_NOTES {
            wasmtime::bail!(
                "it wanted to remember more than {MAX_NOTES} notes of {MAX_NOTE} bytes"
            );
        }
        let jobs = self.outstanding.jobs_in(&note);
        Ok(self.outcomes.remember(Note { text: note, jobs }).await?)
    }
}

/// Holds what a component reports against what egress saw. An outcome for a change that is not in
/// hand ends the run; a claim without evidence becomes `unknown`.
fn judge(batch: wit::OutcomeBatch, outstanding: &Outstanding) -> wasmtime::Result<Outcomes> {
    if batch.rows.len() != batch.statuses.len() {
        wasmtime::bail!(
            "it reported {} statuses for {} rows",
            batch.statuses.len(),
            batch.rows.len()
        );
    }
    if batch.problems.len() > batch.rows.len() {
        wasmtime::bail!(
            "it reported {} problems of {} rows",
            batch.problems.len(),
            batch.rows.len()
        );
    }
    // The first one of each row.
    let mut problems: HashMap<u64, &wit::Problem> = HashMap::with_capacity(batch.problems.len());
    for problem in &batch.problems {
        problems.entry(problem.row).or_insert(problem);
    }
    let mut outcomes = Outcomes::default();
    for (row, status) in batch.rows.iter().zip(&batch.statuses) {
        let proven = |evidence: &Evidence| match status {
            wit::Status::Updated => evidence.allows_updated(),
            wit::Status::Unchanged | wit::Status::Drifted => evidence.allows_unwritten(),
            wit::Status::Failed => evidence.allows_failed(),
            wit::Status::Unknown => false,
        };
        let needs_id = |evidence: &Evidence| {
            matches!(status, wit::Status::Drifted | wit::Status::Failed) || !proven(evidence)
        };
        let Some(evidence) = outstanding.settle(*row, needs_id) else {
            wasmtime::bail!("it reported an outcome for row {row}, which is not in hand");
        };
        match status {
            wit::Status::Updated if proven(&evidence) => outcomes.updated.push(evidence.ordinal),
            wit::Status::Unchanged if proven(&evidence) => {
                outcomes.unchanged.push(evidence.ordinal)
            }
            wit::Status::Drifted if proven(&evidence) => {
                outcomes.problems.push((Ending::Drifted, problem(&problems, *row, evidence)))
            }
            wit::Status::Updated | wit::Status::Unchanged | wit::Status::Drifted => {
                let message =
                    "the plugin calls it settled, but no answer of the CRM shows it".to_owned();
                outcomes.problems.push((
                    Ending::Unknown,
                    Problem::new(
                        evidence.ordinal,
                        *row,
                        evidence.id,
                        None,
                        "no_evidence".to_owned(),
                        message,
                    ),
                ));
            }
            wit::Status::Failed if !proven(&evidence) => {
                let message = "the plugin calls it failed, but the CRM has answered an update of it with success".to_owned();
                let problem = Problem::new(
                    evidence.ordinal,
                    *row,
                    evidence.id,
                    None,
                    "acknowledged".to_owned(),
                    message,
                );
                outcomes.problems.push((Ending::Unknown, problem));
            }
            wit::Status::Failed => {
                outcomes.problems.push((Ending::Failed, problem(&problems, *row, evidence)))
            }
            wit::Status::Unknown => {
                outcomes.problems.push((Ending::Unknown, problem(&problems, *row, evidence)))
            }
        }
    }
    Ok(outcomes)
}

fn problem(problems: &HashMap<u64, &wit::Problem>, row: u64, evidence: Evidence) -> Problem {
    match problems.get(&row) {
        Some(problem) => {
            let message = problem.message.chars().take(MAX_MESSAGE).collect();
            let code = problem.code.chars().take(200).collect();
            Problem::new(evidence.ordinal, row, evidence.id, problem.http_status, code, message)
        }
        None => Problem::new(
            evidence.ordinal,
            row,
            evidence.id,
            None,
            "no_reason".to_owned(),
            "the plugin gave no reason".to_owned(),
        ),
    }
}
