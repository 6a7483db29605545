//! Log lines and traces.
//!
//! Log lines go to standard error, as text or as JSON, each with the spans it was written in: those
//! of a run say its id, those of a request of the API its request id. Spans are of the error level,
//! so that they are there whatever the level.
//!
//! Where the operator names a collector, spans and what was logged in them go there too, by OTLP
//! over HTTP: in batches, from a thread of the exporter's own, and dropped when the collector is
//! down or slow.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use reverse_sync::{journal::RunId, visible::Visible};
use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::runtime::Handle;
use tracing::{
    Span, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::SetGlobalDefaultError,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    field::{RecordFields, VisitOutput},
    filter::Targets,
    fmt::{
        MakeWriter,
        format::{DefaultVisitor, FormatFields, Writer},
    },
    layer::SubscriberExt,
    registry::Registry,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is written where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How log lines look.
    pub format: Format,
    /// How much this program logs; `RUST_LOG` overrules it. At any level, dependencies speak only
    /// when something is wrong: their own debug output has request contents.
    pub level: LevelFilter,
    /// The collector, such as `http://127.0.0.1:4318`. `OTEL_EXPORTER_OTLP_HEADERS` adds headers
    /// for it.
    pub otlp: Option<String>,
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address.
    #[error(
        "`{0}` is not an address of an OpenTelemetry collector; one looks like http://127.0.0.1:4318"
    )]
    Address(String),
    /// The exporter.
    #[error("cannot export traces: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// TLS to the collector.
    #[error("no TLS to the collector: {0}")]
    Tls(#[from] rustls::Error),
    /// Somebody was first.
    #[error(transparent)]
    Global(#[from] SetGlobalDefaultError),
}

/// Log lines and traces that are running.
#[must_use = "spans that wait to be exported are lost unless it is shut down"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Longest wait for a collector at the end.
const SHUTDOWN: Duration = Duration::from_secs(3);
/// Longest wait for a collector's answer.
const EXPORT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read; one is a few dozen bytes long.
const MAX_ANSWER: usize = 64 << 10;

impl Telemetry {
    /// Starts it for the whole process, with log lines on standard error. To be called within a
    /// runtime that lives as long.
    ///
    /// # Errors
    /// If the collector's address is invalid, or it was started already.
    pub fn start(settings: &Settings) -> Result<Telemetry, TelemetryError> {
        let (subscriber, telemetry) = Telemetry::with(settings, || Visible::new(io::stderr()))?;
        tracing::subscriber::set_global_default(subscriber)?;
        Ok(telemetry)
    }

    /// What [`Telemetry::start`] starts, with log lines for this writer.
    ///
    /// # Errors
    /// If the collector's address is invalid.
    pub fn with<W>(
        settings: &Settings,
        writer: W,
    ) -> Result<(impl Subscriber + Send + Sync + 'static, Telemetry), TelemetryError>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let provider = settings.otlp.as_deref().map(provider).transpose()?;
        let exporting = provider.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("reverse_sync"));
            let layer = layer
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false);
            layer.with_filter(Targets::new().with_target("reverse_sync", LevelFilter::INFO))
        });
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new(format!("warn,reverse_sync={}", settings.level)));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(false)
            .with_target(false);
        let lines = match settings.format {
            Format::Text => lines.fmt_fields(ForPeople).boxed(),
            Format::Json => lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(true)
                .boxed(),
        };
        let subscriber = Registry::default().with(lines.with_filter(filter)).with(exporting);
        Ok((subscriber, Telemetry { provider }))
    }

    /// Sends what waits to be exported, for a few seconds at most. It blocks: in a task, call it by
    /// `spawn_blocking`.
    pub fn shutdown(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(SHUTDOWN)
        {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// Fields of a line for people: as they are, but for those that only a collector reads.
struct ForPeople;

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = WithoutCollectors(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

struct WithoutCollectors<'w>(DefaultVisitor<'w>);

impl Visit for WithoutCollectors<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !field.name().starts_with("otel.") {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.record_error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !field.name().starts_with("otel.") {
            self.0.record_debug(field, value);
        }
    }
}

/// The span of a run of an org, for whatever is done for it: running, its canary, verifying. It
/// outlives the request that asked for the run, and is not part of that.
pub fn run_span(org_id: &str, run_id: &RunId) -> Span {
    tracing::error_span!(parent: None, "job", org_id, %run_id)
}

fn provider(url: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new()?)
        .with_endpoint(endpoint(url)?)
        .with_timeout(EXPORT)
        .build()?;
    let resource = Resource::builder()
        .with_service_name("reverse-sync")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Where traces go, at a collector of this address.
fn endpoint(url: &str) -> Result<String, TelemetryError> {
    let wrong = || TelemetryError::Address(url.to_owned());
    let parsed: http::Uri = url.parse().map_err(|_| wrong())?;
    if !matches!(parsed.scheme_str(), Some("http" | "https"))
        || parsed.host().is_none_or(str::is_empty)
        || parsed.query().is_some()
    {
        return Err(wrong());
    }
    let url = url.trim_end_matches('/');
    Ok(if url.ends_with("/v1/traces") { url.to_owned() } else { format!("{url}/v1/traces") })
}

/// The way to a collector. The exporter's thread has no runtime, so that requests are made in the
/// one that there is.
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    down: Arc<AtomicBool>,
}

