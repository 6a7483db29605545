//! What tests, demo and benchmarks share: the real component, plans and runs in a temporary folder;
//! and the service.

pub mod bulk;
pub mod collector;
pub mod crm;
pub mod http;
pub mod oauth;
#[cfg(unix)]
pub mod postgres;
#[cfg(unix)]
pub mod service;
pub mod spec_example;

use reverse_sync::{
    component::{Allowed, Component, Grant},
    destination::Destination,
    egress::{
        Link,
        base_url::BaseUrl,
        credential::Credential,
        pacing::Pacer,
        transport::{Transport, TransportLimits},
    },
    engine::{Engine, EngineConfig},
    gate::{Confirmation, ConfirmedPlan},
    journal::Journal,
    plan::Plan,
    planner::{self, Asking, Planning, PlanningError, Records},
    run::{self, Part, Report, StopSignal, Watch},
};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a program prints, which has to succeed.
#[track_caller]
pub fn printed(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}\n{err}");
    out.into_owned()
}

/// What `cargo xtask` prints for these arguments, with the target folder of this build.
#[track_caller]
pub fn xtask(arguments: &[&str], target: &Path) -> String {
    let mut xtask = std::process::Command::new(env!("CARGO"));
    xtask.arg("xtask").args(arguments).env("CARGO_TARGET_DIR", target);
    xtask.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")));
    // What cargo says of the package of a test would have build scripts run anew.
    for (name, _) in std::env::vars() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"].iter().any(|own| name.starts_with(own)) {
            xtask.env_remove(name);
        }
    }
    printed(&mut xtask)
}

/// Runs each of these on SQLite and on PostgreSQL. A test that is forgotten here is an unused
/// function, which does not compile in CI.
#[macro_export]
macro_rules! on_both {
    ($($(#[$on_sqlite:meta])? $name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                $(#[$on_sqlite])?
                async fn $name() { super::$name($crate::service::Database::Sqlite).await }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                #[ignore = "needs PostgreSQL: .ci/install test"]
                async fn $name() { super::$name($crate::service::Database::Postgres).await }
            )+
        }
    };
}

/// Says a line now, also if all is well: what a passing test prints is not shown.
pub fn say(text: &str) {
    // Whoever does not read it misses nothing else.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A text without the digits of ids, which differ from one state to the next.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut masked = text.to_owned();
    for kind in ["plan_", "run_", "set_", "dst_"] {
        let mut parts = masked.split(kind);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            let is_short = part.len() - rest.len() < 12;
            without.extend([kind, if is_short { part } else { rest }]);
        }
        masked = without;
    }
    masked
}

/// The bundled component.
#[must_use]
pub fn component_file() -> &'static Path {
    Path::new(reverse_sync_component::FILE)
}

/// Loads a component with small budgets and a cache beside it.
///
/// # Errors
/// If it is not a component of the contract.
pub async fn load(file: &Path, config: EngineConfig) -> anyhow::Result<Component> {
    let cache_dir = file.parent().map(|dir| dir.join("cache"));
    let engine = Engine::new(EngineConfig { cache_dir, ..config })?;
    Ok(Component::load_file(&engine, file).await?)
}

/// A destination and everything it needs, in a temporary folder.
pub struct Bench {
    /// The component.
    pub component: Arc<Component>,
    /// The destination.
    pub destination: Destination,
    /// Where the CRM is.
    pub base_url: BaseUrl,
    /// Plans and runs.
    pub state: tempfile::TempDir,
    /// What the component may do.
    pub grant: Grant,
}

impl Bench {
    /// A destination of this type with this `config_json`.
    ///
    /// # Errors
    /// If the base URL is invalid.
    pub fn new(
        component: Arc<Component>,
        base_url: &str,
        destination_type: &str,
        config_json: Value,
    ) -> anyhow::Result<Bench> {
        let Value::Object(config_json) = config_json else {
            anyhow::bail!("config_json is not an object")
        };
        let destination =
            Destination { config_json, ..Destination::new("people", destination_type, "person") };
        let grant = Grant { component: component.digest(), allowed: Allowed::Everything };
        Ok(Bench {
            component,
            destination,
            base_url: BaseUrl::parse(base_url, false)?,
            state: tempfile::tempdir()?,
            grant,
        })
    }

