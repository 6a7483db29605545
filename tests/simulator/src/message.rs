//! Requests and answers, without sockets.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `POST`.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// By name.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Bytes,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// A query parameter, percent-decoded.
    pub(crate) fn query(&self, key: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| decode(value))
    }

    /// A list among the query parameters: given several times, or once with commas. HubSpot's
    /// OpenAPI documents have both, `explode` and "a comma separated list", and its clients send
    /// either.
    pub(crate) fn query_list(&self, key: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let values = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| *name == key);
        values
            .flat_map(|(_, value)| decode(value).split(',').map(str::to_owned).collect::<Vec<_>>())
            .filter(|name| !name.is_empty())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// Percent-decoding, with `+` for a blank.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' if after.len() >= 2 => {
                let byte = std::str::from_utf8(&after[..2])
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(byte.unwrap_or(b'%'));
                if byte.is_some() {
                    rest = &after[2..];
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer before it goes onto the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// Whole.
    pub body: Bytes,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// Of the request in the log.
    pub(crate) number: u64,
    /// Its client waits so long. What was applied is applied by now: a client that stops waiting
    /// has still written (C14).
    pub latency_ms: u64,
    /// The answer's status, if it came to one.
    pub(crate) status: Option<u16>,
    /// What the client gets.
    pub delivery: Delivery,
}

/// How much of an answer its client gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// All of it.
    Whole(Answer),
    /// The first half of its body, then the connection is cut.
    Half(Answer),
    /// The first half of its body, and nothing more for ever.
    Hanging(Answer),
    /// Nothing: the connection is cut.
    Cut,
}

impl Answer {
    pub(crate) fn json(status: u16, value: &Value) -> Answer {
        Answer::text(status, "application/json;charset=utf-8", value.to_string())
    }

    pub(crate) fn text(status: u16, kind: &str, text: String) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: Bytes::from(text),
        }
    }

    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Answer {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}
