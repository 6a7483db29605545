//! What an org may keep on disk: counted, shown, and refused before any work is done for nothing.

use super::world::{Tenant, contact, crm, new_names, service, service_with};
use reverse_sync_tests::service::{Database, Service};
use serde_json::json;
use std::{fs, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes of all files below a folder, in whole blocks.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                size(&entry.path())
            } else {
                entry.metadata().unwrap().len().div_ceil(4_096) * 4_096
            }
        })
        .sum()
}

/// What an org keeps, and what it may keep.
async fn kept(tenant: &Tenant) -> (u64, u64) {
    let quota = tenant.admin.get("/me").await.is(200)["quota"].clone();
    (quota["used_bytes"].as_u64().unwrap(), quota["stored_bytes"].as_u64().unwrap())
}

/// Lets an org keep so much.
async fn allow(service: &Service, tenant: &Tenant, bytes: u64) {
    let bytes = bytes.to_string();
    let arguments = [
        "orgs",
        "quota",
        "--org",
        &tenant.org.id,
        "--runs-an-hour",
        "30",
        "--runs-a-month",
        "30",
        "--stored-bytes",
        &bytes,
    ];
    let output = service.run(&arguments).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// People who were never planned, so many that they have at least this many bytes.
fn people(bytes: usize) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    while csv.len() < bytes {
        csv.push_str(&format!("{},{}\n", contact(0), "x".repeat(100)));
    }
    csv
}

/// An upload that does not say how long it is.
struct Upload(TcpStream);

