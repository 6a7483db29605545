//! The status codes of the specification: what is refused is refused with the right one, and says
//! what would be right. Those of conflicts and quotas are in `conflicts`.

use super::world::{
    Tenant, contact, crm, hubspot_source, id, new_names, renamed, salesforce_source, service, until,
};
use crm_simulator::Simulator;
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};

/// A service, a CRM with three contacts, and an org that can rename them.
pub(crate) async fn ready(database: Database) -> (Service, Simulator, Tenant, String) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    (service, simulator, tenant, destination)
}

pub(crate) fn reverse_run(destination: &str) -> String {
    format!("/destinations/{destination}/reverse-run?wait=120")
}

// 422

async fn a_destination_without_a_required_key_is_422_and_names_it(database: Database) {
    let (_service, _simulator, tenant, _) = ready(database).await;
    for key in ["provider_id_field", "source_id"] {
        let mut definition = tenant.definition();
        definition["config_json"].as_object_mut().unwrap().remove(key);
        let problem = tenant.admin.post("/destinations", &definition).await.problem(422, &[key]);
        assert_eq!(problem["code"], "missing_key", "{problem}");
        assert_eq!(problem["pointer"], format!("/config_json/{key}"), "{problem}");
    }
    for key in ["name", "destination_type", "entity_type", "config_json"] {
        let mut definition = tenant.definition();
        definition.as_object_mut().unwrap().remove(key);
        tenant.admin.post("/destinations", &definition).await.problem(422, &[key]);
    }
    assert_eq!(tenant.list("/destinations").await.len(), 1, "nothing of it was created");
}

/// What is wrong with a destination, what must be set to make it so, and the words that say it.
fn wrong_destinations(salesforce: &str) -> Vec<(&'static str, Value, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        ("/config_json/feilds", json!(["firstname"]), words(&["feilds"])),
        ("/feilds", json!(1), words(&["feilds"])),
        ("/config_json/fields", json!("firstname"), words(&["fields"])),
        ("/config_json/fields", json!([1]), words(&["fields"])),
        ("/config_json/provider_id_field", json!(5), words(&["provider_id_field"])),
        ("/config_json/source_id", json!(["src_1"]), words(&["source_id"])),
        ("/config_json/object", json!(true), words(&["object"])),
        ("/name", json!(1), words(&["name"])),
        ("/config_json", json!([]), words(&["config_json"])),
        (
            "/destination_type",
            json!("hubspot"),
            words(&["hubspot", "hubspot_dest", "salesforce_dest"]),
        ),
        ("/config_json/source_id", json!("src_nobody"), words(&["src_nobody"])),
        (
            "/config_json/source_id",
            json!(salesforce),
            words(&[salesforce, "salesforce", "hubspot"]),
        ),
        ("/connection_string", json!("postgres://crm/db"), words(&["connection"])),
        ("/config_json/connection_string", json!("postgres://crm/db"), words(&["connection"])),
        ("/on_duplicate_id", json!("newest"), words(&["on_duplicate_id"])),
        ("/guards", json!({"max_chnages": 1}), words(&["max_chnages"])),
        ("/guards", json!({"max_changed_percent": 101}), words(&["max_changed_percent"])),
    ]
}

/// Sets what a pointer names, which may be new.
fn set(value: &mut Value, pointer: &str, to: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[key] = to;
}

async fn a_wrong_destination_is_422_and_says_what_would_be_right(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let salesforce =
        id(&tenant.admin.post("/sources", &salesforce_source(&simulator)).await.is(201));
    for (pointer, to, words) in wrong_destinations(&salesforce) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut definition = tenant.definition();
        set(&mut definition, pointer, to);
        let problem = tenant.admin.post("/destinations", &definition).await.problem(422, &words);
        // Nothing that could be a password comes back.
        assert!(!problem.to_string().contains("crm/db"), "{problem}");
        // The same by a change of one that is there.
        let key = pointer.split('/').nth(1).unwrap();
        let change = json!({key: definition[key]});
        tenant
            .admin
            .patch(&format!("/destinations/{destination}"), &change)
            .await
            .problem(422, &words);
    }
    let destinations = tenant.list("/destinations").await;
    assert_eq!(destinations.len(), 1, "nothing of it was created");
    assert_eq!(
        destinations[0]["config_json"],
        tenant.definition()["config_json"],
        "nothing of it was changed"
    );
    assert_eq!(simulator.connections(), 0);
}

