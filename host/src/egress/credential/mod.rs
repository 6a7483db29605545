//! The credential of a source. It exists in the host only, is put into a request after every check
//! has passed, and no type here can print it.
//!
//! A [`Credential`] is a token that somebody made once ([`Credential::bearer`]), or an OAuth client
//! that has its access tokens made as they are needed ([`Credential::oauth`]). Clones share one:
//! however many runs use a source, it has one access token, and one of them renews it for all.
//!
//! - [`oauth`]: which access token is in force, when it is renewed, and what happens to those who
//!   wait
//! - [`grants`]: what a client has to show for a token, as the form that is posted
//! - [`endpoint`]: the exchange with the token endpoint, and what its answer means
//! - [`refresh_tokens`]: where a refresh token is kept, and how its successor replaces it
//! - [`assertion`]: the signed statement of the JWT bearer grant
//! - [`spec`]: how people write a credential down
//! - `echo`: looks for secrets in answers
//! - [`well_known`]: where a provider's token endpoint is, where everybody has it at the same
//!   place, and what it calls the account
//!
//! A token, and an OAuth client whose refresh token is in a file that its successors replace:
//!
//! ```no_run
//! use reverse_sync::{
//!     Credential, TransportLimits,
//!     egress::credential::{
//!         endpoint::TokenEndpoint,
//!         grants::{Client, ClientAuthentication, Grant},
//!         refresh_tokens::TokenFile,
//!     },
//! };
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fixed = Credential::bearer(&std::env::var("HUBSPOT_TOKEN")?)?;
//!
//! let url = "https://api.hubapi.com/oauth/v3/token";
//! let endpoint = TokenEndpoint::new(url, false, None, TokenEndpoint::limits())?;
//! let secret = std::env::var("CLIENT_SECRET")?.into();
//! let client = Client::new("client-id", Some(&secret), ClientAuthentication::default())?;
//! let refresh = Grant::RefreshToken(Arc::new(TokenFile::new("refresh-token")));
//! let renewed = Credential::oauth(endpoint, client, refresh);
//! # Ok(())
//! # }
//! ```

pub mod assertion;
mod echo;
pub mod endpoint;
pub mod grants;
pub mod oauth;
pub mod refresh_tokens;
pub mod spec;
pub mod well_known;

use crate::{ErrorKind, ids::Account};
use echo::Answer;
use endpoint::TokenEndpoint;
use grants::{Client, Grant};
use http::HeaderValue;
use oauth::OAuth;
use secrecy::SecretString;
use std::{fmt, sync::Arc};

/// The code of a refusal of another account.
pub const OTHER_ACCOUNT: &str = "other_account";

/// What a source's requests are authorised with.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Bearer),
    OAuth(Arc<OAuth>),
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

/// Why there is no access token. The message says what to do about it, and repeats no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialError {
    /// The token endpoint refuses the client, or what it shows for a token.
    #[error("{message}")]
    Refused {
        /// The endpoint's own code, such as `invalid_grant`.
        code: String,
        /// What happened and what to do.
        message: String,
    },
    /// The token endpoint cannot be used: not reached, out of order, or not what it should be.
    #[error("{0}")]
    Unavailable(String),
    /// The refresh token cannot be read, or its successor cannot be kept.
    #[error("{0}")]
    NotKept(String),
    /// The token endpoint gave a token of another account. Nothing was sent with it.
    #[error(
        "the access token that was made opens account {found}, but account {expected} is meant, so nothing was sent with it. Use a credential of account {expected}"
    )]
    OtherAccount {
        /// The account that it opens.
        found: Account,
        /// The one that it should open.
        expected: Account,
    },
}

impl CredentialError {
    /// What kind of trouble it is, as a component would call it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            CredentialError::Unavailable(_) => ErrorKind::Unavailable,
            CredentialError::Refused { .. }
            | CredentialError::NotKept(_)
            | CredentialError::OtherAccount { .. } => ErrorKind::Unauthorized,
        }
    }

    /// Whether it opens another account than the one that is meant.
    pub fn is_other_account(&self) -> bool {
        matches!(self, CredentialError::OtherAccount { .. })
    }

    /// The token endpoint's code, if it gave one; `other_account`.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            CredentialError::Refused { code, .. } => Some(code),
            CredentialError::OtherAccount { .. } => Some(OTHER_ACCOUNT),
            CredentialError::Unavailable(_) | CredentialError::NotKept(_) => None,
        }
    }
}

