//! What a new user does with the command, however it was installed.

use reverse_sync_tests::spec_example::{assert_planned, golden};
use serde_json::{Value, json};
use std::{fs, path::Path};

const PROJECT: &str = r#"
[sources.src_1]
provider = "hubspot"
access_token = { env = "HUBSPOT_TOKEN" }
[destinations.people]
destination_type = "hubspot_dest"
entity_type = "person"
records = "golden.csv"
config_json = { provider_id_field = "hs_object_id", source_id = "src_1", fields = ["firstname"] }
"#;

/// The example of the specification: `command` is called in `dir` with arguments, and returns what
/// it prints.
#[track_caller]
pub(crate) fn plans_the_example(dir: &Path, command: impl Fn(&[&str]) -> String) {
    fs::write(dir.join("reverse-sync.toml"), PROJECT).unwrap();
    fs::write(dir.join("golden.csv"), golden()).unwrap();
    let plan = command(&["plan", "people", "--offline", "--json"]);
    assert_planned(&serde_json::from_str(&plan).unwrap());
    fs::remove_file(dir.join("reverse-sync.toml")).unwrap();
}

/// A file of one's own, as HubSpot exports it, and no project file yet.
#[track_caller]
pub(crate) fn plans_a_file_of_its_own(dir: &Path, command: impl Fn(&[&str]) -> String) {
    let csv = "Record ID,First Name,Email\n492564112121,Brian,brian@example.com\n,Nobody,\n";
    fs::write(dir.join("people.csv"), csv).unwrap();
    command(&["init", "--provider", "hubspot", "--records", "people.csv"]);
    let plan: Value =
        serde_json::from_str(&command(&["plan", "golden", "--offline", "--json"])).unwrap();
    assert_eq!((&plan["total"], &plan["writable"]), (&json!(2), &json!(1)), "{plan}");
    assert_eq!(
        plan["sample"],
        json!([{"provider_id": "492564112121", "fields": {"firstname": "Brian", "email": "brian@example.com"}}])
    );
}
