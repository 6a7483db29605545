//! The service as one value: what its routes and its jobs work with.

use super::{
    golden::{GoldenFiles, GoldenLimits, query::QueryPolicy},
    jobs::{Jobs, Limits},
    links::{self, LinkError, Links, SourceSettings},
    lock::{Lock, LockError},
    login_codes::LoginCodes,
    observe::metrics::Metrics,
    secrets::{Holds, KEYS_VARIABLE, Keyring, KeysError, SharedKeyring},
    storage::Storage,
    store::{Quota, SourceRow, Store, StoreError},
};
use crate::{
    component::{Component, DestinationType, Grant},
    egress::{Link, base_url::BaseUrl},
};
use axum::extract::FromRef;
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
    /// Whose sources may be on the service's own machine or in a private network.
    pub local_sources: LocalSources,
}

/// Whose sources may be on the service's own machine or in a private network. Whoever may have such a source can reach what listens there.
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
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is under way.
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
    _lock: Lock,
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
    /// Another service.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// State that lasts, as the command's own parts use it too: the store, and the keys to what is sealed in it.
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
        private_dir(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let database = database.map_or_else(|| Store::file_url(&dir.join("reverse-sync.db")), str::to_owned);
        let store = Store::open(&database).await?;
        let file = dir.join("keys");
        if std::env::var_os(KEYS_VARIABLE).is_none() && !file.exists() {
            let stored = store.sealed_credentials().await?.len();
            if stored > 0 {
                return Err(StartError::KeysGone { file, stored });
            }
        }
        Ok(State { store, keyring: Keyring::load(&file)?, dir, database })
    }
}

impl App {
    /// Makes the service of its state. Nothing is under way yet: see [`Jobs::take_up`](crate::server::jobs::Jobs::take_up).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(settings: Settings, component: Component, grant: Grant) -> Result<Arc<App>, StartError> {
        let State { store, keyring, dir: state, database } = State::open(&settings.state, settings.database.as_deref()).await?;
        let lock = Lock::take(&state, &store, &database).await?;
        let store = store.with_default_quota(settings.quota);
        let failed = |error| StartError::State { dir: settings.state.clone(), error };
        private_dir(&state.join("orgs")).map_err(failed)?;
        for (org_id, _, _) in store.orgs().await? {
            // What a crash has left of uploads.
            GoldenFiles::open(&OrgFolder(state.join("orgs").join(org_id)).golden()).and_then(|files| files.sweep()).map_err(failed)?;
        }
        let mut query_policy = settings.query_policy;
        query_policy.protect_folder(&state).map_err(failed)?;
        query_policy.protect_database(&database).map_err(|error| StartError::Database(error.to_string()))?;
        let metrics = Metrics::new();
        metrics.watch(component.engine());
        let (keyring, holds) = (SharedKeyring::new(keyring), Holds::default());
        let links = Links::new(store.clone(), keyring.clone(), holds.clone());
        Ok(Arc::new(App {
            store,
            keyring,
            holds,
            links,
            component,
            grant,
            metrics,
            jobs: Jobs::new(settings.limits),
            login_codes: LoginCodes::default(),
            golden_limits: settings.golden,
            storage: Storage::new(state.join("orgs")),
            query_policy,
            local_sources: settings.local_sources,
            solo: Mutex::default(),
            _lock: lock,
            ending: watch::Sender::new(false),
            state,
        }))
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
        let served = self.served(&source.provider).ok_or_else(|| LinkError::Provider(source.provider.clone()))?;
        self.links.link(org_id, source, &served.pacing, self.local_sources(org_id).await?)
    }

    /// Where a source is, by its settings.
    ///
    /// # Errors
    /// If it may not be there, or its settings make no sense.
    pub async fn base_url(&self, org_id: &str, provider: &str, settings: &SourceSettings) -> Result<BaseUrl, LinkError> {
        links::base_url(provider, settings, self.local_sources(org_id).await?)
    }

    async fn local_sources(&self, org_id: &str) -> Result<bool, StoreError> {
        match self.local_sources {
            LocalSources::Everybodys => return Ok(true),
            LocalSources::Nobodys => return Ok(false),
            LocalSources::Solo => {}
        }
        // Each statement leaves the map consistent, so a poisoned lock is still good.
        let known = self.solo.lock().unwrap_or_else(PoisonError::into_inner).get(org_id).copied();
        if let Some(solo) = known {
            return Ok(solo);
        }
        let solo = self.store.org(org_id).await?.is_some_and(|(_, solo)| solo);
        self.solo.lock().unwrap_or_else(PoisonError::into_inner).insert(org_id.to_owned(), solo);
        Ok(solo)
    }
}

impl FromRef<Arc<App>> for Store {
    fn from_ref(app: &Arc<App>) -> Store {
        app.store.clone()
    }
}

/// Where the files of one org are.
#[derive(Clone, Debug)]
pub struct OrgFolder(PathBuf);

impl OrgFolder {
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

    /// Request logs of runs.
    pub fn requests(&self) -> PathBuf {
        self.0.join("requests")
    }
}

/// Makes a folder that nobody else may look into. One that is there already is left as its owner wants it.
fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
