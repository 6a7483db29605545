//! What a SQL query over a real PostgreSQL has to give, and to refuse. Whoever has a server running
//! calls it.

use anyhow::{Context, ensure};
use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use reverse_sync::{
    planner::Records,
    records::{RecordOptions, RecordSource},
};
use reverse_sync_service::golden::{
    GoldenFiles, StagedFile, Validated,
    query::{GoldenQuery, QueryError, QueryLimits, QueryPolicy},
};
use std::{path::Path, time::Duration};

/// One column of each type that golden records know, two rows.
const TYPES: &str = r#"
    -- every type; and a semicolon
    SELECT * FROM (VALUES
        (1, 492564112121::bigint, 1::smallint, 2147483647, '-9223372036854775808'::bigint, 0.1::real, 1e-7::float8, true, 12.50::numeric(10, 2),
         'Zo''e; é', 'ab'::char(4), '2024-02-29'::date, '2024-01-02 03:04:05.000006'::timestamp, '2024-01-02 03:04:05+02'::timestamptz,
         '0f3a0f3a-0f3a-0f3a-0f3a-0f3a0f3a0f3a'::uuid, '{"a": 1}'::jsonb, 1.5::float8, 10::numeric),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    ) AS all_types (row_number, hs_object_id, small, whole, large, short, double, yes, price, "na""me", padded, day, moment, instant,
        uuid, json, contact_id, "Id")
    ORDER BY row_number; -- in order
"#;

struct World {
    url: String,
    files: GoldenFiles,
    policy: QueryPolicy,
    dir: tempfile::TempDir,
}

impl World {
    async fn query(
        &self,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<(StagedFile, Validated), QueryError> {
        let query = GoldenQuery {
            database_url: self.url.clone().into(),
            query: sql.to_owned(),
            id_columns: vec!["row_number".to_owned()],
        };
        self.files.query(&self.policy, &query, limits).await
    }

    async fn refused(&self, sql: &str, limits: QueryLimits) -> anyhow::Result<QueryError> {
        let error =
            self.query(sql, limits).await.err().with_context(|| format!("it is taken: {sql}"))?;
        ensure!(
            std::fs::read_dir(self.dir.path())?.count() == 0,
            "a refused query has left something behind: {sql}"
        );
        Ok(error)
    }
}

/// Runs all of it. `url` is `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, of a server that asks
/// for the password.
///
/// # Errors
/// Says what is not as it should be.
pub(crate) async fn over_postgres(url: &str) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut policy = QueryPolicy::default();
    policy.allow_database(server_of(url)?).map_err(anyhow::Error::msg)?;
    let world = World { url: url.to_owned(), files: GoldenFiles::open(dir.path())?, policy, dir };
    types_are_kept(&world).await?;
    what_is_no_query_is_refused(&world).await?;
    limits_hold(&world).await?;
    reach_is_the_operators(&world).await
}

async fn types_are_kept(world: &World) -> anyhow::Result<()> {
    let (staged, validated) = world.query(TYPES, QueryLimits::default()).await?;
    ensure!(validated.records == 2 && validated.columns.len() == 18, "{validated:?}");
    let batch = read(staged.path())?;
    ensure!(
        (0..batch.num_columns()).all(|at| batch.columns()[at].is_null(1) || at == 0),
        "a null is not a value"
    );
    for (column, expected) in [
        ("row_number", "1"),
        ("hs_object_id", "492564112121"),
        ("price", "12.50"),
        ("na\"me", "Zo'e; é"),
        ("padded", "ab"),
        ("uuid", "0f3a0f3a-0f3a-0f3a-0f3a-0f3a0f3a0f3a"),
        ("json", "{\"a\": 1}"),
        ("contact_id", "1.5"),
        ("Id", "10"),
    ] {
        let found = named(&batch, column)?
            .as_string_view_opt()
            .with_context(|| format!("{column} is not text"))?
            .value(0);
        ensure!(found == expected, "{column} is {found}");
    }
    for (column, expected) in [("small", 1), ("whole", i64::from(i32::MAX)), ("large", i64::MIN)] {
        let found = named(&batch, column)?
            .as_primitive_opt::<types::Int64Type>()
            .with_context(|| format!("{column} is not an integer"))?;
        ensure!(found.value(0) == expected, "{column} is {}", found.value(0));
    }
    for (column, expected) in [("short", 0.1), ("double", 1e-7)] {
        let found = named(&batch, column)?
            .as_primitive_opt::<types::Float64Type>()
            .with_context(|| format!("{column} is not a number"))?;
        ensure!(found.value(0) == expected, "{column} is {}", found.value(0));
    }
    ensure!(named(&batch, "yes")?.as_boolean_opt().context("yes is not a boolean")?.value(0));
    let day = named(&batch, "day")?
        .as_primitive_opt::<types::Date32Type>()
        .context("day is not a date")?
        .value(0);
    ensure!(day == 19_782, "day is {day}");
    for (column, expected, has_zone) in
        [("moment", 1_704_164_645_000_006, false), ("instant", 1_704_157_445_000_000, true)]
    {
        let found = named(&batch, column)?.as_primitive_opt::<types::TimestampMicrosecondType>();
        let found = found.with_context(|| format!("{column} is not a time"))?;
        ensure!(found.value(0) == expected, "{column} is {}", found.value(0));
        ensure!(
            found.timezone().is_some() == has_zone,
            "{column} has the zone {:?}",
            found.timezone()
        );
    }
    let (staged, validated) = world
        .query(
            "SELECT i, i::text AS record_id FROM generate_series(1, 30000) AS i",
            QueryLimits::default(),
        )
        .await?;
    ensure!(validated.records == 30_000, "{validated:?}");
    ensure!(
        staged.validate(reverse_sync_service::golden::GoldenLimits::default()).await? == validated,
        "a query's set is one like any other"
    );
    Ok(())
}

