//! HubSpot's lists and searches, which its own clients read with. No item of the checklist asks for
//! them.

use super::{ADA, Api, BOB, Got, names};
use crm_simulator::{Config, Switches, Token};
use serde_json::{Value, json};
use std::collections::HashSet;

const LIST: &str = "/crm/v3/objects/contacts";
const SEARCH: &str = "/crm/v3/objects/contacts/search";

/// `count` contacts, which may be searched as often as a test likes.
async fn many(count: usize) -> Api {
    Api::start(Config { hubspot_contacts: count, hubspot_search_limit: 1_000, ..Config::default() })
        .await
}

/// These contacts, in this order, from the id of Ada on.
async fn these(contacts: &[Value]) -> Api {
    let api = many(0).await;
    for (n, properties) in (0u64..).zip(contacts) {
        api.simulator.world().hubspot.put(
            "contacts",
            &(ADA.parse::<u64>().unwrap() + n).to_string(),
            properties,
        );
    }
    api
}

fn ids(got: &Got) -> Vec<String> {
    got.json()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect()
}

/// First names of those that one filter finds.
async fn found(api: &Api, filter: Value) -> Vec<String> {
    let got = api
        .post(
            SEARCH,
            &json!({"filterGroups": [{"filters": [filter]}], "properties": ["firstname"]}),
        )
        .await;
    assert_eq!(got.status, 200, "{}", got.text);
    let body = got.json();
    let results = body["results"].as_array().unwrap().iter();
    results
        .map(|record| record["properties"]["firstname"].as_str().unwrap_or("-").to_owned())
        .collect()
}

#[track_caller]
fn refused(got: &Got, contains: &str, category: Option<&str>) {
    let body = got.json();
    assert_eq!((got.status, body["category"].as_str()), (400, category), "{body}");
    assert!(body["message"].as_str().unwrap().contains(contains), "{body}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_ends_without_paging() {
    let api = many(23).await;
    let first = api.get(LIST).await;
    let body = first.json();
    assert_eq!((first.status, names(&body)), (200, vec!["paging", "results"]));
    assert_eq!(
        names(&body["results"][0]),
        ["archived", "createdAt", "id", "properties", "updatedAt"]
    );
    assert_eq!(
        names(&body["results"][0]["properties"]),
        ["createdate", "hs_object_id", "lastmodifieddate"]
    );
    let mut seen = ids(&first);
    assert_eq!(seen.len(), 10);
    let after = body["paging"]["next"]["after"].as_str().unwrap();
    let second = api.get(&format!("{LIST}?after={after}")).await;
    seen.extend(ids(&second));
    // The link is the request for what comes next.
    let link = second.json()["paging"]["next"]["link"].as_str().unwrap().to_owned();
    let third = api.get(link.strip_prefix(&api.simulator.base_url()).unwrap()).await;
    seen.extend(ids(&third));
    assert_eq!((names(&third.json()), seen.len()), (vec!["results"], 23));
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 23);
    assert!(seen.is_sorted_by_key(|id| id.parse::<u64>().unwrap()));
}

#[tokio::test]
async fn a_list_shows_the_properties_asked_for_in_either_form_and_their_history() {
    let api = these(&[json!({"firstname": "Ada", "city": "London"})]).await;
    for query in [
        "properties=firstname,city,nonsense",
        "properties=firstname&properties=city&properties=nonsense",
    ] {
        let body = api.get(&format!("{LIST}?{query}")).await.json();
        let shown = &body["results"][0]["properties"];
        assert_eq!(
            names(shown),
            ["city", "createdate", "firstname", "hs_object_id", "lastmodifieddate"],
            "{query}"
        );
        assert_eq!((&shown["firstname"], &shown["city"]), (&json!("Ada"), &json!("London")));
    }
    let body = api.get(&format!("{LIST}?propertiesWithHistory=city")).await.json();
    assert_eq!(body["results"][0]["propertiesWithHistory"]["city"][0]["value"], "London");
    assert_eq!(body["results"][0]["properties"]["city"], "London");
}

