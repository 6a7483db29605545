//! The credential of a source: what a client writes for it, how it is kept, and what egress makes
//! requests with.
//!
//! ```json
//! {"access_token": "…"}
//! {"oauth": {"grant": "refresh_token", "client_id": "…", "client_secret": "…", "refresh_token": "…"}}
//! {"oauth": {"grant": "client_credentials", "client_id": "…", "client_secret": "…"}}
//! {"oauth": {"grant": "jwt_bearer", "client_id": "…", "private_key": "-----BEGIN …", "subject": "…", "audience": "…"}}
//! ```
//!
//! `token_url` and `client_auth` (`body` or `basic`) may be added to `oauth`. It goes in and never
//! comes out: it cannot be printed, and has no form in which it could be serialised but the sealed
//! one.

use super::{
    document::{Node, Object},
    keyring::{Keyring, OpenError},
    refreshing::Stored,
    sealed::Sealed,
};
use reverse_sync::egress::{
    base_url::BaseUrl,
    credential::{
        BadCredential, Credential,
        assertion::{BadKey, SigningKey},
        endpoint::{BadEndpoint, TokenEndpoint},
        grants::{BadClient, Client, ClientAuthentication, Grant, GrantKind},
        well_known,
    },
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, sync::Arc};
use utoipa::ToSchema;

pub use super::document::BadDocument;

const EXAMPLE: &str = r#"{"access_token": "…"} or {"oauth": {"grant": "refresh_token", "client_id": "…", "client_secret": "…", "refresh_token": "…"}}"#;
const OAUTH_KEYS: [&str; 9] = [
    "grant",
    "client_id",
    "client_secret",
    "refresh_token",
    "private_key",
    "subject",
    "audience",
    "token_url",
    "client_auth",
];

/// The credential of a source, as a client writes it.
#[derive(Clone)]
pub struct CredentialDocument(Kind);

#[derive(Clone)]
enum Kind {
    AccessToken(SecretString),
    OAuth(OAuth),
}

#[derive(Clone)]
struct OAuth {
    client_id: String,
    client_secret: Option<SecretString>,
    client_auth: ClientAuthentication,
    token_url: Option<String>,
    shown: Shown,
}

/// What the client shows for a token.
#[derive(Clone)]
enum Shown {
    RefreshToken(SecretString),
    Nothing,
    Assertion { private_key: SecretString, subject: String, audience: Option<String> },
}

/// What may be said about a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CredentialSummary {
    /// Which of the two kinds it is.
    pub kind: CredentialKind,
    /// Of OAuth: how the client gets access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantKind>,
}

/// The kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A token that somebody made once.
    AccessToken,
    /// A client that has its access tokens made.
    #[serde(rename = "oauth")]
    OAuth,
}

/// What its source says about where a credential is used.
pub struct Around<'a> {
    /// Such as `hubspot`.
    pub provider: &'a str,
    /// Where the CRM is; the token endpoint is beside it, unless the credential says otherwise.
    pub base_url: &'a BaseUrl,
    /// Additional certificate authorities in PEM form.
    pub ca_pem: Option<&'a str>,
}

