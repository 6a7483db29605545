//! The example, as its README runs it, and the parts of it that `docs/embedding.md` quotes.

use arrow_array::RecordBatch;
use crm_simulator::{Config, Simulator};
use reverse_sync::{
    Confirmation, Destination, Digest, OpenError, PlanMode, PlanningError, RunError, SourceError,
    Workspace,
};
use std::{iter, process::Command};

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

#[tokio::test]
async fn what_is_not_given_is_said_and_not_guessed() {
    let state = tempfile::tempdir().unwrap();
    let builder = || Workspace::builder(state.path()).plugin_file(reverse_sync_component::FILE);
    let nothing = Workspace::builder(state.path()).open().await;
    assert!(matches!(nothing, Err(OpenError::NoPlugin)));
    let other = builder().pin(Digest::of(b"another plugin")).open().await;
    assert!(matches!(other, Err(OpenError::OtherPlugin { .. })));

    let workspace = builder().open().await.unwrap();
    assert!(matches!(workspace.source("pipedrive"), Err(SourceError::Provider(_))));
    let org = workspace.source("salesforce").unwrap().build();
    assert!(matches!(org, Err(SourceError::NoBaseUrl(_))));
    let hubspot = workspace.source("hubspot").unwrap().build().unwrap();
    let people = Destination::new("people", "hubspot_dest", "person")
        .config("provider_id_field", "hs_object_id")
        .config("source_id", "src_1");
    let people = workspace.target(people, &hubspot).unwrap();
    let refused = people.plan(PlanMode::Compare, iter::empty::<RecordBatch>()).await;
    assert!(matches!(refused, Err(PlanningError::Source(SourceError::NoCredential))));
    // Without a request there is nothing to look up a credential for.
    assert!(people.plan(PlanMode::Offline, iter::empty::<RecordBatch>()).await.is_ok());
}

#[tokio::test]
async fn a_plan_runs_where_it_was_confirmed_and_nowhere_else() {
    let state = tempfile::tempdir().unwrap();
    let builder = Workspace::builder(state.path()).plugin_file(reverse_sync_component::FILE);
    let workspace = builder.open().await.unwrap();
    let hubspot = workspace.source("hubspot").unwrap().build().unwrap();
    let target = |name: &str| {
        let destination = Destination::new(name, "hubspot_dest", "person")
            .config("provider_id_field", "hs_object_id")
            .config("source_id", name);
        workspace.target(destination, &hubspot).unwrap()
    };
    let (one, other) = (target("one"), target("other"));
    let plan = one.plan(PlanMode::Offline, iter::empty::<RecordBatch>()).await.unwrap();
    let confirmation = Confirmation::explicit(plan.id().clone());
    let confirmed = one.confirm(plan, confirmation).unwrap();
    let run = other.run(&confirmed).await;
    assert!(
        matches!(run, Err(RunError::Plan(_))),
        "it is refused before a credential is looked up"
    );
    let run = one.run(&confirmed).await;
    assert!(matches!(run, Err(RunError::Source(SourceError::NoCredential))));
}
