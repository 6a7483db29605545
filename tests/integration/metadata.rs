//! What the CRM says about its fields: which are written, and in which form.

use reverse_sync::journal::Ending;
use reverse_sync_tests::crm::{Crm, Provider, changes, config, problem, skipped};
use serde_json::{Value, json};

fn dropped(plan: &reverse_sync::plan::Plan) -> Vec<(&str, &str)> {
    plan.header()
        .dropped_fields
        .iter()
        .map(|dropped| (dropped.name.as_str(), dropped.reason.as_str()))
        .collect()
}

#[tokio::test]
async fn fields_that_cannot_be_written_are_dropped_with_the_reason() {
    let crm = Crm::with(
        Provider::HubSpot,
        config(1),
        json!({"fields": ["firstname", "num_notes", "days_to_close", "frstname"]}),
    )
    .await;
    let id = Provider::HubSpot.id(0);
    let plan = crm
        .plan_online(&format!(
            "hs_object_id,firstname,num_notes,days_to_close,frstname\n{id},Ada,1,2,3\n"
        ))
        .await;
    assert_eq!(
        dropped(&plan)[1..],
        [
            ("num_notes", "read_only"),
            ("days_to_close", "calculated"),
            ("frstname", "unknown_field")
        ]
    );
    assert!(
        plan.header().warnings.iter().any(|warning| warning.contains("did you mean `firstname`?")),
        "{:?}",
        plan.header().warnings
    );
    assert_eq!(changes(&plan)[0].1, json!({"firstname": "Ada"}));
    assert!(crm.run_plan(plan).await.ok());

    // A field that the user does not see does not exist; names made of parts are read-only.
    let crm = Crm::salesforce(1).await;
    let plan = crm
        .plan_online(&format!(
            "Id,FirstName,Secret__c,Name\n{},Ada,x,Ada Lovelace\n",
            Provider::Salesforce.id(0)
        ))
        .await;
    assert_eq!(dropped(&plan)[1..], [("Secret__c", "unknown_field"), ("Name", "read_only")]);
    assert!(crm.run_plan(plan).await.ok());
}

