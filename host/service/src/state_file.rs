//! What the folder of a state knows of the database that it belongs to, so that a start notices if
//! one of them was put back to an older one.

use super::store::{Head, ServiceState, Store, StoreError};
use reverse_sync::private_file::{self, Locked};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path};

const NAME: &str = "state.json";

/// The file `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    /// The state's name.
    pub state_id: String,
    /// The start that wrote it.
    pub epoch: i64,
    /// The end of the audit log, as it was last seen.
    pub audit: Head,
}

/// How folder and database differ.
#[derive(Debug, thiserror::Error)]
pub enum Differs {
    /// They never belonged together.
    #[error("the folder is of {folder} and the database is of {database}")]
    Other {
        /// The state of the folder.
        folder: String,
        /// The state of the database.
        database: String,
    },
    /// The folder has no such file.
    #[error(
        "a service has started {epoch} times on the database, but the folder has no {NAME}: it is new, or was emptied"
    )]
    NoFile {
        /// Starts of the database.
        epoch: i64,
    },
    /// The database was put back.
    #[error("the database is older than the folder: {what}")]
    OlderDatabase {
        /// How that shows.
        what: String,
    },
    /// The folder was put back.
    #[error(
        "the folder is older than the database: it knows of {folder} starts of the service, and the database of {database}"
    )]
    OlderFolder {
        /// Starts that the folder knows of.
        folder: i64,
        /// Starts that the database knows of.
        database: i64,
    },
}

impl StateFile {
    /// The file of a folder, if it has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: &Path) -> io::Result<Option<StateFile>> {
        match fs::read(dir.join(NAME)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| io::Error::other(format!("{NAME}: {error}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it at a start, whole or not at all, whatever is there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        match lock(dir)? {
            Some(mut locked) => locked.replace(&serde_json::to_vec(self)?),
            None => private_file::replace(&dir.join(NAME), &serde_json::to_vec(self)?),
        }
    }

    /// As [`StateFile::write`], by the start that has written it last. A service that was taken
    /// over leaves it to the one that came after it, for which the folder would look older than the
    /// database. Says whether it was written.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, dir: &Path) -> io::Result<bool> {
        let Some(mut locked) = lock(dir)? else { return self.write(dir).map(|()| true) };
        let there: StateFile = serde_json::from_str(locked.text()?.expose_secret())?;
        let ours = there.state_id == self.state_id && there.epoch == self.epoch;
        if ours {
            locked.replace(&serde_json::to_vec(self)?)?;
        }
        Ok(ours)
    }

    /// How a folder differs from the database, if it does.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn differs(
        file: Option<&StateFile>,
        database: &ServiceState,
        store: &Store,
    ) -> Result<Option<Differs>, StoreError> {
        let Some(file) = file else {
            return Ok((database.epoch > 0).then_some(Differs::NoFile { epoch: database.epoch }));
        };
        if file.state_id != database.state_id {
            return Ok(Some(Differs::Other {
                folder: file.state_id.clone(),
                database: database.state_id.clone(),
            }));
        }
        let seen = &file.audit;
        let hash = if seen.seq == 0 {
            Some(seen.hash.clone())
        } else {
            store.audit_hash(seen.seq).await?
        };
        let what = match hash {
            None => format!(
                "its audit log ends at row {}, and the folder has seen row {}",
                store.audit_head().await?.seq,
                seen.seq
            ),
            Some(hash) if hash != seen.hash => {
                format!("row {} of its audit log is another one than the folder has seen", seen.seq)
            }
            // The file is written first, so a start that broke off leaves it one ahead.
            Some(_) if file.epoch > database.epoch + 1 => {
                format!(
                    "it knows of {} starts of the service, and the folder of {}",
                    database.epoch, file.epoch
                )
            }
            Some(_) if file.epoch < database.epoch => {
                return Ok(Some(Differs::OlderFolder {
                    folder: file.epoch,
                    database: database.epoch,
                }));
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(Differs::OlderDatabase { what }))
    }
}

/// The file, which nobody else changes meanwhile, if it is there.
fn lock(dir: &Path) -> io::Result<Option<Locked>> {
    match Locked::open(&dir.join(NAME), fs::OpenOptions::new().read(true)) {
        Ok(locked) => Ok(Some(locked)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AuditEntry, tests::store};

    #[tokio::test]
    async fn whatever_was_put_back_is_noticed() {
        let (dir, store) = store().await;
        assert!(StateFile::read(dir.path()).unwrap().is_none());
        let database = store.service_state().await.unwrap();
        assert!(
            StateFile::differs(None, &database, &store).await.unwrap().is_none(),
            "both are new"
        );
        store
            .begin_service(0, &[AuditEntry::new("org_1", "ada", "test", &serde_json::json!({}))])
            .await
            .unwrap();
        let file = StateFile {
            state_id: database.state_id.clone(),
            epoch: 1,
            audit: store.audit_head().await.unwrap(),
        };
        file.write(dir.path()).unwrap();
        assert_eq!(StateFile::read(dir.path()).unwrap().as_ref(), Some(&file));
        let database = store.service_state().await.unwrap();
        let differs = async |file: &StateFile, database: &ServiceState| {
            StateFile::differs(Some(file), database, &store).await.unwrap()
        };
        assert!(differs(&file, &database).await.is_none());
        assert!(
            differs(&StateFile { epoch: 2, ..file.clone() }, &database).await.is_none(),
            "a start that broke off"
        );
        assert!(matches!(
            differs(&StateFile { epoch: 3, ..file.clone() }, &database).await,
            Some(Differs::OlderDatabase { .. })
        ));
        assert!(matches!(
            differs(&StateFile { epoch: 0, ..file.clone() }, &database).await,
            Some(Differs::OlderFolder { .. })
        ));
        assert!(matches!(
            differs(&StateFile { state_id: "x".into(), ..file.clone() }, &database).await,
            Some(Differs::Other { .. })
        ));
        for audit in
            [Head { seq: 2, ..file.audit.clone() }, Head { hash: "x".into(), ..file.audit.clone() }]
        {
            let older = StateFile { audit, ..file.clone() };
            assert!(matches!(
                differs(&older, &database).await,
                Some(Differs::OlderDatabase { .. })
            ));
        }
        assert!(matches!(
            StateFile::differs(None, &database, &store).await.unwrap(),
            Some(Differs::NoFile { .. })
        ));
    }

    #[test]
    fn whoever_was_taken_over_leaves_the_file_to_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateFile { state_id: "state_1".to_owned(), epoch: 1, audit: Head::default() };
        first.write(dir.path()).unwrap();
        let later = StateFile { audit: Head { seq: 2, hash: "x".to_owned() }, ..first.clone() };
        assert!(later.keep(dir.path()).unwrap());
        assert_eq!(StateFile::read(dir.path()).unwrap().as_ref(), Some(&later));
        let second = StateFile { epoch: 2, ..first };
        second.write(dir.path()).unwrap();
        assert!(!later.keep(dir.path()).unwrap());
        assert_eq!(StateFile::read(dir.path()).unwrap(), Some(second));
    }
}
