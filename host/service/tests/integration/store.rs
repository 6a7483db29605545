//! The store, on SQLite and on PostgreSQL: what belongs to one org is not there for another, what
//! must be counted is counted once, and what was logged stays.

use reverse_sync::{
    destination::{Destination, OnDuplicateId},
    journal::{Ending, Problem},
    plan::PlanId,
    summary::RunSummary,
};
use reverse_sync_service::{
    app::State,
    store::{
        AuditEntry, Begun, Changed, DestinationRow, Kept, NewGolden, NewRun, NewSource, OwnQuota,
        PlanRow, Resumed, Revoked, Role, RunFilter, RunOptions, SourceSettings, Status,
        StatusFilter, Store, Stored,
    },
};
use reverse_sync_tests::{postgres::Postgres, service::Database};
use serde_json::{Map, Value, json};
use sqlx::Connection;
use std::sync::LazyLock;

/// A store of its own; the folder is its life.
pub(crate) async fn open(database: Database) -> (tempfile::TempDir, Store, String) {
    let dir = tempfile::tempdir().unwrap();
    let url = match database {
        Database::Sqlite => Store::file_url(&dir.path().join("test.db")),
        Database::Postgres => Postgres::shared().unwrap().database().await.unwrap(),
    };
    let store = signed(dir.path(), &url).await;
    (dir, store, url)
}

/// A store with a key for the audit log.
async fn signed(dir: &std::path::Path, url: &str) -> Store {
    State::open(dir, Some(url)).await.unwrap().store
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
        csv: Default::default(),
    }
}

pub(crate) async fn source(store: &Store, org: &str) -> String {
    let id = Store::new_source_id();
    let new = NewSource {
        name: "HubSpot",
        provider: "hubspot",
        settings: &SourceSettings::default(),
        credential: "v1.k.c2VhbGVk",
        credential_summary: "{}",
    };
    store.add_source(org, &id, new, "ada").await.unwrap();
    id
}

static OPTIONS: LazyLock<RunOptions> = LazyLock::new(|| {
    serde_json::from_value(json!({"override": [], "mode": "offline", "total": 1, "writable": 1, "skipped": 0, "undoes": null})).unwrap()
});

fn result(updated: u64) -> RunSummary {
    let numbers = json!({"ok": true, "updated": updated, "requests": 1, "refused_requests": 0, "peak_memory_bytes": 0});
    serde_json::from_value(numbers).unwrap()
}

/// A plan of this first digit, whose runs are `run_n123456789ab_1` and so on.
pub(crate) fn plan(digit: char) -> PlanId {
    format!("plan_{digit}123456789abcdef0123456789abcdef").parse().unwrap()
}

pub(crate) fn run<'a>(
    org: &'a str,
    plan_id: &'a PlanId,
    to: &'a DestinationRow,
    idempotency: Option<(&'a str, &'a str)>,
) -> NewRun<'a> {
    NewRun {
        org_id: org,
        plan_id,
        destination_id: &to.destination_id,
        destination_updated_at: to.updated_at,
        options: &OPTIONS,
        idempotency,
        started_by: "ada",
        last_number: 0,
        detail: &Value::Null,
    }
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
    let (dir, store, url) = open(database).await;
    let (acme, other) = (
        store.add_org("Acme", false, "ada").await.unwrap(),
        store.add_org("Other", false, "ada").await.unwrap(),
    );
    let source_id = source(&store, &acme).await;
    let row =
        store.add_destination(&acme, &source_id, &destination(&source_id), "ada").await.unwrap();

    assert!(store.source(&other, &source_id).await.unwrap().is_none());
    assert!(store.destination(&other, &row.destination_id).await.unwrap().is_none());
    assert_eq!(
        store.remove_destination(&other, &row.destination_id, "ada").await.unwrap(),
        Changed::Missing
    );
    let theirs = readable(store.audit_log(&other, i64::MAX, 10).await.unwrap());
    assert_eq!(
        theirs
            .iter()
            .map(|row| (row.entry.org_id.as_str(), row.entry.action.as_str()))
            .collect::<Vec<_>>(),
        [(other.as_str(), "org.create")]
    );
    assert!(store.sources(&other, "", 10).await.unwrap().is_empty());

    // A source in use stays, and so does all of it when the store is opened again.
    assert!(store.remove_source(&acme, &source_id, "ada").await.is_err());
    store.close().await;
    let store = signed(dir.path(), &url).await;
    assert_eq!(
        store.destination(&acme, &row.destination_id).await.unwrap().unwrap().destination,
        destination(&source_id)
    );
    assert_eq!(
        store.remove_destination(&acme, &row.destination_id, "ada").await.unwrap(),
        Changed::Done
    );
    assert!(store.remove_source(&acme, &source_id, "ada").await.unwrap());
}

