//! What a credential may do, found out before anything is planned: with the real component, from
//! the real answers.

use crm_simulator::{Config, Fault, Rule, Switches, Token};
use reverse_sync::{
    check::{self, Check, Checking, Scopes},
    component::{Allowed, Grant},
    egress::{Link, credential::Credential},
    planner::PlanningError,
};
use reverse_sync_tests::{
    Bench,
    crm::{Crm, Provider, TOKEN, component, config},
    oauth::{link, quick, refreshing, without_tokens},
};
use serde_json::{Value, json};
use std::time::Duration;

async fn try_check(
    bench: &Bench,
    link: Link,
    object: Option<&str>,
    patience: Duration,
) -> Result<Check, PlanningError> {
    let mut config_json = json!({"source_id": "src_1"});
    if let Some(object) = object {
        config_json["object"] = json!(object);
    }
    let Value::Object(config_json) = config_json else { unreachable!() };
    let grant = Grant { component: bench.component.digest(), allowed: Allowed::Everything };
    let destination_type = &bench.destination.destination_type;
    check::check(
        &bench.component,
        Checking { destination_type, config_json, grant: &grant, link, patience },
    )
    .await
}

/// Checks, and compares the answer with what a check must never do.
async fn checked(crm: &Crm, link: Link, object: Option<&str>) -> Check {
    let found = try_check(&crm.bench, link, object, Duration::from_secs(30)).await.unwrap();
    assert_eq!(crm.writes(), 0);
    let only_reads = crm
        .requests()
        .iter()
        .all(|request| request.starts_with("GET ") || request.contains("/token"));
    assert!(only_reads, "{:?}", crm.requests());
    assert!(
        std::fs::read_dir(crm.bench.state.path())
            .unwrap()
            .all(|entry| entry.unwrap().file_name() == "refresh-token"),
        "something is kept"
    );
    assert!(!format!("{found:?}").contains(TOKEN), "{found:?}");
    found
}

/// A simulator that accepts one token, and a check with it.
async fn of_token(provider: Provider, token: Token, switches: Switches) -> Check {
    let crm =
        Crm::with(provider, Config { tokens: vec![token], switches, ..config(3) }, json!({})).await;
    checked(&crm, crm.link(), None).await
}

fn scopes(present: &[&str], missing: &[&str], known: bool) -> Scopes {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Scopes { present: texts(present), missing: texts(missing), known }
}

#[tokio::test]
async fn a_good_token_works_and_what_it_may_write_is_said_to_be_open() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        // The one that may not write looks the same: only a write could tell, and a check writes
        // nothing.
        for can_write in [true, false] {
            let found =
                of_token(provider, Token { can_write, ..Token::new(TOKEN) }, Switches::default())
                    .await;
            assert_eq!(
                (found.ok, found.reachable, found.authorized),
                (true, true, true),
                "{found:?}"
            );
            assert_eq!(found.scopes, scopes(&[], &[], false));
            assert!(found.detail.contains("cannot be proved without writing"), "{found:?}");
        }
    }
}

#[tokio::test]
async fn a_check_is_one_read_of_metadata_and_one_of_the_account() {
    let crm = Crm::hubspot(3).await;
    checked(&crm, crm.link(), Some("companies")).await;
    assert_eq!(
        crm.requests(),
        ["GET /crm/v3/properties/companies", "GET /account-info/v3/details"]
    );
}

