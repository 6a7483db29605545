//! Undo: back to what the CRM held before a run, record by record, and not an inch further.

use crate::project::{Project, hubspot_toml};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::crm::{Provider, component, config};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All values of all contacts, apart from the date that the CRM itself moves.
type Contacts = BTreeMap<String, BTreeMap<String, String>>;

fn contacts(simulator: &Simulator) -> Contacts {
    let world = simulator.world();
    let without_date = |mut values: BTreeMap<String, String>| {
        values.remove("lastmodifieddate");
        values
    };
    world.hubspot.objects["contacts"]
        .records
        .iter()
        .map(|(id, record)| (id.clone(), without_date(record.properties.clone())))
        .collect()
}

/// Golden records for contacts `0..count`: a new first name for each, and a phone where there was
/// none.
fn golden(count: usize) -> String {
    let mut csv = "hs_object_id,firstname,phone\n".to_owned();
    for n in 0..count {
        csv.push_str(&format!("{},Golden {n},+1 406-555-{n:04}\n", Provider::HubSpot.id(n)));
    }
    csv
}

/// A run of `count` compared changes, in a CRM with three records more.
async fn ran(count: usize) -> (Simulator, Project, Contacts, String) {
    let simulator = Simulator::start(config(count + 3)).await.unwrap();
    let project = Project::comparing(&simulator, &golden(count)).await;
    ran_in(simulator, project, count).await
}

async fn ran_in(
    simulator: Simulator,
    project: Project,
    count: usize,
) -> (Simulator, Project, Contacts, String) {
    let before = contacts(&simulator);
    let run = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!(
        (run.code, run.json()["updated"].as_u64()),
        (Some(0), Some(count as u64)),
        "{run:?}"
    );
    assert_ne!(contacts(&simulator), before);
    let run_id = run.json()["run_id"].as_str().unwrap().to_owned();
    (simulator, project, before, run_id)
}

#[tokio::test]
async fn undo_brings_the_crm_back_except_for_records_edited_since_which_are_named() {
    let (simulator, project, before, run_id) = ran(12).await;
    let [edited, gone, other_field] = [3, 5, 7].map(|n| Provider::HubSpot.id(n));
    simulator.world().hubspot.edit("contacts", &edited, "firstname", "Somebody");
    simulator.world().hubspot.archive("contacts", &gone);
    // A field that the run did not write is nobody's business here.
    simulator.world().hubspot.edit("contacts", &other_field, "city", "Butte");

    let plan = project.run(&["undo", &run_id, "--json"]).await;
    assert_eq!(plan.code, Some(0), "{plan:?}");
    let json = plan.json();
    assert_eq!(
        (json["total"].as_u64(), json["writable"].as_u64(), json["skipped"].as_u64()),
        (Some(12), Some(10), Some(2)),
        "{json}"
    );
    assert_eq!(
        (json["undoes"].as_str(), json["mode"].as_str()),
        (Some(run_id.as_str()), Some("compare"))
    );
    assert_eq!(json["skipped_rows"][0]["reason"], "changed_since", "{json}");
    let named = json["skipped_rows"][0]["detail"].as_str().unwrap();
    assert!(
        named.contains(&edited)
            && named.contains("firstname was written as Golden 3, and is Somebody now"),
        "{named}"
    );
    assert_eq!(
        (json["skipped_rows"][1]["reason"].as_str(), json["skipped_rows"][1]["first_row"].as_u64()),
        (Some("gone"), Some(6)),
        "{json}"
    );
    assert_eq!(
        json["sample"][0]["before"],
        json!({"firstname": "Golden 0", "phone": "+1 406-555-0000"}),
        "{json}"
    );
    let wrote = simulator.world().writes.len();

    let words = project.run(&["undo", &run_id]).await;
    assert!(
        words.stdout.contains("10 would be put back") && words.stdout.contains("is Somebody now"),
        "{words:?}"
    );
    assert!(words.stdout.contains("phone      +1 406-555-0000 -> (cleared)"), "{words:?}");
    let plan_id = json["plan_id"].as_str().unwrap();
    assert!(
        words.stdout.contains(&format!("reverse-sync run {plan_id}")),
        "the same plan again: {words:?}"
    );
    assert_eq!(simulator.world().writes.len(), wrote, "nothing was written yet");

    let undone = project.run(&["run", plan_id, "--confirm", "--json"]).await;
    assert_eq!((undone.code, undone.json()["updated"].as_u64()), (Some(0), Some(10)), "{undone:?}");
    let mut expected = before;
    expected.insert(edited.clone(), contacts(&simulator)[&edited].clone());
    expected.insert(gone.clone(), contacts(&simulator)[&gone].clone());
    expected.get_mut(&other_field).unwrap().insert("city".to_owned(), "Butte".to_owned());
    assert_eq!(contacts(&simulator), expected);
    assert_eq!(contacts(&simulator)[&edited]["firstname"], "Somebody");
}

