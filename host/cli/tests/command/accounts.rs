//! Another account's token: the CRM takes it, its record ids exist, and still nothing is written.

use crate::project::{Ended, Project, hubspot_toml};
use crm_simulator::{Config, Simulator, Token};
use reverse_sync_tests::crm::{Provider, TOKEN, config};
use serde_json::json;

/// The token of another account.
const SECOND: &str = "second-token";

const BOTH: [Provider; 2] = [Provider::HubSpot, Provider::Salesforce];

fn two_accounts(contacts: usize) -> Config {
    Config { tokens: vec![Token::new(TOKEN), Token::new(SECOND).of_account(2)], ..config(contacts) }
}

/// The command with another token in the variable.
async fn run_with(project: &Project, token: &str, arguments: &[&str]) -> Ended {
    Ended::from(project.command(arguments).env("HUBSPOT_TOKEN", token).output().await.unwrap())
}

#[tokio::test]
async fn the_command_refuses_the_token_of_another_account_and_goes_on_with_the_right_one() {
    for written_as in ["2222222", "\"2222222\""] {
        let simulator = Simulator::start(two_accounts(3)).await.unwrap();
        let csv = "hs_object_id,firstname\n492564112121,New 0\n492564112124,New 1\n";
        let project = Project::hubspot(&simulator, csv).await;
        let toml = hubspot_toml(&simulator.base_url())
            .replace("access_token", &format!("account = {written_as}\naccess_token"));
        project.write("reverse-sync.toml", &toml);
        let plan = project.run(&["plan", "people", "--offline", "--json"]).await.json();
        assert_eq!((&plan["mode"], &plan["account"]), (&json!("offline"), &json!(null)), "{plan}");
        let go = ["run", plan["plan_id"].as_str().unwrap(), "--confirm", "--json"];

        let refused = run_with(&project, SECOND, &go).await;
        assert_eq!(refused.code, Some(3), "{refused:?}");
        let json = refused.json();
        assert_eq!(
            (&json["stopped"]["reason"], &json["stopped"]["code"]),
            (&json!("refused"), &json!("other_account")),
            "{json}"
        );
        assert_eq!(
            (&json["updated"], &json["pending"], simulator.world().writes.len()),
            (&json!(0), &json!(2), 0),
            "{json}"
        );
        // For people too, and when it is planned online.
        let told = run_with(&project, SECOND, &["run", "people", "--confirm"]).await;
        assert!(
            told.code == Some(3)
                && told.stderr.contains("2222223")
                && told.stderr.contains("2222222"),
            "{told:?}"
        );
        assert_eq!(simulator.world().writes.len(), 0);

        let went_on = project.run(&go).await;
        assert_eq!((went_on.code, &went_on.json()["updated"]), (Some(0), &json!(2)), "{went_on:?}");
        assert_eq!(went_on.json()["run_id"], json["run_id"]);
    }
}

#[tokio::test]
async fn without_any_setting_a_compared_plan_and_its_undo_stay_in_their_account() {
    let simulator = Simulator::start(two_accounts(3)).await.unwrap();
    let project = Project::comparing(
        &simulator,
        "hs_object_id,firstname\n492564112121,New 0\n492564112124,New 1\n",
    )
    .await;
    let plan = project.run(&["plan", "people"]).await;
    assert!(plan.stdout.contains("account 2222222"), "{plan:?}");
    let plan = project.run(&["plan", "people", "--json"]).await.json();
    assert_eq!(plan["account"], "2222222", "{plan}");
    let id = plan["plan_id"].as_str().unwrap();
    let refused = run_with(&project, SECOND, &["run", id, "--confirm"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused.stdout.contains("[other_account]") && refused.stdout.contains("2222223"),
        "{refused:?}"
    );
    assert_eq!(simulator.world().writes.len(), 0);

    let run = project.run(&["run", id, "--confirm", "--json", "--verify=all"]).await;
    assert_eq!((run.code, &run.json()["verified"]["as_written"]), (Some(0), &json!(2)), "{run:?}");
    let run_id = run.json()["run_id"].as_str().unwrap().to_owned();
    simulator.world().clear_log();
    let undo = run_with(&project, SECOND, &["undo", &run_id, "--confirm", "--json"]).await;
    assert!(undo.code == Some(3) && undo.stderr.contains("2222223"), "{undo:?}");
    // An undo that is confirmed with another token than it was made with.
    let plan = project.run(&["undo", &run_id, "--json"]).await.json();
    assert_eq!(plan["account"], "2222222", "{plan}");
    let id = plan["plan_id"].as_str().unwrap();
    assert_eq!(run_with(&project, SECOND, &["run", id, "--confirm"]).await.code, Some(3));
    assert_eq!(simulator.world().writes.len(), 0);
    let undone = project.run(&["run", id, "--confirm", "--json"]).await;
    assert_eq!((undone.code, &undone.json()["updated"]), (Some(0), &json!(2)), "{undone:?}");
}

#[tokio::test]
async fn inspect_shows_what_the_host_asks() {
    let shown = Project::empty().run(&["plugin", "inspect"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for provider in BOTH {
        assert!(shown.stdout.contains(&format!("GET {}", provider.question())), "{}", shown.stdout);
    }
    assert!(
        shown.stdout.contains("/portalId") && shown.stdout.contains("/orgId"),
        "{}",
        shown.stdout
    );
}
