//! Records that are as long as they may be: whatever is taken can be planned.

use super::world::{Tenant, contact, crm, service};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of a record's values, with four for each text.
const LARGEST: usize = 1 << 20;
/// Records before the long ones, so that the component has reason to ask for many at once.
const SHORT: usize = 600;
/// Long ones, which together are more than the component's memory.
const LONG: usize = 80;

async fn tenant(service: &Service) -> (crm_simulator::Simulator, Tenant, String) {
    let simulator = crm(1).await;
    let tenant = Tenant::hubspot(service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    (simulator, tenant, destination)
}

fn csv(long: impl Iterator<Item = String>) -> String {
    let names = (0..SHORT).map(|n| format!("New {n}")).chain(long).enumerate();
    names.fold("hs_object_id,firstname\n".to_owned(), |text, (n, name)| {
        text + &format!("{},{name}\n", contact(n))
    })
}

fn json_lines(long: impl Iterator<Item = String>) -> String {
    let names = (0..SHORT).map(|n| format!("New {n}")).chain(long).enumerate();
    names.fold(String::new(), |text, (n, name)| {
        text + &json!({"hs_object_id": contact(n), "firstname": name}).to_string() + "\n"
    })
}

async fn planned(tenant: &Tenant, destination: &str) -> Value {
    tenant
        .admin
        .post(&format!("/destinations/{destination}/reverse-dry-run"), &json!({}))
        .await
        .is(200)
}

#[tokio::test]
async fn the_longest_records_of_csv_can_be_planned() {
    let service = service(Database::Sqlite).await;
    let (_simulator, tenant, destination) = tenant(&service).await;
    let length = LARGEST - contact(0).len() - 2 * 4;
    // Each of the last ones becomes six bytes in JSON.
    let long = (0..LONG).map(|n| if n < LONG - 4 { "x" } else { "\u{1}" }.repeat(length));
    tenant.golden("person", &csv(long)).await;
    assert_eq!(planned(&tenant, &destination).await["writable"], SHORT + LONG);

    let long = ["x".to_owned(), "x".repeat(length + 1), "x".to_owned()];
    let refused = tenant.admin.put("/golden/person", "text/csv", csv(long.into_iter())).await;
    refused.problem(422, &[&format!("line {}", 1 + SHORT + 2), "1 MiB"]);
}

#[tokio::test]
async fn the_longest_records_of_json_lines_can_be_planned() {
    let service = service(Database::Sqlite).await;
    let (_simulator, tenant, destination) = tenant(&service).await;
    // With its line break, the whole line counts.
    let length =
        LARGEST - json!({"hs_object_id": contact(0), "firstname": ""}).to_string().len() - 1;
    let upload =
        async |text: String| tenant.admin.put("/golden/person", "application/x-ndjson", text).await;
    upload(json_lines((0..LONG).map(|_| "x".repeat(length)))).await.is(200);
    assert_eq!(planned(&tenant, &destination).await["writable"], SHORT + LONG);

    let long = ["x".to_owned(), "x".repeat(length + 1), "x".to_owned()];
    upload(json_lines(long.into_iter()))
        .await
        .problem(422, &[&format!("line {}", SHORT + 2), "1 MiB"]);
}

fn parquet(long: impl Iterator<Item = String>) -> Vec<u8> {
    let names: Vec<String> = (0..SHORT).map(|n| format!("New {n}")).chain(long).collect();
    let column = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let ids = (0..names.len()).map(contact).collect();
    let batch =
        RecordBatch::try_from_iter([("hs_object_id", column(ids)), ("firstname", column(names))])
            .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn the_longest_records_of_parquet_can_be_planned() {
    // What is read at once may have 64 MiB.
    const LONG: usize = 60;
    let service = service(Database::Sqlite).await;
    let (_simulator, tenant, destination) = tenant(&service).await;
    let length = LARGEST - contact(0).len() - 2 * 4;
    let upload = async |body: Vec<u8>| {
        tenant.admin.put("/golden/person", "application/vnd.apache.parquet", body).await
    };
    upload(parquet((0..LONG).map(|_| "x".repeat(length)))).await.is(200);
    assert_eq!(planned(&tenant, &destination).await["writable"], SHORT + LONG);

    let long = ["x".to_owned(), "x".repeat(length + 1), "x".to_owned()];
    upload(parquet(long.into_iter()))
        .await
        .problem(422, &[&format!("record {}", SHORT + 2), "1 MiB"]);
}

#[tokio::test]
async fn long_texts_can_be_compared() {
    const RECORDS: usize = 1_000;
    let service = service(Database::Sqlite).await;
    let simulator = crm(RECORDS).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    // As long as a text of HubSpot may be.
    let long = "x".repeat(65_536);
    let text = (0..RECORDS).fold("hs_object_id,firstname\n".to_owned(), |text, n| {
        text + &format!("{},{long}\n", contact(n))
    });
    tenant.golden("person", &text).await;
    let path = format!("/destinations/{destination}/reverse-dry-run");
    let plan = tenant.admin.post(&path, &json!({"mode": "compare"})).await.is(200);
    assert_eq!(plan["writable"], RECORDS, "{plan}");
}

/// Says yes to a plan, whatever holds it back.
async fn written(tenant: &Tenant, destination: &str, plan: &Value, verify: &str) -> Value {
    let guards: Vec<&Value> =
        plan["guards"].as_array().unwrap().iter().map(|guard| &guard["name"]).collect();
    let body =
        json!({"confirm": true, "plan_id": plan["plan_id"], "override": guards, "verify": verify});
    tenant
        .admin
        .post(&format!("/destinations/{destination}/reverse-run?wait=300"), &body)
        .await
        .is(200)
}

#[tokio::test]
async fn what_the_crm_holds_may_be_long_and_is_put_back() {
    const RECORDS: usize = 400;
    let service = service(Database::Sqlite).await;
    let simulator = crm(RECORDS).await;
    // A read of a hundred of them is longer than an answer may be, and all of them than the
    // component's memory.
    let long = |n: usize| format!("{n} {}", "x".repeat(65_000));
    let edit = |field: &str, n: usize| {
        simulator.world().hubspot.edit("contacts", &contact(n), field, &long(n))
    };
    (0..RECORDS).for_each(|n| {
        ["firstname", "lastname", "city", "jobtitle"].into_iter().for_each(|field| edit(field, n))
    });
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    let csv = (0..RECORDS)
        .fold("hs_object_id,firstname,lastname,city,jobtitle\n".to_owned(), |text, n| {
            text + &format!("{},Ada {n},Byron,London,Countess\n", contact(n))
        });
    tenant.golden("person", &csv).await;
    let path = format!("/destinations/{destination}/reverse-dry-run");
    let plan = tenant.admin.post(&path, &json!({"mode": "compare"})).await.is(200);
    assert_eq!(plan["writable"], RECORDS);
    let run = written(&tenant, &destination, &plan, "all").await;
    assert_eq!(
        (&run["updated"], &run["ok"], &run["verified"]["verified"]),
        (&json!(RECORDS), &json!(true), &json!(RECORDS))
    );

    let undo = tenant
        .admin
        .post(&format!("/runs/{}/undo", run["run_id"].as_str().unwrap()), &json!({}))
        .await
        .is(200);
    assert_eq!(undo["writable"], RECORDS);
    let undone = written(&tenant, &destination, &undo, "all").await;
    assert_eq!(
        (&undone["updated"], &undone["ok"], &undone["verified"]["verified"]),
        (&json!(RECORDS), &json!(true), &json!(RECORDS))
    );
    assert!((0..RECORDS).all(|n| simulator.world().hubspot.value("contacts", &contact(n), "city")
        == Some(long(n).as_str())));
}

#[tokio::test]
async fn a_run_may_begin_with_the_longest_records() {
    let service = service(Database::Sqlite).await;
    let (_simulator, tenant, destination) = tenant(&service).await;
    let long = "x".repeat(LARGEST - contact(0).len() - 2 * 4);
    let csv = (0..120).fold("hs_object_id,firstname\n".to_owned(), |text, n| {
        text + &format!("{},{long}\n", contact(n))
    });
    tenant.golden("person", &csv).await;
    // No CRM takes such a text. That is said of each record, and the run ends.
    let plan = planned(&tenant, &destination).await;
    let run = written(&tenant, &destination, &plan, "sample").await;
    assert_eq!(
        (&run["stopped"], &run["failed"], &run["pending"]),
        (&json!(null), &json!(120), &json!(0)),
        "{}",
        run["stopped"]
    );
}
