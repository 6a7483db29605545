//! A CRM, a destination in it, and golden records for it, in a line each.

#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "helpers of tests: their names say it, and one that panics has failed"
)]

use crate::{Bench, component_file, load};
use crm_simulator::{Config, Simulator, record_id};
use reverse_sync::{
    component::Component,
    egress::{Link, transport::TransportLimits},
    engine::EngineConfig,
    gate::ConfirmedPlan,
    journal::{self, Ending, Problem},
    plan::Plan,
    planner::{Asking, PlanningError},
    records::{RecordOptions, RecordSource},
    run::{Report, StopSignal},
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// The token of every test.
pub const TOKEN: &str = "test-token";

/// The bundled component, compiled once for all tests.
pub async fn component() -> Arc<Component> {
    static LOADED: OnceCell<Arc<Component>> = OnceCell::const_new();
    let loaded = LOADED
        .get_or_init(|| async {
            Arc::new(load(component_file(), EngineConfig::default()).await.unwrap())
        })
        .await;
    Arc::clone(loaded)
}

/// The component that breaks the rules, on a short leash.
pub async fn hostile_guest() -> Arc<Component> {
    static LOADED: OnceCell<Arc<Component>> = OnceCell::const_new();
    let config = EngineConfig {
        max_idle_spin: Duration::from_millis(400),
        max_memory: 8 << 20,
        ..EngineConfig::default()
    };
    let loaded = LOADED
        .get_or_init(|| async {
            Arc::new(load(Path::new(hostile_guest_component::FILE), config).await.unwrap())
        })
        .await;
    Arc::clone(loaded)
}

/// A simulator and a destination in it.
pub struct Crm {
    pub simulator: Simulator,
    pub bench: Bench,
    provider: Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    HubSpot,
    Salesforce,
}

impl Provider {
    pub fn destination_type(self) -> &'static str {
        match self {
            Provider::HubSpot => "hubspot_dest",
            Provider::Salesforce => "salesforce_dest",
        }
    }

    pub fn id_column(self) -> &'static str {
        match self {
            Provider::HubSpot => "hs_object_id",
            Provider::Salesforce => "Id",
        }
    }

    pub fn first_name(self) -> &'static str {
        match self {
            Provider::HubSpot => "firstname",
            Provider::Salesforce => "FirstName",
        }
    }

    /// The accounts of [`TOKEN`] and of a second token.
    pub fn accounts(self) -> [String; 2] {
        match self {
            Provider::HubSpot => ["2222222".to_owned(), "2222223".to_owned()],
            Provider::Salesforce => [record_id("00D", 0), record_id("00D", 1)],
        }
    }

    /// Where the account is asked for.
    pub fn question(self) -> &'static str {
        match self {
            Provider::HubSpot => "/account-info/v3/details",
            Provider::Salesforce => "/services/data/v67.0/connect/organization",
        }
    }

    pub fn token_path(self) -> &'static str {
        match self {
            Provider::HubSpot => "/oauth/v3/token",
            Provider::Salesforce => "/services/oauth2/token",
        }
    }

    /// Where a run's own requests go.
    pub fn api_path(self) -> &'static str {
        match self {
            Provider::HubSpot => "/crm/",
            Provider::Salesforce => "/services/data/",
        }
    }

    /// The id of the n-th contact that a simulator begins with.
    pub fn id(self, n: usize) -> String {
        match self {
            Provider::HubSpot => (492_564_112_121 + n as u64 * 3).to_string(),
            Provider::Salesforce => record_id("003", n as u64),
        }
    }
}

/// Limits out of the way.
pub fn config(contacts: usize) -> Config {
    Config {
        hubspot_contacts: contacts,
        salesforce_contacts: contacts,
        hubspot_limit: 1_000_000,
        ..Config::default()
    }
}

/// Short deadlines, so that an answer that never comes does not hold a test up.
pub fn impatient() -> TransportLimits {
    TransportLimits {
        connect_timeout: Duration::from_secs(2),
        answer_timeout: Duration::from_millis(1_500),
        ..TransportLimits::default()
    }
}

impl Crm {
    pub async fn hubspot(contacts: usize) -> Crm {
        Crm::with(Provider::HubSpot, config(contacts), json!({})).await
    }

    pub async fn salesforce(contacts: usize) -> Crm {
        Crm::with(Provider::Salesforce, config(contacts), json!({})).await
    }

    /// `more` is added to `config_json`.
    pub async fn with(provider: Provider, config: Config, more: Value) -> Crm {
        Crm::of(component().await, provider, config, more).await
    }

    pub async fn of(
        component: Arc<Component>,
        provider: Provider,
        config: Config,
        more: Value,
    ) -> Crm {
        let simulator = Simulator::start(config).await.unwrap();
        let mut config_json =
            json!({"provider_id_field": provider.id_column(), "source_id": "src_1"});
        for (key, value) in more.as_object().unwrap() {
            config_json[key] = value.clone();
        }
        let bench =
            Bench::new(component, &simulator.base_url(), provider.destination_type(), config_json)
                .unwrap();
        Crm { simulator, bench, provider }
    }

    pub async fn try_plan(&self, csv: &str) -> Result<Plan, PlanningError> {
        self.try_plan_asking(Asking::Nothing, csv).await
    }

