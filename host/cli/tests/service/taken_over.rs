//! A run resumes under another service: one that came with another component, or one that took the
//! database over.

use super::world::{Tenant, crm, half_written, new_names, program, service, until};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::{
    component_file,
    service::{Database, Service},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The program with another component in it: the same but for one digit of the version of a tool
/// that has made it.
fn other_release(dir: &Path) -> PathBuf {
    let component = fs::read(component_file()).unwrap();
    let mut bytes = fs::read(program()).unwrap();
    let place = |bytes: &[u8], needle: &[u8]| memchr::memmem::find(bytes, needle).unwrap();
    let at = place(&bytes, &component);
    let tool = at + place(&component, b"wit-component") + b"wit-component".len() + 1;
    assert!(bytes[tool].is_ascii_digit());
    bytes[tool] = b'9';
    let file = dir.join("reverse-sync");
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// How many records were written, and which of them twice.
fn writes(simulator: &Simulator) -> (usize, Vec<(String, usize)>) {
    let world = simulator.world();
    (world.writes.len(), world.written_twice())
}

/// The row that says how a run ended.
async fn end_of(tenant: &Tenant, run: &str) -> Value {
    let rows = tenant.list("/audit-log").await;
    let mut ends: Vec<Value> = rows
        .into_iter()
        .filter(|row| {
            row["run_id"] == run
                && row["action"]
                    .as_str()
                    .is_some_and(|action| action.starts_with("destination.reverse_run"))
        })
        .collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends.remove(0)
}

#[tokio::test]
async fn a_run_is_finished_by_the_component_that_began_it() {
    let dir = tempfile::tempdir().unwrap();
    let other = other_release(dir.path());
    for kept in [true, false] {
        let mut service = service(Database::Sqlite).await;
        let simulator = crm(3_000).await;
        let (tenant, destination, run) = half_written(&service, &simulator, 3_000).await;
        service.kill().await.unwrap();
        let before = simulator.world().writes.len();
        let components = service.state().join("components");
        let files: Vec<PathBuf> =
            fs::read_dir(&components).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        let digest = format!("sha256:{}", file.file_stem().unwrap().to_str().unwrap());
        if !kept {
            fs::remove_file(file).unwrap();
        }
        simulator.world().faults.clear();
        service.becomes(&other).unwrap();
        service.start_again().await.unwrap();
        let ended = tenant.ended(&run).await;
        let end = end_of(&tenant, &run).await;
        assert_eq!(end["component"], digest, "{end}");
        if kept {
            assert_eq!(
                (&ended["status"], &ended["pending"]),
                (&json!("succeeded"), &json!(0)),
                "{ended}"
            );
            assert_eq!(writes(&simulator), (3_000, Vec::new()));
            // What is planned now is the new one's.
            tenant.golden("person", &new_names(3_000..3_001)).await;
            let next = tenant.run(&destination).await.is(200);
            let end = end_of(&tenant, next["run_id"].as_str().unwrap()).await;
            assert!(
                end["component"]
                    .as_str()
                    .is_some_and(|new| new.starts_with("sha256:") && new != digest),
                "{end}"
            );
        } else {
            let message = ended["stopped"]["message"].as_str().unwrap();
            assert!(message.contains(&digest) && message.contains("put it back"), "{ended}");
            assert!(ended["pending"].as_u64().unwrap() > 0, "{ended}");
            assert_eq!(simulator.world().writes.len(), before);
        }
    }
}

/// Ends the connection with the lock of the service (`turn::SERVICE` of the store), and not those
/// that write.
const CUT: &str = "SELECT pg_terminate_backend(pid)::text FROM pg_locks WHERE locktype = 'advisory' AND granted \
                   AND objid = 1920139281 \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_service_whose_lock_breaks_off_takes_it_again_and_goes_on() {
    let mut service = service(Database::Postgres).await;
    let simulator = crm(3_000).await;
    let (tenant, _, run) = half_written(&service, &simulator, 3_000).await;
    service.execute(CUT).await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["updated"]),
        (&json!("succeeded"), &json!(3_000)),
        "{ended}"
    );
    assert_eq!(writes(&simulator), (3_000, Vec::new()));
    until("the lock to be held again", async || {
        service.log().contains("the lock on the database is held again").then_some(())
    })
    .await;
    assert!(
        service.log().contains("the lock on the database is lost: runs pause"),
        "{}",
        service.log()
    );
    assert!(service.is_running());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_service_that_was_taken_over_hands_nothing_more_out_and_ends() {
    let mut service = service(Database::Postgres).await;
    let simulator = crm(3_000).await;
    let (tenant, _, run) = half_written(&service, &simulator, 3_000).await;
    simulator.world().faults.clear();
    simulator.world().fault(Rule::always(Fault::Latency(3_000)).on("/batch/update"));
    // As another service does that starts.
    service.execute("UPDATE service SET epoch = epoch + 1").await.unwrap();
    service.execute(CUT).await.unwrap();
    until("the service to end", async || (!service.is_running()).then_some(())).await;
    assert!(service.log().contains("has taken the database over"), "{}", service.log());
    assert!(simulator.world().writes.len() < 3_000, "it was taken over too late to prove anything");
    service.kill().await.unwrap();

    simulator.world().faults.clear();
    service.start_with(&["--restored"]).await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["pending"]), (&json!("succeeded"), &json!(0)), "{ended}");
    assert_eq!(writes(&simulator), (3_000, Vec::new()));
    // The one that was taken over has not said how its run ended.
    let end = end_of(&tenant, &run).await;
    assert_eq!(end["counts"]["pending"], 0, "{end}");
}

