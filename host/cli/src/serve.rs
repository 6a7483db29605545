//! `reverse-sync serve`: the service, until it is asked to stop.

use crate::{
    bundled,
    exit::{Exit, Failure, OrExit},
    state::{COMMAND, StateArgs},
    terminal, workspace,
};
use anyhow::{Context, anyhow};
use clap::Args;
use reverse_sync::{
    component::{Allowed, Component, Grant},
    engine::{Engine, EngineConfig},
};
use reverse_sync_service::{
    api,
    app::{App, LocalSources, Settings},
    golden::{GoldenLimits, query::QueryPolicy},
    jobs::execution,
    listen,
    lock::Held,
    retention::{self, Swept},
    scheduler::Limits,
    store::{Quota, Role},
};
use secrecy::ExposeSecret;
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

/// How long runs have to come to the end of their batch when the service is asked to stop. What
/// takes longer is taken up at the next start.
const STOPPING: Duration = Duration::from_secs(60);
/// How often runs are looked for that nobody works on.
const TAKE_UP: Duration = Duration::from_secs(60);
/// How often it is looked whether the state is still this service's alone, and where the audit log
/// ends.
const LOOK: Duration = Duration::from_secs(1);
const KEEP_HEAD: Duration = Duration::from_secs(5);
/// How often keys that were refused are logged, in those steps.
const REFUSED_KEYS: u64 = 12;
/// How long the database may take when the service has ended.
const CLOSING: Duration = Duration::from_secs(5);
/// How often it is looked for what is old.
const SWEEP: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    #[command(flatten)]
    state: StateArgs,
    /// Runs that an org may start within an hour, unless it has a quota of its own
    #[arg(long, value_name = "N", default_value_t = Quota::default().runs_an_hour)]
    runs_an_hour: i64,
    /// Runs that an org may start within 30 days, unless it has a quota of its own
    #[arg(long, value_name = "N", default_value_t = Quota::default().runs_a_month)]
    runs_a_month: i64,
    /// Runs at once; others wait
    #[arg(long, value_name = "N", default_value_t = Limits::default().runs)]
    max_runs: usize,
    /// Runs at once of one org
    #[arg(long, value_name = "N", default_value_t = Limits::default().runs_of_org)]
    max_runs_of_org: usize,
    /// Largest upload of golden records, in bytes
    #[arg(long, value_name = "N", default_value_t = GoldenLimits::default().bytes)]
    max_golden_bytes: u64,
    /// Bytes of plans, runs and golden records that an org may keep, unless it has a quota of its
    /// own
    #[arg(long, value_name = "N", default_value_t = Quota::default().stored_bytes, value_parser = clap::value_parser!(i64).range(0..))]
    max_org_bytes: i64,
    /// Days that a plan is kept that nobody has run, with the golden records that it was made from
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    keep_plans_days: u64,
    /// Let queries for golden records read this PostgreSQL server; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    golden_database: Vec<String>,
    /// Let queries for golden records read SQLite files below this folder; may be given several
    /// times
    #[arg(long, value_name = "DIR")]
    golden_sqlite: Vec<PathBuf>,
    /// Let the sources of all orgs be on this machine or in a private network. Those of a solo org
    /// may, if the service listens on loopback
    #[arg(long)]
    allow_local_sources: bool,
    /// Minutes that a run waits when a daily limit of its CRM is used up, if the CRM does not say
    /// when it is reset
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    limit_wait_minutes: u64,
    /// Start though the state folder or the database was put back to an older state; for once,
    /// after a restore
    #[arg(long)]
    restored: bool,
}

/// An address with a port, `localhost` with one, or a port of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let whole = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("127.0.0.1:{text}"),
        None => text.to_owned(),
    };
    whole.parse().map_err(|_| {
        "give an address and a port, such as 127.0.0.1:8480, or a port alone".to_owned()
    })
}

