//! The gate: what is run is what was confirmed.

use crate::project::{Project, hubspot_toml};
use crm_simulator::Simulator;
use reverse_sync_tests::crm::config;
use std::{fs, path::PathBuf};

const CSV: &str = "hs_object_id,firstname\n492564112121,Brian\n492564112124,Maria\n";

async fn planned() -> (Simulator, Project, String) {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let project = Project::hubspot(&simulator, CSV).await;
    let id = project.run(&["plan", "people", "--offline", "--json"]).await.json()["plan_id"]
        .as_str()
        .unwrap()
        .to_owned();
    (simulator, project, id)
}

fn plan_file(project: &Project, id: &str, file: &str) -> PathBuf {
    project.path(&format!(".reverse-sync/plans/{id}/{file}"))
}

#[tokio::test]
async fn nothing_is_written_without_a_confirmation() {
    let (simulator, project, id) = planned().await;
    for what in [id.as_str(), "people"] {
        let ended = project.run(&["run", what]).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("--confirm"), "{ended:?}");
    }
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn a_tampered_plan_is_refused() {
    for (file, from, to) in [
        ("changes.arrow", "Brian", "Britt"),
        ("changes.arrow", "492564112121", "492564112127"),
        ("plan.json", "\"writable\": 2", "\"writable\": 3"),
    ] {
        let (simulator, project, id) = planned().await;
        let path = plan_file(&project, &id, file);
        let bytes = fs::read(&path).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap_or_else(|| panic!("{from} is not in {file}"));
        let mut changed = bytes;
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, changed).unwrap();
        let ended = project.run(&["run", &id, "--confirm"]).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("altered"), "{ended:?}");
        assert_eq!(simulator.connections(), 0);
    }
}

#[tokio::test]
async fn a_plan_under_another_plans_name_is_refused() {
    let (simulator, project, id) = planned().await;
    let other = format!("{}0", &id[..id.len() - 1]);
    let other = if other == id { format!("{}1", &id[..id.len() - 1]) } else { other };
    fs::rename(
        project.path(&format!(".reverse-sync/plans/{id}")),
        project.path(&format!(".reverse-sync/plans/{other}")),
    )
    .unwrap();
    let ended = project.run(&["run", &other, "--confirm"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn a_plan_is_refused_when_what_it_was_made_from_has_changed() {
    let (simulator, project, id) = planned().await;
    project.write("golden.csv", "hs_object_id,firstname\n492564112121,Someone else\n");
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(
        ended.code == Some(3) && ended.stderr.contains("golden.csv have changed since"),
        "{ended:?}"
    );

    let (other, project, id) = planned().await;
    let toml = hubspot_toml(&other.base_url());
    project.write(
        "reverse-sync.toml",
        &toml.replace("object = \"contacts\"", "object = \"companies\""),
    );
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("configured differently"), "{ended:?}");

    project.write("reverse-sync.toml", &hubspot_toml(&simulator.base_url()));
    let ended = project.run(&["run", &id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("base_url was"), "{ended:?}");
    assert_eq!((simulator.connections(), other.connections()), (0, 0));
}

#[tokio::test]
async fn a_plan_is_applied_once_until_it_is_planned_again() {
    let (simulator, project, id) = planned().await;
    assert_eq!(project.run(&["run", &id, "--confirm"]).await.code, Some(0));
    let again = project.run(&["run", &id, "--confirm"]).await;
    assert!(again.code == Some(0) && again.stdout.contains("applied by run"), "{again:?}");
    let json = project.run(&["run", &id, "--confirm", "--json"]).await.json();
    assert!(
        json["updated"] == 2 && json["requests"] == 0 && json["applied_at"].is_string(),
        "{json}"
    );
    let updates =
        || simulator.world().requests.iter().filter(|request| request.method == "POST").count();
    assert_eq!(updates(), 1);
    project.run(&["plan", "people", "--offline"]).await;
    assert_eq!(project.run(&["run", &id, "--confirm"]).await.code, Some(0));
    assert_eq!(updates(), 2);
}
