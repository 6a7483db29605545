//! The world of a history: a CRM, a state, and the services that work on it.

pub(crate) mod clients;
mod clock;
mod collect;
mod proxy;
mod trouble;

use crate::{
    evidence::Evidence,
    generator::{Crm, Kind, Script},
    history::{Asked, Call, Edit, Moment, Recorder},
};
use anyhow::{Context, ensure};
use clients::Known;
use crm_simulator::{Config, Fault, Rule, Simulator, Token, record_id};
use reverse_sync_tests::{
    http::{Answer, Client},
    postgres::Postgres,
    service::Service,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use trouble::Trouble;

const TOKEN: &str = "token-of-histories";
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the last runs may take to end once nothing goes wrong any more.
const QUIET: Duration = Duration::from_secs(90);

/// What clients, trouble and checker share.
pub(crate) struct World {
    pub(crate) script: Script,
    pub(crate) simulator: Simulator,
    pub(crate) recorder: Recorder,
    /// Ids of the CRM's records.
    ids: Vec<String>,
    /// Services that are there, as clients reach them.
    doors: Mutex<Vec<Client>>,
    known: Mutex<Vec<Known>>,
    calls: AtomicUsize,
}

/// Carries a script out.
///
/// # Errors
/// If there is no world to carry it out in; what a service does wrong is in the evidence.
pub(crate) async fn live(script: Script) -> anyhow::Result<Evidence> {
    let config = Config {
        seed: script.seed,
        hubspot_contacts: script.records,
        salesforce_contacts: script.records,
        hubspot_limit: 1_000_000,
        tokens: vec![Token::new(TOKEN)],
        ..Config::default()
    };
    let simulator = Simulator::start(config).await?;
    let (records, crm) = (script.records as u64, script.crm);
    let id = |n: u64| match crm {
        Crm::HubSpot => (492_564_112_121 + n * 3).to_string(),
        Crm::Salesforce => record_id("003", n),
    };
    let url = match script.database {
        Kind::Sqlite => None,
        Kind::Postgres => Some(Postgres::shared()?.database().await?),
    };
    let mut trouble = Trouble::new(Path::new(env!("CARGO_BIN_EXE_reverse-sync")), url).await?;
    let world = Arc::new(World {
        simulator,
        recorder: Recorder::new(),
        ids: (0..records).map(id).collect(),
        doors: Mutex::new(vec![trouble.door().await?]),
        known: Mutex::default(),
        calls: AtomicUsize::new(0),
        script,
    });
    world.prepare().await?;
    let held = world.held();
    let clients: Vec<_> = (0..world.script.clients.len())
        .map(|client| tokio::spawn(clients::live(Arc::clone(&world), client)))
        .collect();
    let watching = tokio::spawn(clients::watch(Arc::clone(&world)));
    trouble.live(&world).await;
    for client in clients {
        client.await.context("a client broke off")?;
    }
    trouble.settle(&world).await;
    watching.abort();
    match trouble.collect(&world).await {
        Ok(evidence) => Ok(Evidence { held, ..evidence }),
        Err(error) => {
            let history = world.recorder.history().clone();
            Err(error
                .context(format!("{}\n{history}nobody can be asked", history.overdue.join("\n"))))
        }
    }
}

impl World {
    /// A source, and destinations.
    async fn prepare(&self) -> anyhow::Result<()> {
        let door = self.doors()[0].clone();
        let provider = match self.script.crm {
            Crm::HubSpot => "hubspot",
            Crm::Salesforce => "salesforce",
        };
        let source = json!({"name": "CRM", "provider": provider, "base_url": self.simulator.base_url(), "credential": {"access_token": TOKEN},
            "limit": {"calls": 100_000, "per_seconds": 10}});
        let made = made(&door.post("/sources", &source).await)?;
        for (at, target) in self.script.destinations.iter().enumerate() {
            let mut config = json!({
                "provider_id_field": self.id_column(), "source_id": made["id"], "object": self.object(), "fields": [self.field(at)],
                "write_mode": if target.by_record { "record" } else { "batch" }, "in_flight": target.in_flight, "compare": target.compare,
            });
            if at > 0 {
                // What it meets is somebody's edit.
                config["on_drift"] = json!("overwrite");
            }
            let entity = format!("people_{at}");
            let destination = json!({"name": entity, "destination_type": format!("{provider}_dest"), "entity_type": entity, "config_json": config});
            let made = self::made(&door.post("/destinations", &destination).await)?;
            self.known().push(Known::new(made["id"].as_str().context("no id")?, &entity));
        }
        // So that something can happen in the middle of a run.
        let rule = Rule::always(Fault::Latency(self.script.latency));
        self.simulator.world().fault(rule);
        Ok(())
    }

    fn doors(&self) -> MutexGuard<'_, Vec<Client>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        let writes = self.simulator.world().writes.len();
        self.recorder.now(writes)
    }

    fn id_column(&self) -> &'static str {
        match self.script.crm {
            Crm::HubSpot => "hs_object_id",
            Crm::Salesforce => "Id",
        }
    }

    fn object(&self) -> &'static str {
        match self.script.crm {
            Crm::HubSpot => "contacts",
            Crm::Salesforce => "Contact",
        }
    }

    /// The field that the n-th destination writes.
    fn field(&self, target: usize) -> &'static str {
        match self.script.crm {
            Crm::HubSpot => ["firstname", "lastname"][target],
            Crm::Salesforce => ["FirstName", "LastName"][target],
        }
    }

    /// What the CRM holds of what destinations write.
    fn held(&self) -> BTreeMap<(String, String), String> {
        let world = self.simulator.world();
        let fields: Vec<&str> =
            (0..self.script.destinations.len()).map(|target| self.field(target)).collect();
        let mut held = BTreeMap::new();
        for id in &self.ids {
            for field in &fields {
                let value = match self.script.crm {
                    Crm::HubSpot => world.hubspot.value("contacts", id, field).map(str::to_owned),
                    Crm::Salesforce => world
                        .salesforce
                        .value("Contact", id, field)
                        .and_then(|value| Some(value.as_str()?.to_owned())),
                };
                held.insert((id.clone(), (*field).to_owned()), value.unwrap_or_default());
            }
        }
        held
    }

    /// Somebody sets a value in the CRM's own page.
    fn edit(&self, target: usize, record: usize, value: &str) {
        let (id, field) = (self.ids[record].clone(), self.field(target));
        let mut world = self.simulator.world();
        match self.script.crm {
            Crm::HubSpot => world.hubspot.edit("contacts", &id, field, value),
            Crm::Salesforce => world.salesforce.edit("Contact", &id, field, json!(value)),
        }
        // The CRM waits until it is written down, after as many writes as there were.
        let at = self.recorder.now(world.writes.len());
        let edit = Edit {
            writes: at.writes,
            number: at.number,
            id,
            field: field.to_owned(),
            value: value.to_owned(),
        };
        self.recorder.history().edits.push(edit);
        drop(world);
    }

    /// Asks one of the services, and writes down what came of it.
    async fn ask(&self, client: usize, asked: Asked, request: Request<'_>) -> Option<(u16, Value)> {
        let call = self.send(client, asked, request).await;
        let told = call.told.clone();
        self.recorder.history().calls.push(call);
        told
    }

    /// Asks one of the services.
    async fn send(&self, client: usize, asked: Asked, request: Request<'_>) -> Call {
        let door = {
            let doors = self.doors();
            doors[self.calls.fetch_add(1, Relaxed) % doors.len()].clone()
        };
        let mut call = door.call(request.method, &request.path);
        if let Some(key) = &request.key {
            call = call.header("idempotency-key", key);
        }
        call = match request.body {
            Body::None => call,
            Body::Json(body) => call.json(&body),
            Body::Csv(text) => call.header("content-type", "text/csv").body(text),
        };
        let at = self.now();
        let answer = tokio::time::timeout(PATIENCE, call.try_send()).await;
        let over = self.now();
        let told = answer
            .ok()
            .and_then(Result::ok)
            .and_then(|answer| Some((answer.status.as_u16(), told(&answer)?)));
        Call { client, asked, at, over, told }
    }
}

