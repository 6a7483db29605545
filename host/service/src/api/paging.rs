//! What the parameters of a list are.

use super::{body, problem::Answer};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of a list to show.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Most entries of the page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

#[cfg(fuzzing)]
impl From<&str> for Paging {
    fn from(after: &str) -> Paging {
        Paging { limit: None, after: Some(after.to_owned()) }
    }
}

impl Paging {
    /// How many entries the page has.
    ///
    /// # Errors
    /// 400 if there are none, or too many.
    pub fn limit(&self) -> Answer<usize> {
        body::limit(self.limit)
    }

    /// The cursor; empty at the beginning.
    ///
    /// # Errors
    /// 400 if it is not a cursor.
    pub fn after(&self) -> Answer<&str> {
        match self.after.as_deref() {
            None => Ok(""),
            Some(after) if body::is_id(after) => Ok(after),
            Some(_) => Err(body::bad_cursor()),
        }
    }

    /// The cursor, where it is a number.
    ///
    /// # Errors
    /// 400 if it is invalid.
    pub fn number(&self) -> Answer<Option<i64>> {
        match self.after()? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| body::bad_cursor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_came_before() {
        let paging = |after: &str| Paging { limit: None, after: Some(after.to_owned()) };
        assert_eq!(paging("src_1").after().ok(), Some("src_1"));
        assert_eq!(
            (Paging::default().number().ok(), paging("7").number().ok()),
            (Some(None), Some(Some(7)))
        );
        assert!(
            paging("\0").after().is_err()
                && paging(&"x".repeat(300)).after().is_err()
                && paging("x").number().is_err()
        );
    }
}
