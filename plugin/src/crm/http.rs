//! The component's world: `wasi:http`, a clock and randomness, on an executor that fits on a page.

use super::network::{Answer, Lost, Media, Network, Request};
use crate::config::invalid;
use crate::contract::types::Error;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

const TOO_LARGE: &str = "the answer is too large";
/// How much is read at once.
const READ_CHUNK: u64 = 1 << 20;

/// The CRM below a base URL.
pub(crate) struct Outside {
    scheme: Scheme,
    authority: String,
    /// Path of the base URL, mostly empty.
    prefix: String,
    random: Cell<u64>,
}

impl Outside {
    pub(crate) fn new(base_url: &str) -> Result<Outside, Error> {
        let wrong = || {
            invalid(format!("invalid base URL `{base_url}`; one looks like https://api.hubapi.com"))
        };
        let (scheme, rest) = base_url.split_once("://").ok_or_else(wrong)?;
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.is_empty() {
            return Err(wrong());
        }
        Ok(Outside {
            scheme,
            authority: authority.to_owned(),
            prefix: path.trim_end_matches('/').to_owned(),
            random: Cell::new(monotonic_clock::now() | 1),
        })
    }

    fn outgoing(&self, request: &Request) -> Result<OutgoingRequest, Lost> {
        let unfit = |what: &str| Lost::Denied(format!("{what} cannot be set"));
        let headers = Fields::new();
        let put = |name: &str, value: &str| {
            headers.append(name, value.as_bytes()).map_err(|_| unfit(name))
        };
        let media = match request.media {
            Media::Json => "application/json",
            Media::Csv => "text/csv",
        };
        // What an upload is answered with, if anything, is an error in JSON.
        put("accept", if request.body.is_empty() { media } else { "application/json" })?;
        if !request.body.is_empty() {
            put("content-type", media)?;
        }
        for (name, value) in &request.headers {
            put(name, value)?;
        }
        let outgoing = OutgoingRequest::new(headers);
        let method = match request.method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            _ => Method::Patch,
        };
        outgoing.set_method(&method).map_err(|()| unfit("the method"))?;
        outgoing.set_scheme(Some(&self.scheme)).map_err(|()| unfit("the scheme"))?;
        outgoing.set_authority(Some(&self.authority)).map_err(|()| unfit("the authority"))?;
        let path = format!("{}{}", self.prefix, request.path);
        outgoing.set_path_with_query(Some(&path)).map_err(|()| unfit("the path"))?;
        Ok(outgoing)
    }
}

impl Network for Outside {
    async fn send(&self, request: &Request) -> Result<Answer, Lost> {
        let outgoing = self.outgoing(request)?;
        let body =
            outgoing.body().map_err(|()| Lost::Denied("the body cannot be set".to_owned()))?;
        let response = handle(outgoing, None).map_err(lost)?;
        // If the host refuses the request it may close the body early; the answer then says why.
        let written = write_body(body, request.body.as_bytes()).await;
        ready(response.subscribe()).await;
        match response.get() {
            Some(Ok(Ok(incoming))) => read_answer(incoming, request).await,
            Some(Ok(Err(ErrorCode::HttpResponseBodySize(_)))) if !request.writes => {
                Err(Lost::TooLarge(TOO_LARGE.to_owned()))
            }
            Some(Ok(Err(code))) => Err(lost(code)),
            _ => Err(Lost::Broken(written.err().unwrap_or_else(|| "no answer".to_owned()))),
        }
    }

    async fn pause(&self, milliseconds: u64) {
        ready(monotonic_clock::subscribe_duration(milliseconds * 1_000_000)).await;
    }

    fn now(&self) -> u64 {
        monotonic_clock::now() / 1_000_000
    }

    /// xorshift64: repetitions need to be spread, not secret.
    fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }
}

/// What an error code says about the request's fate.
fn lost(code: ErrorCode) -> Lost {
    match code {
        ErrorCode::HttpRequestDenied => Lost::Denied("HTTP-request-denied".to_owned()),
        ErrorCode::ConnectionLimitReached => {
            Lost::LimitReached("the credential's calls are used up".to_owned())
        }
        ErrorCode::HttpRequestBodySize(_) => {
            Lost::TooLarge("the request is larger than the host lets out".to_owned())
        }
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => Lost::NotSent(name(&code)),
        _ => Lost::Broken(name(&code)),
    }
}

