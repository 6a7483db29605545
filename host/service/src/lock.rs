//! One service at a time on a state: two would take up each other's runs.

use super::store::{ServiceHold, Store, StoreError};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often is tried again what a service that has just been killed may still hold.
const TRIES: u32 = 25;
const AGAIN: Duration = Duration::from_millis(200);

/// The state is this process's, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _files: Vec<File>,
    database: Option<ServiceHold>,
}

/// Whether the state is this process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is.
    Yes,
    /// Nobody can tell, so it is not; it may be again.
    NotNow,
    /// It is another service's by now.
    Taken,
}

/// Why the state cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another service has it.
    #[error("another `reverse-sync serve` works on {0}; one at a time may")]
    Held(String),
    /// The lock file.
    #[error("cannot lock {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Lock {
    /// Takes the state folder, and the database, which may be another service's though the folder
    /// is not.
    ///
    /// # Errors
    /// If another service has one of them.
    pub async fn take(state: &Path, store: &Store, database: &str) -> Result<Lock, LockError> {
        Lock::take_within(TRIES, state, store, database).await
    }

    /// Whether it is still held: a file is until this process ends, a database as long as its
    /// connection lives.
    pub async fn is_held(&mut self) -> bool {
        match &mut self.database {
            None => true,
            Some(database) => database.is_held().await,
        }
    }

    /// Takes what is not held any more, if no other service has started since.
    pub async fn take_again(&mut self, store: &Store) -> Held {
        let Some(database) = &mut self.database else { return Held::Yes };
        match store.hold_service_again().await {
            Ok(Some(again)) => {
                *database = again;
                Held::Yes
            }
            Err(StoreError::TakenOver) => Held::Taken,
            // Nobody answers, or the database has not noticed yet that the connection is gone.
            Ok(None) | Err(_) => Held::NotNow,
        }
    }

    async fn take_within(
        tries: u32,
        state: &Path,
        store: &Store,
        database: &str,
    ) -> Result<Lock, LockError> {
        let mut files = vec![file(tries, &state.join("lock"), &state.display().to_string()).await?];
        // A SQLite database has no locks that outlive a transaction.
        let sqlite =
            database.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        if let Some(path) = sqlite.and_then(|path| path.split('?').next()) {
            let mut name = PathBuf::from(path).into_os_string();
            name.push(".lock");
            files.push(file(tries, Path::new(&name), path).await?);
            return Ok(Lock { _files: files, database: None });
        }
        for _ in 0..tries {
            if let Some(held) = store.hold_service().await? {
                return Ok(Lock { _files: files, database: Some(held) });
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(LockError::Held("this database".to_owned()))
    }
}

async fn file(tries: u32, path: &Path, what: &str) -> Result<File, LockError> {
    let failed = |error| LockError::Io { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(AGAIN).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(LockError::Held(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_state_is_one_services_at_a_time() {
        let (dir, store) = store().await;
        let database = Store::file_url(&dir.path().join("test.db"));
        let first = Lock::take_within(1, dir.path(), &store, &database).await.unwrap();
        assert!(matches!(
            Lock::take_within(1, dir.path(), &store, &database).await,
            Err(LockError::Held(_))
        ));
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Lock::take_within(1, elsewhere.path(), &store, &database)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("test.db"), "another folder, and the same database: {error}");
        drop(first);
        Lock::take_within(1, dir.path(), &store, &database).await.unwrap();
    }
}
