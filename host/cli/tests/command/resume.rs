//! Killed, stopped, taken up again.

use crate::project::{Project, killed_after};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::crm::config;
use std::{process::Stdio, time::Duration};

const RECORDS: usize = 10_000;

fn golden(count: usize) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in 0..count {
        csv.push_str(&format!("{},New {n}\n", 492_564_112_121 + n as u64 * 3));
    }
    csv
}

/// Waits until the CRM has seen this many records written.
async fn written(simulator: &Simulator, count: usize) {
    let wait = async {
        while simulator.world().writes.len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the run makes no progress");
}

#[tokio::test]
async fn kill_9_in_the_middle_and_run_again() {
    for count in [1, 3_000, 8_500] {
        let simulator = Simulator::start(config(RECORDS)).await.unwrap();
        simulator.world().fault(Rule::always(Fault::Latency(15)));
        let project = Project::hubspot(&simulator, &golden(RECORDS)).await;
        killed_after(&project, written(&simulator, count)).await;
        let before = simulator.world().writes.len();
        assert!(before < RECORDS, "it was killed too late to prove anything");

        let ended = project.run(&["run", "people", "--confirm", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let json = ended.json();
        assert_eq!(
            (json["updated"].as_u64(), json["ok"].as_bool()),
            (Some(RECORDS as u64), Some(true)),
            "{json}"
        );
        let world = simulator.world();
        assert_eq!(world.written_twice(), [], "killed after {count}");
        assert_eq!(world.writes.len(), RECORDS);
    }
}

#[tokio::test]
async fn killed_again_and_again_it_still_comes_to_its_end() {
    let simulator = Simulator::start(config(RECORDS)).await.unwrap();
    simulator.world().fault(Rule::always(Fault::Latency(10)));
    let project = Project::hubspot(&simulator, &golden(RECORDS)).await;
    for round in 1..=5 {
        killed_after(&project, written(&simulator, round * 1_500)).await;
    }
    let json = project.run(&["run", "people", "--confirm", "--json"]).await.json();
    assert_eq!(json["updated"].as_u64(), Some(RECORDS as u64), "{json}");
    assert_eq!(simulator.world().written_twice(), []);
}

#[tokio::test]
#[cfg(unix)]
async fn ctrl_c_stops_between_batches_and_the_run_goes_on_later() {
    let simulator = Simulator::start(config(RECORDS)).await.unwrap();
    simulator.world().fault(Rule::always(Fault::Latency(30)));
    let project = Project::hubspot(&simulator, &golden(RECORDS)).await;
    let child = project
        .command(&["run", "people", "--confirm", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    written(&simulator, 1_000).await;
    let pid = child.id().unwrap();
    std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap();
    let ended = crate::project::Ended::from(child.wait_with_output().await.unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let json = ended.json();
    assert_eq!(json["stopped"]["reason"], "cancelled");
    assert!(json["pending"].as_u64().unwrap() > 0);
    // Nothing was cut off: what was sent has its outcome.
    assert_eq!(json["updated"].as_u64().unwrap() as usize, simulator.world().writes.len());
    let json = project.run(&["run", "people", "--confirm", "--json"]).await.json();
    assert_eq!(json["updated"].as_u64(), Some(RECORDS as u64), "{json}");
    assert_eq!(simulator.world().written_twice(), []);
}

#[tokio::test]
async fn two_processes_cannot_run_one_plan() {
    let simulator = Simulator::start(config(RECORDS)).await.unwrap();
    simulator.world().fault(Rule::always(Fault::Latency(30)));
    let project = Project::hubspot(&simulator, &golden(RECORDS)).await;
    let mut first = project
        .command(&["run", "people", "--confirm"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    written(&simulator, 500).await;
    let second = project.run(&["run", "people", "--confirm"]).await;
    assert!(
        second.code == Some(3) && second.stderr.contains("running in another process"),
        "{second:?}"
    );
    assert!(first.wait().await.unwrap().success());
    assert_eq!(simulator.world().written_twice(), []);
}
