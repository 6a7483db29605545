//! Comparing while planning: old and new values, nothing that is not needed, and what has become of
//! records.

use crm_simulator::{Fault, Rule};
use reverse_sync::{destination::OnDuplicateId, plan::PlanMode};
use reverse_sync_tests::crm::{Crm, Provider, changes, config, skipped};
use serde_json::{Value, json};

/// Contacts `0..count`, of which every 33rd gets another first name than the CRM holds.
fn mostly_equal(crm: &Crm, provider: Provider, count: usize) -> (String, usize) {
    let mut csv = format!("{},{}\n", provider.id_column(), provider.first_name());
    let mut differ = 0;
    for n in 0..count {
        let name = if n % 33 == 0 && differ < 300 {
            differ += 1;
            format!("New {n}")
        } else {
            crm.first_name(n)
        };
        csv.push_str(&format!("{},{name}\n", provider.id(n)));
    }
    (csv, differ)
}

#[tokio::test]
async fn ten_thousand_records_of_which_three_hundred_differ() {
    for (provider, reads, writes) in [(Provider::HubSpot, 100, 3), (Provider::Salesforce, 5, 2)] {
        let crm = Crm::with(provider, config(10_000), json!({})).await;
        let (csv, differ) = mostly_equal(&crm, provider, 10_000);
        assert_eq!(differ, 300);
        let plan = crm.plan_comparing(&csv).await;
        let header = plan.header();
        assert_eq!(
            (header.mode, header.writable, header.skipped_by_reason.get("unchanged")),
            (PlanMode::Compare, 300, Some(&9_700))
        );
        // One for the metadata, one for the account.
        assert_eq!(crm.requests().len(), reads + 2, "{provider:?}");
        assert_eq!(crm.writes(), 0);

        crm.simulator.world().clear_log();
        let report = crm.run_plan(plan).await;
        assert_eq!((report.ok(), report.counts.updated), (true, 300), "{report:?}");
        // Each write is preceded by a read that looks for drift, and all of them by the metadata
        // and the question which account it is.
        assert_eq!(crm.requests().len(), 2 * writes + 2, "{:?}", crm.requests());

        crm.simulator.world().clear_log();
        let again = crm.plan_comparing(&csv).await;
        assert_eq!((again.header().writable, again.header().skipped), (0, 10_000));
        assert_eq!(crm.writes(), 0);
    }
}

