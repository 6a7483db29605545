//! Limits, tokens and rights of both: checklist items 6, 7 and 12.

use super::{ADA, Api, COLLECTIONS, Got, contact, once, row_path};
use crm_simulator::{Config, Fault, Switches, Token};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATH: &str = "/crm/v3/objects/contacts";
const LIMITS: &str = "/services/data/v67.0/limits";

async fn with(config: Config) -> Api {
    let api = Api::start(config).await;
    api.simulator.world().hubspot.put("contacts", ADA, &json!({"city": "London"}));
    api.simulator.world().salesforce.put("Contact", &contact(0), &json!({"LastName": "Lovelace"}));
    api
}

async fn city(api: &Api) -> Got {
    api.get(&format!("{PATH}/{ADA}?properties=city")).await
}

/// Maximum and rest of the window and of the day.
fn budget(got: &Got) -> [u64; 4] {
    ["max", "remaining", "daily", "daily-remaining"].map(|name| {
        got.header(&format!("x-hubspot-ratelimit-{name}"))
            .unwrap_or_else(|| panic!("no {name}: {got:?}"))
            .parse()
            .unwrap()
    })
}

// Item 6.

#[tokio::test]
async fn item_6_every_hubspot_answer_tells_what_is_left() {
    let api = with(Config {
        hubspot_limit: 4,
        hubspot_window_ms: 600_000,
        hubspot_daily: 10,
        ..Config::default()
    })
    .await;
    let got = city(&api).await;
    assert_eq!((got.status, budget(&got)), (200, [4, 3, 10, 9]));
    assert_eq!(got.header("x-hubspot-ratelimit-interval-milliseconds"), Some("600000"));
    let batch = api.batch(json!([{"id": ADA, "properties": {"city": "x"}}, {"id": "1", "properties": {"city": "x"}}])).await;
    assert_eq!((batch.status, budget(&batch)), (207, [4, 2, 10, 8]), "a batch is one request");
    assert_eq!(budget(&api.update(json!({"nonsense": "x"})).await), [4, 1, 10, 7]);
    assert_eq!(budget(&api.get(&format!("{PATH}/1")).await), [4, 0, 10, 6]);
    let refused = city(&api).await;
    assert_eq!((refused.status, budget(&refused)), (429, [4, 0, 10, 6]));
}

#[tokio::test]
async fn item_6_a_full_window_answers_429_without_retry_after() {
    let api =
        with(Config { hubspot_limit: 1, hubspot_window_ms: 600_000, ..Config::default() }).await;
    assert_eq!(city(&api).await.status, 200);
    let got = api.update(json!({"city": "Paris"})).await;
    let expected = json!({
        "status": "error", "message": "You have reached your ten_secondly_rolling limit.", "errorType": "RATE_LIMIT",
        "correlationId": got.header("x-hubspot-correlation-id"), "policyName": "TEN_SECONDLY_ROLLING",
        "groupName": "publicapi:private_app-api-calls-ten-secondly:1111:2222222",
    });
    assert_eq!((got.status, got.json(), got.header("retry-after")), (429, expected, None));
    assert_eq!((api.writes(), api.simulator.world().throttled), (0, 1));
}

#[tokio::test]
async fn item_6_a_429_carries_retry_after_by_switch() {
    let switches = Switches { hubspot_retry_after: true, ..Switches::default() };
    let api = with(Config { hubspot_limit: 0, switches, ..Config::default() }).await;
    assert_eq!((city(&api).await.status, city(&api).await.header("retry-after")), (429, Some("1")));
}

#[tokio::test]
async fn item_6_the_window_empties_with_time() {
    let api = with(Config { hubspot_limit: 1, hubspot_window_ms: 100, ..Config::default() }).await;
    assert_eq!(city(&api).await.status, 200);
    let until = Instant::now() + Duration::from_secs(30);
    while city(&api).await.status == 429 {
        assert!(Instant::now() < until, "it never empties");
    }
}

#[tokio::test]
async fn item_6_the_day_has_its_own_limit_and_text() {
    let api = with(Config { hubspot_daily: 1, ..Config::default() }).await;
    assert_eq!(city(&api).await.status, 200);
    let got = city(&api).await;
    let body = got.json();
    assert_eq!(
        (got.status, &body["message"], &body["policyName"]),
        (429, &json!("You have reached your daily limit."), &json!("DAILY"))
    );
    assert_eq!(
        (&body["errorType"], body.get("groupName")),
        (&json!("RATE_LIMIT"), None),
        "the group is optional"
    );
}