async fn a_source_of_another_org_is_as_unknown_as_one_that_never_was(database: Database) {
    let (service, simulator, tenant, _) = ready(database).await;
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    let mut definition = tenant.definition();
    definition["config_json"]["source_id"] = json!(other.source);
    let theirs =
        tenant.admin.post("/destinations", &definition).await.problem(422, &[&other.source]);
    definition["config_json"]["source_id"] = json!("src_000000000000");
    let nobodys =
        tenant.admin.post("/destinations", &definition).await.problem(422, &["src_000000000000"]);
    assert_eq!((&theirs["code"], &theirs["title"]), (&nobodys["code"], &nobodys["title"]));
}

async fn a_wrong_source_is_422_and_its_secret_does_not_come_back(database: Database) {
    let (_service, simulator, tenant, _) = ready(database).await;
    let good = hubspot_source(&simulator);
    for (pointer, to, word) in [
        ("/provider", json!("pipedrive"), "hubspot"),
        ("/provider", json!(1), "provider"),
        ("/base_url", json!("ftp://crm.example"), "base_url"),
        ("/base_url", json!("http://crm.example"), "https"),
        ("/base_url", json!("https://app.hubspot.com"), "the API is at https://api.hubapi.com"),
        ("/credential", json!({}), "credential"),
        ("/credential", json!({"access_token": ""}), "access_token"),
        ("/credential", json!({"access_token": "very-secret\nvalue"}), "access_token"),
        ("/credential", json!({"access_tokens": "very-secret"}), "access_token"),
        (
            "/credential",
            json!({"oauth": {"grant": "password", "client_id": "c", "client_secret": "very-secret"}}),
            "grant",
        ),
        (
            "/credential",
            json!({"oauth": {"grant": "refresh_token", "client_id": "c", "client_secret": "very-secret"}}),
            "refresh_token",
        ),
        ("/limit", json!({"calls": 0, "per_seconds": 10}), "calls"),
        ("/limit", json!("much"), "limit"),
        ("/acces_token", json!("very-secret"), "acces_token"),
        ("/ca_pem", json!("no certificate"), "ca_pem"),
    ] {
        let mut source = good.clone();
        set(&mut source, pointer, to);
        let answer = tenant.admin.post("/sources", &source).await;
        answer.problem(422, &[word]);
        assert!(!answer.text().contains("very-secret"), "{answer:?}");
    }
    for (base_url, right) in [
        ("https://login.salesforce.com", "https://MYDOMAIN.my.salesforce.com"),
        ("https://acme.lightning.force.com", "https://acme.my.salesforce.com"),
    ] {
        let mut source = salesforce_source(&simulator);
        source["base_url"] = json!(base_url);
        let problem = tenant.admin.post("/sources", &source).await.problem(422, &[base_url, right]);
        assert_eq!(problem["pointer"], "/base_url", "{problem}");
    }
    assert_eq!(tenant.list("/sources").await.len(), 1);
}

