//! What becomes of each change, when all goes well and when it does not.

use crm_simulator::{Fault, Rule, Switches};
use reverse_sync::{
    journal::{Counts, Ending},
    run::StopReason,
};
use reverse_sync_tests::crm::{Crm, Provider, config, problem, problems};
use serde_json::json;

fn counts(updated: u64, failed: u64, unknown: u64) -> Counts {
    Counts { updated, failed, unknown, ..Counts::default() }
}

#[tokio::test]
async fn ten_thousand_records_take_a_hundred_calls_on_hubspot_and_fifty_on_salesforce() {
    let in_collections = json!({"bulk_above": 10_000});
    for (provider, calls, more) in
        [(Provider::HubSpot, 100, json!({})), (Provider::Salesforce, 50, in_collections)]
    {
        let crm = Crm::with(provider, config(10_000), more).await;
        let report = crm.run(&crm.new_names(10_000)).await;
        assert!(report.ok(), "{report:?}");
        // And one, because the plan was made offline: it is compared with the CRM's metadata first.
        assert_eq!((report.counts, crm.requests().len()), (counts(10_000, 0, 0), calls + 1));
        assert_eq!(crm.requests().iter().filter(|request| request.starts_with("GET")).count(), 1);
        assert_eq!(crm.renamed(10_000), 10_000);
    }
}

#[tokio::test]
async fn one_invalid_value_among_a_hundred_fails_alone_on_hubspot() {
    let crm = Crm::hubspot(100).await;
    let mut csv = "hs_object_id,firstname,email\n".to_owned();
    for n in 0..100 {
        let email =
            if n == 57 { "not an address".to_owned() } else { format!("new{n}@example.com") };
        csv.push_str(&format!("{},New {n},{email}\n", Provider::HubSpot.id(n)));
    }
    let report = crm.run(&csv).await;
    assert_eq!(report.counts, counts(99, 1, 0));
    let (ending, problem) = problem(&report);
    assert_eq!(
        (ending, problem.row, problem.status, problem.code.as_str()),
        (Ending::Failed, 58, Some(400), "INVALID_EMAIL")
    );
    assert_eq!(problem.provider_id, Provider::HubSpot.id(57));
    assert!(
        problem.message.contains("Email address not an address is invalid"),
        "{}",
        problem.message
    );
    assert_eq!(crm.renamed(100), 99);
    assert_eq!(crm.simulator.world().written_twice(), []);
}

