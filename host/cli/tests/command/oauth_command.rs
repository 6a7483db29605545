//! OAuth as an operator sets it up: the project file, the real command, killed and run again.

use crate::project::{Ended, Project};
use crm_simulator::{Config, Fault, Rule, Simulator};
use reverse_sync_tests::{
    crm::{Provider, config},
    oauth::{CLIENT_SECRET, REFRESH_TOKEN},
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

pub(crate) fn toml(simulator: &Simulator, provider: &str, oauth: &str) -> String {
    let (destination_type, id, name) = match provider {
        "hubspot" => ("hubspot_dest", "hs_object_id", "firstname"),
        _ => ("salesforce_dest", "Id", "FirstName"),
    };
    let destination = |destination: &str| {
        format!(
            r#"
[destinations.{destination}]
destination_type = "{destination_type}"
entity_type = "person"
records = "{destination}.csv"
config_json = {{ provider_id_field = "{id}", source_id = "src_1", fields = ["{name}"] }}
"#
        )
    };
    format!(
        "[sources.src_1]\nprovider = \"{provider}\"\nbase_url = \"{}\"\noauth = {{ {oauth} }}\n{}{}",
        simulator.base_url(),
        destination("people"),
        destination("others")
    )
}

pub(crate) fn names(provider: Provider, numbers: std::ops::Range<usize>) -> String {
    let mut csv = format!("{},{}\n", provider.id_column(), provider.first_name());
    for n in numbers {
        csv.push_str(&format!("{},New {n}\n", provider.id(n)));
    }
    csv
}

pub(crate) const IN_FILE: &str = r#"grant = "refresh_token", client_id = "test-client", client_secret = { env = "CLIENT_SECRET" }, refresh_token = { file = "refresh-token" }"#;
pub(crate) const IN_ENV: &str = r#"grant = "refresh_token", client_id = { env = "CLIENT_ID" }, client_secret = { env = "CLIENT_SECRET" }, refresh_token = { env = "REFRESH_TOKEN" }"#;

pub(crate) async fn hubspot(records: usize, config: Config, oauth: &str) -> (Simulator, Project) {
    let simulator = Simulator::start(Config { tokens: vec![], ..config }).await.unwrap();
    let project = Project::empty();
    project.write("reverse-sync.toml", &toml(&simulator, "hubspot", oauth));
    project.write("people.csv", &names(Provider::HubSpot, 0..records / 2));
    project.write("others.csv", &names(Provider::HubSpot, records / 2..records));
    secret_file(&project, "refresh-token", REFRESH_TOKEN);
    (simulator, project)
}

pub(crate) fn secret_file(project: &Project, name: &str, text: &str) {
    project.write(name, text);
    fs::set_permissions(project.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn command(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command
        .env("CLIENT_ID", "test-client")
        .env("CLIENT_SECRET", CLIENT_SECRET)
        .env("REFRESH_TOKEN", REFRESH_TOKEN);
    command
}

async fn ended(mut command: Command) -> Ended {
    Ended::from(command.output().await.unwrap())
}

async fn written(simulator: &Simulator, count: usize) {
    let wait = async {
        while simulator.world().writes.len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the run makes no progress");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Statuses of the answers to token requests.
fn token_answers(simulator: &Simulator) -> Vec<Option<u16>> {
    simulator
        .world()
        .requests
        .iter()
        .filter(|request| request.target.ends_with("/token"))
        .map(|request| request.status)
        .collect()
}

#[tokio::test]
async fn a_rotated_refresh_token_outlives_kill_9() {
    for oauth in [IN_FILE, IN_ENV] {
        let (simulator, project) =
            hubspot(10_000, Config { hubspot_token_ms: 1_000, ..config(10_000) }, oauth).await;
        simulator.world().hubspot.rotate_refresh_token = true;
        simulator.world().fault(Rule::always(Fault::Latency(60)).on("/crm/"));
        let mut child = command(&project, &["run", "people", "--confirm"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        written(&simulator, 1_000).await;
        // SIGKILL.
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        assert!(simulator.world().writes.len() < 5_000, "it was killed too late to prove anything");

        let ended = ended(command(&project, &["run", "people", "--confirm", "--json"])).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["updated"], 5_000);
        assert_eq!(simulator.world().written_twice(), []);
        let answers = token_answers(&simulator);
        assert!(
            answers.len() >= 2 && answers.iter().all(|status| *status == Some(200)),
            "{answers:?}"
        );

        let current = simulator.world().hubspot.refresh_token.clone();
        let kept = project.path(".reverse-sync/credentials/src_1.json");
        if oauth == IN_FILE {
            assert_eq!(
                fs::read_to_string(project.path("refresh-token")).unwrap(),
                format!("{current}\n")
            );
            assert_eq!(mode(&project.path("refresh-token")), 0o600);
            assert!(!kept.exists());
        } else {
            let stored: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
            assert_eq!(stored["refresh_token"], current.as_str());
            assert_eq!((mode(&kept), mode(kept.parent().unwrap())), (0o600, 0o700));
        }
    }
}

#[tokio::test]
async fn a_new_refresh_token_in_the_environment_wins_over_the_one_that_is_kept() {
    let (simulator, project) = hubspot(200, config(200), IN_ENV).await;
    simulator.world().hubspot.rotate_refresh_token = true;
    assert_eq!(ended(command(&project, &["run", "people", "--confirm"])).await.code, Some(0));
    // Somebody authorises the app again: what was kept is void, and the environment has a new one.
    simulator.world().hubspot.refresh_token = "authorised-again".to_owned();
    let old = ended(command(&project, &["run", "others", "--confirm"])).await;
    assert!(
        old.code == Some(4) && old.stderr.contains("the environment variable REFRESH_TOKEN"),
        "{old:?}"
    );
    let mut new = command(&project, &["run", "others", "--confirm"]);
    new.env("REFRESH_TOKEN", "authorised-again");
    assert_eq!(ended(new).await.code, Some(0));
    assert_ne!(simulator.world().hubspot.refresh_token, "authorised-again");
}

#[tokio::test]
async fn two_processes_on_one_refresh_token_do_not_void_each_others() {
    let (simulator, project) =
        hubspot(16_000, Config { hubspot_token_ms: 1_000, ..config(16_000) }, IN_FILE).await;
    simulator.world().hubspot.rotate_refresh_token = true;
    simulator.world().fault(Rule::always(Fault::Latency(150)).on("/crm/"));
    // Long enough for the two to meet at the endpoint.
    simulator.world().fault(Rule::always(Fault::Latency(100)).on("/token"));
    let run = |name| ended(command(&project, &["run", name, "--confirm", "--json"]));
    let (people, others) = tokio::join!(run("people"), run("others"));
    for ended in [people, others] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["updated"], 8_000);
    }
    let answers = token_answers(&simulator);
    assert!(answers.len() >= 4 && answers.iter().all(|status| *status == Some(200)), "{answers:?}");
}

#[tokio::test]
async fn a_revoked_refresh_token_is_exit_code_4_with_what_to_do() {
    let (simulator, project) = hubspot(200, config(200), IN_FILE).await;
    simulator.world().hubspot.refresh_token = "another".to_owned();
    let words = ended(command(&project, &["run", "people", "--confirm"])).await;
    assert_eq!(words.code, Some(4), "{words:?}");
    for says in [
        "invalid_grant",
        "refresh token is invalid, expired or revoked",
        "authorise the app again",
        "refresh-token",
    ] {
        assert!(words.stderr.contains(says), "{says}: {words:?}");
    }
    let offline = ["plan", "people", "--offline", "--json"];
    let plan =
        ended(command(&project, &offline)).await.json()["plan_id"].as_str().unwrap().to_owned();
    let json = ended(command(&project, &["run", &plan, "--confirm", "--json"])).await;
    assert_eq!(
        (json.code, json.json()["stopped"]["reason"].as_str()),
        (Some(4), Some("unauthorized")),
        "{json:?}"
    );
    assert_eq!(
        (json.json()["updated"].as_u64(), json.json()["pending"].as_u64()),
        (Some(0), Some(100))
    );
    assert_eq!(simulator.world().writes.len(), 0);
}

#[tokio::test]
async fn salesforce_by_assertion_and_by_client_credentials() {
    const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/simulator/keys");
    let pem = |name: &str| fs::read_to_string(Path::new(KEYS).join(name)).unwrap();
    let jwt = r#"grant = "jwt_bearer", client_id = "test-client", private_key = { file = "app.key.pem" }, subject = "integration@example.com""#;
    let client = r#"grant = "client_credentials", client_id = "test-client", client_secret = { env = "CLIENT_SECRET" }"#;
    for (oauth, key, says) in [
        (jwt.to_owned(), "app.key.pem", None),
        (client.to_owned(), "app.key.pem", None),
        (jwt.to_owned(), "other.key.pem", Some("private_key belongs to the app's certificate")),
        (
            format!("{jwt}, audience = \"https://example.com\""),
            "app.key.pem",
            Some("audience is invalid"),
        ),
        (
            client.replace("test-client\"", "somebody\""),
            "app.key.pem",
            Some("Check client_id and client_secret"),
        ),
    ] {
        let accepted = Config {
            tokens: vec![],
            salesforce_certificate: Some(pem("app.cert.pem")),
            ..config(300)
        };
        let simulator = Simulator::start(accepted).await.unwrap();
        let project = Project::empty();
        project.write("reverse-sync.toml", &toml(&simulator, "salesforce", &oauth));
        project.write("people.csv", &names(Provider::Salesforce, 0..300));
        secret_file(&project, "app.key.pem", &pem(key));
        let ended = ended(command(&project, &["run", "people", "--confirm"])).await;
        assert_eq!(ended.code, Some(if says.is_some() { 4 } else { 0 }), "{oauth}: {ended:?}");
        let said = if says.is_some() { &ended.stderr } else { &ended.stdout };
        assert!(said.contains(says.unwrap_or("300 updated")), "{oauth}: {ended:?}");
        assert_eq!(simulator.world().token_requests, 1);
    }
}

#[tokio::test]
async fn mistakes_in_the_project_file_are_found_by_the_plan_which_looks_no_secret_up() {
    let (simulator, project) = hubspot(20, config(20), IN_ENV).await;
    let right = toml(&simulator, "hubspot", IN_ENV);
    let mut plan = project.command(&["plan", "people"]);
    plan.env_remove("REFRESH_TOKEN").env_remove("CLIENT_SECRET").env_remove("CLIENT_ID");
    assert_eq!(ended(plan).await.code, Some(0));
    for (from, to, says) in [
        (
            "oauth = {",
            "access_token = { env = \"HUBSPOT_TOKEN\" }\noauth = {",
            "exactly one of them",
        ),
        (
            "grant = \"refresh_token\"",
            "grant = \"client_credentials\"",
            "no use for `refresh_token`",
        ),
        (
            "grant = \"refresh_token\"",
            "grant = \"sesame\"",
            "one of \"refresh_token\", \"client_credentials\", \"jwt_bearer\"",
        ),
        ("client_id = { env = \"CLIENT_ID\" }, ", "", "needs `client_id`"),
        (
            "client_secret = { env = \"CLIENT_SECRET\" }",
            "client_secret = \"sesame\"",
            "never written here",
        ),
        (
            "refresh_token = { env = \"REFRESH_TOKEN\" }",
            "refresh_token = \"sesame\"",
            "never written here",
        ),
    ] {
        assert!(right.contains(from), "{from}");
        project.write("reverse-sync.toml", &right.replacen(from, to, 1));
        let ended = ended(command(&project, &["plan", "people"])).await;
        assert!(
            ended.code == Some(2)
                && ended.stderr.contains(says)
                && !ended.stderr.contains("sesame"),
            "{to}: {ended:?}"
        );
    }
    // What only a run needs, it says.
    for (oauth, says) in [
        (
            IN_ENV.replace("CLIENT_SECRET", "NOT_THERE"),
            "NOT_THERE, which should hold the client secret, is not set",
        ),
        (format!("{IN_ENV}, token_url = \"http://login.example/token\""), "plain http"),
        (IN_FILE.replace("\"refresh-token\"", "\"nothing\""), "cannot read the refresh token"),
    ] {
        project.write("reverse-sync.toml", &toml(&simulator, "hubspot", &oauth));
        let ended = ended(command(&project, &["run", "people", "--confirm"])).await;
        assert!(ended.code == Some(4) && ended.stderr.contains(says), "{oauth}: {ended:?}");
    }
    assert_eq!(simulator.connections(), 0);
}

#[tokio::test]
async fn a_credential_of_another_account_is_refused_by_what_its_token_endpoint_says() {
    let (simulator, project) = hubspot(4, Config { oauth_account: 2, ..config(4) }, IN_FILE).await;
    let toml = fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
    project
        .write("reverse-sync.toml", &toml.replacen("oauth =", "account = \"2222222\"\noauth =", 1));
    for arguments in [
        &["run", "people", "--offline", "--confirm", "--json"][..],
        &["plan", "people", "--online", "--json"],
    ] {
        let ended = ended(command(&project, arguments)).await;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let json = ended.json();
        let code = [&json["stopped"]["code"], &json["error"]["code"]];
        assert!(code.iter().any(|code| *code == "other_account"), "{json}");
        assert!(
            json.to_string().contains("2222223") && json.to_string().contains("2222222"),
            "{json}"
        );
    }
    assert!(
        simulator.world().requests.iter().all(|request| request.target.ends_with("/token")),
        "nothing was asked with that token"
    );
}
