//! The simulator judged by its vendors' own clients, as real programs over real HTTP:
//! hubspot-api-client in Python and Node.js, simple-salesforce and jsforce (`tests/clients`). What
//! a client returned is compared with what the simulator has stored, and HubSpot's answers against
//! the types that its clients were generated with from its OpenAPI documents.
#![expect(clippy::unwrap_used, reason = "a test")]

mod hubspot;
mod salesforce;

use crm_simulator::{Config, Simulator};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A client's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

const BOTH: [Language; 2] = [Language::Python, Language::Node];

/// Where `.ci/install test` has put the clients.
fn tools(name: &str, needed: &str) -> PathBuf {
    let target =
        std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("tools").join(name);
    let found = target.join(needed);
    assert!(
        found.exists(),
        "this test needs {}, which is not there. `.ci/install test` installs it",
        found.display()
    );
    target
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("clients")
}

impl Language {
    /// The program that runs the scripts of one CRM.
    fn command(self, crm: &str) -> Command {
        match self {
            Language::Python => {
                let mut command =
                    Command::new(tools("clients-python", "bin/python").join("bin/python"));
                command.arg("-B").arg(scripts().join(format!("{crm}_python.py")));
                command
            }
            Language::Node => {
                let dir = tools("clients-node", "node_modules");
                // Node.js looks for packages beside the script. Written at once, as others may run
                // it at the same time.
                for script in [format!("{crm}_node.mjs"), "typed.mjs".to_owned()] {
                    let made = dir.join(format!("{script}.{:?}", std::thread::current().id()));
                    std::fs::copy(scripts().join(&script), &made).unwrap();
                    std::fs::rename(&made, dir.join(&script)).unwrap();
                }
                let mut command = Command::new("node");
                command.arg(format!("{crm}_node.mjs")).current_dir(dir);
                command
            }
        }
    }
}

/// A simulator and a client that talks to it.
struct Judge {
    simulator: Simulator,
    crm: &'static str,
    language: Language,
}

/// What a client made of the answers, and where they do not fit its types.
struct Verdict {
    value: Value,
    findings: Vec<String>,
}

impl Judge {
    async fn of(crm: &'static str, language: Language, config: Config) -> Judge {
        Judge { simulator: Simulator::start(config).await.unwrap(), crm, language }
    }

    /// One step of a client.
    async fn step(&self, step: &str, arguments: &[&str]) -> Verdict {
        let mut command = self.language.command(self.crm);
        let output = command
            .arg(step)
            .arg(self.simulator.base_url())
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let (printed, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{:?} {step}: {printed}\n{errors}", self.language);
        let mut verdict: Value = serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("{error}: {printed}\n{errors}"));
        let findings = verdict["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding.as_str().unwrap().to_owned());
        Verdict { findings: findings.collect(), value: verdict["value"].take() }
    }

    /// The same, of answers that fit.
    async fn fitting(&self, step: &str, arguments: &[&str]) -> Value {
        let Verdict { value, findings } = self.step(step, arguments).await;
        assert_eq!(findings, Vec::<String>::new(), "{:?} {step}", self.language);
        value
    }
}

/// Members of records, sorted, to be compared as sets.
fn sorted(records: &Value, member: &str) -> Vec<String> {
    let mut all: Vec<String> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record[member].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

/// What a list of objects says of these members.
fn only(objects: &Value, members: &[&str]) -> Value {
    let one = |object: &Value| {
        members
            .iter()
            .map(|member| ((*member).to_owned(), object[*member].clone()))
            .collect::<serde_json::Map<_, _>>()
    };
    json!(objects.as_array().unwrap().iter().map(one).collect::<Vec<_>>())
}