#[tokio::test]
async fn a_list_takes_100_a_page_and_50_with_history_and_not_more() {
    let api = many(120).await;
    assert_eq!(ids(&api.get(&format!("{LIST}?limit=100")).await).len(), 100);
    assert_eq!(
        ids(&api.get(&format!("{LIST}?limit=50&propertiesWithHistory=city")).await).len(),
        50
    );
    for query in ["limit=101", "limit=51&propertiesWithHistory=city", "limit=0", "limit=many"] {
        refused(&api.get(&format!("{LIST}?{query}")).await, "limit", Some("VALIDATION_ERROR"));
    }
    refused(
        &api.get("/crm/v3/objects/butterflies").await,
        "Unable to infer object type from: butterflies",
        None,
    );
}

#[tokio::test]
async fn archived_records_are_listed_only_on_request_and_never_found() {
    let api = these(&[json!({"firstname": "Ada"}), json!({"firstname": "Bob"})]).await;
    api.simulator.world().hubspot.archive("contacts", BOB);
    assert_eq!(ids(&api.get(LIST).await), [ADA]);
    assert_eq!(ids(&api.get(&format!("{LIST}?archived=true")).await), [BOB]);
    assert_eq!(
        found(&api, json!({"propertyName": "firstname", "operator": "HAS_PROPERTY"})).await,
        ["Ada"]
    );
}

#[tokio::test]
async fn a_search_answers_with_a_total_default_properties_and_pages_by_number() {
    let api = many(15).await;
    let got = api.post(SEARCH, &json!({})).await;
    let body = got.json();
    assert_eq!((got.status, names(&body)), (200, vec!["paging", "results", "total"]));
    assert_eq!(
        (body["total"].as_u64(), &body["paging"]),
        (Some(15), &json!({"next": {"after": "10"}}))
    );
    let shown =
        ["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"];
    assert_eq!(names(&body["results"][0]["properties"]), shown);
    let rest =
        api.post(SEARCH, &json!({"after": "10", "limit": 200, "properties": ["city"]})).await;
    assert_eq!((names(&rest.json()), ids(&rest).len()), (vec!["results", "total"], 5));
    assert_eq!(
        names(&rest.json()["results"][0]["properties"]),
        ["city", "createdate", "hs_object_id", "lastmodifieddate"]
    );
    let all: HashSet<String> = ids(&got).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 15);
}

#[tokio::test]
async fn each_operator_of_a_filter_finds_what_it_says() {
    let api = these(&[
        json!({"firstname": "Ada", "city": "London", "annualrevenue": "9", "birthday": "1815-12-10", "lifecyclestage": "lead"}),
        json!({"firstname": "Bob", "city": "New York", "annualrevenue": "10", "birthday": "1990-01-02"}),
        json!({"firstname": "Cem", "annualrevenue": "100", "email": "cem@acme-shop.example"}),
    ])
    .await;
    let by = |name: &str, operator: &str, value: &str| json!({"propertyName": name, "operator": operator, "value": value});
    for (filter, wanted) in [
        (by("city", "EQ", "london"), vec!["Ada"]),
        (by("lifecyclestage", "EQ", "lead"), vec!["Ada"]),
        // Options are as they are written.
        (by("lifecyclestage", "EQ", "LEAD"), vec![]),
        (by("city", "NEQ", "London"), vec!["Bob", "Cem"]),
        // As numbers: as texts, 9 is more than 10.
        (by("annualrevenue", "LT", "10"), vec!["Ada"]),
        (by("annualrevenue", "LTE", "10"), vec!["Ada", "Bob"]),
        (by("annualrevenue", "GT", "10"), vec!["Cem"]),
        (by("annualrevenue", "GTE", "10.0"), vec!["Bob", "Cem"]),
        // Days, as such and in milliseconds.
        (by("birthday", "GT", "1900-01-01"), vec!["Bob"]),
        (by("birthday", "LT", "0"), vec!["Ada"]),
        (
            json!({"propertyName": "annualrevenue", "operator": "BETWEEN", "value": "9", "highValue": "10"}),
            vec!["Ada", "Bob"],
        ),
        // Texts of a list are in lower case to be found.
        (
            json!({"propertyName": "city", "operator": "IN", "values": ["london", "new york"]}),
            vec!["Ada", "Bob"],
        ),
        (json!({"propertyName": "city", "operator": "IN", "values": ["London"]}), vec![]),
        (
            json!({"propertyName": "city", "operator": "NOT_IN", "values": ["london"]}),
            vec!["Bob", "Cem"],
        ),
        (json!({"propertyName": "hs_object_id", "operator": "IN", "values": [BOB]}), vec!["Bob"]),
        (json!({"propertyName": "city", "operator": "HAS_PROPERTY"}), vec!["Ada", "Bob"]),
        (json!({"propertyName": "city", "operator": "NOT_HAS_PROPERTY"}), vec!["Cem"]),
        (by("city", "CONTAINS_TOKEN", "york"), vec!["Bob"]),
        (by("city", "CONTAINS_TOKEN", "yor"), vec![]),
        (by("city", "CONTAINS_TOKEN", "yo*"), vec!["Bob"]),
        (by("email", "CONTAINS_TOKEN", "*@acme-shop.example"), vec!["Cem"]),
        (by("city", "NOT_CONTAINS_TOKEN", "york"), vec!["Ada", "Cem"]),
    ] {
        assert_eq!(found(&api, filter.clone()).await, wanted, "{filter}");
    }
}

