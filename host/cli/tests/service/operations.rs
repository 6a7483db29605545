//! The service as its operator has it: what it does when something around it is gone, who may use
//! it, and its commands.

use super::{
    observing::{assert_has_lines, lines, span},
    world::{
        Tenant, crm, hubspot_source, id, new_names, program, received, renamed, service,
        service_with, until, written,
    },
};
use crm_simulator::{Fault, Rule};
use reverse_sync_tests::service::{Database, Org, Service};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{fs, process::Output};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Longer than any test: an answer that comes so late does not come.
const NEVER: u64 = 3_600_000;

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
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn without_its_database_the_service_is_there_but_not_ready_until_it_is_back() {
    let (service, simulator) =
        (service_with(Database::Postgres, &["--log-format", "json"]).await, crm(3).await);
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
    // It is the service that cannot, not the key that is wrong; and what it cannot is in its log,
    // not in the answer.
    let problem = tenant.admin.get("/me").await.problem(500, &["log"]);
    let (_, name) = beside(&service).await;
    assert!(!problem.to_string().contains(&name), "{problem}");
    let logged = lines(&service);
    let of_it = |line: &&Value| {
        span(line, "request").is_some_and(|span| span["request_id"] == problem["request_id"])
    };
    let said: Vec<&Value> = logged.iter().filter(of_it).map(|line| &line["message"]).collect();
    assert_eq!(said, ["a request failed", "answered"], "{logged:?}");

    reachable(&service, true).await;
    until("the service to be ready again", async || {
        (anybody.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(tenant.run(&destination).await.is(200)["updated"], 3);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn a_run_whose_end_the_database_cannot_take_ends_once_it_can() {
    const RECORDS: usize = 300;
    let (service, simulator) = (service(Database::Postgres).await, crm(RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({"in_flight": 8})).await;
    tenant.golden("person", &new_names(0..RECORDS)).await;
    simulator.world().fault(Rule::always(Fault::Latency(5_000)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    let sent = async || {
        simulator
            .world()
            .requests
            .iter()
            .filter(|request| request.target.contains("/batch/update"))
            .count()
    };
    until("all batches to be on their way", async || (sent().await == 3).then_some(())).await;
    reachable(&service, false).await;
    // The CRM is there, and what was handed out is written.
    written(&simulator, RECORDS).await;
    until("the end to be refused", async || {
        service.log().contains("the end of a run cannot be written down").then_some(())
    })
    .await;

    reachable(&service, true).await;
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["updated"]),
        (&json!("succeeded"), &json!(RECORDS)),
        "{ended}"
    );
    let rows = tenant.list("/audit-log").await;
    assert_eq!(
        rows.iter().filter(|row| row["action"] == "destination.reverse_run").count(),
        1,
        "{rows:?}"
    );
    assert_eq!(simulator.world().written_twice(), []);
}

// Its end

#[tokio::test]
async fn a_second_sigterm_ends_it_at_once_and_the_run_goes_on_at_the_next_start() {
    const RECORDS: usize = 300;
    let (mut service, simulator) = (service(Database::Sqlite).await, crm(RECORDS).await);
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..RECORDS)).await;
    simulator.world().fault(Rule::always(Fault::Latency(NEVER)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    let sent = async || {
        simulator.world().requests.iter().any(|request| request.target.contains("/batch/update"))
    };
    until("an update to be on its way", async || sent().await.then_some(())).await;
    let terminate = |service: &Service| {
        let id = service.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
    };
    terminate(&service);
    until("the service to stop", async || {
        service.log().contains("stopping: runs come").then_some(())
    })
    .await;
    assert!(service.is_running(), "it waits for the CRM");
    terminate(&service);
    until("the service to end", async || (!service.is_running()).then_some(())).await;
    assert!(service.log().contains("stopping at once"), "{}", service.log());
    service.kill().await.unwrap();
    simulator.world().faults.clear();
    service.start_again().await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["pending"]), (&json!("succeeded"), &json!(0)), "{ended}");
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
    assert_eq!(
        (&signed_in["user"], &signed_in["org"], &signed_in["role"]),
        (&me["user"], &me["org"], &me["role"])
    );
    let again = service.client(None).post("/session", &json!({"login_code": first})).await;
    again.problem(401, &["used already"]);
    assert_eq!(again.header("set-cookie"), None);

    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    let (second, printed) = login_code(&service, 2).await;
    assert_eq!(
        printed.iter().filter(|line| line.contains(KEY)).count(),
        1,
        "a key is printed once: {printed:?}"
    );
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
    other
        .admin
        .post(&format!("{path}/reverse-run"), &json!({"confirm": true}))
        .await
        .problem(404, &[]);
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
    let runs = tenant.admin.get("/runs?status=cancelling").await.is(200);
    assert_eq!(runs["items"][0]["run_id"], run.as_str(), "{runs}");
    let running = tenant.admin.get("/runs?status=running").await.is(200);
    assert_eq!(running["items"], json!([]));
    service.kill().await.unwrap();
    simulator.world().faults.clear();
    let requests = simulator.world().requests.len();
    assert_eq!((requests, simulator.world().writes.len()), (2, 100));

    service.start_again().await.unwrap();
    let stopped = tenant.ended(&run).await;
    assert_eq!(
        (&stopped["status"], &stopped["stopped"]["reason"]),
        (&json!("stopped"), &json!("cancelled")),
        "{stopped}"
    );
    assert_eq!(
        (&stopped["updated"], &stopped["pending"]),
        (&json!(0), &json!(RECORDS)),
        "{stopped}"
    );
    assert_eq!(simulator.world().requests.len(), requests, "it has not gone on by itself");

    tenant.admin.post(&format!("/runs/{run}/resume"), &json!({})).await.is(202);
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["ok"], &ended["pending"]),
        (&json!("succeeded"), &json!(true), &json!(0)),
        "{ended}"
    );
    // The pause is not work: an attempt takes less than all since the run began.
    assert!(ended["worked_ms"].as_i64().is_some_and(|ms| ms > 0), "{ended}");
    assert_eq!(ended["working_since"], json!(null), "{ended}");
    // Those whose answer never came were looked at before anything else was written, and found done
    // by this run.
    assert_eq!((&ended["updated"], &ended["unchanged"]), (&json!(RECORDS), &json!(0)), "{ended}");
    let resumed: Vec<String> = simulator.world().requests[requests..]
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert!(
        resumed[0].contains("/properties/") && resumed[1].ends_with("/batch/read"),
        "{resumed:?}"
    );
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(simulator.world().writes.len(), RECORDS);
    assert_eq!(renamed(&simulator, 0..RECORDS), RECORDS);
    let rows = tenant.list("/audit-log").await;
    let actions: Vec<&str> = rows
        .iter()
        .filter(|row| row["run_id"] == run.as_str())
        .map(|row| row["action"].as_str().unwrap())
        .rev()
        .collect();
    assert_eq!(
        actions,
        [
            "run.begin",
            "run.cancel",
            "destination.reverse_run.failed",
            "run.resume",
            "destination.reverse_run"
        ]
    );
}

async fn a_run_that_waits_for_its_turn_is_cancelled_at_once_and_the_next_has_it(
    database: Database,
) {
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
        assert_eq!(
            (&state["status"], &state["stopped"]["reason"]),
            (&json!("stopped"), &json!("cancelled")),
            "{state}"
        );
        assert_eq!(
            (&state["requests"], &state["updated"], &state["pending"]),
            (&json!(0), &json!(0), &json!(3)),
            "{state}"
        );
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
        &[
            "reverse_sync_runs_running 1",
            "reverse_sync_runs_queued 0",
            "reverse_sync_runs_total{status=\"stopped\"} 1",
        ],
    );
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
    let drop_unused = async |service: &Service| {
        printed(&service.run(&["keys", "rotate", "--drop-unused"]).await.unwrap())
    };

    let rotated = printed(&service.run(&["keys", "rotate"]).await.unwrap());
    assert_eq!(
        (rotated["sealed_again"].as_u64(), key_ids(&rotated).len()),
        (Some(1), 2),
        "{rotated}"
    );
    // The service has had no reason to read its keys again, and seals with the one that it knows.
    let other = Tenant {
        source: id(&tenant.admin.post("/sources", &hubspot_source(&simulator)).await.is(201)),
        ..tenant
    };
    let kept = drop_unused(&service).await;
    assert_eq!(
        (key_ids(&kept), &kept["dropped"]),
        (key_ids(&rotated), &json!([])),
        "a credential is sealed with each"
    );

    let rotated = printed(&service.run(&["keys", "rotate"]).await.unwrap());
    assert_eq!(
        (rotated["sealed_again"].as_u64(), key_ids(&rotated).len()),
        (Some(2), 3),
        "{rotated}"
    );
    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
    let left = drop_unused(&service).await;
    // The first one has signed rows of the audit log.
    let [third, second, first] = key_ids(&rotated)[..] else { panic!("{rotated}") };
    assert_eq!(
        (&left["active_key"], key_ids(&left), &left["dropped"]),
        (&json!(third), vec![third, first], &json!([second])),
        "{left}"
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!([first, second, third].map(|id| text.contains(id)), [true, false, true]);
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
    let (tenant, other) = (
        Tenant::hubspot(&service, &simulator, "acme").await,
        Tenant::hubspot(&service, &simulator, "other").await,
    );
    let mut destinations = Vec::new();
    for tenant in [&tenant, &other] {
        tenant.golden("person", &new_names(0..3)).await;
        destinations.push(tenant.destination("person", &json!({})).await);
    }
    let set = async |limits: &[&str]| {
        let arguments = [&["orgs", "quota", "--org", tenant.org.id.as_str()], limits].concat();
        printed(&service.run(&arguments).await.unwrap())
    };
    assert_eq!(
        set(&["--runs-an-hour", "1"]).await,
        json!({"runs_an_hour": 1, "runs_a_month": null, "stored_bytes": null})
    );
    assert_eq!(
        set(&["--runs-a-month", "9"]).await,
        json!({"runs_an_hour": 1, "runs_a_month": 9, "stored_bytes": null})
    );
    tenant.run(&destinations[0]).await.is(200);
    let refused = tenant.run(&destinations[0]).await;
    refused.problem(429, &["1"]);
    assert!(
        refused
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds <= 3_600)),
        "{refused:?}"
    );
    let shown = tenant.admin.get("/me").await.is(200)["quota"].clone();
    for (key, expected) in [
        ("runs_an_hour", 1),
        ("used", 1),
        ("runs_a_month", 9),
        ("used_this_month", 1),
        ("stored_bytes", 20_u64 << 30),
    ] {
        assert_eq!(shown[key], expected, "{key} of {shown}");
    }
    // It is this org's alone.
    for _ in 0..2 {
        other.run(&destinations[1]).await.is(200);
    }
    assert_eq!(other.admin.get("/me").await.is(200)["quota"]["runs_an_hour"], 30);
    // It is replaced, and the month counts too.
    set(&["--runs-an-hour", "30", "--runs-a-month", "2"]).await;
    tenant.run(&destinations[0]).await.is(200);
    tenant.run(&destinations[0]).await.problem(429, &["2"]);
    let rows = tenant.list("/audit-log").await;
    let details: Vec<&Value> =
        rows.iter().filter(|row| row["action"] == "org.quota").map(|row| &row["detail"]).collect();
    let own = |hour: u64, month: Option<u64>| json!({"runs_an_hour": hour, "runs_a_month": month, "stored_bytes": null});
    assert_eq!(details, [&own(30, Some(2)), &own(1, Some(9)), &own(1, None)]);

    let unknown = service
        .run(&["orgs", "quota", "--org", "org_0", "--runs-an-hour", "1", "--runs-a-month", "1"])
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        unknown.status.code() == Some(2) && said.contains("org_0") && said.contains("orgs list"),
        "{unknown:?}"
    );
}

