//! The hashes of the audit log's rows, made with the keys that seal credentials.

use super::{secrets::SharedKeyring, store::Sign};

/// Hashes with a keyring.
pub struct AuditKey(pub SharedKeyring);

impl Sign for AuditKey {
    fn active(&self) -> Result<String, String> {
        Ok(self.0.current().active_id().to_owned())
    }

    fn mac(&self, key_id: &str, text: &[u8]) -> Option<String> {
        self.0.mac(key_id, text)
    }
}
