//! The service over its sockets, as its clients have it.

use crate::{
    golden::{self, write_parquet},
    table::{Table, Target},
};
use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reverse_sync::plan::Cursor;
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Records of a dry run: those of the walk-through.
const RECORDS: usize = 53;
/// Clients at once.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Orgs that they come from.
const ORGS: usize = 64;
/// How long each number of clients asks.
const ASKING: Duration = Duration::from_secs(3);
/// How long before, uncounted.
const WARMING: Duration = Duration::from_millis(500);
/// Both sides take turns, so that a machine that changes its speed changes both.
const TURNS: usize = 3;
/// Changes of a page.
const PAGE: usize = 100;

type Http = Client<HttpConnector, Full<Bytes>>;

/// An org with a destination and golden records.
struct Tenant {
    key: String,
    destination: String,
}

impl Tenant {
    async fn new(
        service: &Service,
        http: &Http,
        name: &str,
        kind: &str,
        golden: Bytes,
    ) -> anyhow::Result<Tenant> {
        let org = service.org(name).await?;
        let key = org.admin.key().context("an org without a key")?.to_owned();
        // Nobody is asked: a dry run needs no CRM.
        let source = json!({"name": "HubSpot", "provider": "hubspot", "base_url": "http://127.0.0.1:9", "credential": {"access_token": "token"}});
        let source = org.admin.post("/sources", &source).await.is(201);
        let fields = ["firstname", "lastname", "email", "phone", "company", "city", "jobtitle"];
        let config_json = json!({"provider_id_field": "hs_object_id", "source_id": source["id"], "fields": fields});
        let destination = json!({"name": "people", "destination_type": "hubspot_dest", "entity_type": "person", "config_json": config_json});
        let destination = org.admin.post("/destinations", &destination).await.is(201);
        let destination =
            destination["id"].as_str().context("a destination without an id")?.to_owned();
        let put = Request::put(format!("{}/golden/person", service.place().address()))
            .header("content-type", kind);
        send(http, put.header("authorization", format!("Bearer {key}")).body(Full::new(golden))?)
            .await?;
        Ok(Tenant { key, destination })
    }

    fn dry_run(&self, address: &str) -> Ask {
        Ask {
            method: "POST",
            url: format!("{address}/destinations/{}/reverse-dry-run", self.destination),
            key: Some(self.key.clone()),
        }
    }
}

/// A request that is sent again and again.
#[derive(Clone)]
struct Ask {
    method: &'static str,
    url: String,
    key: Option<String>,
}

impl Ask {
    fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(self.method).uri(&self.url);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = if self.method == "POST" { "{}" } else { "" };
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        Ok(request.body(Full::new(Bytes::from_static(body.as_bytes())))?)
    }
}

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build(connector())
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

