//! A query over a SQLite file.
//!
//! In SQLite a value has a type and a column has none, so the query is run twice over the same
//! state of the file: once to see what its columns hold, and once to write that. A column that
//! mixes types is text, in the spelling of the values.

use super::{
    GoldenQuery, QueryError, QueryLimits, QueryPolicy, blocking, check_names, check_parameters,
    database_error, decoded,
    statement::{Dialect, single_select},
    table::{self, Kind, Table},
    url_error,
};
use crate::golden::{GoldenFiles, StagedFile, Validated};
use futures_util::TryStreamExt;
use reverse_sync::records::bounds::MAX_RECORD;
use secrecy::ExposeSecret;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, SqlSafeStr, SqliteConnection,
    Statement, TypeInfo, ValueRef,
    sqlite::{LockedSqliteHandle, SqliteConnectOptions, SqliteRow},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A whole number up to this is exact as a 64-bit float.
const EXACT: i64 = 1 << 53;
/// How often SQLite asks whether to continue, in steps of its machine.
const STEPS: i32 = 10_000;

/// Stops the query when nobody waits for its answer any more: SQLite has a thread of its own, which
/// would not notice.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

pub(super) async fn query(
    files: &GoldenFiles,
    policy: &QueryPolicy,
    query: &GoldenQuery,
    limits: QueryLimits,
) -> Result<(StagedFile, Validated), QueryError> {
    let deadline = Instant::now() + limits.time;
    let sql = single_select(&query.query, Dialect::Sqlite).map_err(QueryError::Statement)?;
    let path = path(query.database_url.expose_secret())?;
    let file = policy.sqlite_file(&path)?;
    let failed = |error: sqlx::Error| {
        if Instant::now() >= deadline {
            return QueryError::TimedOut { limit: limits.time };
        }
        database_error(&path.display().to_string(), None, &error)
    };
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .read_only(true)
        .create_if_missing(false)
        // A schema may call functions; that of somebody else's file may call harmless ones only.
        .pragma("trusted_schema", "OFF")
        .pragma("query_only", "ON")
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(0)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let stop = Stop(Arc::default());
    let stopped = Arc::clone(&stop.0);
    let goes_on = move || !stopped.load(Relaxed) && Instant::now() < deadline;
    let mut handle = connection.lock_handle().await.map_err(failed)?;
    handle.set_progress_handler(STEPS, goes_on);
    limit_length(&mut handle);
    drop(handle);

    // One state of the file for everything that follows.
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.map_err(failed)?;
    let prepared = (&mut connection)
        .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
        .await
        .map_err(failed)?;
    check_parameters(prepared.parameters())?;
    let names = check_names(prepared.columns().iter().map(Column::name))?;
    // The query may end in a comment. Within another, nothing but a SELECT can stand.
    let wrapped = format!("SELECT * FROM (\n{sql}\n)");

    let mut seen: Vec<Seen> =
        prepared.columns().iter().map(|column| Seen::declared(column.type_info().name())).collect();
    let mut count: u64 = 0;
    let mut rows =
        sqlx::query(AssertSqlSafe(wrapped.clone())).persistent(false).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        count += 1;
        if count > limits.rows {
            return Err(QueryError::TooManyRows { limit: limits.rows });
        }
        for (column, seen) in seen.iter_mut().enumerate() {
            let value = Value::of(&row, column)
                .map_err(|reason| value_error(count, &names[column], reason))?;
            seen.see(&value);
        }
    }
    drop(rows);

    let columns = names.iter().cloned().zip(seen.iter().map(Seen::kind)).collect();
    let mut table = blocking({
        let (files, ids) = (files.clone(), query.id_columns.clone());
        move || Table::create(&files, columns, &ids, limits)
    })
    .await?;
    let mut rows = sqlx::query(AssertSqlSafe(wrapped)).persistent(false).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        table.row()?;
        for (column, name) in names.iter().enumerate() {
            let value =
                Value::of(&row, column).map_err(|reason| value_error(count, name, reason))?;
            value.spelled(|text| table.put(column, text))?;
        }
        if table.is_full() {
            table = blocking(move || table.write().map(|()| table)).await?;
        }
    }
    drop(rows);
    // Nothing was written that could be lost.
    let _ = connection.close().await;
    blocking(move || table.finish()).await
}

