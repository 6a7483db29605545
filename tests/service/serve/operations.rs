//! The service as its operator has it: what it says, what it counts and keeps, and what it does when something around it is gone.

use super::world::{
    Tenant, contact, crm, crm_with, hubspot_source, id, new_names, received, renamed, service, service_with, until, written,
};
use bytes::Bytes;
use crm_simulator::{Config, Fault, Rule};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use reverse_sync_tests::{
    http::Client,
    service::{Database, Org, Service},
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, PgConnection};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Longer than any test: an answer that comes so late does not come.
const NEVER: u64 = 3_600_000;

/// Changes the service's database behind its back.
async fn execute(service: &Service, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&service.database_url()).await.unwrap();
    let changed = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{sql}");
    connection.close().await.unwrap();
}

/// What the service has logged as JSON; the line that is being written is not among it.
fn lines(service: &Service) -> Vec<Value> {
    let log = service.log();
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The span of this name that a line was logged in.
fn span<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line["spans"].as_array()?.iter().find(|span| span["name"] == name)
}

// Request logs

/// Makes a run look so many days older, in the database and on disk; its request log.
async fn aged(service: &Service, tenant: &Tenant, run: &str, days: u32) -> PathBuf {
    let then = SystemTime::now() - Duration::from_secs(24 * 3600) * days;
    let log = service.state().join("orgs").join(&tenant.org.id).join("requests").join(format!("{run}.jsonl"));
    File::options().write(true).open(&log).unwrap().set_modified(then).unwrap();
    let then = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    execute(service, &format!("UPDATE runs SET ended_at = {then} WHERE run_id = '{run}'")).await;
    log
}

async fn a_request_log_is_kept_for_seven_days_and_its_run_for_longer(database: Database) {
    let (mut service, simulator) = (service_with(database, &["--log-format", "json"]).await, crm(3).await);
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
    let (old, young) = (aged(&service, &tenant, &runs[0], 8).await, aged(&service, &tenant, &runs[1], 6).await);
    service.start_again().await.unwrap();
    let swept = until("old request logs to be removed", async || {
        lines(&service).into_iter().find(|line| line["message"] == "old request logs were removed")
    });
    assert_eq!(swept.await["swept"], 1);
    assert!(!old.exists() && young.exists());

    for part in ["requests", "rate"] {
        tenant.admin.get(&format!("/runs/{}/{part}", runs[0])).await.problem(410, &[&runs[0], "7 days"]);
    }
    let kept = tenant.run_state(&runs[0]).await;
    assert_eq!((&kept["status"], &kept["updated"]), (&json!("succeeded"), &json!(3)), "{kept}");
    assert_eq!(tenant.list(&format!("/runs/{}/outcomes?outcome=updated", runs[0])).await.len(), 3);
    assert_eq!(tenant.list(&format!("/runs/{}/requests", runs[1])).await.len(), 2);
    let rate = tenant.admin.get(&format!("/runs/{}/rate", runs[1])).await.is(200);
    let calls: u64 = rate["seconds"].as_array().unwrap().iter().map(|second| second["calls"].as_u64().unwrap()).sum();
    assert_eq!(calls, 2, "{rate}");
}

// The database

/// Somebody who works beside the service's PostgreSQL database, not in it.
async fn beside(service: &Service) -> (PgConnection, String) {
    let url = service.database_url();
    let (server, name) = url.rsplit_once('/').unwrap();
    (PgConnection::connect(&format!("{server}/postgres")).await.unwrap(), name.to_owned())
}

