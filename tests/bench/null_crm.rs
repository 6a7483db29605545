//! A CRM that does nothing but answer, as fast as it can: the ceiling that a client can be measured against. It
//! takes HubSpot's batch update and Salesforce's collections, and answers as they do when all goes well.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use memchr::memmem;
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Starts it on a thread of its own, which lives as long as the process.
pub(crate) fn start(latency: Duration) -> anyhow::Result<SocketAddr> {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let _ = told.send(listener.local_addr());
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, latency));
                    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await
                });
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            anyhow::Ok(())
        })
    });
    Ok(address.recv()??)
}

async fn answer(request: Request<Incoming>, latency: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    let hubspot = request.uri().path().ends_with("/batch/update");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut text = String::with_capacity(body.len() * 3);
    text.push_str(if hubspot { "{\"status\":\"COMPLETE\",\"results\":[" } else { "[" });
    let marker: &[u8] = b"\"id\":\"";
    for (n, at) in memmem::find_iter(&body, marker).enumerate() {
        let id = &body[at + marker.len()..];
        let id = &id[..memchr::memchr(b'"', id).unwrap_or(0)];
        if n > 0 {
            text.push(',');
        }
        text.push_str("{\"id\":\"");
        text.push_str(std::str::from_utf8(id).unwrap_or_default());
        text.push_str(if hubspot {
            "\",\"properties\":{\"firstname\":\"Ada\",\"lastmodifieddate\":\"2026-10-02T08:20:00.150Z\"},\"createdAt\":\"2025-02-03T09:00:00.120Z\",\"updatedAt\":\"2026-10-02T08:20:00.150Z\",\"archived\":false}"
        } else {
            "\",\"success\":true,\"errors\":[]}"
        });
    }
    text.push_str(if hubspot { "],\"startedAt\":\"2026-10-02T08:20:00.100Z\",\"completedAt\":\"2026-10-02T08:20:00.181Z\"}" } else { "]" });
    let response = Response::builder().header("content-type", "application/json").body(Full::new(Bytes::from(text)));
    Ok(response.unwrap_or_default())
}
