//! The state of the service: SQLite by default, PostgreSQL by URL, one set of statements for both.
//!
//! Every function that reads or writes what belongs to an org takes the org's id, and every
//! statement names it: another org's ids find nothing. Writers take turns where the database does
//! not order them by itself, so that a count that was looked at still holds when something is
//! written because of it.

mod audit;
mod destinations;
mod golden;
mod ids;
mod members;
pub(crate) mod outcome;
mod plans;
mod quotas;
mod refused_keys;
mod runs;
mod service;
mod sources;
mod status;

pub use audit::{AuditEntry, AuditRow, Broken, Head, Sign, Verified};
pub use destinations::{Changed, DestinationRow};
pub use golden::{GoldenRow, NewGolden};
pub use ids::{now_ms, random_id, time_text};
pub use members::{ApiKeyRow, Member, NewKey, Revoked, Role};
pub use outcome::{RunOptions, RunResult};
pub use plans::{Kept, PlanRow};
pub use quotas::{OwnQuota, Quota, Usage};
pub use runs::{Begun, NewRun, Resumed, RunFilter, RunRow, StatusFilter};
pub use service::ServiceState;
pub use sources::{NewSource, SourceLimit, SourceRow, SourceSettings};
pub use status::Status;

use reverse_sync::private_file;
use sqlx::{
    Any, AnyConnection, AnyPool, Connection, Executor, FromRow, Row, SqlSafeStr, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions, AnyRow, install_default_drivers},
    error::BoxDynError,
    migrate::{Migration, MigrationType, Migrator},
};
use std::{
    path::Path,
    str::FromStr,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};
use tokio::sync::mpsc;

/// How long the connection that holds the database may take to say that it does.
const ANSWER: Duration = Duration::from_secs(5);

/// A write in progress.
type Write = Transaction<'static, Any>;

/// Where the state is kept.
#[derive(Clone)]
pub struct Store {
    reads: AnyPool,
    writes: AnyPool,
    kind: Kind,
    default_quota: Quota,
    /// Makes the hashes of the audit log.
    sign: Arc<dyn Sign>,
    /// The start of the service that this is, once it has begun. Whatever says where a run stands
    /// is refused once another one has.
    epoch: Arc<AtomicI64>,
    refused: Arc<refused_keys::RefusedKeys>,
    plans_to_keep: mpsc::Sender<plans::Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that is supported.
    #[error(
        "--database takes sqlite:///path/to/file.db or postgres://user@host/database, not `{0}:…`"
    )]
    Url(String),
    /// The database refuses, or is not there.
    #[error("the database: {0}")]
    Database(sqlx::Error),
    /// The same, for all whose rows would have been written together.
    #[error("the database: {0}")]
    Together(Arc<sqlx::Error>),
    /// Its tables are not those of this version.
    #[error("the database cannot be brought to this version's tables: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Another service has started on this state since.
    #[error("another service has taken this state over; this one says nothing more about its runs")]
    TakenOver,
    /// The audit log's key.
    #[error("no row can be added to the audit log: {0}")]
    Unsigned(String),
    /// A value in it is not what this version writes.
    #[error(transparent)]
    Unreadable(Box<Unreadable>),
}

/// A row with a value that this version cannot read. Nothing is guessed of it, and nothing is done
/// with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place} of {id} cannot be read: {error}")]
pub struct Unreadable {
    /// Table and column, such as `runs.options`.
    pub place: String,
    /// The row, by its id.
    pub id: String,
    /// Its place in a list.
    cursor: String,
    /// What is wrong. It may repeat a part of the value, so it is for the log alone.
    pub error: String,
}

/// A row of a list, in which one that cannot be read does not stop the others.
pub type Stored<T> = std::result::Result<T, Unreadable>;

impl Unreadable {
    /// Of a value that is decoded after its row was read.
    pub fn new(place: &str, id: &str, error: impl ToString) -> Unreadable {
        Unreadable {
            place: place.to_owned(),
            id: id.to_owned(),
            cursor: String::new(),
            error: error.to_string(),
        }
    }

    /// Its place in a list.
    pub fn cursor(&self) -> String {
        self.cursor.clone()
    }

