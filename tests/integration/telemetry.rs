//! What the command logs and exports while it runs: every line of a run says which run.

use crate::{project::Project, support::config};
use bytes::Bytes;
use crm_simulator::{Config, Fault, Rule, Simulator};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

const CSV: &str = "hs_object_id,firstname\n492564112121,A\n492564112124,B\n492564112127,C\n";

/// A planned project, and the id of its plan.
async fn planned() -> (Simulator, Project, String) {
    let in_a_second = Config { hubspot_limit: 190, hubspot_window_ms: 1_000, ..config(10) };
    let simulator = Simulator::start(in_a_second).await.unwrap();
    let project = Project::hubspot(&simulator, CSV).await;
    let plan = project.run(&["plan", "people", "--json"]).await.json();
    let id = plan["plan_id"].as_str().unwrap().to_owned();
    (simulator, project, id)
}

type Received = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// An OpenTelemetry collector that keeps what it is sent.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let into = Arc::clone(&received);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let into = Arc::clone(&into);
            let take = service_fn(move |request: Request<Incoming>| {
                let into = Arc::clone(&into);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    into.lock().unwrap().push((format!("{} {}", parts.method, parts.uri.path()), parts.headers, body));
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), take));
        }
    });
    (url, received)
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn every_line_of_a_run_has_its_id() {
    let (simulator, project, plan) = planned().await;
    simulator.world().fault(Rule::next(1, Fault::Throttle).on("/batch/update"));
    simulator.world().fault(Rule::next(1, Fault::DropBefore).on("/batch/update"));
    let ended = project.run(&["run", &plan, "--confirm", "--json", "-vv", "--log-format", "json"]).await;
    let run_id = ended.json()["run_id"].clone();
    let lines: Vec<Value> =
        ended.stderr.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let spans = line["spans"].as_array().unwrap_or_else(|| panic!("{line}"));
        assert!(spans.iter().any(|span| span["run_id"] == run_id), "{line}");
    }
    // Lines of the request's own task, of the pacer, and of the run itself.
    for message in
        ["request", "no answer from the CRM", "the CRM asks to slow down; all calls with this credential pause", "the run has ended"]
    {
        assert!(lines.iter().any(|line| line["message"] == message), "{message}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_run_is_exported_to_the_collector_with_its_id_and_without_its_token() {
    let (_simulator, project, plan) = planned().await;
    let (url, received) = collector().await;
    let ended = project.run(&["run", &plan, "--confirm", "--json", "--otlp", &url]).await;
    let run_id = ended.json()["run_id"].as_str().unwrap().to_owned();
    let received = received.lock().unwrap();
    assert!(!received.is_empty() && received.iter().all(|(what, ..)| what == "POST /v1/traces"), "{received:?}");
    let spans: Vec<&Bytes> = received.iter().map(|(_, _, body)| body).collect();
    assert!(spans.iter().any(|body| contains(body, &run_id) && contains(body, &plan)));
    assert!(!spans.iter().any(|body| contains(body, crate::support::TOKEN)));
    assert_eq!(received[0].1["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn a_collector_that_is_down_or_hangs_disturbs_no_run() {
    // One listens and never answers, at the other nobody listens.
    let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for address in [hanging.local_addr().unwrap(), free] {
        let (simulator, project, plan) = planned().await;
        let ended = project.run(&["run", &plan, "--confirm", "--json", "--otlp", &format!("http://{address}")]).await;
        assert_eq!((ended.code, ended.json()["updated"].as_u64()), (Some(0), Some(3)), "{ended:?}");
        assert_eq!(simulator.world().writes.len(), 3);
    }
    let (_simulator, project, plan) = planned().await;
    let ended = project.run(&["run", &plan, "--confirm", "--otlp", "localhost:4318"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("one looks like http://127.0.0.1:4318"), "{ended:?}");
}
