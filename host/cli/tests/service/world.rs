//! A service, a CRM and a tenant who writes to it, in a line each.

use crm_simulator::{Config, Fault, Rule, Simulator, Token, record_id};
use reverse_sync_tests::{
    http::{Answer, Client},
    service::{Database, Org, Service},
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The access token of every source here: unlike any other text, so that a test can look for it.
pub(crate) const TOKEN: &str = "pat-na1-6f1c8e52-token-that-nobody-may-see";

/// Destinations that were made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The first contact that a simulator begins with, in HubSpot.
pub(crate) const FIRST: u64 = 492_564_112_121;

/// The id of HubSpot's n-th contact.
pub(crate) fn contact(n: usize) -> String {
    (FIRST + n as u64 * 3).to_string()
}

/// CRMs with so many contacts, whose limits are out of the way.
pub(crate) async fn crm(contacts: usize) -> Simulator {
    crm_with(Config {
        hubspot_contacts: contacts,
        salesforce_contacts: contacts,
        ..Config::default()
    })
    .await
}

pub(crate) async fn crm_with(config: Config) -> Simulator {
    Simulator::start(Config { tokens: vec![Token::new(TOKEN)], hubspot_limit: 1_000_000, ..config })
        .await
        .unwrap()
}

/// The program, beside this test's own binary.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_reverse-sync"))
}

/// A service that may talk to a CRM on this machine.
pub(crate) async fn service(database: Database) -> Service {
    service_with(database, &[]).await
}

pub(crate) async fn service_with(database: Database, arguments: &[&str]) -> Service {
    Service::start(&program(), database, arguments, &[]).await.unwrap()
}

/// Golden records for HubSpot's contacts of these numbers: `New 0`, `New 1` …
pub(crate) fn new_names(numbers: std::ops::Range<usize>) -> String {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in numbers {
        csv.push_str(&format!("{},New {n}\n", contact(n)));
    }
    csv
}

/// An org with a source in a CRM and people of each role.
pub(crate) struct Tenant {
    pub(crate) org: Org,
    pub(crate) admin: Client,
    pub(crate) source: String,
}

impl Tenant {
    /// An org whose source is this CRM's HubSpot.
    pub(crate) async fn hubspot(service: &Service, simulator: &Simulator, name: &str) -> Tenant {
        Tenant::of(service, name, &hubspot_source(simulator)).await
    }

    /// An org whose source is this CRM's Salesforce.
    pub(crate) async fn salesforce(service: &Service, simulator: &Simulator, name: &str) -> Tenant {
        Tenant::of(service, name, &salesforce_source(simulator)).await
    }

    async fn of(service: &Service, name: &str, source: &Value) -> Tenant {
        let org = service.org(name).await.unwrap();
        let admin = org.admin.clone();
        let source = id(&admin.post("/sources", source).await.is(201));
        Tenant { org, admin, source }
    }

    /// Somebody else of the org.
    pub(crate) async fn member(&self, role: &str) -> Client {
        let key = self
            .admin
            .post("/api-keys", &json!({"name": format!("a {role}"), "role": role}))
            .await
            .is(201);
        self.admin.with_key(key["api_key"].as_str())
    }

    /// The definition of a destination that writes first names to HubSpot's contacts.
    pub(crate) fn definition(&self) -> Value {
        json!({
            "name": "HubSpot reverse", "destination_type": "hubspot_dest", "entity_type": "person",
            "config_json": {"provider_id_field": "hs_object_id", "source_id": self.source, "object": "contacts", "fields": ["firstname"]},
        })
    }

    /// Creates that destination, with `more` in its `config_json`.
    pub(crate) async fn destination(&self, entity_type: &str, more: &Value) -> String {
        let mut definition = self.definition();
        // Destinations of one definition would share their plans, and so their runs.
        definition["name"] = json!(format!("HubSpot {entity_type} {}", MADE.fetch_add(1, Relaxed)));
        definition["entity_type"] = json!(entity_type);
        for (key, value) in more.as_object().unwrap() {
            definition["config_json"][key] = value.clone();
        }
        id(&self.admin.post("/destinations", &definition).await.is(201))
    }

