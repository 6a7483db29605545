//! A refresh token that lives in the store, sealed, inside the credential of its source.
//!
//! Who refreshes holds the source's token meanwhile, so that two runs of one source take turns, and
//! each shows what the other has left. A token endpoint may answer with a new refresh token, and
//! the old one dies with that: its successor is in the store before the access token that came with
//! it is used. Unless somebody has written another credential meanwhile: that one stays.

use super::credential::CredentialDocument;
use parking_lot::Mutex;
use reverse_sync::egress::credential::refresh_tokens::{Held, RefreshTokens};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Weak},
};
use tokio::sync::OwnedMutexGuard;

/// The credential of one source in the store: what [`CredentialDocument::seal`] sealed, opened. Its
/// methods are called on a thread that may block.
pub trait SecretCell: Send + Sync + 'static {
    /// What is there now.
    ///
    /// # Errors
    /// If it cannot be read or opened.
    fn read(&self) -> io::Result<SecretString>;

    /// Puts this in its place, sealed. What is returned from is committed.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&self, secret: &SecretString) -> io::Result<()>;
}

/// Who works on the credential of which source. One for the whole service; clones share it.
#[derive(Clone, Default)]
pub struct Holds(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

impl Holds {
    /// The hold of a source. Whoever changes its credential locks it, be it a renewal or somebody
    /// who writes another one.
    pub fn of(&self, source_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        // Each statement leaves the map consistent, so it is good after a panic, too.
        let mut holds = self.0.lock();
        if let Some(hold) = holds.get(source_id).and_then(Weak::upgrade) {
            return hold;
        }
        holds.retain(|_, hold| hold.strong_count() > 0);
        let hold = Arc::default();
        holds.insert(source_id.to_owned(), Arc::downgrade(&hold));
        hold
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holds(…)")
    }
}

/// Where a source's refresh token is kept.
#[derive(Clone)]
pub struct Stored {
    /// The source.
    pub source_id: String,
    /// Its credential in the store.
    pub cell: Arc<dyn SecretCell>,
    /// Who works on it.
    pub holds: Holds,
}

impl RefreshTokens for Stored {
    fn hold(&self) -> io::Result<Box<dyn Held>> {
        let guard = self.holds.of(&self.source_id).blocking_lock_owned();
        let document = current(&*self.cell)?;
        let token = document.refresh_token().cloned().ok_or_else(|| {
            let why =
                "it has another kind of credential by now; start again what still uses the old one";
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        Ok(Box::new(HeldInStore {
            token,
            cell: Arc::clone(&self.cell),
            source_id: self.source_id.clone(),
            _guard: guard,
        }))
    }

    fn place(&self) -> String {
        format!("the credential of the source {0} (PATCH /sources/{0})", self.source_id)
    }
}

struct HeldInStore {
    token: SecretString,
    cell: Arc<dyn SecretCell>,
    source_id: String,
    _guard: OwnedMutexGuard<()>,
}

impl Held for HeldInStore {
    fn token(&self) -> &SecretString {
        &self.token
    }

    fn replace(&mut self, successor: &SecretString) -> io::Result<()> {
        let document = current(&*self.cell)?;
        if document.refresh_token().map(ExposeSecret::expose_secret)
            != Some(self.token.expose_secret())
        {
            tracing::warn!(
                source = self.source_id,
                "the credential was written anew during a renewal; the new one stays"
            );
            return Ok(());
        }
        self.cell.write(&document.with_refresh_token(successor).plain())
    }
}

fn current(cell: &dyn SecretCell) -> io::Result<CredentialDocument> {
    CredentialDocument::from_plain(&cell.read()?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