async fn orgs_are_listed_with_the_one_that_serve_made(database: Database) {
    let service = service(database).await;
    login_code(&service, 1).await;
    let acme = service.org("acme").await.unwrap();
    let single =
        printed(&service.run(&["orgs", "add", "single", "--solo", "--user", "ada"]).await.unwrap());
    let orgs = printed(&service.run(&["orgs", "list"]).await.unwrap());
    let orgs = orgs.as_array().unwrap();
    assert_eq!(orgs.len(), 3, "{orgs:?}");
    assert_eq!(orgs[0]["solo"], true, "{orgs:?}");
    assert_eq!(
        orgs[1..],
        [
            json!({"org_id": acme.id, "name": "acme", "solo": false}),
            json!({"org_id": single["org_id"], "name": "single", "solo": true}),
        ]
    );
    let ada = service.client(single["api_key"].as_str()).get("/me").await.is(200);
    assert_eq!(
        (&ada["user"]["name"], &ada["org"]["id"]),
        (&json!("ada"), &single["org_id"]),
        "{ada}"
    );
}

#[tokio::test]
async fn a_service_whose_output_nobody_reads_any_more_lives_on() {
    let service = Service::new(&program(), None, &[], &[]).unwrap();
    let mut command = service.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it ended");
        if let Some((_, address)) = line.split_once("listening on ") {
            break address.trim().to_owned();
        }
    };
    // As `serve 2>&1 | head -1` does.
    drop(lines);
    drop(child.stderr.take());
    service.place().moved_to(&address);
    for (path, expected) in [("/healthz", 200), ("/me", 401), ("/nowhere", 404), ("/healthz", 200)]
    {
        assert_eq!(service.client(None).get(path).await.status, expected, "{path}");
    }
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(child.wait().await.unwrap().success());
}

reverse_sync_tests::on_both!(
    solo_use_begins_with_a_key_and_goes_on_with_a_link,
    what_a_solo_user_makes_is_seen_by_them_alone,
    a_run_that_was_cancelled_and_then_killed_waits_to_be_resumed,
    a_run_that_waits_for_its_turn_is_cancelled_at_once_and_the_next_has_it,
    runs_that_wait_are_counted_until_they_begin,
    keys_that_nothing_is_sealed_with_are_dropped_and_no_others,
    an_orgs_quota_is_set_while_the_service_runs,
    orgs_are_listed_with_the_one_that_serve_made,
);
