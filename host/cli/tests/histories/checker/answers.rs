//! What a client was told stays true, whatever happened after it.

use super::{Found, Rule, view::ENDED};
use crate::{
    evidence::Evidence,
    history::{Asked, Call, short},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Milliseconds within which a service looks again whether a journal is free.
const UNTIL_IT_LOOKS: u64 = 3_000;
const GROWING: [&str; 5] = ["updated", "unchanged", "failed", "drifted", "unknown"];

pub(super) fn check(evidence: &Evidence, found: &mut Found) {
    kept(evidence, found);
    keys(evidence, found);
    forwards(evidence, found);
}

/// What was acknowledged is there.
fn kept(evidence: &Evidence, found: &mut Found) {
    let log = |action: &str| evidence.log.iter().filter(|row| row.action == action).count();
    let mut uploads = 0;
    let mut resumes: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &evidence.history.calls {
        let Some(body) = call.yes() else { continue };
        match &call.asked {
            Asked::Confirm { .. } => {
                let run = call.run().and_then(|id| evidence.runs.get(id));
                if run.is_none_or(|run| run.told.is_null() || run.row.plan.is_empty()) {
                    found.add(
                        Rule::Forgotten,
                        format!(
                            "client {} was told of {}, which is gone",
                            call.client, body["run_id"]
                        ),
                    );
                }
            }
            Asked::DryRun { .. } | Asked::Undo { .. } => {
                if body["plan_id"].as_str().is_none_or(|plan| !evidence.plans.contains_key(plan)) {
                    found.add(
                        Rule::Forgotten,
                        format!(
                            "client {} was shown {}, which is gone",
                            call.client, body["plan_id"]
                        ),
                    );
                }
            }
            Asked::Replace { .. } => uploads += 1,
            Asked::Resume { run } => *resumes.entry(run).or_default() += 1,
            Asked::LookAtLog => {
                for row in body["items"].as_array().into_iter().flatten() {
                    let now =
                        evidence.log.iter().find(|kept| Some(kept.seq) == row["seq"].as_i64());
                    if now.is_none_or(|now| Some(now.hash.as_str()) != row["hash"].as_str()) {
                        found.add(
                            Rule::Log,
                            format!("row {} of the audit log is not what was shown", row["seq"]),
                        );
                    }
                }
            }
            Asked::Cancel { .. } | Asked::Look { .. } => {}
        }
    }
    if log("golden.replace") < uploads {
        found.add(
            Rule::Forgotten,
            format!(
                "{uploads} uploads were acknowledged, and {} are on record",
                log("golden.replace")
            ),
        );
    }
    for (run, times) in resumes {
        let logged = evidence
            .log
            .iter()
            .filter(|row| row.action == "run.resume" && row.run.as_deref() == Some(run))
            .count();
        if logged < times {
            found.add(
                Rule::Forgotten,
                format!("{times} resumes of {run} were acknowledged, and {logged} are on record"),
            );
        }
    }
}

/// A key is the key of one run.
fn keys(evidence: &Evidence, found: &mut Found) {
    let mut runs: BTreeMap<&str, &str> = BTreeMap::new();
    for call in &evidence.history.calls {
        let (Asked::Confirm { key: Some(key), .. }, Some(run)) = (&call.asked, call.run()) else {
            continue;
        };
        let first = *runs.entry(key).or_insert(run);
        if first != run {
            found.add(Rule::Forgotten, format!("the key {key} has begun {first} and {run}"));
        }
        if evidence.runs.get(run).is_some_and(|kept| kept.row.key.as_ref() != Some(key)) {
            found.add(
                Rule::Forgotten,
                format!("{run} was begun with the key {key}, which is not on record"),
            );
        }
    }
}

/// A run that has ended stays so, unless somebody resumes it; what is counted stays counted.
fn forwards(evidence: &Evidence, found: &mut Found) {
    let mut seen: BTreeMap<&str, Vec<(&Call, &Value)>> = BTreeMap::new();
    for call in &evidence.history.calls {
        if let Some((run, body)) = call.run().zip(call.yes()) {
            seen.entry(run).or_default().push((call, body));
        }
    }
    for (run, looks) in seen {
        for (first, before) in &looks {
            for (second, after) in
                looks.iter().filter(|(second, _)| second.at.number > first.over.number)
            {
                if let Some(what) = backwards(evidence, run, (first, before), (second, after)) {
                    let (before, after) = (short(before), short(after));
                    found.add(
                        Rule::Forgotten,
                        format!(
                            "{run} {what}: client {} was told {before}; then client {}: {after}",
                            first.client, second.client
                        ),
                    );
                }
            }
        }
        let last = evidence.runs.get(run).map(|kept| &kept.told);
        for (_, before) in &looks {
            if let Some(after) = last
                && let Some(what) = shrunk(before, after)
            {
                found.add(
                    Rule::Forgotten,
                    format!("{run} {what}: it was {}; now it is {}", short(before), short(after)),
                );
            }
        }
    }
}

fn backwards(
    evidence: &Evidence,
    run: &str,
    (first, before): (&Call, &Value),
    (second, after): (&Call, &Value),
) -> Option<String> {
    let status = |body: &Value| body["status"].as_str().unwrap_or_default().to_owned();
    let (was, is) = (status(before), status(after));
    let resumed = || {
        let between =
            |call: &Call| call.over.number > first.at.number && call.at.number < second.over.number;
        evidence.history.calls.iter().any(|call| {
            matches!(&call.asked, Asked::Resume { run: of } if of == run)
                && !call.is_no()
                && between(call)
        })
    };
    if ENDED.contains(&was.as_str()) && is != was && !(was == "stopped" && resumed()) {
        return Some(format!("was {was} and is {is}"));
    }
    // Of two services, the one that was taken over may be further with counting, until the other
    // one has looked into the journal.
    let mut events = evidence.history.events.iter();
    let two = events.any(|event| {
        event.taken_over
            && event.from.number < second.over.number
            && second.at.ms < event.to.ms + UNTIL_IT_LOOKS
    });
    shrunk(before, after).filter(|_| !two)
}

fn shrunk(before: &Value, after: &Value) -> Option<String> {
    let fewer = |key: &&str| {
        before[*key]
            .as_u64()
            .zip(after[*key].as_u64())
            .is_some_and(|(before, after)| after < before)
    };
    GROWING.iter().find(|key| fewer(key)).map(|key| format!("has fewer {key} than before"))
}
