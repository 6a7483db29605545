//! What the command logs and exports while it runs: every line of a run says which run.

use crate::project::Project;
use crm_simulator::{Config, Fault, Rule, Simulator};
use reverse_sync_tests::{collector::Collector, crm::config};
use serde_json::Value;
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

#[tokio::test]
async fn every_line_of_a_run_has_its_id() {
    let (simulator, project, plan) = planned().await;
    simulator.world().fault(Rule::next(1, Fault::Throttle).on("/batch/update"));
    simulator.world().fault(Rule::next(1, Fault::DropBefore).on("/batch/update"));
    let ended =
        project.run(&["run", &plan, "--confirm", "--json", "-vv", "--log-format", "json"]).await;
    let run_id = ended.json()["run_id"].clone();
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        let spans = line["spans"].as_array().unwrap_or_else(|| panic!("{line}"));
        assert!(spans.iter().any(|span| span["run_id"] == run_id), "{line}");
    }
    // Lines of the request's own task, of the pacer, and of the run itself.
    for message in [
        "request",
        "no answer from the CRM",
        "the CRM asks to slow down; all calls with this credential pause",
        "the run has ended",
    ] {
        assert!(lines.iter().any(|line| line["message"] == message), "{message}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_run_is_exported_to_the_collector_with_its_id_and_without_its_token() {
    let (_simulator, project, plan) = planned().await;
    let collector = Collector::start().await.unwrap();
    let ended =
        project.run(&["run", &plan, "--confirm", "--json", "--otlp", collector.url()]).await;
    let run_id = ended.json()["run_id"].as_str().unwrap().to_owned();
    let received = collector.received();
    assert!(
        !received.is_empty() && received.iter().all(|export| export.what == "POST /v1/traces"),
        "{received:?}"
    );
    assert!(received.iter().any(|export| export.contains(&run_id) && export.contains(&plan)));
    assert!(!received.iter().any(|export| export.contains(reverse_sync_tests::crm::TOKEN)));
    assert_eq!(received[0].headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn a_collector_that_is_down_or_hangs_disturbs_no_run() {
    // One listens and never answers, at the other nobody listens.
    let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for address in [hanging.local_addr().unwrap(), free] {
        let (simulator, project, plan) = planned().await;
        let ended = project
            .run(&["run", &plan, "--confirm", "--json", "--otlp", &format!("http://{address}")])
            .await;
        assert_eq!((ended.code, ended.json()["updated"].as_u64()), (Some(0), Some(3)), "{ended:?}");
        assert_eq!(simulator.world().writes.len(), 3);
    }
    let (_simulator, project, plan) = planned().await;
    let ended = project.run(&["run", &plan, "--confirm", "--otlp", "localhost:4318"]).await;
    assert!(
        ended.code == Some(2) && ended.stderr.contains("one looks like http://127.0.0.1:4318"),
        "{ended:?}"
    );
}
