//! Metrics, in the format that Prometheus reads.
//!
//! No label is made of anything that a client or a tenant can choose: routes are templates, methods
//! and statuses are from fixed sets, and there are no ids. So the number of series is bounded by
//! the code, not by its use.

use super::labels::{
    ApiLabels, CrmLabels, ModeLabel, OutcomeLabel, PlanLabels, ProviderLabel, RouteLabels,
    StageLabels, StatusLabel,
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};
use reverse_sync::{
    egress::{Exchange, Fate, Observer},
    engine::Engine,
    journal::Counts,
    plan::PlanMode,
};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Weak, atomic::AtomicU64},
    time::{Duration, Instant},
};

/// What [`Metrics::encode`] gives.
const PLAIN: &str = "text/plain; charset=utf-8";
/// What Prometheus asks for.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The label of a request that no route matches.
pub(crate) const UNMATCHED: &str = "unmatched";

/// From half a millisecond, which a page of changes takes, to the half minute that a run is waited
/// for.
const API_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// From a local CRM to the time after which HubSpot's edge gives up.
const CRM_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 100.0];
/// From some records offline to ten million of them, or a few thousand compared.
const PLAN_SECONDS: [f64; 10] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0];

type Seconds = Counter<f64, AtomicU64>;
type Timed<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of a process. Cheap to count in, from any thread.
pub struct Metrics {
    registry: Registry,
    engines: Arc<Instances>,
    api: Api,
    crm: Crm,
    records: Family<OutcomeLabel, Counter>,
    runs: Family<StatusLabel, Counter>,
    runs_queued: Gauge,
    runs_running: Gauge,
    audit_rows: Gauge,
    plans: Family<PlanLabels, Counter>,
    plan_seconds: Timed<ModeLabel>,
    request_log_dropped: Counter,
}

struct Api {
    requests: Family<ApiLabels, Counter>,
    seconds: Timed<RouteLabels>,
    in_flight: Gauge,
}

#[derive(Clone)]
struct Crm {
    requests: Family<CrmLabels, Counter>,
    seconds: Timed<ProviderLabel>,
    throttled: Family<ProviderLabel, Counter>,
    repeated: Family<ProviderLabel, Counter>,
    refused: Family<StageLabels, Counter>,
    waited: Family<ProviderLabel, Seconds>,
    sent: Family<ProviderLabel, Counter>,
    received: Family<ProviderLabel, Counter>,
}

/// How a run ended, or why it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Every change is in the CRM.
    Succeeded,
    /// Every change has an outcome, and not all are good.
    Failed,
    /// It was stopped before that.
    Stopped,
    /// It could not be run, or its process ended.
    Interrupted,
    /// A limit of its CRM is used up.
    Waiting,
}

impl RunEnd {
    fn as_str(self) -> &'static str {
        match self {
            RunEnd::Succeeded => "succeeded",
            RunEnd::Failed => "failed",
            RunEnd::Stopped => "stopped",
            RunEnd::Interrupted => "interrupted",
            RunEnd::Waiting => "waiting",
        }
    }
}

