//! Secrets go in and never come out: not in an answer, not in the log, not in the database, not in
//! a file of the state folder.

use super::world::{TOKEN, Tenant, crm, hubspot_source, id, new_names, program, service};
use crm_simulator::{Fault, Rule};
use reverse_sync_tests::{
    postgres::Postgres,
    service::{Database, Service},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{fs, path::Path};

const CLIENT_SECRET: &str = "client-secret-that-nobody-may-see-3f9a";
const REFRESH_TOKEN: &str = "refresh-token-that-nobody-may-see-77c1";

/// The forms in which a secret could be lying about.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let utf16 = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // In base64, a text has three forms, by where it begins; the inside of each is always the same.
    let base64 = (0..3).map(|shift| {
        let encoded = base64(&[&b"xxx"[..shift], secret.as_bytes()].concat());
        encoded.as_bytes()[4..encoded.len() - 4].to_vec()
    });
    [secret.as_bytes().to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes(), utf16]
        .into_iter()
        .chain(base64)
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0usize, |bits, byte| bits << 8 | *byte as usize);
        for shift in [18, 12, 6, 0] {
            text.push(DIGITS[three >> shift & 63] as char);
        }
    }
    text
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Every file below a folder.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Every row of every table, as text.
async fn rows(url: &str) -> Vec<(String, Vec<u8>)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut found = Vec::new();
    for (table,) in tables {
        let rows: Vec<(String,)> =
            sqlx::query_as(AssertSqlSafe(format!("SELECT t::text FROM \"{table}\" t")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        found.extend(rows.into_iter().map(|(row,)| (format!("table {table}"), row.into_bytes())));
    }
    found
}

/// All that the service has said, logged and kept.
async fn everything(service: &Service) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = service
        .place()
        .answers()
        .into_iter()
        .map(|answer| ("an answer".to_owned(), answer.into_bytes()))
        .collect();
    found.push(("the log".to_owned(), service.log().into_bytes()));
    files(&service.state(), &mut found);
    if service.database() == Database::Postgres {
        found.extend(rows(&service.database_url()).await);
    }
    found
}

