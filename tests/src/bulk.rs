//! Golden records for jobs of Salesforce's Bulk API 2.0, and what has to become of them.

#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: their names say it, and one that panics has failed"
)]

use crate::crm::Provider;
use crm_simulator::{Simulator, World};
use reverse_sync::journal::{self, Ending};
use serde_json::Value;
use std::time::Duration;

pub const JOBS: &str = "/services/data/v67.0/jobs/ingest";

/// Requests that are not polls, and polls.
pub fn calls(world: &World) -> (usize, usize) {
    let poll =
        |target: &str| target.strip_prefix(JOBS).is_some_and(|rest| rest.matches('/').count() == 1);
    let polls = world
        .requests
        .iter()
        .filter(|request| request.method == "GET" && poll(&request.target))
        .count();
    (world.requests.len() - polls, polls)
}

/// `Id,FirstName,Level__c` for contacts `0..count`; a rule of Salesforce's stops updates of each
/// hundredth.
pub fn golden(simulator: &Simulator, count: usize) -> String {
    let mut world = simulator.world();
    let mut csv = "Id,FirstName,Level__c\n".to_owned();
    for n in 0..count {
        let id = Provider::Salesforce.id(n);
        world.salesforce.record_mut("Contact", &id).unwrap().duplicate = n % 100 == 57;
        csv.push_str(&format!("{id},New {n},Primary\n"));
    }
    csv
}

/// Exactly the bad ones have failed, exactly the others hold what was confirmed, and none was
/// written twice.
#[track_caller]
pub fn one_percent_failed(world: &World, count: usize, problems: &[(Ending, journal::Problem)]) {
    let mut failed: Vec<usize> =
        problems.iter().map(|(_, problem)| problem.row as usize - 1).collect();
    failed.sort_unstable();
    assert_eq!(failed, (0..count).filter(|n| n % 100 == 57).collect::<Vec<_>>());
    for (ending, problem) in problems {
        assert_eq!(
            (*ending, problem.code.as_str(), problem.status),
            (Ending::Failed, "DUPLICATES_DETECTED", Some(200))
        );
        assert!(problem.message.contains("Use one of these records?"), "{}", problem.message);
        assert_eq!(problem.provider_id, Provider::Salesforce.id(problem.row as usize - 1));
    }
    for n in 0..count {
        let name = world
            .salesforce
            .value("Contact", &Provider::Salesforce.id(n), "FirstName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert_eq!(name == format!("New {n}"), n % 100 != 57, "{n}: {name}");
    }
    assert_eq!(world.written_twice(), []);
    assert_eq!(world.writes.len(), count - count / 100);
}

/// Waits until the CRM has come so far.
pub async fn until(simulator: &Simulator, far: impl Fn(&World) -> bool) {
    let wait = async {
        while !far(&simulator.world()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.expect("the run makes no progress");
}
