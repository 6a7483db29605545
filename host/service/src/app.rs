//! The service as one value: what its routes and its jobs work with.

use super::{
    audit_key::AuditKey,
    components::Components,
    golden::{GoldenFiles, GoldenLimits, query::QueryPolicy},
    links::{self, LinkError, Links},
    lock::{Held, Lock, LockError},
    login_codes::LoginCodes,
    observe::metrics::Metrics,
    scheduler::{Jobs, Limits},
    secrets::{Holds, KEYS_VARIABLE, Keyring, KeysError, SharedKeyring},
    state_file::{Differs, StateFile},
    storage::Storage,
    store::{
        AuditEntry, Head, Quota, ServiceState, SourceRow, SourceSettings, Store, StoreError,
        Unreadable,
    },
};
use axum::extract::FromRef;
use parking_lot::Mutex;
use reverse_sync::{
    component::{Component, DestinationType, Grant},
    component_files::ComponentFiles,
    egress::{Link, base_url::BaseUrl},
    journal::{Journal, JournalError},
    private_file,
    source::SourceError,
    workspace::Workspace,
};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// What the operator decides.
pub struct Settings {
    /// The folder of its state; everything but the database, if that is a server.
    pub state: PathBuf,
    /// The database's URL; SQLite in the state folder if there is none.
    pub database: Option<String>,
    /// What an org may do that has no quota of its own.
    pub quota: Quota,
    /// How much golden records are taken.
    pub golden: GoldenLimits,
    /// Which databases a query may read.
    pub query_policy: QueryPolicy,
    /// How much is worked on at once.
    pub limits: Limits,
    /// Starts though folder and database are not of one time: one of them was put back on purpose.
    pub restored: bool,
    /// Whose sources may be on the service's own machine or in a private network.
    pub local_sources: LocalSources,
}

/// Whose sources may be on the service's own machine or in a private network. Whoever may have such
/// a source can reach what listens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSources {
    /// All tenants are trusted with the service's network.
    Everybodys,
    /// Those of orgs of one person: of a service that only people of its own machine reach.
    Solo,
    /// None.
    Nobodys,
}

/// The service.
pub struct App {
    /// What lasts.
    pub store: Store,
    /// What seals credentials.
    pub keyring: SharedKeyring,
    /// Who works on a source's credential.
    pub holds: Holds,
    /// The ways to the CRMs.
    pub links: Links,
    /// What plans and runs.
    pub component: Component,
    /// What it may do.
    pub grant: Grant,
    /// Those that it was started with before.
    pub components: Components,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is running.
    pub jobs: Jobs,
    /// Codes of the link that the command prints.
    pub login_codes: LoginCodes,
    /// How much golden records are taken.
    pub golden_limits: GoldenLimits,
    /// How much each org keeps.
    pub storage: Storage,
    /// Which databases a query may read.
    pub query_policy: QueryPolicy,
    local_sources: LocalSources,
    /// Whether orgs are of one person, as far as it was asked for. It never changes.
    solo: Mutex<HashMap<String, bool>>,
    lock: tokio::sync::Mutex<Lock>,
    epoch: i64,
    state_id: String,
    /// The end of the audit log that the folder knows of.
    head: tokio::sync::Mutex<Head>,
    /// Turns true when the service is about to end, so that nobody waits on.
    pub ending: watch::Sender<bool>,
    state: PathBuf,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder.
    #[error("cannot use the state folder {dir}: {error}")]
    State {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Credentials are stored, and what opens them is gone.
    #[error(
        "there are no keys at {file}, but {stored} credentials were sealed with some; put the file back, or set {KEYS_VARIABLE}. New keys would open none of them"
    )]
    KeysGone {
        /// Where they should be.
        file: PathBuf,
        /// How many credentials there are.
        stored: usize,
    },
    /// The database's URL.
    #[error("--database: {0}")]
    Database(String),
    /// Folder and database are not of one time.
    #[error(
        "{0}. If one of them was put back from a backup on purpose, start once with --restored: runs that had not ended then read from the CRM what they have written. Nothing was changed"
    )]
    Differs(Differs),
    /// A run that may have done more than its journal says.
    #[error("a run cannot be put in doubt: {0}")]
    Doubt(JournalError),
    /// A run of which it is not known which one it is.
    #[error(
        "{0}, so the run cannot be put in doubt; repair this row or delete it, then start with --restored again"
    )]
    DoubtUnreadable(Unreadable),
    /// Another service.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// State that lasts, as the command's own parts use it too: the store, and the keys to what is
/// sealed in it.
pub struct State {
    /// The store.
    pub store: Store,
    /// The keys.
    pub keyring: Keyring,
    /// The folder.
    pub dir: PathBuf,
    /// The database's URL.
    pub database: String,
}

