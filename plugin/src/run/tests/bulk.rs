//! Jobs of the Bulk API, and what must hold of them wherever a host is killed. (crm-apis B9)

use super::any_fault::any_fault;
use super::fixture::{Fault, Fixture};
use crate::contract::types::{ErrorKind, PlanMode, Status};
use crate::crm::network::Lost;
use proptest::prelude::*;
use serde_json::json;

const BULK: &str = r#","write_mode":"bulk""#;

fn id(n: u64) -> String {
    format!("0035t00000{n:05}AAA")
}

fn fake(more: &str) -> Fixture {
    Fixture::new("salesforce_dest", more)
}

fn titles(from: u64, count: u64) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| (id(n), format!(r#"{{"Title":"t{n}","Active__c":true,"Rank__c":1.5}}"#)))
        .collect()
}

/// Methods and the ends of the paths.
fn steps(crm: &Fixture) -> Vec<String> {
    crm.log
        .borrow()
        .iter()
        .map(|request| {
            format!(
                "{} {}",
                request.method,
                request.path.trim_end_matches('/').rsplit('/').next().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_job_is_opened_filled_closed_waited_for_and_asked() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 5), false);
    crm.run().unwrap();
    let job = crm_simulator::record_id("750", 0);
    let expected =
        ["POST ingest", "PUT batches", "PATCH JOB", "GET JOB", "GET JOB", "GET successfulResults"];
    assert_eq!(
        (crm.count(Status::Updated), steps(&crm)),
        (5, expected.map(|step| step.replace("JOB", &job)).to_vec())
    );
    assert_eq!(*crm.notes.borrow(), ["not yet 1-5".to_owned(), format!("job {job} 1-5")]);
    assert_eq!(crm.writes()[0].lines().nth(1), Some(r#""0035t0000000001AAA","t1",true,1.5"#));
}

#[test]
fn batches_become_one_job_and_nulls_clear() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 3), false);
    crm.confirm(&[(id(9), r#"{"Title":null}"#.to_owned())], false);
    crm.confirm(&titles(10, 2), false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.states()), (6, vec!["JobComplete"]));
    assert!(crm.writes()[0].contains(r#""0035t0000000009AAA",#N/A,,"#), "{}", crm.writes()[0]);
}

#[test]
fn what_csv_cannot_say_is_left_to_a_collection() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 2), false);
    crm.confirm(
        &[(id(3), r#"{"Title":""}"#.to_owned()), (id(4), r##"{"Title":"#N/A"}"##.to_owned())],
        false,
    );
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.writes().len()), (4, 2));
    assert!(crm.writes()[1].starts_with(r#"{"allOrNone""#));
    assert_eq!(crm.notes.borrow().last().unwrap(), "collections 3-4");
}

#[test]
fn the_number_of_changes_decides_in_batch_mode() {
    for (above, jobs) in [(5, 0), (4, 1)] {
        let crm = fake(&format!(r#","bulk_above":{above}"#));
        crm.confirm(&titles(1, 5), false);
        crm.run().unwrap();
        assert_eq!((crm.count(Status::Updated), crm.states().len()), (5, jobs));
    }
}

#[test]
fn columns_that_differ_by_letter_case_do_not_meet_in_an_upload() {
    let crm = fake(BULK);
    crm.confirm(
        &[(id(1), r#"{"Title":"a"}"#.to_owned()), (id(2), r#"{"title":"b"}"#.to_owned())],
        false,
    );
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.writes().len()), (2, 2));
}

#[test]
fn a_run_that_is_to_stop_leaves_the_job_to_itself() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 3), false);
    crm.stopping.set(true);
    let stopped = crm.run().unwrap_err();
    assert_eq!((stopped.kind, crm.states()), (ErrorKind::Cancelled, vec!["InProgress"]));
    assert!(stopped.message.contains(&crm_simulator::record_id("750", 0)));
    assert!(crm.outcomes.borrow().is_empty());
}

#[test]
fn a_job_whose_state_is_not_told_keeps_its_changes() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 3), false);
    // Opening and closing, then the first look.
    crm.read_fault(Fault::Fine)
        .read_fault(Fault::Fine)
        .read_fault(Fault::Instead(400, String::new()));
    let stopped = crm.run().unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::Unavailable);
    assert!(crm.outcomes.borrow().is_empty() && crm.states() == ["UploadComplete"]);
}

#[test]
fn salesforce_without_bulk_is_used_without_it() {
    let crm = fake(BULK);
    crm.confirm(&titles(1, 3), false);
    crm.read_fault(Fault::Instead(
        400,
        r#"[{"errorCode":"INVALIDENTITY","message":"not supported by Bulk"}]"#.to_owned(),
    ));
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.states().len()), (3, 0));

    let crm = fake(BULK);
    crm.confirm(&titles(1, 3), false);
    crm.read_fault(Fault::Before(Lost::Denied("HTTP-request-denied".to_owned())));
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.states().len()), (3, 0));
}