#[tokio::test]
async fn a_plan_shows_old_and_new_values_of_what_differs_and_of_nothing_else() {
    let crm = Crm::hubspot(2).await;
    let (id, other) = (Provider::HubSpot.id(0), Provider::HubSpot.id(1));
    crm.simulator.world().hubspot.put(
        "contacts",
        &id,
        &json!({"firstname": "Ada", "city": "Lyon"}),
    );
    crm.simulator.world().hubspot.put("contacts", &other, &json!({"firstname": "Ada"}));
    let plan = crm
        .plan_comparing(&format!(
            "hs_object_id,firstname,city,phone\n{id},Ada,Ghent,+1 406\n{other},Ada,,\n"
        ))
        .await;
    assert_eq!(
        changes(&plan),
        [(id, json!({"city": "Ghent", "phone": "+1 406"}), json!({"city": "Lyon", "phone": ""}))]
    );
    assert_eq!(skipped(&plan), [(2, "unchanged".to_owned(), String::new())]);
    assert_eq!(
        plan.header().sample[0].before.as_ref().map(|before| before.get()),
        Some(r#"{"city":"Lyon","phone":""}"#)
    );
}

#[tokio::test]
async fn values_are_equal_in_the_crms_own_normal_form() {
    let crm = Crm::hubspot(1).await;
    let id = Provider::HubSpot.id(0);
    let held = json!({"email": "ada@example.com", "annualrevenue": "12.50", "favourite_colour": "red;blue", "birthday": "1815-12-10",
        "last_meeting": "2026-10-02T08:15:30.000Z", "newsletter": "true", "lifecyclestage": "lead", "firstname": "Ada"});
    crm.simulator.world().hubspot.put("contacts", &id, &held);
    let header = "hs_object_id,email,annualrevenue,favourite_colour,birthday,last_meeting,newsletter,lifecyclestage,firstname\n";
    let same = format!(
        "{header}{id},Ada@Example.com,+12.5,Blue; red,-4861728000000,2026-10-02T10:15:30+02:00,yes,Lead,Ada\n"
    );
    let plan = crm.plan_comparing(&same).await;
    assert_eq!(
        skipped(&plan),
        [(1, "unchanged".to_owned(), String::new())],
        "{:?}",
        changes(&plan)
    );
    // HubSpot keeps blanks, so they are a difference there.
    crm.simulator.world().hubspot.put("contacts", &id, &json!({"company": " Acme "}));
    let clean = format!("hs_object_id,company\n{id},Acme\n");
    assert_eq!(changes(&crm.plan_comparing(&clean).await)[0].1, json!({"company": "Acme"}));
    // Letter case means something everywhere else.
    let other = format!("hs_object_id,firstname,company\n{id},ADA,\n");
    assert_eq!(changes(&crm.plan_comparing(&other).await)[0].1, json!({"firstname": "ADA"}));

    let crm = Crm::salesforce(1).await;
    let id = Provider::Salesforce.id(0);
    let held = json!({"Email": "ada@example.com", "Discount__c": 12.34, "Languages__c": "German;French", "Birthdate": "1815-12-10",
        "LastMeeting__c": "2026-10-02T08:15:30.000+0000", "DoNotCall": true, "Level__c": "Primary", "FirstName": "Ada"});
    crm.simulator.world().salesforce.put("Contact", &id, &held);
    let header =
        "Id,Email,Discount__c,Languages__c,Birthdate,LastMeeting__c,DoNotCall,Level__c,firstname\n";
    let same = format!(
        "{header}{},Ada@example.com,12.349,French;German,1815-12-10,2026-10-02T08:15:30.551Z,1,primary, Ada \n",
        &id[..15]
    );
    let plan = crm.plan_comparing(&same).await;
    assert_eq!(
        skipped(&plan),
        [(1, "unchanged".to_owned(), String::new())],
        "{:?}",
        changes(&plan)
    );
    assert!(
        plan.header()
            .warnings
            .iter()
            .any(|warning| warning.contains("Discount__c") && warning.contains("cut"))
    );
}

#[tokio::test]
async fn deleted_and_merged_records_are_found_and_the_survivor_is_named() {
    let crm = Crm::hubspot(20).await;
    let survivor = {
        let mut world = crm.simulator.world();
        world.hubspot.archive("contacts", &Provider::HubSpot.id(3));
        world
            .hubspot
            .merge("contacts", &Provider::HubSpot.id(15), &Provider::HubSpot.id(7))
            .unwrap()
    };
    let plan = crm.plan_comparing(&(crm.new_names(10) + "999,Nobody\n")).await;
    let found = skipped(&plan);
    let reasons: Vec<(u64, &str)> =
        found.iter().map(|(row, reason, _)| (*row, reason.as_str())).collect();
    assert_eq!(reasons, [(4, "not_found"), (8, "merged"), (11, "not_found")]);
    assert!(found[1].2.contains(&survivor), "{found:?}");
    assert_eq!(plan.header().writable, 8);

    let crm = Crm::salesforce(20).await;
    {
        let mut world = crm.simulator.world();
        world.salesforce.delete("Contact", &Provider::Salesforce.id(3));
        world.salesforce.merge(
            "Contact",
            &Provider::Salesforce.id(15),
            &Provider::Salesforce.id(7),
        );
    }
    let found = skipped(&crm.plan_comparing(&(crm.new_names(10))).await);
    let reasons: Vec<(u64, &str)> =
        found.iter().map(|(row, reason, _)| (*row, reason.as_str())).collect();
    assert_eq!(reasons, [(4, "deleted"), (8, "merged")]);
    assert!(found[1].2.contains(&Provider::Salesforce.id(15)), "{found:?}");
}

#[tokio::test]
async fn a_merged_record_can_be_followed_to_its_survivor() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(20), json!({"on_merged": "follow"})).await;
        let survivor = {
            let mut world = crm.simulator.world();
            let (kept, lost) = (provider.id(15), provider.id(2));
            match provider {
                Provider::HubSpot => world.hubspot.merge("contacts", &kept, &lost).unwrap(),
                Provider::Salesforce => {
                    world.salesforce.merge("Contact", &kept, &lost);
                    kept
                }
            }
        };
        let plan = crm.plan_comparing(&crm.new_names(5)).await;
        let planned: Vec<String> = changes(&plan).into_iter().map(|(id, ..)| id).collect();
        assert_eq!(
            planned,
            [provider.id(0), provider.id(1), survivor.clone(), provider.id(3), provider.id(4)]
        );
        let report = crm.run_plan(plan).await;
        assert_eq!((report.ok(), report.counts.updated), (true, 5), "{report:?}");

        // Two golden records that come to one survivor claim one record.
        let both = format!(
            "{},{}\n{},A\n{survivor},B\n",
            provider.id_column(),
            provider.first_name(),
            provider.id(2)
        );
        assert_eq!(
            crm.plan_comparing(&both).await.header().skipped_by_reason.get("duplicate_id"),
            Some(&2)
        );
    }
}

