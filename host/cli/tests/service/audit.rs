//! The audit log: complete, append-only by the database's own means, and a chain that tells when
//! somebody got around them.

use super::world::{Tenant, crm, new_names, service, until};
use crm_simulator::Simulator;
use reverse_sync_tests::{
    http::Client,
    service::{Database, Service},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::fs;

/// A service after one run that succeeded and one that failed.
async fn after_two_runs(database: Database) -> (Service, Simulator, Tenant, [Value; 2]) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let good = tenant.run(&destination).await.is(200);
    // Of these four, the CRM has three.
    tenant.golden("person", &new_names(0..4)).await;
    let bad = tenant.run(&destination).await.is(200);
    assert_eq!((&good["ok"], &bad["ok"]), (&json!(true), &json!(false)));
    (service, simulator, tenant, [good, bad])
}

/// What `audit verify` says, and whether all is well.
async fn verify(service: &Service) -> (bool, String) {
    let output = service.run(&["audit", "verify"]).await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

async fn connect(service: &Service) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&service.database_url()).await.unwrap()
}

async fn execute(connection: &mut AnyConnection, sql: &str) -> Result<u64, sqlx::Error> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?.rows_affected())
}

async fn every_run_leaves_a_row(database: Database) {
    let (_service, _simulator, tenant, runs) = after_two_runs(database).await;
    let me = tenant.admin.get("/me").await.is(200);
    let rows = tenant.list("/audit-log").await;
    // Newest first, and without gaps as long as there is one org.
    let numbers: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] > pair[1]), "{numbers:?}");
    for (run, action) in
        runs.iter().zip(["destination.reverse_run", "destination.reverse_run.failed"])
    {
        let of_run: Vec<_> = rows
            .iter()
            .filter(|row| row["run_id"] == run["run_id"] && row["action"] == action)
            .collect();
        assert_eq!(of_run.len(), 1, "{rows:?}");
        let row = of_run[0];
        for key in ["plan_id", "destination_id"] {
            assert_eq!(row[key], run[key], "{key} of {row}");
        }
        assert_eq!(row["org_id"], tenant.org.id.as_str());
        assert!(
            row["who"].to_string().contains(me["user"]["id"].as_str().unwrap()),
            "{row} does not name {me}"
        );
        assert!(
            row["component"].as_str().is_some_and(|digest| digest.starts_with("sha256:")),
            "{row}"
        );
        for key in ["total", "writable", "updated", "failed", "skipped"] {
            assert_eq!(row["counts"][key], run[key], "{key} of {row}");
        }
        assert!(
            row["at"].as_str().is_some_and(|at| at.ends_with('Z')) && row["hash"].is_string(),
            "{row}"
        );
    }
}

async fn a_run_that_is_refused_or_cannot_reach_the_crm_leaves_a_row_too(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    simulator.world().config.tokens.clear();
    let run = tenant.run(&destination).await.is(200);
    assert_eq!(run["ok"], false, "{run}");
    let rows = tenant.list("/audit-log").await;
    let of_run: Vec<_> = rows
        .iter()
        .filter(|row| row["run_id"] == run["run_id"])
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(of_run, ["destination.reverse_run.failed", "run.begin"]);
}

/// Action and actor of each row of an org's audit log, newest first.
async fn logged(client: &Client) -> Vec<(String, String)> {
    let rows = client.get("/audit-log").await.is(200);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "action"), text(row, "who")))
        .collect()
}