/// Counts in a gauge as long as it lives.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn timed<L: Clone + std::hash::Hash + Eq>(buckets: fn() -> Histogram) -> Timed<L> {
    Family::new_with_constructor(buckets)
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("reverse_sync");
        let engines = Arc::new(Instances::default());
        registry.register_collector(Box::new(Arc::clone(&engines)));
        let mut add = Adder(&mut registry);
        let api = Api {
            requests: add.metric(
                "http_requests",
                "Requests of the API, by the template of their route",
                Family::default(),
            ),
            seconds: add.seconds(
                "http_request_duration",
                "Time until an answer of the API began",
                timed::<RouteLabels>(|| Histogram::new(API_SECONDS)),
            ),
            in_flight: add.metric(
                "http_requests_in_flight",
                "Requests of the API that have no answer yet",
                Gauge::default(),
            ),
        };
        let crm = Crm {
            requests: add.metric(
                "crm_requests",
                "Requests that left for a CRM, by the class of the answer's status",
                Family::default(),
            ),
            seconds: add.seconds(
                "crm_request_duration",
                "Time until a CRM's answer was complete",
                timed::<ProviderLabel>(|| Histogram::new(CRM_SECONDS)),
            ),
            throttled: add.metric(
                "crm_throttled",
                "Answers of a CRM that said \"slow down\"",
                Family::default(),
            ),
            repeated: add.metric(
                "crm_repeated",
                "Writes of changes that may have been sent before",
                Family::default(),
            ),
            refused: add.metric(
                "crm_refused_requests",
                "Requests of a plugin that did not leave, by what held them up",
                Family::default(),
            ),
            waited: add.seconds(
                "crm_pacing_waited",
                "Time that requests waited for their turn, summed",
                Family::default(),
            ),
            sent: add.bytes("crm_sent", "Bytes of request bodies", Family::default()),
            received: add.bytes("crm_received", "Bytes of the answers' bodies", Family::default()),
        };
        let records = add.metric("records", "Changes of runs, by their outcome", Family::default());
        let runs = add.metric("runs", "Runs that ended, by how", Family::default());
        let runs_queued =
            add.metric("runs_queued", "Runs that wait for their turn", Gauge::default());
        let runs_running = add.metric("runs_running", "Runs in progress", Gauge::default());
        let audit_rows = add.metric(
            "audit_rows",
            "Rows of the audit log, as far as the state folder knows of them",
            Gauge::default(),
        );
        let plans = add.metric(
            "plans",
            "Dry runs, by how they looked at the CRM and what they came to",
            Family::default(),
        );
        let plan_seconds = add.seconds(
            "plan_duration",
            "Time that dry runs took",
            timed::<ModeLabel>(|| Histogram::new(PLAN_SECONDS)),
        );
        let request_log_dropped = add.metric(
            "request_log_dropped",
            "Lines that request logs lack because the disk was too slow",
            Counter::default(),
        );
        Arc::new(Metrics {
            registry,
            engines,
            api,
            crm,
            records,
            runs,
            runs_queued,
            runs_running,
            audit_rows,
            plans,
            plan_seconds,
            request_log_dropped,
        })
    }

    /// From now on, the instances of this engine are counted too.
    pub fn watch(&self, engine: &Arc<Engine>) {
        self.engines.0.lock().push(Arc::downgrade(engine));
    }

    /// An observer for links to CRMs of this provider, a name from the component's descriptor.
    pub fn crm(&self, provider: &str) -> CrmMetrics {
        CrmMetrics { provider: Arc::from(provider), crm: self.crm.clone() }
    }

    /// Changes that got their outcome since `before`. The counts are a run's own, over all its
    /// attempts.
    pub fn outcomes(&self, before: &Counts, now: &Counts) {
        let by = [
            ("updated", before.updated, now.updated),
            ("unchanged", before.unchanged, now.unchanged),
            ("failed", before.failed, now.failed),
            ("drifted", before.drifted, now.drifted),
            ("unknown", before.unknown, now.unknown),
        ];
        for (outcome, before, now) in by {
            self.records
                .get_or_create(&OutcomeLabel { outcome })
                .inc_by(now.saturating_sub(before));
        }
    }

    /// A run waits for its turn until this is dropped.
    pub fn run_queued(&self) -> Counted {
        Counted::new(&self.runs_queued)
    }

    /// A run is running until this is dropped.
    pub fn run_running(&self) -> Counted {
        Counted::new(&self.runs_running)
    }

    /// The audit log has so many rows.
    pub fn audit_rows(&self, rows: i64) {
        self.audit_rows.set(rows);
    }

    /// A run, or an attempt of one, is over.
    pub fn run_ended(&self, end: RunEnd) {
        self.runs.get_or_create(&StatusLabel { status: end.as_str() }).inc();
    }

    /// A dry run is over; `made` says whether there is a plan.
    pub fn planned(&self, mode: PlanMode, made: bool, took: Duration) {
        let mode = match mode {
            PlanMode::Offline => "offline",
            PlanMode::Online => "online",
            PlanMode::Compare => "compare",
        };
        let result = if made { "made" } else { "refused" };
        self.plans.get_or_create(&PlanLabels { mode, result }).inc();
        self.plan_seconds.get_or_create(&ModeLabel { mode }).observe(took.as_secs_f64());
    }

    /// Lines of a request log were dropped.
    pub fn request_log_dropped(&self, lines: u64) {
        self.request_log_dropped.inc_by(lines);
    }

    /// Everything, as text of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None that is known of: it is written to memory.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The answer of `GET /metrics`.
    ///
    /// # Errors
    /// As [`Metrics::encode`].
    pub fn answer(&self, plain: bool) -> Result<Response, fmt::Error> {
        let kind = if plain { PLAIN } else { CONTENT_TYPE };
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], self.encode()?)
            .into_response())
    }
}

