//! The store, on SQLite and on PostgreSQL: what belongs to one org is not there for another, what has to be counted is
//! counted once, and what was logged stays.

use reverse_sync::{
    destination::{Destination, OnDuplicateId},
    journal::{Ending, Problem},
    server::store::{AuditEntry, Begun, Changed, NewGolden, NewRun, NewSource, Quota, Resumed, RunFilter, Status, Store},
};
use reverse_sync_tests::{postgres::Postgres, service::Database};
use serde_json::{Map, json};

/// A store of its own; the folder is its life.
async fn open(database: Database) -> (tempfile::TempDir, Store, String) {
    let dir = tempfile::tempdir().unwrap();
    let url = match database {
        Database::Sqlite => Store::file_url(&dir.path().join("test.db")),
        Database::Postgres => Postgres::shared().unwrap().database().await.unwrap(),
    };
    (dir, Store::open(&url).await.unwrap(), url)
}

fn destination(source_id: &str) -> Destination {
    let mut config_json = Map::new();
    config_json.insert("source_id".to_owned(), json!(source_id));
    Destination {
        name: "people".to_owned(),
        destination_type: "hubspot_dest".to_owned(),
        entity_type: "person".to_owned(),
        config_json,
        on_duplicate_id: OnDuplicateId::Skip,
        guards: serde_json::from_value(json!({})).unwrap(),
    }
}

async fn source(store: &Store, org: &str) -> String {
    let id = Store::new_source_id();
    let new = NewSource { name: "HubSpot", provider: "hubspot", settings: "{}", credential: "v1.k.c2VhbGVk", credential_summary: "{}" };
    store.add_source(org, &id, new).await.unwrap();
    id
}

fn run<'a>(org: &'a str, run_id: &'a str, destination_id: &'a str, idempotency: Option<(&'a str, &'a str)>) -> NewRun<'a> {
    let plan_id = "plan_0123456789abcdef0123456789abcdef";
    NewRun { org_id: org, run_id, plan_id, destination_id, options: "{}", idempotency, started_by: "ada", goes_on: false }
}

fn entry(org: &str, action: &str) -> AuditEntry {
    AuditEntry {
        action: action.to_owned(),
        who: "ada".to_owned(),
        org_id: org.to_owned(),
        detail: "{}".to_owned(),
        ..AuditEntry::default()
    }
}

async fn another_orgs_rows_are_not_there(database: Database) {
    let (_dir, store, url) = open(database).await;
    let (acme, other) = (store.add_org("Acme", false).await.unwrap(), store.add_org("Other", false).await.unwrap());
    let source_id = source(&store, &acme).await;
    let row = store.add_destination(&acme, &source_id, &destination(&source_id)).await.unwrap();
    store.log(&entry(&acme, "destination.created")).await.unwrap();

    assert!(store.source(&other, &source_id).await.unwrap().is_none());
    assert!(store.destination(&other, &row.destination_id).await.unwrap().is_none());
    assert_eq!(store.remove_destination(&other, &row.destination_id).await.unwrap(), Changed::Missing);
    assert!(store.audit_log(&other, i64::MAX, 10).await.unwrap().is_empty());
    assert!(store.sources(&other, "", 10).await.unwrap().is_empty());

    // A source in use stays, and so does all of it when the store is opened again.
    assert!(store.remove_source(&acme, &source_id).await.is_err());
    store.close().await;
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.destination(&acme, &row.destination_id).await.unwrap().unwrap().destination, destination(&source_id));
    assert_eq!(store.remove_destination(&acme, &row.destination_id).await.unwrap(), Changed::Done);
    assert!(store.remove_source(&acme, &source_id).await.unwrap());
}

async fn a_run_begins_once_and_within_the_orgs_quota(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false).await.unwrap();
    store.set_quota(&org, Quota { runs_an_hour: 2, runs_a_month: 10 }).await.unwrap();

    // Ten requests with one key at once: one run.
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let (store, org) = (store.clone(), org.clone());
            tokio::spawn(async move {
                let id = format!("run_0123456789ab_{n}");
                matches!(store.begin_run(&run(&org, &id, "dst_1", Some(("key", "hash")))).await.unwrap(), Begun::Queued)
            })
        })
        .collect();
    let mut begun = 0;
    for task in tasks {
        begun += usize::from(task.await.unwrap());
    }
    assert_eq!(begun, 1);
    let first = store.run_by_key(&org, "key").await.unwrap().unwrap();

    // One run of a destination at a time, and no more than the quota allows.
    let second = run(&org, "run_0123456789ab_20", "dst_1", None);
    assert!(matches!(store.begin_run(&second).await.unwrap(), Begun::UnderWay(id) if id == first.run_id));
    store.end_run(&org, &first.run_id, Status::Succeeded, "{}", &[], &entry(&org, "destination.reverse_run")).await.unwrap();
    assert!(matches!(store.begin_run(&second).await.unwrap(), Begun::Queued));
    let third = run(&org, "run_0123456789ab_21", "dst_2", None);
    assert!(matches!(store.begin_run(&third).await.unwrap(), Begun::Wait(ms) if ms > 3_500_000 && ms <= 3_600_000));
    let usage = store.usage(&org).await.unwrap();
    assert_eq!((usage.used, usage.used_this_month), (2, 2));
    // Another org has its own.
    let other = store.add_org("Other", false).await.unwrap();
    assert!(matches!(store.begin_run(&run(&other, "run_0123456789ab_20", "dst_1", Some(("key", "hash")))).await.unwrap(), Begun::Queued));
}

