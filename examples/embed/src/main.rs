//! The smallest host: golden records that are in memory already, planned, confirmed and run from a
//! program of one's own.
//!
//! ```text
//! embed COMPONENT BASE_URL STATE_DIR      with the token in HUBSPOT_TOKEN
//! ```

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use reverse_sync::{
    component::{Allowed, Component, Grant},
    destination::{Destination, OnDuplicateId},
    egress::{
        Link,
        base_url::BaseUrl,
        credential::Credential,
        pacing::Pacer,
        transport::{Transport, TransportLimits},
    },
    engine::{Engine, EngineConfig},
    gate::Confirmation,
    guards::Guards,
    journal::Journal,
    passes::{Checks, Passes},
    planner::{self, Asking, Planning, Records},
    records::RecordsError,
    run::StopSignal,
    summary::RunSummary,
};
use std::{path::PathBuf, sync::Arc};

/// Any source of Arrow batches is a source of golden records: this one is a resolver's result, kept
/// in memory.
struct Resolved(std::vec::IntoIter<RecordBatch>);

impl Records for Resolved {
    fn next_batch(&mut self, _max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        Ok(self.0.next())
    }
}

fn resolved() -> Result<Resolved> {
    let column = |values: [Option<&str>; 3]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("hs_object_id", column([Some("492564112121"), Some("492564112124"), None]), true),
        ("firstname", column([Some("Brian"), Some("Maria"), Some("Nobody")]), true),
        ("city", column([Some("Boston"), None, Some("Lyon")]), true),
    ])?;
    Ok(Resolved(vec![batch].into_iter()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what: &'static str| {
        arguments.next().with_context(|| {
            format!("usage: embed COMPONENT BASE_URL STATE_DIR; {what} is missing")
        })
    };
    let component: PathBuf = argument("COMPONENT")?.into();
    let base_url = BaseUrl::parse(&argument("BASE_URL")?, false)?;
    let state: PathBuf = argument("STATE_DIR")?.into();

    // One engine per process; a component is compiled once, and each call gets an instance of its
    // own.
    let engine = Engine::new(EngineConfig {
        cache_dir: Some(state.join("cache")),
        ..EngineConfig::default()
    })?;
    let component = Component::describe(engine.load_file(&component)?).await?;
    let destination = Destination {
        name: "people".to_owned(),
        destination_type: "hubspot_dest".to_owned(),
        entity_type: "person".to_owned(),
        config_json: serde_json::from_str(
            r#"{"provider_id_field": "hs_object_id", "source_id": "src_1", "fields": ["firstname", "city"]}"#,
        )?,
        on_duplicate_id: OnDuplicateId::Skip,
        guards: Guards::default(),
        csv: Default::default(),
    };
    // What the operator allows this component, pinned to its digest.
    let grant = Grant { component: component.digest(), allowed: Allowed::Everything };

    let planning = Planning {
        destination: &destination,
        base_url: &base_url,
        asking: Asking::Nothing,
        grant: &grant,
        records: Box::new(resolved()?),
        // Golden records from files have fingerprints, so that a plan goes stale with them; these
        // have none.
        fingerprints: vec![],
        plans_dir: &state.join("plans"),
    };
    let plan = planner::plan(&component, planning).await?;
    let header = plan.header();
    println!("{}: {} of {} would be updated", header.plan_id, header.writable, header.total);
    plan.for_each_change(|change| {
        println!("  row {}, record {}: {}", change.row, change.provider_id, change.fields)
    })?;

    // The gate. A real host asks somebody here; only a confirmed plan can be run.
    let confirmation = Confirmation::explicit(plan.id().clone());
    let confirmed = plan.confirm(confirmation, &destination, &base_url, &component)?;

    // Only now is a credential needed. Make one pacer and one transport per source, and share them
    // between its runs.
    let credential =
        Credential::bearer(&std::env::var("HUBSPOT_TOKEN").context("HUBSPOT_TOKEN is not set")?)?;
    let pacer =
        Pacer::new(&component.destination_type(&destination.destination_type)?.pacing, None);
    let transport = Transport::new(&base_url, None, TransportLimits::default())?;
    let link = Link { base_url, credential, pacer, transport, observer: None, account: None };
    let runs_dir = state.join("runs");
    let journal = Journal::open(&runs_dir, confirmed.plan().id())?;
    let passes = Passes {
        component: &component,
        grant: &grant,
        confirmed: &confirmed,
        runs_dir: &runs_dir,
        link,
        stop: StopSignal::new(),
    };
    let done = passes.all(Checks::default(), journal, |_| {}).await?;
    let rights = &component.destination_type(&destination.destination_type)?.required_rights;
    println!(
        "{}",
        serde_json::to_string_pretty(&RunSummary::of(&done, confirmed.plan().header(), rights))?
    );
    Ok(())
}
