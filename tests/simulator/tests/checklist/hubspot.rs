//! HubSpot's records: checklist items 1 to 5.

use super::{ADA, Api, BOB, names};
use crm_simulator::{Config, Switches};
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/crm/v3/objects/contacts";

/// Ada and Bob.
async fn two() -> Api {
    let api = Api::hubspot(json!({"firstname": "Ada", "city": "London"})).await;
    api.simulator.world().hubspot.put("contacts", BOB, &json!({"firstname": "Bob"}));
    api
}

async fn with(switches: Switches) -> Api {
    let api = Api::start(Config { switches, ..Config::default() }).await;
    api.simulator.world().hubspot.put(
        "contacts",
        ADA,
        &json!({"firstname": "Ada", "lifecyclestage": "customer"}),
    );
    api
}

// Item 1.

#[tokio::test]
async fn item_1_duplicate_ids_refuse_the_whole_batch() {
    let api = two().await;
    let inputs = json!([
        {"id": BOB, "properties": {"jobtitle": "x"}}, {"id": ADA, "properties": {"jobtitle": "x"}}, {"id": ADA, "properties": {"jobtitle": "y"}}
    ]);
    let got = api.batch(inputs).await;
    let body = got.json();
    assert_eq!(got.status, 400);
    assert_eq!(body["status"], "error");
    assert_eq!(body["category"], "VALIDATION_ERROR");
    assert_eq!(
        body["message"],
        format!("Duplicate IDs found in batch input: [{ADA}]. IDs must be unique")
    );
    assert_eq!(body["context"], json!({"ids": [ADA]}));
    assert_eq!(body["correlationId"].as_str(), got.header("x-hubspot-correlation-id"));
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_1_an_unknown_property_refuses_the_whole_batch() {
    let api = two().await;
    let got = api.batch(json!([{"id": ADA, "properties": {"jobtitle": "x"}}, {"id": BOB, "properties": {"jobtitel": "x"}}])).await;
    let body = got.json();
    assert_eq!(got.status, 400);
    assert_eq!(
        body["message"],
        r#"Property values were not valid: [{"error":"PROPERTY_DOESNT_EXIST","isValid":false,"message":"Property \"jobtitel\" does not exist","name":"jobtitel"}]"#
    );
    assert_eq!(
        body["errors"],
        json!([{"message": "Property \"jobtitel\" does not exist", "code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": ["jobtitel"]}}])
    );
    assert_eq!(body["category"], "VALIDATION_ERROR");
    assert_eq!(body["correlationId"].as_str(), got.header("x-hubspot-correlation-id"));
    assert_eq!((api.writes(), api.stored("jobtitle")), (0, None));
}