impl ServeArgs {
    fn settings(&self) -> Result<Settings, Failure> {
        let mut query_policy = QueryPolicy::default();
        for server in &self.golden_database {
            query_policy.allow_database(server).map_err(|error| {
                Failure::new(Exit::Usage, anyhow!("--golden-database: {error}"))
            })?;
        }
        for folder in &self.golden_sqlite {
            query_policy
                .allow_sqlite(folder)
                .with_context(|| format!("--golden-sqlite {}", folder.display()))
                .or_exit(Exit::Usage)?;
        }
        let (runs_an_hour, runs_a_month, stored_bytes) =
            (self.runs_an_hour, self.runs_a_month, self.max_org_bytes);
        Ok(Settings {
            state: self.state.dir()?,
            database: self.state.database.clone(),
            quota: Quota { runs_an_hour, runs_a_month, stored_bytes },
            golden: GoldenLimits { bytes: self.max_golden_bytes, ..GoldenLimits::default() },
            query_policy,
            limits: Limits {
                runs: self.max_runs,
                runs_of_org: self.max_runs_of_org,
                look_again: Duration::from_secs(self.limit_wait_minutes * 60),
                ..Limits::default()
            },
            restored: self.restored,
            local_sources: match (self.allow_local_sources, self.listen.ip().is_loopback()) {
                (true, _) => LocalSources::Everybodys,
                // The one person who uses it is on this machine already.
                (false, true) => LocalSources::Solo,
                (false, false) => LocalSources::Nobodys,
            },
        })
    }
}

pub(crate) async fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let settings = args.settings()?;
    allow_many_files();
    let component = load(&settings.limits).await.or_exit(Exit::Usage)?;
    let grant = Grant { component: component.digest(), allowed: Allowed::Everything };
    // First of all: whoever cannot listen touches nothing of a service that does.
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::Usage)?;
    let address = listener.local_addr().or_exit(Exit::Usage)?;
    let app =
        App::open(settings, component, grant, bundled::COMPONENT).await.or_exit(Exit::Usage)?;
    let resumed = execution::take_up(&app).await.or_exit(Exit::Usage)?;
    let welcome =
        if address.ip().is_loopback() { welcome(&app, address).await? } else { String::new() };
    let asked_to_stop = Signals::catch().or_exit(Exit::Usage)?;
    // Whoever reads this may rely on it: the database has answered all that the start asks of it,
    // and the service can be stopped in order.
    terminal::print(format_args!("listening on http://{address}\n"));
    if resumed > 0 {
        terminal::print(format_args!("resuming {resumed} runs that had not ended\n"));
    }
    terminal::print(format_args!("{welcome}"));
    let keeping = [
        tokio::spawn(sweep(
            Arc::clone(&app),
            Duration::from_secs(args.keep_plans_days * 24 * 3600),
        )),
        tokio::spawn(take_up(Arc::clone(&app))),
        tokio::spawn(keep_head(Arc::clone(&app))),
    ];
    let served = until_asked_to_stop(&app, listener, asked_to_stop).await;
    for task in keeping {
        task.abort();
    }
    if let Ok(Err(error)) = tokio::time::timeout(CLOSING, app.store.log_refused_keys()).await {
        tracing::warn!(%error, "keys that were refused cannot be logged");
    }
    keep_head_now(&app).await;
    if tokio::time::timeout(CLOSING, app.store.close()).await.is_err() {
        tracing::warn!("the database does not answer; its connections are left");
    }
    served.or_exit(Exit::Usage)?;
    Ok(Exit::Ok)
}

async fn load(limits: &Limits) -> anyhow::Result<Component> {
    let max_instances = u32::try_from(limits.instances()).context("--max-runs is too large")?;
    let engine = Engine::new(EngineConfig {
        max_instances,
        cache_dir: workspace::cache_dir(),
        ..EngineConfig::default()
    })?;
    Ok(Component::load(&engine, bundled::COMPONENT).await?)
}

