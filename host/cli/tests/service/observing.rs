//! What the service says, counts and keeps of what it does: request logs, metrics, log lines,
//! traces, events.

use super::world::{Tenant, crm, crm_with, new_names, received, service, service_with, until};
use crm_simulator::{Config, Fault, Rule};
use reverse_sync_tests::{
    collector::Collector,
    http::Client,
    service::{Database, Service},
};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any test: an answer that comes so late does not come.
const NEVER: u64 = 3_600_000;

/// What the service has logged as JSON; the line that is being written is not among it.
pub(super) fn lines(service: &Service) -> Vec<Value> {
    let log = service.log();
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The span of this name that a line was logged in.
pub(super) fn span<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line["spans"].as_array()?.iter().find(|span| span["name"] == name)
}

// Request logs

/// Makes a run look so many days older, in the database and on disk; its request log.
async fn aged(service: &Service, tenant: &Tenant, run: &str, days: u32) -> PathBuf {
    let then = SystemTime::now() - Duration::from_secs(24 * 3600) * days;
    let log = service
        .state()
        .join("orgs")
        .join(&tenant.org.id)
        .join("requests")
        .join(format!("{run}.jsonl"));
    File::options().write(true).open(&log).unwrap().set_modified(then).unwrap();
    let then = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    service
        .execute(&format!("UPDATE runs SET ended_at = {then} WHERE run_id = '{run}'"))
        .await
        .unwrap();
    log
}

