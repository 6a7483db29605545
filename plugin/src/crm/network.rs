//! What a conversation with a CRM needs of the outside: a way to send requests, a clock and chance.
//! The component's is WebAssembly (`http`), the tests' is the simulator.

use std::borrow::Cow;
use std::future::Future;

/// A request, below the base URL and without a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether it writes.
    pub writes: bool,
    /// `GET`, `POST`, `PUT` or `PATCH`.
    pub method: &'static str,
    /// Path and query below the base URL.
    pub path: String,
    /// Headers beside `accept` and `content-type`.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Or empty.
    pub body: String,
    /// What the body is, or, of a request without one, what is asked for.
    pub media: Media,
}

impl Request {
    /// A read in JSON.
    pub(crate) fn read(method: &'static str, path: String, body: String) -> Request {
        Request { writes: false, method, path, headers: Vec::new(), body, media: Media::Json }
    }

    /// Bytes of the largest answer that is read. Records are asked for many at once, and several
    /// such reads are on their way; what is too large they are asked for again in smaller numbers.
    pub fn largest_answer(&self) -> usize {
        let asks_for_many = !self.writes && !self.body.is_empty();
        if asks_for_many { 4 << 20 } else { 16 << 20 }
    }
}

/// The form of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    #[default]
    Json,
    /// `text/csv`.
    Csv,
}

/// A complete answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// No complete answer. The variants tell what is known about the request's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It never left: no name, no connection, no TLS.
    NotSent(String),
    /// The host refused to let it out.
    Denied(String),
    /// The host will not let any request out before the CRM resets a limit.
    LimitReached(String),
    /// It is too large to be sent, or the answer to a read is too large to be taken in.
    TooLarge(String),
    /// It may have arrived: the connection broke, time ran out, the answer was not complete.
    Broken(String),
}

/// The CRM, a clock, and chance.
pub trait Network {
    /// Sends a request and reads the whole answer.
    fn send(&self, request: &Request) -> impl Future<Output = Result<Answer, Lost>>;
    /// Waits.
    fn pause(&self, milliseconds: u64) -> impl Future<Output = ()>;
    /// A clock that never goes back, in milliseconds.
    fn now(&self) -> u64;
    /// A random number, to spread repetitions.
    fn random(&self) -> u64;
}
