//! What Salesforce makes of values and conditions: checklist items 10 to 12.

use super::{Api, COLLECTIONS, contact, row_path};
use crm_simulator::{Config, Switches, record_id};
use http::Method;
use serde_json::{Value, json};

async fn ada() -> Api {
    Api::salesforce(json!({"LastName": "Lovelace", "Title": "Countess"})).await
}

async fn with(switches: Switches) -> Api {
    let api = Api::start(Config { switches, ..Config::default() }).await;
    api.simulator.world().salesforce.put("Contact", &contact(0), &json!({"LastName": "Lovelace"}));
    api.simulator.world().salesforce.put("Contact", &contact(1), &json!({"LastName": "Byron"}));
    api
}

fn record(n: u64, name: &str, value: Value) -> Value {
    json!({"attributes": {"type": "Contact"}, "id": contact(n), name: value})
}

/// What one record of a collection is refused for.
async fn refused_together(api: &Api, name: &str, value: Value) -> Value {
    let got = api.collection(json!([record(0, name, value)])).await;
    assert_eq!(got.status, 200, "{}", got.text);
    got.json()[0]["errors"][0]["statusCode"].clone()
}

// Item 10.

#[tokio::test]
async fn item_10_texts_are_trimmed_and_blank_ones_empty() {
    let api = ada().await;
    assert_eq!(api.row(json!({"Title": "  Director \n", "Department": "a  b"})).await.status, 204);
    assert_eq!(
        (api.field("Title"), api.field("Department")),
        (Some(json!("Director")), Some(json!("a  b")))
    );
    assert_eq!(api.row(json!({"Title": "   "})).await.status, 204);
    assert_eq!(api.field("Title"), None);
}

#[tokio::test]
async fn item_10_extra_decimals_are_cut_off_and_those_that_fit_are_kept() {
    let api = ada().await;
    for (sent, stored) in [
        (12.345, 12.34),
        (12.349, 12.34),
        (-1.239, -1.23),
        (0.29, 0.29),
        (19.99, 19.99),
        (1.1, 1.1),
        (7.0, 7.0),
    ] {
        assert_eq!(api.row(json!({"Discount__c": sent})).await.status, 204);
        assert_eq!(api.field("Discount__c"), Some(json!(stored)), "{sent}");
    }
    assert_eq!(api.row(json!({"Discount__c": 5})).await.status, 204);
    assert_eq!(api.field("Discount__c").unwrap().as_f64(), Some(5.0));
    let got = api.row(json!({"Discount__c": 1e16})).await;
    assert_eq!(
        (got.status, &got.json()[0]["errorCode"]),
        (400, &json!("NUMBER_OUTSIDE_VALID_RANGE"))
    );
}

#[tokio::test]
async fn item_10_too_long_texts_are_refused_with_the_label() {
    let api = ada().await;
    assert_eq!(api.row(json!({"FirstName": "ü".repeat(40)})).await.status, 204);
    let got = api.row(json!({"FirstName": "x".repeat(41)})).await;
    let error = got.json()[0].clone();
    assert_eq!(
        (got.status, &error["errorCode"], &error["fields"]),
        (400, &json!("STRING_TOO_LONG"), &json!(["FirstName"]))
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("First Name: data value too large: xxxx")
            && message.ends_with("(max length=40)"),
        "{message}"
    );
    assert_eq!(refused_together(&api, "FirstName", json!("x".repeat(41))).await, "STRING_TOO_LONG");
}

#[tokio::test]
async fn item_10_restricted_picklists_refuse_what_unrestricted_ones_store() {
    let api = ada().await;
    let got = api.row(json!({"Level__c": "Fourth"})).await;
    got.refused(
        400,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "Level: bad value for restricted picklist field: Fourth",
    );
    assert_eq!(
        refused_together(&api, "Level__c", json!("Fourth")).await,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    );
    for (field, sent, stored) in [
        ("LeadSource", "Fair", "Fair"),
        ("LeadSource", "web", "Web"),
        ("Level__c", "Secondary", "Secondary"),
    ] {
        assert_eq!(api.row(json!({field: sent})).await.status, 204);
        assert_eq!(api.field(field), Some(json!(stored)));
    }
}