async fn golden_records_that_cannot_be_read_are_422_and_replace_nothing(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let before = tenant.admin.get("/golden/person").await.is(200);
    for (kind, body, words) in [
        ("text/csv", "hs_object_id,firstname\n1,A\n2,B,C\n", &["3"][..]),
        ("text/csv", "hs_object_id,hs_object_id\n1,2\n", &["hs_object_id"]),
        ("text/csv", "", &[]),
        ("application/x-ndjson", "{\"hs_object_id\":\"1\"}\n{\"hs_object_id\":\n", &["2"]),
        ("application/x-ndjson", "[1]\n", &["1"]),
        ("application/vnd.apache.parquet", "PAR1 is not enough", &[]),
        ("application/json", "{\"database_url\":\"sqlite:///nowhere\"}", &["query"]),
        ("application/json", "{\"query\":\"select 1\"}", &["database_url"]),
        (
            "application/json",
            "{\"database_url\":\"mysql://x/y\",\"query\":\"select 1\"}",
            &["sqlite", "postgres"],
        ),
    ] {
        tenant.admin.put("/golden/person", kind, body).await.problem(422, words);
        assert_eq!(tenant.admin.get("/golden/person").await.is(200), before, "{kind} {body}");
    }
    assert_eq!(tenant.dry_run(&destination).await["writable"], 3);
}

async fn a_plan_without_golden_records_is_422_and_says_how_to_bring_them(database: Database) {
    let (_service, _simulator, tenant, _) = ready(database).await;
    let destination = tenant.destination("company", &json!({})).await;
    let path = format!("/destinations/{destination}/reverse-dry-run");
    tenant.admin.post(&path, &json!({})).await.problem(422, &["company", "PUT /golden/company"]);
    tenant.admin.post(&path, &json!({"mode": "guess"})).await.problem(422, &["mode"]);
    tenant.admin.post(&path, &json!({"mood": "offline"})).await.problem(422, &["mood"]);
}

// 400

async fn anything_but_confirm_true_is_400_and_says_to_dry_run_first(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let plan = tenant.dry_run(&destination).await;
    for body in [
        json!({}),
        json!({"confirm": false}),
        json!({"confirm": "true"}),
        json!({"confirm": 1}),
        json!({"confirm": null}),
        json!({"confirm": [true]}),
        json!({"Confirm": true}),
        json!({"plan_id": plan["plan_id"]}),
        json!({"confirm": "true", "plan_id": plan["plan_id"]}),
    ] {
        let problem = tenant
            .admin
            .post(&reverse_run(&destination), &body)
            .await
            .problem(400, &["reverse-dry-run", "{\"confirm\": true}"]);
        assert_eq!(problem["code"], "not_confirmed", "{body}: {problem}");
    }
    let without_a_body = tenant.admin.call("POST", &reverse_run(&destination)).send().await;
    without_a_body.problem(400, &["reverse-dry-run"]);
    tenant
        .admin
        .call("POST", &reverse_run(&destination))
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .problem(400, &[]);
    assert_eq!(tenant.list("/runs").await, Vec::<Value>::new());
    assert_eq!(simulator.connections(), 0);
}

async fn a_body_that_is_no_json_is_400(database: Database) {
    let (_service, _simulator, tenant, _) = ready(database).await;
    let broken = tenant
        .admin
        .call("POST", "/destinations")
        .header("content-type", "application/json")
        .body("{\"name\": ")
        .send()
        .await;
    broken.problem(400, &[]);
    for query in ["limit=0", "limit=501", "limit=many", "after=%00%ff"] {
        tenant.admin.get(&format!("/runs?{query}")).await.problem(400, &[]);
    }
    tenant.admin.get("/runs?status=tired").await.problem(400, &["succeeded"]);
}

// 401, 403, 404 (the whole matrix is in `authorisation`)

async fn a_request_without_a_valid_key_is_401(database: Database) {
    let (_service, _simulator, tenant, _) = ready(database).await;
    let key = tenant.admin.key().unwrap().to_owned();
    let (without_secret, _) = key.rsplit_once('_').unwrap();
    let mut wrong = key.clone();
    let last = if wrong.ends_with('0') { '1' } else { '0' };
    wrong.pop();
    wrong.push(last);
    for key in [
        None,
        Some(""),
        Some("rsk_"),
        Some("nonsense"),
        Some(without_secret),
        Some(&wrong),
        Some(&key.to_uppercase()),
    ] {
        let answer = tenant.admin.with_key(key).get("/me").await;
        answer.problem(401, &[]);
        assert!(
            answer.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")),
            "{answer:?}"
        );
    }
    let nobody = tenant.admin.with_key(None);
    nobody
        .call("GET", "/me")
        .header("authorization", &format!("Basic {key}"))
        .send()
        .await
        .problem(401, &[]);
    nobody.post("/session", &json!({"api_key": wrong})).await.problem(401, &[]);
    nobody.post("/session", &json!({"login_code": "000000"})).await.problem(401, &[]);

    let viewer = tenant.member("viewer").await;
    viewer.get("/me").await.is(200);
    let keys = tenant.list("/api-keys").await;
    let viewer_key = keys.iter().find(|key| key["role"] == "viewer").unwrap();
    assert_eq!(viewer_key.get("api_key"), None);
    tenant.admin.delete(&format!("/api-keys/{}", viewer_key["id"].as_str().unwrap())).await.is(204);
    viewer.get("/me").await.problem(401, &[]);
}