#[tokio::test]
async fn a_negation_finds_records_without_a_value_or_by_switch_does_not() {
    let api =
        these(&[json!({"firstname": "Ada", "city": "London"}), json!({"firstname": "Bob"})]).await;
    let filter = json!({"propertyName": "city", "operator": "NEQ", "value": "Paris"});
    assert_eq!(found(&api, filter.clone()).await, ["Ada", "Bob"]);
    api.simulator.world().config.switches =
        Switches { hubspot_negation_finds_empty: false, ..Switches::default() };
    assert_eq!(found(&api, filter).await, ["Ada"]);
}

#[tokio::test]
async fn filters_of_a_group_hold_together_and_one_group_is_enough() {
    let api = these(&[
        json!({"firstname": "Ada", "city": "London", "email": "a@x.example"}),
        json!({"firstname": "Bob", "city": "London"}),
        json!({"firstname": "Cem", "city": "Ghent", "company": "Lovelace & Co"}),
    ])
    .await;
    let by =
        |name: &str, value: &str| json!({"propertyName": name, "operator": "EQ", "value": value});
    let groups = json!([{"filters": [by("city", "London"), by("email", "a@x.example")]}, {"filters": [by("firstname", "Cem")]}]);
    let got = api.post(SEARCH, &json!({"filterGroups": groups, "sorts": [{"propertyName": "firstname", "direction": "DESCENDING"}]})).await;
    let cem = (ADA.parse::<u64>().unwrap() + 2).to_string();
    assert_eq!(ids(&got), [cem.as_str(), ADA]);
    // A text is looked for where HubSpot looks, and together with the groups.
    assert_eq!(ids(&api.post(SEARCH, &json!({"query": "lovelace"})).await), [cem.as_str()]);
    assert_eq!(ids(&api.post(SEARCH, &json!({"query": "ghent"})).await), Vec::<String>::new());
    let got = api
        .post(
            SEARCH,
            &json!({"query": "ada", "filterGroups": [{"filters": [by("city", "Ghent")]}]}),
        )
        .await;
    assert_eq!(got.json()["total"], 0);
}

