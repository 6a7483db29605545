//! The PostgreSQL server of these tests leaves nothing behind, whatever becomes of the process that
//! uses it.

use reverse_sync_tests::postgres::Postgres;
use sqlx::Connection;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Set for a copy of this test binary that is to start a server and wait.
const HOLD: &str = "REVERSE_SYNC_TEST_HOLDS_A_CLUSTER";

/// What the copy does; nothing when it is called as a test among others.
#[tokio::test]
async fn hold_a_cluster() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let url = Postgres::shared().unwrap().database().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let (dir,): (String,) =
        sqlx::query_as("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
    eprintln!("cluster in {dir}");
    // Until it is killed.
    std::future::pending::<()>().await;
}

#[test]
#[ignore = "needs PostgreSQL: .ci/install test"]
fn a_cluster_ends_with_a_process_that_is_killed() {
    use std::io::{BufRead, BufReader};
    // Where there is no PostgreSQL, this says so.
    Postgres::shared().unwrap();
    let mut copy = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cluster::hold_a_cluster", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(copy.stderr.take().unwrap()).lines();
    let dir = lines
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("cluster in ")?.to_owned()))
        .unwrap();
    let dir = Path::new(&dir).parent().unwrap();
    assert!(dir.is_dir());

    copy.kill().unwrap();
    copy.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(60);
    while dir.exists() {
        assert!(Instant::now() < deadline, "{} is still there", dir.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