#[tokio::test]
async fn item_10_a_multi_select_is_replaced_whole() {
    let api = ada().await;
    for sent in ["German;English", "French"] {
        assert_eq!(api.row(json!({"Languages__c": sent})).await.status, 204);
        assert_eq!(api.field("Languages__c"), Some(json!(sent)));
    }
    for bad in ["German;Dutch", ";German"] {
        assert_eq!(
            refused_together(&api, "Languages__c", json!(bad)).await,
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        );
    }
    assert_eq!(
        refused_together(&api, "Languages__c", json!(["a"; 101].join(";"))).await,
        "TOO_MANY_ENUM_VALUE"
    );
}

#[tokio::test]
async fn item_10_fields_that_the_user_does_not_see_do_not_exist() {
    let api = ada().await;
    api.row(json!({"Secret__c": "x"})).await.refused(
        400,
        "INVALID_FIELD",
        "No such column 'Secret__c' on sobject of type Contact",
    );
    assert_eq!(refused_together(&api, "Secret__c", json!("x")).await, "INVALID_FIELD");
    let described = api.get("/services/data/v67.0/sobjects/Contact/describe").await.json();
    assert!(
        described["fields"].as_array().unwrap().iter().all(|field| field["name"] != "Secret__c")
    );
    assert_eq!(api.get(&format!("{}?fields=Secret__c", row_path(&contact(0)))).await.status, 400);
}

#[tokio::test]
async fn item_10_describe_says_what_can_be_written() {
    let api = ada().await;
    let described = api.get("/services/data/v67.0/sobjects/Contact/describe").await.json();
    assert_eq!((&described["keyPrefix"], &described["updateable"]), (&json!("003"), &json!(true)));
    let field = |name: &str| {
        described["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&field("FirstName")["label"], &field("FirstName")["length"]),
        (&json!("First Name"), &json!(40))
    );
    assert_eq!((&field("Id")["type"], &field("Id")["updateable"]), (&json!("id"), &json!(false)));
    assert_eq!(
        (&field("LastName")["nillable"], &field("Discount__c")["scale"]),
        (&json!(false), &json!(2))
    );
    let level = field("Level__c");
    assert_eq!((&level["restrictedPicklist"], &level["type"]), (&json!(true), &json!("picklist")));
    assert_eq!(
        level["picklistValues"][0],
        json!({"active": true, "defaultValue": false, "label": "Primary", "validFor": null, "value": "Primary"})
    );
}

#[tokio::test]
async fn item_10_each_type_checks_its_values() {
    let api = ada().await;
    for (field, good, stored) in [
        ("Birthdate", "1815-12-10", "1815-12-10"),
        ("LastMeeting__c", "2026-10-02T10:15:30.999+02:00", "2026-10-02T08:15:30.000+0000"),
        ("LastMeeting__c", "2026-10-02T08:15:30.000+0000", "2026-10-02T08:15:30.000+0000"),
    ] {
        assert_eq!(api.row(json!({field: good})).await.status, 204, "{good}");
        assert_eq!(api.field(field), Some(json!(stored)));
    }
    for (field, bad) in [
        ("Birthdate", json!("10.12.1815")),
        ("LastMeeting__c", json!("2026-10-02T08:15:30")),
        ("DoNotCall", json!("true")),
        ("DoNotCall", json!(null)),
        ("Discount__c", json!("many")),
        ("Title", json!(7)),
        ("Title", json!(["x"])),
    ] {
        let got = api.row(json!({field: bad})).await;
        assert_eq!(
            (got.status, &got.json()[0]["errorCode"]),
            (400, &json!("JSON_PARSER_ERROR")),
            "{field} {bad}"
        );
        assert!(got.text.contains("[line:1, column:"), "{}", got.text);
    }
    let got = api.row(json!({"LastName": null})).await;
    got.refused(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]");
    assert_eq!(refused_together(&api, "Email", json!("ada")).await, "INVALID_EMAIL_ADDRESS");
    let got = api.row(json!({"MasterRecordId": contact(1)})).await;
    let message = "Unable to create/update fields: MasterRecordId. Please check the security settings of this field and verify that it is read/write for your profile or permission set.";
    got.refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message);
}

// Item 11.

/// A record that was modified at 2026-11-30 08:34:54.900.
async fn dated(object: &str, id: &str) -> Api {
    let api = Api::new().await;
    let mut world = api.simulator.world();
    world.salesforce.put(object, id, &json!({"Title": "before"}));
    let record = world.salesforce.record_mut(object, id).unwrap();
    (record.modified, record.stamped) = (1_796_027_694_900, 1_796_027_694_900);
    drop(world);
    api
}