impl State {
    /// Opens what there is, and makes what there is not.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(dir: &Path, database: Option<&str>) -> Result<State, StartError> {
        let failed = |error| StartError::State { dir: dir.to_owned(), error };
        private_file::create_dir(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let database =
            database.map_or_else(|| Store::file_url(&dir.join("reverse-sync.db")), str::to_owned);
        let store = Store::open(&database).await?;
        let file = dir.join("keys");
        if std::env::var_os(KEYS_VARIABLE).is_none() && !file.exists() {
            let stored = store.sealed_credentials().await?.len();
            if stored > 0 {
                return Err(StartError::KeysGone { file, stored });
            }
        }
        let keyring = Keyring::load(&file)?;
        let store = store.signed_by(Arc::new(AuditKey(SharedKeyring::new(keyring.clone()))));
        Ok(State { store, keyring, dir, database })
    }
}

impl App {
    /// Opens the service on its state, with a component and its bytes. No run is started yet: see
    /// [`take_up`](crate::jobs::execution::take_up).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        settings: Settings,
        component: Component,
        grant: Grant,
        bytes: &[u8],
    ) -> Result<Arc<App>, StartError> {
        let State { store, keyring, dir: state, database } =
            State::open(&settings.state, settings.database.as_deref()).await?;
        let lock = Lock::take(&state, &store, &database).await?;
        let store = store.with_default_quota(settings.quota);
        let failed = |error| StartError::State { dir: settings.state.clone(), error };
        private_file::create_dir(&state.join("orgs")).map_err(failed)?;
        for (org_id, _, _) in store.orgs().await? {
            // What a crash has left of uploads.
            GoldenFiles::open(&OrgFolder(state.join("orgs").join(org_id)).golden())
                .and_then(|files| files.sweep())
                .map_err(failed)?;
        }
        let mut query_policy = settings.query_policy;
        query_policy.protect_folder(&state).map_err(failed)?;
        query_policy
            .protect_database(&database)
            .map_err(|error| StartError::Database(error.to_string()))?;
        let files = ComponentFiles::new(state.join("components"));
        let components =
            Components::keep(files, store.clone(), &component, bytes).await.map_err(failed)?;
        let database_state = store.service_state().await?;
        let epoch = begin(&store, &state, &database_state, settings.restored).await?;
        let metrics = Metrics::new();
        metrics.watch(component.engine());
        let (keyring, holds) = (SharedKeyring::new(keyring), Holds::default());
        let store = store.signed_by(Arc::new(AuditKey(keyring.clone())));
        let links =
            Links::new(store.clone(), keyring.clone(), holds.clone(), settings.limits.look_again);
        Ok(Arc::new(App {
            store,
            keyring,
            holds,
            links,
            component,
            grant,
            components,
            jobs: Jobs::new(settings.limits, Arc::clone(&metrics)),
            metrics,
            login_codes: LoginCodes::default(),
            golden_limits: settings.golden,
            storage: Storage::new(state.join("orgs")),
            query_policy,
            local_sources: settings.local_sources,
            solo: Mutex::default(),
            lock: tokio::sync::Mutex::new(lock),
            epoch,
            state_id: database_state.state_id,
            head: tokio::sync::Mutex::default(),
            ending: watch::Sender::new(false),
            state,
        }))
    }

    /// Whether the state is still this service's alone. Runs pause while it is not.
    pub async fn look_at_lock(&self) -> Held {
        let mut lock = self.lock.lock().await;
        let mut held = Held::Yes;
        if !lock.is_held().await {
            if self.jobs.pause(true) {
                tracing::error!(
                    "the lock on the database is lost: runs pause until it is held again"
                );
            }
            held = lock.take_again(&self.store).await;
        }
        match held {
            Held::Yes if self.jobs.pause(false) => {
                tracing::info!("the lock on the database is held again: runs continue")
            }
            Held::Taken => tracing::error!("another service has taken the database over"),
            Held::Yes | Held::NotNow => {}
        }
        held
    }

    /// Keeps the end of the audit log outside the database too: in the folder, in the log and as a
    /// metric.
    ///
    /// # Errors
    /// If the database or the disk refuses.
    pub async fn keep_head(&self) -> Result<(), StartError> {
        let mut kept = self.head.lock().await;
        let head = self.store.audit_head().await?;
        if *kept == head {
            return Ok(());
        }
        let file =
            StateFile { state_id: self.state_id.clone(), epoch: self.epoch, audit: head.clone() };
        let dir = self.state.clone();
        let kept_there = tokio::task::spawn_blocking(move || file.keep(&dir))
            .await
            .map_err(io::Error::other)
            .and_then(|kept| kept);
        if !kept_there.map_err(|error| StartError::State { dir: self.state.clone(), error })? {
            return Ok(());
        }
        self.metrics.audit_rows(head.seq);
        tracing::info!(seq = head.seq, hash = head.hash, "the end of the audit log");
        *kept = head;
        Ok(())
    }

    /// The plans and runs of an org, as the library sees them. A call may take so long.
    pub(crate) fn workspace(&self, org_id: &str, deadline: Duration) -> Workspace {
        let component = self.component.with_deadline(deadline);
        Workspace::new(component, self.grant.clone(), self.folder(org_id).0)
    }

    /// Where the files of an org are.
    pub fn folder(&self, org_id: &str) -> OrgFolder {
        OrgFolder(self.orgs_dir().join(org_id))
    }

    /// Where the folders of all orgs are.
    pub fn orgs_dir(&self) -> PathBuf {
        self.state.join("orgs")
    }

    /// The destination type for sources of this provider.
    pub fn served(&self, provider: &str) -> Option<&DestinationType> {
        self.component.descriptor().destinations.iter().find(|served| served.provider == provider)
    }

    /// The way to a source's CRM.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn link(&self, org_id: &str, source: &SourceRow) -> Result<Link, LinkError> {
        let served = self
            .served(&source.provider)
            .ok_or_else(|| SourceError::Provider(source.provider.clone()))?;
        self.links.link(org_id, source, &served.pacing, self.local_sources(org_id).await?)
    }

    /// Where a source is, by its settings.
    ///
    /// # Errors
    /// If it may not be there, or its settings make no sense.
    pub async fn base_url(
        &self,
        org_id: &str,
        provider: &str,
        settings: &SourceSettings,
    ) -> Result<BaseUrl, LinkError> {
        links::base_url(provider, settings, self.local_sources(org_id).await?)
    }

    async fn local_sources(&self, org_id: &str) -> Result<bool, StoreError> {
        match self.local_sources {
            LocalSources::Everybodys => return Ok(true),
            LocalSources::Nobodys => return Ok(false),
            LocalSources::Solo => {}
        }
        // Each statement leaves the map consistent, so it is good after a panic, too.
        let known = self.solo.lock().get(org_id).copied();
        if let Some(solo) = known {
            return Ok(solo);
        }
        let solo = self.store.org(org_id).await?.is_some_and(|(_, solo)| solo);
        self.solo.lock().insert(org_id.to_owned(), solo);
        Ok(solo)
    }
}

