//! What must hold whatever the network and the CRM do.

use super::fixture::{Fault, Fixture};
use crate::contract::types::Status;
use crate::crm::network::Lost;
use proptest::prelude::*;

pub(super) fn any_fault() -> impl Strategy<Value = Fault> {
    let lost = prop_oneof![
        Just(Lost::NotSent("refused".to_owned())),
        Just(Lost::Denied("denied".to_owned())),
        Just(Lost::LimitReached("limit".to_owned())),
        Just(Lost::TooLarge("large".to_owned())),
    ];
    let broken = || Lost::Broken("broken".to_owned());
    let body = || {
        prop_oneof![
            Just(String::new()),
            Just("<html>".to_owned()),
            Just("{}".to_owned()),
            Just("[]".to_owned()),
            Just(r#"{"results":[]}"#.to_owned()),
            Just(r#"{"results":[{"id":"1001"}],"errors":[{"category":"X","context":{"ids":["1002"]}}]}"#.to_owned()),
            Just(r#"{"results":null,"errors":{"a":1}}"#.to_owned()),
            Just(r#"{"message":"m","category":"VALIDATION_ERROR","errors":[{"code":"PROPERTY_DOESNT_EXIST","context":{"propertyName":["b"]}}]}"#.to_owned()),
            Just(r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"m"}]"#.to_owned()),
            Just(r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]"#.to_owned()),
            ".{0,20}",
        ]
    };
    // What is refused was not applied, and what is accepted may or may not have been.
    let refused = prop_oneof![
        Just(400u16),
        Just(401),
        Just(403),
        Just(404),
        Just(409),
        Just(413),
        Just(423),
        Just(429)
    ];
    let open = || prop_oneof![Just(500u16), Just(502), Just(503), Just(504), Just(524), Just(408)];
    prop_oneof![
        6 => Just(Fault::Fine),
        1 => lost.prop_map(Fault::Before),
        2 => Just(Fault::Before(broken())),
        2 => Just(Fault::After(broken())),
        2 => (refused, body()).prop_map(|(status, body)| Fault::Instead(status, body)),
        1 => (open(), body()).prop_map(|(status, body)| Fault::Instead(status, body)),
        1 => (open(), body()).prop_map(|(status, body)| Fault::Answered(status, body)),
        1 => Just(Fault::Instead(200, "{\"results\":[]}".to_owned())),
        1 => Just(Fault::Answered(200, "[".to_owned())),
        1 => Just(Fault::Answered(207, "{}".to_owned())),
    ]
}

/// A CRM with a field `a` that refuses some of the values below.
fn fake(salesforce: bool, more: &str) -> Fixture {
    let crm = Fixture::new(if salesforce { "salesforce_dest" } else { "hubspot_dest" }, more);
    crm.define("a", if salesforce { "string" } else { "number" });
    crm
}

/// Ids that are pristine for either CRM; the fields as either encodes them.
fn changes(from: u64, count: u64, salesforce: bool) -> Vec<(String, String)> {
    (from..from + count)
        .map(|n| {
            let id =
                if salesforce { format!("0035t00000{n:05}AAA") } else { (1000 + n).to_string() };
            let fields = match n % 5 {
                0 => format!(r#"{{"a":"{n}","b":"x"}}"#),
                1 if salesforce => format!(r#"{{"a":"{}"}}"#, "x".repeat(300)),
                1 => r#"{"a":"bad"}"#.to_owned(),
                2 if n % 3 == 0 => format!(r#"{{"nope":"{n}"}}"#),
                _ => format!(r#"{{"a":"7{n}"}}"#),
            };
            (id, fields)
        })
        .collect()
}

#[test]
fn hostile_answers_are_no_answers_and_no_panic() {
    let deep =
        format!(r#"{{"results":[],"errors":{}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let ignored = format!(
        r#"{{"x":{}1{},"results":[{{"id":"1001"}}]}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let long = format!(r#"{{"results":[{{"id":"{}"}}]}}"#, "9".repeat(1 << 20));
    let talkative = format!(
        r#"[{{"success":false,"errors":[{{"statusCode":"{0}","message":"{0}"}}]}}]"#,
        "é".repeat(50_000)
    );
    let typed = r#"{"results":{"id":1},"errors":"x"}"#.to_owned();
    let numbers = r#"{"results":[{"id":1001}]}"#.to_owned();
    for (salesforce, body) in [&deep, &ignored, &long, &talkative, &typed, &numbers]
        .into_iter()
        .flat_map(|body| [(false, body), (true, body)])
    {
        let crm = fake(salesforce, "");
        crm.confirm(&changes(3, 1, salesforce), false);
        crm.fault(Fault::Answered(200, body.clone())).run().unwrap();
        let expected =
            if salesforce && *body == talkative { Status::Failed } else { Status::Updated };
        assert_eq!(crm.status(1), Some(expected), "{}", &body[..60]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// No change has two outcomes, "updated" is true, and a run that ends well has left nothing
    /// out. (That every write carries confirmed values only, and every failure its reason, the
    /// fixture checks.)
    #[test]
    fn outcomes_are_true_and_complete(
        salesforce in any::<bool>(),
        record_mode in any::<bool>(),
        write_faults in proptest::collection::vec(any_fault(), 0..14),
        read_faults in proptest::collection::vec(any_fault(), 0..8),
        gone in proptest::collection::vec(1u64..30, 0..4),
        merged in proptest::collection::vec(1u64..30, 0..3),
        doubtful in any::<bool>(),
    ) {
        let more = if record_mode { r#","write_mode":"record","in_flight":3"# } else { r#","in_flight":3"# };
        let crm = fake(salesforce, more);
        crm.confirm(&changes(1, 12, salesforce), doubtful);
        crm.confirm(&changes(13, 16, salesforce), false);
        let ids = crm.ids();
        for id in merged.iter().filter_map(|n| ids.get(*n as usize - 1)) {
            crm.merge(id);
        }
        for id in gone.iter().filter_map(|n| ids.get(*n as usize - 1)) {
            crm.delete(id);
        }
        crm.write_faults.borrow_mut().extend(write_faults);
        crm.read_faults.borrow_mut().extend(read_faults);
        let done = crm.run();
        prop_assert!(!crm.survivor_is_written(), "a survivor was written");
        for (at, id) in ids.iter().enumerate() {
            match crm.status(at as u64 + 1) {
                Some(Status::Updated) => prop_assert!(crm.is_written(id), "{} is told updated and is not", id),
                Some(Status::Unchanged | Status::Drifted) => prop_assert!(false, "nothing here reads before it writes"),
                Some(Status::Failed | Status::Unknown) => {}
                None => prop_assert!(done.is_err(), "{} has no outcome", id),
            }
        }
    }
}