#[test]
fn a_job_without_readable_results_is_settled_by_reads_after_a_kill_too() {
    for turns in 0..80 {
        let crm = fake(BULK);
        crm.confirm(&titles(1, 20), false);
        crm.run_killed_after(turns);
        crm.no_results.set(true);
        crm.run().unwrap();
        assert_eq!(crm.count(Status::Updated), 20);
        assert_eq!(crm.world.borrow().written_twice(), [], "killed after {turns} turns");
    }
}

#[test]
fn a_row_that_two_result_sets_name_is_what_says_most_whichever_comes_first() {
    let crm = fake(BULK);
    let mut changes = titles(1, 1);
    // One that is too long, so that there are both sets.
    changes.push((id(2), format!(r#"{{"Title":"{}"}}"#, "x".repeat(300))));
    crm.confirm(&changes, false);
    let failed = format!("\"sf__Id\",\"sf__Error\",\"Id\"\n\"{0}\",\"X:no\",\"{0}\"\n", id(1));
    // Opening and closing, and two looks. Those that succeeded are told at the second attempt.
    for _ in 0..4 {
        crm.read_fault(Fault::Fine);
    }
    crm.read_fault(Fault::Instead(503, String::new())).read_fault(Fault::Answered(200, failed));
    crm.run().unwrap();
    assert_eq!(crm.status(1), Some(Status::Updated), "{:?}", steps(&crm));
}

#[test]
fn an_unused_job_that_cannot_be_aborted_stops_no_run() {
    let mut crm = fake(BULK);
    crm.mode = PlanMode::Compare;
    crm.before.borrow_mut().insert(id(1), r#"{"Title":"old"}"#.to_owned());
    crm.put(&id(1), &json!({"Title": "somebody's"}));
    crm.confirm(&[(id(1), r#"{"Title":"new"}"#.to_owned())], false);
    crm.firewall.replace(Some(("Aborted", 503, "")));
    crm.run().unwrap();
    assert_eq!((crm.status(1), crm.states()), (Some(Status::Drifted), vec!["Open"]));
}

/// As either encodes them; some that fail, some of a column that is not there, some that CSV cannot
/// say.
fn mixed(from: u64, count: u64) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| {
            let fields = match n % 7 {
                1 => format!(r#"{{"a":"{}"}}"#, "x".repeat(300)),
                2 if n % 3 == 0 => format!(r#"{{"nope":"{n}"}}"#),
                3 => r##"{"a":"#N/A"}"##.to_owned(),
                4 => r#"{"a":true}"#.to_owned(),
                // Without a blank at its end, which a plan has cut off and Salesforce would: what
                // it holds then proves nothing.
                _ => format!(r#"{{"a":"v\"{n}\",\nw"}}"#),
            };
            (id(n), fields)
        })
        .collect()
}

/// A CRM that applies a write and calls its record locked has it written twice.
fn is_honest(fault: &Fault) -> bool {
    !matches!(fault, Fault::Answered(_, body) if body.contains("LOCK_ROW") || body.contains("LIMIT"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Killed any number of times at any turn, whatever the network does: no change has two
    /// outcomes, "updated" is true, no record is written twice, and a run that ends well has left
    /// nothing out.
    #[test]
    fn a_host_may_be_killed_at_any_time(
        kills in proptest::collection::vec(0u32..100, 0..5),
        write_faults in proptest::collection::vec(any_fault().prop_filter("applied, and said not to be", is_honest), 0..5),
        read_faults in proptest::collection::vec(any_fault(), 0..12),
        gone in proptest::collection::vec(1u64..30, 0..3),
        locked in proptest::collection::vec(1u64..30, 0..3),
    ) {
        let crm = Fixture::new("salesforce_dest", BULK);
        crm.confirm(&mixed(1, 12), false);
        crm.confirm(&mixed(13, 16), false);
        let ids = crm.ids();
        for n in gone.iter().filter(|n| **n <= 28) {
            crm.delete(&id(*n));
        }
        for n in locked.into_iter().filter(|n| *n <= 28) {
            crm.lock(&id(n), 1);
        }
        crm.write_faults.borrow_mut().extend(write_faults);
        crm.read_faults.borrow_mut().extend(read_faults);
        for turns in kills {
            crm.run_killed_after(turns);
        }
        let done = crm.run();
        prop_assert_eq!(crm.world.borrow().written_twice(), vec![], "{:?}", crm.notes.borrow());
        for (at, id) in (1u64..).zip((1..29).map(id)) {
            match crm.status(at) {
                Some(Status::Updated) => prop_assert!(crm.is_written(&id), "{} is told updated and is not", id),
                Some(Status::Failed) => prop_assert!(crm.written(&id) == 0, "{} is told failed and was written", id),
                Some(Status::Unchanged | Status::Drifted) => prop_assert!(false, "nothing here reads before it writes"),
                Some(Status::Unknown) => {}
                None => prop_assert!(done.is_err(), "{} has no outcome", id),
            }
        }
        prop_assert!(ids.len() == 28);
    }
}
