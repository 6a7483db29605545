//! The specification's walk-through, sections 2 to 5, over HTTP and to the digit.

use super::world::{TOKEN, Tenant, contact, crm, id, salesforce_contact, service};
use reverse_sync_tests::{masked, service::Database};
use serde_json::{Value, json};

/// The golden records of section 4: 53, of which two carry an id.
fn golden() -> String {
    let mut csv = "hs_object_id,firstname\n492564112121,Brian\n492564112124,Maria\n".to_owned();
    for n in 0..51 {
        csv.push_str(&format!(",Person {n}\n"));
    }
    csv
}

/// The specification's example, and that an answer has each of its keys with its value. Further
/// keys may follow.
#[track_caller]
fn assert_has(answer: &Value, example: &Value) {
    for (key, value) in example.as_object().unwrap() {
        assert_eq!(&answer[key], value, "{key} in {answer}");
    }
}

async fn from_create_to_confirmed_push(database: Database) {
    let (service, simulator) = (service(database).await, crm(2).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;

    // 2. A destination.
    let definition = json!({
        "name": "HubSpot reverse", "destination_type": "hubspot_dest", "entity_type": "person",
        "config_json": {"provider_id_field": "hs_object_id", "source_id": tenant.source, "object": "contacts",
                        "fields": ["firstname", "lastname", "email", "company", "city"]},
    });
    let created = tenant.admin.post("/destinations", &definition).await.is(201);
    assert_has(&created, &definition);
    let destination = id(&created);
    assert!(destination.starts_with("dst_"), "{created}");
    for key in ["created_at", "updated_at"] {
        assert!(created[key].as_str().is_some_and(|time| time.ends_with('Z')), "{created}");
    }
    assert_eq!(tenant.admin.get(&format!("/destinations/{destination}")).await.is(200), created);
    assert_eq!(tenant.list("/destinations").await, vec![created]);

    // 1. The golden records.
    let set = tenant.golden("person", &golden()).await;
    assert_has(
        &set,
        &json!({"entity_type": "person", "format": "csv", "records": 53, "columns": ["hs_object_id", "firstname"]}),
    );

    // 4. The dry run.
    let plan = tenant.dry_run(&destination).await;
    let sample = json!([{"provider_id": "492564112121", "fields": {"firstname": "Brian"}},
                        {"provider_id": "492564112124", "fields": {"firstname": "Maria"}}]);
    assert_has(
        &plan,
        &json!({"dry_run": true, "total": 53, "writable": 2, "skipped": 51, "sample": sample}),
    );
    assert_has(
        &plan,
        &json!({"skipped_by_reason": {"provider_id_null": 51}, "hint": null, "mode": "offline", "undoes": null}),
    );
    assert_eq!(plan["skipped_rows"], json!([]), "a missing id needs no words: {plan}");
    // A field that the golden records do not have is most likely a typo.
    let warnings = plan["warnings"].to_string();
    assert!(warnings.contains("lastname") && warnings.contains("city"), "{plan}");
    assert_eq!(simulator.connections(), 0, "a dry run needs no CRM");
    let plan_path = format!("/plans/{}", plan["plan_id"].as_str().unwrap());
    assert_has(
        &tenant.admin.get(&plan_path).await.is(200),
        &json!({"total": 53, "writable": 2, "plan_id": plan["plan_id"]}),
    );
    let changes = tenant.list(&format!("{plan_path}/changes")).await;
    assert_eq!(changes.len(), 2);
    assert_has(
        &changes[0],
        &json!({"change": 0, "provider_id": "492564112121", "fields": {"firstname": "Brian"}, "before": null}),
    );
    let skipped = tenant.list(&format!("{plan_path}/skipped")).await;
    assert_eq!(
        skipped.iter().map(|item| item["rows"].as_u64().unwrap()).sum::<u64>(),
        51,
        "{skipped:?}"
    );

    // 5. The confirmed run.
    let path = format!("/destinations/{destination}/reverse-run");
    let run = tenant
        .admin
        .post(&path, &json!({"confirm": true, "plan_id": plan["plan_id"]}))
        .await
        .is(200);
    assert_has(
        &run,
        &json!({"ok": true, "dry_run": false, "updated": 2, "skipped": 51, "errors": []}),
    );
    assert_has(
        &run,
        &json!({"plan_id": plan["plan_id"], "destination_id": destination, "status": "succeeded", "errors_truncated": false}),
    );

    // Exactly this was sent: the metadata that an offline plan is compared with, and the update.
    {
        let world = simulator.world();
        let requests: Vec<_> = world
            .requests
            .iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect();
        assert_eq!(
            requests,
            ["GET /crm/v3/properties/contacts", "POST /crm/v3/objects/contacts/batch/update"]
        );
        let inputs = json!({"inputs": [{"id": "492564112121", "properties": {"firstname": "Brian"}},
                                       {"id": "492564112124", "properties": {"firstname": "Maria"}}]});
        assert_eq!(serde_json::from_slice::<Value>(&world.requests[1].body).unwrap(), inputs);
    }

    // It can be looked up afterwards.
    let run_path = format!("/runs/{}", run["run_id"].as_str().unwrap());
    let kept = tenant.admin.get(&run_path).await.is(200);
    assert_has(
        &kept,
        &json!({"status": "succeeded", "ok": true, "updated": 2, "skipped": 51, "total": 53, "pending": 0}),
    );
    let outcomes = tenant.list(&format!("{run_path}/outcomes?outcome=updated")).await;
    let updated: Vec<_> =
        outcomes.iter().map(|outcome| outcome["provider_id"].as_str().unwrap()).collect();
    assert_eq!(updated, ["492564112121", "492564112124"]);
    let sent = tenant.list(&format!("{run_path}/requests")).await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_has(
        &sent[1],
        &json!({"method": "POST", "path": "/crm/v3/objects/contacts/batch/update", "status": 200}),
    );
    let events = tenant.admin.get(&format!("{run_path}/events")).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(
        events.text().contains("event: run") && events.text().contains("\"succeeded\""),
        "{events:?}"
    );
    let audited = tenant.list("/audit-log").await;
    let row = audited.iter().find(|row| row["action"] == "destination.reverse_run").unwrap();
    assert_has(
        row,
        &json!({"run_id": run["run_id"], "plan_id": plan["plan_id"], "destination_id": destination, "org_id": tenant.org.id}),
    );
}

async fn confirming_without_a_plan_plans_and_runs(database: Database) {
    let (service, simulator) = (service(database).await, crm(2).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &golden()).await;
    let run = tenant.run(&destination).await.is(200);
    assert_has(
        &run,
        &json!({"ok": true, "dry_run": false, "updated": 2, "skipped": 51, "errors": []}),
    );
    assert!(run["plan_id"].as_str().is_some_and(|id| id.starts_with("plan_")), "{run}");
    assert_eq!(tenant.list("/plans").await.len(), 1);
}

async fn golden_records_without_ids_say_what_is_missing(database: Database) {
    let (service, simulator) = (service(database).await, crm(2).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant
        .golden(
            "person",
            "hs_object_id,firstname\n,A\n492564112121.0,B\n 492564112121,C\n4.92564112121e11,D\n",
        )
        .await;
    let plan = tenant.dry_run(&destination).await;
    assert_has(&plan, &json!({"total": 4, "writable": 0, "skipped": 4}));
    assert!(
        plan["hint"].as_str().is_some_and(|hint| hint.contains("ingest and resolve")),
        "{plan}"
    );
    let run = tenant.run(&destination).await.is(200);
    assert_has(&run, &json!({"ok": true, "updated": 0, "skipped": 4, "errors": []}));
    assert_eq!(simulator.world().writes.len(), 0);
}

async fn salesforce_gets_the_same_treatment(database: Database) {
    let (service, simulator) = (service(database).await, crm(2).await);
    let tenant = Tenant::salesforce(&service, &simulator, "acme").await;
    let definition = json!({
        "name": "Salesforce reverse", "destination_type": "salesforce_dest", "entity_type": "person",
        "config_json": {"provider_id_field": "Id", "source_id": tenant.source, "fields": ["FirstName"]},
    });
    let destination = id(&tenant.admin.post("/destinations", &definition).await.is(201));
    let (first, second) = (salesforce_contact(0), salesforce_contact(1));
    // The second by its short id.
    let jsonl = format!(
        "{{\"Id\":\"{first}\",\"FirstName\":\"Ada\"}}\n{{\"Id\":\"{}\",\"FirstName\":\"Bob\"}}\n{{\"FirstName\":\"C\"}}\n",
        &second[..15]
    );
    tenant.admin.put("/golden/person", "application/x-ndjson", jsonl).await.is(200);
    let run = tenant.run(&destination).await.is(200);
    assert_has(&run, &json!({"ok": true, "updated": 2, "skipped": 1, "errors": []}));
    let world = simulator.world();
    assert_eq!(world.salesforce.value("Contact", &first, "FirstName"), Some(&json!("Ada")));
    assert_eq!(world.salesforce.value("Contact", &second, "FirstName"), Some(&json!("Bob")));
}

async fn a_compared_run_can_be_undone(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({"compare": true})).await;
    let before: Vec<String> = (0..3)
        .map(|n| {
            simulator
                .world()
                .hubspot
                .value("contacts", &contact(n), "firstname")
                .unwrap()
                .to_owned()
        })
        .collect();
    tenant.golden("person", &super::world::new_names(0..3)).await;

    let path = format!("/destinations/{destination}/reverse-dry-run");
    let plan = tenant.admin.post(&path, &json!({"mode": "compare"})).await.is(200);
    let changes =
        tenant.list(&format!("/plans/{}/changes", plan["plan_id"].as_str().unwrap())).await;
    assert_eq!(changes[1]["before"], json!({"firstname": before[1]}), "{changes:?}");
    let by_field = tenant
        .list(&format!("/plans/{}/changes?field=lastname", plan["plan_id"].as_str().unwrap()))
        .await;
    assert_eq!(by_field, Vec::<Value>::new());

    let path = format!("/destinations/{destination}/reverse-run?wait=120");
    let body = json!({"confirm": true, "plan_id": plan["plan_id"]});
    let run = tenant.admin.post(&path, &body).await.is(200);
    assert_has(&run, &json!({"ok": true, "updated": 3, "can_undo": true}));

    // What somebody changed since is left alone, and named.
    let undo_path = format!("/runs/{}/undo", run["run_id"].as_str().unwrap());
    let edit =
        |name: &str| simulator.world().hubspot.edit("contacts", &contact(2), "firstname", name);
    edit("Somebody");
    let undo = tenant.admin.post(&undo_path, &json!({})).await.is(200);
    assert_has(&undo, &json!({"writable": 2, "skipped": 1}));
    let left = &undo["skipped_rows"][0];
    assert_has(left, &json!({"first_row": 3, "rows": 1, "reason": "changed_since"}));
    assert!(
        left["detail"].as_str().unwrap().contains(&contact(2))
            && undo["skipped_rows"].as_array().unwrap().len() == 1,
        "{undo}"
    );
    edit("New 2");

    let undo = tenant.admin.post(&undo_path, &json!({})).await.is(200);
    assert_has(&undo, &json!({"dry_run": true, "writable": 3, "undoes": run["run_id"]}));
    let undone = tenant
        .admin
        .post(&path, &json!({"confirm": true, "plan_id": undo["plan_id"]}))
        .await
        .is(200);
    assert_has(&undone, &json!({"ok": true, "updated": 3, "undoes": run["run_id"]}));
    for (n, name) in before.iter().enumerate() {
        assert_eq!(
            simulator.world().hubspot.value("contacts", &contact(n), "firstname"),
            Some(name.as_str())
        );
    }
}

/// The session of `docs/service.md`, as it is typed there: what it prints is what the page says,
/// apart from the digits of ids.
#[tokio::test]
#[ignore = "needs curl and jq: .ci/install test"]
async fn the_documented_session_is_what_happens() {
    let (service, simulator) = (service(Database::Sqlite).await, crm(100).await);
    let org = service.org("acme").await.unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/service.md")).unwrap();
    let session = page.split("```").find(|block| block.contains("$ SOURCE=$(api ")).unwrap();
    let (mut script, mut printed) = ("set -euo pipefail\n".to_owned(), String::new());
    for line in session.lines().skip(1) {
        match line.strip_prefix("$ ") {
            Some(typed) => script.push_str(&format!("{typed}\n")),
            None if line.starts_with("    ") => script.push_str(&format!("{line}\n")),
            None => printed.push_str(&format!("{line}\n")),
        }
    }
    let address = service.place().address();
    // This service is there already, and has its key elsewhere.
    let script = script.replace("reverse-sync serve --state example-state > serve.log &\n", "");
    let log = service.state().join("serve.log");
    let key = org.admin.key().unwrap();
    std::fs::write(&log, format!("API key, shown this once: {key}\n")).unwrap();
    let script = script
        .replace("serve.log", &log.display().to_string())
        .replace("test-token", TOKEN)
        .replace("localhost:8080", address.trim_start_matches("http://"))
        .replace("http://127.0.0.1:8099", &simulator.base_url())
        .replace("examples/", &format!("{}/examples/", root.display()))
        .replace("plan.json", &service.state().join("plan.json").display().to_string());
    let ended = tokio::process::Command::new("bash").args(["-c", &script]).output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(masked(&String::from_utf8(ended.stdout).unwrap()), masked(&printed));
}

reverse_sync_tests::on_both!(
    from_create_to_confirmed_push,
    confirming_without_a_plan_plans_and_runs,
    golden_records_without_ids_say_what_is_missing,
    salesforce_gets_the_same_treatment,
    a_compared_run_can_be_undone,
);
