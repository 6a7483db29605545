//! The page in a real browser, from creating a destination to undo: `tests/page/drive.mjs` drives it.

use super::world::service;
use crm_simulator::{Config, Simulator};
use reverse_sync_tests::service::Database;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Where `cargo xtask test` has put what drives the browser.
fn tools() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let dir = target.join("tools/page");
    assert!(
        dir.join("node_modules").is_dir(),
        "this test needs {}, which is not there. `cargo xtask tools` installs it, and says what is missing for that (Node.js with npm)",
        dir.join("node_modules").display()
    );
    dir
}

/// The browser, wherever it is.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file());
    found.expect(
        "this test needs Chromium, and there is none in PATH. `cargo xtask tools` installs it as root on Debian; elsewhere install it",
    )
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("page")
}

#[tokio::test]
async fn a_person_creates_a_destination_looks_says_yes_and_undoes() {
    let tools = tools();
    // Beside the packages, where Node.js looks for them.
    for entry in std::fs::read_dir(sources()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "mjs") {
            std::fs::copy(&path, tools.join(path.file_name().unwrap())).unwrap();
        }
    }
    let service = service(Database::Sqlite).await;
    // As many contacts as `tests/page/crm.mjs` says, and its token.
    let simulator = Simulator::start(Config { hubspot_contacts: 1_200, ..Config::default() }).await.unwrap();
    let org = service.org("acme").await.unwrap();
    let output = Command::new("node")
        .arg("drive.mjs")
        .args(["--url", &service.place().address(), "--api-key", org.admin.key().unwrap(), "--simulator", &simulator.base_url(), "--out"])
        .arg(tools.join("screenshots"))
        .current_dir(&tools)
        .env("CHROMIUM", chromium())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