    /// Of a row's column, by the columns that hold its id and its place in a list.
    fn of(
        row: &AnyRow,
        place: String,
        id: &str,
        after: &[&str],
        error: &BoxDynError,
    ) -> Unreadable {
        let text = |column: &str| match row.try_get::<String, _>(column) {
            Ok(text) => text,
            Err(_) => {
                row.try_get::<i64, _>(column).map_or_else(|_| "?".to_owned(), |n| n.to_string())
            }
        };
        let cursor = after.iter().map(|column| text(column)).collect::<Vec<_>>().join("-");
        Unreadable { place, id: text(id), cursor, error: error.to_string() }
    }
}

impl From<Unreadable> for StoreError {
    fn from(unreadable: Unreadable) -> StoreError {
        StoreError::Unreadable(Box::new(unreadable))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        match error {
            sqlx::Error::Decode(source) => match source.downcast::<Unreadable>() {
                Ok(unreadable) => StoreError::Unreadable(unreadable),
                Err(source) => StoreError::Database(sqlx::Error::Decode(source)),
            },
            error => StoreError::Database(error),
        }
    }
}

/// Rows of a list, each read by itself.
fn each<T: for<'r> FromRow<'r, AnyRow>>(rows: &[AnyRow]) -> Result<Vec<Stored<T>>> {
    let rows = rows.iter().map(|row| match T::from_row(row).map_err(StoreError::from) {
        Ok(row) => Ok(Ok(row)),
        Err(StoreError::Unreadable(unreadable)) => Ok(Err(*unreadable)),
        Err(error) => Err(error),
    });
    rows.collect()
}

/// How long a database may take to answer at the start.
const CONNECT: Duration = Duration::from_secs(10);

/// The result of a question to the store.
pub type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Connects, and brings the tables to this version. Nothing can be logged before it [has a
    /// key](Store::signed_by).
    ///
    /// # Errors
    /// If the database cannot be reached, or belongs to a newer version.
    pub async fn open(url: &str) -> Result<Store> {
        install_default_drivers();
        let kind = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Kind::Sqlite,
            Some("postgres" | "postgresql") => Kind::Postgres,
            other => {
                return Err(StoreError::Url(other.unwrap_or_default().chars().take(20).collect()));
            }
        };
        let options = AnyConnectOptions::from_str(url)?;
        if kind == Kind::Sqlite {
            #[cfg(unix)]
            own_alone(url).map_err(|error| StoreError::Database(sqlx::Error::Io(error)))?;
        }
        // A pool would try again for half a minute before it says that there is nobody.
        let silent = || {
            sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the database does not answer within 10 seconds",
            ))
        };
        let first =
            tokio::time::timeout(CONNECT, <AnyConnection as Connection>::connect_with(&options))
                .await
                .map_err(|_| silent())??;
        first.close().await?;
        let pool = |connections: u32| {
            let pool = AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(30));
            // A file does not hang up.
            let pool = pool.test_before_acquire(kind == Kind::Postgres);
            pool.after_connect(move |connection, _| Box::pin(prepare(connection, kind)))
        };
        // SQLite has one writer at a time; with one connection for it they queue instead of
        // failing.
        let writes =
            pool(if kind == Kind::Sqlite { 1 } else { 8 }).connect_with(options.clone()).await?;
        Migrator::with_migrations(migrations(kind)).run(&writes).await?;
        let reads = pool(8).connect_with(options).await?;
        Ok(Store {
            plans_to_keep: plans::keeper(writes.clone()),
            reads,
            writes,
            kind,
            default_quota: Quota::default(),
            sign: Arc::new(audit::NoKey),
            epoch: Arc::default(),
            refused: Arc::default(),
        })
    }

    /// With this to make the hashes of the audit log.
    #[must_use]
    pub fn signed_by(self, sign: Arc<dyn Sign>) -> Store {
        Store { sign, ..self }
    }

    /// With these limits for orgs that have none of their own.
    #[must_use]
    pub fn with_default_quota(self, default_quota: Quota) -> Store {
        Store { default_quota, ..self }
    }

    /// SQLite in a file, which is made if it is not there.
    pub fn file_url(path: &Path) -> String {
        format!("sqlite://{}?mode=rwc", path.display())
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.reads).await?;
        Ok(())
    }

    /// Holds the database as a service, on a connection of its own, or `None` if another one does.
    /// PostgreSQL only; SQLite has a lock file beside it.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn hold_service(&self) -> Result<Option<ServiceHold>> {
        let mut connection = self.reads.acquire().await?.detach();
        let sql = "SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END AS held";
        let held: i32 =
            sqlx::query_scalar(sql).bind(turn::SERVICE).fetch_one(&mut connection).await?;
        Ok((held == 1).then_some(ServiceHold(connection)))
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }

    /// Begins to write. What is read within it stays true until it ends.
    async fn write(&self) -> Result<Write> {
        Ok(match self.kind {
            Kind::Sqlite => self.writes.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => self.writes.begin().await?,
        })
    }

    /// Holds everybody else off from what `what` stands for, until the write ends.
    async fn take_turn(&self, write: &mut Write, what: i64) -> Result<()> {
        // Its answer is void, which has no Rust type here.
        self.turn(write, "SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS turn", what).await
    }

    /// Holds off those who [take](Store::take_turn) a turn, and not those who share it.
    async fn share_turn(&self, write: &mut Write, what: i64) -> Result<()> {
        self.turn(write, "SELECT 1 FROM (SELECT pg_advisory_xact_lock_shared($1)) AS turn", what)
            .await
    }

    /// SQLite has one writer at a time.
    async fn turn(&self, write: &mut Write, sql: &'static str, what: i64) -> Result<()> {
        if self.kind == Kind::Postgres {
            sqlx::query(sql).bind(what).execute(&mut **write).await?;
        }
        Ok(())
    }
}

