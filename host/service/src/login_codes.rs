//! The codes of the link that the command prints.

use super::store::random_id;
use parking_lot::{Mutex, MutexGuard};
use reverse_sync::digest::Digest;
use secrecy::SecretString;
use std::{
    fmt,
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// How long a login code may be used.
const CODE_LIFE: Duration = Duration::from_secs(3600);
/// Login codes that wait to be used. The oldest goes when there is another.
const MAX_CODES: usize = 8;

/// One-time codes, each of which opens a session for a key. They are in the link that the command
/// prints, so that the key itself is in no browser's history. Kept are hashes.
#[derive(Default)]
pub struct LoginCodes(Mutex<Vec<LoginCode>>);

struct LoginCode {
    hash: String,
    key_id: String,
    made: Instant,
}

impl LoginCodes {
    /// Makes a code for a key.
    pub fn make(&self, key_id: &str) -> SecretString {
        let code = random_id("", 32);
        let mut codes = self.fresh();
        if codes.len() >= MAX_CODES {
            codes.remove(0);
        }
        codes.push(LoginCode {
            hash: Digest::of(code.as_bytes()).hex(),
            key_id: key_id.to_owned(),
            made: Instant::now(),
        });
        code.into()
    }

    /// Takes a code: the key that it was made for. It opens nothing more after that.
    pub fn redeem(&self, code: &str) -> Option<String> {
        let hash = Digest::of(code.as_bytes()).hex();
        let mut codes = self.fresh();
        let at = codes
            .iter()
            .position(|known| bool::from(known.hash.as_bytes().ct_eq(hash.as_bytes())))?;
        Some(codes.remove(at).key_id)
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<LoginCode>> {
        // Each statement leaves the list consistent, so it is good after a panic, too.
        let mut codes = self.0.lock();
        codes.retain(|code| code.made.elapsed() < CODE_LIFE);
        codes
    }
}

impl fmt::Debug for LoginCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginCodes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_login_code_works_once_and_only_the_newest_are_kept() {
        let codes = LoginCodes::default();
        let (first, second) = (codes.make("key_1"), codes.make("key_2"));
        assert_eq!(codes.redeem("000000"), None);
        assert_eq!(codes.redeem(second.expose_secret()).as_deref(), Some("key_2"));
        assert_eq!(codes.redeem(second.expose_secret()), None);
        for _ in 0..MAX_CODES {
            codes.make("key_3");
        }
        assert_eq!(codes.redeem(first.expose_secret()), None);
        assert!(!format!("{codes:?}").contains("key_3"));
    }
}
