//! Each change has one outcome, and API, journal, database and audit log agree.

use super::{Found, Rule, view::ENDED};
use crate::evidence::{Evidence, Run};
use serde_json::Value;
use std::collections::BTreeMap;

const OUTCOMES: [&str; 5] = ["updated", "unchanged", "failed", "drifted", "unknown"];

pub(super) fn check(evidence: &Evidence, found: &mut Found) {
    for (id, run) in &evidence.runs {
        let status = run.told["status"].as_str().unwrap_or_default();
        if status != run.row.status {
            found.add(
                Rule::Counts,
                format!("{id} is {status} by the API and {} by the database", run.row.status),
            );
        }
        if !ENDED.contains(&status) {
            found.add(Rule::Hangs, format!("{id} is {status} in the end"));
            continue;
        }
        let Some(plan) = evidence.plans.get(&run.row.plan) else {
            found.add(Rule::Forgotten, format!("the plan {} of {id} is gone", run.row.plan));
            continue;
        };
        one_each(id, run, plan.changes.len() as u64, found);
        add_up(id, run, plan.changes.len() as u64, found);
        let mut ends = evidence
            .log
            .iter()
            .filter(|row| row.run.as_deref() == Some(id) && super::log::is_end(row));
        if let Some(last) = ends.next_back() {
            same("the API", &run.told, "the audit log", &last.counts, id, found);
        }
        same("the API", &run.told, "the database", &run.row.result, id, found);
    }
}

fn one_each(id: &str, run: &Run, writable: u64, found: &mut Found) {
    let mut journal: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (change, outcome) in &run.journal {
        journal.entry(*change).or_default().push(outcome);
    }
    let mut listed: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (change, outcome) in &run.outcomes {
        listed.entry(*change).or_default().push(outcome);
    }
    for change in 0..writable.max(journal.keys().max().map_or(0, |last| last + 1)) {
        let (kept, shown) = (
            journal.get(&change).map_or(&[][..], Vec::as_slice),
            listed.get(&change).map_or(&[][..], Vec::as_slice),
        );
        let may_be_pending = run.row.status == "stopped";
        match (kept, shown) {
            ([kept], [shown]) if kept == shown => {}
            ([], ["pending"]) if may_be_pending => {}
            _ => found.add(
                Rule::Counts,
                format!(
                    "change {change} of {id} is {kept:?} by the journal and {shown:?} by the API"
                ),
            ),
        }
    }
}

fn add_up(id: &str, run: &Run, writable: u64, found: &mut Found) {
    for outcome in OUTCOMES {
        let kept = run.journal.iter().filter(|(_, kept)| kept == outcome).count() as u64;
        if run.told[outcome].as_u64() != Some(kept) {
            found.add(
                Rule::Counts,
                format!(
                    "{id} has {kept} {outcome} by the journal and {} by the API",
                    run.told[outcome]
                ),
            );
        }
    }
    let number = |key: &str| run.told[key].as_u64().unwrap_or_default();
    let sum: u64 = OUTCOMES.iter().map(|outcome| number(outcome)).sum::<u64>() + number("pending");
    if sum != number("writable")
        || number("writable") != writable
        || number("writable") + number("skipped") != number("total")
    {
        found.add(
            Rule::Counts,
            format!(
                "the counts of {id}, whose plan has {writable} changes, do not add up: {}",
                run.told
            ),
        );
    }
    let good = number("updated") + number("unchanged") == writable;
    let fits = match run.row.status.as_str() {
        // A run that ended early may have had nothing left to do.
        "succeeded" => good,
        "failed" => number("pending") == 0,
        _ => true,
    };
    if !fits || (run.told["ok"] == true) != (run.row.status == "succeeded") {
        found.add(Rule::Counts, format!("{id} is {}: {}", run.row.status, run.told));
    }
}

fn same(here: &str, one: &Value, there: &str, other: &Value, id: &str, found: &mut Found) {
    for key in OUTCOMES.into_iter().chain(["pending"]) {
        if one[key] != other[key] {
            found.add(
                Rule::Counts,
                format!("{id} has {} {key} by {here} and {} by {there}", one[key], other[key]),
            );
        }
    }
}