async fn a_session_is_a_cookie_that_needs_a_header_to_write(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let nobody = tenant.admin.with_key(None);
    let entered = nobody.post("/session", &json!({"api_key": tenant.admin.key()})).await;
    entered.is(204);
    let set = entered.header("set-cookie").unwrap();
    for word in ["reverse_sync_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(word), "{set}");
    }
    let cookie = set.split(';').next().unwrap();
    let with_cookie = |method: &str, path: &str| nobody.call(method, path).header("cookie", cookie);
    assert_eq!(with_cookie("GET", "/me").send().await.is(200)["role"], "admin");

    let dry_run = format!("/destinations/{destination}/reverse-dry-run");
    with_cookie("POST", &dry_run).json(&json!({})).send().await.problem(403, &["x-reverse-sync"]);
    with_cookie("DELETE", &format!("/destinations/{destination}"))
        .send()
        .await
        .problem(403, &["x-reverse-sync"]);
    with_cookie("POST", &dry_run)
        .header("x-reverse-sync", "1")
        .json(&json!({}))
        .send()
        .await
        .is(200);

    with_cookie("DELETE", "/session").header("x-reverse-sync", "1").send().await.is(204);
    with_cookie("GET", "/me").send().await.problem(401, &[]);
}

async fn what_a_role_may_not_do_is_403_and_names_the_role(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    let (viewer, operator) = (tenant.member("viewer").await, tenant.member("operator").await);
    viewer
        .post(&reverse_run(&destination), &json!({"confirm": true}))
        .await
        .problem(403, &["operator"]);
    operator.post("/destinations", &tenant.definition()).await.problem(403, &["admin"]);
    operator
        .post("/api-keys", &json!({"name": "x", "role": "admin"}))
        .await
        .problem(403, &["admin"]);
    assert_eq!(simulator.connections(), 0);
}

async fn ids_of_another_org_are_404_like_those_that_never_were(database: Database) {
    let (service, simulator, tenant, destination) = ready(database).await;
    let run = tenant.run(&destination).await.is(200);
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    let (plan, run) = (run["plan_id"].as_str().unwrap(), run["run_id"].as_str().unwrap());
    for path in [
        format!("/destinations/{destination}"),
        format!("/sources/{}", tenant.source),
        format!("/plans/{plan}"),
        format!("/plans/{plan}/changes"),
        format!("/runs/{run}"),
        format!("/runs/{run}/rejects.csv"),
        format!("/runs/{run}/events"),
        "/golden/person".to_owned(),
    ] {
        tenant.admin.get(&path).await.status.is_success().then_some(()).unwrap();
        let theirs = other.admin.get(&path).await.problem(404, &[]);
        let nobodys = other
            .admin
            .get(
                &path
                    .replace(&destination, "dst_0")
                    .replace(plan, &format!("plan_{}", "0".repeat(32))),
            )
            .await;
        assert_eq!(nobodys.problem(404, &[])["code"], theirs["code"]);
    }
    other.admin.post(&reverse_run(&destination), &json!({"confirm": true})).await.problem(404, &[]);
    // Their plan for one's own destination.
    other.golden("person", &new_names(0..1)).await;
    let own = other.destination("person", &json!({})).await;
    other
        .admin
        .post(&reverse_run(&own), &json!({"confirm": true, "plan_id": plan}))
        .await
        .problem(404, &[]);
}

