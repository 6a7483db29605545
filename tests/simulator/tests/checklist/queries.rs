//! Salesforce's queries and what there is to ask for, which its clients read with. No item of the
//! checklist asks for them.

use super::{Api, contact};
use crm_simulator::{Config, record_id};
use serde_json::{Value, json};
use std::{collections::HashSet, fmt::Write};

const DATA: &str = "/services/data/v67.0";

async fn many(count: usize) -> Api {
    Api::start(Config { salesforce_contacts: count, ..Config::default() }).await
}

/// Ada, Bob and Cem.
async fn three() -> Api {
    let api = Api::new().await;
    let contacts = [
        json!({"LastName": "Ada", "Title": "Director", "Discount__c": 9.5, "Birthdate": "1815-12-10", "DoNotCall": true}),
        json!({"LastName": "Bob", "Title": "Head of 100% Sales", "Discount__c": 10, "LastMeeting__c": "2026-10-02T08:15:30.000+0000"}),
        json!({"LastName": "Cem", "Email": "o'neil@example.com", "AccountId": record_id("001", 1)}),
    ];
    for (n, fields) in (0..).zip(&contacts) {
        api.simulator.world().salesforce.put("Contact", &contact(n), fields);
    }
    api
}

/// Percent-encoded, all of it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").unwrap();
        all
    })
}

async fn query(api: &Api, soql: &str) -> super::Got {
    api.get(&format!("{DATA}/query?q={}", encoded(soql))).await
}

/// Last names of those that a condition finds, in order.
async fn found(api: &Api, condition: &str) -> Vec<String> {
    let got =
        query(api, &format!("SELECT LastName FROM Contact WHERE {condition} ORDER BY LastName"))
            .await;
    assert_eq!(got.status, 200, "{condition}: {}", got.text);
    last_names(&got.json())
}

