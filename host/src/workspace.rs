//! The library as one value: what a program that embeds it works with.
//!
//! A [`Workspace`] is a plugin, what the operator lets it do, and a folder of plans and journals. A
//! [`Target`] is a destination in it, with its [`Source`]. It plans; the program shows the plan and
//! asks; and only the [`ConfirmedPlan`] that the answer opens can be run.
//!
//! ```no_run
//! use reverse_sync::{
//!     Allowed, Confirmation, Credential, Destination, HowMany, PlanMode, RecordSource, RunSummary,
//!     Workspace,
//! };
//! use std::path::Path;
//!
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! let workspace = Workspace::builder("state")
//!     .plugin_file("plugin.wasm")
//!     .allow(Allowed::Everything)
//!     .open()
//!     .await?;
//! let hubspot = workspace
//!     .source("hubspot")?
//!     .credential_with(|| Ok(Credential::bearer(&std::env::var("HUBSPOT_TOKEN")?)?))
//!     .build()?;
//! let people = Destination::new("people", "hubspot_dest", "person")
//!     .config("provider_id_field", "hs_object_id")
//!     .config("source_id", "src_1")
//!     .config("fields", ["firstname", "city"]);
//! let people = workspace.target(people, &hubspot)?;
//!
//! let records = RecordSource::open("golden/*.csv", Path::new("."), people.record_options())?;
//! let plan = people.plan(PlanMode::Compare, records).await?;
//! println!("{}: {} records would be updated", plan.id(), plan.header().writable);
//! plan.for_each_change(|change| println!("{}: {}", change.provider_id, change.fields))?;
//!
//! // Somebody looks at it and says yes to this plan, by its id.
//! let confirmed = people.confirm(plan.clone(), Confirmation::explicit(plan.id().clone()))?;
//! let done = people
//!     .run(&confirmed)
//!     .verify(HowMany::Sample)
//!     .watch(|watch| println!("{} changes to write", watch.writable))
//!     .await?;
//! println!("{}", serde_json::to_string_pretty(&RunSummary::of(&done))?);
//!
//! // The way back is a plan like any other.
//! let undo = people.undo(&done.report.run_id).await?;
//! # Ok(())
//! # }
//! ```

use crate::{
    check::{self, Check, Checking},
    component::{Allowed, Component, DestinationType, Grant, GrantError},
    destination::Destination,
    digest::Digest,
    engine::{Engine, EngineConfig, EngineError},
    gate::{Confirmation, ConfirmedPlan, Refused},
    ids::{PlanId, RunId},
    journal::Journal,
    passes::{Checks, Done, HowMany, Passes},
    plan::{Plan, PlanError, PlanMode},
    planner::{self, Asking, Planning, PlanningError},
    private_file,
    records::{RecordOptions, Records},
    run::{RunError, Watch},
    source::{Source, SourceBuilder, SourceError},
    stop::StopSignal,
    undo::{self, PastRun, UndoError, Undoing},
};
use std::{
    future::{Future, IntoFuture},
    io,
    num::NonZeroU64,
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

/// A plugin, what it may do, and a folder of plans and journals. Clones share what was compiled.
#[derive(Clone)]
pub struct Workspace {
    component: Component,
    grant: Grant,
    dir: PathBuf,
}

/// Opens a [`Workspace`].
#[must_use]
pub struct WorkspaceBuilder {
    dir: PathBuf,
    plugin: Option<Plugin>,
    allowed: Allowed,
    pinned: Option<Digest>,
    engine: EngineConfig,
}

enum Plugin {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Why a workspace cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No plugin was given.
    #[error("Required: a plugin, with `plugin` or `plugin_file`")]
    NoPlugin,
    /// The plugin cannot be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It is not the one that was pinned.
    #[error("the plugin is {found}, and {pinned} is pinned")]
    OtherPlugin {
        /// The digest of the plugin.
        found: Digest,
        /// The digest that it should have.
        pinned: Digest,
    },
    /// The folder.
    #[error("cannot create {dir}: {error}")]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl WorkspaceBuilder {
    /// The plugin, by its bytes.
    pub fn plugin(self, bytes: impl Into<Vec<u8>>) -> WorkspaceBuilder {
        WorkspaceBuilder { plugin: Some(Plugin::Bytes(bytes.into())), ..self }
    }

    /// The plugin, from a file.
    pub fn plugin_file(self, path: impl Into<PathBuf>) -> WorkspaceBuilder {
        WorkspaceBuilder { plugin: Some(Plugin::File(path.into())), ..self }
    }

    /// What the operator allows the plugin. Reads by GET and updates by default.
    pub fn allow(self, allowed: Allowed) -> WorkspaceBuilder {
        WorkspaceBuilder { allowed, ..self }
    }

    /// Refuses a plugin of another digest than the one that the operator has looked at.
    pub fn pin(self, digest: Digest) -> WorkspaceBuilder {
        WorkspaceBuilder { pinned: Some(digest), ..self }
    }

    /// Bounds of the sandbox, and where compiled plugins are cached.
    pub fn engine(self, config: EngineConfig) -> WorkspaceBuilder {
        WorkspaceBuilder { engine: config, ..self }
    }

    /// Loads the plugin into an engine of its own. A program that opens several workspaces shares
    /// one engine among them with [`Workspace::new`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(self) -> Result<Workspace, OpenError> {
        let engine = Engine::new(self.engine)?;
        let component = match self.plugin.ok_or(OpenError::NoPlugin)? {
            Plugin::Bytes(bytes) => Component::load(&engine, &bytes).await?,
            Plugin::File(path) => Component::load_file(&engine, &path).await?,
        };
        let found = component.digest();
        if let Some(pinned) = self.pinned.filter(|pinned| *pinned != found) {
            return Err(OpenError::OtherPlugin { found, pinned });
        }
        private_file::create_dir(&self.dir)
            .map_err(|error| OpenError::Io { dir: self.dir.clone(), error })?;
        let grant = Grant { component: found, allowed: self.allowed };
        Ok(Workspace::new(component, grant, self.dir))
    }
}