async fn a_run_ends_once_with_its_problems_and_its_audit_row(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false).await.unwrap();
    let id = "run_0123456789ab_1";
    assert!(matches!(store.begin_run(&run(&org, id, "dst_1", None)).await.unwrap(), Begun::Queued));
    store.set_run_status(&org, id, Status::Running).await.unwrap();
    assert_eq!(store.unfinished_runs().await.unwrap().len(), 1);
    let problem = |change: u64| -> Problem {
        let json = json!({"change": change, "row": change + 1, "provider_id": "7", "status": 400, "code": "BAD\0", "message": "é\0"});
        serde_json::from_value(json).unwrap()
    };
    let problems = [(Ending::Failed, problem(3)), (Ending::Unknown, problem(5))];
    for _ in 0..2 {
        // The second time, its end is on record already.
        store
            .end_run(&org, id, Status::Failed, "{\"updated\":1}", &problems, &entry(&org, "destination.reverse_run.failed"))
            .await
            .unwrap();
    }
    let found = store.problems(&org, id, 10).await.unwrap();
    assert_eq!(found.iter().map(|problem| (problem.outcome.as_str(), problem.row)).collect::<Vec<_>>(), [("failed", 4), ("unknown", 6)]);
    assert_eq!((found[0].code.as_str(), found[0].message.as_str(), found[0].http_status), ("BAD", "é", Some(400)));
    assert_eq!(store.audit_log(&org, i64::MAX, 10).await.unwrap().len(), 1);
    assert!(store.unfinished_runs().await.unwrap().is_empty());
    let row = store.run(&org, id).await.unwrap().unwrap();
    assert!(row.status == Status::Failed && row.started_at.is_some() && row.ended_at.is_some());
    assert_eq!(store.resume_run(&org, id, "{}").await.unwrap(), Resumed::Ended, "it has come to its end");
    assert_eq!(store.runs(&org, RunFilter { status: Some(Status::Failed), ..RunFilter::default() }, 10).await.unwrap().len(), 1);
}

async fn the_newest_golden_set_counts_and_files_that_nothing_needs_are_named(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false).await.unwrap();
    let columns = ["hs_object_id".to_owned()];
    let set = |set_id: &'static str, file_name: &'static str| NewGolden {
        set_id,
        entity_type: "person",
        format: "csv",
        file_name,
        query: None,
        records: 53,
        bytes: 100,
        columns: &columns,
        sha256: "00",
        created_by: "ada",
    };
    let (_, unused) = store.set_golden(&org, set("set_1", "set_1.csv")).await.unwrap();
    assert!(unused.is_empty());
    let (row, unused) = store.set_golden(&org, set("set_2", "set_2.csv")).await.unwrap();
    assert_eq!((row.records, unused.as_slice()), (53, ["set_1.csv".to_owned()].as_slice()));
    assert_eq!(store.golden(&org, "person").await.unwrap().unwrap().set_id, "set_2");
    assert_eq!(store.golden_sets(&org).await.unwrap().len(), 1);
}

async fn many_write_to_the_audit_log_and_the_chain_holds(database: Database) {
    let (_dir, store, url) = open(database).await;
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    store.log(&entry(&format!("org_{n}"), "test")).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.verify_audit_log().await.unwrap().unwrap().seq, 40);

    // The database itself refuses to change it.
    store.close().await;
    if database == Database::Postgres {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        for sql in ["UPDATE audit_log SET who = 'eve' WHERE seq = 2", "DELETE FROM audit_log WHERE seq = 40", "TRUNCATE audit_log"] {
            let refused = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
        }
    }
}

on_both!(
    another_orgs_rows_are_not_there,
    a_run_begins_once_and_within_the_orgs_quota,
    a_run_ends_once_with_its_problems_and_its_audit_row,
    the_newest_golden_set_counts_and_files_that_nothing_needs_are_named,
    many_write_to_the_audit_log_and_the_chain_holds,
);