fn last_names(body: &Value) -> Vec<String> {
    body["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["LastName"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_query_answers_with_its_records_their_type_and_their_url() {
    let api = three().await;
    let got = query(&api, "select id, lastname, Title from contact where LastName = 'Cem'").await;
    // Names are as they are defined, whatever their letter case in the query.
    let record = json!({
        "attributes": {"type": "Contact", "url": format!("{DATA}/sobjects/Contact/{}", contact(2))},
        "Id": contact(2), "LastName": "Cem", "Title": null,
    });
    assert_eq!(
        (got.status, got.json()),
        (200, json!({"totalSize": 1, "done": true, "records": [record]}))
    );
    assert!(got.header("sforce-limit-info").is_some());
    let none = query(&api, "SELECT Id FROM Lead").await;
    assert_eq!(none.json(), json!({"totalSize": 0, "done": true, "records": []}));
}

#[tokio::test]
async fn conditions_find_what_they_say() {
    let api = three().await;
    let short = &contact(1)[..15];
    for (condition, wanted) in [
        ("LastName = 'ADA'", vec!["Ada"]),
        ("LastName != 'Ada'", vec!["Bob", "Cem"]),
        ("LastName <> 'Ada'", vec!["Bob", "Cem"]),
        // Those without a value have another one.
        ("Title != 'Director'", vec!["Bob", "Cem"]),
        ("Title = null", vec!["Cem"]),
        ("Title != NULL", vec!["Ada", "Bob"]),
        ("LastName IN ('ada', 'Cem')", vec!["Ada", "Cem"]),
        ("LastName NOT IN ('ada')", vec!["Bob", "Cem"]),
        ("Title LIKE 'dir%'", vec!["Ada"]),
        ("LastName LIKE '_em'", vec!["Cem"]),
        ("Title LIKE '%100\\%%'", vec!["Bob"]),
        ("Title LIKE '%100\\%'", vec![]),
        ("Email = 'o\\'neil@example.com'", vec!["Cem"]),
        ("Discount__c > 9.5", vec!["Bob"]),
        ("Discount__c >= 9.5", vec!["Ada", "Bob"]),
        ("Discount__c < 10", vec!["Ada"]),
        ("Discount__c <= 10", vec!["Ada", "Bob"]),
        ("Birthdate < 1900-01-01", vec!["Ada"]),
        ("LastMeeting__c >= 2026-10-02T08:15:30Z", vec!["Bob"]),
        ("LastMeeting__c > 2026-10-02T10:15:30+02:00", vec![]),
        ("DoNotCall = true", vec!["Ada"]),
        ("DoNotCall = FALSE", vec!["Bob", "Cem"]),
        ("LastName = 'Ada' OR LastName = 'Bob' OR LastName = 'x'", vec!["Ada", "Bob"]),
        ("LastName > 'a' AND (Title = 'Director' OR Email != null)", vec!["Ada", "Cem"]),
        ("NOT LastName = 'Ada'", vec!["Bob", "Cem"]),
        ("NOT (LastName = 'Ada' OR LastName = 'Bob')", vec!["Cem"]),
    ] {
        assert_eq!(found(&api, condition).await, wanted, "{condition}");
    }
    assert_eq!(found(&api, &format!("Id = '{short}'")).await, ["Bob"]);
    assert_eq!(
        found(&api, &format!("AccountId IN ('{}')", &record_id("001", 1)[..15])).await,
        ["Cem"]
    );
}

#[tokio::test]
async fn records_come_in_the_order_asked_for_nulls_first_and_within_limits() {
    let api = three().await;
    let all = "SELECT LastName FROM Contact ORDER BY";
    for (rest, wanted) in [
        ("Discount__c", vec!["Cem", "Ada", "Bob"]),
        ("Discount__c DESC", vec!["Cem", "Bob", "Ada"]),
        ("Discount__c DESC NULLS LAST", vec!["Bob", "Ada", "Cem"]),
        ("DoNotCall, LastName DESC", vec!["Cem", "Bob", "Ada"]),
        ("LastName ASC LIMIT 1 OFFSET 1", vec!["Bob"]),
        ("LastName OFFSET 3", vec![]),
    ] {
        let body = query(&api, &format!("{all} {rest}")).await.json();
        assert_eq!(
            (last_names(&body), body["totalSize"].as_u64()),
            (wanted.iter().map(|name| (*name).to_owned()).collect(), Some(wanted.len() as u64))
        );
    }
    let count = query(&api, "SELECT COUNT() FROM Contact WHERE Discount__c != null").await;
    assert_eq!(count.json(), json!({"totalSize": 2, "done": true, "records": []}));
}

#[tokio::test]
async fn what_is_in_the_recycle_bin_is_found_by_query_all_only() {
    let api = three().await;
    api.simulator.world().salesforce.merge("Contact", &contact(1), &contact(0));
    let soql = "SELECT Id, IsDeleted, MasterRecordId FROM Contact WHERE LastName = 'Ada'";
    assert_eq!(query(&api, soql).await.json()["totalSize"], 0);
    let found =
        api.get(&format!("{DATA}/queryAll?q={}", encoded(soql))).await.json()["records"][0].clone();
    assert_eq!((&found["IsDeleted"], &found["MasterRecordId"]), (&json!(true), &json!(contact(1))));
}

#[tokio::test]
async fn a_query_comes_in_batches_of_2000_or_of_a_size_asked_for() {
    let api = many(2_100).await;
    let first = query(&api, "SELECT Id FROM Contact").await.json();
    assert_eq!((&first["totalSize"], &first["done"]), (&json!(2_100), &json!(false)));
    assert_eq!(first["records"].as_array().unwrap().len(), 2_000);
    let next = first["nextRecordsUrl"].as_str().unwrap();
    assert!(
        next.starts_with("/services/data/v67.0/query/01g") && next.ends_with("-2000"),
        "{next}"
    );
    let last = api.get(next).await.json();
    assert_eq!(
        (&last["totalSize"], &last["done"], last.get("nextRecordsUrl")),
        (&json!(2_100), &json!(true), None)
    );
    let both = [&first, &last].map(|body| body["records"].as_array().unwrap().clone()).concat();
    let ids: HashSet<&str> = both.iter().map(|record| record["Id"].as_str().unwrap()).collect();
    assert_eq!((both.len(), ids.len()), (2_100, 2_100));
    let path = format!("{DATA}/query?q={}", encoded("SELECT Id FROM Contact"));
    for (options, size) in [("batchSize=500", 500), ("batchSize=1", 200)] {
        let got = api
            .send(http::Method::GET, &path, &[("sforce-query-options", options)], "")
            .await
            .unwrap();
        assert_eq!(got.json()["records"].as_array().unwrap().len(), size);
    }
}

#[tokio::test]
async fn an_eleventh_open_query_closes_the_first() {
    let api = many(2_001).await;
    let mut next = Vec::new();
    for _ in 0..11 {
        next.push(
            query(&api, "SELECT Id FROM Contact").await.json()["nextRecordsUrl"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    api.get(&next[0]).await.refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    assert_eq!(api.get(&next[1]).await.json()["records"].as_array().unwrap().len(), 1);
    for locator in ["01g5t000000zzzzAAA-2000", "nonsense"] {
        api.get(&format!("{DATA}/query/{locator}")).await.refused(
            400,
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        );
    }
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_where_it_is_wrong() {
    let api = three().await;
    for (soql, token, column) in [
        ("SELECT FROM Contact", "FROM", 8),
        ("SELEKT Id FROM Contact", "SELEKT", 1),
        ("SELECT Id FROM Contact WHERE Title IS NULL", "IS", 36),
        ("SELECT Id FROM Contact WHERE Id = '1' AND Id = '2' OR Id = '3'", "OR", 52),
        ("SELECT Id FROM Contact WHERE LastName = x", "x", 41),
        ("SELECT Id FROM Contact LIMIT ten", "ten", 30),
        ("SELECT Id, FROM Contact", "FROM", 12),
        ("SELECT Id FROM Contact GROUP BY Id", "GROUP", 24),
        ("SELECT Id FROM", "<EOF>", 15),
    ] {
        let caret = " ".repeat(column - 1);
        let message = format!(
            "\n{soql}\n{caret}^\nERROR at Row:1:Column:{column}\nunexpected token: '{token}'"
        );
        query(&api, soql).await.refused(400, "MALFORMED_QUERY", &message);
    }
    assert_eq!(
        query(&api, "SELECT Id FROM Contact WHERE LastName = 'Ada").await.json()[0]["errorCode"],
        "MALFORMED_QUERY"
    );
    assert_eq!(api.get(&format!("{DATA}/query")).await.json()[0]["errorCode"], "MALFORMED_QUERY");
}

#[tokio::test]
async fn names_and_values_that_do_not_fit_are_refused() {
    let api = three().await;
    let long = "Please reference your WSDL or the describe call for the appropriate names.";
    let soql = "SELECT Id,Invalid__x FROM Contact LIMIT 1";
    let message = format!(
        "\n{soql}\n          ^\nERROR at Row:1:Column:11\nNo such column 'Invalid__x' on entity 'Contact'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. {long}"
    );
    query(&api, soql).await.refused(400, "INVALID_FIELD", &message);
    let soql = "SELECT Id FROM Bogus";
    let message = format!(
        "\n{soql}\n               ^\nERROR at Row:1:Column:16\nsObject type 'Bogus' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. {long}"
    );
    query(&api, soql).await.refused(400, "INVALID_TYPE", &message);
    for (condition, code, ends) in [
        (
            "LastName = 3999",
            "INVALID_FIELD",
            "field 'LastName' must be of type string and should be enclosed in quotes",
        ),
        (
            "Discount__c = '9'",
            "INVALID_FIELD",
            "field 'Discount__c' must be of type double and should not be enclosed in quotes",
        ),
        (
            "DoNotCall = 'true'",
            "INVALID_FIELD",
            "field 'DoNotCall' must be of type boolean and should not be enclosed in quotes",
        ),
        (
            "Birthdate > '2026-01-01'",
            "INVALID_FIELD",
            "field 'Birthdate' must be of type date and should not be enclosed in quotes",
        ),
        (
            "LastMeeting__c > 2026-01-01",
            "INVALID_FIELD",
            "field 'LastMeeting__c' must be of type dateTime and should not be enclosed in quotes",
        ),
        ("Discount__c LIKE '9'", "INVALID_FIELD", "invalid operator on double field"),
        (
            "Id = '000003VbP1AAK'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: 000003VbP1AAK",
        ),
        // The user does not see it.
        ("Secret__c = 'x'", "INVALID_FIELD", long),
    ] {
        let body = query(&api, &format!("SELECT Id FROM Contact WHERE {condition}")).await.json();
        assert_eq!(body[0]["errorCode"], code, "{body}");
        assert!(body[0]["message"].as_str().unwrap().ends_with(ends), "{body}");
    }
    query(&api, "SELECT Id, id FROM Contact").await.refused(
        400,
        "INVALID_FIELD",
        "duplicate field selected: Id",
    );
    let far = query(&api, "SELECT Id FROM Contact ORDER BY Id OFFSET 2001").await;
    far.refused(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000");
    for field in ["Invalid__x", "Secret__c"] {
        assert_eq!(
            query(&api, &format!("SELECT Id FROM Contact ORDER BY {field}")).await.json()[0]["errorCode"],
            "INVALID_FIELD"
        );
    }
}

#[tokio::test]
async fn a_query_counts_as_a_call_and_needs_a_session() {
    let mut api = three().await;
    api.simulator.world().config.salesforce_daily = 1;
    assert_eq!(query(&api, "SELECT Id FROM Contact").await.status, 200);
    query(&api, "SELECT Id FROM Contact").await.refused(
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
    );
    api.token = "other".to_owned();
    query(&api, "SELECT Id FROM Contact").await.refused(
        401,
        "INVALID_SESSION_ID",
        "Session expired or invalid",
    );
}

#[tokio::test]
async fn versions_resources_and_objects_can_be_asked_for() {
    let api = three().await;
    let versions =
        api.send(http::Method::GET, "/services/data", &[("authorization", "")], "").await.unwrap();
    assert_eq!((versions.status, &versions.json()[0]["version"]), (200, &json!("67.0")));
    assert_eq!(api.get(&format!("{DATA}/")).await.json()["query"], format!("{DATA}/query"));
    let global = api.get(&format!("{DATA}/sobjects")).await.json();
    assert_eq!((&global["encoding"], &global["maxBatchSize"]), (&json!("UTF-8"), &json!(200)));
    let names: Vec<&str> = global["sobjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Account", "Contact", "Lead", "Opportunity"]);
    let basic = api.get(&format!("{DATA}/sobjects/Contact")).await.json();
    assert_eq!(
        (&basic["objectDescribe"]["keyPrefix"], &basic["recentItems"]),
        (&json!("003"), &json!([]))
    );
    api.get(&format!("{DATA}/sobjects/Bogus")).await.refused(
        404,
        "NOT_FOUND",
        "The requested resource does not exist",
    );
}