/// No value and no row, also within the query, is longer than twice a record.
#[expect(unsafe_code, reason = "the driver has no function for it")]
fn limit_length(handle: &mut LockedSqliteHandle<'_>) {
    let most = i32::try_from(2 * MAX_RECORD).unwrap_or(i32::MAX);
    // SAFETY: the handle is that of an open connection, which is locked, and the call changes one
    // number of it.
    unsafe {
        libsqlite3_sys::sqlite3_limit(
            handle.as_raw_handle().as_ptr(),
            libsqlite3_sys::SQLITE_LIMIT_LENGTH,
            most,
        )
    };
}

fn value_error(row: u64, column: &str, reason: String) -> QueryError {
    QueryError::Value { row, column: column.to_owned(), reason }
}

/// The file that a URL names.
fn path(url: &str) -> Result<PathBuf, QueryError> {
    let rest = url.split_once(':').map_or("", |(_, rest)| rest);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = match rest.split_once('?') {
        Some((path, "mode=ro")) => path,
        Some(_) => {
            return Err(url_error("a file is opened read-only, and no other parameter is taken"));
        }
        None => rest,
    };
    let path = PathBuf::from(decoded(path)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(url_error("write the file's whole path: sqlite:///ABSOLUTE/PATH"))
    }
}

enum Value<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'r str),
}

impl<'r> Value<'r> {
    fn of(row: &'r SqliteRow, column: usize) -> Result<Value<'r>, String> {
        let raw = row.try_get_raw(column).map_err(|error| error.to_string())?;
        let is_null = raw.is_null();
        let info = raw.type_info().name().to_owned();
        drop(raw);
        let failed = |error: sqlx::Error| error.to_string();
        Ok(match info.as_str() {
            _ if is_null => Value::Null,
            "INTEGER" => Value::Integer(row.try_get_unchecked(column).map_err(failed)?),
            "REAL" => Value::Real(row.try_get_unchecked(column).map_err(failed)?),
            "TEXT" => Value::Text(
                row.try_get_unchecked(column).map_err(|_| "the text is not UTF-8".to_owned())?,
            ),
            _ => {
                return Err(
                    "it is a BLOB, which golden records do not have; write hex(…) or leave it out"
                        .to_owned(),
                );
            }
        })
    }

    /// A real number always shows that it is one: an id that was kept as one is not what the CRM
    /// has issued.
    fn spelled<T>(&self, show: impl FnOnce(Option<&str>) -> T) -> T {
        match self {
            Value::Null => show(None),
            Value::Integer(number) => show(Some(itoa::Buffer::new().format(*number))),
            Value::Real(number) => show(Some(&format!("{number:?}"))),
            Value::Text(text) => show(Some(text)),
        }
    }
}

/// What a column's values have in common.
struct Seen {
    declared: Declared,
    integers: bool,
    reals: bool,
    texts: bool,
    /// Whether every value fits the declaration.
    fits: bool,
    /// Whether every value is a time without a zone.
    local: bool,
    /// Whether every whole number is exact as a float.
    exact: bool,
}

enum Declared {
    Boolean,
    Date,
    Timestamp,
    Other,
}

impl Seen {
    fn declared(name: &str) -> Seen {
        let declared = match name {
            "BOOLEAN" => Declared::Boolean,
            "DATE" => Declared::Date,
            "DATETIME" => Declared::Timestamp,
            _ => Declared::Other,
        };
        Seen {
            declared,
            integers: false,
            reals: false,
            texts: false,
            fits: true,
            local: true,
            exact: true,
        }
    }

    fn see(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => return,
            Value::Integer(number) => {
                self.integers = true;
                self.exact &= number.unsigned_abs() <= EXACT.unsigned_abs();
            }
            Value::Real(number) => {
                self.reals = true;
                self.exact &= number.is_finite();
            }
            Value::Text(_) => self.texts = true,
        }
        self.fits &= match (&self.declared, value) {
            (Declared::Boolean, Value::Integer(0 | 1)) => true,
            (Declared::Date, Value::Text(text)) => table::date(text).is_some(),
            (Declared::Timestamp, Value::Text(text)) => table::timestamp(text).is_some(),
            _ => false,
        };
        self.local &= matches!(value, Value::Text(text) if table::local_timestamp(text).is_some());
    }

    fn kind(&self) -> Kind {
        let empty = !(self.integers || self.reals || self.texts);
        match self.declared {
            _ if empty => Kind::Text,
            Declared::Boolean if self.fits => Kind::Boolean,
            Declared::Date if self.fits => Kind::Date,
            Declared::Timestamp if self.fits => Kind::Timestamp,
            Declared::Timestamp if self.local => Kind::LocalTimestamp,
            _ if self.texts => Kind::Text,
            _ if !self.reals => Kind::Integer,
            _ if self.exact => Kind::Number,
            _ => Kind::Text,
        }
    }
}