#[tokio::test]
async fn a_row_that_holds_already_claims_its_record_all_the_same() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for (policy, planned) in [
            (OnDuplicateId::Skip, vec![]),
            (OnDuplicateId::First, vec!["Ghent"]),
            (OnDuplicateId::Last, vec![]),
        ] {
            let mut crm = Crm::with(provider, config(2), json!({})).await;
            crm.bench.destination.on_duplicate_id = policy;
            let (id, name) = (provider.id(0), provider.first_name());
            assert!(crm.run(&format!("{},{name}\n{id},Lyon\n", provider.id_column())).await.ok());
            let plan = crm
                .plan_comparing(&format!(
                    "{},{name}\n{id},Ghent\n{id},Lyon\n",
                    provider.id_column()
                ))
                .await;
            let found: Vec<String> = changes(&plan)
                .iter()
                .map(|(_, fields, _)| fields[name].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(found, planned, "{policy:?}: {:?}", skipped(&plan));
            assert_eq!(plan.header().writable + plan.header().skipped, 2);
        }
    }
}

#[tokio::test]
async fn fields_that_are_filled_only_and_stages_that_would_move_back_are_left_out() {
    let crm = Crm::with(Provider::HubSpot, config(2), json!({"fill_only": ["phone"]})).await;
    let ids = [0, 1].map(|n| Provider::HubSpot.id(n));
    crm.simulator.world().hubspot.put(
        "contacts",
        &ids[0],
        &json!({"phone": "1", "lifecyclestage": "customer", "city": "Lyon"}),
    );
    crm.simulator.world().hubspot.put("contacts", &ids[1], &json!({"lifecyclestage": "lead"}));
    let csv = format!(
        "hs_object_id,phone,lifecyclestage,city\n{},2,lead,Ghent\n{},2,Customer,\n",
        ids[0], ids[1]
    );
    let plan = crm.plan_comparing(&csv).await;
    let planned: Vec<Value> = changes(&plan).into_iter().map(|(_, fields, _)| fields).collect();
    assert_eq!(
        planned,
        [json!({"city": "Ghent"}), json!({"phone": "2", "lifecyclestage": "customer"})]
    );
    let warnings = plan.header().warnings.join("\n");
    assert!(
        warnings.contains("`phone`: not written for 1 record,")
            && warnings.contains("does not move a lifecycle stage back"),
        "{warnings}"
    );
    assert!(crm.run_plan(plan).await.ok());

    let offline = crm.try_plan(&csv).await.unwrap_err().to_string();
    assert!(offline.contains("the mode `compare`"), "{offline}");
}

#[tokio::test]
async fn a_crm_that_falters_delays_a_plan_and_one_that_is_down_ends_it() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(2_500), json!({})).await;
        for fault in [
            Fault::DropBefore,
            Fault::Status(503),
            Fault::Truncate,
            Fault::WrongBody("{}".into()),
            Fault::Throttle,
            Fault::Html(502),
        ] {
            crm.simulator.world().fault(Rule::next(1, fault));
        }
        let plan = crm.plan_comparing(&crm.new_names(2_500)).await;
        assert_eq!(plan.header().writable, 2_500, "{provider:?}");

        crm.simulator.world().fault(Rule::always(Fault::Status(503)));
        let error = crm
            .try_plan_asking(reverse_sync::planner::Asking::Records(crm.link()), &crm.new_names(5))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}

#[tokio::test]
async fn planning_with_an_expired_token_says_so_and_writes_nothing() {
    let crm = Crm::hubspot(3).await;
    crm.simulator.world().config.tokens[0].expired = true;
    let error = crm
        .try_plan_asking(reverse_sync::planner::Asking::Records(crm.link()), &crm.new_names(3))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(
        std::fs::read_dir(crm.bench.plans_dir()).unwrap().count(),
        0,
        "half a plan was kept"
    );
}

#[tokio::test]
async fn an_address_that_another_record_has_needs_an_override() {
    for (provider, column) in [(Provider::HubSpot, "email"), (Provider::Salesforce, "Email")] {
        let crm = Crm::with(provider, config(10), json!({})).await;
        let row = |n: usize, address: &str| format!("{},{address}\n", provider.id(n));
        let header = format!("{},{column}\n", provider.id_column());
        // Its own, in another case, is not a change; a new one is free.
        let fine = crm
            .plan_comparing(
                &(header.clone() + &row(1, "Person1@example.com") + &row(2, "o'new@example.com")),
            )
            .await;
        assert_eq!((fine.header().writable, fine.header().guards.len()), (1, 0), "{provider:?}");
        let taken = crm
            .plan_comparing(
                &(header + &row(1, "new1@example.com") + &row(2, "PERSON7@example.com")),
            )
            .await;
        let guards = &taken.header().guards;
        assert_eq!(guards.len(), 1, "{guards:?}");
        assert_eq!(guards[0].name, "email_taken");
        assert!(
            guards[0].message.contains("row 2") && guards[0].message.contains(&provider.id(7)),
            "{guards:?}"
        );
    }
}
