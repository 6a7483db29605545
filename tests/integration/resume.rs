//! Killed, stopped, taken up again.

use crm_simulator::{Fault, Rule};
use reverse_sync::{
    egress::pacing::Pacer,
    run::{StopReason, StopSignal},
};
use reverse_sync_tests::crm::{Crm, TOKEN, impatient};

#[tokio::test]
async fn what_was_in_doubt_is_read_before_it_is_written() {
    let crm = Crm::hubspot(500).await;
    let confirmed = crm.confirm(&crm.new_names(500)).await;
    // Everything is applied, no answer arrives, and then the network is gone: the first attempt
    // knows nothing.
    crm.simulator.world().fault(Rule::next(5, Fault::DropAfter).on("batch/update"));
    crm.simulator.world().fault(Rule::always(Fault::DropBefore).on("/objects/"));
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(
        (report.stopped.unwrap().reason, report.counts.updated, report.pending),
        (StopReason::Unavailable, 0, 500)
    );
    assert_eq!(crm.writes(), 500);

    crm.simulator.world().faults.clear();
    crm.simulator.world().clear_log();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(
        (report.counts.updated, crm.writes()),
        (500, 0),
        "proved by reads alone: {report:?}"
    );
    assert!(
        crm.requests()
            .iter()
            .all(|request| request.starts_with("GET") || request.ends_with("batch/read")),
        "{:?}",
        crm.requests()
    );
}

#[tokio::test]
async fn a_stop_signal_ends_a_run_between_batches() {
    let crm = Crm::hubspot(5_000).await;
    let confirmed = crm.confirm(&crm.new_names(5_000)).await;
    let stop = StopSignal::new();
    stop.stop();
    let pacer =
        Pacer::new(&crm.bench.component.destination_type("hubspot_dest").unwrap().pacing, None);
    let link = crm.bench.link_with(TOKEN, pacer, impatient()).unwrap();
    let report = crm.bench.run(&confirmed, link, stop, |_| {}).await.unwrap();
    assert_eq!((report.stopped.unwrap().reason, report.pending), (StopReason::Cancelled, 5_000));
    assert_eq!(crm.writes(), 0);
}
