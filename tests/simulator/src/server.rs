//! Sockets: one HTTP/1.1 connection after the other, and the faults that happen on the wire.

use crate::{
    World,
    faults::{self, Fault},
    inspect,
    message::{Answer, Incoming},
};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming as HyperBody},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;

type Shared = Arc<Mutex<World>>;
type Body = BoxBody<Bytes, io::Error>;

/// Requests larger than this are refused by any CRM.
const MAX_BODY: usize = 64 << 20;

pub(crate) async fn serve(listener: TcpListener, world: Shared, connections: Arc<AtomicU64>) {
    // Ends with the listener: connections are tasks in a set, so that stopping the simulator cuts them.
    let mut open = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.fetch_add(1, Relaxed);
        // Small answers go out at once; a failure to say so changes nothing else.
        let _ = stream.set_nodelay(true);
        let world = Arc::clone(&world);
        open.spawn(async move {
            let service = service_fn(|request| exchange(request, &world));
            // An error here is a cut connection: the client's to notice.
            let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn exchange(request: Request<HyperBody>, world: &Shared) -> Result<Response<Body>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if body.len() > MAX_BODY {
        return Ok(send(Answer::empty(413)));
    }
    let target = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let request = Incoming { method: parts.method, target, headers: parts.headers, body };
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    if request.path().starts_with("/_sim/") {
        return Ok(send(inspect::answer(&mut lock(), &request)));
    }
    let (number, latency, fault) = {
        let mut world = lock();
        let number = world.receive(&request);
        let (latency, fault) = world.strike(&request);
        (number, latency, fault)
    };
    // Before the answer, and after the request was applied: a client that stops waiting has still written (C14).
    let late = async || {
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
    };
    let done = |status: u16, answered: bool| {
        let mut world = lock();
        if let Some(logged) = world.requests.iter_mut().rev().find(|logged| logged.number == number) {
            logged.status = Some(status);
            logged.answered = answered;
        }
    };
    let cut = || io::Error::new(io::ErrorKind::ConnectionAborted, "cut on purpose");
    let unapplied = match &fault {
        Some(Fault::DropBefore) => {
            late().await;
            return Err(cut());
        }
        Some(Fault::Status(status)) => Some(faults::gateway(&request, *status, false)),
        Some(Fault::Html(status)) => Some(faults::gateway(&request, *status, true)),
        Some(Fault::Migration(seconds)) => Some(faults::gateway(&request, 477, false).with("retry-after", seconds)),
        _ => None,
    };
    let mut answer = unapplied.unwrap_or_else(|| lock().answer(&request, number, fault.as_ref()));
    late().await;
    match fault {
        Some(Fault::DropAfter) => {
            done(answer.status, false);
            Err(cut())
        }
        Some(Fault::StatusAfter(status)) => {
            done(status, true);
            Ok(send(faults::gateway(&request, status, false)))
        }
        Some(Fault::Truncate) => {
            done(answer.status, false);
            Ok(half(&answer, Some(cut())))
        }
        Some(Fault::NeverEnding) => {
            done(answer.status, false);
            Ok(half(&answer, None))
        }
        Some(Fault::WrongBody(text)) => {
            done(answer.status, true);
            answer.body = Bytes::from(text);
            Ok(send(answer))
        }
        _ => {
            done(answer.status, true);
            Ok(send(answer))
        }
    }
}

fn head(answer: &Answer) -> http::response::Builder {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
}

fn send(answer: Answer) -> Response<Body> {
    let body = Full::new(answer.body.clone()).map_err(|never| match never {}).boxed();
    head(&answer).body(body).unwrap_or_default()
}

/// The first half of an answer; then an error, or nothing more for ever.
fn half(answer: &Answer, error: Option<io::Error>) -> Response<Body> {
    let first = stream::iter([Ok(Frame::data(answer.body.slice(..answer.body.len() / 2)))]);
    let body: Body = match error {
        Some(error) => BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(first, stream::iter([Err(error)])))),
        None => BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(first, stream::pending()))),
    };
    head(answer).header("content-length", answer.body.len()).body(body).unwrap_or_default()
}
