//! What every request and every job of the service works with.

use super::{
    golden::{GoldenFiles, query::QueryPolicy},
    jobs::Jobs,
    links::Links,
    observe::metrics::Metrics,
    secrets::{Holds, Keyring},
    store::{Member, Store},
};
use crate::component::{Component, Grant};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the link that `serve` prints opens a session.
const LOGIN_CODE_FOR: Duration = Duration::from_secs(15 * 60);

/// Limits of the service as a whole.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of an upload of golden records. 4 GiB by default.
    pub max_upload: u64,
    /// Plans that one org may have made at the same time. 4 by default.
    pub plans_in_parallel: usize,
    /// Runs of one org under way at the same time; more wait. 8 by default.
    pub runs_in_parallel: usize,
    /// Runs under way at the same time; more wait, orgs taking turns. 256 by default.
    pub max_runs: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_upload: 4 << 30, plans_in_parallel: 4, runs_in_parallel: 8, max_runs: 256 }
    }
}

/// The service.
pub struct App {
    pub(super) store: Store,
    pub(super) keyring: Arc<Keyring>,
    pub(super) holds: Holds,
    pub(super) component: Arc<Component>,
    pub(super) grant: Grant,
    pub(super) metrics: Arc<Metrics>,
    pub(super) links: Links,
    pub(super) jobs: Jobs,
    pub(super) query_policy: QueryPolicy,
    pub(super) limits: Limits,
    /// Whether sources may be on this machine. Only where everybody who has a key may reach it anyway.
    pub(super) loopback_sources: bool,
    pub(super) state: PathBuf,
    login_codes: Mutex<HashMap<String, (String, Instant)>>,
}

/// The parts of an [`App`] that come from outside.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    pub(super) component: Component,
    pub(super) grant: Grant,
    pub(super) query_policy: QueryPolicy,
    pub(super) limits: Limits,
    pub(super) loopback_sources: bool,
    pub(super) state: PathBuf,
}

impl App {
    pub(super) fn new(parts: Parts) -> Arc<App> {
        let metrics = Metrics::new();
        metrics.watch(parts.component.engine());
        Arc::new(App {
            store: parts.store,
            keyring: Arc::new(parts.keyring),
            holds: Holds::default(),
            component: Arc::new(parts.component),
            grant: parts.grant,
            metrics,
            links: Links::default(),
            jobs: Jobs::new(&parts.limits),
            query_policy: parts.query_policy,
            limits: parts.limits,
            loopback_sources: parts.loopback_sources,
            state: parts.state,
            login_codes: Mutex::default(),
        })
    }

    fn org_dir(&self, org_id: &str, what: &str) -> PathBuf {
        self.state.join("orgs").join(org_id).join(what)
    }

    /// Where an org's plans are.
    pub(super) fn plans_dir(&self, org_id: &str) -> PathBuf {
        self.org_dir(org_id, "plans")
    }

    /// Where the journals of its runs are.
    pub(super) fn runs_dir(&self, org_id: &str) -> PathBuf {
        self.org_dir(org_id, "runs")
    }

    /// Where the request logs of its runs are.
    pub(super) fn requests_dir(&self, org_id: &str) -> PathBuf {
        self.org_dir(org_id, "requests")
    }

    /// Its golden sets' files.
    pub(super) fn golden_files(&self, org_id: &str) -> io::Result<GoldenFiles> {
        GoldenFiles::open(&self.org_dir(org_id, "golden"))
    }

    /// The folder that its golden sets' files are in.
    pub(super) fn golden_dir(&self, org_id: &str) -> PathBuf {
        self.org_dir(org_id, "golden")
    }

    /// A code that opens one session for this key, for a short time.
    pub fn login_code(&self, member: &Member) -> String {
        let code = super::store::random_id("", 16);
        let mut codes = self.login_codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(code.clone(), (member.key_id.clone(), Instant::now() + LOGIN_CODE_FOR));
        code
    }

    /// The key that a login code stands for. It is used up by this.
    pub(super) fn use_login_code(&self, code: &str) -> Option<String> {
        let mut codes = self.login_codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, (_, until)| *until > Instant::now());
        codes.remove(code).map(|(key_id, _)| key_id)
    }
}

/// Makes a folder that belongs to this user alone.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
