//! Salesforce's rows and collections: checklist items 8 to 12.

use super::{Api, COLLECTIONS, contact, row_path};
use crm_simulator::{Config, Switches, record_id};
use http::Method;
use serde_json::{Value, json};

const ROLLED_BACK: &str = "Record rolled back because not all records were valid and the request was using AllOrNone header";

fn typed(id: &str, fields: Value) -> Value {
    let mut record = json!({"attributes": {"type": "Contact"}, "id": id});
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

/// `count` contacts.
async fn many(count: u64, switches: Switches) -> Api {
    let api = Api::start(Config { switches, ..Config::default() }).await;
    for n in 0..count {
        api.simulator.world().salesforce.put(
            "Contact",
            &contact(n),
            &json!({"LastName": format!("Person {n}")}),
        );
    }
    api
}

fn codes(body: &Value) -> Vec<&str> {
    body.as_array()
        .unwrap()
        .iter()
        .map(|item| item["errors"][0]["statusCode"].as_str().unwrap_or("ok"))
        .collect()
}

// Item 8.

#[tokio::test]
async fn item_8_an_updated_row_answers_204_without_a_body() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    let got = api.row(json!({"Title": "Director", "DoNotCall": true})).await;
    assert_eq!((got.status, got.text.as_str()), (204, ""));
    assert_eq!(
        (api.field("Title"), api.field("DoNotCall")),
        (Some(json!("Director")), Some(json!(true)))
    );
    assert_eq!(api.row(json!({"Title": null})).await.status, 204);
    assert_eq!(api.field("Title"), None);
}

#[tokio::test]
async fn item_8_ids_of_15_and_18_characters_are_the_same_record() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    let (long, short) = (contact(0), contact(0)[..15].to_owned());
    for (n, id) in [&long, &short].into_iter().enumerate() {
        assert_eq!(
            api.patch(&row_path(id), &json!({"Title": format!("row {n}")})).await.status,
            204
        );
        assert_eq!(api.field("Title"), Some(json!(format!("row {n}"))));
        let body = api
            .collection(json!([typed(id, json!({"Title": format!("together {n}")}))]))
            .await
            .json();
        assert_eq!(body, json!([{"id": long, "success": true, "errors": []}]));
        assert_eq!(api.field("Title"), Some(json!(format!("together {n}"))));
        assert_eq!(api.get(&row_path(id)).await.json()["Id"], *long);
        let read = api.get(&format!("{COLLECTIONS}/Contact?ids={id}&fields=Title")).await.json();
        assert_eq!(
            (&read[0]["Id"], &read[0]["Title"]),
            (&json!(long), &json!(format!("together {n}")))
        );
    }
}

#[tokio::test]
async fn item_8_an_id_whose_checksum_does_not_fit_its_case_is_refused() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    let wrong = format!("{}BAA", &contact(0)[..15]);
    assert_ne!(wrong, contact(0));
    let got = api.patch(&row_path(&wrong), &json!({"Title": "x"})).await;
    assert_eq!((got.status, &got.json()[0]["errorCode"]), (400, &json!("MALFORMED_ID")));
    assert_eq!(
        codes(&api.collection(json!([typed(&wrong, json!({"Title": "x"}))])).await.json()),
        ["MALFORMED_ID"]
    );
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_8_an_id_in_the_body_of_a_row_is_refused() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    for name in ["Id", "id"] {
        let got = api.row(json!({name: contact(0), "Title": "x"})).await;
        got.refused(
            400,
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
        );
    }
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_8_collections_demand_a_type_for_the_call_and_an_id_per_record() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    let got = api.collection(json!([{"id": contact(0), "Title": "x"}])).await;
    assert_eq!((got.status, got.json()[0]["errorCode"].is_string()), (400, true));
    let body = api.collection(json!([{"attributes": {"type": "Contact"}, "Title": "x"}, typed(&contact(0), json!({"Title": "y"}))])).await;
    let missing = json!({"statusCode": "MISSING_ARGUMENT", "message": "Id not specified in an update call", "fields": []});
    assert_eq!(
        (body.status, body.json()),
        (
            200,
            json!([{"success": false, "errors": [missing]}, {"id": contact(0), "success": true, "errors": []}])
        )
    );
    assert_eq!(api.writes(), 1);
}