/// Registers metrics and hands them back. The encoder ends their help texts with a full stop.
struct Adder<'a>(&'a mut Registry);

impl Adder<'_> {
    fn metric<M: prometheus_client::registry::Metric + Clone>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds<M: prometheus_client::registry::Metric + Clone>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    fn bytes<M: prometheus_client::registry::Metric + Clone>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register_with_unit(name, help, Unit::Bytes, metric.clone());
        metric
    }
}

/// Middleware: counts a request of the API. To be layered over the whole router, its fallback
/// included.
pub async fn count(
    State(metrics): State<Arc<Metrics>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route =
        matched.map_or(Cow::Borrowed(UNMATCHED), |matched| Cow::Owned(matched.as_str().to_owned()));
    let method = method(request.method());
    let unfinished = Counted::new(&metrics.api.in_flight);
    let began = Instant::now();
    let response = next.run(request).await;
    drop(unfinished);
    metrics
        .api
        .seconds
        .get_or_create(&RouteLabels { route: route.clone(), method })
        .observe(began.elapsed().as_secs_f64());
    metrics
        .api
        .requests
        .get_or_create(&ApiLabels { route, method, status: response.status().as_u16() })
        .inc();
    response
}

/// A client can make up methods.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Counts what goes to the CRMs of one provider.
pub struct CrmMetrics {
    provider: Arc<str>,
    crm: Crm,
}

impl Observer for CrmMetrics {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        let crm = &self.crm;
        let of = ProviderLabel { provider: Arc::clone(&self.provider) };
        crm.waited.get_or_create(&of).inc_by(exchange.waited.as_secs_f64());
        let status = match exchange.fate {
            Fate::Refused { stage, .. } => {
                let labels =
                    StageLabels { provider: Arc::clone(&self.provider), stage: stage.as_str() };
                crm.refused.get_or_create(&labels).inc();
                return;
            }
            Fate::Answered(status) => {
                crm.seconds.get_or_create(&of).observe(exchange.duration.as_secs_f64());
                match status.as_u16() / 100 {
                    2 => "2xx",
                    3 => "3xx",
                    4 => "4xx",
                    5 => "5xx",
                    _ => "other",
                }
            }
            Fate::Unanswered(_) => "none",
            Fate::Abandoned => "abandoned",
        };
        crm.requests
            .get_or_create(&CrmLabels { provider: Arc::clone(&self.provider), status })
            .inc();
        crm.sent.get_or_create(&of).inc_by(exchange.bytes_out);
        crm.received.get_or_create(&of).inc_by(exchange.bytes_in);
        crm.throttled.get_or_create(&of).inc_by(u64::from(exchange.throttled));
        crm.repeated.get_or_create(&of).inc_by(u64::from(exchange.repeated));
    }
}

/// Instances that are alive when somebody asks.
#[derive(Default)]
struct Instances(Mutex<Vec<Weak<Engine>>>);

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instances")
    }
}

