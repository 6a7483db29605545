//! Holds what each witness says against what the others say, and against what is promised. Pure:
//! evidence in, violations out.
//!
//! - [`view`]: which runs may have made a write, and what a record held when
//! - `writes`: every write was confirmed; what an outcome says is what the CRM saw; nothing is
//!   written twice; one run at a time
//! - `outcomes`: each change has one outcome, and all places that count agree
//! - `answers`: what a client was told stays true
//! - `log`: the audit log has one row for each confirmation and each end, in an order that can be
//! - `undo`: an undo puts back what its run has written
//!
//! A rule that is not certain of something lets it pass: two runs may be going to write the same
//! value, and an answer that never came may have been a yes. What is documented as left open
//! (THREAT-MODEL.md, "What is left") is let pass in the moments that it speaks of, and only there.

mod answers;
mod log;
mod outcomes;
#[cfg(test)]
mod tests;
mod undo;
mod view;
mod writes;

use crate::evidence::Evidence;
use std::fmt;
use view::View;

/// Something that was promised and is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A write that belongs to no confirmed change, or comes before its confirmation or after its
    /// run's end.
    Unconfirmed,
    /// A plan that is not made of the golden records.
    Planned,
    /// An outcome that is not what the CRM saw.
    Untrue,
    /// Changes and counts that do not add up, or differ from place to place.
    Counts,
    /// A record that a run has written twice without need.
    Twice,
    /// An answer that was taken back.
    Forgotten,
    /// Two runs of a destination at a time.
    AtOnce,
    /// An audit log that is broken, or lacks something, or has it twice.
    Log,
    /// Something that does not finish.
    Hangs,
    /// An undo of what its run has not written.
    Undo,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) runs: u64,
    pub(crate) ended: u64,
    pub(crate) changes: u64,
    pub(crate) writes: u64,
    pub(crate) log: u64,
}

impl Checked {
    pub(crate) fn add(&mut self, other: &Checked) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.runs += other.runs;
        self.ended += other.ended;
        self.changes += other.changes;
        self.writes += other.writes;
        self.log += other.log;
    }
}

/// All violations.
pub(crate) fn check(evidence: &Evidence) -> (Checked, Vec<Violation>) {
    let view = View::of(evidence);
    let mut found = Found::default();
    writes::check(&view, &mut found);
    outcomes::check(evidence, &mut found);
    answers::check(evidence, &mut found);
    log::check(evidence, &mut found);
    undo::check(&view, &mut found);
    for overdue in &evidence.history.overdue {
        found.add(Rule::Hangs, overdue.clone());
    }
    let calls = &evidence.history.calls;
    let checked = Checked {
        calls: calls.len() as u64,
        answered: calls.iter().filter(|call| call.told.is_some()).count() as u64,
        runs: evidence.runs.len() as u64,
        ended: evidence
            .runs
            .values()
            .filter(|run| ["succeeded", "failed"].contains(&run.row.status.as_str()))
            .count() as u64,
        changes: evidence.runs.values().map(|run| run.journal.len() as u64).sum(),
        writes: evidence.writes.len() as u64,
        log: evidence.log.len() as u64,
    };
    (checked, found.0)
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, what: String) {
        self.0.push(Violation { rule, what });
    }
}