#[tokio::test]
async fn item_8_rows_that_are_not_there_are_404() {
    let api = Api::new().await;
    api.row(json!({"Title": "x"})).await.refused(
        404,
        "INVALID_CROSS_REFERENCE_KEY",
        "invalid cross reference id",
    );
    let got = api.get(&row_path(&contact(0))).await;
    got.refused(404, "NOT_FOUND", "The requested resource does not exist");
    let got = api.patch(&row_path("ada"), &json!({"Title": "x"})).await;
    got.refused(
        404,
        "NOT_FOUND",
        "Provided external ID field does not exist or is not accessible: ada",
    );
    let got =
        api.patch("/services/data/v67.0/sobjects/Butterfly/001", &json!({"Title": "x"})).await;
    assert_eq!((got.status, &got.json()[0]["errorCode"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn item_8_malformed_requests_are_refused_as_such() {
    let api = Api::salesforce(json!({"LastName": "Lovelace"})).await;
    let json = [("content-type", "application/json")];
    let got =
        api.send(Method::PATCH, &row_path(&contact(0)), &json, "{\"Title\": }").await.unwrap();
    assert_eq!((got.status, &got.json()[0]["errorCode"]), (400, &json!("JSON_PARSER_ERROR")));
    assert!(got.text.contains("[line:1, column:11]"), "{}", got.text);
    let got = api
        .send(Method::PATCH, &row_path(&contact(0)), &[("content-type", "text/plain")], "{}")
        .await
        .unwrap();
    assert_eq!(got.status, 415);
    let got = api.get(&format!("{COLLECTIONS}/Contact?fields=Id&ids={}", "x".repeat(16_384))).await;
    assert_eq!(got.status, 414);
    assert_eq!(api.get("/services/data/v30.0/limits").await.status, 410);
}

// Item 9.

#[tokio::test]
async fn item_9_collections_answer_200_in_order_without_an_id_on_failures() {
    let api = many(3, Switches::default()).await;
    api.simulator.world().salesforce.delete("Contact", &contact(1));
    let records = json!([
        typed(&contact(2), json!({"Title": "a"})),
        typed(&contact(1), json!({"Title": "b"})),
        typed(&contact(0), json!({"Titel": "c"})),
        typed(&contact(0), json!({"Title": "d"})),
        typed(&record_id("001", 0), json!({"Title": "e"})),
        typed(&contact(9), json!({"Title": "f"})),
    ]);
    let got = api.collection(records).await;
    let failed = |code: &str, message: &str, fields: Value| json!({"success": false, "errors": [{"statusCode": code, "message": message, "fields": fields}]});
    let wrong = format!("Contact ID: id value of incorrect type: {}", record_id("001", 0));
    let expected = json!([
        {"id": contact(2), "success": true, "errors": []}, failed("ENTITY_IS_DELETED", "entity is deleted", json!([])),
        failed("INVALID_FIELD", "No such column 'Titel' on sobject of type Contact", json!([])),
        {"id": contact(0), "success": true, "errors": []}, failed("MALFORMED_ID", &wrong, json!(["Id"])),
        failed("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", json!([])),
    ]);
    assert_eq!((got.status, got.json()), (200, expected));
    assert_eq!(api.writes(), 2);
}

#[tokio::test]
async fn item_9_200_records_are_taken_and_201_refused() {
    let api = many(201, Switches::default()).await;
    let records = |count: u64| -> Value {
        (0..count).map(|n| typed(&contact(n), json!({"Title": "x"}))).collect()
    };
    let message = "record limit reached. cannot submit more than 200 records into this call";
    api.collection(records(201)).await.refused(400, "EXCEEDED_ID_LIMIT", message);
    assert_eq!(api.writes(), 0);
    let body = api.collection(records(200)).await.json();
    assert!(
        body.as_array()
            .unwrap()
            .iter()
            .enumerate()
            .all(|(n, item)| item["id"] == contact(n as u64))
    );
    api.collection(json!([])).await.refused(
        400,
        "REQUIRED_FIELD_MISSING",
        "At least 1 record is required",
    );
}

#[tokio::test]
async fn item_9_more_than_10_chunks_are_refused() {
    let api = many(1, Switches::default()).await;
    let kinds = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"attributes": {"type": if n % 2 == 0 { "Contact" } else { "Lead" }}, "id": contact(0), "Title": "x"}))
            .collect()
    };
    assert_eq!(api.collection(kinds(11)).await.status, 400);
    assert_eq!(api.writes(), 0);
    assert_eq!(api.collection(kinds(10)).await.status, 200);
}