async fn what_is_made_without_a_key_is_logged_too(database: Database) {
    let by_command = |actions: &[&str]| -> Vec<_> {
        actions.iter().map(|action| ((*action).to_owned(), "command".to_owned())).collect()
    };
    // The org that the first start makes.
    let service = service(database).await;
    let key = until("a key to be printed", async || {
        service
            .printed()
            .iter()
            .find_map(|line| Some(line.strip_prefix("API key, shown this once: ")?.to_owned()))
    });
    let solo = service.client(Some(&key.await));
    assert_eq!(logged(&solo).await, by_command(&["api_key.create", "org.create"]));

    let org = service.org("acme").await.unwrap();
    for arguments in [
        ["api-keys", "add", "--org", &org.id, "--name", "nightly", "--role", "operator"].as_slice(),
        &["orgs", "quota", "--org", &org.id, "--runs-an-hour", "7", "--runs-a-month", "70"],
    ] {
        let output = service.run(arguments).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(
        logged(&org.admin).await,
        by_command(&["org.quota", "api_key.create", "api_key.create", "org.create"])
    );
}

async fn another_org_sees_nothing_of_it(database: Database) {
    let (service, simulator, tenant, runs) = after_two_runs(database).await;
    let other = Tenant::hubspot(&service, &simulator, "other").await;
    let theirs = other.list("/audit-log").await;
    assert!(theirs.iter().all(|row| row["org_id"] == other.org.id.as_str()), "{theirs:?}");
    assert!(!format!("{theirs:?}").contains(runs[0]["run_id"].as_str().unwrap()));
    assert!(!tenant.list("/audit-log").await.is_empty());
}

async fn an_untouched_log_is_verified(database: Database) {
    let (service, _simulator, _tenant, _) = after_two_runs(database).await;
    let (well, said) = verify(&service).await;
    assert!(well, "{said}");
}

async fn the_database_refuses_to_change_or_delete_a_row(database: Database) {
    let (service, _simulator, tenant, _) = after_two_runs(database).await;
    let before = tenant.list("/audit-log").await;
    let mut connection = connect(&service).await;
    for sql in [
        "UPDATE audit_log SET who = 'nobody'",
        "UPDATE audit_log SET counts = NULL WHERE seq = 1",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)",
        "INSERT INTO audit_log (seq, at, action, who, org_id, detail, hash) VALUES (1000000, 0, 'x', 'x', 'x', '{}', 'x')",
    ] {
        execute(&mut connection, sql).await.expect_err(sql);
    }
    if database == Database::Postgres {
        execute(&mut connection, "TRUNCATE audit_log").await.expect_err("TRUNCATE");
    } else {
        let replace = "INSERT OR REPLACE INTO audit_log SELECT seq, at, action, 'nobody', org_id, destination_id, plan_id, run_id, \
                       component, counts, detail, hash, key_id FROM audit_log WHERE seq = 1";
        let error = execute(&mut connection, replace).await.expect_err(replace).to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    assert_eq!(tenant.list("/audit-log").await, before);
    let (well, said) = verify(&service).await;
    assert!(well, "{said}");
}

/// Takes the database's own means away, as somebody can who owns it.
async fn disarm(connection: &mut AnyConnection, database: Database) {
    match database {
        Database::Postgres => {
            execute(connection, "ALTER TABLE audit_log DISABLE TRIGGER ALL").await.unwrap();
        }
        Database::Sqlite => {
            let triggers = sqlx::query_as::<_, (String,)>(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'",
            );
            let triggers = triggers.fetch_all(&mut *connection).await.unwrap();
            assert!(!triggers.is_empty());
            for (name,) in triggers {
                execute(connection, &format!("DROP TRIGGER {name}")).await.unwrap();
            }
        }
    }
}

/// The folder has seen more than a database that was cut off; and so has whoever has kept what
/// `audit verify` said.
async fn a_log_that_was_cut_off_is_not_verified(database: Database) {
    let (mut service, _simulator, tenant, _) = after_two_runs(database).await;
    let said: Value = serde_json::from_str(&verify(&service).await.1).unwrap();
    assert_eq!((&said["ok"], &said["without_key"]), (&json!(true), &json!(0)), "{said}");
    let since = format!("{}:{}", said["rows"], said["hash"].as_str().unwrap());
    tenant.golden("person", &new_names(0..2)).await;
    service.stop().await.unwrap();
    let mut connection = connect(&service).await;
    disarm(&mut connection, database).await;
    assert_eq!(
        execute(
            &mut connection,
            "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)"
        )
        .await
        .unwrap(),
        1
    );
    let (well, said) = verify(&service).await;
    assert!(!well && said.contains("is missing"), "{said}");
    let kept = fs::read(service.state().join("state.json")).unwrap();
    fs::remove_file(service.state().join("state.json")).unwrap();
    let (well, said) = verify(&service).await;
    assert!(well, "nobody has seen that row: {said}");
    let since_then = async |service: &Service| {
        let output = service.run(&["audit", "verify", "--since", &since]).await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(since_then(&service).await.0);
    assert_eq!(
        execute(
            &mut connection,
            "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)"
        )
        .await
        .unwrap(),
        1
    );
    connection.close().await.unwrap();
    let (well, said) = since_then(&service).await;
    assert!(!well && said.contains("is missing"), "{said}");

    // The service does not start on it either.
    fs::write(service.state().join("state.json"), kept).unwrap();
    let said = service.start_again().await.unwrap_err().to_string();
    assert!(said.contains("its audit log ends at row"), "{said}");
}

async fn a_log_that_was_tampered_with_is_not_verified_and_the_row_is_named(database: Database) {
    for (sql, seq) in [
        ("UPDATE audit_log SET who = 'somebody else' WHERE seq = 2", "2"),
        ("UPDATE audit_log SET at = at + 1 WHERE seq = 3", "3"),
        (
            "UPDATE audit_log SET action = 'destination.reverse_run' WHERE action = 'destination.reverse_run.failed'",
            "",
        ),
        ("UPDATE audit_log SET counts = '{}' WHERE counts IS NOT NULL", ""),
        ("UPDATE audit_log SET detail = '{\"x\":1}' WHERE seq = 1", "1"),
        ("UPDATE audit_log SET org_id = 'org_other' WHERE seq = 2", "2"),
        ("DELETE FROM audit_log WHERE seq = 2", "2"),
        ("DELETE FROM audit_log WHERE seq = 1", "1"),
    ] {
        let (mut service, _simulator, _tenant, _) = after_two_runs(database).await;
        service.stop().await.unwrap();
        let mut connection = connect(&service).await;
        disarm(&mut connection, database).await;
        assert!(execute(&mut connection, sql).await.unwrap() > 0, "{sql}");
        connection.close().await.unwrap();
        let (well, said) = verify(&service).await;
        assert!(!well, "{sql} was not noticed: {said}");
        assert!(said.contains(seq), "{sql}: {said}");
    }
}

reverse_sync_tests::on_both!(
    every_run_leaves_a_row,
    a_run_that_is_refused_or_cannot_reach_the_crm_leaves_a_row_too,
    what_is_made_without_a_key_is_logged_too,
    another_org_sees_nothing_of_it,
    an_untouched_log_is_verified,
    the_database_refuses_to_change_or_delete_a_row,
    a_log_that_was_cut_off_is_not_verified,
    a_log_that_was_tampered_with_is_not_verified_and_the_row_is_named,
);
