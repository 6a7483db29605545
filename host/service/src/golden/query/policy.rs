//! Which databases a query may read: none, but those that the operator has named.

use super::{QueryError, decoded, url_error};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use url::Url;

/// Which databases a query may read. The default is none.
#[derive(Clone, Debug, Default)]
pub struct QueryPolicy {
    servers: Vec<(String, u16)>,
    folders: Vec<PathBuf>,
    own_folders: Vec<PathBuf>,
    own_files: Vec<PathBuf>,
    own_servers: Vec<PostgresName>,
}

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PostgresName {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
}

impl PostgresName {
    pub(super) fn shown(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }
}

impl QueryPolicy {
    /// Allows a PostgreSQL server: `HOST:PORT`, as `--golden-database` names it, in the spelling
    /// that URLs have to use.
    ///
    /// # Errors
    /// If it is not a host and a port.
    pub fn allow_database(&mut self, server: &str) -> Result<(), String> {
        let bad =
            || format!("`{server}` is not HOST:PORT, such as db.example.com:5432 or [::1]:5432");
        let (host, port) = server.rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        let is_v6 = host.starts_with('[') && host.ends_with(']');
        if host.is_empty()
            || port == 0
            || host.contains(['/', '@', ' '])
            || (host.contains(':') && !is_v6)
        {
            return Err(bad());
        }
        self.servers.push((host.to_ascii_lowercase(), port));
        Ok(())
    }