#[tokio::test]
async fn item_1_read_only_properties_and_invalid_values_refuse_the_whole_batch() {
    let api = two().await;
    for (property, code) in [
        ("num_notes", "READ_ONLY_VALUE"),
        ("days_to_close", "READ_ONLY_VALUE"),
        ("birthday", "INVALID_DATE"),
    ] {
        let got = api.batch(json!([{"id": ADA, "properties": {"jobtitle": "x"}}, {"id": BOB, "properties": {property: "x"}}])).await;
        assert_eq!((got.status, got.json()["errors"][0]["code"].as_str()), (400, Some(code)));
    }
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_1_a_refusal_names_each_offending_input_in_its_message_and_fewer_in_its_list() {
    let api = two().await;
    let inputs: Vec<Value> =
        (0..5).map(|n| json!({"id": n.to_string(), "properties": {"jobtitel": "x"}})).collect();
    let body = api.batch(json!(inputs)).await.json();
    let listed: Vec<Value> =
        serde_json::from_str(body["message"].as_str().unwrap().split_once(": ").unwrap().1)
            .unwrap();
    assert_eq!(listed.len(), 5);
    assert!(body["errors"].as_array().unwrap().len() < 5);
}

#[tokio::test]
async fn item_1_more_than_100_inputs_are_refused_and_100_are_not() {
    let api = two().await;
    let inputs = |count: usize| -> Value {
        (0..count).map(|n| json!({"id": n.to_string(), "properties": {"city": "x"}})).collect()
    };
    let got = api.batch(inputs(101)).await;
    assert_eq!((got.status, got.json()["category"].as_str()), (400, Some("VALIDATION_ERROR")));
    assert_eq!(api.batch(inputs(100)).await.status, 207);
}

#[tokio::test]
async fn item_1_malformed_requests_are_refused_as_such() {
    let api = two().await;
    let path = format!("{PATH}/batch/update");
    let json = [("content-type", "application/json")];
    let message =
        |got: super::Got| (got.status, got.json()["message"].as_str().unwrap().to_owned());
    assert_eq!(
        message(api.post(&path, &json!({})).await),
        (400, "Some required fields were not set: [inputs]".to_owned())
    );
    let (status, text) =
        message(api.send(Method::POST, &path, &json, "{\"inputs\":").await.unwrap());
    assert_eq!(status, 400);
    assert!(text.starts_with("Invalid input JSON on line 1, column 10: "), "{text}");
    assert_eq!(
        message(api.update(json!({})).await),
        (400, "No properties found to update, please provide at least one.".to_owned())
    );
    let got = api.patch("/crm/v3/objects/butterflies/1", &json!({"properties": {"a": "b"}})).await;
    assert_eq!(got.json().get("category"), None);
    assert_eq!(message(got), (400, "Unable to infer object type from: butterflies".to_owned()));
    let by = api
        .patch(
            &format!("{PATH}/{ADA}?idProperty=hs_object_id"),
            &json!({"properties": {"city": "x"}}),
        )
        .await;
    assert_eq!(by.json()["category"], "VALIDATION_ERROR");
    assert_eq!(
        message(by),
        (400, "Unable to perform update/upsert by non-unique property hs_object_id".to_owned())
    );
    assert_eq!(
        api.send(Method::POST, &path, &[("content-type", "text/plain")], "{}")
            .await
            .unwrap()
            .status,
        415
    );
}

// Item 2.

#[tokio::test]
async fn item_2_missing_ids_are_one_group_of_a_207_and_the_others_are_written() {
    let api = two().await;
    api.simulator.world().hubspot.archive("contacts", BOB);
    let inputs = json!([
        {"id": "31200009998", "properties": {"jobtitle": "Director"}}, {"id": ADA, "properties": {"jobtitle": "Director"}},
        {"id": BOB, "properties": {"jobtitle": "Director"}}, {"id": "unknownIdentifier888", "properties": {"jobtitle": "Director"}},
    ]);
    let got = api.batch(inputs).await;
    let body = got.json();
    assert_eq!(
        (got.status, body["status"].as_str(), body["numErrors"].as_u64()),
        (207, Some("COMPLETE"), Some(1))
    );
    assert_eq!(
        body["errors"],
        json!([{
            "status": "error", "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid.",
            "context": {"ids": ["31200009998", BOB, "unknownIdentifier888"]},
        }])
    );
    assert_eq!(body["results"].as_array().unwrap().len(), 1);
    assert_eq!(
        (body["results"][0]["id"].as_str(), api.stored("jobtitle").as_deref()),
        (Some(ADA), Some("Director"))
    );
    assert!(body["startedAt"].is_string() && body["completedAt"].is_string());
}

#[tokio::test]
async fn item_2_a_group_names_its_object_type_and_echoes_trace_ids() {
    let api = Api::new().await;
    let inputs = json!({"inputs": [{"id": "1", "properties": {"name": "x"}, "objectWriteTraceId": "row-17"}]});
    let body = api.post("/crm/v3/objects/companies/batch/update", &inputs).await.json();
    assert_eq!(
        body["errors"][0]["context"],
        json!({"ids": ["1"], "objectWriteTraceId": ["row-17"]})
    );
    let message = "Could not get some COMPANY objects, they may be deleted or not exist. Check that ids are valid.";
    assert_eq!(body["errors"][0]["message"], message);
}

#[tokio::test]
async fn item_2_a_batch_without_failures_is_a_200_without_errors() {
    let body = two().await.batch(json!([{"id": ADA, "properties": {"jobtitle": "x"}}, {"id": BOB, "properties": {"jobtitle": "y"}}])).await;
    assert_eq!(body.status, 200);
    assert_eq!((body.json().get("errors"), body.json().get("numErrors")), (None, None));
}

#[tokio::test]
async fn item_2_results_are_not_in_the_order_of_the_inputs() {
    let api = Api::start(Config { hubspot_contacts: 60, ..Config::default() }).await;
    let mut ids: Vec<String> =
        api.simulator.world().hubspot.objects["contacts"].records.keys().cloned().collect();
    ids.sort_unstable();
    let inputs: Vec<Value> =
        ids.iter().map(|id| json!({"id": id, "properties": {"jobtitle": "x"}})).collect();
    let body = api.batch(json!(inputs)).await.json();
    let mut answered: Vec<&str> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect();
    assert_ne!(answered, ids);
    answered.sort_unstable();
    assert_eq!(answered, ids);
}

#[tokio::test]
async fn item_2_answers_hold_default_and_changed_properties_only() {
    let api = two().await;
    let single = api.update(json!({"jobtitle": "Director"})).await;
    assert_eq!(single.status, 200);
    let batch =
        api.batch(json!([{"id": ADA, "properties": {"jobtitle": "Director"}}])).await.json();
    for record in [single.json(), batch["results"][0].clone()] {
        assert_eq!(
            names(&record["properties"]),
            ["createdate", "hs_object_id", "jobtitle", "lastmodifieddate"]
        );
        assert_eq!((record["id"].as_str(), record["archived"].as_bool()), (Some(ADA), Some(false)));
        assert!(record["createdAt"].is_string());
        assert_eq!(record["updatedAt"], record["properties"]["lastmodifieddate"]);
    }
}

#[tokio::test]
async fn item_2_reads_show_empty_properties_as_null_and_leave_out_unknown_ones() {
    let api = two().await;
    let one = api.get(&format!("{PATH}/{ADA}?properties=city,jobtitle,nonsense")).await.json();
    let shown = ["city", "createdate", "hs_object_id", "jobtitle", "lastmodifieddate"];
    assert_eq!(
        (names(&one["properties"]), &one["properties"]["city"], &one["properties"]["jobtitle"]),
        (shown.to_vec(), &json!("London"), &Value::Null)
    );
    let body = json!({"properties": ["city", "nonsense"], "inputs": [{"id": ADA}, {"id": "1"}, {"id": "2"}]});
    let many = api.post(&format!("{PATH}/batch/read"), &body).await;
    assert_eq!((many.status, &many.json()["numErrors"]), (207, &json!(1)));
    let properties = many.json()["results"][0]["properties"].clone();
    assert_eq!(
        (names(&properties), &properties["city"]),
        (vec!["city", "createdate", "hs_object_id", "lastmodifieddate"], &json!("London"))
    );
    assert_eq!(many.json()["errors"][0]["context"]["ids"], json!(["1", "2"]));
}

#[tokio::test]
async fn item_2_batch_reads_take_100_and_with_history_50() {
    let api = two().await;
    let read = async |count: usize, history: bool| {
        let inputs: Vec<Value> = (0..count).map(|n| json!({"id": n.to_string()})).collect();
        let history = if history { json!(["city"]) } else { json!([]) };
        let got = api
            .post(
                &format!("{PATH}/batch/read"),
                &json!({"inputs": inputs, "propertiesWithHistory": history}),
            )
            .await;
        (got.status, got.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(read(100, false).await.0, 207);
    assert_eq!(read(101, false).await.0, 400);
    assert_eq!(read(50, true).await.0, 207);
    let (status, message) = read(51, true).await;
    assert_eq!(status, 400);
    assert!(
        message.starts_with(
            "The maximum number of inputs supported in a batch request for property histories is 50"
        ),
        "{message}"
    );
}

// Item 3.

#[tokio::test]
async fn item_3_single_reads_and_updates_follow_a_merge_and_answer_with_the_new_id() {
    let api = two().await;
    let new = api.simulator.world().hubspot.merge("contacts", ADA, BOB).unwrap();
    for old in [ADA, BOB] {
        let got = api.get(&format!("{PATH}/{old}?properties=hs_merged_object_ids")).await.json();
        assert_eq!(
            (got["id"].as_str(), &got["properties"]["hs_merged_object_ids"]),
            (Some(&*new), &json!(format!("{ADA};{BOB}")))
        );
        let got =
            api.patch(&format!("{PATH}/{old}"), &json!({"properties": {"jobtitle": old}})).await;
        assert_eq!((got.status, got.json()["id"].as_str()), (200, Some(&*new)));
        assert_eq!(api.simulator.world().hubspot.value("contacts", &new, "jobtitle"), Some(old));
    }
}

#[tokio::test]
async fn item_3_a_batch_update_drops_merged_ids_without_an_error() {
    let api = two().await;
    api.simulator.world().hubspot.put("contacts", "7", &json!({}));
    api.simulator.world().hubspot.merge("contacts", ADA, BOB).unwrap();
    let got = api.batch(json!([{"id": ADA, "properties": {"city": "x"}}, {"id": "7", "properties": {"city": "x"}}])).await;
    assert_eq!((got.status, got.json().get("errors")), (200, None));
    let results = got.json()["results"].clone();
    assert_eq!((results.as_array().unwrap().len(), results[0]["id"].as_str()), (1, Some("7")));
    assert_eq!(api.writes(), 1);
}

#[tokio::test]
async fn item_3_a_merge_of_merged_records_keeps_all_old_ids() {
    let api = two().await;
    let new = {
        let mut world = api.simulator.world();
        world.hubspot.put("contacts", "7", &json!({}));
        world.hubspot.put("contacts", "8", &json!({}));
        let first = world.hubspot.merge("contacts", ADA, BOB).unwrap();
        let second = world.hubspot.merge("contacts", "7", "8").unwrap();
        world.hubspot.merge("contacts", &first, &second).unwrap()
    };
    for old in [ADA, BOB, "7", "8"] {
        assert_eq!(api.get(&format!("{PATH}/{old}")).await.json()["id"], *new);
    }
    let merged = api.get(&format!("{PATH}/{new}?properties=hs_merged_object_ids")).await.json();
    let mut all: Vec<&str> =
        merged["properties"]["hs_merged_object_ids"].as_str().unwrap().split(';').collect();
    all.retain(|id| [ADA, BOB, "7", "8"].contains(id));
    assert_eq!(all.len(), 4, "{merged}");
}

#[tokio::test]
async fn item_3_archived_records_are_seen_only_on_request_and_not_updated() {
    let api = two().await;
    api.simulator.world().hubspot.archive("contacts", ADA);
    assert_eq!(api.get(&format!("{PATH}/{ADA}")).await.status, 404);
    let seen = api.get(&format!("{PATH}/{ADA}?archived=true")).await;
    assert_eq!((seen.status, &seen.json()["archived"]), (200, &json!(true)));
    let got = api.update(json!({"city": "x"})).await;
    assert_eq!((got.status, got.json()["message"].as_str()), (404, Some("resource not found")));
}

// Item 4.

#[tokio::test]
async fn item_4_values_are_strings_only() {
    let api = two().await;
    for value in [json!(1), json!(true), json!(null), json!(["a"]), json!({"a": "b"})] {
        let got = api.update(json!({"jobtitle": value})).await;
        assert_eq!(
            (got.status, got.json()["category"].as_str()),
            (400, Some("VALIDATION_ERROR")),
            "{value}"
        );
    }
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_4_each_type_checks_its_values() {
    let api = two().await;
    let midnight = "1789776000000";
    for (property, good, stored, bad, code, message) in [
        (
            "annualrevenue",
            "-1234.50",
            "-1234.50",
            "1,234",
            "INVALID_LONG",
            "1,234 was not a valid long.",
        ),
        ("annualrevenue", "0", "0", "NaN", "INVALID_LONG", "NaN was not a valid long."),
        ("annualrevenue", ".5", ".5", "1e3", "INVALID_LONG", "1e3 was not a valid long."),
        ("annualrevenue", "7", "7", " 7", "INVALID_LONG", " 7 was not a valid long."),
        ("birthday", "2026-09-19", "2026-09-19", "2026-9-19", "INVALID_DATE", ""),
        ("birthday", midnight, "2026-09-19", "1789776001000", "INVALID_DATE", ""),
        ("birthday", "2024-02-29", "2024-02-29", "2023-02-29", "INVALID_DATE", ""),
        (
            "last_meeting",
            "2026-09-19T10:00:00+02:00",
            "2026-09-19T08:00:00.000Z",
            "2026-09-19T10:00:00",
            "INVALID_DATE",
            "",
        ),
        (
            "last_meeting",
            "1789776000001",
            "2026-09-19T00:00:00.001Z",
            "tomorrow",
            "INVALID_DATE",
            "",
        ),
        (
            "newsletter",
            "true",
            "true",
            "Yes",
            "INVALID_OPTION",
            r#"Yes was not one of the allowed options: [label: "Yes" value: "true", label: "No" value: "false"]"#,
        ),
        ("newsletter", "false", "false", "TRUE", "INVALID_OPTION", ""),
        ("hs_lead_status", "IN_PROGRESS", "IN_PROGRESS", "In progress", "INVALID_OPTION", ""),
        (
            "email",
            "Ada@Example.com",
            "ada@example.com",
            "ada",
            "INVALID_EMAIL",
            "Email address ada is invalid",
        ),
    ] {
        let got = api.update(json!({property: good})).await;
        assert_eq!(
            (got.status, api.stored(property).as_deref()),
            (200, Some(stored)),
            "{property} {good}: {}",
            got.text
        );
        let got = api.update(json!({property: bad})).await;
        let body = got.json();
        assert_eq!(
            (got.status, body["errors"][0]["code"].as_str()),
            (400, Some(code)),
            "{property} {bad}"
        );
        assert!(body["errors"][0]["message"].as_str().unwrap().contains(message), "{body}");
        assert_eq!(api.stored(property).as_deref(), Some(stored));
    }
}

#[tokio::test]
async fn item_4_options_are_replaced_and_with_a_leading_semicolon_added_to() {
    let api = two().await;
    for (sent, stored) in [
        ("red", "red"),
        (";blue", "red;blue"),
        (";blue;green", "red;blue;green"),
        ("green;red", "green;red"),
    ] {
        assert_eq!(api.update(json!({"favourite_colour": sent})).await.status, 200);
        assert_eq!(api.stored("favourite_colour").as_deref(), Some(stored));
    }
    let allowed = r#"[label: "Red" value: "red", label: "Blue" value: "blue", label: "Green" value: "green"]"#;
    for bad in ["red;pink", ";pink"] {
        let got = api.update(json!({"favourite_colour": bad})).await;
        got.invalid(
            "INVALID_OPTION",
            &format!("pink was not one of the allowed options: {allowed}"),
        );
    }
}

#[tokio::test]
async fn item_4_options_that_come_from_elsewhere_are_not_checked() {
    assert_eq!(two().await.update(json!({"hubspot_owner_id": "4711"})).await.status, 200);
}

#[tokio::test]
async fn item_4_read_only_and_calculated_properties_cannot_be_set() {
    let api = two().await;
    let got = api.update(json!({"hs_object_id": "1"})).await;
    got.invalid(
        "READ_ONLY_VALUE",
        "\"hs_object_id\" is a read only property; its value cannot be set.",
    );
    let got = api.update(json!({"days_to_close": "1"})).await;
    got.invalid(
        "READ_ONLY_VALUE",
        "\"days_to_close\" is a calculated property; its value cannot be set.",
    );
}

#[tokio::test]
async fn item_4_the_definitions_say_what_can_be_written() {
    let api = two().await;
    let list = api.get("/crm/v3/properties/contacts").await.json();
    let find = |name: &str| {
        list["results"]
            .as_array()
            .unwrap()
            .iter()
            .find(|property| property["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(find("hs_object_id")["modificationMetadata"]["readOnlyValue"], true);
    assert_eq!(find("city")["modificationMetadata"]["readOnlyValue"], false);
    assert_eq!(find("days_to_close")["calculated"], true);
    assert_eq!(find("hubspot_owner_id")["externalOptions"], true);
    // A custom property: its metadata may be absent (A8).
    let colour = find("favourite_colour");
    assert_eq!(
        (&colour["type"], &colour["fieldType"], colour.get("modificationMetadata")),
        (&json!("enumeration"), &json!("checkbox"), None)
    );
    assert_eq!(
        colour["options"][1],
        json!({"label": "Blue", "value": "blue", "displayOrder": 1, "hidden": false})
    );
    assert_eq!(api.get("/crm/properties/2026-03/contacts").await.json(), list);
    assert_eq!(api.get("/crm/v3/properties/contacts/city").await.json(), find("city"));
}

#[tokio::test]
async fn item_4_an_empty_text_clears() {
    let api = two().await;
    let got = api.update(json!({"city": ""})).await;
    assert_eq!((got.status, api.stored("city")), (200, None));
    assert_eq!(
        api.get(&format!("{PATH}/{ADA}?properties=city")).await.json()["properties"]["city"],
        Value::Null
    );
}

#[tokio::test]
async fn item_4_texts_end_at_65536_characters() {
    let api = two().await;
    assert_eq!(api.update(json!({"jobtitle": "ü".repeat(65_536)})).await.status, 200);
    assert_eq!(api.update(json!({"jobtitle": "x".repeat(65_537)})).await.status, 400);
}

#[tokio::test]
async fn item_4_unique_values_stay_unique() {
    let api = two().await;
    api.simulator.world().hubspot.put("contacts", BOB, &json!({"customer_number": "C-1"}));
    assert_eq!(
        api.update(json!({"customer_number": "C-1"})).await.json()["errors"][0]["code"],
        "CONFLICTING_UNIQUE_VALUE"
    );
    assert_eq!(api.update(json!({"customer_number": "C-2"})).await.status, 200);
}

#[tokio::test]
async fn item_4_a_stage_moves_back_only_when_it_is_cleared_first() {
    let api = with(Switches::default()).await;
    assert_eq!(api.update(json!({"lifecyclestage": "lead"})).await.status, 400);
    assert_eq!(api.update(json!({"lifecyclestage": ""})).await.status, 200);
    assert_eq!(api.update(json!({"lifecyclestage": "lead"})).await.status, 200);
    assert_eq!(api.stored("lifecyclestage").as_deref(), Some("lead"));
}

#[tokio::test]
async fn item_4_a_stage_that_moves_back_is_ignored_by_switch() {
    let api = with(Switches { hubspot_backwards_is_error: false, ..Switches::default() }).await;
    assert_eq!(api.update(json!({"lifecyclestage": "lead"})).await.status, 200);
    assert_eq!(api.stored("lifecyclestage").as_deref(), Some("customer"));
}

// Item 5.

/// The modified date after an update, when it was long ago before.
async fn modified_after(api: &Api, object: &str, properties: Value) -> Value {
    let name = if object == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" };
    {
        let mut world = api.simulator.world();
        let record = world.hubspot.objects.get_mut(object).unwrap().records.get_mut(ADA).unwrap();
        record.updated = 0;
        record.properties.insert(name.to_owned(), "1970-01-01T00:00:00.000Z".to_owned());
    }
    let got = api
        .patch(&format!("/crm/v3/objects/{object}/{ADA}"), &json!({"properties": properties}))
        .await
        .json();
    assert_eq!(got["updatedAt"], got["properties"][name]);
    got["updatedAt"].clone()
}

#[tokio::test]
async fn item_5_the_modified_date_moves_only_when_a_value_changes() {
    let api = two().await;
    api.simulator.world().hubspot.put("companies", ADA, &json!({"city": "London"}));
    for object in ["contacts", "companies"] {
        assert_eq!(
            modified_after(&api, object, json!({"city": "London"})).await,
            "1970-01-01T00:00:00.000Z"
        );
        assert_ne!(
            modified_after(&api, object, json!({"city": "Paris"})).await,
            "1970-01-01T00:00:00.000Z"
        );
    }
}

#[tokio::test]
async fn item_5_the_modified_date_moves_always_by_switch() {
    let api = with(Switches { hubspot_unchanged_keeps_date: false, ..Switches::default() }).await;
    assert_ne!(
        modified_after(&api, "contacts", json!({"firstname": "Ada"})).await,
        "1970-01-01T00:00:00.000Z"
    );
}

#[tokio::test]
async fn item_5_history_tells_value_time_and_source_of_each_change() {
    let api = two().await;
    api.update(json!({"city": "Paris"})).await;
    api.update(json!({"city": "Paris"})).await;
    api.simulator.world().hubspot.edit("contacts", ADA, "city", "Rome");
    let single = api.get(&format!("{PATH}/{ADA}?propertiesWithHistory=city")).await.json();
    let batch = api
        .post(
            &format!("{PATH}/batch/read"),
            &json!({"propertiesWithHistory": ["city"], "inputs": [{"id": ADA}]}),
        )
        .await
        .json();
    assert_eq!(single["propertiesWithHistory"], batch["results"][0]["propertiesWithHistory"]);
    let history = single["propertiesWithHistory"]["city"].as_array().unwrap().clone();
    let told: Vec<_> = history
        .iter()
        .map(|entry| (entry["value"].as_str().unwrap(), entry["sourceType"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("Rome", "CRM_UI"), ("Paris", "INTEGRATION"), ("London", "CRM_UI")]);
    assert_ne!(history[0]["sourceId"], history[1]["sourceId"]);
    assert!(history.iter().all(|entry| entry["timestamp"].as_str().unwrap().ends_with('Z')));
}

#[tokio::test]
async fn dated_paths_and_type_ids_lead_to_the_same_records() {
    let api = two().await;
    for path in ["/crm/v3/objects/0-1", "/crm/objects/2026-03/contacts", "/crm/objects/2026-09/0-1"]
    {
        assert_eq!(
            api.get(&format!("{path}/{ADA}?properties=city")).await.json()["properties"]["city"],
            "London"
        );
    }
    for (_, id) in [("leads", "0-136"), ("line_items", "0-8"), ("deals", "0-3")] {
        assert_eq!(api.get(&format!("/crm/v3/properties/{id}")).await.status, 200);
    }
}
