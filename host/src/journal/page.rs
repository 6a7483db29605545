//! What became of each change of a plan, by pages. The run may still be running: what the journal
//! holds by now is what is shown.
//!
//! The journal says what became of which numbers, the plan says which records these are; neither is
//! held in memory, but for the journal's ranges and the problems that are on the page.

use super::{Ending, JournalError, Past, Problem, lines::read, ranges::Ranges};
use crate::plan::{Cursor, Header, MAX_LIMIT, Opened, Page, PlanError, PlanId, read_block};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// Blocks of the plan that are read for one page: what fits a filter may be scattered.
const MAX_BLOCKS: usize = 64;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// Acknowledged by the CRM, or proved by a read.
    Updated,
    /// The CRM already held the values.
    Unchanged,
    /// It was not written.
    Failed,
    /// It was not written, because it has changed in the CRM since it was planned.
    Drifted,
    /// It may have been written.
    Unknown,
    /// Nothing, yet.
    Pending,
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Outcome {
        match ending {
            Ending::Failed => Outcome::Failed,
            Ending::Drifted => Outcome::Drifted,
            Ending::Unknown => Outcome::Unknown,
        }
    }
}

/// A change, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeOutcome {
    /// Its number in the plan, counted from 0.
    pub change: u64,
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was not updated.
    pub response: Option<Response>,
}