#[tokio::test]
async fn labels_become_internal_values_and_columns_the_fields_they_are_mapped_to() {
    let more = json!({
        "fields": {"stage": "hs_lead_status", "colours": "favourite_colour", "company_name": "company", "news": "newsletter"},
        "value_map": {"hs_lead_status": {"Prospect": "IN_PROGRESS"}},
    });
    let crm = Crm::with(Provider::HubSpot, config(2), more).await;
    let ids = [0, 1].map(|n| Provider::HubSpot.id(n));
    let csv = format!(
        "hs_object_id,stage,colours,company_name,news\n{},Open,;Blue;red,Acme,No\n{},Prospect,green,,YES\n",
        ids[0], ids[1]
    );
    let plan = crm.plan_online(&csv).await;
    let planned: Vec<Value> = changes(&plan).into_iter().map(|(_, fields, _)| fields).collect();
    assert_eq!(
        planned,
        [
            json!({"hs_lead_status": "OPEN", "favourite_colour": "blue;red", "company": "Acme", "newsletter": "false"}),
            json!({"hs_lead_status": "IN_PROGRESS", "favourite_colour": "green", "newsletter": "true"}),
        ]
    );
    assert!(crm.run_plan(plan).await.ok());
    // What was confirmed is what is stored: the `;` in front did not append.
    assert_eq!(
        crm.simulator.world().hubspot.value("contacts", &ids[0], "favourite_colour"),
        Some("blue;red")
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_is_refused_with_row_column_value_and_what_would_be_accepted() {
    let crm = Crm::hubspot(6).await;
    let row = |n: usize, rest: &str| format!("{},{rest}\n", Provider::HubSpot.id(n));
    let csv = "hs_object_id,hs_lead_status,annualrevenue,birthday\n".to_owned()
        + &row(0, "Open,12.5,1815-12-10")
        + &row(1, "Nope,1,1815-12-10")
        + &row(2, "OPEN,\"1,250\",1815-12-10")
        + &row(3, "OPEN,1,10.12.1815");
    let plan = crm.plan_online(&csv).await;
    let refused = skipped(&plan);
    assert_eq!(plan.header().writable, 1);
    for ((row, reason, detail), (expected, words)) in refused.iter().zip([
        (2, ["`hs_lead_status`", "`Nope`", "`NEW`"]),
        (3, ["`annualrevenue`", "`1,250`", "1250000.5"]),
        (4, ["`birthday`", "`10.12.1815`", "YYYY-MM-DD"]),
    ]) {
        assert_eq!((*row, reason.as_str()), (expected, "value_not_encodable"));
        assert!(words.iter().all(|word| detail.contains(word)), "{detail}");
    }
    assert!(crm.run_plan(plan).await.ok());

    let crm = Crm::salesforce(3).await;
    let long = "x".repeat(41);
    let csv = format!(
        "Id,FirstName,Level__c,LeadSource\n{},{long},,\n{},,Best,\n{},A,primary,Radio\n",
        Provider::Salesforce.id(0),
        Provider::Salesforce.id(1),
        Provider::Salesforce.id(2)
    );
    let plan = crm.plan_online(&csv).await;
    let refused = skipped(&plan);
    assert!(
        refused[0].2.contains("41 characters, and the field takes 40")
            && refused[1].2.contains("not one of the options: `Primary`"),
        "{refused:?}"
    );
    // An unrestricted picklist takes anything: it is written, with a warning.
    assert_eq!(
        changes(&plan)[0].1,
        json!({"FirstName": "A", "Level__c": "Primary", "LeadSource": "Radio"})
    );
    assert!(
        plan.header()
            .warnings
            .iter()
            .any(|warning| warning.contains("`LeadSource`") && warning.contains("`Radio`"))
    );
}

#[tokio::test]
async fn fields_with_options_from_elsewhere_are_left_to_the_crm() {
    let crm = Crm::hubspot(1).await;
    let plan = crm
        .plan_online(&format!("hs_object_id,hubspot_owner_id\n{},77\n", Provider::HubSpot.id(0)))
        .await;
    assert_eq!(changes(&plan)[0].1, json!({"hubspot_owner_id": "77"}));
    assert!(crm.run_plan(plan).await.ok());
}

#[tokio::test]
async fn a_null_clears_where_the_policy_says_so() {
    let more = json!({"null_policy": {"city": "clear"}});
    let crm = Crm::with(Provider::HubSpot, config(2), more).await;
    let ids = [0, 1].map(|n| Provider::HubSpot.id(n));
    let csv = format!("hs_object_id,firstname,city\n{},Ada,\n{},,Lyon\n", ids[0], ids[1]);
    for plan in [crm.plan(&csv).await, crm.plan_online(&csv).await] {
        let planned: Vec<Value> = changes(&plan).into_iter().map(|(_, fields, _)| fields).collect();
        assert_eq!(planned, [json!({"firstname": "Ada", "city": ""}), json!({"city": "Lyon"})]);
        assert!(
            plan.header().warnings.iter().any(|warning| warning.contains("will clear")),
            "{:?}",
            plan.header().warnings
        );
    }
    assert!(crm.run_plan(crm.plan_online(&csv).await).await.ok());
    assert_eq!(crm.simulator.world().hubspot.value("contacts", &ids[0], "city"), None);
    assert!(crm.simulator.world().hubspot.value("contacts", &ids[1], "firstname").is_some());

    let crm = Crm::with(Provider::Salesforce, config(2), json!({"null_policy": "clear"})).await;
    let id = Provider::Salesforce.id(0);
    let plan = crm.plan_online(&format!("Id,Title\n{id},\n")).await;
    assert_eq!(changes(&plan)[0].1, json!({"Title": null}));
    assert!(crm.run_plan(plan).await.ok());
    assert_eq!(crm.simulator.world().salesforce.value("Contact", &id, "Title"), None);
    // A required field cannot be cleared, so the record is not sent.
    let refused = skipped(&crm.plan_online(&format!("Id,LastName\n{id},\n")).await);
    assert!(refused[0].2.contains("`LastName` is empty"), "{refused:?}");
}

#[tokio::test]
async fn an_offline_plan_that_would_need_mapping_fails_with_the_advice_to_plan_online() {
    let crm = Crm::hubspot(3).await;
    let csv = format!(
        "hs_object_id,hs_lead_status\n{},Open\n{},OPEN\n",
        Provider::HubSpot.id(0),
        Provider::HubSpot.id(1)
    );
    let report = crm.run(&csv).await;
    let (ending, problem) = problem(&report);
    assert_eq!(
        (report.counts.updated, ending, problem.row, problem.code.as_str()),
        (1, Ending::Failed, 1, "plan_online")
    );
    assert!(
        problem.message.contains("`Open`") && problem.message.contains("--online"),
        "{problem:?}"
    );
    // Nothing was sent for it: it could only have been refused.
    assert_eq!(
        crm.requests().iter().filter(|request| request.ends_with("batch/update")).count(),
        1
    );
}

#[tokio::test]
async fn records_of_which_the_resolver_is_not_sure_need_an_override() {
    let crm = Crm::with(
        Provider::HubSpot,
        config(3),
        json!({"confidence_field": "__confidence", "min_confidence": 0.8}),
    )
    .await;
    let row =
        |n: usize, confidence: &str| format!("{},New,{confidence}\n", Provider::HubSpot.id(n));
    let sure = crm
        .plan(&format!("hs_object_id,firstname,__confidence\n{}{}", row(0, "0.8"), row(1, "1")))
        .await;
    assert_eq!(sure.header().guards, []);
    let alone = crm
        .plan(&format!("hs_object_id,firstname,__confidence\n{}{}", row(0, "0.8"), row(1, "")))
        .await;
    assert_eq!(alone.header().guards, [], "a record that was never merged has no confidence");
    let unsure = crm
        .plan(&format!(
            "hs_object_id,firstname,__confidence\n{}{}{}",
            row(0, "0.9"),
            row(1, "0.55"),
            row(2, "?")
        ))
        .await;
    let guards: Vec<(&str, &str)> = unsure
        .header()
        .guards
        .iter()
        .map(|guard| (guard.name.as_str(), guard.message.as_str()))
        .collect();
    assert!(guards.iter().all(|(name, _)| *name == "low_confidence"));
    assert!(
        guards[0].1.starts_with("1 change with a confidence below 0.8")
            && guards[0].1.ends_with("row 2: 0.55"),
        "{guards:?}"
    );
    assert!(
        guards[1].1.starts_with("1 change without a confidence from 0 to 1")
            && guards[1].1.ends_with("row 3: `?`"),
        "{guards:?}"
    );
}

#[tokio::test]
async fn an_object_that_does_not_exist_is_named() {
    let crm = Crm::with(Provider::HubSpot, config(1), json!({"object": "butterflies"})).await;
    let asking = reverse_sync::planner::Asking::Metadata(crm.link());
    let error = crm.try_plan_asking(asking, &crm.new_names(1)).await.unwrap_err();
    assert!(
        error.to_string().contains("butterflies") && error.to_string().contains("`object`"),
        "{error}"
    );
}
