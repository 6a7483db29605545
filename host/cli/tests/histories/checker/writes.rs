//! What the CRM saw.

use super::{
    Found, Rule,
    view::{View, confirmations},
};
use crate::{evidence::Change, history::Asked};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    confirmed(view, found);
    planned(view, found);
    true_outcomes(view, found);
    once(view, found);
    one_at_a_time(view, found);
}

/// Every write is a change of a plan that somebody has confirmed, after that, and before its run's
/// end.
fn confirmed(view: &View<'_>, found: &mut Found) {
    let evidence = view.evidence;
    for (id, run) in &evidence.runs {
        if confirmations(evidence, id, run).next().is_none() {
            found.add(Rule::Unconfirmed, format!("nobody has confirmed {id}"));
        }
    }
    for (at, makers) in view.makers.iter().enumerate() {
        if makers.is_empty() {
            let seen = &evidence.writes[at];
            let plans: BTreeSet<&str> = evidence
                .runs
                .keys()
                .filter(|run| view.change_of(run, at).is_some())
                .map(String::as_str)
                .collect();
            let why = if plans.is_empty() {
                "is a change of no plan that was confirmed".to_owned()
            } else {
                format!(
                    "is a change of {plans:?}, none of which was running: {:?}",
                    plans.iter().map(|run| &view.windows[run]).collect::<Vec<_>>()
                )
            };
            found.add(
                Rule::Unconfirmed,
                format!("write {at} of {:?} to {} {why}", seen.fields, seen.id),
            );
        }
    }
}

/// What a plan holds is what somebody has uploaded for its destination.
fn planned(view: &View<'_>, found: &mut Found) {
    let evidence = view.evidence;
    for (id, plan) in evidence.plans.iter().filter(|(_, plan)| plan.undoes.is_none()) {
        let Some(entity) = evidence.entities.get(&plan.destination) else { continue };
        for change in &plan.changes {
            let uploaded = evidence.history.calls.iter().any(|call| match &call.asked {
                Asked::Replace { entity: of, values } => {
                    of == entity
                        && !call.is_no()
                        && change.fields.values().all(|value| values.get(&change.id) == Some(value))
                }
                _ => false,
            });
            if !uploaded || change.fields.is_empty() {
                found.add(
                    Rule::Planned,
                    format!(
                        "{id} would write {:?} to {}, and no golden record says so",
                        change.fields, change.id
                    ),
                );
            }
        }
    }
}

/// `updated` was seen by the CRM, or read there; `unchanged` was read there; neither that nor what
/// failed or drifted was written.
fn true_outcomes(view: &View<'_>, found: &mut Found) {
    for (id, run) in &view.evidence.runs {
        let Some(plan) = view.evidence.plans.get(&run.row.plan) else { continue };
        for (number, outcome) in &run.journal {
            let Some(change) = plan.changes.iter().find(|change| change.number == *number) else {
                continue;
            };
            let written = view.writes_of(id, change).next().is_some();
            let by_nobody_else = view.writes_of(id, change).find(|(_, certain)| *certain);
            let held = || {
                view.windows[id.as_str()]
                    .iter()
                    .any(|window| view.held(change, window.from, window.to))
            };
            let what = format!("{id} calls its change {number} of {} {outcome}", change.id);
            match (outcome.as_str(), by_nobody_else) {
                ("updated", _) if !written && !held() => {
                    found.add(Rule::Untrue, format!("{what}, and the CRM saw no such write"))
                }
                ("unchanged", None) if !held() => {
                    found.add(Rule::Untrue, format!("{what}, and the CRM held something else"))
                }
                ("unchanged" | "failed" | "drifted", Some((write, _))) => {
                    found.add(Rule::Untrue, format!("{what}, and it made write {write}"));
                }
                _ => {}
            }
        }
    }
}

/// A run writes a record once; again only if nobody could know whether it was written, and a read
/// has not told.
fn once(view: &View<'_>, found: &mut Found) {
    let evidence = view.evidence;
    for (id, run) in &evidence.runs {
        let Some(plan) = evidence.plans.get(&run.row.plan) else { continue };
        for change in &plan.changes {
            let writes: Vec<usize> = view
                .writes_of(id, change)
                .filter(|(_, certain)| *certain)
                .map(|(write, _)| write)
                .collect();
            for pair in writes.windows(2) {
                let (first, second) = (pair[0], pair[1]);
                let in_doubt = evidence.writes[first].lost || view.doubt(first, second);
                let why = if !in_doubt {
                    "though nothing was in doubt"
                } else if view.taken_over(first, second) {
                    continue;
                } else {
                    match found_before(view, &run.row.destination, change, second) {
                        Some(why) => why,
                        None => continue,
                    }
                };
                found.add(
                    Rule::Twice,
                    format!(
                        "{id} has written {} twice, by writes {first} and {second}, {why}",
                        change.id
                    ),
                );
            }
        }
    }
}

/// What a read before a second write would have found that speaks against it.
fn found_before(
    view: &View<'_>,
    destination: &str,
    change: &Change,
    second: usize,
) -> Option<&'static str> {
    let all = |is: &dyn Fn(&str, &str) -> bool| {
        let mut fields = change.fields.iter();
        fields.all(|(field, value)| {
            view.values(&change.id, field, second, second).into_iter().all(|now| is(now, value))
        })
    };
    if all(&|now, value| now == value) {
        return Some("though it still held what was written");
    }
    let before =
        change.before.as_ref().filter(|_| !view.evidence.overwrites.contains(destination))?;
    all(&|now, _| !before.values().any(|before| before == now))
        .then_some("though somebody else had changed it since")
}

/// Runs of a destination do not interleave.
fn one_at_a_time(view: &View<'_>, found: &mut Found) {
    let mut by_destination: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (at, makers) in view.makers.iter().enumerate() {
        if let [run] = makers[..] {
            by_destination
                .entry(&view.evidence.runs[run].row.destination)
                .or_default()
                .push((at, run));
        }
    }
    for (destination, writes) in by_destination {
        let mut over: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in writes.windows(2) {
            let ((before, last), (at, run)) = (pair[0], pair[1]);
            if last != run {
                over.insert(last, before);
            }
            if let Some(since) = over.get(run)
                && !view.taken_over(*since, at)
            {
                found.add(Rule::AtOnce, format!("{run} makes write {at} to {destination} after another run has begun to write"));
            }
        }
    }
}
