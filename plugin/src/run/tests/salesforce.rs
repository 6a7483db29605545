//! Salesforce, case by case. (crm-apis B2 to B8)

use super::fixture::{Fault, Fixture};
use crate::contract::types::{ErrorKind, Status};
use crate::crm::network::Lost;
use crate::provider_id::checksum;

fn fake(more: &str) -> Fixture {
    Fixture::new("salesforce_dest", more)
}

fn id(n: u64) -> String {
    let first = format!("0035t00000{n:05}");
    let check = checksum(&first);
    format!("{first}{}", str::from_utf8(&check).unwrap())
}

fn titles(from: u64, count: u64) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| (id(n), format!(r#"{{"Title":"t{n}","Active__c":true}}"#)))
        .collect()
}

const RECORD: &str = r#","write_mode":"record""#;

#[test]
fn records_are_written_two_hundred_at_a_time_in_the_granted_form() {
    let crm = fake("");
    crm.confirm(&titles(1, 200), false);
    crm.confirm(&titles(201, 50), false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.writes().len(), crm.reads()), (250, 2, 0));
    let first = format!(
        r#"{{"allOrNone":false,"records":[{{"attributes":{{"type":"Contact"}},"id":"{}","Title":"t1","Active__c":true}},"#,
        id(1)
    );
    assert!(crm.writes()[0].starts_with(&first), "{}", &crm.writes()[0][..200]);
    let log = crm.log.borrow();
    assert_eq!(log[0].path, "/services/data/v67.0/composite/sobjects");
    assert!(log.iter().all(|request| request.headers == [("Sforce-Auto-Assign", "FALSE".into())]));
}

#[test]
fn each_record_has_its_own_answer_by_position() {
    for mode in ["", RECORD] {
        let crm = fake(mode);
        let mut changes = titles(1, 6);
        changes[1].1 = format!(r#"{{"Title":"{}"}}"#, "x".repeat(300));
        changes[4].1 = r#"{"nope":1}"#.to_owned();
        crm.confirm(&changes, false);
        crm.delete(&id(3));
        crm.run().unwrap();
        assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (3, 3));
        assert_eq!(crm.problem(2).code, "STRING_TOO_LONG");
        assert_eq!(crm.problem(5).code, "INVALID_FIELD");
        assert!(
            crm.problem(3).message.contains("merged into another record"),
            "{:?}",
            crm.problem(3)
        );
        assert_eq!(crm.problem(3).http_status, Some(if mode.is_empty() { 200 } else { 404 }));
    }
}

#[test]
fn a_locked_record_is_tried_again_five_times() {
    for (mode, lock_status) in [("", 400), (RECORD, 400), (RECORD, 500)] {
        let crm = fake(mode);
        crm.world.borrow_mut().config.switches.salesforce_lock_is_500 = lock_status == 500;
        crm.confirm(&titles(1, 3), false);
        crm.lock(&id(1), 5);
        crm.lock(&id(2), 6);
        crm.run().unwrap();
        assert_eq!(
            (crm.status(1), crm.status(2), crm.status(3)),
            (Some(Status::Updated), Some(Status::Failed), Some(Status::Updated))
        );
        assert_eq!(crm.problem(2).code, "UNABLE_TO_LOCK_ROW");
        assert_eq!(crm.reads(), 0);
    }
}

#[test]
fn a_refused_collection_is_split_until_the_culprit_stands_alone() {
    let crm = fake("");
    let mut changes = titles(1, 200);
    changes[150].1 = r#"{"Birthdate":"unparsable"}"#.to_owned();
    crm.confirm(&changes, false);
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.count(Status::Failed)), (199, 1));
    assert_eq!(crm.problem(151).code, "JSON_PARSER_ERROR");
    assert!(crm.writes().len() <= 17);
}

#[test]
fn an_answer_that_does_not_fit_the_request_is_no_answer() {
    let short = r#"[{"success":true,"errors":[]}]"#.to_owned();
    let swapped = format!(
        r#"[{{"id":"{}","success":true,"errors":[]}},{{"id":"{}","success":true,"errors":[]}}]"#,
        id(2),
        id(1)
    );
    for body in [short, swapped, "{}".to_owned(), "[null,null]".to_owned(), String::new()] {
        for (fault, writes) in
            [(Fault::Answered(200, body.clone()), 1), (Fault::Instead(200, body.clone()), 2)]
        {
            let crm = fake("");
            crm.confirm(&titles(1, 2), false);
            crm.fault(fault).run().unwrap();
            assert_eq!((crm.count(Status::Updated), crm.writes().len()), (2, writes), "{body}");
        }
    }
}