#[tokio::test]
async fn the_crm_itself_names_a_scope_that_is_missing() {
    for hubspot_old_scope_shape in [false, true] {
        let token = Token {
            scopes: Some(vec!["crm.objects.contacts.write".to_owned()]),
            ..Token::new(TOKEN)
        };
        let found = of_token(
            Provider::HubSpot,
            token,
            Switches { hubspot_old_scope_shape, ..Switches::default() },
        )
        .await;
        assert_eq!(
            (found.ok, found.reachable, found.authorized),
            (false, true, false),
            "{found:?}"
        );
        assert_eq!(found.scopes, scopes(&[], &["crm.objects.contacts.read"], false));
        assert!(
            found.detail.contains("HTTP 403") && found.detail.contains("crm.objects.contacts.read"),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_dead_token_is_not_authorized() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let found =
            of_token(provider, Token { expired: true, ..Token::new(TOKEN) }, Switches::default())
                .await;
        assert_eq!(
            (found.ok, found.reachable, found.authorized),
            (false, true, false),
            "{found:?}"
        );
        assert!(found.scopes.missing.is_empty() && found.detail.contains("HTTP 401"), "{found:?}");
    }
}

#[tokio::test]
async fn a_crm_that_does_not_answer_is_not_reachable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench =
        Bench::new(component().await, &format!("http://{closed}"), "hubspot_dest", json!({}))
            .unwrap();
    let found =
        try_check(&bench, bench.link(TOKEN).unwrap(), None, Duration::from_secs(60)).await.unwrap();
    assert_eq!((found.ok, found.reachable, found.authorized), (false, false, false), "{found:?}");
    assert!(
        found.detail.contains("cannot connect to the CRM")
            && found.detail.contains(&closed.to_string()),
        "{found:?}"
    );

    let crm = Crm::hubspot(3).await;
    crm.simulator.world().fault(Rule::always(Fault::NeverEnding));
    let found =
        try_check(&crm.bench, crm.bench.link(TOKEN).unwrap(), None, Duration::from_millis(300))
            .await
            .unwrap();
    assert_eq!((found.ok, found.reachable, found.authorized), (false, false, false), "{found:?}");
    assert!(found.detail.contains("gave no answer within 0.3 s"), "{found:?}");
}

#[tokio::test]
async fn a_crm_that_is_out_of_order_says_nothing_about_the_credential() {
    let crm = Crm::hubspot(3).await;
    crm.simulator.world().fault(Rule::always(Fault::DailyLimit));
    let found = checked(&crm, crm.link(), None).await;
    assert_eq!((found.ok, found.reachable, found.authorized), (false, true, false), "{found:?}");
    assert!(found.detail.contains("daily limit"), "{found:?}");
}

/// A check with a client that is granted these scopes.
async fn of_oauth(provider: Provider, granted: &[&str], object: Option<&str>) -> Check {
    let crm = Crm::with(provider, without_tokens(3), json!({})).await;
    {
        let mut world = crm.simulator.world();
        world.hubspot.oauth_scopes = granted.iter().map(|scope| (*scope).to_owned()).collect();
        world.salesforce.oauth_scope = granted.join(" ");
    }
    checked(&crm, link(&crm, refreshing(&crm, provider, quick())), object).await
}