async fn a_parameter_that_a_route_does_not_take_is_400(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let admin = &tenant.admin;
    admin.get("/runs?stauts=failed").await.problem(400, &["`stauts`", "did you mean `status`?"]);
    admin.get("/runs?status=done").await.problem(400, &["`status` must be one of", "`cancelling`"]);
    admin.get("/runs?limit=many").await.problem(400, &["`limit` must be a whole number"]);
    admin.get(&format!("/destinations/{destination}?x=1")).await.problem(400, &["takes none"]);
    admin.delete("/api-keys/key_0?force=1").await.problem(400, &["`force`"]);
    admin.get("/destination-types?limit=1").await.is(200);
    // Who asks whether the service is there may ask in any way.
    tenant.admin.get("/healthz?x=1").await;
}

// 404, 405, 413, 415

async fn what_is_no_route_or_no_method_of_it_is_a_problem_too(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    tenant.admin.get("/destination").await.problem(404, &[]);
    tenant.admin.get("/destinations/..%2f..%2fetc%2fpasswd").await.problem(404, &[]);
    tenant.admin.get("/golden/nothing").await.problem(404, &["nothing"]);
    tenant.admin.delete("/destinations").await.problem(405, &[]);
    tenant
        .admin
        .call("PUT", &format!("/destinations/{destination}"))
        .json(&json!({}))
        .send()
        .await
        .problem(405, &[]);
}

async fn a_body_that_is_too_large_is_413(database: Database) {
    let (service, simulator) = (service(database).await, crm(1).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let mut definition = tenant.definition();
    definition["name"] = json!("x".repeat(8 << 20));
    tenant.admin.post("/destinations", &definition).await.problem(413, &[]);
}

async fn golden_records_beyond_the_limit_are_413_and_replace_nothing(database: Database) {
    let service = super::world::service_with(database, &["--max-golden-bytes", "100000"]).await;
    let simulator = crm(1).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let before = tenant.golden("person", &new_names(0..3)).await;
    let large = new_names(0..10_000);
    assert!(large.len() > 100_000);
    tenant.admin.put("/golden/person", "text/csv", large).await.problem(413, &["100000"]);
    assert_eq!(tenant.admin.get("/golden/person").await.is(200), before);
}

async fn a_kind_of_body_that_is_not_read_is_415_and_says_which_are(database: Database) {
    let (_service, _simulator, tenant, _) = ready(database).await;
    for kind in ["text/xml", "application/zip"] {
        tenant
            .admin
            .put("/golden/person", kind, "x")
            .await
            .problem(415, &["text/csv", "application/x-ndjson", "parquet"]);
    }
    tenant
        .admin
        .call("PUT", "/golden/person")
        .body("hs_object_id\n1\n")
        .send()
        .await
        .problem(415, &["text/csv"]);
    let encoded = tenant
        .admin
        .call("PUT", "/golden/person")
        .header("content-type", "text/csv")
        .header("content-encoding", "br");
    encoded.body("x").send().await.problem(415, &["gzip"]);
    let form = tenant
        .admin
        .call("POST", "/destinations")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("name=x");
    form.send().await.problem(415, &["application/json"]);
}

// What is always there

async fn every_answer_carries_a_request_id(database: Database) {
    let (_service, _simulator, tenant, destination) = ready(database).await;
    let mut seen = std::collections::BTreeSet::new();
    for path in [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/me",
        "/nowhere",
        "/",
        "/metrics",
        &format!("/destinations/{destination}"),
    ] {
        let answer = tenant.admin.get(path).await;
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("{answer:?}"));
        assert!(seen.insert(id.to_owned()), "{id} came twice");
    }
    assert_eq!(tenant.admin.with_key(None).get("/healthz").await.text().trim(), "ok");
    let ready = tenant.admin.with_key(None).get("/readyz").await.is(200);
    assert_eq!(ready["database"], "ok");
    assert!(ready["component"].as_str().unwrap().starts_with("sha256:"), "{ready}");
}