impl FromRef<Arc<App>> for Store {
    fn from_ref(app: &Arc<App>) -> Store {
        app.store.clone()
    }
}

/// Begins on a state whose folder and database belong together, or were put back on purpose. The
/// number of this start.
async fn begin(
    store: &Store,
    dir: &Path,
    database: &ServiceState,
    restored: bool,
) -> Result<i64, StartError> {
    let failed = |error| StartError::State { dir: dir.to_owned(), error };
    let file = StateFile::read(dir).map_err(failed)?;
    let differs = StateFile::differs(file.as_ref(), database, store).await?;
    let mut log = Vec::new();
    match differs {
        Some(differs) if !restored => return Err(StartError::Differs(differs)),
        Some(differs) => {
            tracing::warn!("{differs}; what runs have written by now is read from the CRM");
            // Before anything says that all is well: a start that breaks off here does it again.
            for pending in store.pending_runs().await? {
                match pending {
                    Ok((org_id, run_id, plan)) => {
                        let runs_dir = OrgFolder(dir.join("orgs").join(org_id)).runs();
                        Journal::doubt(&runs_dir, run_id, &plan).map_err(StartError::Doubt)?;
                    }
                    // Once its row is repaired it would resume as if nothing had been restored.
                    Err(error) => return Err(StartError::DoubtUnreadable(error)),
                }
            }
            let detail = serde_json::json!({ "differs": differs.to_string(), "folder": file });
            log.push(AuditEntry::new("", "serve --restored", "state.restored", &detail));
        }
        None => {}
    }
    let epoch = database.epoch + 1;
    // The file first: a start that breaks off here leaves it one ahead, which the next one knows.
    StateFile { state_id: database.state_id.clone(), epoch, audit: store.audit_head().await? }
        .write(dir)
        .map_err(failed)?;
    store.begin_service(database.epoch, &log).await?;
    Ok(epoch)
}

/// Where the files of one org are.
#[derive(Clone, Debug)]
pub struct OrgFolder(PathBuf);

impl OrgFolder {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Plans, a folder each.
    pub fn plans(&self) -> PathBuf {
        self.0.join("plans")
    }

    /// Journals of runs.
    pub fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// Golden sets.
    pub fn golden(&self) -> PathBuf {
        self.0.join("golden")
    }

    /// What was found beside them that no row knows, and was set aside.
    pub fn strays(&self) -> PathBuf {
        self.0.join("strays")
    }

    /// Request logs of runs.
    pub fn requests(&self) -> PathBuf {
        self.0.join("requests")
    }
}
