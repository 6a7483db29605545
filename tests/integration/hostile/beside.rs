//! One attack beside a victim: another tenant's ordinary run of the bundled component, in the same
//! engine and on the same thread, with its own CRM and token. It runs again and again until the
//! attack is over, and every run must be as if it were alone.

use super::Log;
use crm_simulator::{Config, Simulator, Token};
use hostile_attacks::Attack;
use reverse_sync::{
    component::Component,
    egress::transport::TransportLimits,
    engine::{Allocation, Engine, EngineConfig},
    run::StopSignal,
};
use reverse_sync_tests::{
    component_file,
    crm::{Crm, Provider, TOKEN, config},
};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// The victim's token, which opens its CRM and no other.
const OTHER_TOKEN: &str = "another-tenants-token";
/// Contacts that the victim updates, and those that its CRM has.
const UPDATED: usize = 25;
const HELD: usize = 30;
/// What a run of the victim takes: one read of the metadata, one update.
const REQUESTS: u64 = 2;

/// Both components in one engine.
pub(super) struct Host {
    pub(super) guest: Arc<Component>,
    bundled: Arc<Component>,
}

impl Host {
    /// One for all tests, on a short leash.
    pub(super) async fn of(allocation: Allocation) -> &'static Host {
        static POOLED: OnceCell<Host> = OnceCell::const_new();
        static ON_DEMAND: OnceCell<Host> = OnceCell::const_new();
        let cell = match allocation {
            Allocation::Pooled => &POOLED,
            Allocation::OnDemand => &ON_DEMAND,
        };
        cell.get_or_init(|| Host::start(allocation)).await
    }

    async fn start(allocation: Allocation) -> Host {
        let file = Path::new(hostile_guest_component::FILE);
        let cache_dir = file.parent().map(|dir| dir.join("cache"));
        let engine = EngineConfig {
            allocation,
            cache_dir,
            max_idle_spin: Duration::from_millis(400),
            max_memory: 8 << 20,
            ..EngineConfig::default()
        };
        let engine = Engine::new(engine).unwrap();
        let load = async |file| Arc::new(Component::load_file(&engine, file).await.unwrap());
        Host { guest: load(file).await, bundled: load(component_file()).await }
    }
}

/// The tenant next door.
pub(super) struct Victim {
    crm: Crm,
    runs: Cell<usize>,
}

impl Victim {
    async fn next_to(host: &Host) -> Victim {
        let config = Config { tokens: vec![Token::new(OTHER_TOKEN)], ..config(HELD) };
        let crm = Crm::of(Arc::clone(&host.bundled), Provider::HubSpot, config, json!({})).await;
        Victim { crm, runs: Cell::new(0) }
    }

    pub(super) fn base_url(&self) -> String {
        self.crm.simulator.base_url()
    }

    /// Runs until the attack is over; one run at least begins before it does, and ends after.
    async fn run_until(&self, over: &Cell<bool>) {
        while !over.get() || self.runs.get() == 0 {
            self.run().await;
        }
    }

    /// One run, of new values each time, that is as it must be.
    async fn run(&self) {
        let number = self.runs.get();
        let name = |n: usize| format!("Run {number} {n}");
        let mut csv = "hs_object_id,firstname\n".to_owned();
        (0..UPDATED)
            .for_each(|n| csv.push_str(&format!("{},{}\n", Provider::HubSpot.id(n), name(n))));
        let untouched: Vec<String> = (UPDATED..HELD).map(|n| self.crm.first_name(n)).collect();
        self.crm.simulator.world().clear_log();

        let confirmed = self.crm.confirm(&csv).await;
        let pacer = self.crm.bench.link(OTHER_TOKEN).unwrap().pacer;
        let link =
            self.crm.bench.link_with(OTHER_TOKEN, pacer, TransportLimits::default()).unwrap();
        let report = self.crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap();

        assert!(report.ok(), "{report:?}");
        assert_eq!(
            (report.counts.updated, report.requests, report.refused),
            (UPDATED as u64, REQUESTS, 0),
            "{report:?}"
        );
        for n in 0..UPDATED {
            assert_eq!(self.crm.first_name(n), name(n));
        }
        assert_eq!((UPDATED..HELD).map(|n| self.crm.first_name(n)).collect::<Vec<_>>(), untouched);
        let world = self.crm.simulator.world();
        assert_eq!(
            (world.requests.len() as u64, world.writes.len(), world.throttled),
            (REQUESTS, UPDATED, 0),
            "{:?}",
            world.requests
        );
        let authorization = format!("Bearer {OTHER_TOKEN}");
        assert!(
            world
                .requests
                .iter()
                .all(|request| request.header("authorization") == Some(&authorization)),
            "{:?}",
            world.requests
        );
        self.runs.set(number + 1);
    }
}

