//! See [`crate::fuzzing`].

use super::{keys, paging::Paging, plans};

/// What a list of keys reads out of its cursor, as it would write it.
pub fn keys_cursor(text: &str) -> Option<String> {
    let (at, id) = keys::position(&Paging::from(text)).ok()??;
    Some(format!("{at}-{id}"))
}

/// What a list of plans reads out of its cursor, as it would write it.
pub fn plans_cursor(text: &str) -> Option<String> {
    let (at, id) = plans::position(text).ok()?;
    Some(format!("{at}-{id}"))
}

/// What a list reads out of a cursor that is a number.
pub fn number_cursor(text: &str) -> Option<i64> {
    Paging::from(text).number().ok()?
}
