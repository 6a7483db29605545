//! Between the plan and the run somebody changes a record: it is not written over.

use crm_simulator::{Fault, Rule};
use reverse_sync::{
    journal::{Ending, Ranges},
    run::StopSignal,
    verify::{self, Holding},
};
use reverse_sync_tests::crm::{Crm, Provider, config, problem, problems};
use serde_json::json;
use std::sync::{Arc, Mutex};

fn edit(crm: &Crm, provider: Provider, n: usize, value: &str) {
    let mut world = crm.simulator.world();
    match provider {
        Provider::HubSpot => world.hubspot.edit("contacts", &provider.id(n), "firstname", value),
        Provider::Salesforce => {
            world.salesforce.edit("Contact", &provider.id(n), "FirstName", json!(value))
        }
    }
}

#[tokio::test]
async fn a_record_that_changed_since_the_plan_is_reported_with_both_values_and_left_alone() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for mode in ["batch", "record", "bulk"]
            .into_iter()
            .filter(|mode| *mode != "bulk" || provider == Provider::Salesforce)
        {
            let crm = Crm::with(provider, config(10), json!({"write_mode": mode})).await;
            let plan = crm.plan_comparing(&crm.new_names(6)).await;
            let was = crm.first_name(2);
            edit(&crm, provider, 2, "Somebody's");
            // The same as the golden value: there is nothing left to do.
            edit(&crm, provider, 4, "New 4");
            let report = crm.run_plan(plan).await;
            assert_eq!(
                (report.counts.updated, report.counts.drifted, report.counts.unchanged),
                (4, 1, 1),
                "{provider:?} {mode}"
            );
            let (ending, problem) = problem(&report);
            assert_eq!(
                (ending, problem.row, problem.code.as_str()),
                (Ending::Drifted, 3, "drifted")
            );
            assert!(
                problem.message.contains(&was) && problem.message.contains("Somebody's"),
                "{problem:?}"
            );
            assert_eq!(crm.first_name(2), "Somebody's");
            assert!(!report.ok());
        }
    }
}

#[tokio::test]
async fn other_fields_of_a_record_may_change_and_drift_can_be_overwritten() {
    let crm = Crm::with(Provider::HubSpot, config(5), json!({})).await;
    let plan = crm.plan_comparing(&crm.new_names(5)).await;
    crm.simulator.world().hubspot.edit("contacts", &Provider::HubSpot.id(1), "city", "Elsewhere");
    assert!(crm.run_plan(plan).await.ok());

    let crm = Crm::with(Provider::HubSpot, config(5), json!({"on_drift": "overwrite"})).await;
    let plan = crm.plan_comparing(&crm.new_names(5)).await;
    edit(&crm, Provider::HubSpot, 2, "Somebody's");
    assert!(crm.run_plan(plan).await.ok());
    assert_eq!(crm.renamed(5), 5);
}

#[tokio::test]
async fn a_record_that_is_gone_by_the_time_of_the_run_fails() {
    let crm = Crm::hubspot(10).await;
    let plan = crm.plan_comparing(&crm.new_names(5)).await;
    let survivor = {
        let mut world = crm.simulator.world();
        world.hubspot.archive("contacts", &Provider::HubSpot.id(1));
        world.hubspot.merge("contacts", &Provider::HubSpot.id(8), &Provider::HubSpot.id(3)).unwrap()
    };
    let report = crm.run_plan(plan).await;
    assert_eq!((report.counts.updated, report.counts.failed), (3, 2));
    assert!(problems(&report).iter().any(|(_, problem)| problem.message.contains(&survivor)));
}

#[tokio::test]
async fn salesforce_refuses_a_single_record_that_was_modified_between_reading_and_writing() {
    let crm = Crm::with(Provider::Salesforce, config(1), json!({"write_mode": "record"})).await;
    let id = Provider::Salesforce.id(0);
    // It was last modified a while ago: conditions count whole seconds.
    crm.simulator.world().salesforce.record_mut("Contact", &id).unwrap().modified -= 60_000;
    let plan = crm.plan_comparing(&crm.new_names(1)).await;
    crm.simulator.world().clear_log();
    // The read that looks for drift is applied at once and answered late: time enough for somebody
    // to change the record.
    crm.simulator.world().fault(Rule::next(1, Fault::Latency(400)).on("composite/sobjects"));
    let confirmed = crm.bench.confirm(plan).unwrap();
    let edits = async {
        while !crm.requests().iter().any(|request| request.contains("composite/sobjects")) {
            tokio::task::yield_now().await;
        }
        crm.simulator.world().salesforce.edit("Contact", &id, "Title", json!("Somebody's"));
    };
    let (report, ()) = tokio::join!(crm.run_confirmed(&confirmed), edits);
    let (ending, problem) = problem(&report);
    assert_eq!((ending, problem.status), (Ending::Drifted, Some(412)), "{problem:?}");
    assert_eq!(crm.writes(), 0);
    let conditional = crm
        .simulator
        .world()
        .requests
        .iter()
        .any(|request| request.header("if-unmodified-since").is_some());
    assert!(conditional);
}

#[tokio::test]
async fn a_run_that_was_cut_off_settles_first_and_then_looks_for_drift() {
    let crm = Crm::hubspot(300).await;
    let plan = crm.plan_comparing(&crm.new_names(300)).await;
    let confirmed = crm.bench.confirm_overriding(plan, &["max_changed_percent"]).unwrap();
    // Written, no answer, and then the network is gone.
    crm.simulator.world().fault(Rule::next(1, Fault::DropAfter).on("batch/update"));
    crm.simulator.world().fault(Rule::always(Fault::DropBefore).on("/objects/").after(4));
    let report = crm.run_confirmed(&confirmed).await;
    assert!(report.pending > 0, "{report:?}");
    edit(&crm, Provider::HubSpot, 250, "Somebody's");
    crm.simulator.world().faults.clear();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!((report.counts.done(), report.pending), (300, 0), "{report:?}");
    assert_eq!(crm.simulator.world().written_twice(), []);
    assert!(crm.first_name(250) == "Somebody's" || report.counts.drifted == 0);
}

#[tokio::test]
async fn verifying_tells_what_the_crm_stored_differently() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(10), json!({})).await;
        let plan = crm.plan_comparing(&crm.new_names(5)).await;
        let id = plan.id().clone();
        assert!(crm.run_plan(plan).await.ok());
        edit(&crm, provider, 3, "Altered");
        let plan = reverse_sync::plan::Plan::load(&crm.bench.plans_dir(), &id).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let show = Arc::clone(&seen);
        let mut some = Ranges::default();
        some.add(1, 3);
        let verified = verify::verify(
            &crm.bench.component,
            &crm.bench.grant,
            &plan,
            some,
            crm.link(),
            StopSignal::new(),
            move |reading| {
                show.lock().unwrap().push((reading.row, reading.holding, reading.now.to_owned()));
            },
        );
        verified.await.unwrap();
        let seen = seen.lock().unwrap();
        let holdings: Vec<(u64, Holding)> =
            seen.iter().map(|(row, holding, _)| (*row, *holding)).collect();
        assert_eq!(
            holdings,
            [(2, Holding::Confirmed), (3, Holding::Confirmed), (4, Holding::Other)],
            "{provider:?}"
        );
        assert!(seen[2].2.contains("Altered"));
    }
}
