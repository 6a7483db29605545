//! Sockets: one HTTP/1.1 connection after the other, and answers that are cut on the wire.

use crate::{
    World, inspect,
    message::{Answer, Delivery, Request},
};
use bytes::Bytes;
use futures_util::stream;
use http::Response;
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
    // Ends with the listener: connections are tasks in a set, so that stopping the simulator cuts
    // them.
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
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn exchange(
    request: http::Request<HyperBody>,
    world: &Shared,
) -> Result<Response<Body>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if body.len() > MAX_BODY {
        return Ok(send(Answer::empty(413)));
    }
    let target = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let request = Request { method: parts.method, target, headers: parts.headers, body };
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    if request.path().starts_with("/_sim/") {
        return Ok(send(inspect::answer(&mut lock(), &request)));
    }
    let response = lock().respond(&request);
    if response.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(response.latency_ms)).await;
    }
    lock().delivered(&response);
    let cut = || io::Error::new(io::ErrorKind::ConnectionAborted, "cut on purpose");
    match response.delivery {
        Delivery::Whole(answer) => Ok(send(answer)),
        Delivery::Half(answer) => Ok(half(&answer, Some(cut()))),
        Delivery::Hanging(answer) => Ok(half(&answer, None)),
        Delivery::Cut => Err(cut()),
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
        Some(error) => BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(
            first,
            stream::iter([Err(error)]),
        ))),
        None => BodyExt::boxed(StreamBody::new(futures_util::StreamExt::chain(
            first,
            stream::pending(),
        ))),
    };
    head(answer).header("content-length", answer.body.len()).body(body).unwrap_or_default()
}
