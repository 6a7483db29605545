//! The example, as its README runs it, and the parts of it that `docs/embedding.md` quotes.

use crm_simulator::{Config, Simulator};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_host_plans_runs_and_undoes() {
    let three = || Simulator::start(Config { hubspot_contacts: 3, ..Config::default() });
    let (simulator, untouched) = (three().await.unwrap(), three().await.unwrap());
    let before =
        |id: &str| untouched.world().hubspot.value("contacts", id, "firstname").map(str::to_owned);
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .args([reverse_sync_component::FILE, &simulator.base_url()])
        .arg(state.path())
        .env("HUBSPOT_TOKEN", "test-token")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !printed.contains("test-token"), "{output:?}");
    assert_eq!(printed.matches("\"updated\": 2").count(), 2, "{printed}");
    let world = simulator.world();
    let written = |value| world.writes.iter().any(|write| format!("{write:?}").contains(value));
    assert!(written("Brian") && written("Maria"));
    let first_name = |id| world.hubspot.value("contacts", id, "firstname").map(str::to_owned);
    assert_eq!(
        (first_name("492564112121"), first_name("492564112124")),
        (before("492564112121"), before("492564112124"))
    );
}

#[test]
fn the_documentation_quotes_the_program() {
    let (program, page) =
        (include_str!("../src/main.rs"), include_str!("../../../docs/embedding.md"));
    let lines = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).collect();
    assert!(blocks.len() > 2);
    for block in blocks {
        let block = block.split("```").next().unwrap();
        assert!(lines(program).contains(&lines(block)), "not in src/main.rs:\n{block}");
    }
}