/// A credential that cannot be used. No message repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum UnusableCredential {
    /// The access token.
    #[error("`credential.access_token`: {0}")]
    AccessToken(#[from] BadCredential),
    /// The client.
    #[error("`credential.oauth`: {0}")]
    Client(#[from] BadClient),
    /// The key that signs.
    #[error("`credential.oauth.private_key` {0}")]
    PrivateKey(#[from] BadKey),
    /// The token endpoint.
    #[error("`credential.oauth`: {0}")]
    Endpoint(#[from] BadEndpoint),
    /// It is not a URL at all, and may be a secret that was pasted into the wrong place.
    #[error("`credential.oauth.token_url` is not a URL that begins with https://")]
    NoUrl,
    /// The provider has no place that is known for it.
    #[error("`credential.oauth.{0}` is missing, and a source of this provider has no usual one")]
    NoDefault(&'static str),
}

/// What is stored is not a credential.
#[derive(Debug, thiserror::Error)]
pub enum BadStored {
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// It opens, and makes no sense.
    #[error("the stored credential makes no sense to this version ({0}); write it again")]
    Document(#[from] BadDocument),
}

impl CredentialDocument {
    /// What may be said about it.
    pub fn summary(&self) -> CredentialSummary {
        match &self.0 {
            Kind::AccessToken(_) => {
                CredentialSummary { kind: CredentialKind::AccessToken, grant: None }
            }
            Kind::OAuth(oauth) => {
                CredentialSummary { kind: CredentialKind::OAuth, grant: Some(oauth.grant()) }
            }
        }
    }

    /// Seals it for the place where it will stand, such as `org_x/src_y/credential`.
    pub fn seal(&self, keyring: &Keyring, context: &str) -> Sealed {
        keyring.seal(context, &self.plain())
    }

    /// Whether a credential can be made of it. No request leaves.
    ///
    /// # Errors
    /// What is wrong, by its key.
    pub fn check(&self, around: &Around<'_>) -> Result<(), UnusableCredential> {
        match &self.0 {
            Kind::AccessToken(token) => {
                Credential::bearer(token.expose_secret()).map(drop).map_err(Into::into)
            }
            Kind::OAuth(oauth) => {
                oauth.endpoint(around)?;
                oauth.client()?;
                oauth.signing(around).map(drop)
            }
        }
    }

    /// What egress makes requests with. A refresh token and its successors are read from where they
    /// are `stored`.
    ///
    /// # Errors
    /// As [`CredentialDocument::check`].
    pub fn credential(
        &self,
        around: &Around<'_>,
        stored: Stored,
    ) -> Result<Credential, UnusableCredential> {
        let oauth = match &self.0 {
            Kind::AccessToken(token) => return Ok(Credential::bearer(token.expose_secret())?),
            Kind::OAuth(oauth) => oauth,
        };
        let grant = match (&oauth.shown, oauth.signing(around)?) {
            (_, Some(signing)) => signing,
            (Shown::RefreshToken(_), None) => Grant::RefreshToken(Arc::new(stored)),
            (_, None) => Grant::ClientCredentials,
        };
        Ok(Credential::oauth(oauth.endpoint(around)?, oauth.client()?, grant))
    }

    pub(super) fn refresh_token(&self) -> Option<&SecretString> {
        match &self.0 {
            Kind::OAuth(OAuth { shown: Shown::RefreshToken(token), .. }) => Some(token),
            _ => None,
        }
    }

    pub(super) fn with_refresh_token(mut self, successor: &SecretString) -> CredentialDocument {
        if let Kind::OAuth(OAuth { shown: Shown::RefreshToken(token), .. }) = &mut self.0 {
            *token = successor.clone();
        }
        self
    }

    /// The document as a text that is about to be sealed.
    pub(super) fn plain(&self) -> SecretString {
        fn text(secret: &SecretString) -> Option<&str> {
            Some(secret.expose_secret())
        }
        let plain = match &self.0 {
            Kind::AccessToken(token) => Plain { access_token: text(token), oauth: None },
            Kind::OAuth(oauth) => {
                let mut plain = PlainOAuth {
                    grant: oauth.grant().name(),
                    client_id: &oauth.client_id,
                    client_secret: oauth.client_secret.as_ref().and_then(text),
                    client_auth: ClientAuthentication::NAMED
                        .iter()
                        .find(|(_, known)| *known == oauth.client_auth)
                        .map(|(name, _)| *name),
                    token_url: oauth.token_url.as_deref(),
                    refresh_token: None,
                    private_key: None,
                    subject: None,
                    audience: None,
                };
                match &oauth.shown {
                    Shown::RefreshToken(token) => plain.refresh_token = text(token),
                    Shown::Nothing => {}
                    Shown::Assertion { private_key, subject, audience } => {
                        (plain.private_key, plain.subject, plain.audience) =
                            (text(private_key), Some(subject.as_str()), audience.as_deref());
                    }
                }
                Plain { access_token: None, oauth: Some(plain) }
            }
        };
        // Large enough that it does not move, which would leave a copy behind.
        let mut json = Zeroizing::new(Vec::with_capacity(16 << 10));
        #[expect(clippy::expect_used, reason = "texts under fixed names, written to memory")]
        serde_json::to_writer(&mut *json, &plain).expect("texts are JSON");
        SecretString::from(String::from_utf8_lossy(&json).as_ref())
    }

    /// What was sealed, once it is opened.
    ///
    /// # Errors
    /// If it is not a credential.
    pub fn from_plain(plain: &SecretString) -> Result<CredentialDocument, BadDocument> {
        let node = serde_json::from_str(plain.expose_secret())
            .map_err(|_| BadDocument("it is not JSON".to_owned()))?;
        CredentialDocument::of(node)
    }

    fn of(node: Node) -> Result<CredentialDocument, BadDocument> {
        let mut object = Object::of(node, "credential", EXAMPLE)?;
        let (token, oauth) = (object.secret("access_token")?, object.take("oauth"));
        object.finish(&["access_token", "oauth"])?;
        match (token, oauth) {
            (Some(token), None) => Ok(CredentialDocument(Kind::AccessToken(token))),
            (None, Some(node)) => Ok(CredentialDocument(Kind::OAuth(OAuth::of(node)?))),
            (Some(_), Some(_)) => Err(BadDocument(
                "`credential` has both `access_token` and `oauth`; it needs exactly one of them"
                    .to_owned(),
            )),
            (None, None) => Err(BadDocument(format!(
                "`credential` is empty; it must be an object such as {EXAMPLE}"
            ))),
        }
    }
}

impl OAuth {
    fn of(node: Node) -> Result<OAuth, BadDocument> {
        let mut object = Object::of(
            node,
            "credential.oauth",
            r#"{"grant": "refresh_token", "client_id": "…", …}"#,
        )?;
        let grants = GrantKind::ALL.map(|kind| (kind.name(), kind));
        let grant = object.word("grant", &grants)?.ok_or_else(|| object.missing("grant"))?;
        grant
            .check_keys(|key| object.has(key))
            .map_err(|wrong| BadDocument(format!("`credential.oauth`: {wrong}")))?;
        let client_id = object.text("client_id")?.ok_or_else(|| object.missing("client_id"))?;
        let client_secret = object.secret("client_secret")?;
        let client_auth =
            object.word("client_auth", &ClientAuthentication::NAMED)?.unwrap_or_default();
        let token_url = object.text("token_url")?;
        let shown = match grant {
            GrantKind::RefreshToken => Shown::RefreshToken(
                object.secret("refresh_token")?.ok_or_else(|| object.missing("refresh_token"))?,
            ),
            GrantKind::ClientCredentials => Shown::Nothing,
            GrantKind::JwtBearer => Shown::Assertion {
                private_key: object
                    .secret("private_key")?
                    .ok_or_else(|| object.missing("private_key"))?,
                subject: object.text("subject")?.ok_or_else(|| object.missing("subject"))?,
                audience: object.text("audience")?,
            },
        };
        object.finish(&OAUTH_KEYS)?;
        Ok(OAuth { client_id, client_secret, client_auth, token_url, shown })
    }

    fn grant(&self) -> GrantKind {
        match self.shown {
            Shown::RefreshToken(_) => GrantKind::RefreshToken,
            Shown::Nothing => GrantKind::ClientCredentials,
            Shown::Assertion { .. } => GrantKind::JwtBearer,
        }
    }

    fn client(&self) -> Result<Client, BadClient> {
        Client::new(&self.client_id, self.client_secret.as_ref(), self.client_auth)
    }

    fn endpoint(&self, around: &Around<'_>) -> Result<TokenEndpoint, UnusableCredential> {
        if self.token_url.as_ref().is_some_and(|url| !url.contains("://")) {
            return Err(UnusableCredential::NoUrl);
        }
        let usual = well_known::token_url(around.provider, around.base_url);
        let url =
            self.token_url.clone().or(usual).ok_or(UnusableCredential::NoDefault("token_url"))?;
        let endpoint = TokenEndpoint::beside(
            around.base_url,
            &url,
            around.ca_pem.map(str::as_bytes),
            TokenEndpoint::limits(),
        )?;
        Ok(endpoint.naming(well_known::account_in_answer(around.provider)))
    }

    /// The grant of a client that signs.
    fn signing(&self, around: &Around<'_>) -> Result<Option<Grant>, UnusableCredential> {
        let Shown::Assertion { private_key, subject, audience } = &self.shown else {
            return Ok(None);
        };
        let usual = well_known::audience(around.provider, around.base_url);
        Ok(Some(Grant::JwtBearer {
            key: SigningKey::from_pem(private_key)?,
            subject: subject.clone(),
            audience: audience
                .clone()
                .or(usual)
                .ok_or(UnusableCredential::NoDefault("audience"))?,
        }))
    }
}

impl<'de> Deserialize<'de> for CredentialDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CredentialDocument, D::Error> {
        CredentialDocument::of(Node::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Debug for CredentialDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDocument(…)")
    }
}

/// What is sealed. It has the form that a client writes.
#[derive(Serialize)]
struct Plain<'a> {
    access_token: Option<&'a str>,
    oauth: Option<PlainOAuth<'a>>,
}

#[derive(Serialize)]
struct PlainOAuth<'a> {
    grant: &'static str,
    client_id: &'a str,
    client_secret: Option<&'a str>,
    client_auth: Option<&'static str>,
    token_url: Option<&'a str>,
    refresh_token: Option<&'a str>,
    private_key: Option<&'a str>,
    subject: Option<&'a str>,
    audience: Option<&'a str>,
}

/// The form of [`CredentialDocument`], for the description of the API.
mod written {
    #![expect(
        dead_code,
        reason = "they describe what is read elsewhere, so that no message can repeat a secret"
    )]

    use reverse_sync::egress::credential::grants::GrantKind;
    use utoipa::{PartialSchema, ToSchema, openapi};

    /// The credential of a source: exactly one of the two keys. It is never returned.
    #[derive(ToSchema)]
    #[schema(no_recursion)]
    struct Written {
        /// A token that somebody made once.
        #[schema(nullable, write_only)]
        access_token: Option<String>,
        /// A client that has its access tokens made.
        #[schema(nullable, write_only, inline)]
        oauth: Option<WrittenOAuth>,
    }

    #[derive(ToSchema)]
    #[schema(no_recursion)]
    struct WrittenOAuth {
        /// How it gets them.
        #[schema(schema_with = grants)]
        grant: GrantKind,
        client_id: String,
        client_secret: Option<String>,
        /// Where id and secret are sent: `body` (the default) or `basic`.
        client_auth: Option<String>,
        /// Where access tokens come from, if not from the provider's usual place.
        token_url: Option<String>,
        /// Of `refresh_token`.
        refresh_token: Option<String>,
        /// Of `jwt_bearer`: an RSA key in PEM form.
        private_key: Option<String>,
        /// Of `jwt_bearer`: the user that it acts for.
        subject: Option<String>,
        /// Of `jwt_bearer`: the token endpoint's name for itself, if not the usual one.
        audience: Option<String>,
    }

    fn grants() -> openapi::schema::Object {
        let names = GrantKind::ALL.map(GrantKind::name);
        openapi::ObjectBuilder::new()
            .schema_type(openapi::Type::String)
            .enum_values(Some(names))
            .build()
    }

    impl PartialSchema for super::CredentialDocument {
        fn schema() -> openapi::RefOr<openapi::schema::Schema> {
            Written::schema()
        }
    }

    impl ToSchema for super::CredentialDocument {}
}

#[cfg(test)]
mod tests;
