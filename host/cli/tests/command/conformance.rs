//! `plugin test`: the bundled plugin keeps the contract, and one that does not is told which promise
//! it breaks.

use crate::project::{Ended, Project};
use reverse_sync_tests::component_file;
use serde_json::{Value, json};

const FIXTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/conformance/hubspot.json");

/// The hostile guest, with the answers of the example.
async fn tested(config: Value) -> Ended {
    let mut fixture: Value =
        serde_json::from_str(&std::fs::read_to_string(FIXTURE).unwrap()).unwrap();
    fixture["config"] = config;
    let project = Project::empty();
    project.write("fixture.json", &fixture.to_string());
    let guest = hostile_guest_component::FILE;
    project.run(&["plugin", "test", guest, "--fixture", "fixture.json", "--json"]).await
}

#[track_caller]
fn check<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name).unwrap();
    (found["result"].as_str().unwrap(), found["detail"].as_str().unwrap())
}

/// A plugin with its fixture: nothing fails, and no checks but these are left out.
async fn keeps_the_contract(file: &str, fixture: &str, left_out: &[&str]) -> Value {
    let fixture = FIXTURE.replace("hubspot", fixture);
    let ended =
        Project::empty().run(&["plugin", "test", file, "--fixture", &fixture, "--json"]).await;
    let report = ended.json();
    assert!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    assert_eq!((&report["ok"], &report["complete"]), (&json!(true), &json!(left_out.is_empty())));
    for check in report["checks"].as_array().unwrap() {
        let expected =
            if left_out.contains(&check["name"].as_str().unwrap()) { "not_checked" } else { "ok" };
        assert_eq!(check["result"], expected, "{report:#}");
    }
    report
}

#[tokio::test]
async fn the_bundled_plugin_keeps_the_contract() {
    let file = component_file().to_str().unwrap();
    let report = keeps_the_contract(file, "hubspot", &[]).await;
    for (name, says) in [
        ("plan", "999 planned, 3 skipped"),
        ("run", "1000 updated; 11 requests"),
        ("lost_answers", "1000 updated"),
        ("lost_updates", "1000 unknown"),
        ("daily_limit", "left all 1000 changes pending"),
    ] {
        assert!(check(&report, name).1.contains(says), "{name}: {report:#}");
    }
    keeps_the_contract(file, "salesforce", &["jobs"]).await;
}

#[tokio::test]
async fn the_example_destination_keeps_the_contract() {
    keeps_the_contract(example_destination_component::FILE, "roster", &[]).await;
}

#[tokio::test]
async fn what_was_not_proved_is_not_called_good() {
    let file = component_file().to_str().unwrap();
    let project = Project::empty();
    let ended = project.run(&["plugin", "test", file]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "  ok           describe ",
        "  NOT CHECKED  run           needs --fixture\n",
        "\nNothing failed: 1 check passed, 17 checks not made.\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    project.write("fixture.json", &text.replace("batch/update", "batch/other"));
    let ended = project.run(&["plugin", "test", file, "--fixture", "fixture.json", "--json"]).await;
    let (report, left_out) = (ended.json(), "the fixture has no answer to POST ");
    let (result, says) = check(&report, "run");
    assert!(result == "not_checked" && says.starts_with(left_out), "{ended:?}");
    assert_eq!(report["complete"], false);
}

#[tokio::test]
async fn a_fixture_that_is_wrong_is_refused_with_what_is_wrong() {
    let file = component_file().to_str().unwrap();
    let project = Project::empty();
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    for (from, to, says) in [
        ("\"hubspot_dest\"", "\"pipedrive_dest\"", "does not serve `pipedrive_dest`"),
        ("${n}", "1", "no value of `record` contains ${n}"),
        ("\"refusal\"", "\"refusl\"", "unknown field `refusl`"),
    ] {
        assert!(text.contains(from));
        project.write("fixture.json", &text.replace(from, to));
        let ended = project.run(&["plugin", "test", file, "--fixture", "fixture.json"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{to}: {ended:?}");
    }
}

#[tokio::test]
async fn each_broken_promise_is_reported() {
    let tests = [
        (
            json!({}),
            &[
                ("describe", "two instances gave two answers"),
                ("plan", "cannot be a record id"),
                ("doubt", "written again before it was read"),
                ("lost_answers", "the run ended: ErrorCode::ConnectionTerminated"),
                ("refusal", "900 updated, 100 failed"),
            ][..],
        ),
        (json!({"attack": "plan_twice"}), &[("plan", "row 1 was decided twice")]),
        (json!({"attack": "plan_lose"}), &[("plan", "neither planned nor skipped")]),
        (json!({"attack": "plan_descend"}), &[("plan", "changes have to ascend")]),
        (
            json!({"keeps": true}),
            &[("plan_memory", "KiB for 20000"), ("run_memory", "KiB for 20000")],
        ),
        (json!({"attack": "claim_updated"}), &[("run", "no answer of the CRM shows it")]),
        (json!({"attack": "no_outcome"}), &[("run", "without saying what became of this change")]),
        (json!({"attack": "outcome_twice"}), &[("run", "which is not in hand")]),
        (json!({"attack": "space"}), &[("run", "not in the granted form")]),
        (
            json!({"calls_lost_failed": true}),
            &[
                ("lost_answers", "are called failed"),
                ("lost_updates", "1000 failed"),
                ("silence", "it knows what became of changes"),
            ],
        ),
    ]
    .map(|(config, broken)| tokio::spawn(is_reported(config, broken)));
    for test in tests {
        test.await.unwrap();
    }
}

async fn is_reported(config: Value, broken: &[(&str, &str)]) {
    let ended = tested(config.clone()).await;
    let report = ended.json();
    assert!(ended.code == Some(1) && report["ok"] == false, "{config}: {ended:?}");
    for (name, says) in broken {
        let (result, detail) = check(&report, name);
        assert!(result == "failed" && detail.contains(says), "{config} {name}: {report:#}");
    }
    if config == json!({}) {
        for name in
            ["plan_batches", "plan_memory", "run", "verify", "compare", "run_memory", "stop"]
        {
            assert_eq!(check(&report, name).0, "ok", "{name}: {report:#}");
        }
    }
}