#[test]
fn a_lost_answer_is_settled_by_a_read() {
    for mode in ["", RECORD] {
        for fault in [
            Fault::After(Lost::Broken("HttpResponseTimeout".to_owned())),
            Fault::Answered(
                503,
                r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"busy"}]"#.to_owned(),
            ),
        ] {
            let crm = fake(mode);
            crm.confirm(&titles(1, 1), false);
            crm.fault(fault).run().unwrap();
            assert_eq!(
                (crm.status(1), crm.writes().len(), crm.reads()),
                (Some(Status::Updated), 1, 1)
            );
            let log = crm.log.borrow();
            assert_eq!(
                log[1].body,
                format!(r#"{{"ids":["{}"],"fields":["Id","Active__c","Title"]}}"#, id(1))
            );
        }
    }
}

#[test]
fn a_field_that_cannot_be_read_does_not_keep_the_others_from_being_settled() {
    let crm = fake("");
    let mut changes = titles(1, 3);
    changes[2].1 = r#"{"nope":"1","Title":"x"}"#.to_owned();
    crm.confirm(&changes, true);
    crm.put(&id(1), &serde_json::json!({"Title": "t1", "Active__c": true}));
    crm.run().unwrap();
    assert_eq!(
        (crm.status(1), crm.status(2), crm.status(3)),
        (Some(Status::Updated), Some(Status::Updated), Some(Status::Unknown))
    );
    assert!(!crm.writes()[0].contains("\"t1\""));
    // It may have been written, and the field that would tell is not shown.
    assert_eq!(crm.problem(3).code, "unsettled");
}

#[test]
fn a_doubtful_change_whose_record_is_gone_is_unknown() {
    let crm = fake("");
    crm.confirm(&titles(1, 2), true);
    crm.delete(&id(1));
    crm.run().unwrap();
    assert_eq!((crm.status(1), crm.status(2)), (Some(Status::Unknown), Some(Status::Updated)));
    assert_eq!(crm.problem(1).code, "not_found");
}

#[test]
fn limits_are_waited_out_or_end_the_run() {
    let limit = |message: &str| {
        Fault::Instead(
            403,
            format!(r#"[{{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"{message}"}}]"#),
        )
    };
    let crm = fake("");
    crm.confirm(&titles(1, 2), false);
    crm.fault(limit("ConcurrentRequests (Concurrent API Requests) Limit exceeded.")).run().unwrap();
    assert_eq!(crm.count(Status::Updated), 2);

    let crm = fake("");
    crm.confirm(&titles(1, 2), false);
    let stopped = crm.fault(limit("TotalRequests Limit exceeded.")).run().unwrap_err();
    assert_eq!(
        (stopped.kind, stopped.code.as_deref()),
        (ErrorKind::RateLimited, Some("REQUEST_LIMIT_EXCEEDED"))
    );
    assert!(crm.outcomes.borrow().is_empty());

    let crm = fake("");
    crm.confirm(&titles(1, 2), false);
    let halfway = r#"[{"id":"ID","success":true,"errors":[]},{"success":false,"errors":[{"statusCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]}]"#;
    let stopped = crm.fault(Fault::Instead(200, halfway.replace("ID", &id(1)))).run().unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::RateLimited);
    assert_eq!((crm.status(1), crm.status(2)), (Some(Status::Updated), None));
}

#[test]
fn a_dead_session_ends_the_run() {
    for mode in ["", RECORD] {
        let crm = fake(mode);
        crm.confirm(&titles(1, 50), false);
        for _ in 0..50 {
            crm.fault(Fault::Instead(
                401,
                r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#
                    .to_owned(),
            ));
        }
        let stopped = crm.run().unwrap_err();
        assert_eq!(
            (stopped.kind, stopped.code.as_deref()),
            (ErrorKind::Unauthorized, Some("INVALID_SESSION_ID"))
        );
        assert!(stopped.message.contains("src_1"));
        assert!(crm.outcomes.borrow().is_empty());
        assert!(crm.writes().len() <= 8, "{}", crm.writes().len());
    }
}
