//! A program that embeds the library: it prints an offline plan of golden.csv.

use reverse_sync::{Allowed, Destination, PlanMode, PlanSummary, RecordSource, Workspace};
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workspace = Workspace::builder("state")
        .plugin(reverse_sync_component::COMPONENT)
        .allow(Allowed::Everything)
        .open()
        .await?;
    let hubspot = workspace.source("hubspot")?.build()?;
    let people = Destination::new("people", "hubspot_dest", "person")
        .config("provider_id_field", "hs_object_id")
        .config("source_id", "src_1")
        .config("fields", ["firstname"]);
    let people = workspace.target(people, &hubspot)?;
    let records = RecordSource::open("golden.csv", Path::new("."), people.record_options())?;
    let plan = people.plan(PlanMode::Offline, records).await?;
    println!("{}", serde_json::to_string(&PlanSummary::of(&plan, 10)?)?);
    Ok(())
}