impl Workspace {
    /// Plans and journals are kept in this folder. They contain personal data.
    pub fn builder(dir: impl Into<PathBuf>) -> WorkspaceBuilder {
        WorkspaceBuilder {
            dir: dir.into(),
            plugin: None,
            allowed: Allowed::ReadsAndUpdates,
            pinned: None,
            engine: EngineConfig::default(),
        }
    }

    /// With a plugin that is loaded already.
    pub fn new(component: Component, grant: Grant, dir: impl Into<PathBuf>) -> Workspace {
        Workspace { component, grant, dir: dir.into() }
    }

    /// The plugin.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Where plans are, a folder each.
    pub fn plans_dir(&self) -> PathBuf {
        self.dir.join("plans")
    }

    /// Where journals of runs are.
    pub fn runs_dir(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// Describes a source of this provider, such as `hubspot`.
    ///
    /// # Errors
    /// If the plugin does not serve it.
    pub fn source(&self, provider: &str) -> Result<SourceBuilder, SourceError> {
        let served =
            self.component.descriptor().destinations.iter().find(|it| it.provider == provider);
        let served = served.ok_or_else(|| SourceError::Provider(provider.to_owned()))?;
        Ok(Source::builder(provider, &served.pacing))
    }

    /// A destination and its source.
    ///
    /// # Errors
    /// If the plugin does not serve the destination's type.
    pub fn target(&self, destination: Destination, source: &Source) -> Result<Target, GrantError> {
        self.component.destination_type(&destination.destination_type)?;
        Ok(Target { workspace: self.clone(), destination, source: source.clone() })
    }

    /// A plan that was made before.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or was altered.
    pub fn plan(&self, id: &PlanId) -> Result<Plan, PlanError> {
        Plan::load(&self.plans_dir(), id)
    }

    /// A run that was made before.
    ///
    /// # Errors
    /// If it is not there or is running, or its plan is gone or was altered.
    pub fn past_run(&self, run_id: RunId) -> Result<PastRun, UndoError> {
        PastRun::read(&self.runs_dir(), &self.plans_dir(), run_id)
    }
}

/// A destination in a workspace, with its source.
#[derive(Clone)]
pub struct Target {
    workspace: Workspace,
    destination: Destination,
    source: Source,
}

impl Target {
    /// The destination.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How its golden records are read.
    pub fn record_options(&self) -> RecordOptions {
        self.destination.record_options()
    }

    /// What the plugin says about destinations of its type.
    ///
    /// # Errors
    /// If it does not serve them.
    pub fn destination_type(&self) -> Result<&DestinationType, GrantError> {
        self.workspace.component.destination_type(&self.destination.destination_type)
    }

    /// The dry run: plans these golden records, and keeps the plan. No write can leave; in
    /// [`PlanMode::Offline`] no request at all, and the credential is not looked up. Dropping the
    /// future cancels it.
    ///
    /// # Errors
    /// See [`PlanningError`].
    pub async fn plan(
        &self,
        mode: PlanMode,
        records: impl Records + 'static,
    ) -> Result<Plan, PlanningError> {
        let planning = Planning {
            destination: &self.destination,
            base_url: self.source.base_url(),
            asking: match mode {
                PlanMode::Offline => Asking::Nothing,
                PlanMode::Online => Asking::Metadata(self.source.link()?),
                PlanMode::Compare => Asking::Records(self.source.link()?),
            },
            grant: &self.workspace.grant,
            records: Box::new(records),
            plans_dir: &self.workspace.plans_dir(),
        };
        planner::plan(&self.workspace.component, planning).await
    }

    /// Opens the gate for a plan that somebody said yes to.
    ///
    /// # Errors
    /// If the confirmation is for another plan, a guard has tripped that it does not override, or
    /// the destination, the source, the plugin or the golden records have changed.
    pub fn confirm(
        &self,
        plan: Plan,
        confirmation: Confirmation,
    ) -> Result<ConfirmedPlan, Refused> {
        let component = &self.workspace.component;
        plan.confirm(confirmation, &self.destination, self.source.base_url(), component)
    }

