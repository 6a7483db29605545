//! Faults and power loss while the service runs, with its store on SQLite. What it has answered
//! with 2xx is there afterwards.

use crate::{
    counted::{drawn, each, runtime, seed, states, summed},
    disk::Kept,
    seeded::Seeded,
    story::program,
    subsystems::Subsystem,
    tracer::{Fault, Made, Running, Step, Traced, power_lost},
};
use crm_simulator::{Config, Simulator, record_id};
use reverse_sync_tests::{
    component_file,
    http::{Client, Place},
    say,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

const TOKEN: &str = "test-token";
/// Records that the CRM has; one more is written that it has not.
const GOOD: u64 = 6;
/// How long anything may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A state folder, a CRM, and a tenant who works with both.
struct World {
    simulator: Simulator,
    dir: tempfile::TempDir,
    place: Arc<Place>,
    key: String,
}

/// What the service has said yes to.
#[derive(Debug, Default)]
struct Said {
    golden: bool,
    source: Option<String>,
    destination: Option<String>,
    plan: Option<String>,
    api_key: Option<String>,
    /// The run as it was last seen.
    run: Option<Value>,
}

/// A service that is not traced. It ends with this.
struct Plain(Child);

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    /// With an org, unless that is what is to be made.
    fn begin(runtime: &Runtime, org: bool) -> World {
        let config = Config {
            hubspot_limit: 1_000_000,
            salesforce_contacts: GOOD as usize,
            ..Config::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        let dir = tempfile::Builder::new().prefix("reverse-sync-faults-").tempdir().unwrap();
        let mut world = World { simulator, dir, place: Arc::default(), key: String::new() };
        fs::create_dir(world.root()).unwrap();
        if org {
            let output = world.run(&["orgs", "add", "acme"]);
            assert!(output.status.success(), "{output:?}");
            let made: Value = serde_json::from_slice(&output.stdout).unwrap();
            made["api_key"].as_str().unwrap().clone_into(&mut world.key);
        }
        world
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("service")
    }

    fn build(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .arg("--state")
            .arg(self.root().join("state"))
            .current_dir(self.dir.path());
        command.env("REVERSE_SYNC_CACHE_DIR", component_file().with_file_name("cache"));
        command
    }

    fn serve(&self) -> Command {
        self.build(&["serve", "--listen", "127.0.0.1:0", "--allow-local-sources"])
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.build(arguments).output().unwrap()
    }

    fn client(&self) -> Client {
        Client::new(Arc::clone(&self.place), Some(&self.key))
    }

    /// What the service that was traced has printed, or logged.
    fn printed(&self, extension: &str) -> String {
        fs::read_to_string(self.root().with_extension(extension)).unwrap_or_default()
    }

    /// Waits until the service says where it listens; whether it does before it has ended.
    fn listens(&self, ended: impl Fn() -> bool) -> bool {
        let since = Instant::now();
        while since.elapsed() < LONG {
            let last = ended();
            if let Some((_, address)) = self.printed("out").split_once("listening on ")
                && let Some(address) = address.lines().next().filter(|_| address.contains('\n'))
            {
                self.place.moved_to(address.trim());
                return true;
            }
            if last {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the service does not say where it listens: {}", self.printed("err"));
    }

    /// Starts it again, and nothing goes wrong any more.
    fn start_again(&self) -> Plain {
        let file = |extension| fs::File::create(self.root().with_extension(extension)).unwrap();
        let child = self
            .serve()
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut plain = Plain(child);
        let ended = std::cell::RefCell::new(&mut plain);
        let listens = self.listens(|| ended.borrow_mut().0.try_wait().unwrap().is_some());
        assert!(listens, "the service does not start again: {}", self.printed("err"));
        plain
    }

    /// The first time: traced, while somebody works with it. Then it is asked to stop, if it is
    /// still there.
    fn first(&self, runtime: &Runtime, fault: Option<(Step, Fault)>) -> (Said, Traced) {
        let running = Running::start(&self.serve(), &self.root(), fault);
        let mut said = Said::default();
        if self.listens(|| running.has_ended()) {
            runtime.block_on(self.work(&mut said));
            running.stop();
        }
        (said, running.ended())
    }

    /// What a tenant does, whoever does not answer or says no. What has been answered with yes is
    /// remembered.
    async fn work(&self, said: &mut Said) {
        let client = self.client();
        let source = json!({"name": "CRM", "provider": "salesforce", "base_url": self.simulator.base_url(), "credential": {"access_token": TOKEN}});
        said.source = yes(client.call("POST", "/sources").json(&source))
            .await
            .as_ref()
            .map(|made| text(made, "id"));
        let golden =
            client.call("PUT", "/golden/person").header("content-type", "text/csv").body(golden());
        said.golden = yes(golden).await.is_some();
        let Some(source) = &said.source else { return };
        let destination = json!({
            "name": "people", "destination_type": "salesforce_dest", "entity_type": "person",
            "config_json": {"provider_id_field": "Id", "source_id": source, "fields": ["FirstName"]},
        });
        said.destination = yes(client.call("POST", "/destinations").json(&destination))
            .await
            .as_ref()
            .map(|made| text(made, "id"));
        said.api_key = yes(client
            .call("POST", "/api-keys")
            .json(&json!({"name": "another", "role": "viewer"})))
        .await
        .as_ref()
        .map(|made| text(made, "api_key"));
        let Some(destination) = &said.destination else { return };
        let planned = yes(client
            .call("POST", &format!("/destinations/{destination}/reverse-dry-run"))
            .json(&json!({})))
        .await;
        said.plan = planned.as_ref().map(|plan| text(plan, "plan_id"));
        said.run = self.confirm(destination).await;
    }

    /// Confirms the run, always the same one.
    async fn confirm(&self, destination: &str) -> Option<Value> {
        let client = self.client();
        let call = client.call("POST", &format!("/destinations/{destination}/reverse-run?wait=30"));
        yes(call.header("idempotency-key", "monday").json(&json!({"confirm": true}))).await
    }

    /// What was said is so, and continues to its end.
    async fn holds(&self, said: &Said) {
        let client = self.client();
        for (what, id) in
            [("sources", &said.source), ("destinations", &said.destination), ("plans", &said.plan)]
        {
            if let Some(id) = id {
                client.get(&format!("/{what}/{id}")).await.is(200);
            }
        }
        if said.golden {
            client.get("/golden/person").await.is(200);
        }
        if let Some(key) = &said.api_key {
            client.with_key(Some(key)).get("/runs").await.is(200);
        }
        let Some(destination) = said.destination.as_ref().filter(|_| said.golden) else { return };
        let id = match &said.run {
            Some(run) => text(run, "run_id"),
            // Nobody knows whether it has begun.
            None => text(&self.confirm(destination).await.expect("the run is refused"), "run_id"),
        };
        let run = self.ended(&client, &id, destination).await;
        let reported = said.run.as_ref().filter(|run| has_ended(run));
        let count = |key: &str| run[key].as_u64().unwrap_or_else(|| panic!("no {key} in {run}"));
        assert_eq!(
            (
                count("updated") + count("unchanged"),
                count("failed") + count("unknown"),
                count("pending")
            ),
            (GOOD, 1, 0),
            "{run}"
        );
        for key in ["status", "updated", "unchanged", "failed", "unknown"] {
            assert!(
                reported.is_none_or(|reported| reported[key] == run[key]),
                "{reported:?} became {run}"
            );
        }
        let rows = client.get("/audit-log?limit=500").await.is(200);
        let rows =
            rows["items"].as_array().unwrap().iter().filter(|row| row["run_id"] == id.as_str());
        let actions: Vec<_> =
            rows.map(|row| row["action"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(
            actions.iter().filter(|action| *action == "run.begin").count(),
            1,
            "{actions:?}"
        );
        let of = |begins: &str| actions.iter().filter(|action| action.starts_with(begins)).count();
        assert_eq!(
            of("destination.reverse_run"),
            1 + of("run.resume"),
            "each attempt ends once: {actions:?}"
        );
        for n in 0..GOOD {
            let held = self
                .simulator
                .world()
                .salesforce
                .value("Contact", &record_id("003", n), "FirstName")
                .cloned();
            assert_eq!(held, Some(json!(format!("New {n}"))), "{run}");
        }
    }

    /// Waits until a run has ended; one that was stopped by a fault is taken up again.
    async fn ended(&self, client: &Client, id: &str, destination: &str) -> Value {
        let since = Instant::now();
        while since.elapsed() < LONG {
            let run = client.get(&format!("/runs/{id}")).await.is(200);
            if run["status"] == "stopped" {
                if run.to_string().contains("plan again") {
                    // A plan is on disk before anything of it is written; until then it may be
                    // lost, and is made again.
                    assert_eq!(
                        self.simulator.world().writes.len(),
                        0,
                        "the plan of a run that has written is gone: {run}"
                    );
                    client
                        .post(&format!("/destinations/{destination}/reverse-dry-run"), &json!({}))
                        .await
                        .is(200);
                }
                client.post(&format!("/runs/{id}/resume"), &json!({"confirm": true})).await;
            } else if has_ended(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not end: {}", client.get(&format!("/runs/{id}")).await.text());
    }

    /// All that holds once the service is there again.
    fn check(&self, runtime: &Runtime, said: &Said) {
        let service = self.start_again();
        runtime.block_on(self.holds(said));
        drop(service);
        let writes = self.simulator.world().writes.clone();
        for write in &writes {
            let n = (0..GOOD)
                .find(|n| record_id("003", *n) == write.id)
                .unwrap_or_else(|| panic!("{} was not confirmed", write.id));
            assert_eq!(
                Value::Object(write.fields.clone()),
                json!({"FirstName": format!("New {n}")})
            );
        }
        assert_eq!(self.simulator.world().written_twice(), []);
        let verified = self.run(&["audit", "verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }
}

fn golden() -> String {
    let mut csv = "Id,FirstName\n".to_owned();
    for n in 0..=GOOD {
        csv.push_str(&format!("{},New {n}\n", record_id("003", n)));
    }
    csv
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}")).to_owned()
}

fn has_ended(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("succeeded" | "failed"))
}

/// What was answered, if it was yes.
async fn yes(call: reverse_sync_tests::http::Call<'_>) -> Option<Value> {
    match tokio::time::timeout(LONG, call.try_send()).await.expect("neither an answer nor an end") {
        Ok(answer) if answer.status.is_success() => Some(answer.json()),
        _ => None,
    }
}

/// The steps of a service that nothing happens to.
fn steps(runtime: &Runtime) -> Vec<Made> {
    let world = World::begin(runtime, true);
    let (said, traced) = world.first(runtime, None);
    assert_eq!(traced.code, Some(0), "{}", world.printed("err"));
    assert!(said.run.as_ref().is_some_and(has_ended), "{said:?}");
    let whole = traced.disk.state(Kept::All, &mut Seeded::new(0));
    assert_eq!(
        whole.differs(&world.root()),
        Vec::<PathBuf>::new(),
        "the model of the disk is wrong"
    );
    world.check(runtime, &said);
    traced.made
}

const PARTS: [Subsystem; 7] = [
    Subsystem::Store,
    Subsystem::StateFiles,
    Subsystem::Golden,
    Subsystem::Journal,
    Subsystem::Plan,
    Subsystem::Component,
    Subsystem::Folders,
];

#[test]
fn every_step_of_a_service_fails() {
    let runtime = runtime();
    let made = steps(&runtime);
    let mut cases = Vec::new();
    for made in made.iter().filter(|made| PARTS.contains(&made.step.subsystem)) {
        for fault in [Fault::Eio, Fault::Enospc, Fault::TornFull, Fault::TornKilled] {
            if fault.fits(&made.call) {
                cases.push((made, fault));
            }
        }
    }
    let all = cases.len();
    let cases = drawn(cases, 90);
    let missed = AtomicUsize::new(0);
    let name = |(made, fault): &(&Made, Fault)| made.struck_by(*fault);
    each(&cases, name, |(made, fault)| {
        let world = World::begin(&runtime, true);
        let (said, traced) = world.first(&runtime, Some((made.step, *fault)));
        missed.fetch_add(usize::from(traced.struck.is_none()), Relaxed);
        let log = world.printed("err");
        assert!(!log.contains("panicked"), "{log}");
        world.check(&runtime, &said);
    });
    say(&format!(
        "the service: {} steps, {} of {all} faults (seed {}; {}); {} not reached; by subsystem: {}",
        made.len(),
        cases.len(),
        seed(),
        summed(cases.iter().map(|(_, fault)| format!("{fault:?}"))),
        missed.into_inner(),
        summed(cases.iter().map(|(made, _)| format!("{:?}", made.step.subsystem)))
    ));
}

#[test]
fn the_power_goes_at_every_step_of_a_service() {
    let runtime = runtime();
    let made: Vec<_> = steps(&runtime).into_iter().filter(|made| made.call.changes()).collect();
    let places: Vec<Option<Step>> = made.iter().map(|made| Some(made.step)).chain([None]).collect();
    let cases = states(&places);
    let all = cases.len();
    let cases = drawn(cases, 70);
    let name = |(at, kept, seed): &(Option<Step>, Kept, u64)| power_lost(&made, *at, *kept, *seed);
    each(&cases, name, |(at, kept, seed)| {
        let world = World::begin(&runtime, true);
        let (said, traced) = world.first(&runtime, at.map(|at| (at, Fault::Killed)));
        traced.disk.state(*kept, &mut Seeded::new(*seed)).put(&world.root());
        world.check(&runtime, &said);
    });
    say(&format!(
        "the service: power lost at {} places, {} of {all} states (seed {}); by subsystem: {}",
        places.len(),
        cases.len(),
        seed(),
        summed(cases.iter().map(|(at, ..)| {
            at.map_or_else(|| "at the end".to_owned(), |at| format!("{:?}", at.subsystem))
        }))
    ));
}

/// An org is made in a state that is not there yet.
fn org_is_made(runtime: &Runtime, at: Option<(Step, Fault)>, lost: Option<(Kept, u64)>) -> Traced {
    let world = World::begin(runtime, false);
    let traced = Running::start(&world.build(&["orgs", "add", "acme"]), &world.root(), at).ended();
    let said = world.printed("err");
    assert!(
        !said.contains("panicked")
            && (traced.code.is_none_or(|code| code == 0) || !said.is_empty()),
        "{said}"
    );
    if let Some((kept, seed)) = lost {
        traced.disk.state(kept, &mut Seeded::new(seed)).put(&world.root());
    }
    if traced.code == Some(0) {
        let listed = world.run(&["orgs", "list"]);
        assert!(
            String::from_utf8_lossy(&listed.stdout).contains("acme"),
            "the org is not there: {listed:?}"
        );
    } else {
        let again = world.run(&["orgs", "add", "acme"]);
        assert!(again.status.success(), "{again:?}");
    }
    let verified = world.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    traced
}

#[test]
fn every_step_of_making_a_state_fails_and_the_power_goes() {
    let runtime = runtime();
    let made = org_is_made(&runtime, None, None).made;
    let mut cases = Vec::new();
    for made in &made {
        for fault in [Fault::Eio, Fault::Enospc, Fault::TornFull, Fault::TornKilled] {
            if fault.fits(&made.call) {
                cases.push((Some((made.step, fault)), None));
            }
        }
    }
    let faults = drawn(cases, 80);
    let places: Vec<Option<Step>> = made
        .iter()
        .filter(|made| made.call.changes())
        .map(|made| Some(made.step))
        .chain([None])
        .collect();
    let losses = states(&places)
        .into_iter()
        .map(|(at, kept, seed)| (at.map(|at| (at, Fault::Killed)), Some((kept, seed))))
        .collect();
    let losses = drawn(losses, 60);
    let (steps, failed, lost) = (made.len(), faults.len(), losses.len());
    let cases: Vec<_> = faults.into_iter().chain(losses).collect();
    each(
        &cases,
        |case| format!("{case:?}"),
        |(at, lost)| {
            org_is_made(&runtime, *at, *lost);
        },
    );
    say(&format!(
        "a new state: {steps} steps, {failed} faults, power lost {lost} times (seed {}); by subsystem: {}",
        seed(),
        summed(cases.iter().map(|(at, _)| {
            at.map_or_else(|| "at the end".to_owned(), |(at, _)| format!("{:?}", at.subsystem))
        }))
    ));
}