#[tokio::test]
async fn what_a_confirmed_undo_has_left_alone_is_named_to_programs_too() {
    // Some are put back; none are.
    for edited in [1, 3] {
        let (simulator, project, _, run_id) = ran(3).await;
        let ids: Vec<String> = (0..edited).map(|n| Provider::HubSpot.id(n)).collect();
        ids.iter()
            .for_each(|id| simulator.world().hubspot.edit("contacts", id, "firstname", "Somebody"));
        let file = project.path("left.jsonl");
        let undone = project
            .run(&["undo", &run_id, "--confirm", "--json", "--rejects", file.to_str().unwrap()])
            .await;
        let json = undone.json();
        assert_eq!(
            (undone.code, &json["updated"], &json["skipped"]),
            (Some(0), &json!(3 - edited), &json!(edited)),
            "{undone:?}"
        );
        assert_eq!(
            (&json["undoes"], &json["plan"]["skipped_by_reason"]),
            (&json!(run_id), &json!({"changed_since": edited})),
            "{json}"
        );
        let left = json["plan"]["skipped_rows"].as_array().unwrap();
        assert_eq!(left.len(), edited, "{json}");
        for (left, id) in left.iter().zip(&ids) {
            let detail = left["detail"].as_str().unwrap();
            assert!(detail.contains(id) && detail.contains("is Somebody now"), "{left}");
        }
        assert_eq!(
            (&json["rejects"]["records"], json["rejects"]["file"].as_str()),
            (&json!(edited), file.to_str()),
            "{json}"
        );
        assert!(file.exists());
    }
}

#[tokio::test]
async fn a_salesforce_org_comes_back_too() {
    let simulator = Simulator::start(config(8)).await.unwrap();
    // A checkbox is ticked or not; it is never empty.
    (0..8).for_each(|n| {
        simulator.world().salesforce.edit(
            "Contact",
            &Provider::Salesforce.id(n),
            "DoNotCall",
            json!(false),
        )
    });
    let fields = || {
        let world = simulator.world();
        let records = &world.salesforce.objects["Contact"].records;
        let values = |record: &crm_simulator::salesforce::Record| {
            let mut fields = record.fields.clone();
            fields.retain(|_, value| !value.is_null());
            fields
        };
        records.iter().map(|(id, record)| (id.clone(), values(record))).collect::<BTreeMap<_, _>>()
    };
    let before = fields();
    let project = Project::empty();
    let toml = hubspot_toml(&simulator.base_url())
        .replace("\"hubspot\"", "\"salesforce\"")
        .replace("hubspot_dest", "salesforce_dest")
        .replace("hs_object_id", "Id")
        .replace("object = \"contacts\", fields = [\"firstname\"]", "compare = true");
    project.write("reverse-sync.toml", &toml);
    let mut csv = "Id,FirstName,Phone,DoNotCall\n".to_owned();
    (0..6).for_each(|n| {
        csv.push_str(&format!("{},Golden {n},+1 406-555-{n:04},true\n", Provider::Salesforce.id(n)))
    });
    project.write("golden.csv", &csv);
    let run = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!((run.code, run.json()["updated"].as_u64()), (Some(0), Some(6)), "{run:?}");
    let edited = Provider::Salesforce.id(2);
    simulator.world().salesforce.edit("Contact", &edited, "Phone", json!("1"));
    let undone = project.run(&["undo", run.json()["run_id"].as_str().unwrap(), "--confirm"]).await;
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert!(
        undone.stderr.contains(&edited)
            && undone.stderr.contains("Phone was written as +1 406-555-0002, and is 1 now"),
        "{undone:?}"
    );
    let mut expected = before;
    expected.insert(edited.clone(), fields()[&edited].clone());
    assert_eq!(fields(), expected);
}

