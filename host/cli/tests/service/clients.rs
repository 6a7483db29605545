//! Clients that are generated from the API's description: one in Python, one in TypeScript. Neither
//! generator warns, both clients are accepted by their type checker, and they work.

use super::{
    page::{TOOLS, node, succeeds},
    world::{Tenant, crm, new_names, service},
};
use reverse_sync_tests::service::Database;
use serde_json::json;
use std::path::Path;
use tokio::process::Command;

#[tokio::test]
#[ignore = "needs Python: .ci/install test"]
async fn a_generated_python_client_compiles_without_a_warning_and_works() {
    let (service, simulator) = (service(Database::Sqlite).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let programs = target.join("tools/api/bin");
    assert!(
        programs.join("openapi-python-client").is_file(),
        "this test needs {}/openapi-python-client, which is not there. `.ci/install test` installs it",
        programs.display()
    );
    let work = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(programs.join(program));
        command.args(arguments).current_dir(work.path()).env("PATH", &path).kill_on_drop(true);
        command
    };
    let address = service.place().address();
    let description = format!("{address}/openapi.json");
    let generate = ["generate", "--fail-on-warning", "--url", &description, "--output-path", "out"];
    succeeds(run("openapi-python-client", &generate)).await;
    let used = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/api/client.py");
    std::fs::copy(used, work.path().join("out/client.py")).unwrap();
    succeeds(run("python", &["-W", "error", "-m", "compileall", "-q", "out"])).await;
    succeeds(run(
        "mypy",
        &["--strict", "--no-error-summary", "out/reverse_sync_client", "out/client.py"],
    ))
    .await;
    let key = tenant.admin.key().unwrap();
    succeeds(run("python", &["-W", "error", "out/client.py", &address, key])).await;
}

#[tokio::test]
#[ignore = "needs Node.js: .ci/install test"]
async fn a_generated_typescript_client_compiles_without_a_warning() {
    let service = service(Database::Sqlite).await;
    let work = tempfile::tempdir_in(&*TOOLS).unwrap();
    let out = work.path().join("api.d.ts");
    let description = format!("{}/openapi.json", service.place().address());
    let generator = "node_modules/openapi-typescript/bin/cli.js";
    let generated =
        node(generator, &[&description, "--output", out.to_str().unwrap()]).output().await.unwrap();
    let said = String::from_utf8_lossy(&generated.stderr).into_owned()
        + &String::from_utf8_lossy(&generated.stdout);
    assert!(generated.status.success() && !said.to_lowercase().contains("warn"), "{said}");
    let used = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/page/client.ts");
    std::fs::copy(used, work.path().join("client.ts")).unwrap();
    let client = work.path().join("client.ts");
    let check = [
        "--strict",
        "--noEmit",
        "--target",
        "es2023",
        "--lib",
        "es2023,dom",
        "--skipLibCheck",
        "false",
    ];
    let mut compile = node("node_modules/typescript/bin/tsc", &check);
    compile.arg(client).arg(out);
    succeeds(compile).await;
}
