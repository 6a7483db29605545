//! The gate: what is run is what was confirmed.

use reverse_sync::{
    gate::{Confirmation, Refused},
    plan::{Plan, PlanError},
};
use reverse_sync_tests::crm::{Crm, Provider, config};
use serde_json::json;

const CSV: &str = "hs_object_id,firstname\n492564112121,Brian\n492564112124,Maria\n";

#[tokio::test]
async fn a_confirmation_opens_the_gate_for_its_own_plan_only() {
    let crm = Crm::hubspot(3).await;
    let (one, two) = (crm.plan(CSV).await, crm.plan(&crm.new_names(3)).await);
    let refused = two.confirm(
        Confirmation::explicit(one.id().clone()),
        &crm.bench.destination,
        &crm.bench.base_url,
        &crm.bench.component,
    );
    assert!(matches!(refused, Err(Refused::OtherPlan { .. })));
}

#[tokio::test]
async fn the_same_records_give_the_same_plan_and_other_records_another() {
    let crm = Crm::hubspot(3).await;
    let (one, again, other) =
        (crm.plan(CSV).await, crm.plan(CSV).await, crm.plan(&crm.new_names(3)).await);
    assert_eq!(one.id(), again.id());
    assert_ne!(one.id(), other.id());
    assert!(Plan::load(&crm.bench.plans_dir(), one.id()).is_ok());
    let missing = "plan_00000000000000000000000000000000".parse().unwrap();
    assert!(matches!(Plan::load(&crm.bench.plans_dir(), &missing), Err(PlanError::Unknown(_))));
}

#[tokio::test]
async fn duplicates_are_left_out_by_policy() {
    use reverse_sync::destination::OnDuplicateId::{First, Last, Skip};
    for (policy, names) in [(Skip, vec!["C"]), (First, vec!["A", "C"]), (Last, vec!["C", "B"])] {
        let mut crm = Crm::with(Provider::HubSpot, config(3), json!({})).await;
        crm.bench.destination.on_duplicate_id = policy;
        let ids = [0, 1].map(|n| Provider::HubSpot.id(n));
        let plan = crm
            .plan(&format!("hs_object_id,firstname\n{},A\n{},C\n{},B\n", ids[0], ids[1], ids[0]))
            .await;
        let mut planned = Vec::new();
        plan.for_each_change(|change| planned.push(change.fields.to_owned())).unwrap();
        let expected: Vec<String> =
            names.iter().map(|name| format!("{{\"firstname\":\"{name}\"}}")).collect();
        assert_eq!(planned, expected, "{policy:?}");
        assert_eq!(plan.header().writable + plan.header().skipped, 3);
        assert_eq!(plan.header().fields["firstname"], names.len() as u64);
    }
}