/// Freezes a service while it does not hold the lock of `state.json`, for which another would wait
/// in vain.
async fn freeze(service: &Service) {
    until("the file to be free", async || {
        service.signal(Signal::STOP).unwrap();
        let stat = format!("/proc/{}/stat", service.process_id().unwrap());
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            tokio::task::yield_now().await;
        }
        let file = File::open(service.state().join("state.json")).unwrap();
        let is_free = file.try_lock().is_ok();
        if !is_free {
            service.signal(Signal::CONT).unwrap();
        }
        is_free.then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_service_that_was_taken_over_leaves_the_folder_to_the_other() {
    let mut first = service(Database::Postgres).await;
    freeze(&first).await;
    first.execute(CUT).await.unwrap();
    // As from another machine on a shared folder, where the lock of the first one's file does not
    // reach.
    fs::remove_file(first.state().join("lock")).unwrap();
    let mut second = first.beside(Some(first.database_url()));
    second.start_again().await.unwrap();
    // The audit log continues, so the first one has an end of it to keep when it wakes up.
    second.org("acme").await.unwrap();
    first.signal(Signal::CONT).unwrap();
    until("the first service to end", async || (!first.is_running()).then_some(())).await;
    assert!(first.log().contains("has taken the database over"), "{}", first.log());

    second.kill().await.unwrap();
    second.start_again().await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_service_that_is_frozen_in_the_middle_of_a_write_is_taken_over() {
    let mut first = service(Database::Postgres).await;
    let simulator = crm(3_000).await;
    let (tenant, _, run) = half_written(&first, &simulator, 3_000).await;
    let mut database = PgConnection::connect(&first.database_url()).await.unwrap();
    let mut table = PgConnection::connect(&first.database_url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE audit_log IN EXCLUSIVE MODE")
        .execute(&mut table)
        .await
        .unwrap();
    // It waits for the table, and holds what says which service is the last that has begun.
    let admin = first.client(tenant.admin.key());
    let write =
        tokio::spawn(async move { admin.post(&format!("/runs/{run}/cancel"), &json!({})).await });
    let sessions = async |database: &mut PgConnection, condition: &'static str| -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(database).await.unwrap()
    };
    let waits = "wait_event = 'relation' AND query LIKE 'INSERT INTO audit_log%'";
    until("the write to wait", async || (sessions(&mut database, waits).await > 0).then_some(()))
        .await;
    freeze(&first).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut table).await.unwrap();
    let idle = "state = 'idle in transaction'";
    until("the write to be left open", async || {
        (sessions(&mut database, idle).await > 0).then_some(())
    })
    .await;
    first.execute(CUT).await.unwrap();
    fs::remove_file(first.state().join("lock")).unwrap();
    let mut second = first.beside(Some(first.database_url()));
    second.start_again().await.unwrap();

    first.signal(Signal::CONT).unwrap();
    until("the first service to end", async || (!first.is_running()).then_some(())).await;
    assert!(first.log().contains("has taken the database over"), "{}", first.log());
    write.abort();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_cancelled_run_that_was_taken_over_ends_with_what_the_first_service_has_still_written() {
    let mut first = service(Database::Postgres).await;
    let simulator = crm(3_000).await;
    let (mut tenant, _, run) = half_written(&first, &simulator, 3_000).await;
    // Applied at once, and answered when the first service is frozen.
    simulator.world().faults.clear();
    simulator.world().fault(Rule::always(Fault::Latency(2_000)).on("/batch/update"));
    let before = simulator.world().requests.len();
    until("a request running", async || (simulator.world().requests.len() > before).then_some(()))
        .await;
    tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    freeze(&first).await;
    first.execute(CUT).await.unwrap();
    fs::remove_file(first.state().join("lock")).unwrap();
    let mut second = first.beside(Some(first.database_url()));
    second.start_again().await.unwrap();
    tenant.admin = second.client(tenant.admin.key());
    until("the run to be waited for", async || {
        second.log().contains("another process holds").then_some(())
    })
    .await;
    assert_eq!(tenant.run_state(&run).await["status"], "running");

    first.signal(Signal::CONT).unwrap();
    until("the first service to end", async || (!first.is_running()).then_some(())).await;
    let ended = tenant.ended(&run).await;
    let end = end_of(&tenant, &run).await;
    assert_eq!(ended["status"], "stopped", "{ended}");
    assert_eq!(ended["updated"], simulator.world().writes.len(), "{ended}");
    assert_eq!(
        (&end["counts"]["updated"], &end["counts"]["pending"]),
        (&ended["updated"], &ended["pending"]),
        "{end}"
    );
}