#[tokio::test]
async fn what_is_no_search_is_refused_as_such() {
    let api = these(&[json!({"firstname": "Ada"})]).await;
    let filters = |filters: Value| json!({"filterGroups": [{"filters": filters}]});
    let set = json!({"propertyName": "city", "operator": "HAS_PROPERTY"});
    let some = |count: usize| json!({"filters": vec![set.clone(); count]});
    let unreadable = [
        (
            filters(json!([{"operator": "EQ"}])),
            "some of required attributes are not set [propertyName, operator]",
        ),
        (json!({"filterGroups": [{}]}), "some of required attributes are not set [filters]"),
        (
            filters(json!([{"propertyName": "city", "operator": "LIKE", "value": "x"}])),
            "LIKE is not an operator",
        ),
        (
            filters(json!([{"propertyName": "city", "operator": "BETWEEN", "value": "1"}])),
            "operator BETWEEN requires a highValue",
        ),
        (
            filters(json!([{"propertyName": "city", "operator": "IN", "value": "1"}])),
            "operator IN requires values",
        ),
        (
            filters(json!([{"propertyName": "city", "operator": "HAS_PROPERTY", "value": "1"}])),
            "operator HAS_PROPERTY requires",
        ),
        (
            filters(json!([{"propertyName": "city", "operator": "EQ"}])),
            "operator EQ requires a value",
        ),
        (
            filters(json!([{"propertyName": "city", "operator": "EQ", "value": ["a"]}])),
            "java.lang.String",
        ),
        (json!({"filterGroups": {}}), "java.util.HashSet"),
        (json!({"after": "soon"}), "after"),
        (json!({"sorts": [{"propertyName": "city", "direction": "UP"}]}), "UP is not a direction"),
    ];
    for (body, contains) in unreadable {
        refused(&api.post(SEARCH, &body).await, contains, None);
    }
    let invalid = [
        (json!({"limit": 201}), "200"),
        (json!({"after": 9_900, "limit": 200}), "10000"),
        (json!({"query": "x".repeat(3_001)}), "3000"),
        (json!({"filterGroups": vec![some(1); 6]}), "at most 5 filterGroups"),
        (json!({"filterGroups": [some(7)]}), "6 filters each"),
        (json!({"filterGroups": vec![some(5); 4]}), "18 filters in all"),
        (json!({"sorts": ["city", "email"]}), "only one sorting rule"),
        (
            filters(json!([{"propertyName": "town", "operator": "HAS_PROPERTY"}])),
            "Property \"town\" does not exist",
        ),
    ];
    for (body, contains) in invalid {
        refused(&api.post(SEARCH, &body).await, contains, Some("VALIDATION_ERROR"));
    }
    assert_eq!(
        api.post(SEARCH, &json!({"filterGroups": vec![some(3); 5], "query": "x".repeat(3_000), "after": 9_800, "limit": 200})).await.status,
        200
    );
    refused(
        &api.post("/crm/v3/objects/butterflies/search", &json!({})).await,
        "Unable to infer object type from: butterflies",
        None,
    );
}

#[tokio::test]
async fn searches_have_a_limit_of_their_own_and_say_nothing_about_it() {
    let api = Api::hubspot(json!({"firstname": "Ada"})).await;
    // Five a second: of twelve at once some are too many, however slow the machine is.
    let got = futures_util::future::join_all(
        (0..12).map(|_| async { api.post(SEARCH, &json!({})).await }),
    )
    .await;
    let throttled: Vec<&Got> = got.iter().filter(|got| got.status == 429).collect();
    assert!(
        !throttled.is_empty() && got.iter().filter(|got| got.status == 200).count() >= 5,
        "{throttled:?}"
    );
    let body = throttled[0].json();
    assert_eq!(
        (&body["message"], &body["policyName"]),
        (&json!("You have reached your secondly limit."), &json!("SECONDLY"))
    );
    assert_eq!(body["errorType"], "RATE_LIMIT");
    assert!(got.iter().all(|got| got.header("x-hubspot-ratelimit-remaining").is_none()));
    // None of them counts for the window.
    let remaining = api.get(LIST).await.header("x-hubspot-ratelimit-remaining").map(str::to_owned);
    assert_eq!(remaining.as_deref(), Some("189"));
}

#[tokio::test]
async fn a_search_needs_the_scope_to_read_and_no_other() {
    let token = |scope: &str| Token {
        scopes: Some(vec![scope.to_owned()]),
        can_write: false,
        ..Token::new(scope)
    };
    let tokens = vec![token("crm.objects.contacts.read"), token("crm.objects.deals.read")];
    let mut api = Api::start(Config { tokens, ..Config::default() }).await;
    for (scope, status) in [("crm.objects.contacts.read", 200), ("crm.objects.deals.read", 403)] {
        api.token = scope.to_owned();
        assert_eq!(
            (api.post(SEARCH, &json!({})).await.status, api.get(LIST).await.status),
            (status, status),
            "{scope}"
        );
    }
}

#[tokio::test]
async fn errors_of_a_207_have_links_by_switch() {
    let api = many(0).await;
    let read = async || {
        api.post(&format!("{LIST}/batch/read"), &json!({"inputs": [{"id": "1"}], "properties": []}))
            .await
            .json()["errors"][0]
            .clone()
    };
    assert_eq!(names(&read().await), ["category", "context", "message", "status"]);
    api.simulator.world().config.switches =
        Switches { hubspot_207_has_links: true, ..Switches::default() };
    assert_eq!(
        names(&read().await),
        ["category", "context", "errors", "links", "message", "status"]
    );
}
