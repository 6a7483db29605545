//! Reading what a request carries, with errors that say where it is wrong.

use super::problem::{Answer, Problem};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

/// Largest JSON body. Golden records are not JSON bodies.
pub(crate) const MAX_JSON: usize = 1 << 20;
/// Entries of a page, if nothing is asked for.
const PAGE: usize = 100;
/// Most entries of a page.
const MAX_PAGE: usize = 500;

/// A JSON body. An empty one counts as `{}`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("a JSON body may have {MAX_JSON} bytes"))
            }
            _ => Problem::bad("bad_body", "the body could not be read"),
        })?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(JsonBody)
    }
}

/// Reads JSON. No message repeats a value: it may be a secret.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let value: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad("bad_json", format!("the body is no JSON: line {}, column {}", error.line(), error.column())))?;
    from_value(value, "")
}

/// Reads a value that was JSON already. `pointer` says where it stood.
pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value, pointer: &str) -> Answer<T> {
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let key = text.split('`').nth(1).filter(|key| text.contains("field") && !key.is_empty());
        let pointer = key.map_or_else(|| pointer.to_owned(), |key| format!("{pointer}/{key}"));
        let code = match () {
            () if text.starts_with("missing field") => "missing_key",
            () if text.starts_with("unknown field") => "unknown_key",
            () => "invalid",
        };
        Problem::invalid(code, pointer, without_values(&text))
    })
}

/// serde's message without the value that it complains about.
fn without_values(text: &str) -> String {
    match (text.split_once("invalid type: "), text.split_once("invalid value: ")) {
        (Some((_, rest)), _) | (_, Some((_, rest))) => {
            let kind = rest.split([' ', ',']).next().unwrap_or_default();
            let expected = rest.rsplit_once("expected ").map_or("", |(_, expected)| expected);
            format!("found a value of the wrong kind ({kind}); expected {expected}")
        }
        _ => text.to_owned(),
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Query(query.0)),
            Err(error) => Err(Problem::bad("bad_query", error.body_text())),
        }
    }
}

/// How many entries a page has.
pub(crate) fn limit(asked: Option<u32>) -> Answer<usize> {
    match asked.map_or(PAGE, |limit| limit as usize) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Problem::bad("bad_query", format!("`limit` is a number from 1 to {MAX_PAGE}"))),
    }
}

/// A page of a list.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct List<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// What to send as `after` for those that follow; null at the end.
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A page of a list of which one more than `limit` was asked for.
    pub(crate) fn page<R>(mut rows: Vec<R>, limit: usize, cursor: impl Fn(&R) -> String, show: impl Fn(R) -> T) -> List<T> {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        List { items: rows.into_iter().map(show).collect(), next }
    }
}