#[tokio::test]
async fn item_9_all_or_none_rolls_the_good_records_back() {
    let api = many(2, Switches::default()).await;
    let records = json!([
        typed(&contact(0), json!({"Title": "x"})),
        typed(&contact(1), json!({"Titel": "x"}))
    ]);
    let got = api.patch(COLLECTIONS, &json!({"allOrNone": true, "records": records})).await;
    let body = got.json();
    assert_eq!(
        (got.status, codes(&body)),
        (200, vec!["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_FIELD"])
    );
    assert_eq!(
        (&body[0]["errors"][0]["message"], body[0].get("id"), &body[0]["success"]),
        (&json!(ROLLED_BACK), None, &json!(false))
    );
    assert_eq!((api.writes(), api.field("Title")), (0, None));
}

#[tokio::test]
async fn item_9_the_thirteenth_update_of_one_record_is_refused() {
    let api = many(1, Switches::default()).await;
    let (long, short) = (contact(0), contact(0)[..15].to_owned());
    let records: Value = (0..13)
        .map(|n| typed(if n % 2 == 0 { &short } else { &long }, json!({"Title": n.to_string()})))
        .collect();
    let body = api.collection(records).await.json();
    assert_eq!(codes(&body)[11..], ["ok", "DUPLICATE_VALUE"]);
    let message = body[12]["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "Maximum number of duplicate updates in one batch (12 allowed). Attempt to update Id"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn item_9_a_value_that_cannot_be_parsed_refuses_the_call_or_by_switch_its_record() {
    for refuses_all in [true, false] {
        let api = many(
            2,
            Switches { salesforce_parse_error_refuses_all: refuses_all, ..Switches::default() },
        )
        .await;
        let records = json!([
            typed(&contact(0), json!({"Title": "x"})),
            typed(&contact(1), json!({"LastMeeting__c": "soon"}))
        ]);
        let got = api.collection(records).await;
        let text = if refuses_all {
            got.json()[0]["message"].clone()
        } else {
            got.json()[1]["errors"][0]["message"].clone()
        };
        assert!(
            text.as_str()
                .unwrap()
                .starts_with("Cannot deserialize instance of datetime from VALUE_STRING value"),
            "{text}"
        );
        assert_eq!((got.status, api.writes()), if refuses_all { (400, 0) } else { (200, 1) });
    }
}

#[tokio::test]
async fn item_9_collection_reads_keep_order_with_null_for_what_is_not_there() {
    let api = many(3, Switches::default()).await;
    api.simulator.world().salesforce.delete("Contact", &contact(1));
    let wanted = json!({"ids": [contact(2), contact(1), "nonsense", contact(7), contact(0)], "fields": ["LastName"]});
    let body = api.post(&format!("{COLLECTIONS}/Contact"), &wanted).await.json();
    assert_eq!(
        (&body[0]["LastName"], &body[4]["LastName"]),
        (&json!("Person 2"), &json!("Person 0"))
    );
    assert_eq!(body[0]["attributes"]["type"], "Contact");
    assert_eq!(body.as_array().unwrap()[1..4], [Value::Null, Value::Null, Value::Null]);
    for field in ["Titel", "Secret__c"] {
        let got =
            api.get(&format!("{COLLECTIONS}/Contact?ids={}&fields={field}", contact(0))).await;
        got.refused(
            400,
            "INVALID_FIELD",
            &format!("No such column '{field}' on sobject of type Contact"),
        );
    }
    let ids: Vec<String> = (0..2_001).map(contact).collect();
    assert_eq!(
        api.post(&format!("{COLLECTIONS}/Contact"), &json!({"ids": ids, "fields": ["Id"]}))
            .await
            .status,
        400
    );
    assert_eq!(
        api.post(
            &format!("{COLLECTIONS}/Contact"),
            &json!({"ids": ids[..2_000], "fields": ["Id"]})
        )
        .await
        .status,
        200
    );
}