/// Takes the service's database away, or gives it back.
async fn reachable(service: &Service, reachable: bool) {
    let (mut connection, name) = beside(service).await;
    let sql = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS {reachable}; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND NOT {reachable}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn without_its_database_the_service_is_there_but_not_ready_until_it_is_back() {
    let (service, simulator) = (service_with(Database::Postgres, &["--log-format", "json"]).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let anybody = service.client(None);
    let ready = anybody.get("/readyz").await.is(200);
    assert_eq!(ready["database"], "ok", "{ready}");

    reachable(&service, false).await;
    let unready = anybody.get("/readyz").await.is(503);
    assert_eq!(unready, json!({"database": "unavailable", "component": ready["component"]}));
    let healthy = anybody.get("/healthz").await;
    assert_eq!((healthy.status.as_u16(), healthy.text().as_str()), (200, "ok"));
    // It is the service that cannot, not the key that is wrong; and what it cannot is in its log, not in the answer.
    let problem = tenant.admin.get("/me").await.problem(500, &["log"]);
    let (_, name) = beside(&service).await;
    assert!(!problem.to_string().contains(&name), "{problem}");
    let logged = lines(&service);
    let of_it = |line: &&Value| span(line, "request").is_some_and(|span| span["request_id"] == problem["request_id"]);
    let said: Vec<&Value> = logged.iter().filter(of_it).map(|line| &line["message"]).collect();
    assert_eq!(said, ["a request failed", "answered"], "{logged:?}");

    reachable(&service, true).await;
    until("the service to be ready again", async || (anybody.get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!(tenant.run(&destination).await.is(200)["updated"], 3);
}

#[tokio::test]
async fn a_run_whose_end_the_database_cannot_take_ends_once_it_can() {
    const RECORDS: usize = 1_000;
    let (service, simulator) = (service(Database::Postgres).await, crm(RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({"in_flight": 1})).await;
    tenant.golden("person", &new_names(0..RECORDS)).await;
    simulator.world().fault(Rule::always(Fault::Latency(200)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    written(&simulator, 1).await;
    reachable(&service, false).await;
    // The CRM is there, and what is confirmed is written.
    written(&simulator, RECORDS).await;
    until("the end to be refused", async || service.log().contains("the end of a run cannot be written down").then_some(())).await;

    reachable(&service, true).await;
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["updated"]), (&json!("succeeded"), &json!(RECORDS)), "{ended}");
    let rows = tenant.list("/audit-log").await;
    assert_eq!(rows.iter().filter(|row| row["action"] == "destination.reverse_run").count(), 1, "{rows:?}");
    assert_eq!(simulator.world().written_twice(), []);
}

// Solo use

const KEY: &str = "API key, shown this once: ";

/// The login code of the service's latest start, of so many, and all that was printed.
async fn login_code(service: &Service, starts: usize) -> (String, Vec<String>) {
    until("a link to be printed", async || {
        let printed = service.printed();
        let links: Vec<&String> = printed.iter().filter(|line| line.contains("#login=")).collect();
        assert!(links.len() <= starts, "{printed:?}");
        let link = links.get(starts - 1)?;
        assert!(link.contains(&format!("open {}/#login=", service.place().address())), "{link}");
        let code = link.split_once("#login=")?.1.split_whitespace().next()?.to_owned();
        Some((code, printed))
    })
    .await
}

/// Signs in with a code: who one is then.
async fn sign_in(service: &Service, code: &str) -> Value {
    let answer = service.client(None).post("/session", &json!({"login_code": code})).await;
    answer.is(204);
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    assert!(cookie.starts_with("reverse_sync_session="), "{answer:?}");
    service.client(None).call("GET", "/me").header("cookie", cookie).send().await.is(200)
}

async fn solo_use_begins_with_a_key_and_goes_on_with_a_link(database: Database) {
    let mut service = service(database).await;
    let (first, printed) = login_code(&service, 1).await;
    let keys: Vec<&str> = printed.iter().filter_map(|line| line.strip_prefix(KEY)).collect();
    let [key] = keys[..] else { panic!("{printed:?}") };
    let me = service.client(Some(key)).get("/me").await.is(200);
    assert_eq!((&me["role"], &me["org"]["solo"]), (&json!("admin"), &json!(true)), "{me}");

    let signed_in = sign_in(&service, &first).await;
    assert_eq!((&signed_in["user"], &signed_in["org"], &signed_in["role"]), (&me["user"], &me["org"], &me["role"]));
    let again = service.client(None).post("/session", &json!({"login_code": first})).await;
    again.problem(401, &["used already"]);
    assert_eq!(again.header("set-cookie"), None);

    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    let (second, printed) = login_code(&service, 2).await;
    assert_eq!(printed.iter().filter(|line| line.contains(KEY)).count(), 1, "a key is printed once: {printed:?}");
    assert_ne!(second, first);
    assert_eq!(sign_in(&service, &second).await["user"], me["user"]);
    // What opens the service is printed for its owner, and in no log.
    let secret = key.rsplit_once('_').unwrap().1;
    for secret in [secret, &first, &second] {
        assert!(!service.log().contains(secret), "{}", service.log());
    }
}

async fn what_a_solo_user_makes_is_seen_by_them_alone(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let (_, printed) = login_code(&service, 1).await;
    let key = printed.iter().find_map(|line| line.strip_prefix(KEY)).unwrap();
    let admin = service.client(Some(key));
    let me = admin.get("/me").await.is(200);
    let org = Org { id: me["org"]["id"].as_str().unwrap().to_owned(), admin: admin.clone() };
    let source = id(&admin.post("/sources", &hubspot_source(&simulator)).await.is(201));
    let solo = Tenant { org, admin, source };
    let destination = solo.destination("person", &json!({})).await;
    let path = format!("/destinations/{destination}");

    // Whatever their keys are called, they are of one user.
    for role in ["viewer", "operator", "admin"] {
        let member = solo.member(role).await;
        let who = member.get("/me").await.is(200);
        assert_eq!((&who["user"], &who["role"]), (&me["user"], &json!(role)), "{who}");
        assert_eq!(id(&member.get(&path).await.is(200)), destination);
    }

    let other = Tenant::hubspot(&service, &simulator, "other").await;
    assert_ne!(other.admin.get("/me").await.is(200)["user"]["id"], me["user"]["id"]);
    other.admin.get(&path).await.problem(404, &[]);
    other.admin.patch(&path, &json!({"name": "mine"})).await.problem(404, &[]);
    other.admin.delete(&path).await.problem(404, &[]);
    other.admin.post(&format!("{path}/reverse-dry-run"), &json!({})).await.problem(404, &[]);
    other.admin.post(&format!("{path}/reverse-run"), &json!({"confirm": true})).await.problem(404, &[]);
    assert_eq!(other.list("/destinations").await, Vec::<Value>::new());
    assert_eq!(solo.list("/destinations").await.len(), 1);
}

// Cancelling

async fn a_run_that_was_cancelled_and_then_killed_waits_to_be_resumed(database: Database) {
    const RECORDS: usize = 300;
    let (mut service, simulator) = (service(database).await, crm(RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    // One batch on its way: the CRM has applied it, and its answer is held back.
    let destination = tenant.destination("person", &json!({"in_flight": 1})).await;
    tenant.golden("person", &new_names(0..RECORDS)).await;
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    written(&simulator, 100).await;
    let cancelled = tenant.admin.post(&format!("/runs/{run}/cancel"), &json!({})).await.is(202);
    assert_eq!(cancelled["status"], "cancelling", "{cancelled}");
    service.kill().await.unwrap();
    simulator.world().faults.clear();
    let requests = simulator.world().requests.len();
    assert_eq!((requests, simulator.world().writes.len()), (2, 100));

    service.start_again().await.unwrap();
    let stopped = tenant.ended(&run).await;
    assert_eq!((&stopped["status"], &stopped["stopped"]["reason"]), (&json!("stopped"), &json!("cancelled")), "{stopped}");
    assert_eq!((&stopped["updated"], &stopped["pending"]), (&json!(0), &json!(RECORDS)), "{stopped}");
    assert_eq!(simulator.world().requests.len(), requests, "it has not gone on by itself");

    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.is(202);
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["ok"], &ended["pending"]), (&json!("succeeded"), &json!(true), &json!(0)), "{ended}");
    // Those whose answer never came were looked at before anything else was written, and found done by this run.
    assert_eq!((&ended["updated"], &ended["unchanged"]), (&json!(RECORDS), &json!(0)), "{ended}");
    let resumed: Vec<String> = simulator.world().requests[requests..].iter().map(|request| request.target.clone()).collect();
    assert!(resumed[0].contains("/properties/") && resumed[1].ends_with("/batch/read"), "{resumed:?}");
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(simulator.world().writes.len(), RECORDS);
    assert_eq!(renamed(&simulator, 0..RECORDS), RECORDS);
    let rows = tenant.list("/audit-log").await;
    let actions: Vec<&str> =
        rows.iter().filter(|row| row["run_id"] == run.as_str()).map(|row| row["action"].as_str().unwrap()).rev().collect();
    assert_eq!(actions, ["run.cancel", "destination.reverse_run.failed", "run.resume", "destination.reverse_run"]);
}

async fn a_run_that_waits_for_its_turn_is_cancelled_at_once_and_the_next_has_it(database: Database) {
    let service = service_with(database, &["--max-runs", "1", "--log-format", "json"]).await;
    let (hanging, quiet) = (crm(3).await, crm(6).await);
    hanging.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let busy = Tenant::hubspot(&service, &hanging, "busy").await;
    busy.golden("person", &new_names(0..3)).await;
    let held = busy.start(&busy.destination("person", &json!({})).await).await;
    // The metadata and the update.
    received(&hanging, 2).await;

    let waiting = Tenant::hubspot(&service, &quiet, "waiting").await;
    let mut runs = Vec::new();
    for part in 0..2 {
        let entity_type = format!("people_{part}");
        waiting.golden(&entity_type, &new_names(part * 3..part * 3 + 3)).await;
        runs.push(waiting.start(&waiting.destination(&entity_type, &json!({})).await).await);
    }
    let [first, second] = &runs[..] else { unreachable!() };
    for run in &runs {
        let queued = waiting.run_state(run).await;
        assert_eq!(
            (&queued["status"], &queued["requests"], &queued["started_at"]),
            (&json!("queued"), &json!(0), &Value::Null),
            "{queued}"
        );
    }

    let cancelled = waiting.admin.post(&format!("/runs/{first}/cancel"), &json!({})).await.is(202);
    for state in [&cancelled, &waiting.run_state(first).await] {
        assert_eq!((&state["status"], &state["stopped"]["reason"]), (&json!("stopped"), &json!("cancelled")), "{state}");
        assert_eq!((&state["requests"], &state["updated"], &state["pending"]), (&json!(0), &json!(0), &json!(3)), "{state}");
    }
    assert_eq!(waiting.run_state(second).await["status"], "queued");
    assert_eq!(busy.run_state(&held).await["status"], "running");
    assert_eq!(quiet.world().requests.len(), 0);

    // The one that hangs is given up, and its CRM is gone.
    busy.admin.post(&format!("/runs/{held}/cancel"), &json!({})).await.is(202);
    drop(hanging);
    let ended = waiting.ended(second).await;
    assert_eq!((&ended["status"], &ended["updated"]), (&json!("succeeded"), &json!(3)), "{ended}");
    assert_eq!((renamed(&quiet, 0..3), renamed(&quiet, 3..6)), (0, 3));
    assert_eq!(busy.run_state(&held).await["status"], "stopped");
    // The one that was cancelled can still be had.
    waiting.admin.post(&format!("/runs/{first}/resume"), &json!({})).await.is(202);
    assert_eq!(waiting.ended(first).await["updated"], 3);
    assert_eq!(quiet.world().writes.len(), 6);
}

async fn runs_that_wait_are_counted_until_they_begin(database: Database) {
    let service = service_with(database, &["--max-runs", "1"]).await;
    let simulator = crm(6).await;
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    tenant.golden("person", &new_names(0..3)).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        runs.push(tenant.start(&tenant.destination("person", &json!({})).await).await);
    }
    received(&simulator, 2).await;
    let metrics = service.client(None).get("/metrics").await.text();
    assert_has_lines(&metrics, &["reverse_sync_runs_running 1", "reverse_sync_runs_queued 1"]);
    tenant.admin.post(&format!("/runs/{}/cancel", runs[1]), &json!({})).await.is(202);
    let metrics = service.client(None).get("/metrics").await.text();
    assert_has_lines(
        &metrics,
        &["reverse_sync_runs_running 1", "reverse_sync_runs_queued 0", "reverse_sync_runs_total{status=\"stopped\"} 1"],
    );
}

// What it counts, logs and exports

#[track_caller]
fn assert_has_lines(text: &str, expected: &[&str]) {
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
        let of = |class: u16| world.requests.iter().filter(|request| request.status.is_some_and(|status| status / 100 == class)).count();
        (of(2), of(5), world.requests.iter().map(|request| request.body.len()).sum::<usize>())
    };
    assert!(good >= 2 && bad == 1, "{good} {bad}");
    // From this machine, without a key. Outcomes are counted as they reach the journal, beside the run.
    let answer = until("the outcomes to be counted", async || {
        let answer = service.client(None).get("/metrics").await;
        answer.text().contains("reverse_sync_records_total{outcome=\"failed\"} 1\n").then_some(answer)
    })
    .await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
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
            &format!("reverse_sync_crm_requests_total{{provider=\"hubspot\",status=\"2xx\"}} {good}"),
            &format!("reverse_sync_crm_requests_total{{provider=\"hubspot\",status=\"5xx\"}} {bad}"),
            &format!("reverse_sync_crm_request_duration_seconds_count{{provider=\"hubspot\"}} {}", good + bad),
            &format!("reverse_sync_crm_sent_bytes_total{{provider=\"hubspot\"}} {sent}"),
            "reverse_sync_http_requests_total{route=\"/destinations/{destination_id}/reverse-run\",method=\"POST\",status=\"200\"} 1",
            "reverse_sync_http_requests_total{route=\"/runs/{run_id}\",method=\"GET\",status=\"200\"} 1",
            // This one.
            "reverse_sync_http_requests_in_flight 1",
            "# EOF",
        ],
    );
    // No label is made of what a tenant can choose.
    for choice in [&tenant.org.id, &destination, &tenant.source, run["run_id"].as_str().unwrap(), "acme", "person"] {
        assert!(!text.contains(choice), "{choice} is in\n{text}");
    }
}

async fn every_line_says_which_run_or_which_request_it_is_of(database: Database) {
    let service = service_with(database, &["--log-format", "json", "-vv"]).await;
    let simulator = crm_with(Config { hubspot_window_ms: 1_000, ..Config { hubspot_contacts: 3, ..Config::default() } }).await;
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
    for line in &logged {
        let of_run = span(line, "job").is_some_and(|span| span["run_id"] == *run_id && span["org_id"] == tenant.org.id.as_str());
        let of_request = span(line, "request").is_some_and(|span| span["request_id"].as_str().is_some_and(|id| id.starts_with("req_")));
        assert!(of_run != of_request, "{line}");
    }
    // Lines of the request's own task, of the pacer, of the run itself, and of what writes its end down.
    for message in [
        "request",
        "no answer from the CRM",
        "the CRM asks to slow down; all calls with this credential pause",
        "the run has ended",
        "the run has its end on record",
    ] {
        let said: Vec<_> = logged.iter().filter(|line| line["message"] == message).collect();
        assert!(!said.is_empty() && said.iter().all(|line| span(line, "job").is_some()), "{message}: {said:?}");
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
    let ended: Vec<&Value> = logged.iter().filter(|line| line["message"] == "the run has its end on record").collect();
    assert_eq!(ended.len(), 1, "{logged:?}");
    assert!(span(ended[0], "job").is_some_and(|span| span["run_id"] == waiting.as_str()), "{}", ended[0]);
}

/// What was logged for a request, if its id is in its answer too: level, message, route and status.
async fn logged_for(service: &Service, client: &Client, path: &str, request_id: &str) -> Vec<(Value, Value, Value, Value)> {
    let answer = client.call("GET", path).header("x-request-id", request_id).send().await;
    assert_eq!(answer.header("x-request-id"), Some(request_id));
    let mut said = Vec::new();
    for line in lines(service) {
        if let Some(span) = span(&line, "request").filter(|span| span["request_id"] == request_id) {
            said.push((line["level"].clone(), line["message"].clone(), span["route"].clone(), span["status"].clone()));
        }
    }
    said
}

async fn a_request_id_leads_from_an_answer_to_the_log(database: Database) {
    for (arguments, verbose) in [(&["--log-format", "json"][..], false), (&["--log-format", "json", "-v"], true)] {
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
        execute(&service, &format!("UPDATE runs SET options = 'nonsense' WHERE run_id = '{run}'")).await;
        tenant.admin.get(&path).await.problem(500, &["log", "request_id"]);
        let bad = logged_for(&service, &tenant.admin, &path, "trace-bad.1").await;
        let said: Vec<_> = bad.iter().map(|(level, message, route, _)| (level, message, route)).collect();
        let route = json!("/runs/{run_id}");
        assert_eq!(
            said,
            [(&json!("ERROR"), &json!("a request failed"), &route), (&json!("WARN"), &json!("answered"), &route)],
            "whatever the level"
        );
        assert_eq!(bad[1].3, 500);
    }
}

type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

/// An OpenTelemetry collector that keeps what it is sent: method and path, and body.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let into = Arc::clone(&received);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let into = Arc::clone(&into);
            let take = service_fn(move |request: Request<Incoming>| {
                let into = Arc::clone(&into);
                async move {
                    let what = format!("{} {}", request.method(), request.uri().path());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    into.lock().unwrap().push((what, body));
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), take));
        }
    });
    (url, received)
}