    /// Replaces the golden records of a type.
    pub(crate) async fn golden(&self, entity_type: &str, csv: &str) -> Value {
        self.admin.put(&format!("/golden/{entity_type}"), "text/csv", csv.to_owned()).await.is(200)
    }

    pub(crate) async fn dry_run(&self, destination: &str) -> Value {
        self.admin
            .post(&format!("/destinations/{destination}/reverse-dry-run"), &json!({}))
            .await
            .is(200)
    }

    /// Confirms what a dry run would say now, and waits until it has ended.
    pub(crate) async fn run(&self, destination: &str) -> Answer {
        self.admin
            .post(
                &format!("/destinations/{destination}/reverse-run?wait=120"),
                &json!({"confirm": true}),
            )
            .await
    }

    /// Starts a run and does not wait for it; its id.
    pub(crate) async fn start(&self, destination: &str) -> String {
        let run = self
            .admin
            .post(
                &format!("/destinations/{destination}/reverse-run?wait=0"),
                &json!({"confirm": true}),
            )
            .await
            .is(202);
        run["run_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn run_state(&self, run: &str) -> Value {
        self.admin.get(&format!("/runs/{run}")).await.is(200)
    }

    /// Follows a run until it has ended.
    pub(crate) async fn ended(&self, run: &str) -> Value {
        until(&format!("{run} to end"), async || {
            let state = self.run_state(run).await;
            has_ended(&state).then_some(state)
        })
        .await
    }

    /// All that is in a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = self.admin.get(&format!("{path}{separator}limit=500{after}")).await.is(200);
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }
}

pub(crate) fn hubspot_source(simulator: &Simulator) -> Value {
    json!({"name": "HubSpot", "provider": "hubspot", "base_url": simulator.base_url(), "credential": {"access_token": TOKEN},
        // The CRM's limits are not what is tested.
        "limit": {"calls": 100_000, "per_seconds": 10}})
}

pub(crate) fn salesforce_source(simulator: &Simulator) -> Value {
    json!({"name": "Salesforce", "provider": "salesforce", "base_url": simulator.base_url(), "credential": {"access_token": TOKEN}})
}

/// Salesforce's n-th contact.
pub(crate) fn salesforce_contact(n: u64) -> String {
    record_id("003", n)
}

#[track_caller]
pub(crate) fn id(created: &Value) -> String {
    created["id"].as_str().unwrap_or_else(|| panic!("no id in {created}")).to_owned()
}

pub(crate) fn has_ended(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("succeeded" | "failed" | "stopped"))
}

/// Asks until there is an answer; fails if there is none for two minutes.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), asking)
        .await
        .unwrap_or_else(|_| panic!("waited two minutes for {what}"))
}

/// Waits until this many records were written.
pub(crate) async fn written(simulator: &Simulator, count: usize) {
    until(&format!("{count} records to be written"), async || {
        (simulator.world().writes.len() >= count).then_some(())
    })
    .await;
}

/// Waits until this many requests were received.
pub(crate) async fn received(simulator: &Simulator, count: usize) {
    until(&format!("{count} requests"), async || {
        (simulator.world().requests.len() >= count).then_some(())
    })
    .await;
}

/// The first names of contacts that the CRM has by now, of these numbers.
pub(crate) fn renamed(simulator: &Simulator, numbers: std::ops::Range<usize>) -> usize {
    let world = simulator.world();
    numbers
        .filter(|n| {
            world.hubspot.value("contacts", &contact(*n), "firstname") == Some(&format!("New {n}"))
        })
        .count()
}

/// An org, its destination, and a run of so many records that has written some of them and takes
/// its time.
pub(crate) async fn half_written(
    service: &Service,
    simulator: &Simulator,
    records: usize,
) -> (Tenant, String, String) {
    let tenant = Tenant::hubspot(service, simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..records)).await;
    simulator.world().fault(Rule::always(Fault::Latency(100)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    written(simulator, 100).await;
    (tenant, destination, run)
}
