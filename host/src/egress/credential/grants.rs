//! What a client shows for an access token (RFC 6749, RFC 7523), as the form that is posted. Pure:
//! no network, no clock.
//!
//! The crate `oauth2` covers two of the three grants and none of what is hard here (one renewal for
//! all, rotation kept before use, secrets that cannot be printed); this is less code than its
//! adapter would be, and no second chrono, rand and sha2.
//!
//! The module above has an example ([`credential`](super)).

use super::{assertion::SigningKey, refresh_tokens::RefreshTokens};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// How a client gets an access token.
pub enum Grant {
    /// Somebody agreed once; the refresh token stands for that, and may be replaced with each use.
    RefreshToken(Arc<dyn RefreshTokens>),
    /// The client acts for itself.
    ClientCredentials,
    /// The client signs whom it acts for.
    JwtBearer {
        /// Signs.
        key: SigningKey,
        /// The user it acts for.
        subject: String,
        /// The token endpoint's own name for itself.
        audience: String,
    },
}

impl Grant {
    /// Which of the three it is.
    pub fn kind(&self) -> GrantKind {
        match self {
            Grant::RefreshToken(_) => GrantKind::RefreshToken,
            Grant::ClientCredentials => GrantKind::ClientCredentials,
            Grant::JwtBearer { .. } => GrantKind::JwtBearer,
        }
    }
}

/// The three grants, by the names that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GrantKind {
    /// See [`Grant::RefreshToken`].
    RefreshToken,
    /// See [`Grant::ClientCredentials`].
    ClientCredentials,
    /// See [`Grant::JwtBearer`].
    JwtBearer,
}

/// Keys that do not make up a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongKeys {
    /// One is missing.
    #[error("the grant {grant} needs `{key}`")]
    Missing {
        /// The grant that was asked for.
        grant: GrantKind,
        /// What it needs.
        key: &'static str,
    },
    /// One is too many.
    #[error("the grant {grant} has no use for `{key}`; another grant may be meant")]
    NoUse {
        /// The grant that was asked for.
        grant: GrantKind,
        /// What is of no use to it.
        key: &'static str,
    },
}

impl GrantKind {
    /// All of them.
    pub const ALL: [GrantKind; 3] =
        [GrantKind::RefreshToken, GrantKind::ClientCredentials, GrantKind::JwtBearer];