/// The CRM's answer to a change that was not updated, or the host's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = CrmResponse))]
pub struct Response {
    /// HTTP status of the CRM's answer, if there was one.
    pub status: Option<u16>,
    /// The CRM's code, or one of ours.
    pub code: String,
    /// The CRM's words, or ours.
    pub message: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum OutcomesError {
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal of another plan.
    #[error("{journal} is the journal of a run of {theirs}, not of {plan}")]
    OtherPlan {
        /// The file.
        journal: std::path::PathBuf,
        /// The plan that was asked for.
        plan: PlanId,
        /// The plan that was run.
        theirs: PlanId,
    },
}

/// A page of a run's outcomes, in the order of the plan's changes; with `outcome`, of those that
/// ended like this. A run that has no journal yet has none: all of its changes are pending.
///
/// # Errors
/// If the plan or the journal cannot be read, do not belong together, or the cursor does not fit
/// the plan.
pub fn outcomes_page(
    plans_dir: &Path,
    plan: &PlanId,
    journal: Option<&Path>,
    outcome: Option<Outcome>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<ChangeOutcome>, OutcomesError> {
    let limit = limit.clamp(1, MAX_LIMIT);
    let header = Header::read(plans_dir, plan)?;
    let from = Opened::changes(plans_dir, &header, after)?;
    let (past, problems) = history(journal, plan, outcome, from.at.number, limit)?;
    if matches!(outcome, Some(Outcome::Failed | Outcome::Drifted | Outcome::Unknown)) {
        return Ok(of_problems(problems.near, limit));
    }
    Wanted { past, problems, outcome, total: header.writable }.page(from, limit)
}

/// The problems that a page may need.
#[derive(Default)]
struct Problems {
    near: BTreeMap<u64, (Ending, Problem)>,
    /// The numbers of all of them.
    all: Ranges,
}

fn history(
    journal: Option<&Path>,
    plan: &PlanId,
    outcome: Option<Outcome>,
    from: u64,
    limit: usize,
) -> Result<(Past, Problems), OutcomesError> {
    let Some(path) = journal else { return Ok((Past::default(), Problems::default())) };
    let mut problems = Problems::default();
    let past = read(path, |ending, problem| {
        let change = problem.change();
        problems.all.add(change, change);
        if change >= from && outcome.is_none_or(|outcome| outcome == ending.into()) {
            problems.near.insert(change, (ending, problem));
            // One more than the page has says whether there is a next one.
            if problems.near.len() > limit + 1 {
                problems.near.pop_last();
            }
        }
    })?;
    match &past.plan_id {
        Some(theirs) if theirs != plan => Err(OutcomesError::OtherPlan {
            journal: path.to_owned(),
            plan: plan.clone(),
            theirs: theirs.clone(),
        }),
        _ => Ok((past, problems)),
    }
}

/// Problems know their rows and records: nothing of the plan has to be read.
fn of_problems(
    mut problems: BTreeMap<u64, (Ending, Problem)>,
    limit: usize,
) -> Page<ChangeOutcome> {
    let next = if problems.len() > limit {
        problems.pop_last().map(|(change, _)| Cursor::number(change))
    } else {
        None
    };
    let items = problems.into_iter().map(|(change, (ending, problem))| ChangeOutcome {
        change,
        row: problem.row,
        provider_id: problem.provider_id,
        outcome: ending.into(),
        response: Some(Response {
            status: problem.status,
            code: problem.code,
            message: problem.message,
        }),
    });
    Page { items: items.collect(), next }
}

struct Wanted {
    past: Past,
    problems: Problems,
    outcome: Option<Outcome>,
    total: u64,
}

impl Wanted {
    /// The first change that is not before `number` and fits the filter.
    fn next(&self, mut number: u64) -> Option<u64> {
        let found = match self.outcome {
            Some(Outcome::Updated) => self.past.updated.next(number)?,
            Some(Outcome::Pending) => self.past.done.next_gap(number),
            Some(Outcome::Unchanged) => loop {
                let done = self.past.done.next(number)?;
                number = self.problems.all.next_gap(self.past.updated.next_gap(done));
                if number == done {
                    break done;
                }
            },
            _ => number,
        };
        (found < self.total).then_some(found)
    }

    fn of(&self, change: u64) -> (Outcome, Option<Response>) {
        if let Some((ending, problem)) = self.problems.near.get(&change) {
            let response = Response {
                status: problem.status,
                code: problem.code.clone(),
                message: problem.message.clone(),
            };
            return ((*ending).into(), Some(response));
        }
        let outcome = if self.past.updated.contains(change) {
            Outcome::Updated
        } else if self.past.done.contains(change) {
            Outcome::Unchanged
        } else {
            Outcome::Pending
        };
        (outcome, None)
    }

    fn page(
        &self,
        mut from: Opened<'_>,
        limit: usize,
    ) -> Result<Page<ChangeOutcome>, OutcomesError> {
        let mut items = Vec::new();
        let (mut open, mut read) = (None, 0);
        let mut number = from.at.number;
        while let Some(change) = self.next(number) {
            from.at =
                from.blocks.forward(from.at, change).map_err(|error| from.unreadable(error))?;
            let block = from.at.block;
            if items.len() == limit
                || (read == MAX_BLOCKS && open.as_ref().is_none_or(|(opened, _)| *opened != block))
            {
                return Ok(Page { items, next: Some(Cursor::at(from.at)) });
            }
            let stored = match &open {
                Some((opened, stored)) if *opened == block => stored,
                _ => {
                    read += 1;
                    let stored = read_block(&mut from.blocks, block)
                        .map_err(|error| from.unreadable(error))?;
                    &open.insert((block, stored)).1
                }
            };
            let planned = stored.change(from.at.index as usize);
            let (outcome, response) = self.of(change);
            items.push(ChangeOutcome {
                change,
                row: planned.row,
                provider_id: planned.provider_id.to_owned(),
                outcome,
                response,
            });
            number = change + 1;
        }
        Ok(Page { items, next: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{Journal, Outcomes},
        plan::{Plan, sample},
    };
    use proptest::prelude::*;
    use std::io::Write;

    fn all(
        plans_dir: &Path,
        plan: &Plan,
        journal: Option<&Path>,
        outcome: Option<Outcome>,
        limit: usize,
    ) -> Vec<ChangeOutcome> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = outcomes_page(plans_dir, plan.id(), journal, outcome, after, limit).unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items);
            after = page.next.map(|next| next.to_string().parse().unwrap());
            if after.is_none() {
                return found;
            }
        }
    }

    fn problem(change: u64) -> Problem {
        Problem::new(
            change,
            sample::row(change),
            sample::id(change),
            Some(400),
            "BAD".to_owned(),
            format!("no {change}"),
        )
    }

    async fn journal_of(runs_dir: &Path, plan: &Plan, outcomes: &[Outcome]) -> std::path::PathBuf {
        let journal = Journal::open(runs_dir, plan.id()).unwrap();
        let mut told = Outcomes::default();
        // In another order than the plan's: a journal is in the order of time.
        for (change, outcome) in outcomes.iter().enumerate().rev() {
            let change = change as u64;
            match outcome {
                Outcome::Updated => told.updated.push(change),
                Outcome::Unchanged => told.unchanged.push(change),
                Outcome::Failed => told.problems.push((Ending::Failed, problem(change))),
                Outcome::Drifted => told.problems.push((Ending::Drifted, problem(change))),
                Outcome::Unknown => told.problems.push((Ending::Unknown, problem(change))),
                Outcome::Pending => {}
            }
        }
        journal.outcomes().push(told).await.unwrap();
        let path = journal.path().to_owned();
        journal.close(crate::journal::Closing::InDoubt).await.unwrap();
        path
    }

    const KINDS: [Outcome; 6] = [
        Outcome::Updated,
        Outcome::Unchanged,
        Outcome::Failed,
        Outcome::Drifted,
        Outcome::Unknown,
        Outcome::Pending,
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
        #[test]
        fn each_change_is_on_one_page_with_its_outcome(
            runs in prop::collection::vec((prop::sample::select(KINDS.to_vec()), 1usize..40), 0..12),
            limit in 1usize..60,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let outcomes: Vec<Outcome> = runs.into_iter().flat_map(|(outcome, count)| vec![outcome; count]).collect();
            let plan = sample::plan(dir.path(), outcomes.len() as u64);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let journal = runtime.block_on(journal_of(dir.path(), &plan, &outcomes));
            // A line that is being written.
            std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(br#"{"updated":[[0,"#).unwrap();
            let expected: Vec<ChangeOutcome> = outcomes
                .iter()
                .zip(0..)
                .map(|(outcome, change)| ChangeOutcome {
                    change,
                    row: sample::row(change),
                    provider_id: sample::id(change),
                    outcome: *outcome,
                    response: matches!(outcome, Outcome::Failed | Outcome::Drifted | Outcome::Unknown)
                        .then(|| Response { status: Some(400), code: "BAD".to_owned(), message: format!("no {change}") }),
                })
                .collect();
            prop_assert_eq!(&all(dir.path(), &plan, Some(&journal), None, limit), &expected);
            for kind in KINDS {
                let expected: Vec<ChangeOutcome> = expected.iter().filter(|change| change.outcome == kind).cloned().collect();
                prop_assert_eq!(all(dir.path(), &plan, Some(&journal), Some(kind), limit), expected);
            }
        }
    }

    #[tokio::test]
    async fn what_is_scattered_over_many_blocks_comes_in_short_pages() {
        let dir = tempfile::tempdir().unwrap();
        let count = 300_000;
        let plan = sample::plan(dir.path(), count);
        let outcomes: Vec<Outcome> = (0..count)
            .map(|change| if change % 4_000 == 0 { Outcome::Unchanged } else { Outcome::Updated })
            .collect();
        let journal = journal_of(dir.path(), &plan, &outcomes).await;
        let page = outcomes_page(
            dir.path(),
            plan.id(),
            Some(&journal),
            Some(Outcome::Unchanged),
            None,
            500,
        )
        .unwrap();
        assert!(page.next.is_some() && page.items.len() < 75, "{}", page.items.len());
        let found = all(dir.path(), &plan, Some(&journal), Some(Outcome::Unchanged), 500);
        assert_eq!(
            found.iter().map(|change| change.change).collect::<Vec<_>>(),
            (0..count).step_by(4_000).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn without_a_journal_all_are_pending_and_another_plans_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 3);
        let pending = all(dir.path(), &plan, None, None, 2);
        assert!(
            pending.len() == 3 && pending.iter().all(|change| change.outcome == Outcome::Pending)
        );
        let other = sample::plan(dir.path(), 4);
        let journal = journal_of(dir.path(), &other, &[Outcome::Updated; 4]).await;
        let page = outcomes_page(dir.path(), plan.id(), Some(&journal), None, None, 10);
        assert!(matches!(page, Err(OutcomesError::OtherPlan { .. })));
        let page = outcomes_page(dir.path(), plan.id(), None, None, Some(Cursor::number(7)), 10);
        assert!(matches!(page, Err(OutcomesError::Plan(PlanError::Cursor { .. }))));
    }
}
