//! A thousand tenants of one service: two hundred of their runs at once take the same time and
//! little memory, and nobody's run waits for a CRM that is not theirs.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use crate::alone;
use crm_simulator::{Config, Fault, Rule, Simulator, Token};
use reverse_sync_service::{app::State, store::Role};
use reverse_sync_tests::{
    http::Client,
    service::{Database, Service},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    ops::Range,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

const TOKEN: &str = "test-token";
/// Orgs of the service; that each has a destination must cost the others nothing.
const ORGS: usize = 1_000;
/// Runs at once, each of another org.
const RUNS: usize = 200;
/// Records of a run: five batches, one after the other.
const RECORDS: usize = 500;
/// What the CRM takes to update a batch, as a real one does. Without any, the first runs would end
/// before the last have begun.
const LATENCY_MS: u64 = 500;
/// What a run may add to the service's resident memory.
const MEMORY: u64 = 16 << 20;

/// Runs of an org whose CRM is in trouble: more than a service works on at once for one org.
const TROUBLED: usize = 20;
/// Orgs that have nothing to do with it.
const QUIET: usize = 20;
/// Runs of each of them, with that trouble and without.
const ROUNDS: usize = 2;
const QUIET_RECORDS: usize = 300;
/// How long anybody waits for one of them before the test has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much longer their runs may take because of it.
const SLOWER: f64 = 1.5;

/// An org that updates its part of a CRM's contacts.
struct Tenant {
    org_id: String,
    admin: Client,
    destinations: Vec<String>,
}

impl Tenant {
    async fn add_destination(&mut self, base_url: &str, name: &str) {
        // The CRM's limits are not what is tested.
        let limit = json!({"calls": 1_000_000, "per_seconds": 10});
        let source = json!({"name": "HubSpot", "provider": "hubspot", "base_url": base_url, "limit": limit, "credential": {"access_token": TOKEN}});
        let source = id(&self.admin.post("/sources", &source).await.is(201));
        let config_json = json!({"provider_id_field": "hs_object_id", "source_id": source, "object": "contacts", "fields": ["firstname"], "in_flight": 1});
        let destination = json!({"name": name, "destination_type": "hubspot_dest", "entity_type": "person", "config_json": config_json});
        self.destinations.push(id(&self.admin.post("/destinations", &destination).await.is(201)));
    }

    async fn golden(&self, records: Range<usize>) {
        let mut csv = "hs_object_id,firstname\n".to_owned();
        for n in records {
            csv.push_str(&format!("{},New {n}\n", contact(n)));
        }
        self.admin.put("/golden/person", "text/csv", csv).await.is(200);
    }

    async fn plan(&self, destination: usize) -> String {
        let path = format!("/destinations/{}/reverse-dry-run", self.destinations[destination]);
        self.admin.post(&path, &json!({})).await.is(200)["plan_id"].as_str().unwrap().to_owned()
    }

    /// Confirms a plan, or what a dry run would say now; the answer, whatever it is, after at most
    /// so many seconds.
    async fn run(&self, destination: usize, plan_id: Option<&str>, wait: u64) -> (u16, Value) {
        let path =
            format!("/destinations/{}/reverse-run?wait={wait}", self.destinations[destination]);
        let mut confirmation = json!({"confirm": true});
        if let Some(plan_id) = plan_id {
            confirmation["plan_id"] = json!(plan_id);
        }
        let answer = self.admin.post(&path, &confirmation).await;
        (answer.status.as_u16(), answer.json())
    }
}

/// HubSpot's n-th contact.
fn contact(n: usize) -> String {
    (492_564_112_121 + n as u64 * 3).to_string()
}

async fn crm(contacts: usize) -> Simulator {
    let (limit, daily) = (10_000_000, 10_000_000);
    let config = Config {
        hubspot_contacts: contacts,
        hubspot_limit: limit,
        hubspot_daily: daily,
        tokens: vec![Token::new(TOKEN)],
        ..Config::default()
    };
    Simulator::start(config).await.unwrap()
}

async fn service(arguments: &[&str]) -> Service {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().and_then(Path::parent).unwrap().join("reverse-sync");
    let arguments =
        [arguments, &["--runs-an-hour", "1000000", "--runs-a-month", "1000000"]].concat();
    Service::start(&program, Database::Sqlite, &arguments, &[]).await.unwrap()
}

/// Does something for each of these numbers, so many at a time; what it came to, in their order.
async fn for_each<T, F>(numbers: Range<usize>, at_once: usize, work: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(at_once));
    let mut tasks = Vec::new();
    for n in numbers {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let work = work(n);
        tasks.push(tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

/// So many orgs, each with so many destinations in this CRM. Each of those has a source of its own,
/// and so a budget of its own.
async fn tenants(
    service: &Service,
    crm: &Simulator,
    count: usize,
    destinations: usize,
) -> Vec<Arc<Tenant>> {
    let store = State::open(&service.state(), Some(&service.database_url())).await.unwrap().store;
    let (base_url, client) = (crm.base_url(), service.client(None));
    let made = for_each(0..count, 16, |n| {
        let (store, base_url, client) = (store.clone(), base_url.clone(), client.clone());
        async move {
            let org_id = store.add_org(&format!("org {n}"), false, "ada").await.unwrap();
            let key = store.add_key(&org_id, "ada", "test", Role::Admin, "ada").await.unwrap();
            let mut tenant = Tenant {
                org_id,
                admin: client.with_key(Some(key.api_key.expose_secret())),
                destinations: Vec::new(),
            };
            for destination in 0..destinations {
                tenant.add_destination(&base_url, &format!("people {destination}")).await;
            }
            Arc::new(tenant)
        }
    });
    let made = made.await;
    store.close().await;
    made
}

fn id(created: &Value) -> String {
    created["id"].as_str().unwrap().to_owned()
}

/// Bytes of the service's memory that are in RAM.
fn resident(service: &Service) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", service.process_id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// What the service says of a gauge.
async fn gauge(client: &Client, name: &str) -> usize {
    let metrics = client.get("/metrics").await.text();
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

/// The most of what was seen while something continued.
#[derive(Debug, Default)]
struct Peak {
    running: usize,
    resident: u64,
}

async fn watch(service: &Service, until: &AtomicBool) -> Peak {
    let (client, mut peak) = (service.client(None), Peak::default());
    while !until.load(Relaxed) {
        let running = gauge(&client, "reverse_sync_runs_running").await;
        peak = Peak {
            running: peak.running.max(running),
            resident: peak.resident.max(resident(service)),
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    peak
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_runs_of_a_thousand_orgs_go_on_at_once_and_take_the_same_time() {
    let _alone = alone().await;
    let began = Instant::now();
    let (service, crm) = (service(&[]).await, crm(RUNS * RECORDS).await);
    let tenants = tenants(&service, &crm, ORGS, 1).await;
    println!("{ORGS} orgs with a destination each after {:.1?}", began.elapsed());
    let plans = for_each(0..RUNS, 4, |n| {
        let tenant = Arc::clone(&tenants[n]);
        async move {
            tenant.golden(n * RECORDS..(n + 1) * RECORDS).await;
            tenant.plan(0).await
        }
    });
    let plans = plans.await;
    crm.world().fault(Rule::always(Fault::Latency(LATENCY_MS)).on("/batch/update"));
    let before = resident(&service);
    println!("set up after {:.1?}", began.elapsed());

    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let all = async {
        let runs = for_each(0..RUNS, RUNS, |n| {
            let (tenant, plan_id) = (Arc::clone(&tenants[n]), plans[n].clone());
            async move { tenant.run(0, Some(&plan_id), 120).await }
        });
        let runs = runs.await;
        over.store(true, Relaxed);
        runs
    };
    let (runs, peak) = tokio::join!(all, watch(&service, &over));
    let took = began.elapsed();

    for (status, run) in &runs {
        assert_eq!(
            (status, &run["status"], &run["updated"]),
            (&200, &json!("succeeded"), &json!(RECORDS)),
            "{run}"
        );
    }
    {
        let world = crm.world();
        assert_eq!(
            (world.writes.len(), world.written_twice(), world.throttled),
            (RUNS * RECORDS, Vec::new(), 0)
        );
        let renamed = |n: &usize| {
            world.hubspot.value("contacts", &contact(*n), "firstname") == Some(&format!("New {n}"))
        };
        assert_eq!((0..RUNS * RECORDS).filter(renamed).count(), RUNS * RECORDS);
    }

    let store = State::open(&service.state(), Some(&service.database_url())).await.unwrap().store;
    let mut times = Vec::new();
    for (tenant, (_, run)) in tenants.iter().zip(&runs) {
        let row =
            store.run(&tenant.org_id, run["run_id"].as_str().unwrap()).await.unwrap().unwrap();
        times.push(Duration::from_millis(
            u64::try_from(row.ended_at.unwrap() - row.started_at.unwrap()).unwrap(),
        ));
    }
    times.sort();
    let (fastest, median, slowest) = (times[0], times[RUNS / 2], times[RUNS - 1]);
    let instance =
        runs.iter().map(|(_, run)| run["peak_memory_bytes"].as_u64().unwrap()).max().unwrap();
    let each = peak.resident.saturating_sub(before) / RUNS as u64;
    println!(
        "{RUNS} runs in {took:.1?}: {} at once at most; the fastest took {fastest:.2?}, the median {median:.2?}, the slowest {slowest:.2?}; \
         an instance has {} KB, and the service grew from {} MB to {} MB, by {} KB for each run",
        peak.running,
        instance >> 10,
        before >> 20,
        peak.resident >> 20,
        each >> 10
    );
    assert_eq!(peak.running, RUNS, "not all of them were running at the same time");
    assert!(slowest <= fastest * 2, "equal runs took from {fastest:?} to {slowest:?}");
    assert!(each <= MEMORY, "each run takes {each} bytes of memory");
}

/// Lets a service do nothing at all, or continue.
fn signal(service: &Service, signal: &str) {
    let id = service.process_id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Starts all runs of an org that is in trouble.
async fn start_all(tenant: &Tenant) {
    tenant.golden(0..QUIET_RECORDS).await;
    for destination in 0..TROUBLED {
        let (status, run) = tenant.run(destination, None, 0).await;
        assert_eq!(status, 202, "{run}");
    }
}

/// How many runs of an org have not ended.
async fn under_way(tenant: &Tenant) -> usize {
    let runs = tenant.admin.get("/runs?limit=500").await.is(200);
    let under_way = |run: &&Value| matches!(run["status"].as_str(), Some("queued" | "running"));
    runs["items"].as_array().unwrap().iter().filter(under_way).count()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_slowed_by_a_crm_that_hangs_or_refuses_and_is_not_theirs() {
    let _alone = alone().await;
    let (quiet, hanging, storm) =
        (crm(QUIET_RECORDS).await, crm(QUIET_RECORDS).await, crm(QUIET_RECORDS).await);
    hanging.world().fault(Rule::always(Fault::Latency(3_600_000)));
    storm.world().fault(Rule::always(Fault::Throttle));
    // The same twice: a service with trouble, and one without. One of them works, the other is
    // stopped.
    let (troubled, calm) = (service(&[]).await, service(&[]).await);
    let mut orgs = Vec::new();
    for service in [&troubled, &calm] {
        let tenants = tenants(service, &quiet, QUIET, 1).await;
        for tenant in &tenants {
            tenant.golden(0..QUIET_RECORDS).await;
            // What is done once is done: its link to the CRM is there.
            assert_eq!(tenant.run(0, None, 120).await.0, 200);
        }
        orgs.push(tenants);
    }
    let victims = [
        &tenants(&troubled, &hanging, 1, TROUBLED).await[0],
        &tenants(&troubled, &storm, 1, TROUBLED).await[0],
    ];
    for victim in victims {
        start_all(victim).await;
    }
    let client = troubled.client(None);
    // Until both are in trouble; if one cannot even begin, the other has taken its place, and what
    // follows finds that out.
    for _ in 0..PATIENCE.as_millis() / 5 {
        if storm.world().throttled > 0 && !hanging.world().requests.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (n, pair) in orgs[0].iter().zip(&orgs[1]).enumerate() {
            // By turns, so that a machine that changes its speed changes both, and neither is
            // always the first.
            let turns = if (round + n) % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in turns {
                let (works, waits) =
                    if which == 0 { (&troubled, &calm) } else { (&calm, &troubled) };
                signal(waits, "-STOP");
                signal(works, "-CONT");
                let began = Instant::now();
                let (status, run) = [pair.0, pair.1][which].run(0, None, PATIENCE.as_secs()).await;
                times[which].push(began.elapsed());
                assert_eq!((status, &run["updated"]), (200, &json!(QUIET_RECORDS)), "{run}");
            }
        }
    }
    signal(&troubled, "-CONT");
    signal(&calm, "-CONT");

    // The trouble lasted until the end.
    let running = gauge(&client, "reverse_sync_runs_running").await;
    let left = [under_way(victims[0]).await, under_way(victims[1]).await];
    let [mut with, mut without] = times;
    let (with, without) = (median(&mut with), median(&mut without));
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!(
        "the median of {} equal runs: {with:.1?} beside trouble, {without:.1?} without: {ratio:.2} times; {running} troubled runs, \
         {left:?} not ended; {} requests hang, {} were refused",
        ROUNDS * QUIET,
        hanging.world().requests.len(),
        storm.world().throttled
    );
    assert!(
        storm.world().throttled > 0 && !hanging.world().requests.is_empty(),
        "there was no trouble"
    );
    assert_eq!(
        (left, hanging.world().writes.len(), storm.world().writes.len()),
        ([TROUBLED; 2], 0, 0),
        "the trouble ended too early"
    );
    assert!(ratio <= SLOWER, "{ratio:.2} times as long, because of somebody else's CRM");
}
