//! A PostgreSQL server for the tests of one process: made in a temporary folder, used over
//! loopback, gone when the process is.
//!
//! A shell stands between: it makes the cluster, starts it, and then reads its own standard input
//! until that ends. The other end of it is held by the test process and by nothing else, so however
//! that process ends (returning, panicking, killed), the shell stops the server and removes the
//! folder.

use anyhow::{Context, bail, ensure};
use sqlx::Connection;
use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Its first argument is the folder, the second where PostgreSQL's programs are, the third the
/// port.
const SCRIPT: &str = r#"
# Whoever would read the word `ready` may have ended meanwhile.
trap '' PIPE
finish() {
    "$2/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null 2>&1
    cd / && rm -rf "$1"
}
"$2/initdb" -D "$1/data" -U reverse_sync -A scram-sha-256 --pwfile="$1/password" -E UTF8 --locale=C --no-sync >"$1/log" 2>&1 &&
# Nothing here has to outlive a power cut; many servers of many tests share it.
"$2/pg_ctl" -D "$1/data" -w -l "$1/log" -o "-p $3 -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB" start >/dev/null 2>&1 &&
echo ready ||
cat "$1/log"
exec >/dev/null
cat >/dev/null
finish "$@"
"#;

/// A cluster that ends with this process.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    password: String,
    /// Closed by the end of the process, which is what stops the server.
    _alive: ChildStdin,
}

impl Postgres {
    /// The one of this process; the first caller starts it.
    ///
    /// # Errors
    /// If there is no PostgreSQL here, or it does not start.
    pub fn shared() -> anyhow::Result<&'static Postgres> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        // Kept as text: each test that needs it tells what went wrong.
        SHARED
            .get_or_init(|| Postgres::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// A new, empty database, and the URL that opens it.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn database(&self) -> anyhow::Result<String> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}", MADE.fetch_add(1, Relaxed));
        let mut connection = sqlx::PgConnection::connect(&self.url("postgres")).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    /// The password in its URLs, for tests that look for it where it must not be.
    pub fn password(&self) -> &str {
        &self.password
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://reverse_sync:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    fn start() -> anyhow::Result<Postgres> {
        let programs = programs()?;
        // Somebody may take the port between our letting it go and the server's taking it.
        let mut last = String::new();
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match Postgres::start_at(&programs, port)? {
                Ok(postgres) => return Ok(postgres),
                Err(log) => last = log,
            }
        }
        bail!("PostgreSQL does not start: {last}")
    }

    /// The server, or its log.
    fn start_at(programs: &Path, port: u16) -> anyhow::Result<Result<Postgres, String>> {
        let dir = tempfile::Builder::new().prefix("reverse-sync-postgres-").tempdir()?;
        let password = format!(
            "{:016x}{:016x}",
            RandomState::new().build_hasher().finish(),
            RandomState::new().build_hasher().finish()
        );
        let password_file = dir.path().join("password");
        fs::write(&password_file, &password)?;
        fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(dir.path()).arg(programs).arg(port.to_string());
        // PostgreSQL refuses to run as root.
        if id(&["-u"])? == 0 {
            let user = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
            let (uid, gid) = (id(&["-u", user])?, id(&["-g", user])?);
            for path in [dir.path(), &password_file] {
                chown(path, Some(uid), Some(gid))?;
            }
            shell.uid(uid).gid(gid);
        }
        // A group of its own, so that what interrupts the tests in a terminal leaves it time to
        // clean up.
        shell
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut shell = shell.spawn().context("cannot start /bin/sh")?;
        // From here the folder is the shell's to remove.
        let _dir = dir.keep();
        let alive = shell.stdin.take().context("the shell has no standard input")?;
        let mut output =
            BufReader::new(shell.stdout.take().context("the shell has no standard output")?);
        let mut said = String::new();
        output.read_line(&mut said)?;
        if said.trim() == "ready" {
            return Ok(Ok(Postgres { port, password, _alive: alive }));
        }
        output.read_to_string(&mut said)?;
        drop(alive);
        shell.wait()?;
        Ok(Err(said))
    }
}

/// Where `initdb` and `pg_ctl` are: in PATH, or where Debian has them.
///
/// # Errors
/// If they are nowhere.
pub fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // The newest last, and taken first.
    debian.sort_by_key(|dir| {
        dir.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<u32>().ok())
    });
    let has_server = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("pg_ctl").is_file();
    debian.into_iter().rev().chain(std::env::split_paths(&path)).find(has_server).context(
        "this test needs PostgreSQL's initdb and pg_ctl, and they are neither in PATH nor in /usr/lib/postgresql/*/bin. \
         `.ci/install test` installs them as root on Debian; elsewhere install PostgreSQL's server",
    )
}

fn id(arguments: &[&str]) -> anyhow::Result<u32> {
    let output = Command::new("id").args(arguments).output().context("cannot start `id`")?;
    ensure!(output.status.success(), "`id {}` failed", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
