//! What was received, and what became of it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedRequest {
    /// Counted from 1.
    pub number: u64,
    /// Milliseconds since the simulator started.
    pub at_ms: u64,
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it arrived.
    #[serde(serialize_with = "as_text")]
    pub body: Bytes,
    /// What was answered.
    pub status: Option<u16>,
    /// Whether the whole answer went out.
    pub answered: bool,
}

fn as_text<S: serde::Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

impl LoggedRequest {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A record that a request wrote.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// The request.
    pub request: u64,
    /// Such as `contacts` or `Contact`.
    pub object: String,
    /// The record that was written (after a merge, the surviving one).
    pub id: String,
    /// What the request said.
    pub fields: Map<String, Value>,
}
