//! A firewall between the host and the CRM that takes a value for an attack, and one that lets
//! nothing through.

use crm_simulator::{Fault, Rule};
use reverse_sync::{journal::Ending, run::StopReason};
use reverse_sync_tests::crm::{Crm, Provider, config, problem};
use serde_json::{Value, json};

/// Each CRM in each of its write modes.
fn modes() -> [(Provider, Value); 5] {
    [
        (Provider::HubSpot, json!({})),
        (Provider::HubSpot, json!({"write_mode": "record"})),
        (Provider::Salesforce, json!({})),
        (Provider::Salesforce, json!({"write_mode": "record"})),
        (Provider::Salesforce, json!({"write_mode": "bulk"})),
    ]
}

/// The page of a firewall, for requests with this text.
fn firewall(crm: &Crm, status: u16, text: &str) {
    crm.simulator
        .world()
        .fault(Rule { body: Some(text.to_owned()), ..Rule::always(Fault::Html(status)) });
}

#[tokio::test]
async fn one_value_that_a_firewall_does_not_let_through_fails_its_record_alone() {
    for (provider, more) in modes() {
        for status in [403, 405] {
            let crm = Crm::with(provider, config(30), more.clone()).await;
            firewall(&crm, status, "<script>");
            let report = crm.run(&crm.new_names(30).replace("New 17\n", "<script>\n")).await;
            let counts = report.counts;
            assert_eq!(
                (counts.updated, counts.failed, &report.stopped),
                (29, 1, &None),
                "{provider:?} {more} {report:?}"
            );
            let (ending, problem) = problem(&report);
            assert_eq!(
                (ending, problem.row, problem.status, problem.code.as_str()),
                (Ending::Failed, 18, Some(status), "blocked")
            );
            let words = ["Bad gateway", "between this host and", "firewall"];
            assert!(
                words.iter().all(|word| problem.message.contains(word))
                    && !problem.message.contains("scope"),
                "{problem:?}"
            );
            assert_ne!(crm.first_name(17), "<script>", "{provider:?} {more}");
        }
    }
}

#[tokio::test]
async fn a_firewall_that_lets_nothing_through_stops_the_run_and_leaves_the_rest_for_later() {
    for (provider, more) in modes() {
        let crm = Crm::with(provider, config(600), more.clone()).await;
        firewall(&crm, 403, "New ");
        let confirmed = crm.confirm(&crm.new_names(600)).await;
        let report = crm.run_confirmed(&confirmed).await;
        let stopped =
            report.stopped.clone().unwrap_or_else(|| panic!("{provider:?} {more} {report:?}"));
        assert_eq!(
            (stopped.reason, stopped.code.as_deref()),
            (StopReason::Unavailable, Some("blocked")),
            "{stopped:?}"
        );
        assert!(
            stopped.message.contains("did not get through")
                && stopped.message.contains("Bad gateway"),
            "{stopped:?}"
        );
        assert!(
            report.counts.failed <= 100 && report.pending >= 500 && crm.writes() == 0,
            "{report:?}"
        );
        // Once it lets them through, the same plan continues.
        crm.simulator.world().faults.clear();
        let went_on = crm.run_confirmed(&confirmed).await;
        assert_eq!(
            (went_on.counts.updated, went_on.pending),
            (600 - report.counts.failed, 0),
            "{went_on:?}"
        );
    }
}
