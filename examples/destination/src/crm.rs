//! Roster's requests and answers, over `wasi:http`. A request carries no credential: the host adds
//! it after this.

use crate::{
    bindings::reverse_sync::destination::types::{Error, ErrorKind},
    error,
};
use serde_json::{Map, Value};
use wasip2::{
    http::{
        outgoing_handler,
        types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::StreamError,
};

pub(crate) const UPDATE: &str = "/v1/people/update";
/// The body of an update: the host compares it with this, byte for byte.
pub(crate) const OPEN: &str = "{\"people\":[";
pub(crate) const CLOSE: &str = "]}";
/// People in one update, at most.
pub(crate) const MANY: u32 = 100;
/// Updates that are sent again after "slow down". The host makes them wait.
const ATTEMPTS: usize = 8;
/// Bytes that a stream takes at once.
const CHUNK: usize = 4_096;

/// What Roster has under a number.
pub(crate) enum Person {
    Holds(Map<String, Value>),
    Gone,
}

/// What became of an update.
pub(crate) enum Updated {
    /// Roster's word about each person, by its id: nothing, or why it was not updated.
    Answered(Map<String, Value>),
    /// All of it was refused: status and words.
    Refused(u16, String),
    /// It was sent, and nobody knows what became of it.
    Unknown,
}

/// Reads a person.
pub(crate) fn read(base_url: &str, id: &str) -> Result<Person, Error> {
    let answer = send(base_url, &Method::Get, &format!("/v1/people/{id}"), "").map_err(ended)?;
    match answer.status {
        200 => Ok(Person::Holds(answer.json()?["fields"].as_object().cloned().unwrap_or_default())),
        404 => Ok(Person::Gone),
        _ => Err(answer.unusable()),
    }
}

/// Updates people: ids, and their confirmed values.
pub(crate) fn update(base_url: &str, people: &[(&str, &str)]) -> Result<Updated, Error> {
    let items: Vec<String> = people
        .iter()
        .map(|(id, fields)| format!("{{\"id\":\"{id}\",\"fields\":{fields}}}"))
        .collect();
    let body = format!("{OPEN}{}{CLOSE}", items.join(","));
    for _ in 0..ATTEMPTS {
        let answer = match send(base_url, &Method::Post, UPDATE, &body) {
            Ok(answer) => answer,
            Err(Lost::Answer(_)) => return Ok(Updated::Unknown),
            Err(lost) => return Err(ended(lost)),
        };
        return match answer.status {
            200 => {
                let json = answer.json()?;
                let results = json["results"].as_array().into_iter().flatten();
                Ok(Updated::Answered(
                    results
                        .map(|result| {
                            (
                                result["id"].as_str().unwrap_or_default().to_owned(),
                                result["error"].clone(),
                            )
                        })
                        .collect(),
                ))
            }
            // It was not carried out.
            429 if !answer.is_quota() => continue,
            400 | 404 | 409 | 422 => Ok(Updated::Refused(answer.status, answer.text())),
            500.. => Ok(Updated::Unknown),
            _ => Err(answer.unusable()),
        };
    }
    Err(error(
        ErrorKind::RateLimited,
        "Roster says \"slow down\" again and again; run the same plan later",
    ))
}

/// Why there is no answer.
enum Lost {
    /// The host will not let requests out before a limit is reset.
    Limit,
    /// It did not leave.
    NotSent(String),
    /// It may have arrived.
    Answer(String),
}

fn ended(lost: Lost) -> Error {
    match lost {
        Lost::Limit => error(
            ErrorKind::RateLimited,
            "Roster's limit is used up; run the same plan when it is reset",
        ),
        Lost::NotSent(why) | Lost::Answer(why) => error(
            ErrorKind::Unavailable,
            &format!("Roster does not answer ({why}); run the same plan later"),
        ),
    }
}

impl From<ErrorCode> for Lost {
    fn from(code: ErrorCode) -> Lost {
        let why = format!("{code:?}");
        match code {
            ErrorCode::ConnectionLimitReached => Lost::Limit,
            ErrorCode::HttpRequestDenied
            | ErrorCode::DnsTimeout
            | ErrorCode::DnsError(_)
            | ErrorCode::ConnectionRefused
            | ErrorCode::ConnectionTimeout => Lost::NotSent(why),
            _ => Lost::Answer(why),
        }
    }
}

/// A complete answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(500).collect()
    }

    fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body).map_err(|why| {
            error(ErrorKind::Unavailable, &format!("Roster's answer is not JSON: {why}"))
        })
    }

    fn is_quota(&self) -> bool {
        self.text().contains("quota")
    }

    /// An answer that ends the call.
    fn unusable(&self) -> Error {
        let kind = match self.status {
            401 | 403 => ErrorKind::Unauthorized,
            429 => ErrorKind::RateLimited,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Rejected,
        };
        error(kind, &format!("Roster answered with HTTP {}: {}", self.status, self.text()))
    }
}

fn send(base_url: &str, method: &Method, path: &str, body: &str) -> Result<Answer, Lost> {
    let unfit = |_| Lost::NotSent("the request cannot be made".to_owned());
    let (scheme, rest) = base_url.split_once("://").unwrap_or(("https", base_url));
    let (authority, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let headers = Fields::new();
    let header = |name: &str| headers.append(name, b"application/json");
    header("accept").map_err(|_| unfit(()))?;
    if !body.is_empty() {
        header("content-type").map_err(|_| unfit(()))?;
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(method).map_err(unfit)?;
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).map_err(unfit)?;
    request.set_authority(Some(authority)).map_err(unfit)?;
    request.set_path_with_query(Some(&format!("{prefix}{path}"))).map_err(unfit)?;
    let outgoing = request.body().map_err(unfit)?;
    let answer = outgoing_handler::handle(request, None)?;
    // If the host refuses the request, it may not take the body; the answer says why.
    let _ = write(outgoing, body.as_bytes());
    answer.subscribe().block();
    let broken = || Lost::Answer("the connection broke".to_owned());
    let answer = answer.get().ok_or_else(broken)?.map_err(|()| broken())??;
    let status = answer.status();
    let incoming = answer.consume().map_err(|()| broken())?;
    let stream = incoming.stream().map_err(|()| broken())?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => body.extend(bytes),
            Err(StreamError::Closed) => return Ok(Answer { status, body }),
            Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
        }
    }
}

fn write(outgoing: OutgoingBody, body: &[u8]) -> Result<(), ()> {
    let stream = outgoing.write()?;
    for chunk in body.chunks(CHUNK) {
        stream.blocking_write_and_flush(chunk).map_err(|_| ())?;
    }
    drop(stream);
    OutgoingBody::finish(outgoing, None).map_err(|_| ())
}
