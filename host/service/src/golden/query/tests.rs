//! Queries over a real SQLite file.

use super::*;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, TimeUnit};
use reverse_sync::{
    planner::Records,
    records::{RecordOptions, RecordSource},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::{Path, PathBuf};

struct World {
    dir: tempfile::TempDir,
    files: GoldenFiles,
    policy: QueryPolicy,
}

impl World {
    async fn new(script: &'static str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let options =
            SqliteConnectOptions::new().filename(dir.path().join("crm.db")).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let files = GoldenFiles::open(&dir.path().join("golden")).unwrap();
        let mut policy = QueryPolicy::default();
        policy.allow_sqlite(dir.path()).unwrap();
        policy.protect_folder(&dir.path().join("golden")).unwrap();
        World { dir, files, policy }
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("crm.db")
    }

    async fn limited(
        &self,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<(StagedFile, Validated), QueryError> {
        let query = GoldenQuery {
            database_url: format!("sqlite://{}", self.database().display()).into(),
            query: sql.to_owned(),
            id_columns: vec!["key".to_owned()],
        };
        self.files.query(&self.policy, &query, limits).await
    }

    async fn query(&self, sql: &str) -> Result<(StagedFile, Validated), QueryError> {
        self.limited(sql, QueryLimits::default()).await
    }

    async fn refused(&self, sql: &str) -> String {
        let error = self.query(sql).await.err().unwrap().to_string();
        let left = std::fs::read_dir(self.dir.path().join("golden")).unwrap().count();
        assert_eq!(left, 0, "a refused query leaves nothing behind");
        error
    }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let mut source = RecordSource::of(vec![path.to_owned()], RecordOptions::default()).unwrap();
    std::iter::from_fn(|| source.next_batch(100_000).unwrap()).collect()
}

fn column(batch: &RecordBatch, name: &str) -> (DataType, Vec<String>) {
    let array = batch.column_by_name(name).unwrap();
    let format = arrow_cast::display::FormatOptions::new().with_null("null");
    let shown = arrow_cast::display::ArrayFormatter::try_new(array, &format).unwrap();
    (
        array.data_type().clone(),
        (0..batch.num_rows()).map(|row| shown.value(row).to_string()).collect(),
    )
}

const PEOPLE: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, hs_object_id, key REAL, name TEXT, age INTEGER, score REAL, active BOOLEAN, born DATE,
        seen DATETIME, mixed, half, price NUMERIC(10, 2), empty TEXT, day DATE, flag BOOLEAN);
    INSERT INTO people VALUES
        (1, 492564112121, 1, 'Brian', 41, 1.5, 1, '1980-02-29', '2024-01-02 03:04:05', 1, 1, 12.5, NULL, '2024-01-01', 1),
        (2, '007', 4.92564112121e11, 'Zo''e; é', NULL, 2, 0, NULL, '2024-01-02T03:04:05.25Z', 'x', 0.5, 3, NULL, 'soon', 2),
        (3, 4.92564112121e11, 1e21, '', -9223372036854775808, -0.1, NULL, '1969-12-31', NULL, 2.0, NULL, 0.1, NULL, NULL, 0);
";

#[tokio::test]
async fn every_value_keeps_its_spelling_until_its_type_is_certain() {
    let world = World::new(PEOPLE).await;
    let (staged, validated) =
        world.query("-- all of them\nSELECT * FROM people ORDER BY id; -- in order").await.unwrap();
    assert_eq!(
        (validated.records, validated.columns.len(), validated.columns[1].as_str()),
        (3, 15, "hs_object_id")
    );
    // What a query gives is a set like any other.
    assert_eq!(staged.validate(super::super::GoldenLimits::default()).await.unwrap(), validated);
    let batches = read(&staged.publish("set_1").unwrap());
    let column = |name: &str| column(&batches[0], name);
    assert_eq!(
        column("id"),
        (DataType::Utf8View, vec!["1".to_owned(), "2".to_owned(), "3".to_owned()])
    );
    // An id that the file holds as a float is not what the CRM has issued, and does not look as if
    // it were.
    assert_eq!(
        column("hs_object_id"),
        (DataType::Utf8View, vec!["492564112121".into(), "007".into(), "492564112121.0".into()])
    );
    assert_eq!(
        column("key"),
        (DataType::Utf8View, vec!["1.0".into(), "492564112121.0".into(), "1e21".into()])
    );
    assert_eq!(column("name").1, ["Brian", "Zo'e; é", ""]);
    assert_eq!(
        column("age"),
        (DataType::Int64, vec!["41".into(), "null".into(), "-9223372036854775808".into()])
    );
    assert_eq!(
        column("score"),
        (DataType::Float64, vec!["1.5".into(), "2.0".into(), "-0.1".into()])
    );
    assert_eq!(
        column("active"),
        (DataType::Boolean, vec!["true".into(), "false".into(), "null".into()])
    );
    assert_eq!(
        column("born"),
        (DataType::Date32, vec!["1980-02-29".into(), "null".into(), "1969-12-31".into()])
    );
    assert!(
        matches!(column("seen"), (DataType::Utf8View, values) if values == ["2024-01-02 03:04:05", "2024-01-02T03:04:05.25Z", "null"]),
        "one names a zone and one does not"
    );
    for (row, zone, time) in
        [(1, None, "2024-01-02T03:04:05"), (2, Some("+00:00".into()), "2024-01-02T03:04:05.250Z")]
    {
        let (staged, _) =
            world.query(&format!("SELECT seen FROM people WHERE id = {row}")).await.unwrap();
        let seen =
            self::column(&read(&staged.publish(&format!("set_seen{row}")).unwrap())[0], "seen");
        assert_eq!(seen, (DataType::Timestamp(TimeUnit::Microsecond, zone), vec![time.to_owned()]));
    }
    assert_eq!(column("mixed"), (DataType::Utf8View, vec!["1".into(), "x".into(), "2.0".into()]));
    assert_eq!(
        column("half"),
        (DataType::Float64, vec!["1.0".into(), "0.5".into(), "null".into()])
    );
    assert_eq!(
        column("price"),
        (DataType::Float64, vec!["12.5".into(), "3.0".into(), "0.1".into()])
    );
    assert_eq!(column("empty"), (DataType::Utf8View, vec!["null".into(); 3]));
    // What is declared counts only where every value is that.
    assert_eq!(
        column("day"),
        (DataType::Utf8View, vec!["2024-01-01".into(), "soon".into(), "null".into()])
    );
    assert_eq!(column("flag"), (DataType::Int64, vec!["1".into(), "2".into(), "0".into()]));
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_with_a_reason() {
    let world = World::new(PEOPLE).await;
    for (sql, expected) in [
        ("", "query: it must be one SELECT"),
        ("DELETE FROM people", "it begins with `DELETE`"),
        ("SELECT 1 AS a; DELETE FROM people", "more than one statement"),
        ("SELECT nam FROM people", "no such column: nam"),
        ("SELECT * FROM nobody", "no such table: nobody"),
        ("SELECT a FROM (SELECT 1 AS a", "incomplete input"),
        ("SELECT 1 AS a) , (SELECT 2 AS b", "syntax"),
        ("WITH x AS (SELECT 1) DELETE FROM people", "it gives no columns"),
        ("WITH x AS (SELECT 1) DELETE FROM people RETURNING id", "syntax"),
        ("SELECT name, age AS name FROM people", "two columns are called `name`"),
        ("SELECT id FROM people WHERE 0", "no rows"),
        ("SELECT ? AS a", "it has parameters"),
        ("SELECT 1 AS a UNION ALL SELECT x'00'", "row 2, column `a`: it is a BLOB"),
        ("SELECT CAST(x'ff' AS TEXT) AS a", "row 1, column `a`: the text is not UTF-8"),
    ] {
        let error = world.refused(sql).await;
        assert!(error.contains(expected), "{sql}: {error}");
    }
    let (staged, validated) = world.query("SELECT count(*) AS people FROM people").await.unwrap();
    assert_eq!(validated.records, 1);
    assert_eq!(column(&read(staged.path())[0], "people").1, ["3"], "nothing was deleted");
}

#[tokio::test]
async fn a_query_ends_in_time_and_at_its_limits() {
    let world = World::new(PEOPLE).await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let rows = QueryLimits { rows: 10_000, ..QueryLimits::default() };
    let error = world.limited(endless, rows).await.err().unwrap();
    assert!(matches!(error, QueryError::TooManyRows { limit: 10_000 }), "{error}");
    let none = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
    let time = QueryLimits { time: Duration::from_millis(100), ..QueryLimits::default() };
    let error = world.limited(none, time).await.err().unwrap();
    assert!(matches!(error, QueryError::TimedOut { .. }), "{error}");
    let bytes = QueryLimits { bytes: 10_000, ..QueryLimits::default() };
    let noise = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT hex(randomblob(20)) AS a FROM n";
    let error = world.limited(noise, bytes).await.err().unwrap();
    assert!(
        matches!(error, QueryError::Golden(GoldenError::TooLarge { limit: 10_000, .. })),
        "{error}"
    );
}

#[tokio::test]
async fn many_rows_come_in_batches() {
    let world = World::new(PEOPLE).await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i, 'x' || i AS record_id FROM n";
    let (staged, validated) = world.query(numbers).await.unwrap();
    assert_eq!(validated.records, 30_000);
    let values: Vec<String> =
        read(staged.path()).iter().flat_map(|batch| column(batch, "record_id").1).collect();
    assert!(
        values.iter().zip(1..).all(|(value, i)| *value == format!("x{i}"))
            && values.len() == 30_000
    );
}

#[tokio::test]
async fn only_what_the_operator_allows_is_reached() {
    let world = World::new(PEOPLE).await;
    let sql = "SELECT name FROM people";
    for (url, expected) in [
        (format!("sqlite://{}", world.database().display()), "--golden-sqlite DIR"),
        (
            "postgres://me:hunter2@db.example.com/people".to_owned(),
            "--golden-database db.example.com:5432",
        ),
        (
            "postgres://me:hunter2@db.example.com/people?host=evil".to_owned(),
            "database_url: `host` is not taken",
        ),
        ("sqlite://crm.db".to_owned(), "whole path"),
        ("sqlite::memory:".to_owned(), "whole path"),
        (format!("sqlite://{}?mode=rwc", world.database().display()), "read-only"),
        ("mysql://x".to_owned(), "begins with `postgres://` or `sqlite://`"),
        ("hunter2".to_owned(), "begins with"),
    ] {
        let query = GoldenQuery {
            database_url: url.clone().into(),
            query: sql.to_owned(),
            id_columns: Vec::new(),
        };
        assert!(!format!("{query:?}").contains("hunter2"));
        let error = world
            .files
            .query(&QueryPolicy::default(), &query, QueryLimits::default())
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
    }
    // A handler may be moved between threads.
    fn is_send(_: impl Send) {}
    is_send(world.query(sql));
}

#[tokio::test]
async fn rows_are_no_longer_than_records_may_be() {
    let world = World::new(PEOPLE).await;
    world.query("SELECT 1 AS key, printf('%.*c', 1048000, 'x') AS note").await.unwrap();
    let long = "SELECT 1 AS key, 'x' AS note UNION ALL SELECT 2, printf('%.*c', 1048576, 'x')";
    let error = world.refused(long).await;
    assert!(
        error.contains("row 2, column `note`: with this value the row is longer than 1 MiB"),
        "{error}"
    );
    // What is not text counts as it does for planning, so that what is taken can be planned.
    let numbers = |length: u32| {
        format!("SELECT 'a' AS key, printf('%.*c', {length}, 'x') AS note, 1 AS one, 1.5 AS two")
    };
    let fits = (1 << 20) - 2 * 4 - 1 - 2 * 24;
    let (staged, _) = world.query(&numbers(fits)).await.unwrap();
    assert_eq!(read(staged.path()).len(), 1);
    drop(staged);
    assert!(world.refused(&numbers(fits + 1)).await.contains("longer than 1 MiB"));
    // As many as planning reads at once.
    let many = "WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM n WHERE key < 1024) SELECT key, printf('%.*c', 70000, 'x') AS note FROM n";
    let error = world.refused(many).await;
    assert!(error.contains("more than 64 MiB together"), "{error}");
}

#[tokio::test]
async fn a_value_that_no_record_has_is_not_made() {
    let world = World::new("CREATE TABLE t (x)").await;
    for sql in [
        "SELECT hex(zeroblob(900000000)) AS id",
        "SELECT 1 AS id, length(zeroblob(900000000)) AS n",
        "SELECT 1 AS id, replace(hex(zeroblob(10000)), '0', hex(zeroblob(10000))) AS t",
    ] {
        let error = world.refused(sql).await;
        assert!(error.contains("too big"), "{error}");
    }
}