#[tokio::test]
async fn an_undo_can_be_undone() {
    let (simulator, project, before, run_id) = ran(4).await;
    let after = contacts(&simulator);
    let undone = project.run(&["undo", &run_id, "--confirm", "--json"]).await;
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(contacts(&simulator), before);
    let redone = project
        .run(&["undo", undone.json()["run_id"].as_str().unwrap(), "--confirm", "--json"])
        .await;
    assert_eq!(redone.code, Some(0), "{redone:?}");
    assert_eq!(contacts(&simulator), after);

    let nothing =
        project.run(&["undo", undone.json()["run_id"].as_str().unwrap(), "--json"]).await.json();
    assert_eq!(
        (nothing["writable"].as_u64(), nothing["skipped_by_reason"]["as_before"].as_u64()),
        (Some(0), Some(4)),
        "{nothing}"
    );
}

#[tokio::test]
async fn only_what_the_run_has_really_written_is_undone() {
    let simulator = Simulator::start(config(10)).await.unwrap();
    let before = contacts(&simulator);
    let project = Project::comparing(&simulator, &golden(10)).await;
    let stopped = project.run(&["run", "people", "--confirm", "--json", "--canary", "4"]).await;
    assert_eq!(stopped.code, Some(0), "a canary that holds is no reason to stop: {stopped:?}");

    // The component reports a batch that the CRM refuses as failed: none of these were written.
    project.write("golden.csv", &golden(10).replace("Golden", "Platinum"));
    simulator
        .world()
        .fault(crm_simulator::Rule::always(crm_simulator::Fault::Status(400)).on("batch/update"));
    let failed = project.run(&["run", "people", "--confirm", "--json"]).await.json();
    assert_eq!(
        (failed["updated"].as_u64(), failed["failed"].as_u64()),
        (Some(0), Some(10)),
        "{failed}"
    );
    simulator.world().faults.clear();
    let ended = project.run(&["undo", failed["run_id"].as_str().unwrap()]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("has written nothing"), "{ended:?}");

    let undone =
        project.run(&["undo", stopped.json()["run_id"].as_str().unwrap(), "--confirm"]).await;
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(contacts(&simulator), before);
}

