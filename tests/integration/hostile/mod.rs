//! A component that breaks the rules, and the host that holds. Every attack ends as [`expected`]
//! beside a victim ([`table`]); what takes more than that to see is here.

mod beside;
mod expected;
mod table;
mod threat_model;

use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync::{
    component::Allowed,
    engine::{Allocation, EngineConfig},
    journal::{Ending, Ranges},
    planner::{self, Asking},
    records::{RecordOptions, RecordSource},
    run::{Report, StopReason, StopSignal},
    verify::{self, Holding, Reading, VerifyError},
};
use reverse_sync_tests::{
    Bench,
    crm::{Crm, Provider, TOKEN, config, hostile_guest, problems},
    load,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

const CSV: &str = "hs_object_id,firstname\n492564112121,A\n492564112124,B\n492564112127,C\n";

async fn crm(attack: &str, more: Value) -> Crm {
    let mut config_json = more;
    config_json["attack"] = json!(attack);
    Crm::of(hostile_guest().await, Provider::HubSpot, config(10), config_json).await
}

/// Runs an attack; what the host logged.
async fn attack(crm: &Crm) -> (Report, String) {
    attack_with(crm, CSV).await
}

async fn attack_with(crm: &Crm, csv: &str) -> (Report, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let report = {
        // Requests are sent from tasks of the same thread, so that the log of this test is this
        // test's.
        let _default = tracing::subscriber::set_default(subscriber);
        crm.run(csv).await
    };
    (report, log.text())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_account_that_is_more_than_a_fixed_path_is_not_asked_for() {
    let simulator = Simulator::start(config(3)).await.unwrap();
    let config_json = json!({"provider_id_field": "hs_object_id", "source_id": "src_1"});
    let bench =
        Bench::new(hostile_guest().await, &simulator.base_url(), "asking_dest", config_json)
            .unwrap();
    let records = RecordSource::of(vec![], RecordOptions::default()).unwrap();
    let asking = Asking::Metadata(bench.link(TOKEN).unwrap());
    let error = bench.plan_asking(asking, records).await.unwrap_err().to_string();
    // Nor can a destination be set up with it.
    let checked =
        planner::check_config(&bench.component, &bench.destination, &bench.grant, &bench.base_url)
            .await
            .unwrap_err();
    for error in [error, checked.to_string()] {
        assert!(error.contains("no host grants") && error.contains("without a query"), "{error}");
    }
    assert_eq!(simulator.connections(), 0);
}

/// A Salesforce destination of the guest that attacks by jobs.
async fn with_jobs(attack: &str, more: Value) -> Crm {
    let mut config_json = more;
    config_json["attack"] = json!(attack);
    Crm::of(hostile_guest().await, Provider::Salesforce, config(10), config_json).await
}

fn contacts() -> String {
    (0..3).fold("Id\n".to_owned(), |csv, n| format!("{csv}{}\n", Provider::Salesforce.id(n)))
}

#[tokio::test]
async fn an_upload_counts_once_an_answer_about_its_job_names_the_record() {
    let crm = with_jobs("", json!({})).await;
    let report = crm.run(&contacts()).await;
    assert_eq!((report.counts.updated, report.counts.unknown, &report.stopped), (3, 0, &None));
}

#[tokio::test]
async fn waiting_is_no_spinning() {
    let report = crm("", json!({"waits": true})).await.run(CSV).await;
    assert_eq!((report.counts.failed, report.stopped), (3, None), "it only waited");
}

#[tokio::test]
async fn jobs_have_to_be_granted_by_name() {
    let mut crm = with_jobs("", json!({})).await;
    crm.bench.grant.allowed = Allowed::ReadsAndUpdates;
    let (report, log) = attack_with(&crm, &contacts()).await;
    assert!(report.refused == 1 && log.contains("no granted capability covers POST"), "{log}");
    assert_eq!(crm.requests(), Vec::<String>::new());
    // A job alone is nothing that anybody grants.
    crm.bench.grant.allowed =
        Allowed::Only(vec!["run POST /services/data/v67.0/jobs/ingest".to_owned()]);
    let error = crm.try_plan(&contacts()).await.unwrap_err().to_string();
    assert!(error.contains("a job without an upload"), "{error}");
}

#[tokio::test]
async fn nothing_leaves_while_planning() {
    let elsewhere = Simulator::start(config(0)).await.unwrap();
    for name in ["plan_write", "plan_read", "plan_other_host"] {
        let crm = crm(name, json!({"url": elsewhere.base_url()})).await;
        let error = crm.try_plan(CSV).await.unwrap_err().to_string();
        assert!(error.contains("HttpRequestDenied"), "{name}: {error}");
        assert_eq!((crm.simulator.connections(), elsewhere.connections()), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn no_write_leaves_while_planning_online() {
    let elsewhere = Simulator::start(config(0)).await.unwrap();
    for name in ["plan_write", "plan_other_host"] {
        let crm = crm(name, json!({"url": elsewhere.base_url()})).await;
        let error =
            crm.try_plan_asking(Asking::Records(crm.link()), CSV).await.unwrap_err().to_string();
        assert!(error.contains("HttpRequestDenied"), "{name}: {error}");
        assert_eq!((crm.requests(), elsewhere.connections()), (vec![], 0), "{name}");
    }
}

#[tokio::test]
async fn a_read_by_post_has_to_be_granted_by_its_name() {
    let mut crm = crm("", json!({"compare": true})).await;
    for (allowed, requests) in [
        (Allowed::ReadsAndUpdates, 0),
        (Allowed::Only(vec!["plan POST /crm/v3/objects/${object}/batch/read".to_owned()]), 1),
        (Allowed::Everything, 2),
    ] {
        crm.bench.grant.allowed = allowed;
        let planned = crm.try_plan_asking(Asking::Records(crm.link()), CSV).await;
        assert_eq!((planned.is_ok(), crm.requests().len()), (requests > 0, requests));
    }
}

/// What a guest that verifies is told, and what it told.
async fn verify(crm: &Crm) -> (Result<(), VerifyError>, Vec<Holding>) {
    let plan = crm.plan(CSV).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let holdings = Arc::clone(&seen);
    let show = move |reading: Reading<'_>| holdings.lock().unwrap().push(reading.holding);
    let mut all = Ranges::default();
    all.add(0, 2);
    let component = &crm.bench.component;
    let verified = verify::verify(
        component,
        &crm.bench.grant,
        &plan,
        all,
        crm.link(),
        StopSignal::new(),
        show,
    )
    .await;
    let seen = seen.lock().unwrap().clone();
    (verified, seen)
}

#[tokio::test]
async fn no_write_leaves_while_verifying() {
    let crm = crm("verify_write", json!({})).await;
    let error = verify(&crm).await.0.unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains("HttpRequestDenied"), "{error}");
    assert_eq!(crm.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn lies_about_what_the_crm_holds_are_worth_nothing() {
    assert!(matches!(
        verify(&crm("verify_nothing", json!({})).await).await.0,
        Err(VerifyError::Unread(3))
    ));
    let error = verify(&crm("verify_other_row", json!({})).await).await.0.unwrap_err().to_string();
    assert!(error.contains("not in hand"), "{error}");
    let (verified, holdings) = verify(&crm("verify_lie", json!({})).await).await;
    assert!(verified.is_ok());
    assert_eq!(holdings, [Holding::Unreadable; 3], "nothing was read");
}

#[tokio::test]
async fn what_was_written_is_not_written_again_and_has_not_failed() {
    let crm_of = async |name: &str| crm(name, json!({})).await;
    let crm = crm_of("written_again").await;
    let (report, log) = attack(&crm).await;
    let said = report.stopped.unwrap().message;
    assert!(
        said.starts_with("Ok(\"200\") then refused") && log.contains("was written already"),
        "{said}: {log}"
    );
    assert_eq!(crm.simulator.world().writes.len(), 1);
    let crm = crm_of("written_and_failed").await;
    let report = crm.run(CSV).await;
    assert_eq!((report.counts.failed, report.counts.unknown), (2, 1));
    assert!(
        problems(&report)
            .iter()
            .any(|(ending, problem)| *ending == Ending::Unknown && problem.code == "acknowledged")
    );
    // An answer about several may be about others of them.
    let crm = crm_of("written_often").await;
    let (report, log) = attack(&crm).await;
    assert_eq!(
        (report.stopped.unwrap().message.as_str(), crm.simulator.world().writes.len()),
        ("8 answers", 8),
        "{log}"
    );
}

/// What a host gives one instance, by default.
const BUDGET: usize = 32;

#[tokio::test]
async fn a_guest_that_opens_many_requests_at_once_has_a_few_of_them_under_way() {
    const LATENCY: u64 = 50;
    let crm = crm("many_at_once", json!({})).await;
    crm.simulator.world().fault(Rule::always(Fault::Latency(LATENCY)));
    let report = crm.run(CSV).await;
    assert_eq!(report.stopped.unwrap().message, "100 answers", "those beyond wait; none is lost");
    let world = crm.simulator.world();
    // Each is running for so long at least from when it came in: all that come within that time are
    // running together.
    let came: Vec<u64> = world.requests.iter().map(|request| request.at_ms).collect();
    let together = came
        .iter()
        .map(|first| came.iter().filter(|at| (*first..*first + LATENCY - 1).contains(at)).count());
    let most = together.max().unwrap();
    assert!((2..=BUDGET).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_guest_that_hoards_answers_or_handles_hoards_no_memory_of_the_host() {
    let mut crm = crm("hoard_answers", json!({})).await;
    crm.bench.component = Arc::new(crm.bench.component.with_deadline(Duration::from_secs(1)));
    let report = crm.run(CSV).await;
    assert!(report.stopped.unwrap().message.contains("its deadline"), "it waits for itself");
    assert_eq!((report.requests, crm.requests().len()), (BUDGET as u64, BUDGET));

    let crm = self::crm("hoard_requests", json!({})).await;
    let report = crm.run(CSV).await;
    assert_eq!((report.stopped.unwrap().reason, report.requests), (StopReason::Component, 0));
}

#[tokio::test]
async fn a_plan_has_so_many_reasons_and_no_more() {
    let crm = crm("plan_reasons", json!({})).await;
    assert_eq!(crm.try_plan(CSV).await.unwrap().header().skipped_by_reason.len(), 3);
    let error = crm.try_plan(&crm.new_names(101)).await.unwrap_err().to_string();
    assert!(error.contains("do not fit together"), "{error}");
}

#[tokio::test]
async fn bodies_that_are_never_sent_take_little_of_the_hosts_memory() {
    let report = crm("hoard_bodies", json!({})).await.run(CSV).await;
    let said = report.stopped.unwrap().message;
    assert!(said.ends_with("in 20 bodies"), "{said}");
    let taken: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!((20..=20 * (128 << 10)).contains(&taken), "{said}");
}

#[tokio::test]
async fn refusals_are_counted_and_only_the_first_ones_are_logged() {
    let crm = crm("refused_often", json!({})).await;
    let (report, log) = attack(&crm).await;
    assert_eq!((report.stopped.unwrap().message.as_str(), report.refused), ("30 refused", 30));
    assert_eq!(log.matches("egress refused a request").count(), 20);
    assert!(log.contains("they are counted") && log.len() < 40_000, "{} bytes", log.len());
    assert_eq!(crm.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_has_as_many_instances_as_it_may_wherever_they_live() {
    for allocation in [Allocation::Pooled, Allocation::OnDemand] {
        let engine = EngineConfig { allocation, max_instances: 1, ..EngineConfig::default() };
        let component =
            Arc::new(load(Path::new(hostile_guest_component::FILE), engine).await.unwrap());
        let mut crm = Crm::of(
            Arc::clone(&component),
            Provider::HubSpot,
            config(10),
            json!({"attack": "sleep"}),
        )
        .await;
        crm.bench.component = Arc::new(component.with_deadline(Duration::from_secs(1)));
        let confirmed = crm.confirm(CSV).await;
        let another = async {
            while component.engine().instances() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            component.instantiate().await
        };
        let (report, another) = tokio::join!(crm.run_confirmed(&confirmed), another);
        assert!(report.stopped.unwrap().message.contains("its deadline"));
        assert!(another.is_err(), "{allocation:?}");
        component.instantiate().await.unwrap();
    }
}

#[tokio::test]
async fn a_report_says_how_much_memory_the_component_had() {
    let report = crm("claim_updated", json!({})).await.run(CSV).await;
    let modest = report.peak_memory;
    assert!((64 << 10..4 << 20).contains(&modest), "{modest}");
    let report = crm("eat_memory", json!({})).await.run(CSV).await;
    assert!(
        (6 << 20..=8 << 20).contains(&report.peak_memory),
        "up to its limit: {}",
        report.peak_memory
    );
}

#[tokio::test]
async fn the_token_is_nowhere_in_the_guests_memory() {
    let needle: String = TOKEN.chars().rev().collect();
    let crm = crm("scan_memory", json!({"reversed_needle": needle})).await;
    let report = crm.run(CSV).await;
    // The write went out with the token; the guest that sent it searched all of its memory. It
    // finds its own control.
    assert_eq!(report.stopped.unwrap().message, "200 found=false control=true 14");
    assert_eq!(
        crm.simulator.world().requests[0].header("authorization"),
        Some("Bearer test-token")
    );
}
