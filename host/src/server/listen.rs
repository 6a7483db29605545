//! Connections: as many as there is room for, none for a client that says nothing, and all answered before the service ends.

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower_service::Service;

/// Connections at once. Those beyond wait to be accepted.
const CONNECTIONS: usize = 4_096;
/// How long a client may take to say what it wants, also on a connection that it has used before.
const HEADER: Duration = Duration::from_secs(30);
/// How long to wait when the system has no connection to give, as when all file descriptors are in use.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// How long answers have to be sent when the service ends.
const ANSWERING: Duration = Duration::from_secs(10);

/// Answers until `ending` says that it is enough, and then what is under way.
pub async fn answer(listener: TcpListener, router: Router, mut ending: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, from)) => connect(stream, ConnectInfo(from), router.clone(), &graceful, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        // An error says that nobody is there any more to end it.
        _ = ending.wait_for(|ending| *ending) => {}
    }
    drop(listener);
    if tokio::time::timeout(ANSWERING, graceful.shutdown()).await.is_err() {
        tracing::warn!("some clients do not read their answers; they are left");
    }
}

fn connect<A>(stream: TcpStream, from: ConnectInfo<A>, router: Router, graceful: &GracefulShutdown, place: OwnedSemaphorePermit)
where
    ConnectInfo<A>: Clone + Send + Sync + 'static,
{
    // Answers are small and somebody waits for them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(from.clone());
        router.clone().call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADER);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection broke off");
        }
        drop(place);
    });
}
