//! The page in a real browser, from creating a destination to undo: `tests/page/drive.mjs` drives
//! it. And the types that its scripts are checked against.

use super::world::service;
use crm_simulator::{Config, Simulator};
use reverse_sync_tests::service::Database;
use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tokio::process::Command;

/// The folder in which `.ci/install test` has put what drives the browser, with the scripts beside
/// it, where Node.js looks for the packages.
pub(super) static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let dir = target.join("tools/page");
    assert!(
        dir.join("node_modules").is_dir(),
        "this test needs {}, which is not there. `.ci/install test` installs it",
        dir.join("node_modules").display()
    );
    for entry in std::fs::read_dir(repository().join("tests/page")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "mjs") {
            std::fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
        }
    }
    dir
});

/// The browser, wherever it is.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|file| file.is_file());
    found.expect(
        "this test needs Chromium, and there is none in PATH. `.ci/install test` installs it as root on Debian; elsewhere install it",
    )
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// One of the scripts.
pub(super) fn node(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(script).args(arguments).current_dir(&*TOOLS).kill_on_drop(true);
    command
}

/// Runs it, and fails with what it says.
pub(super) async fn succeeds(mut command: Command) {
    let output = command.output().await.unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
#[ignore = "needs Chromium and Node.js: .ci/install test"]
async fn a_person_creates_a_destination_looks_says_yes_and_undoes() {
    let service = service(Database::Sqlite).await;
    // As many contacts as `tests/page/crm.mjs` says, and its token.
    let simulator =
        Simulator::start(Config { hubspot_contacts: 1_200, ..Config::default() }).await.unwrap();
    let org = service.org("acme").await.unwrap();
    let (url, key, crm) =
        (service.place().address(), org.admin.key().unwrap(), simulator.base_url());
    let mut drive = node(
        "drive.mjs",
        &["--url", &url, "--api-key", key, "--simulator", &crm, "--out", "screenshots"],
    );
    drive.env("CHROMIUM", chromium());
    succeeds(drive).await;
}

/// What its scripts are type-checked against is made from the description and kept, so that lint
/// needs no service.
#[tokio::test]
#[ignore = "needs Node.js: .ci/install test"]
async fn the_page_knows_the_api_as_it_is() {
    let service = service(Database::Sqlite).await;
    let made = TOOLS.join("description.d.ts");
    succeeds(node(
        "describe.mjs",
        &["--url", &service.place().address(), "--out", made.to_str().unwrap()],
    ))
    .await;
    let kept = repository().join("host/service/src/page/types/description.d.ts");
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    assert!(
        read(&made) == read(&kept),
        "the API is described in another way now. Copy {} to {}, and see what `cargo xtask lint` says of the page",
        made.display(),
        kept.display()
    );
}