async fn what_is_no_query_is_refused(world: &World) -> anyhow::Result<()> {
    for (sql, expected) in [
        ("DELETE FROM pg_class", "begins with `DELETE`"),
        ("SELECT 1 AS a; SELECT 2 AS b", "more than one statement"),
        ("SELECT nam FROM pg_class", "column \"nam\" does not exist"),
        ("SELECT 1", "column 1 has no name"),
        ("SELECT 1 AS a, 2 AS a", "two columns are called `a`"),
        ("SELECT 1 AS a WHERE false", "no rows"),
        ("SELECT 1 AS a) AS x, (SELECT 2 AS b", "syntax error"),
        ("SELECT ARRAY['x'] AS tags", "column `tags`: it is of type TEXT[]"),
        ("SELECT 'x'::bytea AS photo", "column `photo`: it is of type BYTEA"),
        ("SELECT $1::int AS a", "it has parameters"),
        ("SELECT 'infinity'::date AS day", "row 1, column `day`: `infinity`"),
        ("SELECT 'NaN'::float8 AS score", "row 1, column `score`: `NaN`"),
        ("SELECT 1 AS a INTO golden_copy", "it gives no columns"),
        (
            "WITH gone AS (DELETE FROM pg_description RETURNING objoid) SELECT objoid FROM gone",
            "must be at the top level",
        ),
        ("SELECT set_config('transaction_read_only', 'off', false) AS a", "read-write mode"),
    ] {
        let error = world.refused(sql, QueryLimits::default()).await?.to_string();
        ensure!(error.contains(expected), "{sql}: {error}");
    }
    // Before version 16, a transaction that reads may write large objects; but no transaction of
    // ours is ever committed.
    drop(world.query("SELECT lo_create(77777) AS a", QueryLimits::default()).await);
    let left = "SELECT count(*) AS a FROM pg_largeobject_metadata WHERE oid = 77777";
    let (staged, _) = world.query(left, QueryLimits::default()).await?;
    let left = named(&read(staged.path())?, "a")?.as_primitive::<types::Int64Type>().value(0);
    ensure!(left == 0, "what a function has written is still there");
    Ok(())
}

async fn limits_hold(world: &World) -> anyhow::Result<()> {
    let rows = QueryLimits { rows: 1_000, ..QueryLimits::default() };
    let error = world.refused("SELECT i FROM generate_series(1, 100000) AS i", rows).await?;
    ensure!(matches!(error, QueryError::TooManyRows { limit: 1_000 }), "{error}");
    let long = "SELECT i::text AS id, repeat('x', CASE i WHEN 2 THEN 200000000 ELSE 1 END) AS t FROM generate_series(1, 3) AS i";
    let error = world.refused(long, QueryLimits::default()).await?;
    ensure!(matches!(error, QueryError::TooLong { row: 2 }), "{error}");
    let time = QueryLimits { time: Duration::from_millis(200), ..QueryLimits::default() };
    let error = world.refused("SELECT pg_sleep(60)::text AS a", time).await?;
    ensure!(matches!(error, QueryError::TimedOut { .. }), "{error}");
    Ok(())
}

async fn reach_is_the_operators(world: &World) -> anyhow::Result<()> {
    let password = url_password(&world.url)?;
    let query = |url: String| GoldenQuery {
        database_url: url.into(),
        query: "SELECT 1 AS a".to_owned(),
        id_columns: Vec::new(),
    };
    let nobody = world
        .files
        .query(&QueryPolicy::default(), &query(world.url.clone()), QueryLimits::default())
        .await;
    ensure!(
        matches!(nobody, Err(QueryError::Forbidden { .. })),
        "nothing is allowed that nobody has allowed"
    );
    let mut own = world.policy.clone();
    own.protect_database(&world.url)?;
    let own = own_error(
        world.files.query(&own, &query(world.url.clone()), QueryLimits::default()).await,
    )?;
    ensure!(own.contains("own database"), "{own}");
    let wrong = world.url.replacen(password, "not-the-password", 1);
    let refused =
        own_error(world.files.query(&world.policy, &query(wrong), QueryLimits::default()).await)?;
    ensure!(
        refused.contains("password authentication failed") && !refused.contains("not-the-password"),
        "{refused}"
    );
    Ok(())
}

fn own_error(answer: Result<(StagedFile, Validated), QueryError>) -> anyhow::Result<String> {
    Ok(answer.err().context("it is taken")?.to_string())
}

fn server_of(url: &str) -> anyhow::Result<&str> {
    let (_, rest) = url.rsplit_once('@').context("the URL has no user")?;
    rest.split(['/', '?']).next().context("the URL has no host")
}

fn url_password(url: &str) -> anyhow::Result<&str> {
    let (user, _) = url.rsplit_once('@').context("the URL has no user")?;
    Ok(user.rsplit_once(':').context("the URL has no password")?.1)
}

fn read(path: &Path) -> anyhow::Result<RecordBatch> {
    let mut source = RecordSource::of(vec![path.to_owned()], RecordOptions::default())?;
    source.next_batch(100)?.context("there are no records")
}

fn named<'b>(batch: &'b RecordBatch, column: &str) -> anyhow::Result<&'b dyn Array> {
    Ok(batch
        .column_by_name(column)
        .with_context(|| format!("there is no column {column}"))?
        .as_ref())
}
