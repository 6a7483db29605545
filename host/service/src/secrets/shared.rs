//! The keys of a running service, which are read again when something was sealed with a key that is
//! newer than they are.

use super::{Keyring, OpenError, Sealed};
use parking_lot::RwLock;
use secrecy::SecretString;
use std::{fmt, sync::Arc};

/// A keyring that clones share. `reverse-sync keys rotate` may add a key to it from outside.
#[derive(Clone)]
pub struct SharedKeyring(Arc<RwLock<Keyring>>);

impl SharedKeyring {
    /// Shares a keyring.
    pub fn new(keyring: Keyring) -> SharedKeyring {
        SharedKeyring(Arc::new(RwLock::new(keyring)))
    }

    /// The keys as they were last read.
    pub fn current(&self) -> Keyring {
        // It is replaced whole, so it is good after a panic, too.
        self.0.read().clone()
    }

    /// As [`Keyring::mac`]; a key that is not known is looked for where the keys come from.
    pub fn mac(&self, key_id: &str, text: &[u8]) -> Option<String> {
        if let Some(code) = self.current().mac(key_id, text) {
            return Some(code);
        }
        let again = self.current().read_again().ok()?;
        let code = again.mac(key_id, text)?;
        *self.0.write() = again;
        Some(code)
    }

    /// As [`Keyring::seal`].
    pub fn seal(&self, context: &str, secret: &SecretString) -> Sealed {
        self.current().seal(context, secret)
    }

    /// As [`Keyring::open`]; a key that is not known is looked for where the keys come from.
    ///
    /// # Errors
    /// If it does not open.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<SecretString, OpenError> {
        match self.current().open(context, sealed) {
            Err(unknown @ OpenError::UnknownKey { .. }) => {
                let again = match self.current().read_again() {
                    Ok(again) => again,
                    Err(error) => {
                        tracing::error!(%error, "the keys cannot be read again");
                        return Err(unknown);
                    }
                };
                let opened = again.open(context, sealed)?;
                *self.0.write() = again;
                Ok(opened)
            }
            other => other,
        }
    }
}

impl fmt::Debug for SharedKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKeyring(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_key_that_was_added_outside_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        let shared = SharedKeyring::new(Keyring::from_file(&file).unwrap());
        let rotated = shared.current().rotated().unwrap();
        let sealed = rotated.seal("x", &SecretString::from("sesame"));
        assert_eq!(shared.open("x", &sealed).unwrap().expose_secret(), "sesame");
        assert_eq!(shared.current().active_id(), rotated.active_id());
        let elsewhere = Keyring::from_file(&dir.path().join("other"))
            .unwrap()
            .seal("x", &SecretString::from("sesame"));
        assert!(matches!(shared.open("x", &elsewhere), Err(OpenError::UnknownKey { .. })));
    }
}