/// What one request carries: a header, and which of the credential's access tokens it is.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) header: HeaderValue,
    generation: u64,
    /// The account that it opens, if its endpoint says so.
    pub(crate) account: Option<Account>,
}

impl Credential {
    /// A bearer token. Blanks and line breaks around it are dropped, as files end in one.
    ///
    /// # Errors
    /// What is not printable ASCII is not a token.
    pub fn bearer(token: &str) -> Result<Credential, BadCredential> {
        Ok(Credential(Kind::Fixed(Bearer::new(token)?)))
    }

    /// Access tokens from this endpoint, each made when the one before ends.
    pub fn oauth(endpoint: TokenEndpoint, client: Client, grant: Grant) -> Credential {
        Credential(Kind::OAuth(OAuth::new(endpoint, client, grant)))
    }

    /// The scopes of the newest access token, if its endpoint named them. `None` before there was
    /// one, and of a token that was made once: it says nothing about itself.
    pub fn scopes(&self) -> Option<Vec<String>> {
        match &self.0 {
            Kind::Fixed(_) => None,
            Kind::OAuth(oauth) => oauth.scopes(),
        }
    }

    /// The access token for a request that is about to leave; a new one, if need be. One that is
    /// said to open another account than the one that is expected is not given out.
    pub(crate) async fn access(
        &self,
        expected: Option<&Account>,
    ) -> Result<Access, CredentialError> {
        let oauth = match &self.0 {
            Kind::Fixed(bearer) => {
                return Ok(Access { header: bearer.header.clone(), generation: 0, account: None });
            }
            Kind::OAuth(oauth) => oauth,
        };
        let access = oauth.access().await?;
        match (&access.account, expected) {
            (Some(found), Some(expected)) if !oauth.same(found, expected) => {
                Err(CredentialError::OtherAccount {
                    found: found.clone(),
                    expected: expected.clone(),
                })
            }
            _ => Ok(access),
        }
    }

    /// The CRM's answer was 401. Whether there is another token now that may do better.
    pub(crate) async fn renewed(&self, refused: &Access) -> Result<bool, CredentialError> {
        match &self.0 {
            Kind::Fixed(_) => Ok(false),
            Kind::OAuth(oauth) => oauth.renewed(refused.generation).await,
        }
    }

    /// The CRM's answer was anything but 401: the token was good.
    pub(crate) fn accepted(&self, access: &Access) {
        if let Kind::OAuth(oauth) = &self.0 {
            oauth.accepted(access.generation);
        }
    }

    /// Whether an answer repeats a secret: the token, one of its recent predecessors, or what they
    /// are made with. Such an answer must not reach the guest.
    pub(crate) fn appears_in(&self, bytes: &[u8]) -> bool {
        let answer = Answer::new(bytes);
        match &self.0 {
            Kind::Fixed(bearer) => answer.repeats(&bearer.token),
            Kind::OAuth(oauth) => oauth.appears_in(&answer),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// A token and the header that carries it.
#[derive(Clone)]
struct Bearer {
    token: SecretString,
    header: HeaderValue,
}

impl Bearer {
    fn new(token: &str) -> Result<Bearer, BadCredential> {
        let token = token.trim();
        if token.is_empty() {
            return Err(BadCredential::Empty);
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadCredential::NotAToken);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| BadCredential::NotAToken)?;
        header.set_sensitive(true);
        Ok(Bearer { token: SecretString::from(token), header })
    }
}

/// Shorter than this, a text is found everywhere and protects nothing.
const SHORTEST_SECRET: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_credential_never_prints_its_token() {
        let credential = Credential::bearer("pat-na1-sesame\n").unwrap();
        let access = credential.access(None).await.unwrap();
        assert_eq!(access.header.to_str().unwrap(), "Bearer pat-na1-sesame");
        let printed = format!(
            "{credential:?} {:?} {:?}",
            access.header,
            Credential::bearer("pat sesame").unwrap_err()
        );
        assert!(!printed.contains("sesame"), "{printed}");
    }

    #[tokio::test]
    async fn what_was_made_once_is_not_renewed() {
        let credential = Credential::bearer("pat-na1-sesame").unwrap();
        let access = credential.access(None).await.unwrap();
        assert!(!credential.renewed(&access).await.unwrap());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bad in ["", " \n", "a b", "töken", "a\nb"] {
            assert!(Credential::bearer(bad).is_err(), "{bad:?}");
        }
    }
}
