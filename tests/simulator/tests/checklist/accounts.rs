//! Which account a token opens: HubSpot's "Account information API", the "Organization" of
//! Salesforce's Connect REST API.

use super::{Api, names, once};
use crm_simulator::{Config, Fault, Switches, Token, record_id};
use serde_json::json;

const DETAILS: &str = "/account-info/v3/details";
const ORGANIZATION: &str = "/services/data/v67.0/connect/organization";

async fn two_accounts(switches: Switches) -> Api {
    let tokens = vec![
        Token::new("test-token"),
        Token::new("second").of_account(2),
        Token { expired: true, ..Token::new("old") },
    ];
    Api::start(Config { tokens, switches, ..Config::default() }).await
}

#[tokio::test]
async fn hubspot_names_the_portal_of_the_token_as_a_number() {
    let mut api = two_accounts(Switches::default()).await;
    let got = api.get(DETAILS).await;
    let body = got.json();
    assert_eq!((got.status, &body["portalId"]), (200, &json!(2_222_222)));
    let members = [
        "accountType",
        "additionalCurrencies",
        "companyCurrency",
        "dataHostingLocation",
        "portalId",
        "timeZone",
        "uiDomain",
        "utcOffset",
        "utcOffsetMilliseconds",
    ];
    assert_eq!(names(&body), members);
    assert!(got.header("x-hubspot-ratelimit-remaining").is_some());
    assert_eq!(api.get("/account-info/2026-03/details").await.json(), body);
    api.token = "second".to_owned();
    assert_eq!(api.get(DETAILS).await.json()["portalId"], 2_222_223);
}

#[tokio::test]
async fn hubspot_answers_401_and_every_scope_may_ask() {
    let mut api = two_accounts(Switches::default()).await;
    api.simulator.world().config.tokens[0].scopes = Some(vec!["tickets".to_owned()]);
    assert_eq!(api.get(DETAILS).await.status, 200);
    for (token, category) in
        [("old", "EXPIRED_AUTHENTICATION"), ("unknown", "INVALID_AUTHENTICATION")]
    {
        api.token = token.to_owned();
        let got = api.get(DETAILS).await;
        assert_eq!((got.status, &got.json()["category"]), (401, &json!(category)));
    }
}

#[tokio::test]
async fn salesforce_names_the_org_of_the_session_in_18_characters() {
    let mut api = two_accounts(Switches::default()).await;
    for (token, number) in [("test-token", 0), ("second", 1)] {
        api.token = token.to_owned();
        let before = api.simulator.world().salesforce.today;
        let got = api.get(ORGANIZATION).await;
        let (body, organization) = (got.json(), record_id("00D", number));
        assert_eq!(
            (got.status, body["orgId"].as_str(), organization.len()),
            (200, Some(organization.as_str()), 18)
        );
        assert_eq!(
            names(&body),
            ["accessTimeout", "features", "maintenanceInfo", "name", "orgId", "userSettings"]
        );
        // It is a call like any other.
        assert_eq!(api.simulator.world().salesforce.today, before + 1);
        assert!(got.header("sforce-limit-info").is_some());
    }
}

#[tokio::test]
async fn salesforce_answers_401_to_a_session_that_has_ended() {
    let mut api = two_accounts(Switches::default()).await;
    api.fault(once(Fault::ExpiredToken));
    for token in ["test-token", "old", "unknown"] {
        api.token = token.to_owned();
        let got = api.get(ORGANIZATION).await;
        assert_eq!(
            (got.status, &got.json()[0]["errorCode"]),
            (401, &json!("INVALID_SESSION_ID")),
            "{token}"
        );
    }
}

#[tokio::test]
async fn nobody_may_ask_by_switch() {
    let api = two_accounts(Switches { account_is_forbidden: true, ..Switches::default() }).await;
    let got = api.get(DETAILS).await;
    assert_eq!((got.status, &got.json()["category"]), (403, &json!("MISSING_SCOPES")));
    assert_eq!(api.get(ORGANIZATION).await.status, 403);
    // What else there is stays open.
    assert_eq!(api.get("/crm/v3/properties/contacts").await.status, 200);
}
