//! The command: exit codes, files, words.

use crate::project::{Project, hubspot_toml};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::{
    component_file,
    crm::{Provider, component, config},
};
use serde_json::{Value, json};
use std::fs;
use tokio::io::AsyncWriteExt;

pub(crate) async fn project(csv: &str) -> (Simulator, Project) {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let project = Project::hubspot(&simulator, csv).await;
    (simulator, project)
}

pub(crate) fn ids(count: usize) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in 0..count {
        csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n)));
    }
    csv
}

#[tokio::test]
async fn exit_codes_say_what_happened() {
    let (simulator, project) = project(&(ids(3) + "999,Nobody\n")).await;
    let failed = project.run(&["run", "people", "--confirm", "--json"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let json = failed.json();
    assert_eq!(
        (json["ok"].as_bool(), json["updated"].as_u64(), json["failed"].as_u64()),
        (Some(false), Some(3), Some(1))
    );
    assert_eq!(
        (json["errors"][0]["provider_id"].as_str(), json["errors"][0]["row"].as_u64()),
        (Some("999"), Some(4)),
        "{json}"
    );
    assert!(
        json["errors"][0]["response"]["message"]
            .as_str()
            .unwrap()
            .contains("Could not get some CONTACT objects"),
        "{json}"
    );

    for arguments in [
        &["run", "nobody", "--confirm"][..],
        &["plan", "nobody"],
        &["plan"],
        &["plan", "people", "--records", "nothing/*.csv"],
        &["plan", "people", "--project", "other.toml"],
    ] {
        let ended = project.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
    }

    simulator.world().config.tokens[0].expired = true;
    let expired = project.run(&["run", "people", "--confirm"]).await;
    assert_eq!(expired.code, Some(4), "{expired:?}");
    assert!(
        expired.stderr.contains("crm.objects.contacts.write"),
        "it says which right is needed: {expired:?}"
    );
    drop(simulator);
    let down = project.run(&["run", "people", "--confirm"]).await;
    assert_eq!(down.code, Some(4), "{down:?}");
}

#[tokio::test]
async fn configuration_mistakes_name_the_key_and_what_would_be_right() {
    let (simulator, project) = project(&ids(1)).await;
    let right = hubspot_toml(&simulator.base_url());
    for (from, to, says) in [
        ("provider_id_field = \"hs_object_id\", ", "", "provider_id_field"),
        ("source_id = \"src_1\", ", "", "source_id"),
        ("source_id = \"src_1\"", "source_id = \"src_2\"", "no [sources.src_2]"),
        ("object = \"contacts\"", "objekt = \"contacts\"", "objekt"),
        ("fields = [\"firstname\"]", "fields = \"firstname\"", "fields"),
        (
            "provider = \"hubspot\"",
            "provider = \"salesforce\"",
            "needs a source with provider `hubspot`",
        ),
        ("\"hubspot_dest\"", "\"hubspot\"", "hubspot_dest"),
        (
            "entity_type = \"person\"",
            "entity_type = \"person\"\nconnection_string = \"postgres://x\"",
            "has no connection_string",
        ),
        ("http://127.0.0.1", "http://crm.example", "plain http"),
        (
            "access_token = { env = \"HUBSPOT_TOKEN\" }",
            "access_token = \"pat-sesame\"",
            "never written here",
        ),
    ] {
        assert!(right.contains(from), "{from}");
        project.write("reverse-sync.toml", &right.replacen(from, to, 1));
        let ended = project.run(&["plan", "people"]).await;
        assert!(
            ended.code == Some(2)
                && ended.stderr.contains(says)
                && !ended.stderr.contains("sesame"),
            "{to}: {ended:?}"
        );
    }
    assert_eq!(simulator.connections(), 0);
    // Before the golden records are looked for.
    fs::remove_file(project.path("golden.csv")).unwrap();
    project.write("reverse-sync.toml", &right.replace("fields =", "feilds ="));
    let ended = project.run(&["plan", "people"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("did you mean `fields`?"), "{ended:?}");
}

#[tokio::test]
async fn golden_records_come_from_globs_packed_files_and_standard_input() {
    let (_simulator, project) = project("").await;
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/a.csv", &ids(2));
    let line = format!("{{\"hs_object_id\":{},\"firstname\":\"J\"}}\n", Provider::HubSpot.id(5));
    project.write("golden/b.jsonl", &line);
    let plan = project.run(&["plan", "people", "--json", "--records", "golden/*"]).await.json();
    assert_eq!((plan["total"].as_u64(), plan["writable"].as_u64()), (Some(3), Some(3)), "{plan}");

    let mut child = project
        .command(&["plan", "people", "--json", "--records", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line.as_bytes()).await.unwrap();
    drop(stdin);
    let plan: serde_json::Value =
        serde_json::from_slice(&child.wait_with_output().await.unwrap().stdout).unwrap();
    assert_eq!(
        plan["sample"][0]["provider_id"].as_str(),
        Some(Provider::HubSpot.id(5).as_str()),
        "{plan}"
    );
}

#[tokio::test]
async fn bad_golden_records_are_an_error_with_file_and_line() {
    let (_simulator, project) = project("hs_object_id,firstname\n1,A\n2\n").await;
    let ended = project.run(&["plan", "people"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("golden.csv, line 3"), "{ended:?}");
    assert!(
        !project.path(".reverse-sync/plans").read_dir().unwrap().any(|entry| entry.is_ok()),
        "half a plan was kept"
    );
}

#[tokio::test]
async fn a_component_from_elsewhere_needs_a_grant_for_its_digest() {
    let (simulator, project) = project(&ids(3)).await;
    let guest = hostile_guest_component::FILE;
    let inspect = project.run(&["plugin", "inspect", guest]).await;
    assert!(
        inspect.code == Some(0)
            && inspect.stdout.contains("UPDATE confirmed records, up to 100 at once"),
        "{inspect:?}"
    );
    let ended = project.run(&["plan", "people", "--plugin", guest]).await;
    assert!(ended.code == Some(3) && ended.stderr.contains("has no grant"), "{ended:?}");

    let digest =
        inspect.stdout.lines().find(|line| line.starts_with("sha256:")).unwrap().to_owned();
    project.write(
        "reverse-sync.toml",
        &format!("{}\n[[grants]]\ncomponent = \"{digest}\"\n", hubspot_toml(&simulator.base_url())),
    );
    let ended = project.run(&["plan", "people", "--plugin", guest]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // A grant of less than everything: the batch update is not in it.
    let only = "capabilities = [\"run PATCH /crm/v3/objects/${object}/${id}\"]\n";
    let mut toml = hubspot_toml(&simulator.base_url())
        .replace("fields = [\"firstname\"]", "attack = \"same_id_twice\"");
    toml.push_str(&format!("\n[[grants]]\ncomponent = \"{digest}\"\n{only}"));
    project.write("reverse-sync.toml", &toml);
    let ended = project.run(&["run", "people", "--confirm", "--plugin", guest]).await;
    assert!(ended.stderr.contains("no granted capability covers POST"), "{ended:?}");
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn text_that_is_not_ours_moves_no_cursor_and_forges_no_line() {
    let evil = "Ada\u{1b}[2J\u{9b}1A\u{202e}\n  0 would be updated";
    let id = Provider::HubSpot.id(0);
    let (simulator, project) = project(&format!("hs_object_id,firstname\n{id},\"{evil}\"\n")).await;
    let seen = |text: &str| {
        assert!(
            !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{text:?}"
        );
        assert!(!text.lines().any(|line| line == "  0 would be updated"), "{text:?}");
    };
    let plan = project.run(&["plan", "people"]).await;
    seen(&plan.stdout);
    assert!(
        plan.stdout.contains("\\u001b[2J") && plan.stdout.contains("  1 would be updated"),
        "{plan:?}"
    );
    let json = project.run(&["plan", "people", "--json"]).await;
    seen(&json.stdout);
    assert_eq!(json.json()["sample"][0]["fields"]["firstname"], evil);
    // The CRM's words, on the terminal, in the log and in a file that a spreadsheet opens.
    project.write(
        "reverse-sync.toml",
        &hubspot_toml(&simulator.base_url()).replace("firstname", "hs_lead_status"),
    );
    project.write(
        "golden.csv",
        &format!("hs_object_id,hs_lead_status\n{id},\"=HYPERLINK(1){evil}\"\n"),
    );
    let run = project
        .run(&["run", "people", "--offline", "--confirm", "-vv", "--rejects", "rejects.csv"])
        .await;
    assert_eq!(run.code, Some(1), "{run:?}");
    seen(&run.stdout);
    seen(&run.stderr);
    assert!(run.stdout.contains("=HYPERLINK(1)Ada\\u001b"), "{run:?}");
    let rejects = fs::read_to_string(project.path("rejects.csv")).unwrap();
    assert!(
        !rejects
            .contains(",=HYPERLINK(1)Ada\u{1b}[2J\u{9b}1A\u{202e}\n  0 would be updated was not"),
        "{rejects}"
    );
}

#[tokio::test]
async fn the_bundled_component_is_the_one_that_was_built() {
    let (_simulator, project) = project(&ids(1)).await;
    let inspect = project.run(&["plugin", "inspect"]).await;
    assert!(inspect.stdout.contains(&component().await.digest().to_string()), "{inspect:?}");
}

#[tokio::test]
async fn the_bundled_component_says_what_it_is_and_what_was_compiled_into_it() {
    let file = component_file();
    // As the tools read it that look for known vulnerabilities.
    let bytes = fs::read(file).unwrap();
    let compressed = auditable_extract::raw_auditable_data(&bytes).unwrap();
    let json = miniz_oxide::inflate::decompress_to_vec_zlib(compressed).unwrap();
    let audit: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let packages = audit["packages"].as_array().unwrap();
    let named = |name: &str| packages.iter().find(|package| package["name"] == name);
    assert_eq!(named("reverse-sync-plugin").unwrap()["root"], true);
    assert_eq!(named("serde_json").unwrap()["source"], "crates.io");
    assert!(named("proc-macro2").is_none(), "nothing of a macro's own is in it: {audit}");

    let project = Project::empty();
    let path = file.to_str().unwrap();
    let bundled = project.run(&["plugin", "inspect"]).await;
    let said = project.run(&["plugin", "inspect", path, "--dependencies"]).await;
    for ended in [&bundled, &said] {
        for line in [
            "  name         reverse-sync-plugin\n",
            concat!("  version      ", env!("CARGO_PKG_VERSION"), "\n"),
            "  authors      The reverse-sync authors\n",
            "  licenses     Apache-2.0\n",
            "  description  The reverse-sync component: golden records",
        ] {
            assert!(ended.stdout.contains(line), "{line} {ended:?}");
        }
    }
    let compiled = packages.len() - 1;
    assert!(bundled.stdout.contains(&format!("  dependencies {compiled} packages (--")));
    for package in packages.iter().filter(|package| package["root"] != true) {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap());
        assert!(said.stdout.contains(&format!("    {name} {version} (")), "{name}: {said:?}");
    }
}

#[tokio::test]
async fn every_run_leaves_a_row_in_the_audit_log() {
    let (simulator, project) = project(&ids(3)).await;
    project.run(&["run", "people", "--confirm"]).await;
    simulator.world().fault(Rule::always(Fault::ExpiredToken));
    project.run(&["plan", "people"]).await;
    project.run(&["run", "people", "--confirm"]).await;
    let log = fs::read_to_string(project.path(".reverse-sync/audit_log.jsonl")).unwrap();
    let actions: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named: Vec<&str> = actions.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(named, ["run.begin", "destination.reverse_run", "destination.reverse_run.failed"]);
    assert_eq!(
        (&actions[0]["plan_id"], &actions[1]["report"]["updated"]),
        (&actions[1]["report"]["plan_id"], &serde_json::json!(3))
    );
}

fn toml(provider: Provider, base_url: &str, config_json: &str) -> String {
    let toml = hubspot_toml(base_url)
        .replace("object = \"contacts\", fields = [\"firstname\"]", config_json);
    match provider {
        Provider::HubSpot => toml,
        Provider::Salesforce => toml
            .replace("\"hubspot\"", "\"salesforce\"")
            .replace("hubspot_dest", "salesforce_dest")
            .replace("hs_object_id", "Id"),
    }
}

/// A project with a row that can be written, and `bad` rows whose date is invalid.
async fn with_bad_dates(provider: Provider, bad: usize) -> (Simulator, Project) {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let project = Project::empty();
    let date = if provider == Provider::HubSpot { "birthday" } else { "Birthdate" };
    project.write(
        "reverse-sync.toml",
        &toml(provider, &simulator.base_url(), &format!("fields = [\"{date}\"]")),
    );
    let mut csv = format!("{},{date}\n{},1980-12-31\n", provider.id_column(), provider.id(0));
    (1..=bad).for_each(|n| csv.push_str(&format!("{},31/12/{}\n", provider.id(n), 1980 + n)));
    project.write("golden.csv", &csv);
    (simulator, project)
}

#[tokio::test]
async fn a_plan_names_the_rows_that_it_refuses_with_their_values_and_what_would_be_accepted() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for mode in ["--online", "--compare"] {
            let (_simulator, project) = with_bad_dates(provider, 12).await;
            let shown = project.run(&["plan", "people", mode]).await;
            let column = if provider == Provider::HubSpot { "birthday" } else { "Birthdate" };
            for n in 1..=10 {
                let line = shown
                    .stdout
                    .lines()
                    .find(|line| line.contains(&format!("row {}:", n + 1)))
                    .unwrap_or_else(|| panic!("{n}: {shown:?}"));
                assert!(
                    line.contains(column)
                        && line.contains(&format!("31/12/{}", 1980 + n))
                        && line.contains("YYYY-MM-DD"),
                    "{line}"
                );
            }
            assert!(
                !shown.stdout.contains("row 12:")
                    && shown.stdout.contains("and more; --rejects FILE"),
                "{shown:?}"
            );

            let json = project.run(&["plan", "people", mode, "--json"]).await.json();
            let rows = json["skipped_rows"].as_array().unwrap();
            assert_eq!((rows.len(), &json["more_skipped_rows"]), (12, &json!(false)), "{json}");
            assert_eq!(
                (&rows[11]["first_row"], &rows[11]["reason"]),
                (&json!(13), &json!("value_not_encodable")),
                "{json}"
            );
            assert!(rows[11]["detail"].as_str().unwrap().contains("31/12/1992"), "{json}");
        }
    }
    // Offline it is the ids.
    let (_simulator, project) =
        project("hs_object_id,firstname\n492564112121,A\n4.92564112121e11,B\n").await;
    let shown = project.run(&["plan", "people"]).await;
    let line = shown
        .stdout
        .lines()
        .find(|line| line.contains("row 2:"))
        .unwrap_or_else(|| panic!("{shown:?}"));
    assert!(line.contains("4.92564112121e11"), "{line}");
}

#[tokio::test]
async fn a_confirmed_run_says_in_its_json_what_its_plan_would_have_said() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for mode in ["--offline", "--online", "--compare"] {
            let (_simulator, project) =
                with_bad_dates(provider, if mode == "--offline" { 0 } else { 2 }).await;
            let plan = project.run(&["plan", "people", mode, "--json"]).await.json();
            let rejects = project.path("rejects.csv");
            let run = project
                .run(&[
                    "run",
                    "people",
                    mode,
                    "--confirm",
                    "--json",
                    "--rejects",
                    rejects.to_str().unwrap(),
                ])
                .await;
            let run = run.json();
            for key in plan.as_object().unwrap().keys().filter(|key| *key != "planned_at") {
                assert_eq!(run["plan"][key], plan[key], "{key} of {provider:?} {mode}");
            }
            for key in ["plan_id", "total", "writable", "skipped", "undoes"] {
                assert_eq!(run[key], plan[key], "{key} of {provider:?} {mode}");
            }
            assert_eq!(
                (&run["dry_run"], &run["updated"], &run["writable"]),
                (&json!(false), &json!(1), &json!(1)),
                "{run}"
            );
            assert_eq!(run["rejects"]["records"], run["skipped"], "{run}");
            for key in [
                "base_url",
                "destination",
                "mode",
                "guards",
                "warnings",
                "fields",
                "dropped_fields",
                "skipped_rows",
                "sample",
            ] {
                assert!(plan.get(key).is_some(), "{key}: {plan}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_said_in_json_where_json_was_asked_for() {
    let (simulator, project) = project(&ids(3)).await;
    let toml = hubspot_toml(&simulator.base_url());
    let refused = async |arguments: &[&str], exit_code: i32, code: &str| -> Value {
        let ended = project.run(arguments).await;
        let json = ended.json();
        assert_eq!(
            (ended.code, &json["ok"], &json["error"]["code"]),
            (Some(exit_code), &json!(false), &json!(code)),
            "{ended:?}"
        );
        assert_eq!(json["exit_code"], exit_code, "{json}");
        let message = json["error"]["message"].as_str().unwrap();
        assert!(
            !message.is_empty() && ended.stderr.contains(message.lines().next().unwrap()),
            "people read the same: {ended:?}"
        );
        json
    };
    refused(&["run", "people", "--json"], 3, "not_confirmed").await;
    let plan = project.run(&["plan", "people", "--json"]).await.json();
    let id = plan["plan_id"].as_str().unwrap();
    let kept = refused(&["run", id, "--json"], 3, "not_confirmed").await;
    assert_eq!(
        (&kept["plan"]["plan_id"], &kept["plan"]["writable"]),
        (&plan["plan_id"], &json!(3)),
        "{kept}"
    );
    refused(&["run", id, "--confirm", "--json", "--override", "nonsense"], 2, "unknown_guard")
        .await;
    refused(&["plan", "nobody", "--json"], 2, "usage").await;
    refused(&["plan", "people", "--json", "--records", "nothing/*.csv"], 2, "usage").await;
    refused(&["undo", "run_000000000000_1", "--json"], 2, "usage").await;
    project.write("golden.csv", &ids(4));
    refused(&["run", id, "--confirm", "--json"], 3, "stale_plan").await;

    project.write(
        "reverse-sync.toml",
        &format!("{toml}\n[destinations.people.guards]\nmax_changes = 2\n"),
    );
    let refusal = refused(&["run", "people", "--confirm", "--json"], 3, "guarded").await;
    let held = &refusal["plan"];
    assert_eq!(
        (&held["guards"][0]["name"], &held["writable"], &held["dry_run"]),
        (&json!("max_changes"), &json!(4), &json!(true)),
        "{held}"
    );
    assert!(
        held["guards"][0]["message"].as_str().is_some_and(|message| !message.is_empty())
            && held["plan_id"].is_string(),
        "{held}"
    );
    project.write("reverse-sync.toml", &toml);
    assert_eq!(simulator.world().writes.len(), 0);

    simulator.world().config.tokens[0].expired = true;
    refused(&["plan", "people", "--online", "--json"], 4, "unavailable").await;
    let stopped = project.run(&["run", "people", "--offline", "--confirm", "--json"]).await;
    let rights = stopped.json()["required_rights"].as_str().map(str::to_owned);
    assert!(
        stopped.code == Some(4)
            && rights.is_some_and(|rights| rights.contains("crm.objects.contacts.write")),
        "{stopped:?}"
    );
    project.write("reverse-sync.toml", "nonsense");
    refused(&["runs", "--json"], 2, "usage").await;
}

#[tokio::test]
async fn a_plan_that_was_applied_names_what_failed_again() {
    let (_simulator, project) = project(&(ids(2) + "999,Nobody\n")).await;
    let plan = project.run(&["plan", "people", "--json"]).await.json();
    let go = ["run", plan["plan_id"].as_str().unwrap(), "--confirm", "--json"];
    let first = project.run(&go).await.json();
    let again = project.run(&go).await.json();
    assert_eq!(
        (&again["ok"], &again["failed"], &again["requests"]),
        (&json!(false), &json!(1), &json!(0)),
        "{again}"
    );
    assert_eq!(again["errors"], first["errors"]);
    assert_eq!(again["errors"][0]["provider_id"], "999", "{again}");
}

#[tokio::test]
async fn a_place_of_the_crm_where_its_api_is_not_is_refused_before_anything_leaves() {
    for (provider, url, right) in [
        (
            Provider::Salesforce,
            "https://login.salesforce.com",
            "https://MYDOMAIN.my.salesforce.com",
        ),
        (
            Provider::Salesforce,
            "https://acme.lightning.force.com",
            "https://acme.my.salesforce.com",
        ),
        (Provider::HubSpot, "https://app.hubspot.com", "https://api.hubapi.com"),
    ] {
        let project = Project::empty();
        project.write("reverse-sync.toml", &toml(provider, url, ""));
        project.write("golden.csv", "hs_object_id,Id,x\n1,2,3\n");
        for mode in ["--offline", "--online", "--compare"] {
            let ended = project.run(&["plan", "people", mode]).await;
            let words = ["sources.src_1", "base_url", url, right];
            assert!(
                ended.code == Some(2) && words.iter().all(|word| ended.stderr.contains(word)),
                "{ended:?}"
            );
        }
    }
}

/// Starts the command with standard output into a pipe that nobody reads.
#[cfg(unix)]
async fn unread(project: &Project, arguments: &[&str]) -> std::process::Output {
    let mut child = project
        .command(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait_with_output().await.unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_leaves_changes_neither_the_run_nor_its_exit_code() {
    let (simulator, project) = project(&ids(100)).await;
    for arguments in [
        &["plan", "people"][..],
        &["plan", "people", "--json"],
        &["plugin", "inspect"],
        &["runs"],
        &["runs", "--json"],
    ] {
        let ended = unread(&project, arguments).await;
        assert!(ended.status.success() && ended.stderr.is_empty(), "{arguments:?} {ended:?}");
    }
    let ended = unread(&project, &["run", "people", "--confirm", "--json"]).await;
    assert!(
        ended.status.success() && !String::from_utf8_lossy(&ended.stderr).contains("pipe"),
        "{ended:?}"
    );
    assert_eq!(simulator.world().writes.len(), 100);
    // Some have failed: the code says so, read or not.
    project.write("golden.csv", &(ids(3).replace("New", "Newer") + "999,Nobody\n"));
    for arguments in
        [&["run", "people", "--confirm"][..], &["run", "people", "--confirm", "--json"]]
    {
        assert_eq!(unread(&project, arguments).await.status.code(), Some(1), "{arguments:?}");
    }
}
