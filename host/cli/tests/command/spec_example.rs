//! The example of the specification, to the digit.

use crate::project::Project;
use crm_simulator::Simulator;
use reverse_sync_tests::{
    crm::config,
    spec_example::{assert_planned, golden},
};
use serde_json::{Value, json};

#[tokio::test]
async fn fifty_three_golden_records_two_with_an_id() {
    let simulator = Simulator::start(config(2)).await.unwrap();
    let project = Project::hubspot(&simulator, &golden()).await;

    let plan = project.run(&["plan", "people", "--offline", "--json"]).await;
    assert_eq!(plan.code, Some(0), "{plan:?}");
    let plan = plan.json();
    assert_planned(&plan);
    assert_eq!(simulator.connections(), 0);

    let run = project.run(&["run", plan["plan_id"].as_str().unwrap(), "--confirm", "--json"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = run.json();
    for (key, value) in [
        ("ok", json!(true)),
        ("dry_run", json!(false)),
        ("updated", json!(2)),
        ("skipped", json!(51)),
        ("errors", json!([])),
    ] {
        assert_eq!(run[key], value, "{key}");
    }

    // Exactly this was sent, and nothing else: the metadata that an offline plan is compared with,
    // and the update.
    let world = simulator.world();
    assert_eq!(world.requests.len(), 2, "{:?}", world.requests);
    assert_eq!(
        (world.requests[0].method.as_str(), world.requests[0].target.as_str()),
        ("GET", "/crm/v3/properties/contacts")
    );
    let request = &world.requests[1];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/crm/v3/objects/contacts/batch/update")
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let inputs = json!({"inputs": [
        {"id": "492564112121", "properties": {"firstname": "Brian"}},
        {"id": "492564112124", "properties": {"firstname": "Maria"}},
    ]});
    assert_eq!(body, inputs);
}

#[tokio::test]
async fn a_plan_that_writes_nothing_says_why() {
    let simulator = Simulator::start(config(0)).await.unwrap();
    let project = Project::hubspot(&simulator, "hs_object_id,firstname\n,A\n,B\n").await;
    let plan = project.run(&["plan", "people", "--json"]).await.json();
    assert_eq!(plan["writable"], 0);
    assert!(plan["hint"].to_string().contains("ingest and resolve"), "{plan}");
    let run = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!((run.code, run.json()["updated"].clone()), (Some(0), json!(0)));
    assert_eq!(simulator.world().writes.len(), 0);
}

#[tokio::test]
async fn salesforce_gets_the_same_treatment() {
    let simulator = Simulator::start(config(2)).await.unwrap();
    let project = Project::empty();
    project.write(
        "reverse-sync.toml",
        &format!(
            "[sources.org]\nprovider = \"salesforce\"\nbase_url = \"{}\"\naccess_token = {{ env = \"HUBSPOT_TOKEN\" }}\n\
         [destinations.people]\ndestination_type = \"salesforce_dest\"\nentity_type = \"person\"\nrecords = \"golden.jsonl\"\n\
         config_json = {{ provider_id_field = \"Id\", source_id = \"org\", fields = [\"FirstName\", \"DoNotCall\"] }}\n",
            simulator.base_url()
        ),
    );
    let (first, second) = (crm_simulator::record_id("003", 0), crm_simulator::record_id("003", 1));
    project.write("golden.jsonl", &format!("{{\"Id\":\"{first}\",\"FirstName\":\"Ada\",\"DoNotCall\":true}}\n{{\"Id\":\"{}\",\"FirstName\":\"Bob\"}}\n{{\"FirstName\":\"C\"}}\n", &second[..15]));
    let run = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!(
        (run.code, run.json()["updated"].clone(), run.json()["skipped"].clone()),
        (Some(0), json!(2), json!(1)),
        "{run:?}"
    );
    let world = simulator.world();
    // The metadata to plan with, the account that it is planned for, the same before it is written,
    // and the update.
    let asked: Vec<&str> =
        world.requests.iter().map(|request| request.target.rsplit('/').next().unwrap()).collect();
    assert_eq!(asked, ["describe", "organization", "organization", "sobjects"]);
    let request = &world.requests[3];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("PATCH", "/services/data/v67.0/composite/sobjects")
    );
    assert_eq!(request.header("sforce-auto-assign"), Some("FALSE"));
    let expected = json!({"allOrNone": false, "records": [
        {"attributes": {"type": "Contact"}, "id": first, "FirstName": "Ada", "DoNotCall": true},
        {"attributes": {"type": "Contact"}, "id": second, "FirstName": "Bob"},
    ]});
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), expected);
}
