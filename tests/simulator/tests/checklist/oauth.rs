//! The token endpoints (A10, B10): grants, refusals, rotation, and tokens that end.

use super::Api;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_simulator::{Config, record_id};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const HUBSPOT: &str = "/oauth/v3/token";
const SALESFORCE: &str = "/services/oauth2/token";
const CLIENT: &str = "client_id=test-client&client_secret=test-client-secret";
const CONTACTS: &str = "/crm/v3/objects/contacts/1";
const LIMITS: &str = "/services/data/v67.0/limits";
const KEY: &str = include_str!("../../keys/app.key.pem");
const OTHER_KEY: &str = include_str!("../../keys/other.key.pem");
const CERTIFICATE: &str = include_str!("../../keys/app.cert.pem");

/// No token is accepted to begin with.
async fn with(config: Config) -> Api {
    Api::start(Config { tokens: vec![], ..config }).await
}

fn refresh(token: &str) -> String {
    format!("grant_type=refresh_token&{CLIENT}&refresh_token={token}")
}

#[tokio::test]
async fn hubspot_refreshes_tokens_on_each_of_its_paths() {
    let mut api = with(Config::default()).await;
    assert_eq!(api.get(CONTACTS).await.status, 401);
    for path in [HUBSPOT, "/oauth/2026-03/token"] {
        let got = api.form(path, &refresh("test%2Drefresh-token")).await;
        let body = got.json();
        assert_eq!(
            (got.status, &body["expires_in"], &body["token_type"]),
            (200, &json!(1800), &json!("bearer"))
        );
        assert_eq!(body["refresh_token"], "test-refresh-token");
        api.token = body["access_token"].as_str().unwrap().to_owned();
        assert_eq!(api.get(CONTACTS).await.status, 404, "it is accepted");
        assert_eq!(
            body["scopes"],
            json!(["crm.objects.contacts.read", "crm.objects.contacts.write", "oauth"])
        );
        assert_eq!(api.get("/crm/v3/objects/companies/1").await.status, 403, "for these alone");
    }
    let got = api.form(HUBSPOT, &refresh("old")).await;
    let body = got.json();
    assert_eq!(
        (got.status, &body["error"], &body["status"]),
        (400, &json!("invalid_grant"), &json!("BAD_REFRESH_TOKEN"))
    );
    assert_eq!(body["error_description"], "refresh token is invalid, expired or revoked");
    let counts = api.get("/_sim/counts").await.json();
    assert_eq!((&counts["token_requests"], &counts["tokens_issued"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn salesforce_grants_tokens_by_refresh_and_by_client_credentials() {
    let mut api = with(Config::default()).await;
    for form in [refresh("test-refresh-token"), format!("grant_type=client_credentials&{CLIENT}")] {
        let got = api.form(SALESFORCE, &form).await;
        let body = got.json();
        assert_eq!(
            (got.status, &body["token_type"], body.get("expires_in")),
            (200, &json!("Bearer"), None)
        );
        assert_eq!(
            (body.get("refresh_token"), &body["instance_url"]),
            (None, &json!(api.simulator.base_url()))
        );
        assert!(body["issued_at"].as_str().unwrap().parse::<u64>().unwrap() > 1_600_000_000_000);
        api.token = body["access_token"].as_str().unwrap().to_owned();
        assert_eq!(api.get(LIMITS).await.status, 200);
    }
    let got = api.form(SALESFORCE, &refresh("old")).await;
    let refused =
        json!({"error": "invalid_grant", "error_description": "expired access/refresh token"});
    assert_eq!((got.status, got.json()), (400, refused), "an object, not a list");
}

#[tokio::test]
async fn token_endpoints_name_the_account_that_the_token_opens() {
    for number in [1, 2] {
        let mut api = with(Config { oauth_account: number, ..Config::default() }).await;
        let hubspot = api.form(HUBSPOT, &refresh("test-refresh-token")).await.json();
        api.token = hubspot["access_token"].as_str().unwrap().to_owned();
        assert_eq!(hubspot["hub_id"], 2_222_221 + number);
        assert_eq!(api.get("/account-info/v3/details").await.json()["portalId"], hubspot["hub_id"]);

        let salesforce = api.form(SALESFORCE, &refresh("test-refresh-token")).await.json();
        api.token = salesforce["access_token"].as_str().unwrap().to_owned();
        let organization =
            api.get("/services/data/v67.0/connect/organization").await.json()["orgId"]
                .as_str()
                .unwrap()
                .to_owned();
        assert_eq!(organization, record_id("00D", number - 1));
        assert_eq!(
            salesforce["id"],
            format!("https://login.salesforce.com/id/{organization}/{}", record_id("005", 0))
        );
    }
}

#[tokio::test]
async fn what_is_no_form_of_the_client_is_refused() {
    let api = with(Config::default()).await;
    for (form, error) in [
        ("grant_type=password&username=a".to_owned(), "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=test-refresh-token".to_owned(), "invalid_client"),
        (refresh("test-refresh-token").replace("client-secret", "client-guess"), "invalid_client"),
    ] {
        for path in [HUBSPOT, SALESFORCE] {
            let got = api.form(path, &form).await;
            assert_eq!((got.status, &got.json()["error"]), (400, &json!(error)), "{path} {form}");
        }
    }
    let got = api.form(SALESFORCE, "grant_type=client_credentials&client_id=test-client").await;
    assert_eq!((got.status, &got.json()["error"]), (400, &json!("invalid_client")));
    for path in [HUBSPOT, SALESFORCE] {
        let got = api
            .post(
                path,
                &json!({"grant_type": "refresh_token", "refresh_token": "test-refresh-token"}),
            )
            .await;
        assert_eq!((got.status, &got.json()["error"]), (400, &json!("invalid_request")), "{path}");
    }
    assert_eq!(api.simulator.world().tokens_issued, 0);
}

#[tokio::test]
async fn a_rotated_refresh_token_replaces_the_old_one() {
    let api = with(Config::default()).await;
    api.simulator.world().salesforce.rotate_refresh_token = true;
    api.simulator.world().hubspot.rotate_refresh_token = true;
    for path in [HUBSPOT, SALESFORCE] {
        let ask = async |token: &str| api.form(path, &refresh(token)).await;
        let body = ask("test-refresh-token").await.json();
        let new = body["refresh_token"].as_str().unwrap();
        assert_ne!(new, "test-refresh-token");
        assert_eq!(
            (ask("test-refresh-token").await.status, ask(new).await.status),
            (400, 200),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_ends_by_itself() {
    let mut api =
        with(Config { hubspot_token_ms: 1_500, salesforce_session_ms: 1_500, ..Config::default() })
            .await;
    for (path, resource, alive, expired) in [
        (HUBSPOT, CONTACTS, 404, "EXPIRED_AUTHENTICATION"),
        (SALESFORCE, LIMITS, 200, "INVALID_SESSION_ID"),
    ] {
        let began = Instant::now();
        let body = api.form(path, &refresh("test-refresh-token")).await.json();
        if path == HUBSPOT {
            assert_eq!(body["expires_in"], 1, "whole seconds, never more than it lives");
        }
        api.token = body["access_token"].as_str().unwrap().to_owned();
        let last = loop {
            let got = api.get(resource).await;
            if got.status != alive {
                break got;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(began.elapsed() >= Duration::from_millis(1_500), "it ended before its time");
        assert!(last.status == 401 && last.text.contains(expired), "{last:?}");
    }
}

/// An assertion of these claims, signed with a key.
fn signed(pem: &str, header: &Value, claims: &Value) -> String {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", encode(&signature))
}

#[tokio::test]
async fn salesforce_checks_every_part_of_an_assertion() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let good = json!({"iss": "test-client", "sub": "integration@example.com", "aud": "https://login.salesforce.com", "exp": now + 120});
    let rs256 = json!({"alg": "RS256"});
    let but = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    let config =
        Config { salesforce_certificate: Some(CERTIFICATE.to_owned()), ..Config::default() };
    let mut api = with(config.clone()).await;
    let ask = async |api: &Api, assertion: &str| {
        api.form(SALESFORCE, &format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}")).await
    };
    let own = api.simulator.base_url();
    for claims in
        [&good, &but("aud", json!("https://test.salesforce.com")), &but("aud", json!(own))]
    {
        let got = ask(&api, &signed(KEY, &rs256, claims)).await;
        assert_eq!((got.status, got.json().get("refresh_token")), (200, None), "{claims}");
        api.token = got.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(api.get(LIMITS).await.status, 200);
    }
    let whole = signed(KEY, &rs256, &good);
    let cut = whole.rsplit_once('.').unwrap().0;
    for assertion in [
        signed(OTHER_KEY, &rs256, &good),
        signed(KEY, &json!({"alg": "none"}), &good),
        signed(KEY, &rs256, &but("iss", json!("another"))),
        signed(KEY, &rs256, &but("sub", json!("another@example.com"))),
        signed(KEY, &rs256, &but("aud", json!("https://example.com"))),
        signed(KEY, &rs256, &but("exp", json!(now - 1))),
        signed(KEY, &rs256, &but("exp", json!(now + 3_600))),
        signed(KEY, &rs256, &but("exp", json!(null))),
        cut.to_owned(),
        format!("{cut}."),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        let got = ask(&api, &assertion).await;
        assert_eq!(
            (got.status, &got.json()["error"]),
            (400, &json!("invalid_grant")),
            "{assertion}"
        );
    }
    let bare = with(Config { salesforce_certificate: None, ..config }).await;
    assert_eq!(ask(&bare, &whole).await.status, 400, "an app without a certificate");
}
