//! The native ceiling: a hyper client that sends the same bodies with as many in flight, and reads
//! the answers without looking at them.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Sends all bodies; how long it took.
pub(crate) async fn send(
    address: SocketAddr,
    path: &str,
    bodies: Arc<Vec<Bytes>>,
    in_flight: usize,
) -> anyhow::Result<Duration> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let next = Arc::new(AtomicUsize::new(0));
    let url: http::Uri = format!("http://{address}{path}").parse()?;
    let started = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..in_flight {
        let (client, next, bodies, url) =
            (client.clone(), Arc::clone(&next), Arc::clone(&bodies), url.clone());
        workers.push(tokio::spawn(async move {
            while let Some(body) = bodies.get(next.fetch_add(1, Relaxed)) {
                let request = Request::post(url.clone())
                    .header("content-type", "application/json")
                    .header("authorization", "Bearer x");
                let answer = client.request(request.body(Full::new(body.clone()))?).await?;
                anyhow::ensure!(
                    answer.status().is_success(),
                    "the server answered {}",
                    answer.status()
                );
                answer.into_body().collect().await?;
            }
            anyhow::Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    Ok(started.elapsed())
}