/// An org with a destination.
pub(crate) async fn org(store: &Store) -> (String, DestinationRow) {
    let org = store.add_org("Acme", false, "ada").await.unwrap();
    let source_id = source(store, &org).await;
    let row =
        store.add_destination(&org, &source_id, &destination(&source_id), "ada").await.unwrap();
    (org, row)
}

async fn end(store: &Store, org: &str, run_id: &str, status: Status) {
    store
        .end_run(org, run_id, status, &result(0), &[], &entry(org, "destination.reverse_run"))
        .await
        .unwrap();
}

/// A golden set.
pub(crate) fn golden<'a>(set_id: &'a str, file_name: &'a str) -> NewGolden<'a> {
    NewGolden {
        set_id,
        entity_type: "person",
        format: "csv",
        file_name,
        query: None,
        records: 53,
        bytes: 100,
        columns: &[],
        sha256: "00",
        created_by: "ada",
    }
}

/// The id of a run that has begun.
#[track_caller]
pub(crate) fn queued(begun: Begun) -> String {
    match begun {
        Begun::Queued(row) => row.run_id,
        _ => panic!("it has not begun"),
    }
}

async fn a_run_begins_once_and_within_the_orgs_quota(database: Database) {
    let (_dir, store, _) = open(database).await;
    let (org_id, to) = org(&store).await;
    store
        .set_quota(
            &org_id,
            OwnQuota { runs_an_hour: Some(2), runs_a_month: Some(10), stored_bytes: None },
            "ada",
        )
        .await
        .unwrap();

    // Ten requests with one key at once: one run.
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (store, org_id, to) = (store.clone(), org_id.clone(), to.clone());
            tokio::spawn(async move {
                matches!(
                    store
                        .begin_run(&run(&org_id, &plan('0'), &to, Some(("key", "hash"))))
                        .await
                        .unwrap(),
                    Begun::Queued(_)
                )
            })
        })
        .collect();
    let mut begun = 0;
    for task in tasks {
        begun += usize::from(task.await.unwrap());
    }
    assert_eq!(begun, 1);
    let first = store.run_by_key(&org_id, "key").await.unwrap().unwrap();
    assert_eq!(first.run_id, "run_0123456789ab_1");

    // One run of a destination at a time, one of a plan, and no more than the quota allows.
    let (same, other_plan) = (plan('0'), plan('1'));
    let twin = store.add_destination(&org_id, &to.source_id, &to.destination, "ada").await.unwrap();
    for second in [run(&org_id, &other_plan, &to, None), run(&org_id, &same, &twin, None)] {
        assert!(
            matches!(store.begin_run(&second).await.unwrap(), Begun::Unfinished(id) if id == first.run_id)
        );
    }
    end(&store, &org_id, &first.run_id, Status::Succeeded).await;
    // The same key still names the first.
    assert!(
        matches!(store.begin_run(&run(&org_id, &same, &to, Some(("key", "hash")))).await.unwrap(), Begun::Already(row) if row.run_id == first.run_id)
    );
    assert_eq!(
        queued(store.begin_run(&run(&org_id, &same, &to, None)).await.unwrap()),
        "run_0123456789ab_2"
    );
    let third = run(&org_id, &other_plan, &twin, None);
    assert!(
        matches!(store.begin_run(&third).await.unwrap(), Begun::Wait(ms) if ms > 3_500_000 && ms <= 3_600_000)
    );
    let usage = store.usage(&org_id).await.unwrap();
    assert_eq!((usage.used, usage.used_this_month), (2, 2));
    // Another org has its own.
    let (other, theirs) = org(&store).await;
    assert_eq!(
        queued(store.begin_run(&run(&other, &same, &theirs, Some(("key", "hash")))).await.unwrap()),
        "run_0123456789ab_1"
    );
}