async fn no_secret_comes_out(database: Database) {
    // As much of a log as there can be.
    let service =
        Service::start(&program(), database, &[], &[("RUST_LOG", "trace")]).await.unwrap();
    let simulator = crm(3).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;

    // A source by OAuth, one whose secret was replaced, and one that is refused although its secret
    // is good.
    let oauth = json!({"name": "by OAuth", "provider": "hubspot", "base_url": simulator.base_url(), "credential": {"oauth": {
        "grant": "refresh_token", "client_id": "test-client", "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}}});
    let oauth = id(&tenant.admin.post("/sources", &oauth).await.is(201));
    tenant.admin.post(&format!("/sources/{oauth}/check"), &json!({})).await.is(200);
    let source = format!("/sources/{}", tenant.source);
    tenant.admin.patch(&source, &json!({"credential": {"access_token": TOKEN}})).await.is(200);
    let mut wrong = hubspot_source(&simulator);
    wrong["provider"] = json!(TOKEN);
    wrong["unknown"] = json!(CLIENT_SECRET);
    tenant.admin.post("/sources", &wrong).await.problem(422, &[]);
    tenant
        .admin
        .call("POST", "/sources")
        .header("content-type", "application/json")
        .body(format!("{{\"{TOKEN}\""))
        .send()
        .await
        .problem(400, &[]);

    // Everything that uses it, and what goes wrong with it.
    tenant.golden("person", &new_names(0..3)).await;
    for mode in ["offline", "online", "compare"] {
        tenant
            .admin
            .post(&format!("/destinations/{destination}/reverse-dry-run"), &json!({"mode": mode}))
            .await
            .is(200);
    }
    tenant.admin.post(&format!("{source}/check"), &json!({})).await.is(200);
    let run = tenant.run(&destination).await.is(200);
    // A CRM that repeats the token in its answer.
    simulator.world().fault(
        Rule::next(1, Fault::WrongBody(format!("{{\"message\":\"{TOKEN}\"}}"))).on("/batch/update"),
    );
    tenant.run(&destination).await;
    simulator.world().fault(Rule::next(1, Fault::ExpiredToken));
    tenant.run(&destination).await;
    for path in [
        "/sources",
        &source,
        "/destinations",
        "/runs",
        "/audit-log",
        "/metrics",
        "/me",
        "/api-keys",
        "/golden",
    ] {
        tenant.admin.get(path).await.status.is_success().then_some(()).unwrap();
    }
    for part in ["", "/outcomes", "/requests", "/rejects.csv", "/events"] {
        tenant
            .admin
            .get(&format!("/runs/{}{part}", run["run_id"].as_str().unwrap()))
            .await
            .status
            .is_success()
            .then_some(())
            .unwrap();
    }
    assert!(
        simulator
            .world()
            .requests
            .iter()
            .any(|request| request.header("authorization") == Some(&format!("Bearer {TOKEN}"))),
        "it was used"
    );

    let secrets = |service: &Service| match service.database() {
        Database::Sqlite => {
            vec![TOKEN.to_owned(), CLIENT_SECRET.to_owned(), REFRESH_TOKEN.to_owned()]
        }
        // And the one that opens the database.
        Database::Postgres => {
            vec![
                TOKEN.to_owned(),
                CLIENT_SECRET.to_owned(),
                REFRESH_TOKEN.to_owned(),
                Postgres::shared().unwrap().password().to_owned(),
            ]
        }
    };
    for (place, bytes) in everything(&service).await {
        for secret in secrets(&service) {
            assert!(
                forms(&secret).iter().all(|form| !contains(&bytes, form)),
                "a secret is in {place}"
            );
        }
    }
}

async fn keys_are_shown_once_and_kept_as_hashes(database: Database) {
    let service = service(database).await;
    let org = service.org("acme").await.unwrap();
    let made =
        org.admin.post("/api-keys", &json!({"name": "nightly", "role": "operator"})).await.is(201);
    let key = made["api_key"].as_str().unwrap();
    org.admin.with_key(Some(key)).get("/me").await.is(200);
    org.admin.get("/api-keys").await.is(200);
    let session = org.admin.with_key(None).post("/session", &json!({"api_key": key})).await;
    let cookie = session.header("set-cookie").unwrap().split(['=', ';']).nth(1).unwrap().to_owned();

    let (_, secret) = key.rsplit_once('_').unwrap();
    let (_, admin_secret) = org.admin.key().unwrap().rsplit_once('_').unwrap();
    for (place, bytes) in everything(&service).await {
        for (name, secret) in [
            ("the key's secret", secret),
            ("the admin's secret", admin_secret),
            ("the session", &cookie),
        ] {
            // The one answer that shows it.
            let shown = place == "an answer"
                && (contains(&bytes, b"201 Created") || contains(&bytes, b"set-cookie"));
            assert!(
                shown || forms(secret).iter().all(|form| !contains(&bytes, form)),
                "{name} is in {place}"
            );
        }
    }
}

async fn the_keys_that_seal_are_for_the_owner_alone_and_can_be_rotated(database: Database) {
    use std::os::unix::fs::PermissionsExt;
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let keys = service.state().join("keys");
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    for file in fs::read_dir(service.state()).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o077,
            0,
            "{}",
            file.display()
        );
    }
    assert_eq!(tenant.admin.get("/audit-log").await.header("cache-control"), Some("no-store"));

    let before = fs::read_to_string(&keys).unwrap();
    let rotated = service.run(&["keys", "rotate"]).await.unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    assert_ne!(fs::read_to_string(&keys).unwrap(), before);
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    // What was sealed before is opened after, by the service that has been running all the time and
    // by the next.
    assert_eq!(tenant.run(&destination).await.is(200)["updated"], 3);
}

async fn without_its_keys_a_service_says_what_is_missing(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let _tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    service.kill().await.unwrap();
    fs::remove_file(service.state().join("keys")).unwrap();
    // Rather than making new ones, with which nothing that is there could be opened.
    let error = service.start_again().await.unwrap_err().to_string();
    assert!(error.contains("keys"), "{error}");
}

async fn a_replaced_credential_is_used_from_then_on(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    simulator.world().config.tokens[0].text = "pat-renewed".to_owned();
    assert_eq!(tenant.run(&destination).await.is(200)["ok"], false);
    let source = format!("/sources/{}", tenant.source);
    let before = tenant.admin.get(&source).await.is(200);
    let after = tenant
        .admin
        .patch(&source, &json!({"credential": {"access_token": "pat-renewed"}}))
        .await
        .is(200);
    assert_ne!(after["credential"]["set_at"], before["credential"]["set_at"]);
    assert_eq!(after["credential"]["kind"], "access_token");
    assert_eq!(tenant.run(&destination).await.is(200)["updated"], 3);
}

reverse_sync_tests::on_both!(
    no_secret_comes_out,
    keys_are_shown_once_and_kept_as_hashes,
    the_keys_that_seal_are_for_the_owner_alone_and_can_be_rotated,
    without_its_keys_a_service_says_what_is_missing,
    a_replaced_credential_is_used_from_then_on,
);
