//! Batches that are refused as a whole: halving costs a few calls for each reason, and finds those
//! that can be written.

use super::fixture::Fixture;
use crate::contract::types::Status;

const REFUSALS: [(&str, &str); 2] = [
    (
        "hubspot_dest",
        r#"{"category":"VALIDATION_ERROR","message":"Property values were not valid","errors":[{"code":"INVALID_OPTION","context":{"propertyName":["city"]}}]}"#,
    ),
    (
        "salesforce_dest",
        r#"[{"errorCode":"JSON_PARSER_ERROR","message":"Cannot deserialize instance of string"}]"#,
    ),
];

/// A CRM that refuses what has one of these rows' values in it.
fn fake(
    destination_type: &str,
    body: &'static str,
    count: u64,
    is_bad: impl Fn(u64) -> bool,
) -> Fixture {
    let crm = Fixture::new(destination_type, "");
    let changes: Vec<(String, String)> = (1..=count)
        .map(|n| {
            let id = if destination_type == "hubspot_dest" {
                (1000 + n).to_string()
            } else {
                format!("0035t00000{n:05}AAA")
            };
            (id, format!(r#"{{"city":"{}{n}"}}"#, if is_bad(n) { "bad" } else { "v" }))
        })
        .collect();
    changes.chunks(100).for_each(|batch| crm.confirm(batch, false));
    crm.firewall.replace(Some(("bad", 400, body)));
    crm
}

#[test]
fn one_reason_that_all_records_share_costs_a_few_calls() {
    for (destination_type, body) in REFUSALS {
        let crm = fake(destination_type, body, 1_000, |_| true);
        crm.run().unwrap();
        assert_eq!(
            (crm.count(Status::Updated), crm.count(Status::Failed)),
            (0, 1_000),
            "{destination_type}"
        );
        let calls = crm.writes().len();
        assert!(calls <= 180, "{calls} calls of {destination_type}");
        let untried = (1..=1_000)
            .filter(|row| crm.problem(*row).message.contains("so it was not sent again"))
            .count();
        assert!(untried >= 1_000 - calls, "{untried} of {destination_type}");
    }
}

#[test]
fn locks_pass_by_themselves_and_are_no_reason_to_stop() {
    let crm = fake(
        "salesforce_dest",
        r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"locked"}]"#,
        20,
        |_| true,
    );
    crm.run().unwrap();
    assert_eq!(crm.count(Status::Failed), 20);
    assert!(
        (1..=20).all(|row| crm.problem(row).code == "UNABLE_TO_LOCK_ROW"),
        "{:?}",
        crm.outcomes.borrow()
    );
    assert_eq!(crm.writes().len(), 6, "the batch, and five times more");
}

#[test]
fn those_that_can_be_written_are_found_among_many_that_cannot() {
    for (destination_type, body) in REFUSALS {
        for every in [2, 5, 10] {
            let crm = fake(destination_type, body, 100, |n| n % every == 0);
            crm.run().unwrap();
            let bad = (100 / every) as usize;
            assert_eq!(
                (crm.count(Status::Updated), crm.count(Status::Failed)),
                (100 - bad, bad),
                "{destination_type}, each {every}th"
            );
        }
    }
}