async fn what_a_run_was_confirmed_for_stays_as_it_was(database: Database) {
    let (_dir, store, _) = open(database).await;
    let (org_id, to) = org(&store).await;
    let plan = plan('0');
    let read_before = DestinationRow { updated_at: to.updated_at - 1, ..to.clone() };
    assert!(matches!(
        store.begin_run(&run(&org_id, &plan, &read_before, None)).await.unwrap(),
        Begun::Changed
    ));
    let gone = DestinationRow { destination_id: "dst_0".to_owned(), ..to.clone() };
    assert!(matches!(
        store.begin_run(&run(&org_id, &plan, &gone, None)).await.unwrap(),
        Begun::Changed
    ));

    let run_id = queued(store.begin_run(&run(&org_id, &plan, &to, None)).await.unwrap());
    let unfinished = Changed::Unfinished(run_id.clone());
    assert_eq!(
        store
            .change_destination(
                &org_id,
                &to.destination_id,
                &to.source_id,
                &to.destination,
                &[],
                "ada"
            )
            .await
            .unwrap(),
        unfinished
    );
    assert_eq!(
        store.remove_destination(&org_id, &to.destination_id, "ada").await.unwrap(),
        unfinished
    );
    let settings = SourceSettings::default();
    let new = |name| NewSource {
        name,
        provider: "hubspot",
        settings: &settings,
        credential: "v1.k.b3RoZXI",
        credential_summary: "{}",
    };
    assert_eq!(
        store.change_source(&org_id, &to.source_id, new("other"), true, &[], "ada").await.unwrap(),
        unfinished
    );
    // Its name is nobody's danger, and what is not to be changed is not.
    assert_eq!(
        store
            .change_source(&org_id, &to.source_id, new("renamed"), false, &[], "ada")
            .await
            .unwrap(),
        Changed::Done
    );
    let source = store.source(&org_id, &to.source_id).await.unwrap().unwrap();
    assert_eq!((source.name.as_str(), source.credential.as_str()), ("renamed", "v1.k.c2VhbGVk"));
    end(&store, &org_id, &run_id, Status::Succeeded).await;
    assert_eq!(
        store.change_source(&org_id, &to.source_id, new("other"), true, &[], "ada").await.unwrap(),
        Changed::Done
    );
    assert_eq!(
        store.source(&org_id, &to.source_id).await.unwrap().unwrap().credential,
        "v1.k.b3RoZXI"
    );
    // And an end stays an end.
    store.set_run_status(&org_id, &run_id, Status::Running).await.unwrap();
    assert_eq!(store.run(&org_id, &run_id).await.unwrap().unwrap().status, Status::Succeeded);
}

async fn a_run_is_resumed_only_while_it_is_the_last_of_its_destination(database: Database) {
    let (_dir, store, _) = open(database).await;
    let (org_id, to) = org(&store).await;
    let (first, second) = (plan('0'), plan('1'));
    let stopped = queued(store.begin_run(&run(&org_id, &first, &to, None)).await.unwrap());
    assert!(
        matches!(store.resume_run(&org_id, &stopped, "ada").await.unwrap(), Resumed::Unfinished(id) if id == stopped)
    );
    store.cancel_run(&org_id, &stopped, "ada").await.unwrap();
    assert!(store.run(&org_id, &stopped).await.unwrap().unwrap().options.cancelled);
    end(&store, &org_id, &stopped, Status::Stopped).await;
    let resumed = store.resume_run(&org_id, &stopped, "ada").await.unwrap();
    assert!(
        matches!(resumed, Resumed::Queued(row) if !row.options.cancelled),
        "whoever resumes it wants it to run"
    );
    assert!(!store.run(&org_id, &stopped).await.unwrap().unwrap().options.cancelled);
    assert_eq!(store.usage(&org_id).await.unwrap().used, 2, "resuming is a start too");
    end(&store, &org_id, &stopped, Status::Stopped).await;

    let later = queued(store.begin_run(&run(&org_id, &second, &to, None)).await.unwrap());
    assert!(
        matches!(store.resume_run(&org_id, &stopped, "ada").await.unwrap(), Resumed::Unfinished(id) if id == later)
    );
    end(&store, &org_id, &later, Status::Succeeded).await;
    assert!(
        matches!(store.resume_run(&org_id, &stopped, "ada").await.unwrap(), Resumed::Superseded(id) if id == later)
    );
    // What is begun anew is another run, whatever the first one came to.
    assert_eq!(
        queued(store.begin_run(&run(&org_id, &first, &to, None)).await.unwrap()),
        "run_0123456789ab_2"
    );
}

