//! Reading back what was written: after a run, and after its first records.

use reverse_sync::{
    journal::{Journal, Ranges},
    run::{self, Part, StopSignal},
    verify,
};
use reverse_sync_tests::{
    Bench,
    crm::{Crm, Provider, config, hostile_guest},
};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn a_sample_is_spread_over_what_was_written() {
    let mut written = Ranges::default();
    written.add(10, 1_009);
    written.add(5_000, 5_000);
    let sample = written.spread(100);
    assert_eq!(sample.count(), 100);
    assert!(sample.contains(10) && sample.contains(5_000));
    assert!(
        (10..1_010)
            .step_by(100)
            .all(|from| (from..from + 100).any(|number| sample.contains(number)))
    );
}

#[tokio::test]
async fn a_part_of_a_plan_leaves_the_rest_pending_and_the_whole_goes_on() {
    let crm = Crm::hubspot(250).await;
    let confirmed = crm.confirm(&crm.new_names(250)).await;
    let part = async |part| {
        let journal = Journal::open(&crm.bench.runs_dir(), confirmed.plan().id()).unwrap();
        let Bench { component, grant, .. } = &crm.bench;
        run::run(component, grant, &confirmed, part, crm.link(), journal, StopSignal::new(), |_| {})
            .await
            .unwrap()
    };
    let first = part(Part::First(7)).await;
    assert_eq!(
        (first.counts.updated, first.pending, first.stopped.clone()),
        (7, 243, None),
        "{first:?}"
    );
    assert_eq!(crm.renamed(250), 7);
    let again = part(Part::First(7)).await;
    assert_eq!(
        (again.run_id.clone(), again.counts.updated, again.requests),
        (first.run_id.clone(), 7, 0),
        "nothing is left of that part"
    );
    let more = part(Part::First(120)).await;
    assert_eq!((more.counts.updated, more.pending), (120, 130));
    let whole = part(Part::Whole).await;
    assert_eq!((whole.run_id.clone(), whole.counts.updated, whole.pending), (first.run_id, 250, 0));
    assert_eq!((crm.renamed(250), crm.simulator.world().written_twice()), (250, vec![]));
    assert_eq!(
        part(Part::Whole).await.run_id.as_str().rsplit('_').next(),
        Some("2"),
        "the run has finished"
    );
}

#[tokio::test]
async fn readings_come_in_the_order_of_the_plan_whatever_the_component_does() {
    // This one reports the last record of each batch first.
    let crm = Crm::of(hostile_guest().await, Provider::HubSpot, config(250), json!({})).await;
    let confirmed = crm.confirm(&crm.new_names(250)).await;
    assert!(crm.run_confirmed(&confirmed).await.ok());
    let mut all = Ranges::default();
    all.add(0, 249);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let rows = Arc::clone(&seen);
    let show = move |reading: verify::Reading<'_>| {
        rows.lock().unwrap().push((reading.row, reading.holding))
    };
    let Bench { component, grant, .. } = &crm.bench;
    verify::verify(component, grant, confirmed.plan(), all, crm.link(), StopSignal::new(), show)
        .await
        .unwrap();
    let expected: Vec<_> = (1..=250).map(|row| (row, verify::Holding::Confirmed)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}