#[tokio::test]
async fn item_6_limits_on_demand() {
    let api = with(Config::default()).await;
    for (fault, policy) in [(Fault::Throttle, "TEN_SECONDLY_ROLLING"), (Fault::DailyLimit, "DAILY")]
    {
        api.fault(once(fault));
        let got = city(&api).await;
        assert_eq!((got.status, &got.json()["policyName"]), (429, &json!(policy)));
        assert_eq!(city(&api).await.status, 200);
    }
}

// Item 7.

#[tokio::test]
async fn item_7_a_missing_or_unknown_token_is_invalid() {
    let mut api = with(Config::default()).await;
    let missing = api
        .send(http::Method::GET, &format!("{PATH}/{ADA}"), &[("authorization", "none")], "")
        .await
        .unwrap();
    api.token = "unknown".to_owned();
    for got in [missing, city(&api).await] {
        let expected = json!({
            "status": "error", "category": "INVALID_AUTHENTICATION", "correlationId": got.header("x-hubspot-correlation-id"),
            "message": "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        });
        assert_eq!((got.status, got.json()), (401, expected));
    }
}

#[tokio::test]
async fn item_7_an_expired_token_says_so() {
    let expired = Token { expired: true, ..Token::new("test-token") };
    let old = with(Config { tokens: vec![expired], ..Config::default() }).await;
    let now = with(Config::default()).await;
    now.fault(once(Fault::ExpiredToken));
    for api in [&old, &now] {
        let got = city(api).await;
        let body = got.json();
        assert_eq!((got.status, &body["category"]), (401, &json!("EXPIRED_AUTHENTICATION")));
        assert_eq!(
            body["message"],
            "The OAuth token used to make this call expired 0 second(s) ago."
        );
        assert_eq!(body["context"]["expire time"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!((city(&old).await.status, city(&now).await.status), (401, 200));
}

#[tokio::test]
async fn item_7_each_call_needs_a_scope_that_fits() {
    for (scopes, city_status, definitions_status, write_status) in [
        (&["crm.objects.contacts.read"][..], 200, 200, 403),
        (&["crm.objects.contacts.write"], 403, 403, 404),
        (&["crm.schemas.contacts.read"], 403, 200, 403),
        (&["crm.objects.companies.read", "crm.objects.companies.write", "tickets"], 403, 403, 403),
        (&[], 403, 403, 403),
    ] {
        let token = Token {
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..Token::new("test-token")
        };
        let api = with(Config { tokens: vec![token], ..Config::default() }).await;
        assert_eq!(city(&api).await.status, city_status, "{scopes:?}");
        let definitions = api.get("/crm/v3/properties/contacts").await;
        assert_eq!(definitions.status, definitions_status, "{scopes:?}");
        if definitions_status == 403 {
            let named = &definitions.json()["errors"][0]["context"]["requiredGranularScopes"];
            assert_eq!(*named, json!(["crm.schemas.contacts.read", "crm.objects.contacts.read"]));
        }
        let written =
            api.patch("/crm/v3/objects/contacts/1", &json!({"properties": {"city": "x"}})).await;
        assert_eq!(written.status, write_status, "{scopes:?}");
    }
}

#[tokio::test]
async fn item_7_missing_scopes_have_two_shapes() {
    for hubspot_old_scope_shape in [false, true] {
        let switches = Switches { hubspot_old_scope_shape, ..Switches::default() };
        let reader = Token { can_write: false, ..Token::new("test-token") };
        let api = with(Config { tokens: vec![reader], switches, ..Config::default() }).await;
        assert_eq!(city(&api).await.status, 200);
        assert_eq!(
            api.post(&format!("{PATH}/batch/read"), &json!({"inputs": [{"id": ADA}]})).await.status,
            200
        );
        for (object, scope) in [
            ("0-1", "crm.objects.contacts.write"),
            ("companies", "crm.objects.companies.write"),
            ("tickets", "tickets"),
        ] {
            let got = api
                .patch(
                    &format!("/crm/v3/objects/{object}/{ADA}"),
                    &json!({"properties": {"city": "x"}}),
                )
                .await;
            let body = got.json();
            assert_eq!((got.status, &body["category"]), (403, &json!("MISSING_SCOPES")));
            assert!(body["message"].as_str().unwrap().starts_with(
                "This app hasn't been granted all required scopes to make this call."
            ));
            let (context, links) = if hubspot_old_scope_shape {
                (&body["context"], &body["context"]["links"][0])
            } else {
                (&body["errors"][0]["context"], &body["links"]["scopes"])
            };
            assert_eq!(
                (&context["requiredGranularScopes"], links.is_string()),
                (&json!([scope]), true)
            );
        }
        assert_eq!(api.writes(), 0);
    }
}

#[tokio::test]
async fn item_7_a_404_has_a_category_only_by_switch() {
    for (hubspot_404_category, category) in
        [(false, None), (true, Some(&json!("OBJECT_NOT_FOUND")))]
    {
        let api = with(Config {
            switches: Switches { hubspot_404_category, ..Switches::default() },
            ..Config::default()
        })
        .await;
        let patch = api.patch(&format!("{PATH}/1"), &json!({"properties": {"city": "x"}})).await;
        for got in [api.get(&format!("{PATH}/1")).await, patch] {
            assert_eq!((got.status, &got.json()["message"]), (404, &json!("resource not found")));
            assert_eq!(got.json().get("category"), category);
        }
    }
}

#[tokio::test]
async fn item_7_an_id_that_is_no_number_is_not_found() {
    let api = with(Config::default()).await;
    let patch = api.patch(&format!("{PATH}/ada"), &json!({"properties": {"city": "x"}})).await;
    for got in [api.get(&format!("{PATH}/ada")).await, patch] {
        let body = got.json();
        assert_eq!(
            (got.status, &body["message"]),
            (404, &json!("Object not found.  objectId are usually numeric."))
        );
        assert_eq!(
            (&body["category"], &body["context"]),
            (&json!("OBJECT_NOT_FOUND"), &json!({"id": ["ada"]}))
        );
    }
}

// Item 12.

#[tokio::test]
async fn item_12_every_salesforce_answer_counts_the_calls_of_the_day() {
    let api = with(Config { salesforce_daily: 4, ..Config::default() }).await;
    let usage = |got: &Got| got.header("sforce-limit-info").map(str::to_owned);
    assert_eq!(usage(&api.get("/services/data/").await), None, "listing versions is free");
    assert_eq!(usage(&api.row(json!({"Title": "x"})).await).as_deref(), Some("api-usage=1/4"));
    let two: Value = (0..2)
        .map(|n| json!({"attributes": {"type": "Contact"}, "id": contact(n), "Title": "x"}))
        .collect();
    assert_eq!(
        usage(&api.collection(two).await).as_deref(),
        Some("api-usage=2/4"),
        "a collection is one call"
    );
    assert_eq!(usage(&api.get(&row_path("nonsense")).await).as_deref(), Some("api-usage=3/4"));
    let limits = api.get(LIMITS).await;
    assert_eq!(limits.json(), json!({"DailyApiRequests": {"Max": 4, "Remaining": 0}}));
    let refused = api.row(json!({"Title": "y"})).await;
    refused.refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    assert_eq!(usage(&refused).as_deref(), Some("api-usage=4/4"));
    assert_eq!((refused.header("retry-after"), api.field("Title")), (None, Some(json!("x"))));
}

#[tokio::test]
async fn item_12_the_daily_and_the_concurrent_limit_differ_in_their_text() {
    let api = with(Config::default()).await;
    let concurrent = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
    for (fault, message) in
        [(Fault::DailyLimit, "TotalRequests Limit exceeded."), (Fault::Throttle, concurrent)]
    {
        api.fault(once(fault.clone()));
        api.get(LIMITS).await.refused(403, "REQUEST_LIMIT_EXCEEDED", message);
        api.fault(once(fault));
        api.collection(json!([])).await.refused(403, "REQUEST_LIMIT_EXCEEDED", message);
    }
    assert_eq!(api.get(LIMITS).await.status, 200);
}

#[tokio::test]
async fn salesforce_sessions_end_with_401() {
    let mut api = with(Config::default()).await;
    api.fault(once(Fault::ExpiredToken));
    api.row(json!({"Title": "x"})).await.refused(
        401,
        "INVALID_SESSION_ID",
        "Session expired or invalid",
    );
    let got = api.send(http::Method::GET, LIMITS, &[("authorization", "none")], "").await.unwrap();
    assert_eq!((got.status, &got.json()[0]["errorCode"]), (401, &json!("INVALID_AUTH_HEADER")));
    api.token = "unknown".to_owned();
    api.get(LIMITS).await.refused(401, "INVALID_SESSION_ID", "Session expired or invalid");
}

#[tokio::test]
async fn a_salesforce_user_without_rights_reads_but_does_not_write() {
    let reader = Token { can_write: false, ..Token::new("test-token") };
    let api = with(Config { tokens: vec![reader], ..Config::default() }).await;
    api.row(json!({"Title": "x"})).await.refused(
        403,
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "insufficient access rights on object id",
    );
    let got = api
        .post(&format!("{COLLECTIONS}/Contact"), &json!({"ids": [contact(0)], "fields": ["Id"]}))
        .await;
    assert_eq!((got.status, api.writes()), (200, 0));
}