async fn on_condition(api: &Api, path: &str, header: (&str, &str), body: Value) -> u16 {
    let headers = [("content-type", "application/json"), header];
    api.send(Method::PATCH, path, &headers, body.to_string()).await.unwrap().status
}

#[tokio::test]
async fn item_11_if_unmodified_since_counts_whole_seconds() {
    let path = row_path(&contact(0));
    for (since, status) in [
        ("Mon, 30 Nov 2026 08:34:53 GMT", 412),
        ("Mon, 30 Nov 2026 08:34:54 GMT", 204),
        ("Mon, 30 Nov 2026 08:34:55 GMT", 204),
        ("yesterday", 400),
    ] {
        let api = dated("Contact", &contact(0)).await;
        assert_eq!(
            on_condition(&api, &path, ("if-unmodified-since", since), json!({"Title": "after"}))
                .await,
            status,
            "{since}"
        );
        let stored = if status == 204 { "after" } else { "before" };
        assert_eq!(
            (api.field("Title"), api.writes()),
            (Some(json!(stored)), usize::from(status == 204))
        );
    }
}

#[tokio::test]
async fn item_11_a_row_is_read_only_if_it_was_modified() {
    let api = dated("Contact", &contact(0)).await;
    for (since, status) in
        [("Mon, 30 Nov 2026 08:34:53 GMT", 200), ("Mon, 30 Nov 2026 08:34:54 GMT", 304)]
    {
        let got = api
            .send(Method::GET, &row_path(&contact(0)), &[("if-modified-since", since)], "")
            .await
            .unwrap();
        assert_eq!(got.status, status);
    }
    assert!(
        api.get(&row_path(&contact(0)))
            .await
            .header("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
}

#[tokio::test]
async fn item_11_etags_are_for_accounts_only() {
    let id = record_id("001", 0);
    let path = format!("/services/data/v67.0/sobjects/Account/{id}");
    let api = dated("Account", &id).await;
    let tag = api.get(&path).await.header("etag").unwrap().to_owned();
    assert_eq!(
        api.send(Method::GET, &path, &[("if-none-match", &tag)], "").await.unwrap().status,
        304
    );
    assert_eq!(on_condition(&api, &path, ("if-match", &tag), json!({"Industry": "x"})).await, 204);
    assert_eq!(on_condition(&api, &path, ("if-match", &tag), json!({"Industry": "y"})).await, 412);
    assert_eq!(
        api.simulator.world().salesforce.value("Account", &id, "Industry"),
        Some(&json!("x"))
    );

    let api = dated("Contact", &contact(0)).await;
    assert_eq!(api.get(&row_path(&contact(0))).await.header("etag"), None);
    assert_eq!(
        on_condition(&api, &row_path(&contact(0)), ("if-match", "\"no\""), json!({"Title": "x"}))
            .await,
        204
    );
}

#[tokio::test]
async fn item_11_the_system_stamp_is_never_before_the_modified_date() {
    let api = ada().await;
    for _ in 0..2 {
        let row = api
            .get(&format!("{}?fields=SystemModstamp,LastModifiedDate", row_path(&contact(0))))
            .await
            .json();
        let (stamp, modified) =
            (row["SystemModstamp"].as_str().unwrap(), row["LastModifiedDate"].as_str().unwrap());
        assert!(stamp >= modified, "{row}");
        assert!(stamp.ends_with(".000+0000"), "{stamp}");
        assert_eq!(api.row(json!({"Title": "x"})).await.status, 204);
    }
}

#[tokio::test]
async fn item_11_automation_alters_what_was_written_by_switch() {
    for (salesforce_trigger, stored) in [(false, "Director"), (true, "DIRECTOR")] {
        let api = with(Switches { salesforce_trigger, ..Switches::default() }).await;
        assert_eq!(api.row(json!({"Title": "Director"})).await.status, 204);
        assert_eq!(api.field("Title"), Some(json!(stored)));
    }
}

// Item 12, but for the limits.

#[tokio::test]
async fn item_12_the_loser_of_a_merge_is_deleted_and_knows_its_master() {
    let api = with(Switches::default()).await;
    api.simulator.world().salesforce.merge("Contact", &contact(1), &contact(0)[..15]);
    api.row(json!({"Title": "x"})).await.refused(404, "ENTITY_IS_DELETED", "entity is deleted");
    assert_eq!(refused_together(&api, "Title", json!("x")).await, "ENTITY_IS_DELETED");
    assert_eq!(api.get(&row_path(&contact(0))).await.status, 404);
    assert_eq!(
        api.get(&format!("{COLLECTIONS}/Contact?ids={}&fields=Id", contact(0))).await.json(),
        json!([null])
    );
    let query =
        format!("SELECT+Id,IsDeleted,MasterRecordId+FROM+Contact+WHERE+Id='{}'", contact(0));
    let found =
        api.get(&format!("/services/data/v67.0/queryAll?q={query}")).await.json()["records"][0]
            .clone();
    assert_eq!(
        (&found["Id"], &found["IsDeleted"], &found["MasterRecordId"]),
        (&json!(contact(0)), &json!(true), &json!(contact(1)))
    );
    assert_eq!(api.patch(&row_path(&contact(1)), &json!({"Title": "x"})).await.status, 204);
}

#[tokio::test]
async fn item_12_a_deleted_row_is_deleted_whatever_the_condition() {
    let api = dated("Contact", &contact(0)).await;
    api.simulator.world().salesforce.delete("Contact", &contact(0));
    let since = ("if-unmodified-since", "Mon, 30 Nov 2020 08:34:53 GMT");
    assert_eq!(on_condition(&api, &row_path(&contact(0)), since, json!({"Title": "x"})).await, 404);
}

#[tokio::test]
async fn item_12_a_converted_lead_refuses_updates() {
    let api = Api::new().await;
    let id = record_id("00Q", 0);
    api.simulator.world().salesforce.put("Lead", &id, &json!({"LastName": "Lovelace"}));
    api.simulator.world().salesforce.record_mut("Lead", &id).unwrap().converted = true;
    let path = format!("/services/data/v67.0/sobjects/Lead/{id}");
    let got = api.patch(&path, &json!({"Title": "x"})).await;
    assert_eq!(
        (got.status, &got.json()[0]["errorCode"]),
        (400, &json!("CANNOT_UPDATE_CONVERTED_LEAD"))
    );
    assert_eq!(api.get(&format!("{path}?fields=IsConverted")).await.json()["IsConverted"], true);
}

#[tokio::test]
async fn item_12_a_locked_row_answers_400_or_by_switch_500_and_is_free_again() {
    for (salesforce_lock_is_500, status) in [(false, 400), (true, 500)] {
        let api = with(Switches { salesforce_lock_is_500, ..Switches::default() }).await;
        api.simulator.world().salesforce.record_mut("Contact", &contact(0)).unwrap().locked = 2;
        let message = format!(
            "unable to obtain exclusive access to this record or 1 records: {}",
            contact(0)
        );
        api.row(json!({"Title": "x"})).await.refused(status, "UNABLE_TO_LOCK_ROW", &message);
        assert_eq!(refused_together(&api, "Title", json!("x")).await, "UNABLE_TO_LOCK_ROW");
        assert_eq!(api.row(json!({"Title": "x"})).await.status, 204);
    }
}

#[tokio::test]
async fn item_12_a_locked_row_fails_itself_or_by_switch_its_collection() {
    for (salesforce_lock_fails_all, written) in [(false, 1), (true, 0)] {
        let api = with(Switches { salesforce_lock_fails_all, ..Switches::default() }).await;
        api.simulator.world().salesforce.record_mut("Contact", &contact(1)).unwrap().locked = 1;
        let body = api
            .collection(json!([record(0, "Title", json!("x")), record(1, "Title", json!("x"))]))
            .await
            .json();
        assert_eq!(body[1]["errors"][0]["statusCode"], "UNABLE_TO_LOCK_ROW");
        assert_eq!(
            (body[0]["success"] == true, api.writes()),
            (!salesforce_lock_fails_all, written)
        );
    }
}

#[tokio::test]
async fn item_12_a_duplicate_rule_stops_an_update() {
    let api = ada().await;
    api.simulator.world().salesforce.record_mut("Contact", &contact(0)).unwrap().duplicate = true;
    let got = api.row(json!({"Title": "x"})).await;
    got.refused(400, "DUPLICATES_DETECTED", "Use one of these records?");
    assert_eq!(got.json()[0]["duplicateResult"], json!({"allowSave": false, "matchResults": []}));
    let body = api.collection(json!([record(0, "Title", json!("x"))])).await.json();
    let error = json!({"statusCode": "DUPLICATES_DETECTED", "message": "Use one of these records?", "fields": []});
    assert_eq!(body, json!([{"success": false, "errors": [error]}]));
}