/// In words, for people.
fn name(code: &ErrorCode) -> String {
    let words = match code {
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationIpProhibited => "its name does not resolve to an address in reach",
        ErrorCode::ConnectionRefused
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable => "no connection",
        ErrorCode::ConnectionTimeout => "no connection in time",
        ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => "no trusted TLS connection",
        ErrorCode::ConnectionTerminated => "the connection broke",
        ErrorCode::HttpResponseTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout => "no complete answer in time",
        ErrorCode::HttpResponseIncomplete => "the answer is not complete",
        ErrorCode::InternalError(Some(words)) => words,
        _ => "the connection failed",
    };
    words.to_owned()
}

async fn write_body(body: OutgoingBody, mut bytes: &[u8]) -> Result<(), String> {
    let broken = |error: StreamError| match error {
        StreamError::Closed => "the connection was closed".to_owned(),
        StreamError::LastOperationFailed(_) => "the connection broke".to_owned(),
    };
    if !bytes.is_empty() {
        let stream: OutputStream = body.write().map_err(|()| "no body stream".to_owned())?;
        while !bytes.is_empty() {
            let most = stream.check_write().map_err(broken)?;
            if most == 0 {
                ready(stream.subscribe()).await;
                continue;
            }
            let (now, later) =
                bytes.split_at(bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX)));
            stream.write(now).map_err(broken)?;
            bytes = later;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| name(&code))
}

async fn read_answer(incoming: IncomingResponse, request: &Request) -> Result<Answer, Lost> {
    let status = incoming.status();
    let headers = incoming.headers();
    let number = |name: &str| {
        headers
            .get(name)
            .first()
            .and_then(|value| str::from_utf8(value).ok()?.trim().parse::<u64>().ok())
    };
    let (retry_after, length) = (number("retry-after"), number("content-length"));
    let broken = |why: &str| Lost::Broken(why.to_owned());
    let body = incoming.consume().map_err(|()| broken("the answer has no body"))?;
    let stream: InputStream = body.stream().map_err(|()| broken("the answer has no body"))?;
    let most = request.largest_answer();
    let mut whole = Vec::new();
    loop {
        match stream.read(READ_CHUNK) {
            Ok(chunk) if chunk.is_empty() => ready(stream.subscribe()).await,
            // Most answers come in one piece.
            Ok(chunk) if whole.is_empty() => {
                whole = chunk;
                // A large one is not copied again and again while it grows.
                let length =
                    length.map_or(0, |length| usize::try_from(length).unwrap_or(most)).min(most);
                whole.reserve_exact(length.saturating_sub(whole.len()));
            }
            Ok(chunk) => whole.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(broken("the connection broke before the answer was complete"));
            }
        }
        if whole.len() > most {
            // The fate of a write is open; a read may be asked for less.
            return Err(if request.writes {
                broken(TOO_LARGE)
            } else {
                Lost::TooLarge(TOO_LARGE.to_owned())
            });
        }
    }
    Ok(Answer { status, retry_after, body: whole })
}

// The executor: futures wait for pollables, and when all of them wait, `poll` waits for the first.

struct Waiting {
    pollable: Rc<Pollable>,
    waker: Waker,
}

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// Removes its pollable from the list before its parent resource goes, however the future ends.
struct Registered(Rc<Pollable>);

impl Drop for Registered {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| {
            waiting.retain(|entry| !Rc::ptr_eq(&entry.pollable, &self.0))
        });
    }
}

async fn ready(pollable: Pollable) {
    let registered = Registered(Rc::new(pollable));
    poll_fn(|context| {
        let pollable = &registered.0;
        if pollable.ready() {
            return Poll::Ready(());
        }
        WAITING.with_borrow_mut(|waiting| {
            match waiting.iter_mut().find(|entry| Rc::ptr_eq(&entry.pollable, pollable)) {
                Some(entry) => entry.waker.clone_from(context.waker()),
                None => waiting.push(Waiting {
                    pollable: Rc::clone(pollable),
                    waker: context.waker().clone(),
                }),
            }
        });
        Poll::Pending
    })
    .await;
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// Runs a future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        if woken.0.swap(false, Relaxed) {
            continue;
        }
        let pollables: Vec<Rc<Pollable>> = WAITING.with_borrow(|waiting| {
            waiting.iter().map(|entry| Rc::clone(&entry.pollable)).collect()
        });
        let borrowed: Vec<&Pollable> = pollables.iter().map(Rc::as_ref).collect();
        let ready = poll(&borrowed);
        let wakers: Vec<Waker> = WAITING.with_borrow(|waiting| {
            ready.iter().filter_map(|at| Some(waiting.get(*at as usize)?.waker.clone())).collect()
        });
        drop(borrowed);
        drop(pollables);
        wakers.into_iter().for_each(Waker::wake);
        woken.0.store(false, Relaxed);
    }
}
