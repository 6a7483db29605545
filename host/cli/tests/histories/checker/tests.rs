//! A good history, and bad ones: each breaks one promise, and must be found out.

use super::{Rule, check};
use crate::{
    evidence::{Change, Evidence, LogRow, Planned, Row, Run, Seen},
    history::{Asked, Call, Edit, Event, History, Moment},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const RUN: &str = "run_1";
const PLAN: &str = "plan_1";
const UNDO: &str = "plan_2";
const DESTINATION: &str = "dst_1";

fn moment(number: u64, writes: usize) -> Moment {
    Moment { number, writes, ms: number }
}

fn call(asked: Asked, at: Moment, over: Moment, told: Option<(u16, Value)>) -> Call {
    Call { client: 0, asked, at, over, told }
}

fn values(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("name".to_owned(), value.to_owned())])
}

fn wrote(id: &str, value: &str) -> Seen {
    Seen { id: id.to_owned(), fields: values(value), lost: false }
}

fn row(seq: i64, action: &str, run: Option<&str>, counts: Value) -> LogRow {
    let destination = run.map(|_| DESTINATION.to_owned());
    LogRow {
        seq,
        action: action.to_owned(),
        destination,
        run: run.map(str::to_owned),
        counts,
        hash: format!("hash {seq}"),
    }
}

fn confirm() -> Asked {
    Asked::Confirm {
        destination: DESTINATION.to_owned(),
        plan: Some(PLAN.to_owned()),
        key: Some("key".to_owned()),
    }
}

fn counts(status: &str, updated: u64, pending: u64) -> Value {
    json!({"run_id": RUN, "status": status, "ok": status == "succeeded", "total": 3, "writable": 2, "skipped": 1, "updated": updated, "unchanged": 0,
        "failed": 0, "drifted": 0, "unknown": 0, "pending": pending})
}

fn look() -> Asked {
    Asked::Look { run: RUN.to_owned() }
}

/// Two records are renamed by a run that somebody watches, and nothing is wrong with it.
fn good() -> Evidence {
    let change = |number, id: &str| Change {
        number,
        id: id.to_owned(),
        fields: values(&format!("new {id}")),
        before: Some(values("old")),
    };
    let upload = BTreeMap::from(
        [("a", "new a"), ("b", "new b")].map(|(id, value)| (id.to_owned(), value.to_owned())),
    );
    let ended = counts("succeeded", 2, 0);
    let calls = vec![
        call(
            Asked::Replace { entity: "people".to_owned(), values: upload },
            moment(1, 0),
            moment(2, 0),
            Some((200, json!({"id": "set_1"}))),
        ),
        call(
            Asked::DryRun { destination: DESTINATION.to_owned() },
            moment(3, 0),
            moment(4, 0),
            Some((200, json!({"plan_id": PLAN}))),
        ),
        call(confirm(), moment(5, 0), moment(6, 0), Some((202, counts("running", 0, 2)))),
        call(look(), moment(7, 1), moment(8, 1), Some((200, counts("running", 1, 1)))),
        call(look(), moment(9, 2), moment(10, 2), Some((200, ended.clone()))),
        call(
            Asked::Undo { run: RUN.to_owned() },
            moment(11, 2),
            moment(12, 2),
            Some((200, json!({"plan_id": UNDO}))),
        ),
    ];
    let put_back = |number, id: &str| Change {
        number,
        id: id.to_owned(),
        fields: values("old"),
        before: Some(values(&format!("new {id}"))),
    };
    let outcomes = || vec![(0, "updated".to_owned()), (1, "updated".to_owned())];
    let run = Run {
        told: ended.clone(),
        outcomes: outcomes(),
        journal: outcomes(),
        row: Row {
            plan: PLAN.to_owned(),
            destination: DESTINATION.to_owned(),
            status: "succeeded".to_owned(),
            key: Some("key".to_owned()),
            result: ended.clone(),
        },
    };
    Evidence {
        history: History { calls, ..History::default() },
        held: ["a", "b"].map(|id| ((id.to_owned(), "name".to_owned()), "old".to_owned())).into(),
        writes: vec![wrote("a", "new a"), wrote("b", "new b")],
        plans: BTreeMap::from([
            (
                PLAN.to_owned(),
                Planned {
                    destination: DESTINATION.to_owned(),
                    undoes: None,
                    changes: vec![change(0, "a"), change(1, "b")],
                },
            ),
            (
                UNDO.to_owned(),
                Planned {
                    destination: DESTINATION.to_owned(),
                    undoes: Some(RUN.to_owned()),
                    changes: vec![put_back(0, "a"), put_back(1, "b")],
                },
            ),
        ]),
        runs: BTreeMap::from([(RUN.to_owned(), run)]),
        log: vec![
            row(1, "golden.replace", None, Value::Null),
            row(2, "run.begin", Some(RUN), Value::Null),
            row(3, "destination.reverse_run", Some(RUN), ended),
        ],
        log_is_broken: None,
        entities: BTreeMap::from([(DESTINATION.to_owned(), "people".to_owned())]),
        ..Evidence::default()
    }
}

