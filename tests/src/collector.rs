//! An OpenTelemetry collector that keeps what it is sent.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// What was sent at once.
#[derive(Clone, Debug)]
pub struct Export {
    /// Method and path.
    pub what: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Protobuf.
    pub body: Bytes,
}

impl Export {
    /// Whether this text is in it.
    pub fn contains(&self, text: &str) -> bool {
        memchr::memmem::find(&self.body, text.as_bytes()).is_some()
    }
}

/// The collector, on a real socket, as long as the runtime lives.
#[derive(Debug)]
pub struct Collector {
    url: String,
    received: Arc<Mutex<Vec<Export>>>,
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start() -> io::Result<Collector> {
        let received = Arc::<Mutex<Vec<Export>>>::default();
        let into = Arc::clone(&received);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let into = Arc::clone(&into);
                let take = service_fn(move |request: Request<Incoming>| {
                    let into = Arc::clone(&into);
                    async move {
                        let (parts, body) = request.into_parts();
                        let (what, body) = (
                            format!("{} {}", parts.method, parts.uri.path()),
                            body.collect().await?.to_bytes(),
                        );
                        into.lock().unwrap_or_else(PoisonError::into_inner).push(Export {
                            what,
                            headers: parts.headers,
                            body,
                        });
                        Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), take));
            }
        });
        Ok(Collector { url, received })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was sent so far.
    pub fn received(&self) -> Vec<Export> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