async fn a_failed_record_is_in_the_answer_with_the_words_of_the_crm(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    tenant.golden("person", &new_names(0..4)).await;
    let run = tenant.run(&destination).await.is(200);
    assert_eq!(
        (&run["ok"], &run["updated"], &run["failed"], &run["status"]),
        (&json!(false), &json!(3), &json!(1), &json!("failed"))
    );
    let errors = run["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{run}");
    assert_eq!(
        (&errors[0]["provider_id"], &errors[0]["outcome"]),
        (&json!(contact(3)), &json!("failed")),
        "{run}"
    );
    assert!(
        errors[0]["response"]["message"]
            .as_str()
            .unwrap()
            .contains("Could not get some CONTACT objects"),
        "{run}"
    );
    assert_eq!(renamed(&simulator, 0..4), 3);
    let rejects =
        tenant.admin.get(&format!("/runs/{}/rejects.csv", run["run_id"].as_str().unwrap())).await;
    assert!(
        rejects.header("content-disposition").is_some_and(|text| text.starts_with("attachment")),
        "{rejects:?}"
    );
    assert!(
        rejects.text().contains(&contact(3)) && !rejects.text().contains(&contact(0)),
        "{rejects:?}"
    );
}

async fn a_token_that_is_refused_ends_the_run_and_says_what_is_missing(database: Database) {
    let (_service, simulator, tenant, destination) = ready(database).await;
    simulator.world().config.tokens[0].can_write = false;
    let run = tenant.run(&destination).await.is(200);
    assert_eq!((&run["ok"], &run["updated"]), (&json!(false), &json!(0)), "{run}");
    assert!(run["required_rights"].as_str().is_some_and(|text| text.contains("write")), "{run}");
    let check =
        tenant.admin.post(&format!("/sources/{}/check", tenant.source), &json!({})).await.is(200);
    assert_eq!(check["reachable"], true, "{check}");
    simulator.world().config.tokens[0].expired = true;
    let check =
        tenant.admin.post(&format!("/sources/{}/check", tenant.source), &json!({})).await.is(200);
    assert_eq!((&check["ok"], &check["authorized"]), (&json!(false), &json!(false)), "{check}");
    // It has not only been refused: nothing was changed.
    assert_eq!(simulator.world().writes.len(), 0);
    until("the run to be in the audit log", async || {
        let rows = tenant.list("/audit-log").await;
        rows.iter().any(|row| row["action"] == "destination.reverse_run.failed").then_some(())
    })
    .await;
}

reverse_sync_tests::on_both!(
    a_destination_without_a_required_key_is_422_and_names_it,
    a_wrong_destination_is_422_and_says_what_would_be_right,
    a_source_of_another_org_is_as_unknown_as_one_that_never_was,
    a_wrong_source_is_422_and_its_secret_does_not_come_back,
    golden_records_that_cannot_be_read_are_422_and_replace_nothing,
    a_plan_without_golden_records_is_422_and_says_how_to_bring_them,
    anything_but_confirm_true_is_400_and_says_to_dry_run_first,
    a_body_that_is_no_json_is_400,
    a_request_without_a_valid_key_is_401,
    a_session_is_a_cookie_that_needs_a_header_to_write,
    what_a_role_may_not_do_is_403_and_names_the_role,
    ids_of_another_org_are_404_like_those_that_never_were,
    a_parameter_that_a_route_does_not_take_is_400,
    what_is_no_route_or_no_method_of_it_is_a_problem_too,
    a_body_that_is_too_large_is_413,
    golden_records_beyond_the_limit_are_413_and_replace_nothing,
    a_kind_of_body_that_is_not_read_is_415_and_says_which_are,
    every_answer_carries_a_request_id,
    a_failed_record_is_in_the_answer_with_the_words_of_the_crm,
    a_token_that_is_refused_ends_the_run_and_says_what_is_missing,
);