/// The attacker's tenant, and the one next door.
pub(super) struct Scene {
    pub(super) attack: Attack,
    pub(super) crm: Crm,
    pub(super) elsewhere: Simulator,
    pub(super) log: Log,
}

/// What is in a tenant's CRM: the first names of the first ten contacts.
fn names(crm: &Crm) -> Vec<String> {
    (0..10).map(|n| crm.first_name(n)).collect()
}

/// Attacks beside a victim, and looks at everybody's records afterwards. The first three contacts
/// are those of the attacker's plan.
pub(super) async fn beside_a_victim<T>(
    host: &Host,
    attack: Attack,
    attacking: impl AsyncFnOnce(&mut Scene) -> T,
) -> T {
    let victim = Victim::next_to(host).await;
    let elsewhere = Simulator::start(config(0)).await.unwrap();
    let provider =
        if matches!(attack, Attack::Jobs(_)) { Provider::Salesforce } else { Provider::HubSpot };
    let url = format!("{}/crm/v3/objects/contacts/batch/update", victim.base_url());
    let needle: String = TOKEN.chars().rev().collect();
    let more = json!({
        "attack": attack.name(), "url": url, "outside": provider.id(7), "job": "7505t0000000009AAA", "reversed_needle": needle,
    });
    let crm = Crm::of(Arc::clone(&host.guest), provider, config(10), more).await;
    let before = names(&crm);
    let mut scene = Scene { attack, crm, elsewhere, log: Log::default() };
    let writer = scene.log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let over = Cell::new(false);
    let (ended, ()) = {
        // Requests are sent from tasks of the same thread, so that the log of this test is this
        // test's.
        let _default = tracing::subscriber::set_default(subscriber);
        let attacked = async {
            let asked = Instant::now();
            while victim.crm.simulator.world().requests.is_empty() {
                assert!(asked.elapsed() < Duration::from_secs(30), "the victim does not begin");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let ended = attacking(&mut scene).await;
            over.set(true);
            ended
        };
        tokio::join!(attacked, victim.run_until(&over))
    };

    let name = attack.name();
    let (before_outside, after) = (&before[3..], names(&scene.crm));
    assert_eq!(&after[3..], before_outside, "{name}: a record that nobody confirmed");
    for (n, now) in after[..3].iter().enumerate() {
        assert!(
            *now == before[n] || *now == format!("new {}", n + 1),
            "{name}: record {n} holds {now}"
        );
    }
    let world = scene.crm.simulator.world();
    for write in &world.writes {
        let planned = (0..3)
            .find(|n| write.id == provider.id(*n))
            .unwrap_or_else(|| panic!("{name}: {write:?}"));
        let (row, value) =
            (planned + 1, |text: &str| Value::from(format!("{text}{}", planned + 1)));
        let confirmed = match provider {
            Provider::HubSpot => json!({"firstname": format!("new {row}")}),
            Provider::Salesforce => json!({"FirstName": value("new "), "Title": value("t")}),
        };
        assert_eq!(Value::Object(write.fields.clone()), confirmed, "{name}");
    }
    let bearer = format!("Bearer {TOKEN}");
    for request in &world.requests {
        assert_eq!(request.header("authorization"), Some(bearer.as_str()), "{name}");
        assert!(
            request.header("user-agent").is_some_and(|agent| agent.starts_with("reverse-sync/")),
            "{name}: {request:?}"
        );
        for lost in [
            "x-http-method-override",
            "transfer-encoding",
            "upgrade",
            "expect",
            "trailer",
            "cookie",
        ] {
            assert_eq!(request.header(lost), None, "{name}");
        }
    }
    assert_eq!(scene.elsewhere.connections(), 0, "{name}");
    let log = scene.log.text();
    assert!(
        !log.contains(TOKEN) && !log.contains(OTHER_TOKEN) && !log.contains('\u{1b}'),
        "{name}: {log}"
    );
    ended
}