#[tokio::test]
async fn what_the_token_endpoint_lists_is_held_against_what_the_object_needs() {
    const READ: &str = "crm.objects.contacts.read";
    const WRITE: &str = "crm.objects.contacts.write";
    for (provider, granted, object, missing) in [
        (Provider::HubSpot, &[READ, WRITE, "oauth"][..], None, &[][..]),
        (Provider::HubSpot, &[READ, WRITE, "oauth"], Some("0-1"), &[]),
        (Provider::HubSpot, &[READ, "oauth"], None, &[WRITE]),
        (Provider::HubSpot, &["crm.schemas.contacts.read", "oauth"], None, &[READ, WRITE]),
        (
            Provider::HubSpot,
            &["crm.schemas.companies.read", WRITE],
            Some("companies"),
            &["crm.objects.companies.read", "crm.objects.companies.write"],
        ),
        (Provider::Salesforce, &["api", "refresh_token"], None, &[]),
        (Provider::Salesforce, &["full", "refresh_token"], Some("Account"), &[]),
        (Provider::Salesforce, &["chatter_api", "refresh_token"], None, &["api"]),
    ] {
        let found = of_oauth(provider, granted, object).await;
        assert_eq!(
            (found.ok, found.reachable, found.authorized),
            (missing.is_empty(), true, true),
            "{granted:?}: {found:?}"
        );
        assert_eq!(found.scopes, scopes(granted, missing, true), "{granted:?}");
        assert!(missing.iter().all(|scope| found.detail.contains(scope)), "{granted:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_scope_that_is_not_listed_and_that_the_crm_misses_is_said_once() {
    let found = of_oauth(Provider::HubSpot, &["crm.objects.contacts.write"], None).await;
    assert_eq!((found.ok, found.reachable, found.authorized), (false, true, false), "{found:?}");
    assert_eq!(
        found.scopes,
        scopes(&["crm.objects.contacts.write"], &["crm.objects.contacts.read"], true)
    );
}

#[tokio::test]
async fn a_token_endpoint_that_gives_no_token_says_why() {
    for (name, reachable, says) in
        [("revoked", true, "invalid_grant"), ("out of order", false, "attempts failed")]
    {
        let crm = Crm::with(Provider::HubSpot, without_tokens(3), json!({})).await;
        match name {
            "revoked" => {
                crm.simulator.world().hubspot.refresh_token = "another-refresh-token".to_owned()
            }
            _ => crm.simulator.world().fault(Rule::always(Fault::Html(502)).on("/token")),
        }
        let found =
            checked(&crm, link(&crm, refreshing(&crm, Provider::HubSpot, quick())), None).await;
        assert_eq!(
            (found.ok, found.reachable, found.authorized),
            (false, reachable, false),
            "{found:?}"
        );
        assert!(found.detail.contains(says), "{found:?}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_there_is_not_the_credentials_fault() {
    let crm = Crm::hubspot(3).await;
    let found = checked(&crm, crm.link(), Some("butterflies")).await;
    assert_eq!((found.ok, found.reachable, found.authorized), (false, true, true), "{found:?}");
    assert!(found.detail.contains("Check `object` (`butterflies`)"), "{found:?}");

    crm.simulator.world().clear_log();
    let error =
        try_check(&crm.bench, crm.link(), Some("a/b"), Duration::from_secs(30)).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("`object`"), "{error}");
    assert_eq!(crm.requests().len(), 0);
}

#[tokio::test]
async fn a_component_without_a_grant_is_given_no_credential() {
    let crm = Crm::hubspot(3).await;
    let grant = Grant {
        component: reverse_sync::digest::Digest::of(b"another"),
        allowed: Allowed::Everything,
    };
    let checking = Checking {
        destination_type: "hubspot_dest",
        config_json: serde_json::Map::new(),
        grant: &grant,
        link: crm.link(),
        patience: Duration::from_secs(30),
    };
    let error = check::check(&crm.bench.component, checking).await.unwrap_err();
    assert!(error.to_string().contains("has no grant"), "{error}");
    assert_eq!(crm.requests().len(), 0);
}

#[tokio::test]
async fn a_token_that_was_made_once_says_nothing_about_its_scopes() {
    assert_eq!(Credential::bearer(TOKEN).unwrap().scopes(), None);
}

#[tokio::test]
async fn a_configuration_is_judged_by_the_component_and_nothing_else_is_asked() {
    let crm = Crm::hubspot(3).await;
    let judged = async |key: &str, value: serde_json::Value| {
        let mut destination = crm.bench.destination.clone();
        destination.config_json.insert(key.to_owned(), value);
        reverse_sync::planner::check_config(
            &crm.bench.component,
            &destination,
            &crm.bench.grant,
            &crm.bench.base_url,
        )
        .await
    };
    judged("fields", json!(["firstname"])).await.unwrap();
    for (key, value) in [
        ("feilds", json!(["firstname"])),
        ("fields", json!("firstname")),
        ("write_mode", json!("upsert")),
    ] {
        let error = judged(key, value).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(key), "{key}: {error}");
    }
    assert_eq!(crm.requests().len(), 0);
    assert!(!crm.bench.state.path().join("plans").exists());
}
