//! Who may have made a write, and what a record held when. Time is counted in writes: the n-th
//! write came after every moment by which there had been n writes or fewer.

use crate::{
    evidence::{Change, Evidence, Run},
    history::{Asked, Call},
};
use std::collections::BTreeMap;

/// When a run may have written: from a number of writes up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: usize,
    pub(super) to: usize,
}

pub(super) struct View<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) windows: BTreeMap<&'a str, Vec<Window>>,
    /// For each write the runs that may have made it.
    pub(super) makers: Vec<Vec<&'a str>>,
}

pub(super) const ENDED: [&str; 3] = ["succeeded", "failed", "stopped"];

impl<'a> View<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> View<'a> {
        let windows: BTreeMap<&str, Vec<Window>> = evidence
            .runs
            .iter()
            .map(|(id, run)| (id.as_str(), windows(evidence, id, run)))
            .collect();
        let mut view = View { evidence, windows, makers: Vec::new() };
        view.makers = (0..evidence.writes.len()).map(|write| view.makers_of(write)).collect();
        view
    }

    /// The change of a run that a write would be.
    pub(super) fn change_of(&self, run: &str, write: usize) -> Option<&'a Change> {
        let seen = &self.evidence.writes[write];
        let plan = self.evidence.plans.get(&self.evidence.runs.get(run)?.row.plan)?;
        plan.changes.iter().find(|change| change.id == seen.id && change.fields == seen.fields)
    }

    fn makers_of(&self, write: usize) -> Vec<&'a str> {
        let is_open = |windows: &[Window]| {
            windows.iter().any(|window| (window.from..window.to).contains(&write))
        };
        let open = self
            .windows
            .iter()
            .filter(|(run, windows)| is_open(windows) && self.change_of(run, write).is_some());
        open.map(|(run, _)| *run).collect()
    }

    /// Writes that this run may have made of a change, and whether nobody else can have.
    pub(super) fn writes_of<'v>(
        &'v self,
        run: &'v str,
        change: &'v Change,
    ) -> impl Iterator<Item = (usize, bool)> + 'v {
        let fits = move |(write, makers): (usize, &Vec<&str>)| {
            let seen = &self.evidence.writes[write];
            let is = makers.contains(&run) && seen.id == change.id && seen.fields == change.fields;
            is.then_some((write, makers.len() == 1))
        };
        self.makers.iter().enumerate().filter_map(fits)
    }

    /// Whether a record held these values at some moment of the time between so many writes and so
    /// many.
    pub(super) fn held(&self, change: &Change, from: usize, to: usize) -> bool {
        change.fields.iter().all(|(field, value)| {
            self.values(&change.id, field, from, to).contains(&value.as_str())
        })
    }

    /// All values that a field had in that time.
    pub(super) fn values(&self, id: &str, field: &str, from: usize, to: usize) -> Vec<&'a str> {
        let evidence = self.evidence;
        let first =
            evidence.held.get(&(id.to_owned(), field.to_owned())).map_or("", String::as_str);
        let mut values = vec![first];
        let edits = |at: usize| {
            let of_it = move |edit: &&crate::history::Edit| {
                edit.writes == at && edit.id == id && edit.field == field
            };
            evidence.history.edits.iter().filter(of_it).map(|edit| edit.value.as_str())
        };
        for at in 0..=to.min(evidence.writes.len()) {
            let mut new: Vec<&str> = edits(at).collect();
            if at < to {
                let write = evidence.writes.get(at).filter(|write| write.id == id);
                new.extend(write.and_then(|write| write.fields.get(field)).map(String::as_str));
            }
            for value in new {
                if at < from {
                    values.clear();
                }
                values.push(value);
            }
        }
        values
    }

    /// Whether somebody who writes may have been cut off, or was taken over, between two writes.
    pub(super) fn doubt(&self, from: usize, to: usize) -> bool {
        self.evidence
            .history
            .events
            .iter()
            .any(|event| event.doubt && event.from.writes <= to && event.to.writes >= from)
    }

    pub(super) fn taken_over(&self, from: usize, to: usize) -> bool {
        self.evidence
            .history
            .events
            .iter()
            .any(|event| event.taken_over && event.from.writes <= to && event.to.writes >= from)
    }
}

/// Calls that have, or may have, confirmed a run.
pub(super) fn confirmations<'a>(
    evidence: &'a Evidence,
    id: &'a str,
    run: &'a Run,
) -> impl Iterator<Item = &'a Call> {
    evidence.history.calls.iter().filter(move |call| {
        let Asked::Confirm { destination, plan, key } = &call.asked else { return false };
        match call.run() {
            Some(told) => told == id,
            None => {
                let fits = *destination == run.row.destination
                    && plan.as_ref().is_none_or(|plan| *plan == run.row.plan);
                fits && *key == run.row.key && !call.is_no()
            }
        }
    })
}

/// From its confirmation until somebody has seen its end, and again from each time that it was
/// resumed.
fn windows(evidence: &Evidence, id: &str, run: &Run) -> Vec<Window> {
    let calls = &evidence.history.calls;
    let seen_to_end_after = |number: u64| {
        let ends = calls
            .iter()
            .filter(|call| call.run() == Some(id) && call.at.number > number && says_ended(call));
        ends.map(|call| call.over.writes).min().unwrap_or(usize::MAX)
    };
    let mut windows = Vec::new();
    if let Some(first) = confirmations(evidence, id, run).min_by_key(|call| call.at.number) {
        // An answer to the confirmation itself may tell the end.
        windows.push(Window { from: first.at.writes, to: seen_to_end_after(first.at.number - 1) });
    }
    for call in calls {
        if !matches!(&call.asked, Asked::Resume { run } if run == id) || call.is_no() {
            continue;
        }
        // A request that nobody answered may take effect whenever.
        let to =
            if call.yes().is_some() { seen_to_end_after(call.over.number) } else { usize::MAX };
        windows.push(Window { from: call.at.writes, to });
    }
    // Who was taken over may not have noticed yet.
    for event in evidence.history.events.iter().filter(|event| event.taken_over) {
        for window in &mut windows {
            if window.from <= event.to.writes && window.to >= event.from.writes {
                window.to = window.to.max(event.to.writes);
            }
        }
    }
    windows
}

fn says_ended(call: &Call) -> bool {
    call.yes()
        .and_then(|body| body["status"].as_str())
        .is_some_and(|status| ENDED.contains(&status))
}
