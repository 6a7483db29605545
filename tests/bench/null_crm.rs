//! A CRM that does nothing but answer: the ceiling that a client can be measured against. It takes
//! HubSpot's batch update and Salesforce's collections, and answers as they do when all goes well.
//! As any CRM must, it parses what it gets; or, told to skim, it only looks for the ids, which no
//! CRM could, and is as fast as a server can be.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use memchr::memmem;
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Starts it on a thread of its own, which lives as long as the process.
pub(crate) fn start(latency: Duration, reading: Reading) -> anyhow::Result<SocketAddr> {
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
                    let service = service_fn(move |request| answer(request, latency, reading));
                    http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                });
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            anyhow::Ok(())
        })
    });
    Ok(address.recv()??)
}

/// What the CRM says about the fields of the golden records.
pub(crate) fn metadata(path: &str) -> String {
    if path.ends_with("/describe") { salesforce_fields() } else { hubspot_properties() }
}

const FIELDS: [&str; 7] =
    ["firstname", "lastname", "email", "phone", "company", "city", "jobtitle"];

fn hubspot_properties() -> String {
    let property =
        |name: &&str| serde_json::json!({"name": name, "type": "string", "fieldType": "text"});
    serde_json::json!({"results": FIELDS.iter().map(property).collect::<Vec<_>>()}).to_string()
}

fn salesforce_fields() -> String {
    let field = |name: &&str| serde_json::json!({"name": name, "type": "string", "updateable": true, "length": 100});
    serde_json::json!({"fields": FIELDS.iter().map(field).collect::<Vec<_>>()}).to_string()
}

/// How much the server looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Parses,
    Skims,
}

fn skimmed(body: &[u8]) -> Vec<String> {
    let marker: &[u8] = b"\"id\":\"";
    let id = |at: usize| {
        let id = &body[at + marker.len()..];
        String::from_utf8_lossy(&id[..memchr::memchr(b'"', id).unwrap_or(0)]).into_owned()
    };
    memmem::find_iter(body, marker).map(id).collect()
}

/// Borrowed, and of each record's values no more than that they are JSON: as little as a server can
/// do.
fn parsed(body: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Update<'a> {
        #[serde(borrow, alias = "inputs")]
        records: Vec<Record<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Record<'a> {
        id: &'a str,
    }
    let update: Option<Update<'_>> = serde_json::from_slice(body).ok();
    update
        .map(|update| update.records.iter().map(|record| record.id.to_owned()).collect())
        .unwrap_or_default()
}

async fn answer(
    request: Request<Incoming>,
    latency: Duration,
    reading: Reading,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == http::Method::GET {
        let metadata = metadata(request.uri().path());
        let response = Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(metadata)));
        return Ok(response.unwrap_or_default());
    }
    let hubspot = request.uri().path().ends_with("/batch/update");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut text = String::with_capacity(body.len() * 3);
    text.push_str(if hubspot { "{\"status\":\"COMPLETE\",\"results\":[" } else { "[" });
    let ids = match reading {
        Reading::Parses => parsed(&body),
        Reading::Skims => skimmed(&body),
    };
    for (n, id) in ids.into_iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str("{\"id\":\"");
        text.push_str(&id);
        text.push_str(if hubspot {
            "\",\"properties\":{\"firstname\":\"Ada\",\"lastmodifieddate\":\"2026-10-02T08:20:00.150Z\"},\"createdAt\":\"2025-02-03T09:00:00.120Z\",\"updatedAt\":\"2026-10-02T08:20:00.150Z\",\"archived\":false}"
        } else {
            "\",\"success\":true,\"errors\":[]}"
        });
    }
    text.push_str(if hubspot {
        "],\"startedAt\":\"2026-10-02T08:20:00.100Z\",\"completedAt\":\"2026-10-02T08:20:00.181Z\"}"
    } else {
        "]"
    });
    let response = Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)));
    Ok(response.unwrap_or_default())
}