async fn send(http: &Http, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let answer = http.request(request).await.with_context(|| asked.clone())?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status.is_success(), "{asked}: {status} {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// What a number of clients saw.
struct Seen {
    times: Vec<Duration>,
    rate: f64,
}

impl Seen {
    fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

/// Each client sends its request over a connection of its own that stays open, the next one when
/// the last was answered.
async fn ask(asks: Vec<Ask>) -> anyhow::Result<Seen> {
    let began = Instant::now();
    let mut clients = Vec::new();
    for ask in asks {
        clients.push(tokio::spawn(async move {
            let (http, mut times) = (http(), Vec::new());
            loop {
                let sent = Instant::now();
                if sent - began >= WARMING + ASKING {
                    return anyhow::Ok(times);
                }
                send(&http, ask.request()?).await?;
                if sent - began >= WARMING {
                    times.push(sent.elapsed());
                }
            }
        }));
    }
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    // To the last answer.
    let rate = times.len() as f64 / (began.elapsed() - WARMING).as_secs_f64();
    times.sort();
    Ok(Seen { times, rate })
}

/// Dry runs a second, beside what the same server does for requests that need nothing.
pub(crate) fn dry_runs(table: &mut Table, binary: &Path) -> anyhow::Result<()> {
    let binary = binary
        .canonicalize()
        .with_context(|| format!("{}: run `cargo xtask bench`", binary.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = Service::start(&binary, Database::Sqlite, &[], &[]).await?;
        let address = service.place().address();
        let csv = Bytes::from(golden::csv(RECORDS)?);
        let http = http();
        let mut tenants = Vec::new();
        for n in 0..ORGS {
            tenants.push(
                Tenant::new(&service, &http, &format!("org {n}"), "text/csv", csv.clone()).await?,
            );
        }
        let plan: Value =
            serde_json::from_slice(&send(&http, tenants[0].dry_run(&address).request()?).await?)?;
        anyhow::ensure!(plan["writable"] == RECORDS, "{plan}");

        let nothing = Ask { method: "GET", url: format!("{address}/healthz"), key: None };
        for clients in CLIENTS {
            let health = || vec![nothing.clone(); clients];
            let of_one = || (0..clients).map(|_| tenants[0].dry_run(&address)).collect::<Vec<_>>();
            let of_many = || {
                tenants
                    .iter()
                    .cycle()
                    .take(clients)
                    .map(|tenant| tenant.dry_run(&address))
                    .collect::<Vec<_>>()
            };
            let (mut ceiling, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..TURNS {
                ceiling.push(ask(health()).await?);
                one.push(ask(of_one()).await?);
                if clients > 1 {
                    many.push(ask(of_many()).await?);
                }
            }
            let rates = |seen: &[Seen]| seen.iter().map(|seen| seen.rate).collect::<Vec<_>>();
            let ceiling = rates(&ceiling);
            let name = format!("service, GET /healthz, {}", several(clients, "client"));
            table.add(&name, "/s", &ceiling, Target::None);
            for (orgs, seen) in [(1, one), (clients, many)] {
                if seen.is_empty() {
                    continue;
                }
                let name = format!(
                    "service, dry run of {RECORDS} records, {} of {}",
                    several(clients, "client"),
                    several(orgs, "org")
                );
                let goal = if orgs > 1 { Target::AtLeast(3_000.0) } else { Target::None };
                table.add(&name, "/s", &rates(&seen), goal);
                let ratios: Vec<f64> =
                    seen.iter().zip(&ceiling).map(|(seen, ceiling)| seen.rate / ceiling).collect();
                table.add(&format!("{name}: rate"), "of /healthz", &ratios, Target::None);
                for percent in [50, 99] {
                    let times =
                        seen.iter().map(|seen| seen.percentile(percent).as_secs_f64() * 1e3);
                    let times: Vec<f64> = times.collect();
                    table.add(&format!("{name}: p{percent}"), "ms", &times, Target::None);
                }
            }
        }
        anyhow::Ok(())
    })
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A page from the middle of a large plan, over HTTP.
pub(crate) fn page(table: &mut Table, binary: &Path, large: bool) -> anyhow::Result<()> {
    let binary = binary.canonicalize()?;
    let rows = if large { 10_000_000 } else { 1_000_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = Service::start(&binary, Database::Sqlite, &[], &[]).await?;
        let (address, http) = (service.place().address(), http());
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("golden.parquet");
        write_parquet(&file, rows)?;
        let golden = Bytes::from(std::fs::read(&file)?);
        let tenant =
            Tenant::new(&service, &http, "large", "application/vnd.apache.parquet", golden).await?;
        let plan: Value =
            serde_json::from_slice(&send(&http, tenant.dry_run(&address).request()?).await?)?;
        anyhow::ensure!(plan["writable"] == rows, "{plan}");
        let id = plan["plan_id"].as_str().context("a plan without an id")?;

        let mut after = Cursor::number(rows as u64 / 2).to_string();
        let mut times = Vec::new();
        for turn in 0..52 {
            let url = format!("{address}/plans/{id}/changes?limit={PAGE}&after={after}");
            let ask = Ask { method: "GET", url, key: Some(tenant.key.clone()) };
            let sent = Instant::now();
            let page = send(&http, ask.request()?).await?;
            let took = sent.elapsed();
            let page: Value = serde_json::from_slice(&page)?;
            anyhow::ensure!(
                page["items"].as_array().is_some_and(|items| items.len() == PAGE),
                "{page}"
            );
            after =
                page["next"].as_str().context("a page in the middle has a next one")?.to_owned();
            // The first one looks up where the middle is; those after it continue from where it says.
            if turn > 0 {
                times.push(took.as_secs_f64() * 1e3);
            } else {
                let name = format!(
                    "service, plan of {rows} records, first page of {PAGE} changes at its middle"
                );
                table.add(&name, "ms", &[took.as_secs_f64() * 1e3], Target::AtMost(20.0));
            }
        }
        let name = format!("service, plan of {rows} records, the pages of {PAGE} changes after it");
        table.add(&name, "ms", &times, Target::AtMost(20.0));
        anyhow::Ok(())
    })
}
