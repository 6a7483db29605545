//! Guards: what keeps a whole plan from being confirmed until somebody overrides it by name.

use reverse_sync::{
    gate::{Confirmation, Refused},
    plan::Plan,
    planner::Asking,
};
use reverse_sync_tests::crm::{Crm, Provider, config, hostile_guest};
use serde_json::{Value, json};

fn names(plan: &Plan) -> Vec<&str> {
    plan.header().guards.iter().map(|guard| guard.name.as_str()).collect()
}

/// A plan of `count` changes that were compared with the CRM, all of the records read.
async fn compared(count: usize, more: Value) -> (Crm, Plan) {
    let crm = Crm::of(hostile_guest().await, Provider::HubSpot, config(count), more).await;
    let plan =
        crm.try_plan_asking(Asking::Records(crm.link()), &crm.new_names(count)).await.unwrap();
    (crm, plan)
}

fn overriding(plan: &Plan, names: &[&str]) -> Confirmation {
    Confirmation::explicit(plan.id().clone())
        .overriding(names.iter().map(|name| (*name).to_owned()))
}

#[tokio::test]
async fn a_word_that_may_mean_null_holds_a_compared_plan_back_where_it_would_replace_a_value() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let (id_column, name) = (provider.id_column(), provider.first_name());
        let csv = format!("{id_column},{name}\n{},NULL\n{},Ada\n", provider.id(0), provider.id(1));
        let crm = Crm::with(provider, config(2), json!({})).await;
        let guards = crm.plan_comparing(&csv).await.header().guards.clone();
        let expected = format!(
            "1 change with a word that may mean null over a value; the first is row 1: \"NULL\" into `{name}`, which holds \"{}\"",
            crm.first_name(0)
        );
        assert_eq!(
            guards
                .iter()
                .map(|guard| (guard.name.as_str(), guard.message.as_str()))
                .collect::<Vec<_>>(),
            [("null_words", expected.as_str())]
        );

        let crm = Crm::with(provider, config(2), json!({"null_values": ["NULL"]})).await;
        let plan = crm.plan_comparing(&csv).await;
        assert_eq!(
            (plan.header().guards.len(), plan.header().writable, plan.header().skipped),
            (0, 1, 1)
        );
    }
}

#[tokio::test]
async fn a_guard_holds_a_plan_back_until_it_is_overridden_by_its_name() {
    let (crm, plan) = compared(20, json!({"guard": "email_taken"})).await;
    assert_eq!(
        names(&plan),
        ["email_taken", "max_changed_percent"],
        "the plugin's and the host's own"
    );
    for (overridden, held) in [
        (&[][..], &["email_taken", "max_changed_percent"][..]),
        (&["email_taken"], &["max_changed_percent"]),
        (&["max_changed_percent", "max_lossy_percent"], &["email_taken"]),
    ] {
        let confirmation = overriding(&plan, overridden);
        let again = Plan::load(&crm.bench.plans_dir(), plan.id()).unwrap();
        let refused = again.confirm(
            confirmation,
            &crm.bench.destination,
            &crm.bench.base_url,
            &crm.bench.component,
        );
        let Err(Refused::Guarded { guards, .. }) = refused else {
            panic!("{overridden:?}: {refused:?}")
        };
        assert_eq!(
            guards.iter().map(|guard| guard.name.as_str()).collect::<Vec<_>>(),
            held,
            "{overridden:?}"
        );
    }
    let again = Plan::load(&crm.bench.plans_dir(), plan.id()).unwrap();
    let mistyped = overriding(&again, &["email_take"]);
    let refused =
        again.confirm(mistyped, &crm.bench.destination, &crm.bench.base_url, &crm.bench.component);
    assert!(
        matches!(&refused, Err(Refused::NoSuchGuard { name, .. }) if name == "email_take"),
        "{refused:?}"
    );

    let confirmation = overriding(&plan, &["email_taken", "max_changed_percent"]);
    let confirmed = plan
        .confirm(confirmation, &crm.bench.destination, &crm.bench.base_url, &crm.bench.component)
        .unwrap();
    assert_eq!(confirmed.overridden(), ["email_taken", "max_changed_percent"]);
}

#[tokio::test]
async fn guards_are_part_of_what_is_confirmed() {
    let (crm, plan) = compared(20, json!({})).await;
    assert_eq!(names(&plan), ["max_changed_percent"]);
    let mut lenient = crm.bench.destination.clone();
    lenient.guards.max_changes = 7;
    let confirmation = overriding(&plan, &["max_changed_percent"]);
    let refused = plan.confirm(confirmation, &lenient, &crm.bench.base_url, &crm.bench.component);
    assert!(refused.unwrap_err().to_string().contains("configured differently"));
}

#[tokio::test]
async fn an_offline_plan_that_gives_all_records_one_value_is_no_surprise() {
    let crm = Crm::hubspot(0).await;
    let mut csv = "hs_object_id,city\n".to_owned();
    (0..200).for_each(|n| csv.push_str(&format!("{},Bozeman\n", Provider::HubSpot.id(n))));
    assert_eq!(names(&crm.plan(&csv).await), [""; 0]);
}

#[tokio::test]
async fn changes_that_duplicates_took_out_do_not_count() {
    let mut crm = Crm::hubspot(3).await;
    crm.bench.destination.guards.max_changes = 1;
    let id = |n| Provider::HubSpot.id(n);
    let plan =
        crm.plan(&format!("hs_object_id,firstname\n{0},A\n{0},B\n{1},C\n", id(0), id(1))).await;
    assert_eq!((plan.header().writable, names(&plan)), (1, vec![]));
    let plan = crm.plan(&format!("hs_object_id,firstname\n{0},A\n{1},C\n", id(0), id(1))).await;
    assert_eq!((plan.header().writable, names(&plan)), (2, vec!["max_changes"]));
}