/// The rules that a history breaks, once it was spoiled.
fn broken(spoil: impl FnOnce(&mut Evidence)) -> Vec<Rule> {
    let mut evidence = good();
    spoil(&mut evidence);
    let (_, violations) = check(&evidence);
    let mut rules: Vec<Rule> = violations.iter().map(|violation| violation.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

fn run(evidence: &mut Evidence) -> &mut Run {
    evidence.runs.get_mut(RUN).unwrap()
}

/// The run has this for its change 1, everywhere.
fn ends(evidence: &mut Evidence, outcome: &str) {
    let run = run(evidence);
    run.journal[1].1 = outcome.to_owned();
    run.outcomes[1].1 = outcome.to_owned();
    let status = if outcome == "unchanged" { "succeeded" } else { "failed" };
    let mut told = counts(status, 1, 0);
    told[outcome] = json!(1);
    status.clone_into(&mut run.row.status);
    (run.told, run.row.result) = (told.clone(), told.clone());
    evidence.log[2].counts = told.clone();
    evidence.history.calls[4].told = Some((200, told));
    // What it has not written cannot be put back.
    evidence.plans.get_mut(UNDO).unwrap().changes.pop();
}

/// The service was killed between these moments.
fn killed(evidence: &mut Evidence, from: Moment, to: Moment) {
    evidence.history.events.push(Event {
        name: "kill".to_owned(),
        from,
        to,
        doubt: true,
        taken_over: false,
    });
}

/// The run writes the first record once more, last of all.
fn writes_again(evidence: &mut Evidence) {
    evidence.writes.push(wrote("a", "new a"));
    for call in &mut evidence.history.calls[4..] {
        call.at.writes = 3;
        call.over.writes = 3;
    }
}

#[test]
fn a_good_history_breaks_nothing() {
    assert_eq!(check(&good()).1, []);
}

#[test]
fn a_write_of_other_values_or_of_another_record_is_found() {
    assert_eq!(broken(|evidence| evidence.writes.push(wrote("a", "else"))), [Rule::Unconfirmed]);
    assert_eq!(broken(|evidence| evidence.writes.push(wrote("c", "new a"))), [Rule::Unconfirmed]);
    let one_more = broken(|evidence| {
        drop(evidence.writes[0].fields.insert("more".to_owned(), "x".to_owned()))
    });
    assert_eq!(one_more, [Rule::Unconfirmed, Rule::Undo]);
}

#[test]
fn a_write_before_its_confirmation_or_after_its_end_is_found() {
    let early = broken(|evidence| evidence.history.calls[2].at.writes = 1);
    assert_eq!(early, [Rule::Unconfirmed, Rule::Undo]);
    let late = broken(|evidence| {
        evidence.writes.push(wrote("a", "new a"));
    });
    assert_eq!(late, [Rule::Unconfirmed]);
}

#[test]
fn a_run_that_nobody_has_confirmed_is_found() {
    let refused = broken(|evidence| {
        evidence.history.calls[2].told = Some((409, json!({"code": "run_under_way"})))
    });
    assert!(refused.contains(&Rule::Unconfirmed), "{refused:?}");
    // No answer may have been a yes.
    assert_eq!(broken(|evidence| evidence.history.calls[2].told = None), []);
}

#[test]
fn a_plan_that_is_not_made_of_the_golden_records_is_found() {
    let other = broken(|evidence| {
        evidence.plans.get_mut(PLAN).unwrap().changes[0].fields = values("mine");
        evidence.writes[0].fields = values("mine");
    });
    assert_eq!(other, [Rule::Planned]);
}

#[test]
fn updated_without_a_write_is_found() {
    let lied = broken(|evidence| {
        evidence.writes.pop();
        evidence.plans.get_mut(UNDO).unwrap().changes.pop();
    });
    assert_eq!(lied, [Rule::Untrue]);
    // It may have been read there.
    let read = broken(|evidence| {
        evidence.writes.pop();
        evidence.plans.get_mut(UNDO).unwrap().changes.pop();
        let edit = Edit {
            writes: 1,
            number: 8,
            id: "b".to_owned(),
            field: "name".to_owned(),
            value: "new b".to_owned(),
        };
        evidence.history.edits.push(edit);
    });
    assert_eq!(read, []);
}

#[test]
fn what_was_written_and_is_called_something_else_is_found() {
    for outcome in ["failed", "drifted", "unchanged"] {
        assert_eq!(broken(|evidence| ends(evidence, outcome)), [Rule::Untrue], "{outcome}");
    }
    assert_eq!(broken(|evidence| ends(evidence, "unknown")), []);
    let never_there = broken(|evidence| {
        ends(evidence, "unchanged");
        evidence.writes.pop();
    });
    assert_eq!(never_there, [Rule::Untrue]);
}

#[test]
fn two_outcomes_none_and_counts_that_differ_are_found() {
    assert_eq!(
        broken(|evidence| run(evidence).journal.push((0, "failed".to_owned()))),
        [Rule::Untrue, Rule::Counts]
    );
    assert_eq!(broken(|evidence| drop(run(evidence).journal.pop())), [Rule::Counts]);
    assert_eq!(
        broken(|evidence| run(evidence).outcomes[0].1 = "unknown".to_owned()),
        [Rule::Counts]
    );
    assert_eq!(broken(|evidence| run(evidence).row.result["updated"] = json!(1)), [Rule::Counts]);
    assert_eq!(broken(|evidence| evidence.log[2].counts["updated"] = json!(0)), [Rule::Counts]);
    assert_eq!(broken(|evidence| run(evidence).told["total"] = json!(9)), [Rule::Counts]);
    assert_eq!(broken(|evidence| run(evidence).told["ok"] = json!(false)), [Rule::Counts]);
}

#[test]
fn a_record_that_is_written_twice_without_need_is_found() {
    assert_eq!(broken(writes_again), [Rule::Twice]);
    // After a kill a read tells that it was written.
    let read = broken(|evidence| {
        writes_again(evidence);
        killed(evidence, moment(8, 1), moment(9, 2));
    });
    assert_eq!(read, [Rule::Twice]);
    let edited = |value: &str| {
        let (id, field, value) = ("a".to_owned(), "name".to_owned(), value.to_owned());
        broken(move |evidence| {
            writes_again(evidence);
            killed(evidence, moment(8, 1), moment(9, 2));
            evidence.history.edits.push(Edit { writes: 1, number: 8, id, field, value });
        })
    };
    assert_eq!(edited("somebody's"), [Rule::Twice]);
    // It holds what it held before: nothing shows that it was written.
    assert_eq!(edited("old"), []);
}

#[test]
fn an_answer_that_is_taken_back_is_found() {
    let gone = broken(|evidence| {
        let other = call(
            confirm(),
            moment(20, 2),
            moment(21, 2),
            Some((202, json!({"run_id": "run_9", "status": "queued"}))),
        );
        evidence.history.calls.push(other);
    });
    assert_eq!(gone, [Rule::Forgotten]);
    let again = |status: &str, updated: u64| {
        let told = counts(status, updated, 2 - updated);
        broken(move |evidence| {
            evidence.history.calls.push(call(
                look(),
                moment(20, 2),
                moment(21, 2),
                Some((200, told)),
            ))
        })
    };
    assert_eq!(again("running", 2), [Rule::Forgotten]);
    assert_eq!(again("succeeded", 1), [Rule::Forgotten]);
    assert_eq!(again("succeeded", 2), []);
    assert_eq!(broken(|evidence| drop(evidence.plans.remove(UNDO))), [Rule::Forgotten]);
    assert_eq!(
        broken(|evidence| evidence.log[0].action = "golden.forget".to_owned()),
        [Rule::Forgotten]
    );
}

#[test]
fn a_key_that_begins_two_runs_is_found() {
    let two = broken(|evidence| {
        let mut second = evidence.runs[RUN].clone();
        second.told["run_id"] = json!("run_2");
        let told = second.told.clone();
        evidence.runs.insert("run_2".to_owned(), second);
        evidence.history.calls.push(call(
            confirm(),
            moment(20, 2),
            moment(21, 2),
            Some((202, told)),
        ));
        evidence.log.push(row(4, "run.begin", Some("run_2"), Value::Null));
        let counts = evidence.log[2].counts.clone();
        evidence.log.push(row(5, "destination.reverse_run", Some("run_2"), counts));
    });
    assert_eq!(two, [Rule::Forgotten]);
}

#[test]
fn an_end_that_is_resumed_by_nobody_is_found() {
    let stopped = |resume: bool| {
        broken(move |evidence| {
            evidence.history.calls[3].told = Some((200, counts("stopped", 1, 1)));
            evidence.log.insert(
                2,
                row(3, "destination.reverse_run.failed", Some(RUN), counts("stopped", 1, 1)),
            );
            evidence.log[3].seq = 5;
            evidence.log.insert(3, row(4, "run.resume", Some(RUN), Value::Null));
            if resume {
                let resumed = call(
                    Asked::Resume { run: RUN.to_owned() },
                    moment(8, 1),
                    moment(9, 1),
                    Some((202, counts("queued", 1, 1))),
                );
                evidence.history.calls.push(resumed);
            }
        })
    };
    assert_eq!(stopped(true), []);
    let by_nobody = stopped(false);
    assert!(
        by_nobody.contains(&Rule::Forgotten) && by_nobody.contains(&Rule::Unconfirmed),
        "{by_nobody:?}"
    );
}

#[test]
fn two_runs_at_a_time_are_found() {
    let begun = broken(|evidence| {
        evidence.log.insert(2, row(3, "run.begin", Some("run_2"), Value::Null));
        evidence.log[3].seq = 4;
    });
    assert!(begun.contains(&Rule::AtOnce), "{begun:?}");
    let superseded = broken(|evidence| {
        evidence.log.push(row(4, "run.begin", Some("run_2"), Value::Null));
        evidence.log.push(row(5, "destination.reverse_run", Some("run_2"), Value::Null));
        evidence.log.push(row(6, "run.resume", Some(RUN), Value::Null));
        evidence.log.push(LogRow { seq: 7, ..evidence.log[2].clone() });
    });
    assert_eq!(superseded, [Rule::AtOnce]);
    let interleaved = broken(|evidence| {
        // Another run of the same destination writes between the two writes of this one.
        let mut second = evidence.runs[RUN].clone();
        second.row.plan = "plan_3".to_owned();
        second.row.key = None;
        second.told["run_id"] = json!("run_2");
        let change = |number, id: &str| Change {
            number,
            id: id.to_owned(),
            fields: values(&format!("newer {id}")),
            before: None,
        };
        let changes = vec![change(0, "a"), change(1, "b")];
        evidence.plans.insert(
            "plan_3".to_owned(),
            Planned { destination: DESTINATION.to_owned(), undoes: None, changes },
        );
        evidence.runs.insert("run_2".to_owned(), second);
        evidence.writes.insert(1, wrote("a", "newer a"));
        evidence.writes.push(wrote("b", "newer b"));
        let asked = Asked::Confirm { destination: DESTINATION.to_owned(), plan: None, key: None };
        evidence.history.calls.push(call(
            asked,
            moment(7, 0),
            moment(8, 0),
            Some((202, json!({"run_id": "run_2", "status": "running"}))),
        ));
        evidence.history.calls[4].at.writes = 4;
        evidence.history.calls[4].over.writes = 4;
    });
    assert!(interleaved.contains(&Rule::AtOnce), "{interleaved:?}");
}

#[test]
fn an_audit_log_that_lacks_something_is_found() {
    assert_eq!(
        broken(|evidence| evidence.log_is_broken = Some("row 2 was altered".to_owned())),
        [Rule::Log]
    );
    assert_eq!(broken(|evidence| evidence.log[2].seq = 4), [Rule::Log]);
    assert_eq!(broken(|evidence| drop(evidence.log.pop())), [Rule::Log]);
    let twice = broken(|evidence| {
        let again = LogRow { seq: 4, ..evidence.log[2].clone() };
        evidence.log.push(again);
    });
    assert_eq!(twice, [Rule::Log]);
    assert_eq!(broken(|evidence| evidence.log[1].action = "run.refused".to_owned()), [Rule::Log]);
    let changed = broken(|evidence| {
        let told = json!({"items": [{"seq": 1, "hash": "another"}]});
        evidence.history.calls.push(call(
            Asked::LookAtLog,
            moment(20, 2),
            moment(21, 2),
            Some((200, told)),
        ));
    });
    assert_eq!(changed, [Rule::Log]);
}

#[test]
fn what_does_not_end_is_found() {
    let running = broken(|evidence| {
        evidence.history.calls.remove(4);
        let run = run(evidence);
        run.told["status"] = json!("running");
        "running".clone_into(&mut run.row.status);
        evidence.log.pop();
    });
    assert_eq!(running, [Rule::Hangs]);
    assert_eq!(
        broken(|evidence| evidence
            .history
            .overdue
            .push("a service that was taken over has not ended".to_owned())),
        [Rule::Hangs]
    );
}

#[test]
fn an_undo_of_what_was_not_written_is_found() {
    let change = |id: &str, value: &str| Change {
        number: 2,
        id: id.to_owned(),
        fields: values(value),
        before: None,
    };
    assert_eq!(
        broken(|evidence| evidence.plans.get_mut(UNDO).unwrap().changes.push(change("c", "old"))),
        [Rule::Undo]
    );
    assert_eq!(
        broken(|evidence| evidence.plans.get_mut(UNDO).unwrap().changes[0] = change("a", "older")),
        [Rule::Undo]
    );
    let unwritten = broken(|evidence| {
        ends(evidence, "failed");
        evidence.writes.pop();
        evidence.plans.get_mut(UNDO).unwrap().changes.push(change("b", "old"));
    });
    assert_eq!(unwritten, [Rule::Undo]);
}
