//! The API's own description, fuzzed by schemathesis against the running service: no 500, nothing
//! that is not described.

use super::world::{Tenant, crm, new_names, service_with};
use reverse_sync_tests::service::Database;
use serde_json::json;
use std::path::PathBuf;
use tokio::process::Command;

/// Where `.ci/install test` has put it.
fn schemathesis() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let program = target.join("tools/api/bin/schemathesis");
    assert!(
        program.is_file(),
        "this test needs {}, which is not there. `.ci/install test` installs it",
        program.display()
    );
    program
}

async fn no_500_and_nothing_that_is_not_described(database: Database) {
    let program = schemathesis();
    // What it makes up may be run as often as it likes.
    let mut service = service_with(database, &["--runs-an-hour", "1000000"]).await;
    let simulator = crm(3).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let run = tenant.run(&destination).await.is(200);

    let report = program.with_file_name(format!("last-run-{database:?}.txt").to_lowercase());
    let reports = tempfile::tempdir().unwrap();
    // Made-up ids name nothing: what is behind them would never be reached. What is deleted is not
    // there for the others.
    let config = format!(
        "[parameters]\n\"path.source_id\" = \"{}\"\n\"path.destination_id\" = \"{destination}\"\n\"path.plan_id\" = {}\n\"path.run_id\" = {}\n\
         \"path.entity_type\" = [\"person\", \"company\"]\n\n\
         [[operations]]\ninclude-method = \"DELETE\"\nparameters = {{ \"path.source_id\" = \"src_0\", \"path.destination_id\" = \"dst_0\" }}\n",
        tenant.source, run["plan_id"], run["run_id"]
    );
    std::fs::write(reports.path().join("schemathesis.toml"), config).unwrap();
    let output = Command::new(&program)
        .arg("run")
        .arg(format!("{}/openapi.json", service.place().address()))
        .args(["--header", &format!("Authorization: Bearer {}", tenant.admin.key().unwrap())])
        .args(["--checks", CHECKS])
        // Bounded, and the same each time.
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "10",
            "--seed",
            "1",
            "--max-time",
            "90",
            "--generation-deterministic",
        ])
        .args(["--request-timeout", "30", "--continue-on-failure", "--workers", "1"])
        // An entry that ended its own session, or revoked its own key, would be told 401 from then
        // on.
        .args(["--exclude-path", "/session"])
        .env("NO_COLOR", "1")
        .current_dir(reports.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // Kept for whoever wants to know what was tried.
    std::fs::write(report, &output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // It did talk to the service, and the service is still there.
    assert!(said.contains("Test cases"), "{said}");
    assert!(service.is_running(), "{}", service.log());
    assert!(!service.log().contains("panicked"), "{}", service.log());
    assert_eq!(tenant.admin.get("/me").await.is(200)["role"], "admin");
}

/// All that says something about this API.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
response_schema_conformance,unsupported_method,missing_required_header,ignored_auth";

reverse_sync_tests::on_both!(
    #[ignore = "needs Python: .ci/install test"]
    no_500_and_nothing_that_is_not_described
);
