//! The keys that credentials are sealed with.
//!
//! XChaCha20-Poly1305 with a random nonce for every text. The context that a text belongs to and
//! the key's id are authenticated with it. The first key seals; all of them open, so that a key can
//! be replaced while texts of the old one are still there:
//!
//! ```text
//!  rotated() ──▶ new key in front ──▶ open and seal every row ──▶ without(old ids)
//! ```

use super::{
    keys_text::{self, BadKeys, KEY, Key},
    sealed::Sealed,
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use rand::Rng;
use reverse_sync::private_file::{self, Locked};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use sha2::Sha256;
use std::{
    env, fmt,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The environment variable that keys may come from, instead of a file.
pub const KEYS_VARIABLE: &str = "REVERSE_SYNC_KEYS";

/// Keys, the active one first. Clones share them. There is always one.
#[derive(Clone)]
pub struct Keyring {
    active: Key,
    older: Vec<Key>,
    place: Place,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file that nobody else may read.
    File(PathBuf),
    /// [`KEYS_VARIABLE`].
    Environment,
}

/// Why there are no keys, or they cannot be changed. No message repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Others may read or write the file.
    #[error(
        "others can read or write the keys in {path} (mode {mode:04o}); run: chmod 600 {path}, and if somebody may have read them: reverse-sync keys rotate"
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No keys in it.
    #[error("{place}: {why}")]
    Bad {
        /// Where.
        place: Place,
        /// What is wrong.
        why: BadKeys,
    },
    /// It cannot be read, or written.
    #[error("cannot {doing} {place}: {error}")]
    Io {
        /// Such as `read`.
        doing: &'static str,
        /// Where.
        place: Place,
        /// Why.
        error: io::Error,
    },
    /// No randomness.
    #[error("the operating system gives no random bytes for a new key: {0}")]
    NoRandomness(String),
    /// The environment is not ours to change.
    #[error(
        "the keys come from {place}, which only its owner can change: put a line of a new key in front there (an id, a blank, and the output of `openssl rand -base64 32`), keep the old ones behind it, and start again"
    )]
    NotOurs {
        /// Where.
        place: Place,
    },
    /// Everything new would be lost.
    #[error("the key {0} is the active one and cannot be dropped; rotate first")]
    Active(String),
}

/// Why a sealed text does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its key is not there.
    #[error(
        "the key {key_id}, which sealed this secret, is missing: there is only {known} in {place}. Put that key back behind the others, or write the credential again"
    )]
    UnknownKey {
        /// The key that is missing.
        key_id: String,
        /// The keys that are there.
        known: String,
        /// Where they come from.
        place: Place,
    },
    /// It is not what was sealed here.
    #[error(
        "the sealed secret of {context} is not what was sealed there with the key {key_id}: it was changed, or moved from another row, or the key was replaced under the same id. Write the credential again, and find out who changed the database"
    )]
    Tampered {
        /// Where it stands.
        context: String,
        /// The key that it names.
        key_id: String,
    },
}

impl Keyring {
    /// Keys from the environment variable, if it is set; else from this file, which is made with
    /// one fresh key if it does not exist.
    ///
    /// # Errors
    /// A file that others may read, or what holds no keys.
    pub fn load(file: &Path) -> Result<Keyring, KeysError> {
        match env::var_os(KEYS_VARIABLE) {
            None => Keyring::from_file(file),
            Some(text) => match text.into_string() {
                Ok(text) => Keyring::from_environment(&SecretString::from(text)),
                Err(_) => Err(Place::Environment
                    .io("read", io::Error::new(io::ErrorKind::InvalidData, "it is not text"))),
            },
        }
    }