/// For one person on their own machine: an org, a key that is shown once, and a link that signs in.
async fn welcome(app: &App, address: SocketAddr) -> Result<String, Failure> {
    let mut said = String::new();
    let orgs = app.store.orgs().await.or_exit(Exit::Usage)?;
    let key_id = if orgs.is_empty() {
        let name = ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .unwrap_or_else(|| "me".to_owned());
        let org_id = app.store.add_org(&name, true, COMMAND).await.or_exit(Exit::Usage)?;
        let key = app
            .store
            .add_key(&org_id, &name, "made by serve", Role::Admin, COMMAND)
            .await
            .or_exit(Exit::Usage)?;
        said = format!("API key, shown this once: {}\n", key.api_key.expose_secret());
        key.row.key_id
    } else {
        let Some((org_id, _, _)) = orgs.into_iter().find(|(_, _, solo)| *solo) else {
            return Ok(said);
        };
        let keys = app.store.keys(&org_id).await.or_exit(Exit::Usage)?;
        let mut keys = keys.into_iter().flatten();
        let Some(key) = keys.find(|key| key.role == Role::Admin) else { return Ok(said) };
        key.key_id
    };
    let code = app.login_codes.make(&key_id);
    said.push_str(&format!(
        "open http://{address}/#login={} (it works once, within the hour)\n",
        code.expose_secret()
    ));
    Ok(said)
}

/// What asks the service to stop, from here on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_asked_to_stop(
    app: &Arc<App>,
    listener: TcpListener,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let answering = tokio::spawn(listen::answer(
        listener,
        api::router(Arc::clone(app)),
        app.ending.subscribe(),
    ));
    let held = tokio::select! {
        () = signals.asked() => true,
        () = until_lost(app) => false,
    };
    // Whoever asks again does not want to wait.
    tokio::spawn(async move {
        signals.asked().await;
        tracing::warn!("stopping at once; interrupted runs resume at the next start");
        std::process::exit(Exit::Interrupted as i32);
    });
    tracing::info!("stopping: runs come to the end of their batch");
    app.ending.send_replace(true);
    if tokio::time::timeout(STOPPING, app.jobs.shut_down()).await.is_err() {
        tracing::warn!(
            "some runs are still waiting for the CRM; the next start continues with them"
        );
    }
    answering.await?;
    anyhow::ensure!(
        held,
        "another `reverse-sync serve` has taken this state over; one at a time may"
    );
    Ok(())
}

/// Returns when the state is another service's. While nobody can tell, runs pause.
async fn until_lost(app: &App) {
    while app.look_at_lock().await != Held::Taken {
        tokio::time::sleep(LOOK).await;
    }
}

async fn keep_head_now(app: &App) {
    if let Ok(Err(error)) = tokio::time::timeout(CLOSING, app.keep_head()).await {
        tracing::warn!(%error, "the end of the audit log cannot be kept in the state folder");
    }
}

/// Keeps the end of the audit log outside the database.
async fn keep_head(app: Arc<App>) {
    for number in 0_u64.. {
        if number.is_multiple_of(REFUSED_KEYS)
            && let Err(error) = app.store.log_refused_keys().await
        {
            tracing::warn!(%error, "keys that were refused cannot be logged");
        }
        keep_head_now(&app).await;
        tokio::time::sleep(KEEP_HEAD).await;
    }
}

/// Each run has a few connections and files: as many as the system lets this process have.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Takes up what nobody works on, though the store says that it is running.
async fn take_up(app: Arc<App>) {
    loop {
        tokio::time::sleep(TAKE_UP).await;
        match execution::take_up(&app).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "runs were taken up that nobody worked on"),
            Err(error) => tracing::warn!(%error, "runs that nobody works on cannot be looked for"),
        }
    }
}

/// Removes what is older than it is kept.
async fn sweep(app: Arc<App>, keep_plans: Duration) {
    loop {
        match retention::sweep(&app, keep_plans).await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(Swept { plans, set_aside, golden_sets, request_logs }) => {
                tracing::info!(
                    plans,
                    set_aside,
                    golden_sets,
                    request_logs,
                    "what was old was removed"
                );
            }
            Err(error) => tracing::warn!(%error, "what is old cannot be removed"),
        }
        tokio::time::sleep(SWEEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for text in ["8480", "localhost:8480", "127.0.0.1:8480"] {
            assert_eq!(address(text).map(|it| it.to_string()), Ok("127.0.0.1:8480".to_owned()));
        }
        assert!(address("[::1]:80").is_ok());
        for text in ["", "99999", "crm.example:80", "localhost"] {
            assert!(address(text).is_err_and(|said| said.contains("127.0.0.1:8480")), "{text}");
        }
    }
}
