//! What the command says to those who do not know it yet: what is wrong, and what to do.

use crate::{
    command::{ids, project},
    project::{Ended, Project, hubspot_toml},
};
use std::fs;

#[tokio::test]
async fn an_id_column_that_is_not_there_is_named_with_those_that_are() {
    let (_simulator, project) = project("hubspot_id,firstname\n492564112121,Ada\n").await;
    let shown = project.run(&["plan", "people"]).await;
    let words =
        ["no column `hs_object_id`", "`hubspot_id`", "`provider_id_field`", "ingest and resolve"];
    assert!(words.iter().all(|word| shown.stdout.contains(word)), "{shown:?}");
    // Said once to those who read the plan, and once to those who do not.
    assert_eq!(shown.stdout.matches("ingest and resolve").count(), 1, "{shown:?}");
    let json = ["plan", "people", "--json"];
    let run = ["run", "people", "--confirm", "--json"];
    for arguments in [&json[..2], &json, &run[..3], &run] {
        let ended = project.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        match arguments.contains(&"--json") {
            true => assert!(ended.json()["ok"] != true, "{ended:?}"),
            false => {
                assert!(ended.stderr.contains("; did you mean `hubspot_id`?"), "{ended:?}");
            }
        }
    }
}

#[tokio::test]
async fn golden_records_without_a_record_are_an_error_unless_they_are_meant() {
    let (_simulator, project) = project("").await;
    for text in ["hs_object_id,firstname\n", ""] {
        project.write("golden.csv", text);
        for command in [&["plan", "people"][..], &["run", "people", "--confirm"]] {
            let ended = project.run(command).await;
            assert!(ended.code == Some(2) && ended.stderr.contains("golden.csv"), "{ended:?}");
            let meant = project.run(&[command, &["--allow-empty"]].concat()).await;
            assert_eq!(meant.code, Some(0), "{text:?} {meant:?}");
        }
    }
}

#[tokio::test]
async fn a_detailed_exit_code_says_whether_there_are_changes() {
    let (_simulator, project) = project(&ids(2)).await;
    let detailed = ["plan", "people", "--detailed-exitcode"];
    let changes = project.run(&detailed).await;
    assert_eq!((changes.code, changes.stderr.as_str()), (Some(10), ""), "{changes:?}");
    let guarded = std::fs::read_to_string(project.path("reverse-sync.toml")).unwrap()
        + "\n[destinations.people.guards]\nmax_changes = 1\n";
    project.write("reverse-sync.toml", &guarded);
    assert_eq!(project.run(&detailed).await.code, Some(3));
    project.write("golden.csv", "hs_object_id,firstname\n,Ada\n");
    assert_eq!(project.run(&detailed).await.code, Some(0));
}

#[tokio::test]
async fn a_plan_is_checked_with_the_crm_unless_there_is_no_credential_and_then_says_so() {
    let (simulator, project) = project(&ids(1)).await;
    let checked = project.run(&["plan", "people"]).await;
    assert!(checked.stdout.starts_with("Plan for people"), "{checked:?}");
    assert!(checked.stdout.contains("(online: "), "{checked:?}");
    let before = simulator.connections();
    assert!(before > 0);

    let without = async |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Ended::from(command.env_remove("HUBSPOT_TOKEN").output().await.unwrap())
    };
    let plan = without(&["plan", "people"]).await;
    assert!(plan.stdout.starts_with("NOT CHECKED with the CRM"), "{plan:?}");
    assert!(plan.stdout.lines().nth(1).unwrap().contains("HUBSPOT_TOKEN"), "{plan:?}");
    assert!(plan.code == Some(0) && plan.stdout.contains("(offline)"), "{plan:?}");
    let json = without(&["plan", "people", "--json"]).await;
    assert_eq!(json.json()["mode"], "offline", "{json:?}");
    assert!(json.stderr.starts_with("NOT CHECKED"), "{json:?}");
    // Who asks for it knows.
    let offline = without(&["plan", "people", "--offline"]).await;
    assert!(offline.stdout.starts_with("Plan for people") && offline.stderr.is_empty());
    assert!(!offline.stdout.contains("HUBSPOT_TOKEN"), "{offline:?}");
    assert_eq!(simulator.connections(), before);
    // Who asks for the CRM wants nothing less.
    for asked in ["--online", "--compare"] {
        assert_eq!(without(&["plan", "people", asked]).await.code, Some(4));
    }
}

