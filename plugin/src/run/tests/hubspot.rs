//! HubSpot, case by case. (crm-apis A3 to A9)

use super::fixture::{Fault, Fixture, error};
use crate::contract::types::{ErrorKind, Status};
use crate::crm::network::Lost;

fn fake(more: &str) -> Fixture {
    Fixture::new("hubspot_dest", more)
}

/// Changes of `city` for the records 1001, 1002, …
fn cities(from: u64, count: u64) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| ((1000 + n).to_string(), format!(r#"{{"city":"c{n}"}}"#)))
        .collect()
}

/// The same of a number.
fn revenues(from: u64, count: u64) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| ((1000 + n).to_string(), format!(r#"{{"annualrevenue":"{n}"}}"#)))
        .collect()
}

fn broken() -> Lost {
    Lost::Broken("ConnectionTerminated".to_owned())
}

#[test]
fn records_are_written_a_hundred_at_a_time_in_the_granted_form() {
    let crm = fake("");
    for batch in 0..3 {
        crm.confirm(&cities(1 + batch * 100, 100), false);
    }
    crm.run().unwrap();
    assert_eq!(crm.count(Status::Updated), 300);
    let writes = crm.writes();
    assert_eq!((writes.len(), crm.reads()), (3, 0));
    assert!(writes[0].starts_with(r#"{"inputs":[{"id":"1001","properties":{"city":"c1"}},{"id":"1002","properties":{"city":"c2"}},"#));
    assert!(writes[0].ends_with(r#"{"id":"1100","properties":{"city":"c100"}}]}"#));
    let log = crm.log.borrow();
    assert_eq!(
        (log[0].method, log[0].path.as_str()),
        ("POST", "/crm/v3/objects/contacts/batch/update")
    );
    assert!(log[0].headers.is_empty());
}

#[test]
fn unknown_ids_fail_and_their_neighbours_are_updated() {
    let crm = fake("");
    crm.confirm(&cities(1, 5), false);
    crm.delete("1002");
    crm.delete("1004");
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (3, 2));
    let problem = crm.problem(2);
    assert_eq!((problem.http_status, problem.code.as_str()), (Some(207), "OBJECT_NOT_FOUND"));
    assert_eq!(crm.reads(), 0);
}

#[test]
fn a_record_that_was_merged_away_is_found_out_and_the_survivor_is_left_alone() {
    let crm = fake("");
    crm.confirm(&cities(1, 3), false);
    let survivor = crm.merge("1002");
    crm.run().unwrap();
    assert_eq!(crm.count(Status::Updated), 2);
    let problem = crm.problem(2);
    assert_eq!(problem.code, "merged");
    assert!(problem.message.contains(&survivor), "{}", problem.message);
    assert!(!crm.survivor_is_written());
}

#[test]
fn one_bad_value_fails_alone() {
    let crm = fake("");
    let mut changes = revenues(1, 100);
    changes[36].1 = r#"{"annualrevenue":"bad"}"#.to_owned();
    crm.confirm(&changes, false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (99, 1));
    let problem = crm.problem(37);
    assert_eq!(
        (problem.http_status, problem.code.as_str(), problem.message.as_str()),
        (Some(400), "INVALID_LONG", "bad was not a valid long.")
    );
    assert!(crm.writes().len() <= 15, "{}", crm.writes().len());
}

#[test]
fn only_records_with_the_property_complained_about_are_searched() {
    let crm = fake("");
    let mut changes = cities(1, 64);
    changes[10].1 = r#"{"city":"x","annualrevenue":"bad"}"#.to_owned();
    crm.confirm(&changes, false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (63, 1));
    assert_eq!(crm.writes().len(), 3);
}

#[test]
fn a_property_that_does_not_exist_fails_its_records_at_once() {
    let crm = fake("");
    let mut changes = cities(1, 50);
    for change in changes.iter_mut().skip(20) {
        change.1 = r#"{"city":"has \",\"nope\":","nope":"1"}"#.to_owned();
    }
    changes[0].1 = r#"{"city":"{\"nope\":,\"nope\":"}"#.to_owned();
    crm.confirm(&changes, false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (20, 30));
    assert_eq!(crm.problem(30).code, "PROPERTY_DOESNT_EXIST");
    assert_eq!(crm.writes().len(), 2);
}

#[test]
fn a_lost_answer_is_proven_by_a_read_and_not_sent_twice() {
    for fault in [
        Fault::After(broken()),
        Fault::Answered(502, "<html>Bad Gateway</html>".to_owned()),
        Fault::Answered(200, r#"{"status":"COMPLETE","results":[{"id":"#.to_owned()),
        Fault::Answered(200, "<html>Log in</html>".to_owned()),
        Fault::Answered(200, r#"{"status":"COMPLETE","results":[]}"#.to_owned()),
    ] {
        for mode in ["", r#","write_mode":"record""#] {
            if mode.is_empty()
                || !matches!(&fault, Fault::Answered(200, body) if body.ends_with("[]}"))
            {
                let crm = fake(mode);
                crm.confirm(&cities(1, 1), false);
                crm.fault(fault.clone()).run().unwrap();
                assert_eq!(crm.status(1), Some(Status::Updated), "{fault:?}");
                assert_eq!(crm.writes().len(), 1, "{fault:?}");
            }
        }
    }
}

#[test]
fn what_a_read_shows_was_not_applied_is_sent_again() {
    for fault in [
        Fault::Before(broken()),
        Fault::Instead(503, String::new()),
        Fault::Instead(200, r#"{"results":[]}"#.to_owned()),
    ] {
        let crm = fake("");
        crm.confirm(&cities(1, 3), false);
        crm.fault(fault.clone()).run().unwrap();
        assert_eq!(crm.count(Status::Updated), 3, "{fault:?}");
        assert!(crm.reads() >= 1);
    }
}

#[test]
fn a_write_that_is_never_answered_ends_unknown() {
    for mode in ["", r#","write_mode":"record""#] {
        let crm = fake(mode);
        crm.confirm(&cities(1, 1), false);
        for _ in 0..3 {
            crm.fault(Fault::Before(broken()));
        }
        crm.run().unwrap();
        assert_eq!(crm.status(1), Some(Status::Unknown));
        let problem = crm.problem(1);
        assert!(
            problem.code == "no_answer"
                && problem.message.contains("1001")
                && problem.message.contains("3 times"),
            "{problem:?}"
        );
    }
}

#[test]
fn a_record_that_is_passed_over_twice_ends_unknown() {
    let crm = fake("");
    crm.confirm(&cities(1, 1), false);
    let silence =
        Fault::Instead(200, r#"{"status":"COMPLETE","results":[],"errors":[]}"#.to_owned());
    crm.fault(silence.clone()).fault(silence).run().unwrap();
    assert_eq!((crm.status(1), crm.writes().len()), (Some(Status::Unknown), 2));
    assert_eq!(crm.problem(1).code, "not_acknowledged");
}

#[test]
fn throttling_is_waited_out_and_a_daily_limit_ends_the_run() {
    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    for _ in 0..20 {
        crm.fault(Fault::Instead(
            429,
            r#"{"policyName":"TEN_SECONDLY_ROLLING","message":"limit"}"#.to_owned(),
        ));
    }
    crm.run().unwrap();
    assert_eq!(crm.count(Status::Updated), 2);

    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    crm.fault(Fault::Instead(
        429,
        r#"{"policyName":"DAILY","message":"You have reached your daily limit."}"#.to_owned(),
    ));
    let stopped = crm.run().unwrap_err();
    assert_eq!((stopped.kind, stopped.code.as_deref()), (ErrorKind::RateLimited, Some("DAILY")));
    assert!(crm.outcomes.borrow().is_empty());

    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    for _ in 0..200 {
        crm.fault(Fault::Instead(429, String::new()));
    }
    assert_eq!(crm.run().unwrap_err().kind, ErrorKind::RateLimited);
    assert_eq!(crm.writes().len(), 100);
}

#[test]
fn a_credential_without_the_right_ends_the_run_and_leaves_the_changes_pending() {
    let crm = fake("");
    for batch in 0..20 {
        crm.confirm(&cities(1 + batch * 100, 100), false);
    }
    let refusal = r#"{"category":"MISSING_SCOPES","message":"This app hasn't been granted all required scopes","errors":[{"context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}]}"#;
    for _ in 0..30 {
        crm.fault(Fault::Instead(403, refusal.to_owned()));
    }
    let stopped = crm.run().unwrap_err();
    assert_eq!(
        (stopped.kind, stopped.code.as_deref()),
        (ErrorKind::Unauthorized, Some("MISSING_SCOPES"))
    );
    assert!(
        stopped.message.contains("Missing: crm.objects.contacts.write")
            && stopped.message.contains("src_1"),
        "{}",
        stopped.message
    );
    assert!(crm.outcomes.borrow().is_empty());
    assert!(crm.writes().len() <= 8);
}

#[test]
fn a_connection_that_cannot_be_made_is_tried_again_and_then_given_up() {
    let refused = || Fault::Before(Lost::NotSent("ConnectionRefused".to_owned()));
    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    for _ in 0..5 {
        crm.fault(refused());
    }
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.reads()), (2, 0));

    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    for _ in 0..6 {
        crm.fault(refused());
    }
    let stopped = crm.run().unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::Unavailable);
    assert!(stopped.message.contains("ConnectionRefused"), "{}", stopped.message);
    assert!(crm.outcomes.borrow().is_empty());
}

#[test]
fn what_the_host_does_not_let_out_ends_the_run() {
    for (lost, kind) in [
        (Lost::Denied("d".to_owned()), ErrorKind::Rejected),
        (Lost::LimitReached("l".to_owned()), ErrorKind::RateLimited),
    ] {
        let crm = fake("");
        crm.confirm(&cities(1, 2), false);
        assert_eq!(crm.fault(Fault::Before(lost)).run().unwrap_err().kind, kind);
        assert!(crm.outcomes.borrow().is_empty());
    }
}

#[test]
fn a_request_that_is_too_large_is_split() {
    let too_large = || Fault::Before(Lost::TooLarge("too large".to_owned()));
    let crm = fake("");
    crm.confirm(&cities(1, 4), false);
    crm.fault(too_large()).fault(Fault::Instead(413, String::new())).run().unwrap();
    assert_eq!(crm.count(Status::Updated), 4);
}

#[test]
fn locks_and_migrations_are_waited_out() {
    for fault in
        [Fault::Instead(423, String::new()), Fault::Instead(477, "retry-after 30".to_owned())]
    {
        let crm = fake("");
        crm.confirm(&cities(1, 2), false);
        crm.fault(fault).run().unwrap();
        assert_eq!(crm.count(Status::Updated), 2);
        assert!(crm.paused.get() >= 2000);
    }
    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    let stopped = crm.fault(Fault::Instead(477, "retry-after 86400".to_owned())).run().unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::Unavailable);
}

#[test]
fn doubtful_changes_are_read_before_anything_is_written() {
    for mode in ["", r#","write_mode":"record""#] {
        let crm = fake(mode);
        crm.confirm(&cities(1, 4), true);
        crm.edit("1001", "city", "c1".into());
        crm.delete("1003");
        crm.merge("1004");
        crm.run().unwrap();
        assert_eq!(crm.status(1), Some(Status::Updated));
        assert_eq!(crm.status(2), Some(Status::Updated));
        assert_eq!(
            (crm.problem(3).http_status, crm.problem(4).code.as_str()),
            (Some(404), "merged")
        );
        assert_eq!(crm.writes().len(), 1);
        assert!(!crm.log.borrow()[0].writes);
        assert!(crm.writes()[0].contains(r#""city":"c2""#));
    }
}

#[test]
fn a_read_that_fails_is_repeated_and_then_ends_the_run() {
    let crm = fake("");
    crm.confirm(&cities(1, 2), true);
    crm.read_fault(Fault::Before(broken()))
        .read_fault(Fault::Instead(504, String::new()))
        .read_fault(Fault::Instead(200, "<html>".to_owned()));
    crm.run().unwrap();
    assert_eq!(crm.count(Status::Updated), 2);

    let crm = fake("");
    crm.confirm(&cities(1, 2), true);
    for _ in 0..6 {
        crm.read_fault(Fault::Instead(504, String::new()));
    }
    assert_eq!(crm.run().unwrap_err().kind, ErrorKind::Unavailable);
    assert!(crm.outcomes.borrow().is_empty() && crm.writes().is_empty());
}

#[test]
fn a_cancelled_run_finishes_what_is_in_flight() {
    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    crm.waiting.borrow_mut().push_back(Err(error(ErrorKind::Cancelled)));
    crm.confirm(&cities(3, 2), false);
    assert_eq!(crm.run().unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(crm.count(Status::Updated), 2);
    assert_eq!(crm.waiting.borrow().len(), 1);
}

#[test]
fn outcomes_that_the_host_does_not_take_end_the_run() {
    for mode in ["", r#","write_mode":"record""#] {
        let crm = fake(mode);
        crm.confirm(&cities(1, 100), false);
        crm.refuse_outcomes.set(true);
        assert_eq!(crm.run().unwrap_err().message, "the host's");
        assert!(crm.writes().len() <= 9, "{}", crm.writes().len());
    }
}

#[test]
fn in_record_mode_only_ids_that_are_still_their_own_are_written() {
    let crm = fake(r#","write_mode":"record""#);
    let mut changes = revenues(1, 12);
    changes[5].1 = r#"{"annualrevenue":"bad"}"#.to_owned();
    crm.confirm(&changes, false);
    crm.merge("1002");
    crm.delete("1003");
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (9, 3));
    assert_eq!(crm.problem(2).code, "merged");
    assert_eq!(
        (crm.problem(3).http_status, crm.problem(3).code.as_str()),
        (Some(404), "not_found")
    );
    assert_eq!(crm.problem(6).code, "INVALID_LONG");
    assert!(!crm.survivor_is_written());
    assert_eq!(crm.writes()[0], r#"{"properties":{"annualrevenue":"1"}}"#);
    assert_eq!(
        crm.log.borrow()[0].body,
        format!(
            r#"{{"properties":["hs_object_id"],"inputs":[{}]}}"#,
            (1..=12).map(|n| format!(r#"{{"id":"{}"}}"#, 1000 + n)).collect::<Vec<_>>().join(",")
        )
    );
}

#[test]
fn a_merge_between_read_and_write_is_told_as_what_it_is() {
    let crm = fake(r#","write_mode":"record""#);
    crm.confirm(&cities(1, 2), false);
    *crm.merge_after_read.borrow_mut() = Some("1002".to_owned());
    crm.run().unwrap();
    let problem = crm.problem(2);
    assert!(
        problem.code == "merged" && problem.message.contains("wrote the values to "),
        "{problem:?}"
    );
    assert!(crm.survivor_is_written());
}

#[test]
fn several_requests_are_on_their_way_at_once() {
    for (in_flight, mode) in [(1, "batch"), (5, "batch"), (3, "record")] {
        let crm = fake(&format!(r#","in_flight":{in_flight},"write_mode":"{mode}""#));
        for batch in 0..20 {
            crm.confirm(&cities(1 + batch * 10, 10), false);
        }
        crm.run().unwrap();
        assert_eq!(crm.count(Status::Updated), 200);
    }
}

#[test]
fn a_batch_that_is_packed_wrongly_is_an_error_and_no_panic() {
    let crm = fake("");
    crm.confirm(&cities(1, 2), false);
    if let Some(Ok(batch)) = crm.waiting.borrow_mut().front_mut() {
        batch.ids.offsets = vec![0, 9, 4];
    }
    assert_eq!(crm.run().unwrap_err().kind, ErrorKind::Other);
}