#[tokio::test]
async fn one_invalid_value_among_two_hundred_fails_alone_on_salesforce() {
    for refuses_all in [false, true] {
        let switches =
            Switches { salesforce_parse_error_refuses_all: refuses_all, ..Switches::default() };
        let crm = Crm::with(
            Provider::Salesforce,
            crm_simulator::Config { switches, ..config(200) },
            json!({}),
        )
        .await;
        let mut csv = "Id,FirstName,Level__c,Birthdate\n".to_owned();
        for n in 0..200 {
            let (level, birthdate) = match n {
                20 => ("Best", "2000-01-01"),
                150 => ("Primary", "soon"),
                _ => ("Primary", "2000-01-01"),
            };
            csv.push_str(&format!("{},New {n},{level},{birthdate}\n", Provider::Salesforce.id(n)));
        }
        let report = crm.run(&csv).await;
        assert_eq!(report.counts, counts(198, 2, 0), "refuses all: {refuses_all}");
        let mut problems = problems(&report);
        problems.sort_by_key(|(_, problem)| problem.row);
        assert_eq!(problems[0].1.code, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
        assert!(problems[0].1.message.contains("bad value for restricted picklist field: Best"));
        assert_eq!((problems[1].1.row, problems[1].1.code.as_str()), (151, "JSON_PARSER_ERROR"));
        assert_eq!(crm.renamed(200), 198);
    }
}

#[tokio::test]
async fn a_merged_and_a_deleted_record_are_reported_as_such_on_hubspot() {
    for mode in ["batch", "record"] {
        let crm = Crm::with(Provider::HubSpot, config(20), json!({"write_mode": mode})).await;
        let csv = crm.new_names(10);
        let survivor = {
            let mut world = crm.simulator.world();
            world.hubspot.archive("contacts", &Provider::HubSpot.id(3));
            world
                .hubspot
                .merge("contacts", &Provider::HubSpot.id(15), &Provider::HubSpot.id(7))
                .unwrap()
        };
        let report = crm.run(&csv).await;
        assert_eq!(report.counts, counts(8, 2, 0), "{mode}");
        let mut problems = problems(&report);
        problems.sort_by_key(|(_, problem)| problem.row);
        assert_eq!((problems[0].1.row, problems[1].1.row), (4, 8));
        assert_ne!(problems[0].1.code, "merged", "{mode}: {problems:?}");
        assert_eq!(problems[1].1.code, "merged", "{mode}: {problems:?}");
        assert!(problems[1].1.message.contains(&survivor), "{mode}: {}", problems[1].1.message);
        // The survivor is another record than the confirmed one: it keeps its value.
        assert!(
            !crm.simulator
                .world()
                .hubspot
                .value("contacts", &survivor, "firstname")
                .unwrap()
                .starts_with("New"),
            "{mode}"
        );
    }
}

#[tokio::test]
async fn a_merged_deleted_or_converted_record_is_reported_as_such_on_salesforce() {
    for mode in ["batch", "record"] {
        let crm = Crm::with(Provider::Salesforce, config(20), json!({"write_mode": mode})).await;
        {
            let mut world = crm.simulator.world();
            world.salesforce.delete("Contact", &Provider::Salesforce.id(3));
            world.salesforce.merge(
                "Contact",
                &Provider::Salesforce.id(15),
                &Provider::Salesforce.id(7),
            );
            world
                .salesforce
                .record_mut("Contact", &Provider::Salesforce.id(8))
                .unwrap()
                .duplicate = true;
        }
        let report = crm.run(&crm.new_names(10)).await;
        assert_eq!(report.counts, counts(7, 3, 0), "{mode}");
        let mut problems = problems(&report);
        problems.sort_by_key(|(_, problem)| problem.row);
        let codes: Vec<&str> = problems.iter().map(|(_, problem)| problem.code.as_str()).collect();
        assert_eq!(
            codes,
            ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED", "DUPLICATES_DETECTED"],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn an_unknown_property_fails_its_records_with_few_calls() {
    let crm = Crm::hubspot(100).await;
    let mut csv = "hs_object_id,firstname,nickname\n".to_owned();
    for n in 0..100 {
        csv.push_str(&format!(
            "{},New {n},{}\n",
            Provider::HubSpot.id(n),
            if n % 2 == 0 { "x" } else { "" }
        ));
    }
    let report = crm.run(&csv).await;
    assert_eq!(report.counts, counts(50, 50, 0));
    assert!(problems(&report).iter().all(|(_, problem)| problem.code == "PROPERTY_DOESNT_EXIST"));
    assert!(crm.requests().len() <= 4, "{:?}", crm.requests());
}

#[tokio::test]
async fn a_locked_row_is_tried_again() {
    for (mode, lock_is_500) in [("batch", false), ("record", false), ("record", true)] {
        let switches = Switches { salesforce_lock_is_500: lock_is_500, ..Switches::default() };
        let crm = Crm::with(
            Provider::Salesforce,
            crm_simulator::Config { switches, ..config(5) },
            json!({"write_mode": mode}),
        )
        .await;
        crm.simulator
            .world()
            .salesforce
            .record_mut("Contact", &Provider::Salesforce.id(2))
            .unwrap()
            .locked = 2;
        let report = crm.run(&crm.new_names(5)).await;
        assert_eq!(report.counts, counts(5, 0, 0), "{mode}: {:?}", problems(&report));
        assert_eq!(crm.simulator.world().written_twice(), []);
    }
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_a_read_and_not_sent_again() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for mode in ["batch", "record"] {
            for fault in [
                Fault::DropAfter,
                Fault::Truncate,
                Fault::StatusAfter(504),
                Fault::WrongBody("<html>".into()),
                Fault::WrongBody("{}".into()),
            ] {
                // A single Salesforce record answers without a body, so that a wrong one cannot be
                // told from none.
                let bodiless = provider == Provider::Salesforce && mode == "record";
                if bodiless && matches!(fault, Fault::Truncate | Fault::WrongBody(_)) {
                    continue;
                }
                let crm = Crm::with(provider, config(5), json!({"write_mode": mode})).await;
                let writes = if provider == Provider::HubSpot && mode == "batch" {
                    "batch/update"
                } else if mode == "batch" {
                    "composite/sobjects"
                } else {
                    "objects"
                };
                let mut rule = Rule::next(1, fault.clone()).on(writes);
                rule.method = Some(
                    if provider == Provider::HubSpot && mode == "batch" { "POST" } else { "PATCH" }
                        .to_owned(),
                );
                crm.simulator.world().fault(rule);
                let report = crm.run(&crm.new_names(5)).await;
                assert_eq!(
                    report.counts,
                    counts(5, 0, 0),
                    "{provider:?} {mode} {fault:?}: {:?} {:?}",
                    report.stopped,
                    problems(&report)
                );
                assert_eq!(
                    crm.simulator.world().written_twice(),
                    [],
                    "{provider:?} {mode} {fault:?}"
                );
                assert_eq!(crm.renamed(5), 5);
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_never_arrived_is_sent_again() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for fault in [Fault::DropBefore, Fault::Status(503), Fault::Html(502), Fault::Status(500)] {
            let crm = Crm::with(provider, config(300), json!({})).await;
            crm.simulator.world().fault(Rule::next(2, fault.clone()));
            let report = crm.run(&crm.new_names(300)).await;
            assert_eq!(
                report.counts,
                counts(300, 0, 0),
                "{provider:?} {fault:?}: {:?}",
                report.stopped
            );
            assert_eq!(crm.simulator.world().written_twice(), [], "{provider:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up_on_and_settled() {
    let crm = Crm::hubspot(5).await;
    crm.simulator.world().fault(Rule::next(1, Fault::NeverEnding).on("batch/update"));
    let report = crm.run(&crm.new_names(5)).await;
    assert_eq!(report.counts, counts(5, 0, 0), "{report:?}");
    assert_eq!(crm.simulator.world().written_twice(), []);
}

#[tokio::test]
async fn what_no_read_can_settle_is_unknown_and_never_updated() {
    // Every write is applied and answered with nonsense, and a trigger changes what was written: no
    // read can prove it.
    let switches = Switches { salesforce_trigger: true, ..Switches::default() };
    let crm =
        Crm::with(Provider::Salesforce, crm_simulator::Config { switches, ..config(3) }, json!({}))
            .await;
    let mut rule = Rule::always(Fault::WrongBody("[]".into()));
    rule.method = Some("PATCH".to_owned());
    crm.simulator.world().fault(rule);
    let report = crm.run(&format!("Id,Title\n{},Director\n", Provider::Salesforce.id(0))).await;
    assert_eq!(report.counts, counts(0, 0, 1), "{report:?}");
    assert_eq!(problem(&report).0, Ending::Unknown);
}

#[tokio::test]
async fn random_trouble_loses_nothing_and_invents_nothing() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(3_000), json!({})).await;
        for fault in [
            Fault::DropBefore,
            Fault::DropAfter,
            Fault::Status(502),
            Fault::StatusAfter(504),
            Fault::Truncate,
            Fault::Throttle,
        ] {
            crm.simulator.world().fault(Rule::always(fault).with_probability(0.04));
        }
        let report = crm.run(&crm.new_names(3_000)).await;
        assert_eq!(report.counts.done() + report.pending, 3_000);
        assert_eq!(report.counts.failed, 0, "{:?}", problems(&report));
        // "updated" is never claimed of a record that does not have its value.
        assert!(crm.renamed(3_000) as u64 >= report.counts.updated);
        assert!(report.stopped.is_none(), "{:?}", report.stopped);
    }
}

#[tokio::test]
async fn an_expired_token_or_a_missing_scope_stops_the_run_and_says_what_is_needed() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(1_000), json!({})).await;
        crm.simulator.world().config.tokens[0].expired = true;
        let report = crm.run(&crm.new_names(1_000)).await;
        let stopped = report.stopped.unwrap();
        assert_eq!(
            (stopped.reason, report.pending),
            (StopReason::Unauthorized, 1_000),
            "{stopped:?}"
        );
        assert_eq!(crm.writes(), 0);
    }
    for old_shape in [false, true] {
        let switches = Switches { hubspot_old_scope_shape: old_shape, ..Switches::default() };
        let crm = Crm::with(
            Provider::HubSpot,
            crm_simulator::Config { switches, ..config(10) },
            json!({}),
        )
        .await;
        crm.simulator.world().config.tokens[0].can_write = false;
        let stopped = crm.run(&crm.new_names(10)).await.stopped.unwrap();
        assert_eq!(stopped.reason, StopReason::Unauthorized);
        assert!(stopped.message.contains("crm.objects.contacts.write"), "{stopped:?}");
    }
}

#[tokio::test]
async fn a_crm_that_is_down_stops_the_run_and_leaves_it_to_be_taken_up() {
    let crm = Crm::hubspot(300).await;
    let confirmed = crm.confirm(&crm.new_names(300)).await;
    crm.simulator.world().fault(Rule::always(Fault::Status(503)));
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!((report.stopped.unwrap().reason, report.pending), (StopReason::Unavailable, 300));
    crm.simulator.world().faults.clear();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(report.counts, counts(300, 0, 0));
    assert_eq!(crm.simulator.world().written_twice(), []);
}

#[tokio::test]
async fn values_arrive_in_the_crms_own_types() {
    let crm = Crm::hubspot(1).await;
    let id = Provider::HubSpot.id(0);
    let file = crm.bench.state.path().join("golden.jsonl");
    let line = json!({"hs_object_id": id, "newsletter": true, "annualrevenue": 1250000.5, "favourite_colour": ["red", "blue"], "birthday": "1815-12-10"});
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let records = reverse_sync::records::RecordSource::open(
        "golden.jsonl",
        crm.bench.state.path(),
        Default::default(),
    )
    .unwrap();
    let plan = crm.bench.plan(records).await.unwrap();
    let report = crm.run_confirmed(&crm.bench.confirm(plan).unwrap()).await;
    assert!(report.ok(), "{:?}", problems(&report));
    let world = crm.simulator.world();
    let value = |name: &str| world.hubspot.value("contacts", &id, name).unwrap().to_owned();
    assert_eq!(
        [value("newsletter"), value("annualrevenue"), value("favourite_colour"), value("birthday")],
        ["true", "1250000.5", "red;blue", "1815-12-10"]
    );
}

#[tokio::test]
async fn a_converted_lead_fails_in_salesforces_words() {
    for mode in ["batch", "record", "bulk"] {
        let crm = Crm::with(
            Provider::Salesforce,
            config(0),
            json!({"object": "Lead", "write_mode": mode}),
        )
        .await;
        let ids = [0, 1].map(|n| crm_simulator::record_id("00Q", n));
        {
            let mut world = crm.simulator.world();
            for id in &ids {
                world.salesforce.put("Lead", id, &json!({"FirstName": "Ada", "LastName": "Lovelace", "Company": "Analytical Engines"}));
            }
            world.salesforce.record_mut("Lead", &ids[0]).unwrap().converted = true;
        }
        let report = crm.run(&format!("Id,City\n{},Ghent\n{},Ghent\n", ids[0], ids[1])).await;
        assert_eq!(report.counts, counts(1, 1, 0), "{mode}");
        assert_eq!(problem(&report).1.code, "CANNOT_UPDATE_CONVERTED_LEAD", "{mode}");
    }
}
