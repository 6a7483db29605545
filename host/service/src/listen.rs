//! Connections: as many as there is room for, none for a client that says nothing or reads nothing,
//! some that are kept for questions about the service's health, and all answered before the service
//! ends.

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

/// Room for connections.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Connections at once. Those beyond wait to be accepted.
    connections: usize,
    /// So many are for health alone: whoever finds no other place has one of these for a moment.
    for_health: usize,
    /// Connections of one address.
    of_address: usize,
    /// How long a client may take to read anything of its answer.
    reading: Duration,
}

const ROOM: Room = Room {
    connections: 4_096,
    for_health: 128,
    of_address: 1_024,
    reading: Duration::from_secs(30),
};
/// What is answered where there is no room for anything else.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// How long a client may take to say what it wants, also on a connection that it has used before.
const HEADER: Duration = Duration::from_secs(30);
/// How long it may take for either where there is no room.
const HURRY: Duration = Duration::from_secs(2);
/// How long to wait when the system has no connection to give, as when all file descriptors are in
/// use.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// How long answers must be sent when the service ends.
const ANSWERING: Duration = Duration::from_secs(10);

/// How many connections each address has.
type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The places that are left.
struct Places {
    of_address: usize,
    room: Arc<Semaphore>,
    for_health: Arc<Semaphore>,
    addresses: Addresses,
}

/// A connection's place, until it is dropped.
struct Place {
    /// Only questions about health are answered.
    health_only: bool,
    of: Option<(Addresses, IpAddr)>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(room: Room) -> Places {
        Places {
            of_address: room.of_address,
            room: Arc::new(Semaphore::new(room.connections)),
            for_health: Arc::new(Semaphore::new(room.for_health)),
            addresses: Arc::default(),
        }
    }

    /// A place for a connection of an address, once there is one.
    async fn take(&self, from: IpAddr) -> Option<Place> {
        let from = network(from);
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            let mut addresses = self.addresses.lock();
            let count = addresses.entry(from).or_default();
            if *count < self.of_address {
                *count += 1;
                return Some(Place {
                    health_only: false,
                    of: Some((Arc::clone(&self.addresses), from)),
                    _permit: permit,
                });
            }
        }
        // It is never closed.
        let permit = Arc::clone(&self.for_health).acquire_owned().await.ok()?;
        Some(Place { health_only: true, of: None, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, from)) = &self.of else { return };
        let mut addresses = addresses.lock();
        if let Some(count) = addresses.get_mut(from) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(from);
            }
        }
    }
}

/// What one person may have all addresses of.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

/// Answers until `ending` says that it is enough, and then what is running.
pub async fn answer(listener: TcpListener, router: Router, ending: watch::Receiver<bool>) {
    answer_within(ROOM, listener, router, ending).await;
}

async fn answer_within(
    room: Room,
    listener: TcpListener,
    router: Router,
    mut ending: watch::Receiver<bool>,
) {
    let places = Places::new(room);
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    let Some(place) = places.take(from.ip()).await else { return };
                    connect(
                        stream,
                        ConnectInfo(from),
                        router.clone(),
                        &graceful,
                        place,
                        room.reading,
                    );
                }
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

fn connect<A>(
    stream: TcpStream,
    from: ConnectInfo<A>,
    router: Router,
    graceful: &GracefulShutdown,
    place: Place,
    reading: Duration,
) where
    ConnectInfo<A>: Clone + Send + Sync + 'static,
{
    // Answers are small and somebody waits for them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let health_only = place.health_only;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(from.clone());
        let (mut router, no_room) =
            (router.clone(), health_only && !HEALTH.contains(&request.uri().path()));
        async move { if no_room { Ok(full()) } else { router.call(request).await } }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(if health_only { HURRY } else { reading }));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(if health_only { HURRY } else { HEADER })
        .keep_alive(!health_only);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(if health_only {
        HURRY
    } else {
        HEADER
    });
    if health_only {
        // HTTP/2 keeps a connection for as long as the client answers pings.
        builder = builder.http1_only();
    }
    let connection = graceful
        .watch(builder.serve_connection(TokioIo::new(Box::pin(stream)), service).into_owned());
    tokio::spawn(async move {
        let ended = match health_only {
            true => tokio::time::timeout(2 * HURRY, connection).await.unwrap_or(Ok(())),
            false => connection.await,
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection broke off");
        }
        drop(place);
    });
}

fn full() -> Response {
    let retry = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    (
        StatusCode::SERVICE_UNAVAILABLE,
        retry,
        "there are too many connections; try again in a moment\n",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server, and what ends it.
    async fn served(room: Room) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (ending, ends)) = (listener.local_addr().unwrap(), watch::channel(false));
        let large = axum::body::Bytes::from(vec![b'x'; 1 << 20]);
        let router = Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/large", get(move || async move { large }));
        tokio::spawn(answer_within(room, listener, router, ends));
        (address, ending)
    }

    async fn asks(address: SocketAddr, path: &str, times: usize) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(times).as_bytes())
            .await
            .unwrap();
        stream
    }

    async fn answer_of(address: SocketAddr, path: &str) -> String {
        let mut stream = asks(address, path, 1).await;
        let mut answer = vec![0; 1 << 16];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn health_is_answered_where_there_is_no_room_left() {
        // One address has all that it may have; then all addresses together.
        for room in [Room { of_address: 8, ..ROOM }, Room { connections: 8, ..ROOM }] {
            let (address, _ending) = served(room).await;
            let mut crowd = Vec::new();
            for _ in 0..8 {
                let mut stream = asks(address, "/large", 20).await;
                // It is accepted, and reads nothing more.
                stream.read_exact(&mut [0; 12]).await.unwrap();
                crowd.push(stream);
            }
            for _ in 0..200 {
                assert!(
                    answer_of(address, "/healthz").await.starts_with("HTTP/1.1 200"),
                    "{room:?}"
                );
            }
            let answer = answer_of(address, "/large").await;
            assert!(
                answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"),
                "{answer}"
            );
            // Once they are gone there is room.
            drop(crowd);
            while !answer_of(address, "/large").await.starts_with("HTTP/1.1 200") {}
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answers_is_dropped() {
        let (address, _ending) =
            served(Room { reading: Duration::from_millis(100), connections: 1, ..ROOM }).await;
        let mut stream = asks(address, "/large", 20).await;
        stream.read_exact(&mut [0; 12]).await.unwrap();
        while !answer_of(address, "/large").await.starts_with("HTTP/1.1 200") {}
        // What it had been sent is there to be read, and then its end.
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest).await;
        assert!(end.is_err() || rest.len() < 20 << 20);
    }

    #[test]
    fn an_address_is_its_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(
            (network("::ffff:192.0.2.1"), network("192.0.2.1")),
            ("192.0.2.1".to_owned(), "192.0.2.1".to_owned())
        );
    }
}
