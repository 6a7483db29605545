//! The credential of a source. It exists in the host only, is put into a request after every check has passed, and
//! no type here can print it.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A bearer token.
#[derive(Clone)]
pub struct Credential {
    token: SecretString,
    header: HeaderValue,
}

/// A token that cannot be sent. The message does not repeat it.
#[derive(Debug, thiserror::Error)]
pub enum BadCredential {
    /// Empty after trimming.
    #[error("the access token is empty")]
    Empty,
    /// It has blanks, line breaks or characters outside ASCII.
    #[error(
        "the access token has characters that no token has (blanks, line breaks or characters outside ASCII); was something else pasted?"
    )]
    NotAToken,
}

impl Credential {
    /// A bearer token. Blanks and line breaks around it are dropped, as files end in one.
    ///
    /// # Errors
    /// What is not printable ASCII is no token.
    pub fn bearer(token: &str) -> Result<Credential, BadCredential> {
        let token = token.trim();
        if token.is_empty() {
            return Err(BadCredential::Empty);
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadCredential::NotAToken);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| BadCredential::NotAToken)?;
        header.set_sensitive(true);
        Ok(Credential { token: SecretString::from(token), header })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether an answer repeats the token. Such an answer must not reach the guest.
    pub(crate) fn appears_in(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, self.token.expose_secret().as_bytes()).is_some()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_never_prints_its_token() {
        let credential = Credential::bearer("pat-na1-sesame\n").unwrap();
        assert_eq!(credential.header().to_str().unwrap(), "Bearer pat-na1-sesame");
        let printed = format!("{credential:?} {:?} {:?}", credential.header(), Credential::bearer("pat sesame").unwrap_err());
        assert!(!printed.contains("sesame"), "{printed}");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bad in ["", " \n", "a b", "töken", "a\nb"] {
            assert!(Credential::bearer(bad).is_err(), "{bad:?}");
        }
    }
}