async fn a_request_log_is_kept_for_seven_days_and_its_run_for_longer(database: Database) {
    let (mut service, simulator) =
        (service_with(database, &["--log-format", "json"]).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let run = tenant.run(&destination).await.is(200)["run_id"].as_str().unwrap().to_owned();
        assert_eq!(tenant.list(&format!("/runs/{run}/requests")).await.len(), 2);
        runs.push(run);
    }

    assert!(service.stop().await.unwrap());
    let (old, young) =
        (aged(&service, &tenant, &runs[0], 8).await, aged(&service, &tenant, &runs[1], 6).await);
    service.start_again().await.unwrap();
    let swept = until("old request logs to be removed", async || {
        lines(&service).into_iter().find(|line| line["message"] == "what was old was removed")
    });
    assert_eq!(swept.await["request_logs"], 1);
    assert!(!old.exists() && young.exists());

    for part in ["requests", "rate"] {
        tenant
            .admin
            .get(&format!("/runs/{}/{part}", runs[0]))
            .await
            .problem(410, &[&runs[0], "7 days"]);
    }
    let kept = tenant.run_state(&runs[0]).await;
    assert_eq!((&kept["status"], &kept["updated"]), (&json!("succeeded"), &json!(3)), "{kept}");
    assert_eq!(tenant.list(&format!("/runs/{}/outcomes?outcome=updated", runs[0])).await.len(), 3);
    assert_eq!(tenant.list(&format!("/runs/{}/requests", runs[1])).await.len(), 2);
    let rate = tenant.admin.get(&format!("/runs/{}/rate", runs[1])).await.is(200);
    let calls: u64 = rate["seconds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|second| second["calls"].as_u64().unwrap())
        .sum();
    assert_eq!(calls, 2, "{rate}");
}

// What it counts, logs and exports

#[track_caller]
pub(super) fn assert_has_lines(text: &str, expected: &[&str]) {
    let known: Vec<&str> = text.lines().filter(|line| !line.contains("_bucket{")).collect();
    for line in expected {
        assert!(known.contains(line), "`{line}` is not in {known:#?}");
    }
}

async fn a_run_is_in_the_metrics_by_the_names_that_they_have(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    // Of these four, the CRM has three.
    tenant.golden("person", &new_names(0..4)).await;
    simulator.world().fault(Rule::next(1, Fault::Status(503)).on("/properties/"));
    let run = tenant.run(&destination).await.is(200);
    assert_eq!((&run["updated"], &run["failed"]), (&json!(3), &json!(1)), "{run}");
    tenant.run_state(run["run_id"].as_str().unwrap()).await;

    let (good, bad, sent) = {
        let world = simulator.world();
        let of = |class: u16| {
            world
                .requests
                .iter()
                .filter(|request| request.status.is_some_and(|status| status / 100 == class))
                .count()
        };
        (of(2), of(5), world.requests.iter().map(|request| request.body.len()).sum::<usize>())
    };
    assert!(good >= 2 && bad == 1, "{good} {bad}");
    // From this machine, without a key. Outcomes are counted as they reach the journal, beside the
    // run.
    let answer = until("the outcomes to be counted", async || {
        let answer = service.client(None).get("/metrics").await;
        answer
            .text()
            .contains("reverse_sync_records_total{outcome=\"failed\"} 1\n")
            .then_some(answer)
    })
    .await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = answer.text();
    assert_has_lines(
        &text,
        &[
            "reverse_sync_runs_total{status=\"failed\"} 1",
            "reverse_sync_runs_running 0",
            "reverse_sync_runs_queued 0",
            "reverse_sync_records_total{outcome=\"updated\"} 3",
            "reverse_sync_records_total{outcome=\"failed\"} 1",
            "reverse_sync_plans_total{mode=\"offline\",result=\"made\"} 1",
            "reverse_sync_plan_duration_seconds_count{mode=\"offline\"} 1",
            &format!(
                "reverse_sync_crm_requests_total{{provider=\"hubspot\",status=\"2xx\"}} {good}"
            ),
            &format!(
                "reverse_sync_crm_requests_total{{provider=\"hubspot\",status=\"5xx\"}} {bad}"
            ),
            &format!(
                "reverse_sync_crm_request_duration_seconds_count{{provider=\"hubspot\"}} {}",
                good + bad
            ),
            &format!("reverse_sync_crm_sent_bytes_total{{provider=\"hubspot\"}} {sent}"),
            "reverse_sync_http_requests_total{route=\"/destinations/{destination_id}/reverse-run\",method=\"POST\",status=\"200\"} 1",
            "reverse_sync_http_requests_total{route=\"/runs/{run_id}\",method=\"GET\",status=\"200\"} 1",
            // This one.
            "reverse_sync_http_requests_in_flight 1",
            "# EOF",
        ],
    );
    // No label is made of what a tenant can choose.
    for choice in [
        &tenant.org.id,
        &destination,
        &tenant.source,
        run["run_id"].as_str().unwrap(),
        "acme",
        "person",
    ] {
        assert!(!text.contains(choice), "{choice} is in\n{text}");
    }
}

async fn every_line_says_which_run_or_which_request_it_is_of(database: Database) {
    let service = service_with(database, &["--log-format", "json", "-vv"]).await;
    let simulator = crm_with(Config {
        hubspot_window_ms: 1_000,
        ..Config { hubspot_contacts: 3, ..Config::default() }
    })
    .await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    for fault in [Fault::Throttle, Fault::DropBefore] {
        simulator.world().fault(Rule::next(1, fault).on("/batch/update"));
    }
    let before = lines(&service).len();
    let run = tenant.run(&destination).await.is(200);
    assert_eq!(run["updated"], 3, "{run}");
    let run_id = &run["run_id"];
    let logged = lines(&service).split_off(before);
    // Nobody's but the service's own.
    for line in logged.iter().filter(|line| line["message"] != "the end of the audit log") {
        let of_run = span(line, "job").is_some_and(|span| {
            span["run_id"] == *run_id && span["org_id"] == tenant.org.id.as_str()
        });
        let of_request = span(line, "request").is_some_and(|span| {
            span["request_id"].as_str().is_some_and(|id| id.starts_with("req_"))
        });
        assert!(of_run != of_request, "{line}");
    }
    // Lines of the request's own task, of the pacer, of the run itself, and of what writes its end
    // down.
    for message in [
        "request",
        "no answer from the CRM",
        "the CRM asks to slow down; all calls with this credential pause",
        "the run has ended",
        "the end of the run is recorded",
    ] {
        let said: Vec<_> = logged.iter().filter(|line| line["message"] == message).collect();
        assert!(
            !said.is_empty() && said.iter().all(|line| span(line, "job").is_some()),
            "{message}: {said:?}"
        );
    }
}

async fn a_run_that_ends_before_it_begins_says_which_it_was(database: Database) {
    let service = service_with(database, &["--max-runs", "1", "--log-format", "json"]).await;
    let simulator = crm(3).await;
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.golden("person", &new_names(0..3)).await;
    let _held = tenant.start(&tenant.destination("person", &json!({})).await).await;
    let waiting = tenant.start(&tenant.destination("person", &json!({})).await).await;
    tenant.admin.post(&format!("/runs/{waiting}/cancel"), &json!({})).await.is(202);
    let logged = lines(&service);
    let ended: Vec<&Value> =
        logged.iter().filter(|line| line["message"] == "the end of the run is recorded").collect();
    assert_eq!(ended.len(), 1, "{logged:?}");
    assert!(
        span(ended[0], "job").is_some_and(|span| span["run_id"] == waiting.as_str()),
        "{}",
        ended[0]
    );
}

/// What was logged for a request, if its id is in its answer too: level, message, route and status.
async fn logged_for(
    service: &Service,
    client: &Client,
    path: &str,
    request_id: &str,
) -> Vec<(Value, Value, Value, Value)> {
    let answer = client.call("GET", path).header("x-request-id", request_id).send().await;
    assert_eq!(answer.header("x-request-id"), Some(request_id));
    let mut said = Vec::new();
    for line in lines(service) {
        if let Some(span) = span(&line, "request").filter(|span| span["request_id"] == request_id) {
            said.push((
                line["level"].clone(),
                line["message"].clone(),
                span["route"].clone(),
                span["status"].clone(),
            ));
        }
    }
    said
}

async fn a_request_id_leads_from_an_answer_to_the_log(database: Database) {
    for (arguments, verbose) in
        [(&["--log-format", "json"][..], false), (&["--log-format", "json", "-v"], true)]
    {
        let (service, simulator) = (service_with(database, arguments).await, crm(3).await);
        let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
        let destination = tenant.destination("person", &json!({})).await;
        tenant.golden("person", &new_names(0..3)).await;
        let run = tenant.run(&destination).await.is(200)["run_id"].as_str().unwrap().to_owned();
        let path = format!("/runs/{run}");

        let good = logged_for(&service, &tenant.admin, &path, "trace-good.1").await;
        let line = (json!("DEBUG"), json!("answered"), json!("/runs/{run_id}"), json!(200));
        assert_eq!(good, if verbose { vec![line] } else { vec![] });

        // What the service did not write itself.
        service
            .execute(&format!("UPDATE runs SET options = 'nonsense' WHERE run_id = '{run}'"))
            .await
            .unwrap();
        tenant.admin.get(&path).await.problem(500, &["log", "request_id"]);
        let bad = logged_for(&service, &tenant.admin, &path, "trace-bad.1").await;
        let said: Vec<_> =
            bad.iter().map(|(level, message, route, _)| (level, message, route)).collect();
        let route = json!("/runs/{run_id}");
        assert_eq!(
            said,
            [
                (&json!("ERROR"), &json!("a request failed"), &route),
                (&json!("WARN"), &json!("answered"), &route)
            ],
            "whatever the level"
        );
        assert_eq!(bad[1].3, 500);
    }
}

async fn the_spans_of_a_run_arrive_at_the_collector(database: Database) {
    let collector = Collector::start().await.unwrap();
    let url = collector.url();
    let (mut service, simulator) = (service_with(database, &["--otlp", url]).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let run = tenant.run(&destination).await.is(200);
    // What waits to be sent is sent at the end.
    assert!(service.stop().await.unwrap(), "{}", service.log());

    let received = collector.received();
    assert!(
        !received.is_empty() && received.iter().all(|export| export.what == "POST /v1/traces"),
        "{received:?}"
    );
    let sent = |text: &str| received.iter().any(|export| export.contains(text));
    for key in ["run_id", "plan_id"] {
        assert!(sent(run[key].as_str().unwrap()), "{key}");
    }
    // Its spans, what was logged in them, and the request that asked for it.
    for text in [
        "reverse-sync",
        "job",
        &tenant.org.id,
        "the run has ended",
        "POST /destinations/{destination_id}/reverse-run",
    ] {
        assert!(sent(text), "{text}");
    }
    let key = tenant.admin.key().unwrap().rsplit_once('_').unwrap().1;
    for secret in [super::world::TOKEN, key] {
        assert!(!sent(secret), "a secret was sent");
    }
}

// Events

/// Server-sent events: name and data of each.
fn events(text: &str) -> Vec<(String, Value)> {
    let field = |event: &str, name| {
        Some(event.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
    };
    // What has no name is a sign of life.
    let named = text
        .split("\n\n")
        .filter_map(|event| Some((field(event, "event:")?, field(event, "data:")?)));
    named.map(|(name, data)| (name, serde_json::from_str(&data).unwrap())).collect()
}

async fn the_events_of_a_run_tell_how_it_goes_and_end_with_it(database: Database) {
    const RECORDS: usize = 1_000;
    let (service, simulator) = (service(database).await, crm(RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({"in_flight": 1})).await;
    tenant.golden("person", &new_names(0..RECORDS)).await;
    // Ten batches in three seconds at least: time for a dozen looks and two rates.
    simulator.world().fault(Rule::always(Fault::Latency(300)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    let answer = tenant.admin.get(&format!("/runs/{run}/events")).await;
    answer.status.is_success().then_some(()).unwrap();
    let text = answer.text();
    let events = events(&text);
    assert!(events.iter().all(|(name, _)| matches!(name.as_str(), "run" | "rate")), "{text}");

    let states: Vec<&Value> =
        events.iter().filter(|(name, _)| name == "run").map(|(_, data)| data).collect();
    let updated: Vec<u64> = states.iter().map(|state| state["updated"].as_u64().unwrap()).collect();
    assert!(
        updated.is_sorted()
            && updated.iter().filter(|count| (1..RECORDS as u64).contains(*count)).count() >= 2,
        "{updated:?}"
    );
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "each tells something new: {text}");
    let ends: Vec<bool> = states.iter().map(|state| state["status"] == "succeeded").collect();
    assert!(ends.iter().filter(|end| **end).count() == 1 && ends.last() == Some(&true), "{text}");
    assert_eq!(*states.last().unwrap(), &tenant.run_state(&run).await);

    let rates: Vec<&Value> =
        events.iter().filter(|(name, _)| name == "rate").map(|(_, data)| data).collect();
    let calls: u64 = rates.iter().map(|rate| rate["calls"].as_u64().unwrap()).sum();
    assert!((1..=simulator.world().requests.len() as u64).contains(&calls), "{rates:?}");
    for rate in rates {
        assert!(rate["limit_per_second"].is_number() && rate["throttled"] == 0, "{rate}");
        assert!(rate["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{rate}");
    }
}

#[tokio::test]
async fn whoever_follows_a_run_does_not_keep_the_service_from_ending() {
    let (mut service, simulator) = (service(Database::Sqlite).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    received(&simulator, 2).await;

    // By hand, to see the beginning of an answer before its end.
    let address = service.place().address();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let key = tenant.admin.key().unwrap();
    let request = format!(
        "GET /runs/{run}/events HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while memchr::memmem::find(&answer, b"event: run").is_none() {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }

    let ends_before_the_run = async {
        stream.read_to_end(&mut answer).await.unwrap();
        // Only now is the run let go, which the service waits for.
        assert!(!simulator.world().requests.last().unwrap().answered);
        drop(simulator);
    };
    let (stopped, ()) = tokio::join!(service.stop(), ends_before_the_run);
    assert!(stopped.unwrap(), "{}", service.log());
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n0\r\n\r\n"), "it was cut off: {answer}");
    let told = answer
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let states: Vec<Value> = told.filter(|data| data["run_id"] == run.as_str()).collect();
    assert!(
        !states.is_empty() && states.iter().all(|state| state["status"] == "running"),
        "{answer}"
    );
}

/// A stream of a run's events that has begun, or how it was refused.
async fn follow(service: &Service, client: &Client, run: &str) -> Result<TcpStream, String> {
    let address = service.place().address();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let key = client.key().unwrap();
    let request = format!(
        "GET /runs/{run}/events HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
        let text = String::from_utf8_lossy(&answer);
        if text.contains("event: run") {
            return Ok(stream);
        } else if text.starts_with("HTTP/1.1 4") && text.ends_with('}') {
            return Err(text.into_owned());
        }
    }
}

#[tokio::test]
async fn an_org_follows_so_many_runs_at_once_and_no_more() {
    const STREAMS: usize = 64;
    let (service, simulator) = (service(Database::Sqlite).await, crm(3).await);
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let mut runs = Vec::new();
    for name in ["acme", "other"] {
        let tenant = Tenant::hubspot(&service, &simulator, name).await;
        let destination = tenant.destination("person", &json!({})).await;
        tenant.golden("person", &new_names(0..3)).await;
        let run = tenant.start(&destination).await;
        runs.push((tenant.admin, run));
    }
    let [(acme, run), (other, theirs)] = &runs[..] else { panic!("two orgs") };
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(follow(&service, acme, run).await.unwrap());
    }
    let refused = follow(&service, acme, run).await.unwrap_err();
    assert!(
        refused.starts_with("HTTP/1.1 429 ")
            && refused.contains("too_many_streams")
            && refused.contains("retry-after: 5"),
        "{refused}"
    );
    // Others are not concerned, and neither are other requests.
    follow(&service, other, theirs).await.unwrap();
    acme.get(&format!("/runs/{run}")).await.is(200);
    // Whoever goes away makes room.
    streams.pop();
    until("a stream to be free", async || follow(&service, acme, run).await.ok()).await;
}

reverse_sync_tests::on_both!(
    a_request_log_is_kept_for_seven_days_and_its_run_for_longer,
    a_run_is_in_the_metrics_by_the_names_that_they_have,
    every_line_says_which_run_or_which_request_it_is_of,
    a_run_that_ends_before_it_begins_says_which_it_was,
    a_request_id_leads_from_an_answer_to_the_log,
    the_spans_of_a_run_arrive_at_the_collector,
    the_events_of_a_run_tell_how_it_goes_and_end_with_it,
);