    /// Runs a confirmed plan, or resumes its run. Await it.
    pub fn run<'a>(&'a self, confirmed: &'a ConfirmedPlan) -> Run<'a> {
        Run {
            target: self,
            confirmed,
            checks: Checks::default(),
            stop: StopSignal::new(),
            journal: None,
            watching: Box::new(|_| {}),
        }
    }

    /// Plans the way back from a run. Only reads leave. Dropping the future cancels it.
    ///
    /// # Errors
    /// See [`UndoError`].
    pub async fn undo(&self, run_id: &RunId) -> Result<Plan, UndoError> {
        let (workspace, run_id) = (self.workspace.clone(), run_id.clone());
        let run = tokio::task::spawn_blocking(move || workspace.past_run(run_id));
        let run = run.await.map_err(|error| PlanError::Io(io::Error::other(error)))??;
        self.undo_run(&run).await
    }

    /// The same for a run that was read already.
    ///
    /// # Errors
    /// See [`UndoError`].
    pub async fn undo_run(&self, run: &PastRun) -> Result<Plan, UndoError> {
        let undoing = Undoing {
            run,
            destination: &self.destination,
            grant: &self.workspace.grant,
            link: self.source.link()?,
            plans_dir: &self.workspace.plans_dir(),
        };
        undo::plan(&self.workspace.component, undoing, StopSignal::new()).await
    }

    /// What the plugin says of the destination's configuration. No request leaves, and no record is
    /// read.
    ///
    /// # Errors
    /// If it refuses the configuration ([`PlanningError::is_config`]), or breaks off.
    pub async fn check_config(&self) -> Result<(), PlanningError> {
        let Workspace { component, grant, .. } = &self.workspace;
        planner::check_config(component, &self.destination, grant, self.source.base_url()).await
    }

    /// Says what the credential may do and which account it opens. Only reads leave; an answer may
    /// take so long.
    ///
    /// # Errors
    /// What is wrong with the question. What is wrong with the credential is in the answer.
    pub async fn check(&self, patience: Duration) -> Result<Check, PlanningError> {
        let checking = Checking {
            destination_type: &self.destination.destination_type,
            config_json: self.destination.config_json.clone(),
            grant: &self.workspace.grant,
            link: self.source.link()?,
            patience,
        };
        check::check(&self.workspace.component, checking).await
    }
}

/// A run that is about to begin: await it.
#[must_use = "a run does nothing until it is awaited"]
pub struct Run<'a> {
    target: &'a Target,
    confirmed: &'a ConfirmedPlan,
    checks: Checks,
    stop: StopSignal,
    journal: Option<Journal>,
    watching: Box<dyn FnMut(Watch) + Send + 'a>,
}

impl<'a> Run<'a> {
    /// Writes this many changes first, reads all of them back, and continues only if each has what
    /// was written.
    pub fn canary(mut self, changes: NonZeroU64) -> Run<'a> {
        self.checks.canary = Some(changes);
        self
    }

    /// Reads records back after the run.
    pub fn verify(mut self, how_many: HowMany) -> Run<'a> {
        self.checks.verify = Some(how_many);
        self
    }

    /// Both of them.
    pub fn checks(self, checks: Checks) -> Run<'a> {
        Run { checks, ..self }
    }

    /// Stops between batches when this is set. What is in flight is finished; running the same
    /// plan again resumes it.
    pub fn stop(self, stop: &StopSignal) -> Run<'a> {
        Run { stop: stop.clone(), ..self }
    }

    /// Is told at the beginning where to look for progress. A canary and the rest are told
    /// separately.
    pub fn watch(self, watching: impl FnMut(Watch) + Send + 'a) -> Run<'a> {
        Run { watching: Box::new(watching), ..self }
    }

    /// Keeps its outcomes in this journal, which is in the workspace's folder. By default it is
    /// that of the plan's run that has not finished, or a new one.
    pub fn journal(self, journal: Journal) -> Run<'a> {
        Run { journal: Some(journal), ..self }
    }
}

impl<'a> IntoFuture for Run<'a> {
    type Output = Result<Done, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Run { target, confirmed, checks, stop, .. } = self;
        let Target { workspace, destination, source } = target;
        Box::pin(async move {
            // The gate was opened for one target, and maybe not for this one.
            confirmed.check_target(destination, source.base_url())?;
            confirmed.check_component(&workspace.component)?;
            let (link, runs_dir) = (source.link()?, workspace.runs_dir());
            let journal = match self.journal {
                Some(journal) => journal,
                None => Journal::open(&runs_dir, confirmed.plan().id())?,
            };
            let passes = Passes {
                component: &workspace.component,
                grant: &workspace.grant,
                confirmed,
                runs_dir: &runs_dir,
                link,
                stop,
            };
            passes.all(checks, journal, self.watching).await
        })
    }
}