impl Collector {
    fn new() -> Result<Collector, rustls::Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(EXPORT));
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?;
        let connector = tls.https_or_http().enable_all_versions().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Collector { client, runtime: Handle::current(), down: Arc::default() })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sending<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let (client, down) = (self.client.clone(), Arc::clone(&self.down));
        let sending = self.runtime.spawn(async move {
            let sent = tokio::time::timeout(EXPORT, send(&client, request)).await.unwrap_or_else(|late| Err(late.into()));
            let refused = match &sent {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("it answered {}", answer.status())),
                Err(error) => Some(error.to_string()),
            };
            match refused {
                // Said once, until it works again.
                Some(reason) if !down.swap(true, Relaxed) => {
                    tracing::warn!(reason, "the OpenTelemetry collector takes no traces; they are dropped until it does");
                }
                None if down.swap(false, Relaxed) => tracing::info!("the OpenTelemetry collector takes traces again"),
                _ => {}
            }
            sent
        });
        Box::pin(async move { sending.await? })
    }
}

async fn send(
    client: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::request_id;
    use axum::{Router, body::Body, http::HeaderMap, middleware::from_fn, routing::get};
    use serde_json::Value;
    use std::{
        io::Write,
        sync::{Mutex, PoisonError},
    };
    use tower_service::Service;
    use tracing::Instrument;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn json(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    fn settings(otlp: Option<String>) -> Settings {
        Settings { format: Format::Json, level: LevelFilter::DEBUG, otlp }
    }

    /// A collector, and what it was sent: headers and bodies.
    async fn collector() -> (String, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>) {
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        let take = axum::routing::post(async move |headers: HeaderMap, body: Bytes| {
            into.lock().unwrap().push((headers, body));
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/v1/traces", take)).await
        });
        (url, received)
    }

    async fn end(telemetry: Telemetry) {
        tokio::task::spawn_blocking(|| telemetry.shutdown()).await.unwrap();
    }

    fn contains(body: &[u8], text: &str) -> bool {
        body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[tokio::test]
    async fn lines_for_people_are_without_what_only_a_collector_reads() {
        let lines = Lines::default();
        let into = lines.clone();
        let settings = Settings { format: Format::Text, ..settings(None) };
        let (subscriber, telemetry) = Telemetry::with(&settings, move || into.clone()).unwrap();
        let _default = tracing::subscriber::set_default(subscriber);
        ask("/runs/run_1").await;
        end(telemetry).await;
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line = text.lines().find(|line| line.contains("on its way")).unwrap();
        assert!(line.contains("request_id=\"abc-1\"") && line.contains("method=\"GET\""), "{line}");
        assert!(!text.contains("otel."), "{text}");
    }

    async fn ask(path: &str) {
        let handler = get(async || tracing::info!("on its way"));
        let mut router =
            Router::new().route("/runs/{id}", handler).layer(from_fn(request_id::identify));
        let request = Request::builder()
            .uri(path)
            .header("x-request-id", "abc-1")
            .body(Body::empty())
            .unwrap();
        Service::call(&mut router, request).await.unwrap();
    }

    #[tokio::test]
    async fn lines_of_a_request_say_which_and_those_of_a_run_say_which() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, _telemetry) =
            Telemetry::with(&settings(None), move || writer.clone()).unwrap();
        let _default = tracing::subscriber::set_default(subscriber);
        ask("/runs/run_1?secret=1").await;
        let run_id: RunId = "run_0123456789ab_1".parse().unwrap();
        let run = async {
            tracing::warn!("one");
            let task = async { tracing::debug!("two") };
            tokio::spawn(task.in_current_span()).await.unwrap();
        };
        run.instrument(run_span("org_7", &run_id)).await;
        let lines = lines.json();
        assert_eq!(
            lines.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>(),
            ["on its way", "answered", "one", "two"]
        );
        for line in &lines[..2] {
            let span = &line["spans"][0];
            assert_eq!(
                (&span["request_id"], &span["route"], &span["method"]),
                (&"abc-1".into(), &"/runs/{id}".into(), &"GET".into())
            );
        }
        assert_eq!(lines[1]["spans"][0]["status"], 200);
        for line in &lines[2..] {
            assert_eq!(
                (&line["spans"][0]["run_id"], &line["spans"][0]["org_id"]),
                (&"run_0123456789ab_1".into(), &"org_7".into())
            );
        }
        assert!(!lines.iter().any(|line| line.to_string().contains("secret")));
    }

    #[tokio::test]
    async fn dependencies_say_nothing_below_a_warning() {
        let lines = Lines::default();
        let writer = lines.clone();
        let all = Settings { level: LevelFilter::TRACE, ..settings(None) };
        let (subscriber, _telemetry) = Telemetry::with(&all, move || writer.clone()).unwrap();
        let _default = tracing::subscriber::set_default(subscriber);
        tracing::debug!(target: "hyper_util::client", "a header");
        tracing::warn!(target: "hyper_util::client", "a warning");
        tracing::trace!("ours");
        assert_eq!(
            lines.json().iter().map(|line| line["message"].clone()).collect::<Vec<_>>(),
            ["a warning", "ours"]
        );
    }

    #[tokio::test]
    async fn spans_reach_the_collector() {
        let (url, received) = collector().await;
        let (subscriber, telemetry) = Telemetry::with(&settings(Some(url)), io::sink).unwrap();
        {
            let _default = tracing::subscriber::set_default(subscriber);
            ask("/runs/run_1?secret=1").await;
            let run_id: RunId = "run_0123456789ab_1".parse().unwrap();
            async { tracing::warn!("a warning in it") }
                .instrument(run_span("org_7", &run_id))
                .await;
        }
        end(telemetry).await;
        let received = received.lock().unwrap();
        let (headers, body) = &received[0];
        assert_eq!(
            (received.len(), headers["content-type"].to_str().unwrap()),
            (1, "application/x-protobuf")
        );
        for text in [
            "reverse-sync",
            "GET /runs/{id}",
            "abc-1",
            "run_0123456789ab_1",
            "org_7",
            "a warning in it",
        ] {
            assert!(contains(body, text), "{text}");
        }
        assert!(!contains(body, "secret"));
    }

    #[tokio::test]
    async fn a_collector_that_is_down_disturbs_nobody_and_is_said_once() {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, telemetry) =
            Telemetry::with(&settings(Some(format!("http://{free}"))), move || writer.clone())
                .unwrap();
        let provider = telemetry.provider.clone().unwrap();
        let _default = tracing::subscriber::set_default(subscriber);
        for _ in 0..3 {
            ask("/runs/run_1").await;
            let provider = provider.clone();
            assert!(
                tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().is_err(),
                "it is down"
            );
        }
        end(telemetry).await;
        let said = lines
            .json()
            .iter()
            .filter(|line| line["message"].as_str().unwrap().contains("collector"))
            .count();
        assert_eq!(said, 1, "{:?}", lines.json());
    }

    #[test]
    fn a_collectors_address_is_its_base_or_the_whole() {
        for (url, whole) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example/", "https://otel.example/v1/traces"),
            ("https://otel.example/tenant/v1/traces", "https://otel.example/tenant/v1/traces"),
        ] {
            assert_eq!(endpoint(url).unwrap(), whole);
        }
        for wrong in [
            "",
            "localhost:4318",
            "/v1/traces",
            "grpc://otel:4317",
            "http://",
            "http://otel/?key=1",
        ] {
            assert!(matches!(endpoint(wrong), Err(TelemetryError::Address(_))), "{wrong}");
        }
    }
}
