//! The example, as its README runs it.

use crm_simulator::{Config, Simulator};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_host_plans_and_runs() {
    let simulator =
        Simulator::start(Config { hubspot_contacts: 3, ..Config::default() }).await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .args([reverse_sync_component::FILE, &simulator.base_url()])
        .arg(state.path())
        .env("HUBSPOT_TOKEN", "test-token")
        .output()
        .unwrap();
    assert!(
        output.status.success()
            && String::from_utf8_lossy(&output.stdout).contains("\"updated\": 2"),
        "{output:?}"
    );
    let world = simulator.world();
    let first_name = |id| world.hubspot.value("contacts", id, "firstname");
    assert_eq!(
        (first_name("492564112121"), first_name("492564112124")),
        (Some("Brian"), Some("Maria"))
    );
}