#[tokio::test]
async fn a_project_is_found_from_its_folders_and_by_its_folder() {
    let (_simulator, project) = project(&ids(1)).await;
    fs::create_dir(project.path("below")).unwrap();
    let mut below = project.command(&["plan", "people", "--json"]);
    let below = below.current_dir(project.path("below")).output().await.unwrap();
    assert!(below.status.success(), "{below:?}");
    let named = project.run(&["plan", "people", "--project", "."]).await;
    let typed = named.stdout.lines().last().unwrap().trim();
    assert!(typed.ends_with(" --project ."), "{named:?}");
    let typed: Vec<&str> = typed.split(' ').skip(1).chain(["--confirm"]).collect();
    assert_eq!(project.run(&typed).await.code, Some(0), "{typed:?}");
}

#[tokio::test]
async fn several_files_of_golden_records_are_taken_as_a_shell_lists_them() {
    let (_simulator, project) = project(&ids(1)).await;
    project.write("other.csv", &ids(2));
    for arguments in [
        ["plan", "people", "--json", "--records", "golden.csv", "other.csv"].as_slice(),
        &["plan", "people", "--json", "--records", "golden.csv", "--records", "other.csv"],
    ] {
        assert_eq!(project.run(arguments).await.json()["total"], 3, "{arguments:?}");
    }
    let before = ["plan", "--records", "golden.csv", "people", "--json"];
    assert_eq!(project.run(&before).await.json()["total"], 1);
    for (arguments, says) in [
        (["plan", "people", "--records", "golden.csv", "-"].as_slice(), "`-` alone"),
        (&["plan", "people", "golden.csv"], "--records"),
    ] {
        let ended = project.run(arguments).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{ended:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_nearly_right_is_told_what_was_meant() {
    let (_simulator, project) = project(&ids(1)).await;
    let toml = fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
    for (command, from, to, says) in [
        ("plan", "", "", "did you mean `people`?"),
        ("run", "", "", "did you mean `people`?"),
        ("plan", "\"src_1\"", "\"scr_1\"", "did you mean `src_1`?"),
        ("plan", "hubspot_dest", "hubspot", "did you mean `hubspot_dest`?"),
        ("plan", "hubspot_dest", "hubspot_dst", "did you mean `hubspot_dest`?"),
    ] {
        project.write("reverse-sync.toml", &toml.replace(from, to));
        let name = if from.is_empty() { "poeple" } else { "people" };
        let ended = project.run(&[command, name]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{ended:?}");
    }
}

#[tokio::test]
async fn a_crm_that_does_not_answer_is_told_in_one_sentence() {
    let project = Project::empty();
    project.write("golden.csv", &ids(1));
    // A port that was free a moment ago, and a name that nobody has.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for (url, says) in [
        (format!("http://{free}"), "cannot connect to the CRM: Connection refused"),
        ("https://nowhere.invalid".to_owned(), "cannot resolve the CRM's name"),
    ] {
        project.write("reverse-sync.toml", &hubspot_toml(&url));
        let ended = project.run(&["plan", "people", "--online"]).await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
        for says in [&url, says, "check the source's `base_url`", "--offline"] {
            assert!(ended.stderr.contains(says), "{says}: {ended:?}");
        }
        for odd in ["pending", "WARN", "DnsError", "Error(", "{ "] {
            assert!(!ended.stderr.contains(odd), "{odd}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_or_not_there_is_told_with_where_it_comes_from() {
    let (simulator, project) = project(&ids(1)).await;
    simulator.world().config.tokens[0].expired = true;
    let refused = project.run(&["plan", "people", "--online"]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    for says in
        ["HTTP 401", "HUBSPOT_TOKEN", "Settings > Integrations", "reverse-sync check people"]
    {
        assert!(refused.stderr.contains(says), "{says}: {refused:?}");
    }
    assert_eq!(refused.stderr.matches("crm.objects.contacts.write").count(), 1, "{refused:?}");
    assert!(!refused.stderr.contains("same plan again"), "{refused:?}");
    // A run has something to continue.
    let stopped = project.run(&["run", "people", "--offline", "--confirm"]).await;
    let shown = &stopped.stdout;
    assert_eq!(shown.matches("crm.objects.contacts.write").count(), 1, "{stopped:?}");
    assert!(shown.contains("same plan again") && shown.contains("stay pending"), "{stopped:?}");

    let mut unset = project.command(&["run", "people", "--confirm"]);
    let unset = Ended::from(unset.env_remove("HUBSPOT_TOKEN").output().await.unwrap());
    assert_eq!(unset.code, Some(4), "{unset:?}");
    for says in ["HUBSPOT_TOKEN", "Settings > Integrations", "reverse-sync check people"] {
        assert!(unset.stderr.contains(says), "{says}: {unset:?}");
    }
}
