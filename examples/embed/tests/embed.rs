//! The example, as its README runs it.

use reverse_sync_tests::{
    component_file,
    crm::{Crm, TOKEN},
};
use tokio::process::Command;

#[tokio::test]
async fn the_smallest_host_plans_and_runs() {
    let crm = Crm::hubspot(3).await;
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .arg(component_file().unwrap())
        .arg(crm.simulator.base_url())
        .arg(crm.bench.state.path())
        .env("HUBSPOT_TOKEN", TOKEN)
        .output();
    let ended = output.await.unwrap();
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    assert!(ended.status.success() && text.contains("\"updated\": 2"), "{ended:?}");
    assert_eq!((crm.first_name(0).as_str(), crm.first_name(1).as_str()), ("Brian", "Maria"));
}
