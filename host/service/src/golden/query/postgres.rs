//! A query over PostgreSQL.
//!
//! It is prepared on its own, which PostgreSQL does for one statement only, and for its columns;
//! then it is run inside a `SELECT` that turns every value into text, in a transaction that reads.

use super::{
    GoldenQuery, QueryError, QueryLimits, QueryPolicy, blocking, check_names, check_parameters,
    database_error, decoded,
    policy::{PostgresName, postgres_name},
    statement::{Dialect, single_select},
    table::{Kind, Table},
    url_error,
};
use crate::golden::{GoldenFiles, StagedFile, Validated};
use futures_util::TryStreamExt;
use reverse_sync::records::bounds::MAX_RECORD;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, PgConnection, Row, SqlSafeStr,
    Statement, TypeInfo,
    postgres::{PgColumn, PgConnectOptions, PgSslMode, PgTypeKind},
};
use std::{fmt::Write, net::IpAddr, time::Duration};
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);

struct Target {
    name: PostgresName,
    password: SecretString,
    options: PgConnectOptions,
}

pub(super) async fn query(
    files: &GoldenFiles,
    policy: &QueryPolicy,
    query: &GoldenQuery,
    limits: QueryLimits,
) -> Result<(StagedFile, Validated), QueryError> {
    let sql = single_select(&query.query, Dialect::Postgres).map_err(QueryError::Statement)?;
    let target = target(query.database_url.expose_secret())?;
    policy.check_postgres(&target.name).await?;
    let shown = target.name.shown();
    let failed = |error: sqlx::Error| {
        if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014")) {
            return QueryError::TimedOut { limit: limits.time };
        }
        database_error(&shown, Some(target.password.expose_secret()), &error)
    };
    let connecting =
        tokio::time::timeout(CONNECT, PgConnection::connect_with(&target.options)).await;
    let message = || format!("it does not answer within {} seconds", CONNECT.as_secs());
    let mut connection = connecting
        .map_err(|_| QueryError::Database { database: shown.clone(), message: message() })?
        .map_err(failed)?;
    // The settings are the transaction's: they decide how values are spelled, and that quotes are
    // read as `single_select` reads them.
    let settings = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
         SET LOCAL standard_conforming_strings = on; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; \
         SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 1",
        limits.time.as_millis(),
        CONNECT.as_millis(),
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut connection).await.map_err(failed)?;
    let prepared = (&mut connection)
        .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
        .await
        .map_err(failed)?;
    check_parameters(prepared.parameters())?;
    let names = check_names(prepared.columns().iter().map(Column::name))?;
    let columns = names
        .iter()
        .zip(prepared.columns())
        .map(|(name, column)| Ok((name.clone(), kind(column)?)));
    let columns = columns.collect::<Result<Vec<_>, QueryError>>()?;
    let wrapped = as_text(sql, &names);
    let mut table = blocking({
        let (files, ids) = (files.clone(), query.id_columns.clone());
        move || Table::create(&files, columns, &ids, limits)
    })
    .await?;
    let mut rows = sqlx::query(AssertSqlSafe(wrapped)).persistent(false).fetch(&mut connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        count += 1;
        table.row()?;
        if row.try_get::<Option<bool>, _>(names.len()).map_err(failed)? == Some(true) {
            return Err(QueryError::TooLong { row: count });
        }
        for column in 0..names.len() {
            table.put(column, row.try_get::<Option<&str>, _>(column).map_err(failed)?)?;
        }
        if table.is_full() {
            table = blocking(move || table.write().map(|()| table)).await?;
        }
    }
    drop(rows);
    // The transaction is not committed: whatever a function may have written is gone.
    let _ = connection.close().await;
    blocking(move || table.finish()).await
}

/// The same rows, with every value as its text, and at the end whether the row is too long: then
/// its values stay where they are.
fn as_text(sql: &str, names: &[String]) -> String {
    let (mut values, mut texts, mut length) = (String::new(), String::new(), String::new());
    for (at, name) in names.iter().enumerate() {
        // Writing to a text does not fail.
        let _ = write!(values, "CASE WHEN NOT size.long THEN texts.c{at} END, ");
        let _ = write!(
            texts,
            "{}golden.\"{}\"::text AS c{at}",
            if at == 0 { "" } else { ", " },
            name.replace('"', "\"\"")
        );
        let _ = write!(
            length,
            "{}COALESCE(octet_length(texts.c{at}), 0)::bigint",
            if at == 0 { "" } else { " + " }
        );
    }
    // The query may end in a comment. Without OFFSET, each value would be made twice.
    format!(
        "SELECT {values}size.long FROM (SELECT {texts} FROM (\n{sql}\n) AS golden OFFSET 0) AS texts CROSS JOIN LATERAL (SELECT {length} > {MAX_RECORD} AS long) AS size"
    )
}