async fn a_run_ends_once_with_its_problems_and_its_audit_row(database: Database) {
    let (_dir, store, _) = open(database).await;
    let (org, to) = org(&store).await;
    let id = "run_0123456789ab_1";
    assert_eq!(queued(store.begin_run(&run(&org, &plan('0'), &to, None)).await.unwrap()), id);
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
            .end_run(
                &org,
                id,
                Status::Failed,
                &result(1),
                &problems,
                &entry(&org, "destination.reverse_run.failed"),
            )
            .await
            .unwrap();
    }
    let found = store.problems(&org, id, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|problem| (problem.outcome, problem.row)).collect::<Vec<_>>(),
        [(Ending::Failed, 4), (Ending::Unknown, 6)]
    );
    assert_eq!(
        (
            found[0].response.code.as_str(),
            found[0].response.message.as_str(),
            found[0].response.status
        ),
        ("BAD", "é", Some(400))
    );
    let rows = readable(store.audit_log(&org, i64::MAX, 10).await.unwrap());
    assert_eq!(
        rows.iter().filter(|row| row.entry.action == "destination.reverse_run.failed").count(),
        1
    );
    assert!(store.unfinished_runs().await.unwrap().is_empty());
    let row = store.run(&org, id).await.unwrap().unwrap();
    assert!(row.status == Status::Failed && row.started_at.is_some() && row.ended_at.is_some());
    assert!(
        matches!(store.resume_run(&org, id, "ada").await.unwrap(), Resumed::Ended),
        "it has finished"
    );
    assert_eq!(
        store
            .runs(
                &org,
                RunFilter {
                    status: Some(StatusFilter::Is(Status::Failed)),
                    ..RunFilter::default()
                },
                10
            )
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn the_newest_golden_set_counts_and_files_that_nothing_needs_are_named(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false, "ada").await.unwrap();
    let (_, unused) = store.set_golden(&org, golden("set_1", "set_1.csv")).await.unwrap();
    assert!(unused.is_empty());
    let (row, unused) = store.set_golden(&org, golden("set_2", "set_2.csv")).await.unwrap();
    assert_eq!((row.records, unused.as_slice()), (53, ["set_1.csv".to_owned()].as_slice()));
    assert_eq!(store.golden(&org, "person").await.unwrap().unwrap().set_id, "set_2");
    assert_eq!(store.golden_sets(&org).await.unwrap().len(), 1);
}

/// A run of another could not be resumed.
async fn a_plan_is_kept_with_its_golden_set_or_not_at_all(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false, "ada").await.unwrap();
    let plan = |n: usize| PlanRow {
        plan_id: format!("plan_{n}"),
        destination_id: "dst_1".to_owned(),
        set_id: Some(format!("set_{n}")),
        undoes: None,
        summary: "{}".to_owned(),
        planned_at: 1,
        planned_by: "ada".to_owned(),
    };
    store.set_golden(&org, golden("set_0", "set_0.csv")).await.unwrap();
    store.set_golden(&org, golden("set_1", "set_1.csv")).await.unwrap();
    assert_eq!(store.keep_plan(&org, plan(0)).await.unwrap(), Kept::Replaced);
    assert!(store.plan(&org, "plan_0").await.unwrap().is_none());
    assert_eq!(store.keep_plan(&org, plan(1)).await.unwrap(), Kept::New);
    assert_eq!(store.keep_plan(&org, plan(1)).await.unwrap(), Kept::Again);
    let mut kept_or_replaced = [0; 2];
    for n in 2..100 {
        let (set, file) = (format!("set_{n}"), format!("set_{n}.csv"));
        store.set_golden(&org, golden(&set, &file)).await.unwrap();
        // The next one comes while the plan of this one is kept.
        let next = format!("next_{n}");
        let (kept, replaced) = tokio::join!(
            store.keep_plan(&org, plan(n)),
            store.set_golden(&org, golden(&next, &next))
        );
        let (kept, removed) = (kept.unwrap(), replaced.unwrap().1);
        assert_eq!(kept == Kept::Replaced, removed.contains(&file), "{n}: {kept:?}, {removed:?}");
        kept_or_replaced[usize::from(kept == Kept::Replaced)] += 1;
    }
    reverse_sync_tests::say(&format!("{database:?}: kept or replaced: {kept_or_replaced:?}"));
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
    assert_eq!(store.verify_audit_log(&[]).await.unwrap().unwrap().head.seq, 40);

    // The database itself refuses to change it.
    store.close().await;
    if database == Database::Postgres {
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        for sql in [
            "UPDATE audit_log SET who = 'eve' WHERE seq = 2",
            "DELETE FROM audit_log WHERE seq = 40",
            "TRUNCATE audit_log",
        ] {
            let refused =
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
        }
    }
}

