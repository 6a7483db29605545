//! The token is where it must be, and nowhere else.

use crate::{oauth_command, project::Project};
use crm_simulator::{Config, Fault, Rule, Simulator, Token};
use reverse_sync_tests::{
    crm::{Provider, config},
    oauth::{self, REFRESH_TOKEN},
};
use std::{fs, path::Path};

const TOKEN: &str = "pat-na1-5e5a3e-open-sesame-2718281828";

fn secret_config(contacts: usize) -> Config {
    Config { tokens: vec![Token::new(TOKEN)], ..config(contacts) }
}

/// Every file below a folder.
fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_token_is_in_no_output_log_plan_or_journal() {
    for fault in [None, Some(Fault::ExpiredToken), Some(Fault::Status(500)), Some(Fault::DropAfter)]
    {
        let simulator = Simulator::start(secret_config(300)).await.unwrap();
        let mut csv = "hs_object_id,firstname\n".to_owned();
        for n in 0..300 {
            csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n)));
        }
        let project = Project::hubspot(&simulator, &csv).await;
        project.run(&["plan", "people", "--offline"]).await;
        if let Some(fault) = fault.clone() {
            simulator.world().fault(Rule::next(3, fault));
        }
        // Everything that can be logged is logged, dependencies included.
        let arguments = ["run", "people", "--confirm", "--json", "--rejects", "rejects.csv", "-vv"];
        let output = project
            .command(&arguments)
            .env("HUBSPOT_TOKEN", TOKEN)
            .env("RUST_LOG", "trace")
            .output()
            .await
            .unwrap();
        assert_eq!(
            simulator.world().requests[0].header("authorization").unwrap(),
            format!("Bearer {TOKEN}")
        );
        assert!(contains(&output.stderr, "TRACE"), "the log is not on");
        for needle in [TOKEN, "open-sesame"] {
            assert!(!contains(&output.stdout, needle), "{fault:?}: standard output");
            assert!(!contains(&output.stderr, needle), "{fault:?}: standard error");
            let mut found = Vec::new();
            files(project.dir.path(), &mut found);
            assert!(found.len() >= 5, "{found:?}");
            for path in &found {
                assert!(
                    !contains(&fs::read(path).unwrap(), needle),
                    "{fault:?}: {}",
                    path.display()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_an_error_that_does_not_repeat_it() {
    let simulator = Simulator::start(secret_config(3)).await.unwrap();
    let project = Project::hubspot(&simulator, "hs_object_id,firstname\n492564112121,A\n").await;
    for (token, says) in [
        (None, "is not set"),
        (Some(""), "is empty"),
        (Some("open sesame\nopen-sesame"), "characters that no token has"),
    ] {
        let mut command = project.command(&["run", "people", "--confirm"]);
        match token {
            Some(token) => command.env("HUBSPOT_TOKEN", token),
            None => command.env_remove("HUBSPOT_TOKEN"),
        };
        let output = command.output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains(says) && !stderr.contains("sesame"), "{stderr}");
    }
    assert_eq!(simulator.connections(), 0);
}

/// Runs the command with everything logged, and looks for the secrets everywhere but in these
/// files.
async fn nothing_leaks(simulator: &Simulator, project: &Project, kept: &[&str], case: &str) {
    let arguments = ["run", "people", "--confirm", "--json", "--rejects", "rejects.csv", "-vv"];
    let output = oauth_command::command(project, &arguments)
        .env("RUST_LOG", "trace")
        .output()
        .await
        .unwrap();
    assert!(contains(&output.stderr, "TRACE"), "{case}: the log is not on");
    let mut secrets = oauth::secrets(simulator);
    secrets.extend(["BEGIN PRIVATE KEY".to_owned(), "test-client%3A".to_owned()]);
    let mut found = Vec::new();
    files(project.dir.path(), &mut found);
    for secret in &secrets {
        assert!(!contains(&output.stdout, secret), "{case}: standard output has {secret}");
        assert!(!contains(&output.stderr, secret), "{case}: standard error has {secret}");
        for path in found.iter().filter(|path| !kept.iter().any(|kept| path.ends_with(kept))) {
            assert!(
                !contains(&fs::read(path).unwrap(), secret),
                "{case}: {} has {secret}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn no_secret_of_oauth_is_in_an_output_a_log_or_a_file_but_its_own() {
    let echo = format!(
        "{{\"error\":\"invalid_grant\",\"error_description\":\"{REFRESH_TOKEN} is not known\"}}"
    );
    for (name, fault) in [
        ("no fault", None),
        ("expired", Some(Rule::next(1, Fault::ExpiredToken).on("/crm/"))),
        ("out of order", Some(Rule::next(2, Fault::Html(502)).on("/token"))),
        ("connection cut", Some(Rule::next(1, Fault::Truncate).on("/token"))),
        ("echo", Some(Rule::always(Fault::WrongBody(echo)).on("/token"))),
    ] {
        for oauth in [oauth_command::IN_FILE, oauth_command::IN_ENV] {
            let (simulator, project) = oauth_command::hubspot(600, config(600), oauth).await;
            // What was cut off before it arrived is lost, so it must not be the only one.
            simulator.world().hubspot.rotate_refresh_token = name != "connection cut";
            if name == "echo" {
                simulator.world().hubspot.refresh_token = "another-refresh-token".to_owned();
            }
            if let Some(rule) = fault.clone() {
                simulator.world().fault(rule);
            }
            nothing_leaks(
                &simulator,
                &project,
                &["refresh-token", ".reverse-sync/credentials/src_1.json"],
                name,
            )
            .await;
            assert_eq!(
                simulator.world().writes.len(),
                if name == "echo" { 0 } else { 300 },
                "{name}"
            );
        }
    }
    let pem = |name: &str| {
        fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/simulator/keys").join(name),
        )
        .unwrap()
    };
    let accepted =
        Config { tokens: vec![], salesforce_certificate: Some(pem("app.cert.pem")), ..config(300) };
    let simulator = Simulator::start(accepted).await.unwrap();
    let project = Project::empty();
    let jwt = r#"grant = "jwt_bearer", client_id = "test-client", private_key = { file = "app.key.pem" }, subject = "integration@example.com""#;
    project.write("reverse-sync.toml", &oauth_command::toml(&simulator, "salesforce", jwt));
    project.write("people.csv", &oauth_command::names(Provider::Salesforce, 0..300));
    oauth_command::secret_file(&project, "app.key.pem", &pem("app.key.pem"));
    nothing_leaks(&simulator, &project, &["app.key.pem"], "jwt_bearer").await;
    assert!(
        oauth::secrets(&simulator).iter().any(|secret| secret.matches('.').count() == 2),
        "the assertion was looked for"
    );
    assert_eq!(simulator.world().writes.len(), 300);
}
