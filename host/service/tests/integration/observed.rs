//! Every request is told to whoever watches the link: what it was, what became of it, and nothing
//! that it carried.

use crm_simulator::{Config, Fault, Rule};
use reverse_sync::{
    egress::{Exchange, Fate, Link, Observer, Stage, transport::TransportError},
    engine::EngineConfig,
    journal::Ranges,
    planner::Asking,
    run::{Report, StopSignal},
    verify,
};
use reverse_sync_service::observe::{
    self,
    metrics::Metrics,
    request_log::{self, RequestLog},
};
use reverse_sync_tests::crm::{Crm, Provider, TOKEN, config, hostile_guest};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// What was told, in words.
#[derive(Default)]
struct Seen(Mutex<Vec<Told>>);

#[derive(Clone, Debug)]
struct Told {
    what: String,
    duration: Duration,
    waited: Duration,
    bytes: (u64, u64),
    throttled: bool,
    repeated: bool,
}

impl Observer for Seen {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        assert!(exchange.began.as_second() > 1_700_000_000);
        let fate = match exchange.fate {
            Fate::Answered(status) => status.as_u16().to_string(),
            Fate::Unanswered(TransportError::Broken(_)) => "broken".to_owned(),
            Fate::Unanswered(error) => format!("{error:?}"),
            Fate::Abandoned => "abandoned".to_owned(),
            Fate::Refused { stage, reason } => format!("{} {reason}", stage.as_str()),
        };
        self.0.lock().unwrap().push(Told {
            what: format!("{} {} {fate}", exchange.method, exchange.path),
            duration: exchange.duration,
            waited: exchange.waited,
            bytes: (exchange.bytes_out, exchange.bytes_in),
            throttled: exchange.throttled,
            repeated: exchange.repeated,
        });
    }
}

impl Seen {
    fn told(&self) -> Vec<Told> {
        self.0.lock().unwrap().clone()
    }

    fn whats(&self) -> Vec<String> {
        self.told().into_iter().map(|told| told.what).collect()
    }
}

fn watched(crm: &Crm) -> (Arc<Seen>, Link) {
    let seen = Arc::new(Seen::default());
    let link = Link { observer: Some(Arc::clone(&seen) as Arc<dyn Observer>), ..crm.link() };
    (seen, link)
}

async fn run(crm: &Crm, csv: &str) -> (Vec<Told>, Report) {
    let (seen, link) = watched(crm);
    let confirmed = crm.confirm(csv).await;
    let report = crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap();
    (seen.told(), report)
}