    pub async fn try_plan_asking(&self, asking: Asking, csv: &str) -> Result<Plan, PlanningError> {
        std::fs::write(self.bench.state.path().join("golden.csv"), csv).unwrap();
        let records =
            RecordSource::open("golden.csv", self.bench.state.path(), RecordOptions::default())
                .unwrap();
        self.bench.plan_asking(asking, records).await
    }

    pub async fn plan(&self, csv: &str) -> Plan {
        self.try_plan(csv).await.unwrap()
    }

    /// Plans with the CRM's metadata.
    pub async fn plan_online(&self, csv: &str) -> Plan {
        self.try_plan_asking(Asking::Metadata(self.link()), csv).await.unwrap()
    }

    /// Plans with the CRM's metadata and records.
    pub async fn plan_comparing(&self, csv: &str) -> Plan {
        self.try_plan_asking(Asking::Records(self.link()), csv).await.unwrap()
    }

    /// Says yes to a plan and runs it.
    pub async fn run_plan(&self, plan: Plan) -> Report {
        let confirmed = self.bench.confirm(plan).unwrap();
        self.run_confirmed(&confirmed).await
    }

    pub async fn confirm(&self, csv: &str) -> ConfirmedPlan {
        self.bench.confirm(self.plan(csv).await).unwrap()
    }

    pub fn link(&self) -> Link {
        let pacer = self.bench.link(TOKEN).unwrap().pacer;
        self.bench.link_with(TOKEN, pacer, impatient()).unwrap()
    }

    pub async fn run_confirmed(&self, confirmed: &ConfirmedPlan) -> Report {
        self.bench.run(confirmed, self.link(), StopSignal::new(), |_| {}).await.unwrap()
    }

    /// Plans and runs.
    pub async fn run(&self, csv: &str) -> Report {
        let confirmed = self.confirm(csv).await;
        self.run_confirmed(&confirmed).await
    }

    /// Plans and runs records in JSON lines, whose texts may hold anything.
    pub async fn run_jsonl(&self, jsonl: &str) -> Report {
        std::fs::write(self.bench.state.path().join("golden.jsonl"), jsonl).unwrap();
        let records =
            RecordSource::open("golden.jsonl", self.bench.state.path(), RecordOptions::default())
                .unwrap();
        let plan = self.bench.plan(records).await.unwrap();
        self.run_confirmed(&self.bench.confirm(plan).unwrap()).await
    }

    /// `id,first name` for contacts `0..count`: `New 0`, `New 1` …
    pub fn new_names(&self, count: usize) -> String {
        let provider = self.provider;
        let mut csv = format!("{},{}\n", provider.id_column(), provider.first_name());
        for n in 0..count {
            csv.push_str(&format!("{},New {n}\n", provider.id(n)));
        }
        csv
    }

    /// The first name that the CRM holds for contact `n`.
    pub fn first_name(&self, n: usize) -> String {
        let world = self.simulator.world();
        match self.provider {
            Provider::HubSpot => world
                .hubspot
                .value("contacts", &self.provider.id(n), "firstname")
                .unwrap_or_default()
                .to_owned(),
            Provider::Salesforce => world
                .salesforce
                .value("Contact", &self.provider.id(n), "FirstName")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// How many of contacts `0..count` have their new name.
    pub fn renamed(&self, count: usize) -> usize {
        (0..count).filter(|n| self.first_name(*n) == format!("New {n}")).count()
    }

    /// Methods and paths that were received.
    pub fn requests(&self) -> Vec<String> {
        self.simulator
            .world()
            .requests
            .iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }

    /// What was changed in the CRM by a request that could only have been a write.
    pub fn writes(&self) -> usize {
        self.simulator.world().writes.len()
    }
}

/// The changes of a plan: id, fields, values before.
pub fn changes(plan: &Plan) -> Vec<(String, Value, Value)> {
    let mut changes = Vec::new();
    plan.for_each_change(|change| {
        let json = |text: &str| serde_json::from_str(text).unwrap();
        changes.push((
            change.provider_id.to_owned(),
            json(change.fields),
            change.before.map_or(Value::Null, json),
        ));
    })
    .unwrap();
    changes
}

/// Skipped rows of a plan: row, reason, detail.
pub fn skipped(plan: &Plan) -> Vec<(u64, String, String)> {
    let rows = plan.skipped_rows().unwrap().map(Result::unwrap);
    let mut skipped: Vec<_> = rows
        .flat_map(|rows| {
            (0..rows.rows).map(move |n| {
                (rows.first_row + n, rows.reason.clone(), rows.detail.clone().unwrap_or_default())
            })
        })
        .collect();
    skipped.sort();
    skipped
}

/// Problems of a run.
pub fn problems(report: &Report) -> Vec<(Ending, Problem)> {
    problems_in(&report.journal)
}

pub fn problems_in(journal: &Path) -> Vec<(Ending, Problem)> {
    let mut found = Vec::new();
    journal::read(journal, |ending, problem| found.push((ending, problem))).unwrap();
    found
}

/// The one problem of a run.
pub fn problem(report: &Report) -> (Ending, Problem) {
    let mut found = problems(report);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
