//! The pages: what they say is typed is typed here, and what they say is printed is compared.

use crate::project::Project;
use crm_simulator::{Config, Simulator};
use reverse_sync_tests::{crm::hostile_guest, masked};
use std::{fs, path::Path};

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The code blocks of a page, with their languages.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// The calls of `reverse-sync` in the shell blocks of a page, each with what it prints: the lines
/// below it in a `console` block, or the block without a language after a `bash` block.
fn calls(page: &str) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    let mut is_ours = false;
    for (language, text) in blocks(page) {
        for line in text.lines() {
            let typed = match language {
                "console" => line.strip_prefix("$ "),
                "bash" => Some(line),
                _ => None,
            };
            match (typed, calls.last_mut()) {
                (Some(typed), _) => {
                    is_ours = typed.starts_with("reverse-sync ");
                    if is_ours {
                        calls.push((typed.to_owned(), String::new()));
                    }
                }
                (None, Some((_, printed))) if is_ours && matches!(language, "" | "console") => {
                    printed.push_str(&format!("{line}\n"));
                }
                (None, _) => {}
            }
        }
    }
    calls
}

/// A copy of the example project beside a simulator like the one that the pages start.
async fn contacts() -> (Simulator, Project) {
    let config = Config { hubspot_contacts: 100, ..Config::default() };
    let simulator = Simulator::start(config).await.unwrap();
    let toml = page("examples/contacts/reverse-sync.toml")
        .replace("http://127.0.0.1:8099", &simulator.base_url());
    let project = Project::empty();
    project.write("reverse-sync.toml", &toml);
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/people.csv", &page("examples/contacts/golden/people.csv"));
    (simulator, project)
}

#[tokio::test]
async fn what_the_quick_start_and_the_example_say_is_what_happens() {
    for path in ["README.md", "examples/contacts/README.md"] {
        let (simulator, project) = contacts().await;
        let calls = calls(&page(path));
        assert!(calls.len() >= 2, "{path}: {calls:?}");
        let mut plan_id = String::new();
        for (typed, printed) in calls {
            let arguments: Vec<&str> = typed.split(' ').skip(1).collect();
            let arguments: Vec<&str> = arguments
                .into_iter()
                .map(|word| if word.starts_with("plan_") { plan_id.as_str() } else { word })
                .collect();
            let ended = project.run(&arguments).await;
            assert_eq!(ended.code, Some(0), "{path}: {typed}: {ended:?}");
            let stdout = ended.stdout.replace(&simulator.base_url(), "http://127.0.0.1:8099");
            assert_eq!(masked(stdout.trim_end()), masked(printed.trim_end()), "{path}: {typed}");
            if let Some(id) = stdout.split_whitespace().find(|word| word.starts_with("plan_")) {
                plan_id = id.trim_end_matches('.').to_owned();
            }
        }
        assert_eq!(simulator.world().writes.len(), 2, "{path}");
    }
}

/// Offline: no credential is looked up, and nothing is connected to.
#[tokio::test]
async fn the_project_files_of_the_pages_are_read() {
    let configuration = page("docs/configuration.md");
    let toml: Vec<&str> = blocks(&configuration)
        .into_iter()
        .filter(|(language, _)| *language == "toml")
        .map(|(_, text)| text)
        .collect();
    let [project_file, oauth, guards, grants] = toml.as_slice() else { panic!("{toml:?}") };
    let readme = page("README.md");
    let of_readme = blocks(&readme).into_iter().find(|(language, _)| *language == "toml").unwrap();
    let grants = grants.replace("sha256:…", &hostile_guest().await.digest().to_string());
    let mut files = vec![of_readme.1.to_owned(), [project_file, *guards, &grants].join("\n")];
    let token = project_file.lines().find(|line| line.starts_with("access_token")).unwrap();
    files.extend(oauth.lines().map(|line| project_file.replace(token, line)));
    assert_eq!(files.len(), 5);
    for file in files {
        let (_simulator, project) = contacts().await;
        project.write("reverse-sync.toml", &file);
        let plan = project.run(&["plan", "people", "--offline"]).await;
        assert!(plan.code == Some(0) && plan.stdout.contains("53 golden records"), "{plan:?}");
    }
}
