//! Faults of both: checklist items 6 and 14, and the endpoints that switch them.

use super::{ADA, Api, contact, once, row_path};
use crm_simulator::{Fault, Rule};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

/// With a contact in each CRM.
async fn both() -> Api {
    let api = Api::hubspot(json!({"city": "London"})).await;
    api.simulator.world().salesforce.put("Contact", &contact(0), &json!({"MailingCity": "London"}));
    api
}

const HUBSPOT: &str = "/crm/v3/objects/contacts/31200004411";

/// An update to one of the CRMs: path, body, and how to see what is stored.
type Update = (String, Value, fn(&Api) -> String);

/// One for each.
fn updates() -> [Update; 2] {
    let hubspot = |api: &Api| api.stored("city").unwrap();
    let salesforce = |api: &Api| api.field("MailingCity").unwrap().as_str().unwrap().to_owned();
    [
        (HUBSPOT.to_owned(), json!({"properties": {"city": "Paris"}}), hubspot),
        (row_path(&contact(0)), json!({"MailingCity": "Paris"}), salesforce),
    ]
}

async fn try_patch(api: &Api, path: &str, body: &Value) -> anyhow::Result<super::Got> {
    api.send(Method::PATCH, path, &[("content-type", "application/json")], body.to_string()).await
}

// Item 6.

#[tokio::test]
async fn item_6_any_error_status_comes_on_demand_and_applies_nothing() {
    for (path, body, stored) in updates() {
        let api = both().await;
        for status in [423, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526] {
            api.fault(once(Fault::Status(status)));
            let got = api.patch(&path, &body).await;
            assert_eq!((got.status, stored(&api).as_str()), (status, "London"));
            let body = got.json();
            if path == HUBSPOT {
                assert_eq!((&body["status"], body["message"].is_string()), (&json!("error"), true));
            } else {
                // A list, as all its errors (B1).
                let code = if status == 503 { "SERVER_UNAVAILABLE" } else { "UNKNOWN_EXCEPTION" };
                assert_eq!(body[0]["errorCode"], code);
            }
        }
        assert_eq!(
            (api.patch(&path, &body).await.status < 300, stored(&api).as_str()),
            (true, "Paris")
        );
    }
}

#[tokio::test]
async fn item_6_gateways_answer_with_html() {
    for (path, body, stored) in updates() {
        let api = both().await;
        for status in [403, 502, 524] {
            api.fault(once(Fault::Html(status)));
            let got = api.patch(&path, &body).await;
            assert_eq!(
                (got.status, got.header("content-type"), stored(&api).as_str()),
                (status, Some("text/html"), "London")
            );
            assert!(got.text.starts_with("<html>"), "{}", got.text);
        }
    }
}

#[tokio::test]
async fn item_6_a_migration_answers_477_with_retry_after() {
    let api = both().await;
    api.fault(once(Fault::Migration(86_400)));
    let got = api.update(json!({"city": "Paris"})).await;
    assert_eq!((got.status, got.header("retry-after"), api.writes()), (477, Some("86400"), 0));
}

#[tokio::test]
async fn item_6_a_connection_that_drops_before_the_request_applies_nothing() {
    for (path, body, stored) in updates() {
        let api = both().await;
        api.fault(once(Fault::DropBefore));
        assert!(try_patch(&api, &path, &body).await.is_err());
        assert_eq!((stored(&api).as_str(), api.writes()), ("London", 0));
        let logged = api.simulator.world().requests[0].clone();
        assert_eq!((logged.status, logged.answered), (None, false));
    }
}

// Item 14.

#[tokio::test]
async fn item_14_a_request_is_applied_and_its_answer_lost() {
    for (path, body, stored) in updates() {
        for fault in [Fault::DropAfter, Fault::Truncate] {
            let api = both().await;
            api.fault(once(fault.clone()).on(&path));
            let got = try_patch(&api, &path, &body).await;
            // An answer without a body has nothing to cut off.
            let whole = fault == Fault::Truncate && path != HUBSPOT;
            assert_eq!(got.is_ok(), whole, "{fault:?} {path}");
            assert_eq!((stored(&api).as_str(), api.writes()), ("Paris", 1));
            let logged = api.simulator.world().requests[0].clone();
            assert_eq!(
                (logged.status.is_some_and(|status| status < 300), logged.answered),
                (true, false)
            );
            // Writing again and reading back both work afterwards.
            assert!(try_patch(&api, &path, &body).await.is_ok_and(|got| got.status < 300));
            assert_eq!(api.simulator.world().written_twice().len(), 1);
        }
    }
}