fn kind(column: &PgColumn) -> Result<Kind, QueryError> {
    let info = column.type_info();
    let refused = |reason: &str| {
        Err(QueryError::Column {
            column: column.name().to_owned(),
            reason: format!("it is of type {}, {reason}", info.name()),
        })
    };
    Ok(match info.name() {
        "BOOL" => Kind::Boolean,
        "INT2" | "INT4" | "INT8" => Kind::Integer,
        "FLOAT4" | "FLOAT8" => Kind::Number,
        "DATE" => Kind::Date,
        "TIMESTAMP" => Kind::LocalTimestamp,
        "TIMESTAMPTZ" => Kind::Timestamp,
        "BYTEA" => {
            return refused(
                "which golden records do not have; write encode(…, 'base64') or leave it out",
            );
        }
        _ => match info.kind() {
            PgTypeKind::Array(_) => {
                return refused(
                    "which golden records do not have; write array_to_string(…, ';') or leave it out",
                );
            }
            PgTypeKind::Composite(_) | PgTypeKind::Range(_) => {
                return refused("which golden records do not have; name the parts that you want");
            }
            _ => Kind::Text,
        },
    })
}

/// Takes the URL apart, so that it decides where to connect to, as whom, and nothing else.
fn target(text: &str) -> Result<Target, QueryError> {
    let url = Url::parse(text).map_err(url_error)?;
    let name = postgres_name(&url)?;
    if name.host.is_empty() || name.host.starts_with('/') {
        return Err(url_error(
            "it names no host; write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ));
    }
    let username = decoded(url.username())?;
    if username.is_empty() || name.database.is_empty() {
        return Err(url_error(
            "it names no user; write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ));
    }
    if url.fragment().is_some() {
        return Err(url_error("it has a `#` in it; in a password, write %23"));
    }
    let host = name.host.trim_start_matches('[').trim_end_matches(']');
    let is_local =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let mut tls = if is_local { PgSslMode::Prefer } else { PgSslMode::VerifyFull };
    for (key, value) in url.query_pairs() {
        tls = match (key.as_ref(), value.parse::<PgSslMode>()) {
            ("sslmode", Ok(mode)) => mode,
            ("sslmode", Err(_)) => {
                return Err(url_error(
                    "sslmode is disable, prefer, require, verify-ca or verify-full",
                ));
            }
            _ => {
                return Err(url_error(format!(
                    "`{key}` is not taken; the only parameter is sslmode"
                )));
            }
        };
    }
    let password = decoded(url.password().unwrap_or_default())?;
    // The driver begins with what the service's own environment says; nothing of that may decide
    // who asks.
    let options = PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(name.port)
        .username(&username)
        .password(&password)
        .database(&name.database)
        .ssl_mode(tls)
        .application_name("reverse-sync")
        .statement_cache_capacity(0)
        .disable_statement_logging();
    Ok(Target { name, password: password.into(), options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom_and_nothing_else() {
        let found =
            target("postgres://me%40x:p%2Fw%20d@[::1]:5433/my%20db?sslmode=require").unwrap();
        assert_eq!(
            (found.name.shown().as_str(), found.password.expose_secret()),
            ("[::1]:5433/my db", "p/w d")
        );
        assert_eq!(found.options.get_host(), "::1");
        assert_eq!(
            (found.options.get_username(), found.options.get_database()),
            ("me@x", Some("my db"))
        );
        assert!(matches!(found.options.get_ssl_mode(), PgSslMode::Require));
        let plain = |url| target(url).unwrap().options.get_ssl_mode();
        assert!(matches!(plain("postgres://u:p@db.example.com/x"), PgSslMode::VerifyFull));
        assert!(matches!(plain("postgres://u:p@127.0.0.1/x"), PgSslMode::Prefer));
        for (bad, expected) in [
            ("postgres:///x", "no host"),
            ("postgres://u@%2Fvar%2Frun/x", "no host"),
            ("postgres://h/x", "no user"),
            ("postgres://u:p@h/x?host=other", "`host`"),
            ("postgres://u:p@h/x?sslmode=require&options=-c%20x", "`options`"),
            ("postgres://u:p@h/x?sslrootcert=/etc/passwd", "`sslrootcert`"),
            ("postgres://u:p@h/x?sslmode=maybe", "sslmode is"),
            ("postgres://u:secret@h:99999/x", "port"),
            ("postgres://u:p@h/x#y", "%23"),
        ] {
            let error = target(bad).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_query_stands_inside_another() {
        let names = ["a".to_owned(), "b\"c".to_owned()];
        assert_eq!(
            as_text("select 1 -- x", &names),
            "SELECT CASE WHEN NOT size.long THEN texts.c0 END, CASE WHEN NOT size.long THEN texts.c1 END, size.long \
             FROM (SELECT golden.\"a\"::text AS c0, golden.\"b\"\"c\"::text AS c1 FROM (\nselect 1 -- x\n) AS golden OFFSET 0) AS texts \
             CROSS JOIN LATERAL (SELECT COALESCE(octet_length(texts.c0), 0)::bigint + COALESCE(octet_length(texts.c1), 0)::bigint > 1048576 AS long) AS size"
        );
    }
}
