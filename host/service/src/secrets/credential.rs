//! The credential of a source as the service keeps it: a
//! [specification](reverse_sync::egress::credential::spec) whose secrets are in it, which is sealed
//! at once. It goes in and never comes out: it cannot be printed, and has no form in which it could
//! be serialised but the sealed one.

use super::{
    keyring::{Keyring, OpenError},
    sealed::Sealed,
};
use reverse_sync::egress::{
    base_url::BaseUrl,
    credential::{
        grants::{ClientAuthentication, GrantKind},
        spec::{ClientId, CredentialSpec, Endpoint, Literal, OAuthSpec, Shown, Site},
    },
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};
use utoipa::ToSchema;

/// The credential of a source, as a client writes it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct CredentialDocument(pub CredentialSpec<Literal>);

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

/// Where the credential of a tenant's source is used.
pub fn site<'a>(provider: &'a str, base_url: &'a BaseUrl, ca_pem: Option<&'a str>) -> Site<'a> {
    Site { provider, base_url, dir: Path::new(""), endpoint: Endpoint::Tenants { ca_pem } }
}

/// What is stored is not a credential.
#[derive(Debug, thiserror::Error)]
pub enum BadStored {
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// It opens, and makes no sense. What is wrong with it could repeat a part of it.
    #[error("the stored credential makes no sense to this version (at `{0}`); write it again")]
    Document(String),
}

impl CredentialDocument {
    /// What may be said about it.
    pub fn summary(&self) -> CredentialSummary {
        match &self.0 {
            CredentialSpec::AccessToken(_) => {
                CredentialSummary { kind: CredentialKind::AccessToken, grant: None }
            }
            CredentialSpec::OAuth(oauth) => {
                CredentialSummary { kind: CredentialKind::OAuth, grant: Some(oauth.grant()) }
            }
        }
    }

    /// Seals it for the place where it will stand, such as `org_x/src_y/credential`.
    pub fn seal(&self, keyring: &Keyring, context: &str) -> Sealed {
        keyring.seal(context, &self.plain())
    }

    pub(super) fn refresh_token(&self) -> Option<&SecretString> {
        match &self.0 {
            CredentialSpec::OAuth(OAuthSpec { shown: Shown::RefreshToken(token), .. }) => {
                Some(&token.0)
            }
            _ => None,
        }
    }

    pub(super) fn with_refresh_token(mut self, successor: &SecretString) -> CredentialDocument {
        if let CredentialSpec::OAuth(OAuthSpec { shown: Shown::RefreshToken(token), .. }) =
            &mut self.0
        {
            token.0 = successor.clone();
        }
        self
    }

    /// The document as a text that is about to be sealed.
    pub(super) fn plain(&self) -> SecretString {
        fn text(secret: &Literal) -> &str {
            secret.0.expose_secret()
        }
        let plain = match &self.0 {
            CredentialSpec::AccessToken(token) => {
                Plain { access_token: Some(text(token)), oauth: None }
            }
            CredentialSpec::OAuth(oauth) => {
                let mut plain = PlainOAuth {
                    grant: oauth.grant().name(),
                    client_id: match &oauth.client_id {
                        ClientId::Here(id) => id,
                        ClientId::There(id) => text(id),
                    },
                    client_secret: oauth.client_secret.as_ref().map(text),
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
                    Shown::RefreshToken(token) => plain.refresh_token = Some(text(token)),
                    Shown::Nothing => {}
                    Shown::Assertion { private_key, subject, audience } => {
                        (plain.private_key, plain.subject, plain.audience) =
                            (Some(text(private_key)), Some(subject.as_str()), audience.as_deref());
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
    /// If it is not a credential: where.
    pub fn from_plain(plain: &SecretString) -> Result<CredentialDocument, BadStored> {
        let mut json = serde_json::Deserializer::from_str(plain.expose_secret());
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| BadStored::Document(error.path().to_string()))
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