impl Upload {
    /// One that the service has begun to take: it asks for the body only then.
    async fn begun(service: &Service, tenant: &Tenant, entity_type: &str) -> Upload {
        const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let address = service.place().address();
        let mut stream =
            TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
        let key = tenant.admin.key().unwrap();
        let head = format!(
            "PUT /golden/{entity_type} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: text/csv\r\n\
             transfer-encoding: chunked\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; GO_ON.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, GO_ON);
        Upload(stream)
    }

    async fn send(&mut self, piece: &str) {
        for text in [&format!("{:x}\r\n", piece.len()), piece, "\r\n"] {
            self.0.write_all(text.as_bytes()).await.unwrap();
        }
    }

    /// The status line and body of the answer.
    async fn end(mut self) -> String {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn upload_of_unknown_length(service: &Service, tenant: &Tenant, csv: &str) -> String {
    let mut upload = Upload::begun(service, tenant, "person").await;
    upload.send(csv).await;
    upload.end().await
}

async fn a_full_org_plans_nothing_more_and_writes_what_was_planned(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    assert_eq!(kept(&tenant).await, (0, 20 << 30));
    let destination = tenant.destination("person", &json!({"compare": true})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let compare = async || {
        tenant
            .admin
            .post(
                &format!("/destinations/{destination}/reverse-dry-run"),
                &json!({"mode": "compare"}),
            )
            .await
    };
    let plan = compare().await.is(200);
    let (used, _) = kept(&tenant).await;
    assert_eq!(used, size(&service.state().join("orgs").join(&tenant.org.id)));
    // A plan that is made again is there once.
    assert_eq!(compare().await.is(200)["plan_id"], plan["plan_id"]);
    assert_eq!(kept(&tenant).await.0, used);

    allow(&service, &tenant, used).await;
    assert_eq!(kept(&tenant).await, (used, used));
    let words = [
        &format!("keeps {used} bytes"),
        &format!("may keep {used}"),
        "--keep-plans-days",
        "--stored-bytes",
    ]
    .map(str::to_owned);
    let words = words.each_ref().map(String::as_str);
    let path = format!("/destinations/{destination}");
    let dry_run = tenant.admin.post(&format!("{path}/reverse-dry-run"), &json!({})).await;
    assert_eq!(dry_run.problem(507, &words)["code"], "storage_full");
    tenant
        .admin
        .post(&format!("{path}/reverse-run"), &json!({"confirm": true}))
        .await
        .problem(507, &words);
    tenant.admin.put("/golden/person", "text/csv", new_names(0..2)).await.problem(507, &words);
    let query = json!({"database_url": "postgres://localhost/crm", "query": "SELECT 1 AS id"});
    tenant.admin.call("PUT", "/golden/person").json(&query).send().await.problem(507, &words);

    // What was confirmed is carried out, whatever it writes.
    let run = tenant
        .admin
        .post(
            &format!("{path}/reverse-run?wait=120"),
            &json!({"confirm": true, "plan_id": plan["plan_id"]}),
        )
        .await
        .is(200);
    assert_eq!(run["updated"], 3, "{run}");
    // And can be undone.
    compare().await.problem(507, &["may keep"]);
    let undo = tenant
        .admin
        .post(&format!("/runs/{}/undo", run["run_id"].as_str().unwrap()), &json!({}))
        .await
        .is(200);
    assert_eq!(undo["writable"], 3, "{undo}");

    // Another org has room of its own, and this one has when it is given more.
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    other.golden("person", &new_names(0..3)).await;
    allow(&service, &tenant, 1 << 20).await;
    tenant.golden("person", &new_names(0..2)).await;
    tenant.dry_run(&destination).await;
}

async fn an_upload_goes_no_further_than_what_is_left(database: Database) {
    let arguments = ["--max-org-bytes", "100000", "--max-golden-bytes", "90000"];
    let (service, simulator) = (service_with(database, &arguments).await, crm(1).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.golden("company", &people(60_000)).await;
    let (used, allowed) = kept(&tenant).await;
    assert_eq!((used, allowed), (61_440, 100_000));

    // Too much for any upload, and too much for this org.
    tenant
        .admin
        .put("/golden/person", "text/csv", people(95_000))
        .await
        .problem(507, &["keeps 61440 bytes", "may keep 100000"]);
    let answer = upload_of_unknown_length(&service, &tenant, &people(50_000)).await;
    assert!(
        answer.starts_with("HTTP/1.1 507 ")
            && answer.contains("storage_full")
            && answer.contains("keeps 61440 bytes"),
        "{answer}"
    );
    assert_eq!(kept(&tenant).await, (used, allowed), "what was refused is not there");
    tenant.admin.get("/golden/person").await.problem(404, &[]);
    let answer = upload_of_unknown_length(&service, &tenant, &people(30_000)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Until a set is in its place, the one before it is there too; if that was never planned, its
    // room is free then.
    tenant.admin.put("/golden/company", "text/csv", people(50_000)).await.problem(507, &[]);
    for _ in 0..3 {
        tenant.golden("company", &people(5_000)).await;
        assert_eq!(kept(&tenant).await.0, 32_768 + 8_192);
    }
    allow(&service, &tenant, 1 << 30).await;
    tenant
        .admin
        .put("/golden/person", "text/csv", people(95_000))
        .await
        .problem(413, &["90000 bytes"]);
}

async fn uploads_of_unknown_length_stand_in_nobodys_way(database: Database) {
    let arguments = ["--max-org-bytes", "2097152"];
    let (service, simulator) = (service_with(database, &arguments).await, crm(1).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let csv = people(100_000);
    let (start, rest) = csv.split_at(csv.len() / 2);
    let mut first = Upload::begun(&service, &tenant, "company").await;
    first.send(start).await;
    let answer = upload_of_unknown_length(&service, &tenant, &csv).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    first.send(rest).await;
    let answer = first.end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    // What another one has taken meanwhile is not there twice.
    let before = tenant.admin.get("/golden/company").await.is(200);
    let csv = people(1_200_000);
    let mut first = Upload::begun(&service, &tenant, "company").await;
    first.send(&csv).await;
    let answer = upload_of_unknown_length(&service, &tenant, &csv).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = first.end().await;
    assert!(answer.starts_with("HTTP/1.1 507 ") && answer.contains("storage_full"), "{answer}");
    assert_eq!(tenant.admin.get("/golden/company").await.is(200), before, "nothing is replaced");
    let (used, allowed) = kept(&tenant).await;
    assert!(used <= allowed, "{used}");
}

reverse_sync_tests::on_both!(
    a_full_org_plans_nothing_more_and_writes_what_was_planned,
    an_upload_goes_no_further_than_what_is_left,
    uploads_of_unknown_length_stand_in_nobodys_way,
);