/// The database is held by a service as long as this connection lives.
pub struct ServiceHold(AnyConnection);

impl ServiceHold {
    /// Whether the database is still held. A connection that does not answer holds nothing that
    /// anybody could rely on.
    pub async fn is_held(&mut self) -> bool {
        let sql = "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted \
                   AND (classid::bigint << 32 | objid::bigint) = $1) THEN 1 ELSE 0 END AS held";
        let asked = sqlx::query_scalar::<_, i32>(sql).bind(turn::SERVICE).fetch_one(&mut self.0);
        matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Ok(1)))
    }
}

impl std::fmt::Debug for ServiceHold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceHold")
    }
}

/// Turns of [`Store::take_turn`].
mod turn {
    pub(super) const SERVICE: i64 = 0x7273_0011;
    pub(super) const AUDIT: i64 = 0x7273_0001;
    pub(super) const RUNS: i64 = 0x7273_0002;
    pub(super) const GOLDEN: i64 = 0x7273_0003;
}

/// Makes the file of a SQLite database what its owner alone reads, wherever it lies; SQLite's other
/// files beside it become like it.
#[cfg(unix)]
fn own_alone(url: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = url
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path))
        .unwrap_or_default();
    let (path, mode) = path.split_once('?').unwrap_or((path, ""));
    if path.is_empty() || path == ":memory:" {
        return Ok(());
    }
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    if mode.contains("mode=rwc") {
        let mut options = std::fs::OpenOptions::new();
        private_file::private(options.append(true).create(true)).open(&*path)?;
    }
    for file in [path.to_string(), format!("{path}-wal"), format!("{path}-shm")] {
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
                tracing::warn!(file, "others could read the database; now they cannot");
            }
            _ => {}
        }
    }
    Ok(())
}

async fn prepare(
    connection: &mut AnyConnection,
    kind: Kind,
) -> std::result::Result<(), sqlx::Error> {
    let settings = match kind {
        Kind::Sqlite => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 30000;"
        }
        // A service that is frozen in the middle of a write would hold off whoever takes over.
        Kind::Postgres => "SET idle_in_transaction_session_timeout = '10s'",
    };
    connection.execute(settings).await?;
    Ok(())
}

fn migrations(kind: Kind) -> Vec<Migration> {
    let guard = match kind {
        Kind::Sqlite => include_str!("../../migrations/2_audit_log_sqlite.sql"),
        Kind::Postgres => include_str!("../../migrations/2_audit_log_postgres.sql"),
    };
    let hold = include_str!("../../migrations/3_hold.sql");
    [
        (1, "tables", include_str!("../../migrations/1_tables.sql")),
        (2, "audit log", guard),
        (3, "hold", hold),
        (4, "checks", include_str!("../../migrations/4_checks.sql")),
    ]
    .map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
    .into()
}