    /// The keys in a file, which is made with one fresh key if it does not exist.
    ///
    /// # Errors
    /// As [`Keyring::load`].
    pub fn from_file(path: &Path) -> Result<Keyring, KeysError> {
        let place = Place::File(path.to_owned());
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = keys_text::text(&[random()?]);
                private_file::create(path, text.expose_secret().as_bytes())
                    .map_err(|error| place.io("write", error))?;
                tracing::info!(path = %path.display(), "made a key for credentials; keep a copy of it apart from the database's");
                File::open(path).map_err(|error| place.io("read", error))?
            }
            file => file.map_err(|error| place.io("read", error))?,
        };
        check_private(path, &file)?;
        let text = private_file::read(&mut file).map_err(|error| place.io("read", error))?;
        Keyring::from_text(&text, place)
    }

    /// Keys in the text form that the environment variable has.
    ///
    /// # Errors
    /// What holds no keys.
    pub fn from_environment(text: &SecretString) -> Result<Keyring, KeysError> {
        Keyring::from_text(text, Place::Environment)
    }

    fn from_text(text: &SecretString, place: Place) -> Result<Keyring, KeysError> {
        let mut keys = keys_text::parse(text)
            .map_err(|why| KeysError::Bad { place: place.clone(), why })?
            .into_iter();
        match keys.next() {
            Some(active) => Ok(Keyring { active, older: keys.collect(), place }),
            None => Err(KeysError::Bad { place, why: BadKeys::None }),
        }
    }

    /// Where its keys come from.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The key that seals.
    pub fn active_id(&self) -> &str {
        &self.active.id
    }

    /// All keys, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| key.id.as_str())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.active).chain(&self.older)
    }

    /// Seals a secret for the place where it will stand, such as `org_x/src_y/credential`.
    pub fn seal(&self, context: &str, secret: &SecretString) -> Sealed {
        let nonce: [u8; super::sealed::NONCE] = rand::rng().random();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &associated(&self.active.id, context),
        };
        #[expect(
            clippy::expect_used,
            reason = "the cipher takes any text below 256 GiB, and memory ends before that"
        )]
        let ciphertext = cipher(&self.active)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is not that long");
        Sealed::new(&self.active.id, &nonce, &ciphertext)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// If its key is not there, or it is not what was sealed for this place.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let key_id = sealed.key_id();
        let key =
            self.keys().find(|key| key.id == key_id).ok_or_else(|| OpenError::UnknownKey {
                key_id: key_id.to_owned(),
                known: self.ids().collect::<Vec<_>>().join(", "),
                place: self.place.clone(),
            })?;
        let tampered =
            || OpenError::Tampered { context: context.to_owned(), key_id: key_id.to_owned() };
        let (nonce, ciphertext) = sealed.parts().ok_or_else(tampered)?;
        let payload = Payload { msg: ciphertext, aad: &associated(key_id, context) };
        let plain = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| tampered())?;
        let plain = Zeroizing::new(plain);
        std::str::from_utf8(&plain).map(SecretString::from).map_err(|_| tampered())
    }

    /// The authentication code of a text with the key of this id, if that is there, in hexadecimal
    /// digits. For the audit log alone.
    pub fn mac(&self, key_id: &str, text: &[u8]) -> Option<String> {
        let key = self.keys().find(|key| key.id == key_id)?;
        // A key of its own, so that what is sealed and what is authenticated say nothing about each
        // other.
        let own = Zeroizing::new(<[u8; KEY]>::from(
            hmac(key.bytes.expose_secret())?
                .chain_update(b"reverse-sync v1 audit log")
                .finalize()
                .into_bytes(),
        ));
        let code = hmac(&own)?.chain_update(text).finalize().into_bytes();
        Some(code.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The keys as they are there now: another process may have rotated them.
    ///
    /// # Errors
    /// As [`Keyring::load`].
    pub fn read_again(&self) -> Result<Keyring, KeysError> {
        match &self.place {
            Place::File(path) => Keyring::from_file(path),
            Place::Environment => Ok(self.clone()),
        }
    }

    /// The same keys behind a fresh one, which is in the file when this returns.
    ///
    /// # Errors
    /// Keys from the environment, and a file that cannot be written.
    pub fn rotated(&self) -> Result<Keyring, KeysError> {
        self.changed(|keys| {
            keys.insert(0, random()?);
            Ok(())
        })
    }

    /// The same keys but for these, which are gone from the file when this returns. For when
    /// nothing that is sealed with them is left. Ids that are not there are passed over.
    ///
    /// # Errors
    /// The active key, keys from the environment, and a file that cannot be written.
    pub fn without(&self, ids: &[impl AsRef<str>]) -> Result<Keyring, KeysError> {
        self.changed(|keys| {
            let dropped = |key: &Key| ids.iter().any(|id| id.as_ref() == key.id);
            if let Some(active) = keys.first().filter(|active| dropped(active)) {
                return Err(KeysError::Active(active.id.clone()));
            }
            keys.retain(|key| !dropped(key));
            Ok(())
        })
    }

    /// Changes what is in the file, which others may have changed meanwhile, while nobody else
    /// does.
    fn changed(
        &self,
        change: impl FnOnce(&mut Vec<Key>) -> Result<(), KeysError>,
    ) -> Result<Keyring, KeysError> {
        let Place::File(path) = &self.place else {
            return Err(KeysError::NotOurs { place: self.place.clone() });
        };
        let mut locked = Locked::open(path, OpenOptions::new().read(true))
            .map_err(|error| self.place.io("read", error))?;
        check_private(path, locked.file())?;
        let text = locked.text().map_err(|error| self.place.io("read", error))?;
        let mut keys = keys_text::parse(&text)
            .map_err(|why| KeysError::Bad { place: self.place.clone(), why })?;
        change(&mut keys)?;
        let text = keys_text::text(&keys);
        locked
            .replace(text.expose_secret().as_bytes())
            .map_err(|error| self.place.io("write", error))?;
        Keyring::from_text(&text, self.place.clone())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Place {
    fn io(&self, doing: &'static str, error: io::Error) -> KeysError {
        KeysError::Io { doing, place: self.clone(), error }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "the keys file {}", path.display()),
            Place::Environment => write!(f, "the environment variable {KEYS_VARIABLE}"),
        }
    }
}

fn random() -> Result<Key, KeysError> {
    Key::random().map_err(|error| KeysError::NoRandomness(error.to_string()))
}

fn hmac(key: &[u8; KEY]) -> Option<Hmac<Sha256>> {
    // It takes keys of any length.
    Hmac::new_from_slice(key).ok()
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    let bytes: &[u8; KEY] = key.bytes.expose_secret();
    XChaCha20Poly1305::new(bytes.into())
}

/// What is authenticated with a text. An id has no blank, so that no two pairs are spelled the
/// same.
fn associated(key_id: &str, context: &str) -> Vec<u8> {
    format!("reverse-sync v1 {key_id} {context}").into_bytes()
}

fn check_private(path: &Path, file: &File) -> Result<(), KeysError> {
    match private_file::open_to_others(file)
        .map_err(|error| Place::File(path.to_owned()).io("read", error))?
    {
        Some(mode) => Err(KeysError::OpenToOthers { path: path.to_owned(), mode }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
