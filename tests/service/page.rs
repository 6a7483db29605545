//! The page in a real browser, from creating a destination to undo: `tests/page/drive.mjs` drives it.

use crate::world::{TOKEN, Tenant, crm, new_names, service};
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
    let (service, simulator) = (service(Database::Sqlite).await, crm(53).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.golden("person", &new_names(0..53)).await;
    let output = Command::new("node")
        .arg("drive.mjs")
        .current_dir(&tools)
        .env("REVERSE_SYNC_URL", service.place().address())
        .env("REVERSE_SYNC_API_KEY", tenant.admin.key().unwrap())
        .env("CRM_URL", simulator.base_url())
        .env("CRM_TOKEN", TOKEN)
        .env("SCREENSHOTS", tools.join("screenshots"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
