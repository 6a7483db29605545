//! See [`crate::fuzzing`].

use super::statement::{self, Dialect};

/// The statement without the semicolon behind it, if it is one `SELECT` to PostgreSQL, or else to
/// SQLite.
///
/// # Errors
/// What is wrong with it.
pub fn single_select(sql: &str, postgres: bool) -> Result<&str, String> {
    statement::single_select(sql, if postgres { Dialect::Postgres } else { Dialect::Sqlite })
}