async fn the_spans_of_a_run_arrive_at_the_collector(database: Database) {
    let (url, received) = collector().await;
    let (mut service, simulator) = (service_with(database, &["--otlp", &url]).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let run = tenant.run(&destination).await.is(200);
    // What waits to be sent is sent at the end.
    assert!(service.stop().await.unwrap(), "{}", service.log());

    let received = received.lock().unwrap();
    assert!(!received.is_empty() && received.iter().all(|(what, _)| what == "POST /v1/traces"), "{received:?}");
    let sent = |text: &str| received.iter().any(|(_, body)| memchr::memmem::find(body, text.as_bytes()).is_some());
    for key in ["run_id", "plan_id"] {
        assert!(sent(run[key].as_str().unwrap()), "{key}");
    }
    // Its spans, what was logged in them, and the request that asked for it.
    for text in ["reverse-sync", "job", &tenant.org.id, "the run has ended", "POST /destinations/{destination_id}/reverse-run"] {
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
    let field = |event: &str, name| Some(event.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
    // What has no name is a sign of life.
    let named = text.split("\n\n").filter_map(|event| Some((field(event, "event:")?, field(event, "data:")?)));
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

    let states: Vec<&Value> = events.iter().filter(|(name, _)| name == "run").map(|(_, data)| data).collect();
    let updated: Vec<u64> = states.iter().map(|state| state["updated"].as_u64().unwrap()).collect();
    assert!(updated.is_sorted() && updated.iter().filter(|count| (1..RECORDS as u64).contains(*count)).count() >= 2, "{updated:?}");
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "each tells something new: {text}");
    let ends: Vec<bool> = states.iter().map(|state| state["status"] == "succeeded").collect();
    assert!(ends.iter().filter(|end| **end).count() == 1 && ends.last() == Some(&true), "{text}");
    assert_eq!(*states.last().unwrap(), &tenant.run_state(&run).await);

    let rates: Vec<&Value> = events.iter().filter(|(name, _)| name == "rate").map(|(_, data)| data).collect();
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
    let request = format!("GET /runs/{run}/events HTTP/1.1\r\nhost: service\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while memchr::memmem::find(&answer, b"event: run").is_none() {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
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
    let told = answer.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let states: Vec<Value> = told.filter(|data| data["run_id"] == run.as_str()).collect();
    assert!(!states.is_empty() && states.iter().all(|state| state["status"] == "running"), "{answer}");
}

// Its commands

/// What a command has printed, as JSON.
#[track_caller]
fn printed(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn key_ids(said: &Value) -> Vec<&str> {
    said["keys"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

async fn keys_that_nothing_is_sealed_with_are_dropped_and_no_others(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    let file = service.state().join("keys");
    let drop_unused = async |service: &Service| printed(&service.run(&["keys", "rotate", "--drop-unused"]).await.unwrap());

    let rotated = printed(&service.run(&["keys", "rotate"]).await.unwrap());
    assert_eq!((rotated["sealed_again"].as_u64(), key_ids(&rotated).len()), (Some(1), 2), "{rotated}");
    // The service has had no reason to read its keys again, and seals with the one that it knows.
    let other = Tenant { source: id(&tenant.admin.post("/sources", &hubspot_source(&simulator)).await.is(201)), ..tenant };
    let kept = drop_unused(&service).await;
    assert_eq!((key_ids(&kept), &kept["dropped"]), (key_ids(&rotated), &json!([])), "a credential is sealed with each");

    let rotated = printed(&service.run(&["keys", "rotate"]).await.unwrap());
    assert_eq!((rotated["sealed_again"].as_u64(), key_ids(&rotated).len()), (Some(2), 3), "{rotated}");
    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    let left = drop_unused(&service).await;
    assert_eq!((&left["active_key"], key_ids(&left)), (&rotated["active_key"], vec![rotated["active_key"].as_str().unwrap()]), "{left}");
    assert_eq!(left["dropped"].as_array().unwrap().len(), 2, "{left}");
    let text = fs::read_to_string(&file).unwrap();
    for id in key_ids(&rotated) {
        assert_eq!(text.contains(id), left["active_key"] == id, "{id}");
    }
    // Nothing more is to be dropped, and nothing is lost.
    assert_eq!(drop_unused(&service).await["dropped"], json!([]));
    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    let new = other.destination("person", &json!({})).await;
    for destination in [&destination, &new] {
        assert_eq!(other.run(destination).await.is(200)["updated"], 3);
    }
}

async fn an_orgs_quota_is_set_while_the_service_runs(database: Database) {
    let (service, simulator) = (service(database).await, crm(3).await);
    let (tenant, other) = (Tenant::hubspot(&service, &simulator, "acme").await, Tenant::hubspot(&service, &simulator, "other").await);
    let mut destinations = Vec::new();
    for tenant in [&tenant, &other] {
        tenant.golden("person", &new_names(0..3)).await;
        destinations.push(tenant.destination("person", &json!({})).await);
    }
    let set = async |hour: &str, month: &str| {
        let arguments = ["orgs", "quota", "--org", &tenant.org.id, "--runs-an-hour", hour, "--runs-a-month", month];
        printed(&service.run(&arguments).await.unwrap())
    };
    assert_eq!(set("1", "9").await, json!({"runs_an_hour": 1, "runs_a_month": 9}));
    tenant.run(&destinations[0]).await.is(200);
    let refused = tenant.run(&destinations[0]).await;
    refused.problem(429, &["1"]);
    assert!(
        refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds <= 3_600)),
        "{refused:?}"
    );
    let quota = tenant.admin.get("/me").await.is(200)["quota"].clone();
    assert_eq!(quota, json!({"runs_an_hour": 1, "used": 1, "runs_a_month": 9, "used_this_month": 1}));
    // It is this org's alone.
    for _ in 0..2 {
        other.run(&destinations[1]).await.is(200);
    }
    assert_eq!(other.admin.get("/me").await.is(200)["quota"]["runs_an_hour"], 30);
    // It is replaced, and the month counts too.
    set("30", "2").await;
    tenant.run(&destinations[0]).await.is(200);
    tenant.run(&destinations[0]).await.problem(429, &["2"]);
    let rows = tenant.list("/audit-log").await;
    let details: Vec<&Value> = rows.iter().filter(|row| row["action"] == "org.quota").map(|row| &row["detail"]).collect();
    assert_eq!(details, [&json!({"runs_an_hour": 30, "runs_a_month": 2}), &json!({"runs_an_hour": 1, "runs_a_month": 9})]);

    let unknown = service.run(&["orgs", "quota", "--org", "org_0", "--runs-an-hour", "1", "--runs-a-month", "1"]).await.unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.status.code() == Some(2) && said.contains("org_0") && said.contains("orgs list"), "{unknown:?}");
}

async fn orgs_are_listed_with_the_one_that_serve_made(database: Database) {
    let service = service(database).await;
    login_code(&service, 1).await;
    let acme = service.org("acme").await.unwrap();
    let single = printed(&service.run(&["orgs", "add", "single", "--solo", "--user", "ada"]).await.unwrap());
    let orgs = printed(&service.run(&["orgs", "list"]).await.unwrap());
    let orgs = orgs.as_array().unwrap();
    assert_eq!(orgs.len(), 3, "{orgs:?}");
    assert_eq!(orgs[0]["solo"], true, "{orgs:?}");
    assert_eq!(
        orgs[1..],
        [json!({"org_id": acme.id, "name": "acme", "solo": false}), json!({"org_id": single["org_id"], "name": "single", "solo": true}),]
    );
    let ada = service.client(single["api_key"].as_str()).get("/me").await.is(200);
    assert_eq!((&ada["user"]["name"], &ada["org"]["id"]), (&json!("ada"), &single["org_id"]), "{ada}");
}

// Golden records

/// The sets of which there are files.
fn set_files(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn golden_records_that_were_replaced_stay_as_long_as_a_plan_refers_to_them(database: Database) {
    let (mut service, simulator) = (service(database).await, crm(3).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    let dir = service.state().join("orgs").join(&tenant.org.id).join("golden");
    let file = |set: &Value| format!("{}.csv", id(set));

    // Of these four, the CRM has three. The city is not written, but whoever mends the rejects wants to see it.
    let csv = format!(
        "hs_object_id,firstname,city\n{0},New 0,Rome\n{1},New 1,Rome\n{2},New 2,Rome\n{3},New 3,Oslo\n",
        contact(0),
        contact(1),
        contact(2),
        contact(3)
    );
    let planned = tenant.golden("person", &csv).await;
    let run = tenant.run(&destination).await.is(200);
    assert_eq!((&run["updated"], &run["failed"]), (&json!(3), &json!(1)), "{run}");
    let rejects = format!("/runs/{}/rejects.csv", run["run_id"].as_str().unwrap());
    let before = tenant.admin.get(&rejects).await.text();

    let replaced = tenant.golden("person", "hs_object_id,nickname\n1,A\n").await;
    assert_eq!(set_files(&dir), BTreeSet::from([file(&planned), file(&replaced)]));
    let current = tenant.golden("person", "hs_object_id,nickname\n1,B\n").await;
    // Nothing refers to the one between.
    assert_eq!(set_files(&dir), BTreeSet::from([file(&planned), file(&current)]));
    assert_eq!(id(&tenant.admin.get("/golden/person").await.is(200)), id(&current));
    // Another type's golden records are another matter.
    let company = tenant.golden("company", "hs_object_id,name\n1,C\n").await;
    let all = BTreeSet::from([file(&planned), file(&current), file(&company)]);
    assert_eq!(set_files(&dir), all);

    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    assert_eq!(set_files(&dir), all);
    let after = tenant.admin.get(&rejects).await;
    after.status.is_success().then_some(()).unwrap();
    assert_eq!(after.text(), before);
    let lines: Vec<&str> = before.lines().collect();
    assert_eq!(lines.len(), 2, "{before}");
    assert!(lines[0].starts_with("hs_object_id,firstname,city,__outcome,"), "{before}");
    assert!(lines[1].starts_with(&format!("{},New 3,Oslo,failed,4,", contact(3))), "{before}");
}

on_both!(
    a_request_log_is_kept_for_seven_days_and_its_run_for_longer,
    solo_use_begins_with_a_key_and_goes_on_with_a_link,
    what_a_solo_user_makes_is_seen_by_them_alone,
    a_run_that_was_cancelled_and_then_killed_waits_to_be_resumed,
    a_run_that_waits_for_its_turn_is_cancelled_at_once_and_the_next_has_it,
    runs_that_wait_are_counted_until_they_begin,
    a_run_is_in_the_metrics_by_the_names_that_they_have,
    every_line_says_which_run_or_which_request_it_is_of,
    a_run_that_ends_before_it_begins_says_which_it_was,
    a_request_id_leads_from_an_answer_to_the_log,
    the_spans_of_a_run_arrive_at_the_collector,
    the_events_of_a_run_tell_how_it_goes_and_end_with_it,
    keys_that_nothing_is_sealed_with_are_dropped_and_no_others,
    an_orgs_quota_is_set_while_the_service_runs,
    orgs_are_listed_with_the_one_that_serve_made,
    golden_records_that_were_replaced_stay_as_long_as_a_plan_refers_to_them,
);
