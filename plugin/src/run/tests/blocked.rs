//! A firewall or proxy between the host and the CRM, which takes a value for an attack. (crm-apis
//! B5: a page is possible with any 4xx)

use super::fixture::{Fault, Fixture};
use crate::contract::types::{ErrorKind, Status};

const PAGE: &str =
    "<html><head><title>403</title></head><body><h1>Request blocked</h1></body></html>";
/// CRM and write mode.
const MODES: [(&str, &str); 5] = [
    ("hubspot_dest", ""),
    ("hubspot_dest", r#","write_mode":"record""#),
    ("salesforce_dest", ""),
    ("salesforce_dest", r#","write_mode":"record""#),
    ("salesforce_dest", r#","write_mode":"bulk""#),
];

fn fake(destination_type: &str, mode: &str, count: u64, culprits: &[u64]) -> Fixture {
    let crm = Fixture::new(destination_type, mode);
    let changes: Vec<(String, String)> = (1..=count)
        .map(|n| {
            let id = if destination_type == "hubspot_dest" {
                (1000 + n).to_string()
            } else {
                format!("0035t00000{n:05}AAA")
            };
            let value =
                if culprits.contains(&n) { format!("<script>{n}") } else { format!("v{n}") };
            (id, format!(r#"{{"city":"{value}"}}"#))
        })
        .collect();
    changes.chunks(100).for_each(|batch| crm.confirm(batch, false));
    crm
}

#[test]
fn one_value_that_a_firewall_takes_for_an_attack_fails_its_record_and_no_other() {
    for (destination_type, mode) in MODES {
        for (status, body, seen) in [
            (403, PAGE, "Request blocked"),
            (405, "", "HTTP 405"),
            (403, r#"{"message":"Forbidden"}"#, "Forbidden"),
        ] {
            let crm = fake(destination_type, mode, 30, &[7, 22]);
            crm.firewall.replace(Some(("<script>", status, body)));
            crm.run().unwrap_or_else(|error| panic!("{destination_type} {mode}: {error:?}"));
            assert_eq!(
                (crm.count(Status::Updated), crm.count(Status::Failed)),
                (28, 2),
                "{destination_type} {mode}"
            );
            for row in [7, 22] {
                let problem = crm.problem(row);
                assert_eq!(
                    (problem.http_status, problem.code.as_str()),
                    (Some(status), "blocked"),
                    "{problem:?}"
                );
                assert!(
                    problem.message.contains(seen)
                        && problem.message.contains("a value of this record"),
                    "{problem:?}"
                );
                assert!(!problem.message.contains("scope"), "{problem:?}");
            }
            assert!(crm.writes().len() <= 32, "{} writes", crm.writes().len());
        }
    }
}

#[test]
fn an_answer_without_a_body_that_is_not_204_proves_nothing() {
    let crm = fake("salesforce_dest", r#","write_mode":"record""#, 1, &[]);
    crm.write_faults.replace([Fault::Instead(200, String::new())].into());
    crm.run().unwrap();
    assert_eq!((crm.count(Status::Updated), crm.writes().len()), (1, 2));
}

#[test]
fn a_way_that_is_closed_stops_the_run_instead_of_failing_every_record() {
    for (destination_type, mode) in MODES {
        let crm = fake(destination_type, mode, 1_000, &[]);
        crm.firewall.replace(Some(("city", 403, PAGE)));
        let stopped = crm.run().unwrap_err();
        assert_eq!(
            (stopped.kind, stopped.code.as_deref()),
            (ErrorKind::Unavailable, Some("blocked")),
            "{stopped:?}"
        );
        assert!(
            stopped.message.contains("Request blocked") && stopped.message.contains("through"),
            "{stopped:?}"
        );
        assert!(
            crm.count(Status::Failed) <= 100 && crm.count(Status::Updated) == 0,
            "{destination_type} {mode}"
        );
        assert!(crm.writes().len() <= 110, "{} writes", crm.writes().len());
    }
}

#[test]
fn many_such_values_are_no_closed_way() {
    for (destination_type, mode) in MODES {
        let culprits: Vec<u64> = (1..=300).filter(|n| n % 3 == 0).collect();
        let crm = fake(destination_type, mode, 300, &culprits);
        crm.firewall.replace(Some(("<script>", 403, PAGE)));
        crm.run().unwrap_or_else(|error| panic!("{destination_type} {mode}: {error:?}"));
        assert_eq!(
            (crm.count(Status::Updated), crm.count(Status::Failed)),
            (200, 100),
            "{destination_type} {mode}"
        );
    }
}
