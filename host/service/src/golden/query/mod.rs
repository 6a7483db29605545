//! A SQL query as golden records: its answer is read once, row by row, and becomes a Parquet file,
//! which is a golden set like any other. So a plan never depends on what a database says at the
//! next look.
//!
//! Which databases may be reached is the operator's decision ([`QueryPolicy`]), because the service
//! reaches places that the people who use it may not. A query is one `SELECT`: it is looked at
//! here, it is run inside another `SELECT`, where nothing else is allowed, and the database is told
//! to write nothing. Every value passes through its text, in the spelling of the database; only
//! then it gets a type.

#[cfg(fuzzing)]
pub mod fuzzing;
mod policy;
mod postgres;
mod sqlite;
mod statement;
mod table;
#[cfg(test)]
mod tests;

pub use policy::QueryPolicy;

use super::{GoldenError, GoldenFiles, StagedFile, Validated};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt::Display, time::Duration};

/// A query, and where to put it.
#[derive(Debug)]
pub struct GoldenQuery {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:///ABSOLUTE/PATH`. It is a secret
    /// because of the password in it.
    pub database_url: SecretString,
    /// One `SELECT` or `WITH … SELECT`.
    pub query: String,
    /// Columns that hold ids and stay text, beside `id` and everything that ends in `_id`.
    pub id_columns: Vec<String>,
}

/// How much is taken.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Rows of the answer.
    pub rows: u64,
    /// Bytes of the file that they make.
    pub bytes: u64,
    /// How long it may take, all in all.
    pub time: Duration,
}

impl Default for QueryLimits {
    /// 20 million rows, 4 GiB, 10 minutes.
    fn default() -> Self {
        QueryLimits { rows: 20_000_000, bytes: 4 << 30, time: Duration::from_secs(600) }
    }
}

/// Why a query gives no golden records. No message holds the password.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The operator has not allowed that database.
    #[error("the service may not read {database}: {reason}")]
    Forbidden {
        /// Host and port, or the file.
        database: String,
        /// Which flag would allow it, or why nothing will.
        reason: String,
    },
    /// The URL is invalid.
    #[error("database_url: {0}")]
    Url(String),
    /// The query is invalid.
    #[error("query: {0}")]
    Statement(String),
    /// The database refuses.
    #[error("{database}: {message}")]
    Database {
        /// Which one, without user and password.
        database: String,
        /// Its words.
        message: String,
    },
    /// It took too long.
    #[error("the query took longer than {} seconds; narrow it down, or export its answer and upload that", limit.as_secs())]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// There are too many rows.
    #[error(
        "the query gives more than {limit} rows; narrow it down, or export its answer and upload that"
    )]
    TooManyRows {
        /// How many may be.
        limit: u64,
    },
    /// A record that no CRM has.
    #[error(
        "row {row} is longer than 1 MiB, which no CRM's record is; leave out what makes it so long"
    )]
    TooLong {
        /// The row, counted from 1.
        row: u64,
    },
    /// A column that cannot be one of golden records.
    #[error("column `{column}`: {reason}")]
    Column {
        /// Its name.
        column: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A value that does not fit its column.
    #[error("row {row}, column `{column}`: {reason}")]
    Value {
        /// The row, counted from 1.
        row: u64,
        /// The column's name.
        column: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// The file.
    #[error(transparent)]
    Golden(#[from] GoldenError),
}

impl GoldenFiles {
    /// Runs a query and keeps its answer, beside its place. What it gives is whole and valid; it is
    /// to be [published](StagedFile::publish).
    ///
    /// # Errors
    /// See [`QueryError`]. Nothing is left behind then.
    pub async fn query(
        &self,
        policy: &QueryPolicy,
        query: &GoldenQuery,
        limits: QueryLimits,
    ) -> Result<(StagedFile, Validated), QueryError> {
        let url = query.database_url.expose_secret();
        let answer = async {
            match url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
                Some("postgres" | "postgresql") => {
                    postgres::query(self, policy, query, limits).await
                }
                Some("sqlite") => sqlite::query(self, policy, query, limits).await,
                _ => Err(QueryError::Url(
                    "a URL begins with `postgres://` or `sqlite://`".to_owned(),
                )),
            }
        };
        // The databases keep their own time; this is for a network that swallows everything.
        match tokio::time::timeout(limits.time + Duration::from_secs(5), answer).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::TimedOut { limit: limits.time }),
        }
    }
}

/// Names of columns, as a table of golden records can have them.
fn check_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<Vec<String>, QueryError> {
    let mut found: Vec<String> = Vec::new();
    for (at, name) in names.enumerate() {
        // PostgreSQL's word for a column without a name.
        if name.trim().is_empty() || name == "?column?" {
            return Err(QueryError::Statement(format!(
                "column {} has no name; write `… AS name`",
                at + 1
            )));
        }
        if found.iter().any(|known| known == name) {
            return Err(QueryError::Statement(format!(
                "two columns are called `{name}`; which one counts cannot be told"
            )));
        }
        found.push(name.to_owned());
    }
    if found.is_empty() {
        return Err(QueryError::Statement("it gives no columns".to_owned()));
    }
    Ok(found)
}

/// A query comes with its values: nobody is there to fill in a parameter, which SQLite would take
/// for NULL.
fn check_parameters<T>(parameters: Option<sqlx::Either<&[T], usize>>) -> Result<(), QueryError> {
    let count = parameters.map_or(0, |parameters| parameters.either(<[T]>::len, |count| count));
    if count == 0 {
        Ok(())
    } else {
        Err(QueryError::Statement("it has parameters; write the values in their place".to_owned()))
    }
}

/// What a driver says, without a password that it may have taken into its words.
fn database_error(database: &str, password: Option<&str>, error: &sqlx::Error) -> QueryError {
    let mut message = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    };
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        message = message.replace(password, "***");
    }
    QueryError::Database { database: database.to_owned(), message }
}

fn url_error(error: impl Display) -> QueryError {
    QueryError::Url(error.to_string())
}

/// The text that a percent-encoded part of a URL stands for.
fn decoded(part: &str) -> Result<String, QueryError> {
    let text = percent_encoding::percent_decode_str(part).decode_utf8().map_err(url_error)?;
    if text.contains('\0') { Err(url_error("it has a NUL in it")) } else { Ok(text.into_owned()) }
}

/// On a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| GoldenError::Io(std::io::Error::other(error)))?
}