#[tokio::test]
async fn item_14_a_batch_is_applied_and_its_answer_lost() {
    let api = both().await;
    api.fault(Rule::next(2, Fault::DropAfter));
    let inputs = json!({"inputs": [{"id": ADA, "properties": {"city": "Paris"}}]}).to_string();
    let headers = [("content-type", "application/json")];
    assert!(
        api.send(Method::POST, "/crm/v3/objects/contacts/batch/update", &headers, inputs)
            .await
            .is_err()
    );
    let records = json!({"records": [{"attributes": {"type": "Contact"}, "id": contact(0), "MailingCity": "Paris"}]});
    assert!(try_patch(&api, super::COLLECTIONS, &records).await.is_err());
    assert_eq!(
        (api.stored("city").as_deref(), api.field("MailingCity")),
        (Some("Paris"), Some(json!("Paris")))
    );
}

#[tokio::test]
async fn item_14_a_request_is_applied_and_answered_with_an_error_or_nonsense() {
    for (path, body, stored) in updates() {
        let api = both().await;
        api.fault(once(Fault::StatusAfter(504)));
        assert_eq!((api.patch(&path, &body).await.status, stored(&api).as_str()), (504, "Paris"));
    }
    let api = both().await;
    api.fault(once(Fault::WrongBody("{\"results\":[]}".to_owned())));
    let got = api.update(json!({"city": "Paris"})).await;
    assert_eq!(
        (got.status, got.json(), api.stored("city").as_deref()),
        (200, json!({"results": []}), Some("Paris"))
    );
}

#[tokio::test]
async fn item_14_an_answer_slower_than_its_client_waits_is_applied_all_the_same() {
    for (path, body, stored) in updates() {
        let api = both().await;
        api.fault(once(Fault::Latency(3_600_000)));
        let written = async {
            while api.writes() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            got = try_patch(&api, &path, &body) => panic!("{got:?}"),
            () = written => {}
        }
        assert_eq!(stored(&api), "Paris");
        let logged = api.simulator.world().requests[0].clone();
        assert_eq!((logged.status, logged.answered), (None, false));
    }
}

#[tokio::test]
async fn item_14_an_answer_begins_and_never_ends() {
    let api = both().await;
    api.fault(once(Fault::NeverEnding));
    let request = Request::get(format!("{}{HUBSPOT}", api.simulator.base_url()))
        .header("authorization", "Bearer test-token");
    let answer = api.client.request(request.body(Full::default()).unwrap()).await.unwrap();
    let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(!first.is_empty() && first.len() < length);
    tokio::select! {
        more = body.frame() => panic!("{more:?}"),
        // Meanwhile others are served.
        () = async { for _ in 0..20 { api.get(HUBSPOT).await; } } => {}
    }
}

#[tokio::test]
async fn a_slow_answer_comes_in_the_end_and_latency_adds_to_other_faults() {
    let api = both().await;
    api.fault(once(Fault::Latency(1)));
    api.fault(once(Fault::Latency(1)));
    api.fault(once(Fault::Status(503)));
    assert_eq!(api.get(HUBSPOT).await.status, 503);
    assert_eq!(api.get(HUBSPOT).await.status, 200);
}

#[tokio::test]
async fn rules_pick_requests_by_method_path_body_count_and_chance() {
    let api = both().await;
    let strikes = async |rule: Rule, method: Method, path: &str, body: &str| {
        api.simulator.world().faults = vec![rule];
        api.send(method, path, &[("content-type", "application/json")], body.to_owned())
            .await
            .unwrap()
            .status
            == 599
    };
    let fault = || Rule::always(Fault::Status(599));
    let patch = Rule { method: Some("PATCH".to_owned()), ..fault() };
    assert!(strikes(patch.clone(), Method::PATCH, HUBSPOT, "{}").await);
    assert!(!strikes(patch, Method::GET, HUBSPOT, "").await);
    assert!(strikes(fault().on("/crm/"), Method::GET, HUBSPOT, "").await);
    assert!(!strikes(fault().on("/services/"), Method::GET, HUBSPOT, "").await);
    let paris = Rule { body: Some("Paris".to_owned()), ..fault() };
    assert!(
        strikes(paris.clone(), Method::PATCH, HUBSPOT, "{\"properties\":{\"city\":\"Paris\"}}")
            .await
    );
    assert!(!strikes(paris, Method::PATCH, HUBSPOT, "{\"properties\":{\"city\":\"Rome\"}}").await);
    assert!(!strikes(fault().with_probability(0.0), Method::GET, HUBSPOT, "").await);

    api.simulator.world().faults = vec![Rule::next(2, Fault::Status(599)).after(1)];
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(api.get(HUBSPOT).await.status);
    }
    assert_eq!(answers, [200, 599, 599, 200]);
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_requests() {
    let run = async || {
        let api = both().await;
        api.fault(Rule::always(Fault::Status(599)).with_probability(0.5));
        let mut answers = Vec::new();
        for _ in 0..40 {
            answers.push(api.get(HUBSPOT).await.status);
        }
        answers
    };
    let answers = run().await;
    assert_eq!(answers, run().await);
    assert!(answers.contains(&599) && answers.contains(&200));
}