/// The rows of a list, all of which can be read.
pub(crate) fn readable<T>(rows: Vec<Stored<T>>) -> Vec<T> {
    rows.into_iter().collect::<Result<_, _>>().unwrap()
}

/// Runs statements behind the store's back.
pub(crate) async fn execute(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// All that an org's settings are, as text.
async fn settings(store: &Store, org: &str) -> String {
    let keys = readable(store.keys(org).await.unwrap());
    let keys: Vec<_> = keys.into_iter().map(|key| key.key_id).collect();
    let runs = store.runs(org, RunFilter::default(), 10).await.unwrap();
    let (sources, destinations) =
        (store.sources(org, "", 10).await.unwrap(), store.destinations(org, "", 10).await.unwrap());
    let (golden, quota) = (store.golden_sets(org).await.unwrap(), store.usage(org).await.unwrap());
    format!("{:?}", (store.orgs().await.unwrap(), keys, sources, destinations, golden, quota, runs))
}

async fn a_change_that_cannot_be_logged_is_not_there(database: Database) {
    let (_dir, store, url) = open(database).await;
    let (org, to) = org(&store).await;
    let (unused, unfinished, stopped) = (source(&store, &org).await, plan('0'), plan('1'));
    let key = store.add_key(&org, "ada", "laptop", Role::Operator, "ada").await.unwrap().row.key_id;
    let stopped = queued(store.begin_run(&run(&org, &stopped, &to, None)).await.unwrap());
    end(&store, &org, &stopped, Status::Stopped).await;
    let other = store.add_destination(&org, &to.source_id, &to.destination, "ada").await.unwrap();
    store.set_golden(&org, golden("set_1", "set_1.csv")).await.unwrap();
    let before = settings(&store, &org).await;
    let rows = store.audit_log(&org, i64::MAX, 100).await.unwrap().len();

    execute(&url, "ALTER TABLE audit_log RENAME TO audit_log_away").await;
    let new = NewSource {
        name: "new",
        provider: "hubspot",
        settings: &SourceSettings::default(),
        credential: "v1.k.b3RoZXI",
        credential_summary: "{}",
    };
    let quota = OwnQuota { runs_an_hour: Some(1), ..OwnQuota::default() };
    let refused = [
        ("add_org", store.add_org("Other", false, "ada").await.map(drop)),
        ("add_key", store.add_key(&org, "eve", "eve", Role::Admin, "ada").await.map(drop)),
        ("revoke_key", store.revoke_key(&org, &key, "ada").await.map(drop)),
        ("set_quota", store.set_quota(&org, quota, "ada").await.map(drop)),
        ("add_source", store.add_source(&org, &Store::new_source_id(), new, "ada").await),
        (
            "change_source",
            store.change_source(&org, &unused, new, true, &[], "ada").await.map(drop),
        ),
        ("remove_source", store.remove_source(&org, &unused, "ada").await.map(drop)),
        (
            "add_destination",
            store.add_destination(&org, &unused, &to.destination, "ada").await.map(drop),
        ),
        (
            "change_destination",
            store
                .change_destination(
                    &org,
                    &other.destination_id,
                    &unused,
                    &to.destination,
                    &[],
                    "ada",
                )
                .await
                .map(drop),
        ),
        (
            "remove_destination",
            store.remove_destination(&org, &other.destination_id, "ada").await.map(drop),
        ),
        ("set_golden", store.set_golden(&org, golden("set_2", "set_2.csv")).await.map(drop)),
        ("begin_run", store.begin_run(&run(&org, &unfinished, &to, None)).await.map(drop)),
        ("resume_run", store.resume_run(&org, &stopped, "ada").await.map(drop)),
    ];
    for (what, result) in refused {
        assert!(result.is_err(), "{what} was not refused");
    }
    assert_eq!(settings(&store, &org).await, before);
    execute(&url, "ALTER TABLE audit_log_away RENAME TO audit_log").await;
    let run_id = queued(store.begin_run(&run(&org, &unfinished, &to, None)).await.unwrap());
    execute(&url, "ALTER TABLE audit_log RENAME TO audit_log_away").await;
    assert!(store.cancel_run(&org, &run_id, "ada").await.is_err());
    assert!(!store.run(&org, &run_id).await.unwrap().unwrap().options.cancelled);

    // With the log, all of it can be done, and each has left its row.
    execute(&url, "ALTER TABLE audit_log_away RENAME TO audit_log").await;
    store.cancel_run(&org, &run_id, "ada").await.unwrap();
    end(&store, &org, &run_id, Status::Stopped).await;
    store.resume_run(&org, &run_id, "ada").await.unwrap();
    store.revoke_key(&org, &key, "ada").await.unwrap();
    store.set_quota(&org, quota, "ada").await.unwrap();
    store.set_golden(&org, golden("set_2", "set_2.csv")).await.unwrap();
    assert_eq!(
        store.change_source(&org, &unused, new, true, &["name".to_owned()], "ada").await.unwrap(),
        Changed::Done
    );
    assert!(store.remove_source(&org, &unused, "ada").await.unwrap());
    end(&store, &org, &run_id, Status::Stopped).await;
    let change = store
        .change_destination(
            &org,
            &other.destination_id,
            &to.source_id,
            &to.destination,
            &["name".to_owned()],
            "ada",
        )
        .await;
    assert_eq!(change.unwrap(), Changed::Done);
    assert_eq!(
        store.remove_destination(&org, &other.destination_id, "ada").await.unwrap(),
        Changed::Done
    );
    let logged = readable(store.audit_log(&org, i64::MAX, 100).await.unwrap());
    let mut actions: Vec<_> = logged.into_iter().map(|row| row.entry.action).collect();
    actions.truncate(actions.len() - rows);
    actions.reverse();
    assert_eq!(
        actions,
        [
            "run.begin",
            "run.cancel",
            "destination.reverse_run",
            "run.resume",
            "api_key.revoke",
            "org.quota",
            "golden.replace",
            "source.update",
            "source.delete",
            "destination.reverse_run",
            "destination.update",
            "destination.delete",
        ]
    );
    assert!(store.verify_audit_log(&[]).await.unwrap().is_ok());
}

async fn an_org_keeps_an_admin_key_whoever_revokes_at_the_same_time(database: Database) {
    let (_dir, store, _) = open(database).await;
    let org = store.add_org("Acme", false, "ada").await.unwrap();
    // Neither another org's admin nor an operator counts.
    let other = store.add_org("Other", false, "ada").await.unwrap();
    store.add_key(&other, "eve", "eve", Role::Admin, "ada").await.unwrap();
    store.add_key(&org, "ada", "nightly", Role::Operator, "ada").await.unwrap();
    let mut kept =
        store.add_key(&org, "ada", "first", Role::Admin, "ada").await.unwrap().row.key_id;
    assert_eq!(store.revoke_key(&org, &kept, "ada").await.unwrap(), Revoked::LastAdmin);
    for _ in 0..10 {
        let second =
            store.add_key(&org, "ada", "second", Role::Admin, "ada").await.unwrap().row.key_id;
        let (one, two) = tokio::join!(
            store.revoke_key(&org, &kept, "ada"),
            store.revoke_key(&org, &second, "ada")
        );
        kept = match (one.unwrap(), two.unwrap()) {
            (Revoked::Done, Revoked::LastAdmin) => second,
            (Revoked::LastAdmin, Revoked::Done) => kept,
            both => panic!("{both:?}"),
        };
    }
    let keys = readable(store.keys(&org).await.unwrap());
    assert_eq!(keys.iter().filter(|key| key.role == Role::Admin).count(), 1);
}

reverse_sync_tests::on_both!(
    an_org_keeps_an_admin_key_whoever_revokes_at_the_same_time,
    a_change_that_cannot_be_logged_is_not_there,
    another_orgs_rows_are_not_there,
    a_run_begins_once_and_within_the_orgs_quota,
    what_a_run_was_confirmed_for_stays_as_it_was,
    a_run_is_resumed_only_while_it_is_the_last_of_its_destination,
    a_run_ends_once_with_its_problems_and_its_audit_row,
    the_newest_golden_set_counts_and_files_that_nothing_needs_are_named,
    a_plan_is_kept_with_its_golden_set_or_not_at_all,
    many_write_to_the_audit_log_and_the_chain_holds,
);