    /// Its name in the project file, in the API and in the log.
    pub fn name(self) -> &'static str {
        match self {
            GrantKind::RefreshToken => "refresh_token",
            GrantKind::ClientCredentials => "client_credentials",
            GrantKind::JwtBearer => "jwt_bearer",
        }
    }

    /// Whether the keys that are there make up this grant. Keys that fit all of them are not asked
    /// about.
    ///
    /// # Errors
    /// The first key that is missing or of no use.
    pub fn check_keys(self, is_there: impl Fn(&str) -> bool) -> Result<(), WrongKeys> {
        let (refresh, jwt) = (self == GrantKind::RefreshToken, self == GrantKind::JwtBearer);
        for (key, needed, fits) in [
            ("client_id", true, true),
            ("client_secret", self == GrantKind::ClientCredentials, !jwt),
            ("refresh_token", refresh, refresh),
            ("private_key", jwt, jwt),
            ("subject", jwt, jwt),
            ("audience", false, jwt),
        ] {
            match is_there(key) {
                false if needed => return Err(WrongKeys::Missing { grant: self, key }),
                true if !fits => return Err(WrongKeys::NoUse { grant: self, key }),
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Display for GrantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who asks for a token.
pub struct Client {
    id: String,
    secret: Option<SecretString>,
    authentication: ClientAuthentication,
}

/// Where a client puts its id and secret (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In the form. HubSpot and Salesforce take it there.
    #[default]
    Body,
    /// In the `Authorization` header.
    Basic,
}

impl ClientAuthentication {
    /// Both, by the names that people write.
    pub const NAMED: [(&'static str, ClientAuthentication); 2] =
        [("body", ClientAuthentication::Body), ("basic", ClientAuthentication::Basic)];
}

/// A client that cannot be used. The message does not repeat its secret.
#[derive(Debug, thiserror::Error)]
pub enum BadClient {
    /// No id.
    #[error("the client id is empty")]
    NoId,
    /// It would be found in every answer.
    #[error(
        "the client secret has fewer than {} characters; was it cut off?",
        super::SHORTEST_SECRET
    )]
    ShortSecret,
    /// Only a secret can be put there.
    #[error("client authentication in the header needs a client secret")]
    NothingToAuthenticateWith,
}

impl Client {
    /// A client. Blanks and line breaks around id and secret are dropped, as files end in one.
    ///
    /// # Errors
    /// An empty id, or an invalid secret.
    pub fn new(
        id: &str,
        secret: Option<&SecretString>,
        authentication: ClientAuthentication,
    ) -> Result<Client, BadClient> {
        let id = id.trim();
        if id.is_empty() {
            return Err(BadClient::NoId);
        }
        let secret = secret.map(|secret| SecretString::from(secret.expose_secret().trim()));
        match &secret {
            Some(secret) if secret.expose_secret().len() < super::SHORTEST_SECRET => {
                return Err(BadClient::ShortSecret);
            }
            None if authentication == ClientAuthentication::Basic => {
                return Err(BadClient::NothingToAuthenticateWith);
            }
            _ => {}
        }
        Ok(Client { id: id.to_owned(), secret, authentication })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> Option<&SecretString> {
        self.secret.as_ref()
    }
}

/// What the client shows this time.
pub(super) enum Shown<'a> {
    RefreshToken(&'a SecretString),
    Nothing,
    Assertion(&'a SecretString),
}

/// A form and the header that goes with it.
pub(super) struct TokenRequest {
    pub(super) form: SecretString,
    pub(super) authorization: Option<HeaderValue>,
}

impl TokenRequest {
    pub(super) fn new(client: &Client, shown: &Shown<'_>) -> TokenRequest {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let authenticates = match shown {
            Shown::RefreshToken(token) => {
                form.append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", token.expose_secret());
                true
            }
            Shown::Nothing => {
                form.append_pair("grant_type", "client_credentials");
                true
            }
            Shown::Assertion(assertion) => {
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", assertion.expose_secret());
                // It says who the client is, and its signature proves it.
                false
            }
        };
        let mut authorization = None;
        if authenticates {
            match (&client.secret, client.authentication) {
                (Some(secret), ClientAuthentication::Basic) => {
                    authorization = basic(&client.id, secret)
                }
                (secret, _) => {
                    form.append_pair("client_id", &client.id);
                    if let Some(secret) = secret {
                        form.append_pair("client_secret", secret.expose_secret());
                    }
                }
            }
        }
        TokenRequest { form: SecretString::from(form.finish()), authorization }
    }
}

fn basic(id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn forms_are_those_of_the_rfcs() {
        let token = secret("5Aep&=+ x");
        let with = |authentication| {
            Client::new("my app\n", Some(&secret("s3cr&t-s3cr&t\n")), authentication).unwrap()
        };
        let form = |client: &Client, shown: &Shown<'_>| {
            TokenRequest::new(client, shown).form.expose_secret().to_owned()
        };
        let body = with(ClientAuthentication::Body);
        assert_eq!(
            form(&body, &Shown::RefreshToken(&token)),
            "grant_type=refresh_token&refresh_token=5Aep%26%3D%2B+x&client_id=my+app&client_secret=s3cr%26t-s3cr%26t"
        );
        assert_eq!(
            form(&body, &Shown::Nothing),
            "grant_type=client_credentials&client_id=my+app&client_secret=s3cr%26t-s3cr%26t"
        );
        assert_eq!(
            form(&body, &Shown::Assertion(&secret("a.b.c"))),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c"
        );
        let public = Client::new("app", None, ClientAuthentication::Body).unwrap();
        assert_eq!(
            form(&public, &Shown::RefreshToken(&secret("t"))),
            "grant_type=refresh_token&refresh_token=t&client_id=app"
        );
        let basic = TokenRequest::new(&with(ClientAuthentication::Basic), &Shown::Nothing);
        assert_eq!(basic.form.expose_secret(), "grant_type=client_credentials");
        // my+app:s3cr%26t-s3cr%26t
        assert_eq!(basic.authorization.unwrap(), "Basic bXkrYXBwOnMzY3IlMjZ0LXMzY3IlMjZ0");
    }

    #[test]
    fn a_client_that_cannot_be_is_refused_and_not_repeated() {
        for (id, client_secret, authentication, error) in [
            (" ", None, ClientAuthentication::Body, "client id is empty"),
            ("app", Some("sesame"), ClientAuthentication::Body, "fewer than 8"),
            ("app", None, ClientAuthentication::Basic, "needs a client secret"),
        ] {
            let said = Client::new(id, client_secret.map(secret).as_ref(), authentication)
                .err()
                .unwrap()
                .to_string();
            assert!(said.contains(error) && !said.contains("sesame"), "{said}");
        }
    }
}
