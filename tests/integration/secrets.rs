//! The token is where it has to be, and nowhere else.

use crate::{
    project::Project,
    support::{Crm, Provider, config},
};
use crm_simulator::{Config, Fault, Rule, Simulator, Token};
use reverse_sync::run::StopReason;
use serde_json::json;
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
    for fault in [None, Some(Fault::ExpiredToken), Some(Fault::Status(500)), Some(Fault::DropAfter)] {
        let simulator = Simulator::start(secret_config(300)).await.unwrap();
        let mut csv = "hs_object_id,firstname\n".to_owned();
        for n in 0..300 {
            csv.push_str(&format!("{},New {n}\n", Provider::HubSpot.id(n)));
        }
        let project = Project::hubspot(&simulator, &csv).await;
        if let Some(fault) = fault.clone() {
            simulator.world().fault(Rule::next(3, fault));
        }
        // Everything that can be logged is logged, dependencies included.
        let arguments = ["run", "people", "--confirm", "--json", "--rejects", "rejects.csv", "-vv"];
        let output = project.command(&arguments).env("HUBSPOT_TOKEN", TOKEN).env("RUST_LOG", "trace").output().await.unwrap();
        assert_eq!(simulator.world().requests[0].header("authorization").unwrap(), format!("Bearer {TOKEN}"));
        assert!(output.stderr.len() > 10_000, "the log is not on");
        for needle in [TOKEN, "open-sesame"] {
            assert!(!contains(&output.stdout, needle), "{fault:?}: standard output");
            assert!(!contains(&output.stderr, needle), "{fault:?}: standard error");
            let mut found = Vec::new();
            files(project.dir.path(), &mut found);
            assert!(found.len() >= 5, "{found:?}");
            for path in &found {
                assert!(!contains(&fs::read(path).unwrap(), needle), "{fault:?}: {}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_does_not_reach_the_guest() {
    let crm = Crm::with(Provider::HubSpot, secret_config(3), json!({})).await;
    let confirmed = crm.confirm(&crm.new_names(3)).await;
    crm.simulator.world().fault(Rule::always(Fault::WrongBody(format!("{{\"message\":\"bad token {TOKEN}\"}}"))));
    let link = crm.bench.link(TOKEN).unwrap();
    let report = crm.bench.run(&confirmed, link, Default::default(), |_| {}).await.unwrap();
    // The guest got no answer at all, so it can neither report nor repeat it.
    let stopped = report.stopped.clone().unwrap();
    assert_eq!(stopped.reason, StopReason::Unavailable, "{stopped:?}");
    assert!(!format!("{report:?}").contains("open-sesame"));
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_an_error_that_does_not_repeat_it() {
    let simulator = Simulator::start(secret_config(3)).await.unwrap();
    let project = Project::hubspot(&simulator, "hs_object_id,firstname\n492564112121,A\n").await;
    for (token, says) in [(None, "is not set"), (Some(""), "is empty"), (Some("open sesame\nopen-sesame"), "characters that no token has")]
    {
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