    /// Where plans are kept.
    pub fn plans_dir(&self) -> PathBuf {
        self.state.path().join("plans")
    }

    /// Where journals are kept.
    pub fn runs_dir(&self) -> PathBuf {
        self.state.path().join("runs")
    }

    /// Plans these records.
    ///
    /// # Errors
    /// What the planner says.
    pub async fn plan(&self, records: impl Records + 'static) -> Result<Plan, PlanningError> {
        self.plan_asking(Asking::Nothing, records).await
    }

    /// Plans these records with what the CRM says about them.
    ///
    /// # Errors
    /// What the planner says.
    pub async fn plan_asking(
        &self,
        asking: Asking,
        records: impl Records + 'static,
    ) -> Result<Plan, PlanningError> {
        let plans_dir = self.plans_dir();
        let planning = Planning {
            destination: &self.destination,
            base_url: &self.base_url,
            asking,
            grant: &self.grant,
            records: Box::new(records),
            plans_dir: &plans_dir,
        };
        planner::plan(&self.component, planning).await
    }

    /// Says yes to a plan.
    ///
    /// # Errors
    /// If the gate stays shut.
    pub fn confirm(&self, plan: Plan) -> anyhow::Result<ConfirmedPlan> {
        self.confirm_overriding(plan, &[])
    }

    /// Says yes to a plan despite these guards.
    ///
    /// # Errors
    /// If the gate stays shut.
    pub fn confirm_overriding(&self, plan: Plan, guards: &[&str]) -> anyhow::Result<ConfirmedPlan> {
        let confirmation = Confirmation::explicit(plan.id().clone())
            .overriding(guards.iter().map(|name| (*name).to_owned()));
        Ok(plan.confirm(confirmation, &self.destination, &self.base_url, &self.component)?)
    }

    /// A link to the CRM with a pacer of its own.
    ///
    /// # Errors
    /// If the token is invalid.
    pub fn link(&self, token: &str) -> anyhow::Result<Link> {
        let pacer = Pacer::new(
            &self.component.destination_type(&self.destination.destination_type)?.pacing,
            None,
        );
        self.link_with(token, pacer, TransportLimits::default())
    }

    /// A link that shares a pacer.
    ///
    /// # Errors
    /// If the token is invalid.
    pub fn link_with(
        &self,
        token: &str,
        pacer: Arc<Pacer>,
        limits: TransportLimits,
    ) -> anyhow::Result<Link> {
        self.link_by(Credential::bearer(token)?, pacer, limits)
    }

    /// A link with any credential, which it may share.
    ///
    /// # Errors
    /// If no transport can be had.
    pub fn link_by(
        &self,
        credential: Credential,
        pacer: Arc<Pacer>,
        limits: TransportLimits,
    ) -> anyhow::Result<Link> {
        let transport = Transport::new(&self.base_url, None, limits)?;
        Ok(Link {
            base_url: self.base_url.clone(),
            credential,
            pacer,
            transport,
            observer: None,
            account: None,
        })
    }

    /// Runs a confirmed plan, or takes its run up again.
    ///
    /// # Errors
    /// If it cannot even start.
    pub async fn run(
        &self,
        confirmed: &ConfirmedPlan,
        link: Link,
        stop: StopSignal,
        watching: impl FnOnce(Watch),
    ) -> anyhow::Result<Report> {
        let journal = Journal::open(&self.runs_dir(), confirmed.plan().id())?;
        Ok(run::run(
            &self.component,
            &self.grant,
            confirmed,
            Part::Whole,
            link,
            journal,
            stop,
            watching,
        )
        .await?)
    }
}