/// What the CRM received, in the words of [`Told::what`].
fn received(crm: &Crm) -> Vec<String> {
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    let world = crm.simulator.world();
    world
        .requests
        .iter()
        .map(|each| {
            format!("{} {} {}", each.method, path(&each.target), each.status.unwrap_or_default())
        })
        .collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

async fn hostile(attack: &str) -> Crm {
    Crm::of(
        hostile_guest().await,
        Provider::HubSpot,
        config(10),
        json!({"attack": attack, "outside": "492564112130"}),
    )
    .await
}

const CSV: &str = "hs_object_id,firstname\n492564112121,A\n492564112124,B\n492564112127,C\n";

#[tokio::test]
async fn planning_running_and_verifying_are_told_as_the_crm_saw_them() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, config(450), json!({})).await;
        let (seen, link) = watched(&crm);
        let plan =
            crm.try_plan_asking(Asking::Records(link.clone()), &crm.new_names(450)).await.unwrap();
        let planned = seen.whats().len();
        assert!(planned > 0);
        let confirmed = crm.bench.confirm_overriding(plan, &["max_changed_percent"]).unwrap();
        let report =
            crm.bench.run(&confirmed, link.clone(), StopSignal::new(), |_| {}).await.unwrap();
        assert!(report.ok());
        assert!(seen.whats().len() > planned);
        let ran = seen.whats().len();
        let mut all = Ranges::default();
        all.add(0, 449);
        let verified = verify::check(
            &crm.bench.component,
            &crm.bench.grant,
            confirmed.plan(),
            all,
            link,
            StopSignal::new(),
        )
        .await;
        assert!(verified.unwrap().ok() && seen.whats().len() > ran);

        assert_eq!(sorted(seen.whats()), sorted(received(&crm)));
        for told in seen.told() {
            assert!(told.duration > Duration::ZERO && told.bytes.1 > 0, "{told:?}");
            assert_eq!(told.bytes.0 == 0, told.what.starts_with("GET"), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_throttled_answer_is_told_and_so_is_the_wait_that_follows() {
    let in_a_second = Config { hubspot_limit: 190, hubspot_window_ms: 1_000, ..config(2_000) };
    let crm = Crm::with(Provider::HubSpot, in_a_second, json!({})).await;
    crm.simulator.world().fault(Rule::next(1, Fault::Throttle).on("/batch/update"));
    let (told, report) = run(&crm, &crm.new_names(2_000)).await;
    assert!(report.ok());
    let throttled: Vec<_> = told.iter().filter(|told| told.throttled).collect();
    assert!(throttled.len() == 1 && throttled[0].what.ends_with(" 429"), "{throttled:?}");
    assert_eq!(
        told.iter().filter(|told| told.repeated).count(),
        1,
        "it was sent once more: {told:?}"
    );
    assert!(told.iter().any(|told| told.waited > Duration::from_millis(100)), "{told:?}");
}

#[tokio::test]
async fn an_answer_that_never_came_is_told() {
    let crm = Crm::hubspot(3).await;
    crm.simulator.world().fault(Rule::next(1, Fault::DropAfter).on("/batch/update"));
    let (told, _) = run(&crm, CSV).await;
    assert!(
        told.iter()
            .any(|told| told.what.ends_with(" broken") && told.bytes.0 > 0 && told.bytes.1 == 0),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_request_whose_caller_is_gone_is_told() {
    let mut crm = hostile("many_at_once").await;
    crm.simulator.world().fault(Rule::always(Fault::NeverEnding));
    crm.bench.component = Arc::new(crm.bench.component.with_deadline(Duration::from_millis(700)));
    let (told, report) = run(&crm, CSV).await;
    assert_eq!(told.len() as u64, report.requests);
    assert!(
        !told.is_empty() && told.iter().all(|told| told.what.ends_with(" abandoned")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_refused_request_is_told_with_its_stage() {
    for (attack, what) in [
        (
            "other_id",
            "POST /crm/v3/objects/contacts/batch/update witness record 492564112130 is not among the confirmed changes in hand",
        ),
        (
            "delete",
            "DELETE /crm/v3/objects/contacts/492564112121 witness no granted capability covers DELETE",
        ),
    ] {
        let (told, report) = run(&hostile(attack).await, CSV).await;
        assert_eq!((told.len(), report.requests), (1, 0), "{told:?}");
        assert!(told[0].what.starts_with(what), "{told:?}");
        assert_eq!(told[0].duration, Duration::ZERO);
    }
    let crm = hostile("plan_write").await;
    let (seen, link) = watched(&crm);
    assert!(crm.try_plan_asking(Asking::Records(link), CSV).await.is_err());
    assert!(seen.whats()[0].contains(Stage::Witness.as_str()), "{:?}", seen.whats());
}

#[tokio::test]
async fn a_request_that_an_exhausted_limit_holds_up_is_told() {
    let crm = Crm::hubspot(3).await;
    crm.simulator.world().fault(Rule::always(Fault::DailyLimit));
    let (seen, link) = watched(&crm);
    let confirmed = crm.confirm(CSV).await;
    for _ in 0..2 {
        // The second attempt meets the pacer that the first one has closed.
        let report =
            crm.bench.run(&confirmed, link.clone(), StopSignal::new(), |_| {}).await.unwrap();
        assert!(report.stopped.is_some());
    }
    let whats = seen.whats();
    assert!(
        whats.iter().any(|what| what.contains(" 429"))
            && whats.last().unwrap().contains(Stage::Pacing.as_str()),
        "{whats:?}"
    );
}

#[tokio::test]
async fn nothing_that_a_request_carries_is_told() {
    let crm = Crm::with(Provider::HubSpot, config(3), json!({"write_mode": "record"})).await;
    // Whether it was written is looked up, with the fields in a query string.
    crm.simulator
        .world()
        .fault(Rule { method: Some("PATCH".to_owned()), ..Rule::next(1, Fault::DropAfter) });
    let (told, report) = run(&crm, CSV).await;
    assert!(report.ok());
    let text = format!("{told:?}");
    assert!(
        crm.requests().iter().any(|request| request.contains("?properties=firstname")),
        "{:?}",
        crm.requests()
    );
    assert!(!text.contains(TOKEN) && !text.contains("firstname"), "{text}");
}

#[tokio::test]
async fn the_request_log_and_the_metrics_of_a_run_have_what_the_crm_saw() {
    let crm = Crm::hubspot(450).await;
    crm.simulator.world().fault(Rule::next(1, Fault::DropBefore).on("/batch/update"));
    let confirmed = crm.confirm(&crm.new_names(450)).await;
    let (metrics, dir) = (Metrics::new(), crm.bench.state.path().join("requests"));
    let run_id = "run_0123456789ab_1".parse().unwrap();
    let log = RequestLog::open(&dir, &run_id, Arc::clone(&metrics)).unwrap();
    let observer =
        observe::all(vec![Arc::clone(&log) as Arc<dyn Observer>, Arc::new(metrics.crm("hubspot"))]);
    let link = Link { observer: Some(observer), ..crm.link() };
    let report = crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap();
    log.close().await;
    assert!(report.ok());

    let page = request_log::page(&dir, &run_id, None, 500).unwrap().unwrap();
    let logged = page.items.iter().map(|entry| {
        format!("{} {} {}", entry.method, entry.path, entry.status.unwrap_or_default())
    });
    assert_eq!(sorted(logged.collect()), sorted(received(&crm)));
    let rate = request_log::rate(&dir, &run_id).unwrap().unwrap();
    assert_eq!(rate.seconds.iter().map(|point| point.calls).sum::<u64>(), report.requests);
    let text = metrics.encode().unwrap();
    let answered = report.requests - 1;
    for line in [
        format!(
            "reverse_sync_crm_requests_total{{provider=\"hubspot\",status=\"2xx\"}} {answered}"
        ),
        "reverse_sync_crm_requests_total{provider=\"hubspot\",status=\"none\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn instances_are_counted_while_they_live() {
    // An engine of its own: the instances of other tests are not counted.
    let component =
        reverse_sync_tests::load(reverse_sync_tests::component_file(), EngineConfig::default())
            .await
            .unwrap();
    let metrics = Metrics::new();
    metrics.watch(component.engine());
    let crm = Crm::of(Arc::new(component), Provider::HubSpot, config(3), json!({})).await;
    let confirmed = crm.confirm(CSV).await;
    let count = || {
        metrics
            .encode()
            .unwrap()
            .lines()
            .find(|line| line.starts_with("reverse_sync_instances "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(count(), "reverse_sync_instances 0");
    let seen = Arc::new(Mutex::new(String::new()));
    let counting = Counting(Arc::clone(&metrics), Arc::clone(&seen));
    let link = Link { observer: Some(Arc::new(counting)), ..crm.link() };
    assert!(crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap().ok());
    assert!(
        seen.lock().unwrap().lines().any(|line| line == "reverse_sync_instances 1"),
        "{}",
        seen.lock().unwrap()
    );
    assert_eq!(count(), "reverse_sync_instances 0");
}

/// Reads the metrics when a request is over.
struct Counting(Arc<Metrics>, Arc<Mutex<String>>);

impl Observer for Counting {
    fn exchanged(&self, _: &Exchange<'_>) {
        *self.1.lock().unwrap() = self.0.encode().unwrap();
    }
}