impl Collector for Instances {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let engines = self.0.lock();
        let alive: u64 =
            engines.iter().filter_map(Weak::upgrade).map(|engine| engine.instances()).sum();
        drop(engines);
        let gauge = ConstGauge::new(i64::try_from(alive).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(
            "instances",
            "Instances of the plugin that are alive",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        Router, body::Body, http::StatusCode, middleware::from_fn_with_state, routing::get,
    };
    use jiff::Timestamp;
    use reverse_sync::egress::Stage;
    use tower_service::Service;

    fn exchange(fate: Fate<'_>) -> Exchange<'_> {
        Exchange {
            began: Timestamp::UNIX_EPOCH,
            method: &Method::POST,
            path: "/org_7/secret",
            fate,
            duration: Duration::from_millis(40),
            waited: Duration::from_millis(1_500),
            bytes_out: 10,
            bytes_in: 20,
            throttled: false,
            repeated: false,
        }
    }

    fn has(metrics: &Metrics, line: &str) {
        let text = metrics.encode().unwrap();
        assert!(text.lines().any(|each| each == line), "no line `{line}` in\n{text}");
    }

    #[test]
    fn what_goes_to_a_crm_is_counted_by_its_kind() {
        let metrics = Metrics::new();
        let hubspot = metrics.crm("hubspot");
        hubspot.exchanged(&exchange(Fate::Answered(StatusCode::OK)));
        hubspot.exchanged(&exchange(Fate::Answered(StatusCode::CREATED)));
        hubspot.exchanged(&Exchange {
            throttled: true,
            ..exchange(Fate::Answered(StatusCode::TOO_MANY_REQUESTS))
        });
        hubspot.exchanged(&Exchange { repeated: true, ..exchange(Fate::Abandoned) });
        metrics
            .crm("salesforce")
            .exchanged(&exchange(Fate::Refused { stage: Stage::Witness, reason: "no" }));
        has(&metrics, r#"reverse_sync_crm_requests_total{provider="hubspot",status="2xx"} 2"#);
        has(&metrics, r#"reverse_sync_crm_requests_total{provider="hubspot",status="4xx"} 1"#);
        has(
            &metrics,
            r#"reverse_sync_crm_requests_total{provider="hubspot",status="abandoned"} 1"#,
        );
        has(&metrics, r#"reverse_sync_crm_request_duration_seconds_count{provider="hubspot"} 3"#);
        has(&metrics, r#"reverse_sync_crm_throttled_total{provider="hubspot"} 1"#);
        has(&metrics, r#"reverse_sync_crm_repeated_total{provider="hubspot"} 1"#);
        has(
            &metrics,
            r#"reverse_sync_crm_refused_requests_total{provider="salesforce",stage="witness"} 1"#,
        );
        has(&metrics, r#"reverse_sync_crm_pacing_waited_seconds_total{provider="hubspot"} 6.0"#);
        has(&metrics, r#"reverse_sync_crm_received_bytes_total{provider="hubspot"} 80"#);
        let text = metrics.encode().unwrap();
        assert!(!text.contains("org_7") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn runs_and_their_records_are_counted_once() {
        let metrics = Metrics::new();
        let (queued, running) = (metrics.run_queued(), metrics.run_running());
        has(&metrics, "reverse_sync_runs_queued 1");
        has(&metrics, "reverse_sync_runs_running 1");
        drop((queued, running));
        has(&metrics, "reverse_sync_runs_queued 0");
        let half = Counts { updated: 5, failed: 1, ..Counts::default() };
        metrics.outcomes(&Counts::default(), &half);
        metrics.outcomes(&half, &Counts { updated: 9, ..half });
        metrics.run_ended(RunEnd::Failed);
        has(&metrics, r#"reverse_sync_records_total{outcome="updated"} 9"#);
        has(&metrics, r#"reverse_sync_records_total{outcome="failed"} 1"#);
        has(&metrics, r#"reverse_sync_runs_total{status="failed"} 1"#);
        metrics.planned(PlanMode::Compare, false, Duration::from_secs(2));
        has(&metrics, r#"reverse_sync_plans_total{mode="compare",result="refused"} 1"#);
        has(&metrics, r#"reverse_sync_plan_duration_seconds_sum{mode="compare"} 2.0"#);
    }

    #[tokio::test]
    async fn requests_are_counted_by_route_and_not_by_path() {
        let metrics = Metrics::new();
        let runs = Router::new().route("/runs/{id}", get(async || StatusCode::NOT_FOUND));
        let mut router =
            Router::new().merge(runs).layer(from_fn_with_state(Arc::clone(&metrics), count));
        for (method, path) in [
            ("GET", "/runs/run_1"),
            ("GET", "/runs/run_2"),
            ("GET", "/wp-admin/1"),
            ("GET", "/wp-admin/2"),
            ("BREW", "/x"),
        ] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            Service::call(&mut router, request).await.unwrap();
        }
        has(
            &metrics,
            r#"reverse_sync_http_requests_total{route="/runs/{id}",method="GET",status="404"} 2"#,
        );
        has(
            &metrics,
            r#"reverse_sync_http_requests_total{route="unmatched",method="GET",status="404"} 2"#,
        );
        has(
            &metrics,
            r#"reverse_sync_http_requests_total{route="unmatched",method="other",status="404"} 1"#,
        );
        has(
            &metrics,
            r#"reverse_sync_http_request_duration_seconds_count{route="/runs/{id}",method="GET"} 2"#,
        );
        has(&metrics, "reverse_sync_http_requests_in_flight 0");
        for (plain, kind) in [(false, CONTENT_TYPE), (true, PLAIN)] {
            assert_eq!(metrics.answer(plain).unwrap().headers()[header::CONTENT_TYPE], kind);
        }
    }
}