#[tokio::test]
async fn a_run_that_was_planned_without_looking_at_the_crm_cannot_be_undone() {
    let simulator = Simulator::start(config(3)).await.unwrap();
    let project = Project::hubspot(&simulator, &golden(2)).await;
    let id = project.run(&["plan", "people", "--json"]).await.json()["plan_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let run = project.run(&["run", &id, "--confirm", "--json"]).await.json();
    let requests = simulator.world().requests.len();
    let ended = project.run(&["undo", run["run_id"].as_str().unwrap(), "--confirm"]).await;
    assert!(
        ended.code == Some(2) && ended.stderr.contains("plan with --compare to be able to undo"),
        "{ended:?}"
    );
    for (nonsense, says) in [
        ("run_000000000000_1", "there is no run"),
        ("../../x", "is not a run id"),
        ("people", "is not a run id"),
    ] {
        let ended = project.run(&["undo", nonsense]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{ended:?}");
    }
    assert_eq!(simulator.world().requests.len(), requests, "nothing was asked for that");
}

#[tokio::test]
async fn a_run_that_went_elsewhere_is_not_undone_here() {
    let (simulator, project, _, run_id) = ran(2).await;
    let toml = std::fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
    project.write(
        "reverse-sync.toml",
        &toml.replace("object = \"contacts\"", "object = \"companies\""),
    );
    let ended = project.run(&["undo", &run_id, "--confirm"]).await;
    assert!(
        ended.code == Some(3)
            && ended.stderr.contains("config_json.object was contacts and is companies now"),
        "{ended:?}"
    );

    let elsewhere = Simulator::start(config(2)).await.unwrap();
    project.write("reverse-sync.toml", &toml.replace(&simulator.base_url(), &elsewhere.base_url()));
    let ended = project.run(&["undo", &run_id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("base_url was"), "{ended:?}");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_tampered_plan_is_not_undone_either() {
    let (simulator, project, _, run_id) = ran(2).await;
    let plans = project.path(".reverse-sync/plans");
    let plan =
        std::fs::read_dir(plans).unwrap().next().unwrap().unwrap().path().join("changes.arrow");
    let mut bytes = std::fs::read(&plan).unwrap();
    let at = bytes.windows(8).position(|window| window == b"Golden 1").unwrap();
    bytes[at] = b'X';
    std::fs::write(&plan, bytes).unwrap();
    let wrote = simulator.world().writes.len();
    let ended = project.run(&["undo", &run_id, "--confirm"]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("was altered"), "{ended:?}");
    assert_eq!(simulator.world().writes.len(), wrote);
}

#[tokio::test]
async fn another_component_may_undo_and_says_so() {
    let simulator = Simulator::start(config(6)).await.unwrap();
    let project = Project::comparing_with_guest(&simulator, &golden(3)).await;
    let (simulator, mut project, before, run_id) = ran_in(simulator, project, 3).await;
    let made_by = project.run(&["plan", "people", "--json"]).await.json()["component"]
        .as_str()
        .unwrap()
        .to_owned();
    // The bundled one now, with the configuration it knows.
    project.plugin = None;
    let plan = project.run(&["undo", &run_id]).await;
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(
        plan.stdout.contains(&made_by)
            && plan.stdout.contains(&component().await.digest().to_string()),
        "{plan:?}"
    );
    let undone = project.run(&["undo", &run_id, "--confirm"]).await;
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(contacts(&simulator), before);
}

#[tokio::test]
async fn a_run_that_another_component_began_can_be_finished_with_that() {
    let simulator = Simulator::start(config(6)).await.unwrap();
    let mut project = Project::comparing_with_guest(&simulator, &golden(3)).await;
    let plan = project.run(&["plan", "people", "--compare", "--json"]).await.json();
    let id = plan["plan_id"].as_str().unwrap();
    simulator.world().fault(Rule::always(Fault::DropBefore).on("/batch/update"));
    let stopped = project.run(&["run", id, "--confirm"]).await;
    assert_ne!(stopped.code, Some(0), "{stopped:?}");
    simulator.world().faults.clear();
    // As after an upgrade.
    project.plugin = None;
    let refused = project.run(&["run", id, "--confirm"]).await;
    let digest = plan["component"].as_str().unwrap();
    let kept = format!(".reverse-sync/components/{}.wasm", digest.trim_start_matches("sha256:"));
    assert!(
        refused.code == Some(3) && refused.stderr.contains(&format!("--plugin ./{kept}")),
        "{refused:?}"
    );
    assert!(refused.stderr.contains(digest), "{refused:?}");
    project.plugin = Some(project.path(&kept));
    let ended = project.run(&["run", id, "--confirm"]).await;
    assert!(ended.code == Some(0) && ended.stdout.contains("3 updated"), "{ended:?}");
}

#[tokio::test]
async fn runs_are_listed_with_what_can_be_undone() {
    let (_simulator, project, _, run_id) = ran(2).await;
    let undo = project.run(&["undo", &run_id, "--confirm", "--json"]).await.json();
    let listed = project.run(&["runs", "--json"]).await.json();
    let keys = |run: &Value| {
        (
            run["run_id"].clone(),
            run["status"].clone(),
            run["updated"].clone(),
            run["can_undo"].clone(),
            run["undoes"].clone(),
        )
    };
    assert_eq!(
        listed.as_array().unwrap().iter().map(keys).collect::<Vec<_>>(),
        [
            (json!(run_id), json!("succeeded"), json!(2), json!(true), Value::Null),
            (undo["run_id"].clone(), json!("succeeded"), json!(2), json!(true), json!(run_id)),
        ]
    );
    let words = project.run(&["runs"]).await;
    // The newest first, and what was undone is not offered again.
    let undo = undo["run_id"].as_str().unwrap();
    let [header, newest, oldest] = words.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{words:?}")
    };
    assert!(header.starts_with("RUN ") && newest.starts_with(undo), "{words:?}");
    assert!(newest.contains("can be undone") && newest.contains(&format!("undid {run_id}")));
    assert!(oldest.starts_with(&run_id) && oldest.ends_with(&format!("(undone by {undo})")));
}

#[tokio::test]
async fn the_audit_log_says_what_was_undone() {
    let (_simulator, project, _, run_id) = ran(2).await;
    project.run(&["undo", &run_id, "--confirm"]).await;
    let log = std::fs::read_to_string(project.path(".reverse-sync/audit_log.jsonl")).unwrap();
    let row: Value = serde_json::from_str(log.lines().next_back().unwrap()).unwrap();
    assert_eq!(
        (row["undoes"].as_str(), row["action"].as_str()),
        (Some(run_id.as_str()), Some("destination.reverse_run")),
        "{row}"
    );
}
