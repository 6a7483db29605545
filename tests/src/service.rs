//! The service as its users have it: the real program, with a state folder and a database of its
//! own.

use crate::{
    http::{Client, Place},
    postgres::Postgres,
};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);

/// Where the service keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file in the state folder.
    Sqlite,
    /// A server.
    Postgres,
}

/// A service, which ends when this is dropped.
#[derive(Debug)]
pub struct Service {
    place: Arc<Place>,
    database: Database,
    url: Option<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    printed: Arc<Mutex<Vec<String>>>,
    /// What its log is called.
    log: String,
    dir: Arc<tempfile::TempDir>,
}

/// A tenant of it.
#[derive(Debug)]
pub struct Org {
    /// Such as `org_…`.
    pub id: String,
    /// Its first key, an admin's.
    pub admin: Client,
}

impl Service {
    /// A service without an org, with these arguments in addition to its own and these variables.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(
        program: &Path,
        database: Database,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        let url = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::shared()?.database().await?),
        };
        let mut service = Service::new(program, url, arguments, environment)?;
        service.start_again().await?;
        Ok(service)
    }

    /// A service that has not been started, on a new state and on the PostgreSQL database with this
    /// URL, or else SQLite.
    ///
    /// # Errors
    /// If there is no such program, or no folder can be made.
    pub fn new(
        program: &Path,
        url: Option<String>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        ensure!(program.is_file(), "{} is not built; run `cargo xtask test`", program.display());
        let dir = tempfile::Builder::new().prefix("reverse-sync-service-").tempdir()?;
        let database = if url.is_some() { Database::Postgres } else { Database::Sqlite };
        Ok(Service {
            place: Arc::default(),
            database,
            url,
            arguments: [program.to_str().context("a path that is not text")?]
                .iter()
                .chain(arguments)
                .map(|text| (*text).to_owned())
                .collect(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            child: None,
            printed: Arc::default(),
            log: "log".to_owned(),
            dir: Arc::new(dir),
        })
    }

    /// Another service on the same state, which has not been started. It may reach the database by
    /// another URL.
    #[must_use]
    pub fn beside(&self, url: Option<String>) -> Service {
        let (arguments, environment, dir) =
            (self.arguments.clone(), self.environment.clone(), Arc::clone(&self.dir));
        let log = format!("{}+", self.log);
        Service {
            place: Arc::default(),
            database: self.database,
            url,
            arguments,
            environment,
            child: None,
            printed: Arc::default(),
            log,
            dir,
        }
    }

    /// Starts it on the state that it has, after [`Service::kill`] or [`Service::stop`].
    ///
    /// # Errors
    /// If it does not say within two minutes where it listens.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.start_with(&[]).await
    }

    /// As [`Service::start_again`], with these arguments for this once.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(&mut self, once: &[&str]) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "it is running");
        let log = File::options().append(true).create(true).open(self.log_file())?;
        let mut child = self
            .command(&["serve", "--listen", "127.0.0.1:0", "--allow-local-sources"])
            .args(&self.arguments[1..])
            .args(once)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the service")?;
        let mut lines =
            BufReader::new(child.stdout.take().context("it has no standard output")?).lines();
        let printed = Arc::clone(&self.printed);
        let print =
            move |line: String| printed.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                let address =
                    line.split_once("listening on ").map(|(_, address)| address.trim().to_owned());
                print(line);
                if let Some(address) = address {
                    return Ok(address);
                }
            }
            bail!("it ended: {}", self.log())
        };
        let address = match tokio::time::timeout(START, listening).await {
            Ok(address) => address?,
            Err(_) => bail!(
                "it did not say where it listens within {} s: {}",
                START.as_secs(),
                self.log()
            ),
        };
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                print(line);
            }
        });
        self.place.moved_to(&address);
        self.child = Some(child);
        Ok(())
    }

    /// From its next start on, it is this program.
    ///
    /// # Errors
    /// If its path is not text.
    pub fn becomes(&mut self, program: &Path) -> anyhow::Result<()> {
        program.to_str().context("a path that is not text")?.clone_into(&mut self.arguments[0]);
        Ok(())
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// If it is not running.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it is not running")?;
        child.kill().await?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has; says whether it ended well.
    ///
    /// # Errors
    /// If it is not running, or does not stop.
    pub async fn stop(&mut self) -> anyhow::Result<bool> {
        let mut child = self.child.take().context("it is not running")?;
        let id = child.id().context("it has ended")?;
        ensure!(
            Command::new("kill").arg(id.to_string()).status().await?.success(),
            "cannot signal it"
        );
        let status =
            tokio::time::timeout(START, child.wait()).await.context("it does not stop")??;
        Ok(status.success())
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sends it a signal, such as those that freeze it and let it continue.
    ///
    /// # Errors
    /// If it is not running.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self
            .process_id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .context("it is not running")?;
        Ok(kill_process(id, signal)?)
    }

    /// The number of its process.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// The program with these arguments, on this state and this database.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.arguments[0]);
        command.args(arguments).arg("--state").arg(self.state());
        if let Some(url) = &self.url {
            command.args(["--database", url]);
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        // What is compiled once is compiled for all tests.
        command.env("REVERSE_SYNC_CACHE_DIR", crate::component_file().with_file_name("cache"));
        command
    }

    /// Runs the program with these arguments, on this state and this database.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self
            .command(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output();
        output.await.context("cannot start the program")
    }

    /// Makes an org by the command.
    ///
    /// # Errors
    /// If the command refuses.
    pub async fn org(&self, name: &str) -> anyhow::Result<Org> {
        let output = self.run(&["orgs", "add", name]).await?;
        ensure!(output.status.success(), "{output:?}");
        let printed: Value =
            serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        let text = |key: &str| {
            printed[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no `{key}` in {printed}"))
        };
        Ok(Org { id: text("org_id")?, admin: self.client(Some(&text("api_key")?)) })
    }

    /// Somebody with this key.
    pub fn client(&self, key: Option<&str>) -> Client {
        Client::new(Arc::clone(&self.place), key)
    }

    /// Where it is, and what it has answered.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What kind of database it has.
    pub fn database(&self) -> Database {
        self.database
    }

    /// What opens its database.
    pub fn database_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| {
            format!("sqlite://{}", self.state().join("reverse-sync.db").display())
        })
    }

    /// Changes one row of its database behind its back.
    ///
    /// # Errors
    /// If the database refuses, or it was not one row.
    pub async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.database_url()).await?;
        let changed = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await?
            .rows_affected();
        connection.close().await?;
        ensure!(changed == 1, "{changed} rows were changed by {sql}");
        Ok(())
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The lines that it has printed in all its lives. Those that follow `listening on` may be a
    /// moment late.
    pub fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has logged in all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join(&self.log)
    }
}