    /// Allows the SQLite files below a folder, as `--golden-sqlite` names it.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn allow_sqlite(&mut self, folder: &Path) -> io::Result<()> {
        let folder = folder.canonicalize()?;
        if !folder.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is not a folder", folder.display()),
            ));
        }
        self.folders.push(folder);
        Ok(())
    }

    /// Nothing below this folder is ever read: the service's state.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn protect_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.own_folders.push(folder.canonicalize()?);
        Ok(())
    }

    /// This database is never read: the service's own.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn protect_database(&mut self, url: &str) -> Result<(), QueryError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.split('?').next().unwrap_or_default();
            let path = decoded(path.strip_prefix("//").unwrap_or(path))?;
            self.own_files.push(PathBuf::from(path));
        } else {
            self.own_servers.push(postgres_name(&Url::parse(url).map_err(url_error)?)?);
        }
        Ok(())
    }

    /// The file to open.
    pub(super) fn sqlite_file(&self, path: &Path) -> Result<PathBuf, QueryError> {
        let forbidden = |reason: &str| QueryError::Forbidden {
            database: path.display().to_string(),
            reason: reason.to_owned(),
        };
        let flag = "its operator allows the SQLite files below a folder with `reverse-sync serve --golden-sqlite DIR`";
        if self.folders.is_empty() {
            return Err(forbidden(flag));
        }
        // Whether there is a file outside of the folders is nobody's business.
        let file = path
            .canonicalize()
            .ok()
            .filter(|file| self.folders.iter().any(|folder| file.starts_with(folder)));
        let file = file.ok_or_else(|| {
            forbidden(&format!("there is no such file in an allowed folder; {flag}"))
        })?;
        let own = self.own_folders.iter().any(|folder| file.starts_with(folder))
            || self.own_files.iter().any(|own| same_file(own, &file));
        if own || !file.is_file() {
            return Err(forbidden("it is not a database of golden records"));
        }
        Ok(file)
    }

    /// Whether a server may be asked.
    pub(super) async fn check_postgres(&self, name: &PostgresName) -> Result<(), QueryError> {
        let forbidden = |reason: String| QueryError::Forbidden { database: name.shown(), reason };
        if !self.servers.contains(&(name.host.clone(), name.port)) {
            return Err(forbidden(format!(
                "its operator allows a server with `reverse-sync serve --golden-database {}:{}`",
                name.host, name.port
            )));
        }
        for own in self
            .own_servers
            .iter()
            .filter(|own| own.port == name.port && own.database == name.database)
        {
            if own.host == name.host || share_an_address(own, name).await {
                return Err(forbidden("it is the service's own database".to_owned()));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A hard link is the same file under another name.
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether two names lead to one server. One that cannot be looked up leads nowhere, unless it is a
/// socket in a folder, which is on this machine.
async fn share_an_address(own: &PostgresName, other: &PostgresName) -> bool {
    let addresses = |name: &PostgresName| {
        let host = name.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = name.port;
        async move {
            tokio::net::lookup_host((host, port))
                .await
                .map(Iterator::collect::<Vec<SocketAddr>>)
                .unwrap_or_default()
        }
    };
    let others = addresses(other).await;
    let is_local =
        |address: &SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
    if own.host.is_empty() || own.host.starts_with('/') {
        return others.iter().any(is_local);
    }
    let own = addresses(own).await;
    others
        .iter()
        .any(|address| own.contains(address) || (is_local(address) && own.iter().any(is_local)))
}

/// What a URL names. Parameters are not looked at.
pub(super) fn postgres_name(url: &Url) -> Result<PostgresName, QueryError> {
    let host = decoded(url.host_str().unwrap_or_default())?.to_ascii_lowercase();
    let database = decoded(url.path().trim_start_matches('/'))?;
    let database = if database.is_empty() { decoded(url.username())? } else { database };
    Ok(PostgresName { host, port: url.port().unwrap_or(5432), database })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> PostgresName {
        postgres_name(&Url::parse(url).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn nothing_may_be_reached_that_was_not_named() {
        let mut policy = QueryPolicy::default();
        let target = name("postgres://u:p@DB.example.com/people");
        let error = policy.check_postgres(&target).await.unwrap_err().to_string();
        assert!(
            error.contains("db.example.com:5432/people")
                && error.contains("--golden-database db.example.com:5432"),
            "{error}"
        );
        policy.allow_database("db.example.com:5433").unwrap();
        policy.allow_database("[::1]:5432").unwrap();
        assert!(policy.check_postgres(&target).await.is_err(), "another port is another server");
        policy.check_postgres(&name("postgres://u:p@db.example.com:5433/people")).await.unwrap();
        policy.check_postgres(&name("postgres://u:p@[::1]/people")).await.unwrap();
        for bad in [
            "",
            "db",
            "db:",
            ":5432",
            "db:x",
            "db:0",
            "db:99999",
            "a@b:1",
            "::1:5432",
            "postgres://db:5432",
        ] {
            assert!(QueryPolicy::default().allow_database(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_services_own_database_is_never_read() {
        let mut policy = QueryPolicy::default();
        for server in ["127.0.0.1:5432", "[::1]:5432", "127.0.0.1:5433"] {
            policy.allow_database(server).unwrap();
        }
        policy
            .protect_database(
                "postgres://owner:secret@127.0.0.1:5432/reverse%5Fsync?sslmode=disable",
            )
            .unwrap();
        for own in [
            "postgres://u:p@127.0.0.1/reverse_sync",
            "postgres://u:p@[::1]:5432/reverse_sync",
            "postgres://reverse_sync:p@127.0.0.1",
        ] {
            let error = policy.check_postgres(&name(own)).await.unwrap_err().to_string();
            assert!(error.contains("own database"), "{error}");
        }
        policy.check_postgres(&name("postgres://u:p@127.0.0.1/people")).await.unwrap();
        policy.check_postgres(&name("postgres://u:p@127.0.0.1:5433/reverse_sync")).await.unwrap();
        // A socket is on this machine.
        let mut policy = QueryPolicy::default();
        policy.allow_database("127.0.0.1:5432").unwrap();
        policy.protect_database("postgres://owner@%2Fvar%2Frun%2Fpostgresql/reverse_sync").unwrap();
        assert!(
            policy.check_postgres(&name("postgres://u:p@127.0.0.1/reverse_sync")).await.is_err()
        );
    }

    #[test]
    #[cfg(unix)]
    fn sqlite_files_are_read_below_the_folder_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (allowed, state) = (dir.path().join("allowed"), dir.path().join("allowed/state"));
        fs::create_dir_all(&state).unwrap();
        for file in ["allowed/a.db", "outside.db", "allowed/state/x.db", "own.db"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("outside.db"), allowed.join("link.db")).unwrap();
        fs::hard_link(dir.path().join("own.db"), allowed.join("hard.db")).unwrap();
        let mut policy = QueryPolicy::default();
        let error = policy.sqlite_file(&allowed.join("a.db")).unwrap_err().to_string();
        assert!(error.contains("--golden-sqlite DIR"), "{error}");
        policy.allow_sqlite(&allowed).unwrap();
        policy.protect_folder(&state).unwrap();
        policy
            .protect_database(&format!("sqlite://{}?mode=rwc", dir.path().join("own.db").display()))
            .unwrap();
        assert_eq!(
            policy.sqlite_file(&allowed.join("../allowed/a.db")).unwrap(),
            allowed.canonicalize().unwrap().join("a.db")
        );
        for refused in [
            "allowed/../outside.db",
            "outside.db",
            "allowed/link.db",
            "allowed/hard.db",
            "allowed/state/x.db",
            "allowed",
            "allowed/none.db",
        ] {
            assert!(policy.sqlite_file(&dir.path().join(refused)).is_err(), "{refused}");
        }
        let there = policy.sqlite_file(&dir.path().join("outside.db")).unwrap_err().to_string();
        let not_there = policy.sqlite_file(&dir.path().join("outside.xx")).unwrap_err().to_string();
        assert_eq!(
            there.replace("outside.db", ""),
            not_there.replace("outside.xx", ""),
            "what is outside cannot be told apart"
        );
    }
}