#[tokio::test]
async fn other_processes_see_records_and_requests_and_switch_faults() {
    let api = both().await;
    let done = |got: super::Got| assert_eq!((got.status, got.text.as_str()), (204, ""));
    done(
        api.post(
            "/_sim/faults",
            &json!({"fault": {"status": 503}, "path": "contacts", "times": 1}),
        )
        .await,
    );
    assert_eq!(api.update(json!({"city": "Paris"})).await.status, 503);
    done(api.post("/_sim/faults", &json!({"fault": "throttle"})).await);
    assert_eq!(api.update(json!({"city": "Paris"})).await.status, 429);
    done(api.send(Method::DELETE, "/_sim/faults", &[], "").await.unwrap());
    assert_eq!(api.update(json!({"city": "Paris"})).await.status, 200);
    assert_eq!(
        api.get(&format!("/_sim/hubspot/contacts/{ADA}")).await.json()["properties"]["city"],
        "Paris"
    );
    assert_eq!(
        api.get("/_sim/counts").await.json(),
        json!({"requests": 3, "writes": 1, "throttled": 1, "token_requests": 0, "tokens_issued": 0})
    );
    let write = api.get("/_sim/writes").await.json()[0].clone();
    assert_eq!(
        write,
        json!({"request": 3, "object": "contacts", "id": ADA, "fields": {"city": "Paris"}})
    );
    let log = api.get("/_sim/requests").await.json();
    assert_eq!(
        (&log[0]["status"], &log[2]["status"], &log[2]["method"]),
        (&json!(503), &json!(200), &json!("PATCH"))
    );
    assert_eq!(log[2]["body"], r#"{"properties":{"city":"Paris"}}"#);
    done(api.send(Method::DELETE, "/_sim/requests", &[], "").await.unwrap());
    assert_eq!(api.get("/_sim/counts").await.json()["requests"], 0);
    assert_eq!(api.post("/_sim/faults", &json!({"fault": "nonsense"})).await.status, 400);
}

#[tokio::test]
async fn other_processes_change_records_as_people_do() {
    let api = both().await;
    let send =
        async |method: Method, path: &str, body: Value| api.with_json(method, path, &body).await;
    assert_eq!(
        send(Method::PATCH, &format!("/_sim/hubspot/contacts/{ADA}"), json!({"city": "Rome"}))
            .await
            .status,
        204
    );
    let history = api.get(&format!("{HUBSPOT}?propertiesWithHistory=city")).await.json()["propertiesWithHistory"]["city"].clone();
    assert_eq!(
        (&history[0]["value"], &history[0]["sourceType"], &history[1]["value"]),
        (&json!("Rome"), &json!("CRM_UI"), &json!("London"))
    );
    assert_eq!(
        send(Method::PUT, "/_sim/hubspot/contacts/7", json!({"city": "Lyon"})).await.status,
        204
    );
    let merged = send(Method::POST, &format!("/_sim/hubspot/contacts/{ADA}/merge/7"), json!(null))
        .await
        .json()["id"]
        .clone();
    assert_eq!(api.get(HUBSPOT).await.json()["id"], merged);
    let id = merged.as_str().unwrap();
    assert_eq!(
        send(Method::POST, &format!("/_sim/hubspot/contacts/{id}/archive"), json!(null))
            .await
            .status,
        204
    );
    assert_eq!(api.get(HUBSPOT).await.status, 404);

    let path = |n: u64| format!("/_sim/salesforce/Contact/{}", contact(n));
    assert_eq!(send(Method::PUT, &path(1), json!({"Title": "x"})).await.status, 204);
    assert_eq!(send(Method::PATCH, &path(1), json!({"Title": "y"})).await.status, 204);
    assert_eq!(
        api.get(&path(1)).await.json(),
        json!({"fields": {"DoNotCall": false, "Title": "y"}, "deleted": false, "master": null})
    );
    assert_eq!(
        send(Method::POST, &format!("{}/merge/{}", path(0), contact(1)), json!(null)).await.status,
        204
    );
    assert_eq!(api.get(&path(1)).await.json()["master"], contact(0));
    assert_eq!(send(Method::POST, &format!("{}/delete", path(0)), json!(null)).await.status, 204);
    assert_eq!(api.get(&path(0)).await.json()["deleted"], true);
}

#[tokio::test]
async fn other_processes_turn_the_switches() {
    let api = both().await;
    let put = async |body: Value| api.with_json(Method::PUT, "/_sim/switches", &body).await.status;
    assert_eq!(put(json!({"hubspot_404_category": true})).await, 204);
    assert_eq!(api.get("/crm/v3/objects/contacts/1").await.json()["category"], "OBJECT_NOT_FOUND");
    assert_eq!(api.get("/_sim/switches").await.json()["hubspot_404_category"], true);
    assert_eq!((put(json!({})).await, put(json!({"nonsense": true})).await), (204, 400));
    assert_eq!(api.get("/crm/v3/objects/contacts/1").await.json().get("category"), None);
}
