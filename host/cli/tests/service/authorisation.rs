//! Who may do what: every route of the server, tried by nobody, by each role, and by the admin of
//! another org.
//!
//! The routes come from the running server's own description, so that one without a row here fails
//! the test. That nothing else is served but pages is a test beside the router.

use super::world::{Tenant, crm, hubspot_source, id, new_names, service};
use Who::{Admin, Anybody, Operator, Viewer};
use reverse_sync_tests::{
    http::{Answer, Client},
    service::Database,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The least that somebody must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Anybody,
    Viewer,
    Operator,
    Admin,
}

/// A route, who may use it, what is sent, and what those who may are answered.
struct Row(&'static str, &'static str, Who, Sent, &'static [u16]);

enum Sent {
    Nothing,
    Json(&'static str),
    Csv,
}
use Sent::{Csv, Json, Nothing};

/// `{source}`, `{destination}`, `{plan}`, `{run}` and `{key}` in a body or path are things of the
/// org, made anew for each route.
const ROWS: &[Row] = &[
    Row("GET", "/", Anybody, Nothing, &[200]),
    Row("GET", "/healthz", Anybody, Nothing, &[200]),
    Row("GET", "/readyz", Anybody, Nothing, &[200]),
    Row("GET", "/metrics", Anybody, Nothing, &[200]),
    Row("GET", "/openapi.json", Anybody, Nothing, &[200]),
    Row("POST", "/session", Anybody, Json(r#"{"api_key": "{secret}"}"#), &[204]),
    Row("DELETE", "/session", Viewer, Nothing, &[204]),
    Row("GET", "/me", Viewer, Nothing, &[200]),
    Row("GET", "/api-keys", Admin, Nothing, &[200]),
    Row("POST", "/api-keys", Admin, Json(r#"{"name": "another", "role": "viewer"}"#), &[201]),
    Row("DELETE", "/api-keys/{key}", Admin, Nothing, &[204]),
    Row("GET", "/destination-types", Viewer, Nothing, &[200]),
    Row("GET", "/sources", Viewer, Nothing, &[200]),
    Row(
        "POST",
        "/sources",
        Admin,
        Json(
            r#"{"name": "x", "provider": "hubspot", "credential": {"access_token": "pat-other"}}"#,
        ),
        &[201],
    ),
    Row("GET", "/sources/{source}", Viewer, Nothing, &[200]),
    Row("PATCH", "/sources/{source}", Admin, Json(r#"{"name": "renamed"}"#), &[200]),
    Row("DELETE", "/sources/{unused_source}", Admin, Nothing, &[204]),
    Row("POST", "/sources/{source}/check", Operator, Json("{}"), &[200]),
    Row("GET", "/destinations", Viewer, Nothing, &[200]),
    Row("POST", "/destinations", Admin, Json(DESTINATION), &[201]),
    Row("GET", "/destinations/{destination}", Viewer, Nothing, &[200]),
    Row("PATCH", "/destinations/{destination}", Admin, Json(r#"{"name": "renamed"}"#), &[200]),
    Row("DELETE", "/destinations/{destination}", Admin, Nothing, &[204]),
    Row("GET", "/golden", Viewer, Nothing, &[200]),
    Row("GET", "/golden/{entity_type}", Viewer, Nothing, &[200]),
    Row("PUT", "/golden/{entity_type}", Operator, Csv, &[200]),
    Row("POST", "/destinations/{destination}/reverse-dry-run", Operator, Json("{}"), &[200]),
    Row(
        "POST",
        "/destinations/{destination}/reverse-run",
        Operator,
        Json(r#"{"confirm": true}"#),
        &[200],
    ),
    Row("POST", "/destinations/{destination}/run", Operator, Json("{}"), &[409]),
    Row("GET", "/plans", Viewer, Nothing, &[200]),
    Row("GET", "/plans/{plan}", Viewer, Nothing, &[200]),
    Row("GET", "/plans/{plan}/changes", Viewer, Nothing, &[200]),
    Row("GET", "/plans/{plan}/skipped", Viewer, Nothing, &[200]),
    Row("GET", "/runs", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}/events", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}/outcomes", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}/rejects.csv", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}/requests", Viewer, Nothing, &[200]),
    Row("GET", "/runs/{run}/rate", Viewer, Nothing, &[200]),
    // It has ended, and was planned offline.
    Row("POST", "/runs/{run}/cancel", Operator, Json("{}"), &[409]),
    Row("POST", "/runs/{run}/resume", Operator, Json("{}"), &[409]),
    Row("POST", "/runs/{run}/undo", Operator, Json("{}"), &[409]),
    Row("GET", "/audit-log", Viewer, Nothing, &[200]),
];

const DESTINATION: &str = r#"{"name": "x", "destination_type": "hubspot_dest", "entity_type": "person",
    "config_json": {"provider_id_field": "hs_object_id", "source_id": "{source}"}}"#;

/// What routes are about; made anew for each, since some are gone afterwards.
struct Things(Vec<(&'static str, String)>);

impl Things {
    async fn of(tenant: &Tenant, simulator: &crm_simulator::Simulator) -> Things {
        tenant.golden("person", &new_names(0..1)).await;
        let destination = tenant.destination("person", &json!({})).await;
        let run = tenant.run(&destination).await.is(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let unused = id(&tenant.admin.post("/sources", &hubspot_source(simulator)).await.is(201));
        let key = tenant
            .admin
            .post("/api-keys", &json!({"name": "spare", "role": "viewer"}))
            .await
            .is(201);
        Things(vec![
            ("{source}", tenant.source.clone()),
            ("{unused_source}", unused),
            ("{destination}", destination),
            ("{plan}", text(&run["plan_id"])),
            ("{run}", text(&run["run_id"])),
            ("{key}", id(&key)),
            ("{secret}", text(&key["api_key"])),
            ("{entity_type}", "person".to_owned()),
        ])
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| *name != "{entity_type}").map(|(_, value)| value.as_str())
    }
}

async fn send(row: &Row, things: &Things, who: &Client) -> Answer {
    let Row(method, path, _, sent, _) = row;
    let call = who.call(method, &things.fill(path));
    match sent {
        Nothing => call.send().await,
        Json(body) => {
            call.header("content-type", "application/json").body(things.fill(body)).send().await
        }
        Csv => call.header("content-type", "text/csv").body(new_names(0..1)).send().await,
    }
}

/// `GET /sources/{}`: the names of parameters are the server's own affair.
fn shape(method: &str, path: &str) -> String {
    let path: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    format!("{method} {}", path.join("/"))
}

/// What the server says it has.
async fn described(client: &Client) -> BTreeSet<String> {
    let document = client.get("/openapi.json").await.is(200);
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .filter(|key| methods.contains(&key.as_str()))
                .map(|key| shape(&key.to_uppercase(), path))
        })
        .collect()
}

#[tokio::test]
async fn every_route_has_a_row_and_every_row_a_route() {
    let service = service(Database::Sqlite).await;
    let described = described(&service.client(None)).await;
    let rows: BTreeSet<String> =
        ROWS.iter().map(|Row(method, path, ..)| shape(method, path)).collect();
    let without_a_row: Vec<_> = described.difference(&rows).collect();
    assert!(without_a_row.is_empty(), "add a row for {without_a_row:?}");
    // The page is not part of the description of the API.
    let without_a_route: Vec<_> =
        rows.difference(&described).filter(|row| *row != "GET /").collect();
    assert!(without_a_route.is_empty(), "the server does not describe {without_a_route:?}");
}

async fn each_role_may_do_what_its_routes_say_and_nothing_else(database: Database) {
    let (service, simulator) = (service(database).await, crm(1).await);
    for row in ROWS {
        let Row(method, path, least, _, expected) = row;
        // Orgs of their own for each route: a quota is not what is tested.
        let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
        let other = Tenant::hubspot(&service, &simulator, "other").await;
        let things = Things::of(&tenant, &simulator).await;
        let label = format!("{method} {path}");

        let nobody = send(row, &things, &service.client(None)).await;
        if *least == Anybody {
            assert!(expected.contains(&nobody.status.as_u16()), "nobody, {label}: {nobody:?}");
        } else {
            nobody.problem(401, &[]);
        }

        // Another org's admin: what has an id is not there, and a list shows nothing of it.
        if *least > Anybody {
            let foreign = send(row, &things, &other.admin).await;
            let about_one = path.contains('{') && !path.contains("{entity_type}");
            let wanting = path.contains("{entity_type}") && *method == "GET";
            if about_one || wanting {
                foreign.problem(404, &[]);
            } else if *path == "/destinations" && *method == "POST" {
                // Whose source is another's.
                foreign.problem(422, &[]);
            } else {
                assert!(
                    expected.contains(&foreign.status.as_u16()),
                    "another org, {label}: {foreign:?}"
                );
            }
            if !foreign.status.is_client_error() {
                assert!(
                    things.ids().all(|id| !foreign.text().contains(id)),
                    "another org, {label}: {foreign:?}"
                );
            }
        }

        // The least first, so that what is deleted is still there for those who may not.
        for (role, who) in [(Viewer, "viewer"), (Operator, "operator"), (Admin, "admin")] {
            let client = tenant.member(who).await;
            let answer = send(row, &things, &client).await;
            if role < *least {
                answer.problem(403, &[]);
            } else if *method == "DELETE" && path.contains('{') && role > *least {
                answer.problem(404, &[]);
            } else {
                assert!(expected.contains(&answer.status.as_u16()), "{who}, {label}: {answer:?}");
            }
        }
    }
}

async fn a_key_of_one_org_never_becomes_one_of_another(database: Database) {
    let service = service(database).await;
    let (one, two) = (service.org("one").await.unwrap(), service.org("two").await.unwrap());
    // The id of one and the secret of the other.
    let (id, _) = one.admin.key().unwrap().rsplit_once('_').unwrap();
    let (_, secret) = two.admin.key().unwrap().rsplit_once('_').unwrap();
    one.admin.with_key(Some(&format!("{id}_{secret}"))).get("/me").await.problem(401, &[]);
    // An org that is asked for does not count, only the key's own.
    let other = format!("/me?org_id={}", two.id);
    one.admin.get(&other).await.problem(400, &["`org_id`"]);
    let asked = one.admin.call("GET", "/me").header("x-org-id", &two.id).send().await;
    assert_eq!(asked.is(200)["org"]["id"], one.id.as_str());
}

async fn a_role_cannot_give_more_than_it_has(database: Database) {
    let (service, simulator) = (service(database).await, crm(1).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant
        .admin
        .post("/api-keys", &json!({"name": "x", "role": "owner"}))
        .await
        .problem(422, &["admin"]);
    // By the command too.
    let added = service
        .run(&[
            "api-keys",
            "add",
            "--org",
            &tenant.org.id,
            "--name",
            "nightly",
            "--role",
            "operator",
        ])
        .await
        .unwrap();
    assert!(added.status.success(), "{added:?}");
    let printed: Value = serde_json::from_slice(&added.stdout).unwrap();
    let nightly = tenant.admin.with_key(printed["api_key"].as_str());
    assert_eq!(nightly.get("/me").await.is(200)["role"], "operator");
    nightly.post("/destinations", &tenant.definition()).await.problem(403, &[]);
}

async fn the_last_admin_key_of_an_org_stays(database: Database) {
    let service = service(database).await;
    let org = service.org("acme").await.unwrap();
    let keys = org.admin.get("/api-keys").await.is(200);
    let first = format!("/api-keys/{}", id(&keys["items"][0]));
    org.admin.post("/api-keys", &json!({"name": "nightly", "role": "operator"})).await.is(201);
    let problem = org.admin.delete(&first).await.problem(409, &["POST /api-keys", "admin"]);
    assert_eq!(problem["code"], "last_admin_key");
    assert_eq!(org.admin.get("/me").await.is(200)["role"], "admin");

    let second =
        org.admin.post("/api-keys", &json!({"name": "successor", "role": "admin"})).await.is(201);
    org.admin.delete(&first).await.is(204);
    org.admin.get("/me").await.problem(401, &[]);
    let successor = org.admin.with_key(second["api_key"].as_str());
    successor.delete(&format!("/api-keys/{}", id(&second))).await.problem(409, &[]);
    let rows = successor.get("/audit-log").await.is(200);
    let revoked = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"] == "api_key.revoke")
        .count();
    assert_eq!(revoked, 1, "{rows}");
}

reverse_sync_tests::on_both!(
    the_last_admin_key_of_an_org_stays,
    each_role_may_do_what_its_routes_say_and_nothing_else,
    a_key_of_one_org_never_becomes_one_of_another,
    a_role_cannot_give_more_than_it_has,
);
