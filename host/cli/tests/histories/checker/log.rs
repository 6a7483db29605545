//! The audit log: whole, and with one row for each confirmation and each end, in an order that can
//! be.

use super::{Found, Rule, view::ENDED};
use crate::evidence::{Evidence, LogRow};
use std::collections::BTreeMap;

/// Whether a row says how a run ended.
pub(super) fn is_end(row: &LogRow) -> bool {
    row.action.starts_with("destination.reverse_run")
}

pub(super) fn check(evidence: &Evidence, found: &mut Found) {
    if let Some(said) = &evidence.log_is_broken {
        found.add(Rule::Log, format!("audit verify: {said}"));
    }
    for (at, row) in evidence.log.iter().enumerate() {
        if row.seq != at as i64 + 1 {
            found.add(Rule::Log, format!("row {} comes where row {} should", row.seq, at + 1));
            break;
        }
    }
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    // The run of each destination that began last, and the one that is running.
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    let mut under_way: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &evidence.log {
        let (Some(run), Some(destination)) = (row.run.as_deref(), row.destination.as_deref())
        else {
            continue;
        };
        match row.action.as_str() {
            "run.begin" | "run.resume" => {
                if row.action == "run.begin" {
                    *begun.entry(run).or_default() += 1;
                    last.insert(destination, run);
                } else if let Some(last) = last.get(destination).filter(|last| **last != run) {
                    found.add(
                        Rule::AtOnce,
                        format!(
                            "row {}: {run} is resumed after {last}, which came after it",
                            row.seq
                        ),
                    );
                } else if !begun.contains_key(run) {
                    found.add(
                        Rule::Log,
                        format!("row {}: {run} is resumed before it began", row.seq),
                    );
                }
                if let Some(other) = under_way.insert(destination, run) {
                    found.add(
                        Rule::AtOnce,
                        format!("row {}: {run} begins while {other} is running", row.seq),
                    );
                }
            }
            _ if is_end(row) && under_way.remove(destination) != Some(run) => {
                found.add(Rule::Log, format!("row {}: {run} ends, but was not running", row.seq));
            }
            _ => {}
        }
    }
    for (id, run) in &evidence.runs {
        let times = begun.get(id.as_str()).copied().unwrap_or_default();
        if times != 1 {
            found.add(Rule::Log, format!("{times} rows say that {id} began"));
        }
        let is_under_way = under_way.get(run.row.destination.as_str()) == Some(&id.as_str());
        if is_under_way == ENDED.contains(&run.row.status.as_str()) {
            found.add(
                Rule::Log,
                format!(
                    "{id} is {}, but {} in the audit log",
                    run.row.status,
                    if is_under_way { "running" } else { "ended" }
                ),
            );
        }
    }
}
