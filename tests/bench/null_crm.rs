//! A CRM that does nothing but answer: the ceiling that a client can be measured against. It takes
//! HubSpot's batch update and Salesforce's collections, and answers as they do when all goes well.
//! As any CRM must, it parses what it gets; or, told to skim, it only looks for the ids, which no
//! CRM could, and is as fast as a server can be.

use bytes::Bytes;
use cpu_time::ThreadTime;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use memchr::memmem;
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Processor time of its thread, in nanoseconds.
    pub(crate) spent: Arc<AtomicU64>,
}

/// Uploads, by job.
type Jobs = Arc<Mutex<HashMap<String, Bytes>>>;

/// Starts it on a thread of its own, which lives as long as the process.
pub(crate) fn start(latency: Duration, reading: Reading) -> anyhow::Result<Server> {
    let (told, address) = std::sync::mpsc::channel();
    let spent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&spent);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let _ = told.send(listener.local_addr());
            let (clock, jobs) = (ThreadTime::now(), Jobs::default());
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let (counted, jobs) = (Arc::clone(&counted), Arc::clone(&jobs));
                tokio::task::spawn_local(async move {
                    let service = service_fn(move |request| {
                        let (counted, jobs) = (Arc::clone(&counted), Arc::clone(&jobs));
                        async move {
                            let answer = answer(request, latency, reading, &jobs).await;
                            counted.store(clock.elapsed().as_nanos() as u64, Relaxed);
                            answer
                        }
                    });
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
    Ok(Server { address: address.recv()??, spent })
}

/// A job of the Bulk API that ends at once, and well.
fn job(path: &str, method: &http::Method, body: Bytes, jobs: &Jobs) -> Option<(u16, String)> {
    let (_, rest) = path.split_once("/jobs/ingest")?;
    let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    let mut parts = rest.trim_matches('/').split('/');
    let (id, part) =
        (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default());
    let rows = |upload: &Bytes| memchr::memchr_iter(b'\n', upload).count().saturating_sub(1);
    let state = |id: &str, state: &str, rows: usize| {
        format!(
            "{{\"id\":\"{id}\",\"state\":\"{state}\",\"numberRecordsProcessed\":{rows},\"numberRecordsFailed\":0}}"
        )
    };
    Some(match (method.as_str(), part) {
        ("POST", _) => (200, state(&format!("750{:015}", jobs.len()), "Open", 0)),
        ("PUT", _) => {
            jobs.insert(id, body);
            (201, String::new())
        }
        ("PATCH", _) => (200, state(&id, "UploadComplete", 0)),
        ("GET", "") => (200, state(&id, "JobComplete", jobs.get(&id).map_or(0, rows))),
        _ => {
            let upload =
                jobs.get(&id).map(|upload| String::from_utf8_lossy(upload)).unwrap_or_default();
            let mut text = String::with_capacity(upload.len() * 2);
            for (at, line) in upload.lines().enumerate() {
                let id = line.split(',').next().unwrap_or_default();
                text.push_str(if at == 0 { "\"sf__Id\",\"sf__Created\"," } else { id });
                text.push_str(if at == 0 { "" } else { ",\"false\"," });
                text.push_str(line);
                text.push('\n');
            }
            (200, text)
        }
    })
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
    jobs: &Jobs,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let path = request.uri().path().to_owned();
    if path.contains("/jobs/ingest") {
        let method = request.method().clone();
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        let answered = job(&path, &method, body.unwrap_or_default(), jobs);
        let (status, text) = answered.unwrap_or((404, String::new()));
        let response = Response::builder().status(status).body(Full::new(Bytes::from(text)));
        return Ok(response.unwrap_or_default());
    }
    if request.method() == http::Method::GET {
        let metadata = metadata(request.uri().path());
        let response = Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(metadata)));
        return Ok(response.unwrap_or_default());
    }
    let hubspot = request.uri().path().ends_with("/batch/update");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
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