/// What a client sends.
struct Request<'a> {
    method: &'a str,
    path: String,
    key: Option<String>,
    body: Body,
}

enum Body {
    None,
    Json(Value),
    Csv(String),
}

impl Request<'_> {
    fn get(path: String) -> Request<'static> {
        Request { method: "GET", path, key: None, body: Body::None }
    }

    fn post(path: String, body: Value) -> Request<'static> {
        Request { method: "POST", path, key: None, body: Body::Json(body) }
    }
}

/// JSON of an answer, if it is whole.
fn told(answer: &Answer) -> Option<Value> {
    if answer.body.is_empty() {
        Some(Value::Null)
    } else {
        serde_json::from_slice(&answer.body).ok()
    }
}

fn made(answer: &Answer) -> anyhow::Result<Value> {
    ensure!(answer.status.as_u16() == 201, "{answer:?}");
    Ok(answer.json())
}

/// Asks until it is so; says whether it came to be so in time.
async fn until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let asking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, asking).await.is_ok()
}

/// A service's key, which it prints at its first start.
async fn first_key(service: &Service) -> anyhow::Result<String> {
    let mut key = None;
    until(PATIENCE, || {
        key = service
            .printed()
            .iter()
            .find_map(|line| Some(line.split_once("shown this once: ")?.1.trim().to_owned()));
        key.is_some()
    })
    .await;
    key.context("it shows no key")
}
