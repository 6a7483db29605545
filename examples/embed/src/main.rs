//! The smallest host: golden records that are in memory already, planned, confirmed, run and undone
//! from a program of one's own.
//!
//! ```text
//! embed PLUGIN BASE_URL STATE_DIR      with the token in HUBSPOT_TOKEN
//! ```

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use reverse_sync::{
    Allowed, Confirmation, Credential, Destination, HowMany, Plan, PlanMode, RunSummary, Target,
    Workspace,
};
use std::sync::Arc;

/// What a resolver has found out. Any iterator of Arrow batches is a source of golden records.
fn resolved() -> Result<RecordBatch> {
    let column = |values: [Option<&str>; 3]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("hs_object_id", column([Some("492564112121"), Some("492564112124"), None]), true),
        ("firstname", column([Some("Brian"), Some("Maria"), Some("Nobody")]), true),
        ("city", column([Some("Boston"), None, Some("Lyon")]), true),
    ])?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("usage: embed PLUGIN BASE_URL STATE_DIR");
    let (plugin, base_url, state) = (argument()?, argument()?, argument()?);

    let workspace =
        Workspace::builder(state).plugin_file(plugin).allow(Allowed::Everything).open().await?;
    let hubspot = workspace
        .source("hubspot")?
        .base_url(base_url)
        .credential_with(|| Ok(Credential::bearer(&std::env::var("HUBSPOT_TOKEN")?)?))
        .build()?;
    let people = Destination::new("people", "hubspot_dest", "person")
        .config("provider_id_field", "hs_object_id")
        .config("source_id", "src_1")
        .config("fields", ["firstname", "city"]);
    let people = workspace.target(people, &hubspot)?;

    let plan = people.plan(PlanMode::Compare, std::iter::once(resolved()?)).await?;
    let run = confirm_and_run(&people, plan).await?;
    let run_id = run.run_id.context("nothing was written")?;
    let undo = people.undo(&run_id).await?;
    confirm_and_run(&people, undo).await?;
    Ok(())
}

async fn confirm_and_run(people: &Target, plan: Plan) -> Result<RunSummary> {
    println!("{}: {} would be updated", plan.id(), plan.header().writable);
    plan.for_each_change(|change| println!("  {}: {}", change.provider_id, change.fields))?;
    // A real host asks somebody here. Only a confirmed plan can be run.
    let confirmation = Confirmation::explicit(plan.id().clone());
    let confirmed = people.confirm(plan, confirmation)?;
    let run = RunSummary::of(&people.run(&confirmed).verify(HowMany::All).await?);
    println!("{}", serde_json::to_string_pretty(&run)?);
    Ok(run)
}