/// A type is in a column as text, which this function makes it from.
macro_rules! decode {
    ($type:ty, $from_text:expr) => {
        impl sqlx::Type<sqlx::Any> for $type {
            fn type_info() -> sqlx::any::AnyTypeInfo {
                <str as sqlx::Type<sqlx::Any>>::type_info()
            }
        }

        impl sqlx::Decode<'_, sqlx::Any> for $type {
            fn decode(
                value: sqlx::any::AnyValueRef<'_>,
            ) -> std::result::Result<Self, sqlx::error::BoxDynError> {
                let text = <&str as sqlx::Decode<'_, sqlx::Any>>::decode(value)?;
                Ok($from_text(text)?)
            }
        }
    };
}
use decode;

/// A row is read field by field, each from the column of its name or of the one in brackets, and
/// made from what that holds if a function is given. What cannot be read is named by its table and
/// by the column of its id; behind that, the columns that order a list if it is not the id. The
/// columns are a constant, where it has a name.
macro_rules! from_row {
    ($table:literal, $id:ident $(by $($after:ident).+)?, $row:ident { $($field:ident $([$column:literal])? $(=> $made:expr)?),+ $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::any::AnyRow> for $row {
            fn from_row(row: &sqlx::any::AnyRow) -> sqlx::Result<$row> {
                use sqlx::Row as _;
                let unreadable = |column: &str, error: sqlx::Error| match error {
                    sqlx::Error::ColumnDecode { source, .. } => {
                        let place = format!("{}.{column}", $table);
                        let after = [$($(stringify!($after)),+)?];
                        let after: &[&str] = if after.is_empty() { &[stringify!($id)] } else { &after };
                        let error = $crate::store::Unreadable::of(row, place, stringify!($id), after, &source);
                        sqlx::Error::Decode(error.into())
                    }
                    error => error,
                };
                Ok($row { $($field: {
                    let column = [$($column,)? stringify!($field)][0];
                    let value = row.try_get(column).map_err(|error| unreadable(column, error))?;
                    $(let value = ($made)(value);)?
                    value
                }),+ })
            }
        }
    };
    ($columns:ident, $table:literal, $id:ident $(by $($after:ident).+)?, $row:ident { $first:ident, $($field:ident),+ $(,)? }) => {
        const $columns: &str = concat!(stringify!($first), $(", ", stringify!($field)),+);
        $crate::store::from_row!($table, $id $(by $($after).+)?, $row { $first, $($field),+ });
    };
}
use from_row;

/// JSON text for a column.
fn to_json(value: &impl serde::Serialize) -> String {
    // What is stored are maps and lists of plain values.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An empty store in a folder of its own.
    pub(crate) async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Store::file_url(&dir.path().join("test.db")))
            .await
            .unwrap()
            .signed_by(Arc::new(TestKey));
        (dir, store)
    }

    /// The rows of a list, all of which can be read.
    pub(crate) fn readable<T>(rows: Vec<Stored<T>>) -> Vec<T> {
        rows.into_iter().collect::<std::result::Result<_, _>>().unwrap()
    }

    /// A key that everybody knows.
    pub(crate) struct TestKey;

    impl Sign for TestKey {
        fn active(&self) -> std::result::Result<String, String> {
            Ok("test".to_owned())
        }

        fn mac(&self, key_id: &str, text: &[u8]) -> Option<String> {
            (key_id == "test")
                .then(|| reverse_sync::digest::Digest::of(&[b"key", text].concat()).hex())
        }
    }

    #[tokio::test]
    async fn it_opens_again_and_refuses_what_is_no_database() {
        let (dir, store) = store().await;
        store.ping().await.unwrap();
        store.close().await;
        Store::open(&Store::file_url(&dir.path().join("test.db")))
            .await
            .unwrap()
            .ping()
            .await
            .unwrap();
        assert!(
            matches!(Store::open("mysql://root:sesame@localhost/x").await, Err(StoreError::Url(scheme)) if scheme == "mysql")
        );
    }
}
