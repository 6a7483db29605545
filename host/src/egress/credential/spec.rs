//! A credential as it is written down: in a project file, where each secret is the place to look it
//! up, or for a service, where it is the secret itself, to be sealed at once.
//!
//! ```text
//! {"access_token": S}
//! {"oauth": {"grant": "refresh_token", "client_id": "…", "client_secret": S, "refresh_token": S}}
//! {"oauth": {"grant": "client_credentials", "client_id": "…", "client_secret": S}}
//! {"oauth": {"grant": "jwt_bearer", "client_id": "…", "private_key": S, "subject": "…", "audience": "…"}}
//! ```
//!
//! `token_url` and `client_auth` (`body` or `basic`) may be added to `oauth`. No message repeats a
//! text of it: people paste secrets anywhere.

use super::{
    Credential,
    assertion::SigningKey,
    endpoint::TokenEndpoint,
    grants::{Client, ClientAuthentication, Grant, GrantKind, WrongKeys},
    refresh_tokens::RefreshTokens,
    well_known,
};
use crate::{egress::base_url::BaseUrl, private_file};
use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, value::MapAccessDeserializer},
};
use std::{
    env::VarError,
    fmt,
    fs::File,
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a secret is written down.
pub trait Secret {
    /// The secret of this key. A relative file is below `dir`.
    ///
    /// # Errors
    /// If it is not where it should be.
    fn read(&self, dir: &Path, key: &'static str) -> Result<SecretString, UnusableCredential>;

    /// A message about it, with where it is.
    fn explained(&self, error: &dyn fmt::Display) -> String;
}

/// Where a secret is, never the secret itself.
#[derive(Clone, Debug)]
pub enum Reference {
    /// In this environment variable.
    Env(String),
    /// In this file, which its owner alone may read.
    File(PathBuf),
}

/// The secret itself, without the blanks and line breaks around it that come from pasting.
#[derive(Clone, Debug)]
pub struct Literal(pub SecretString);

impl Secret for Reference {
    fn read(&self, dir: &Path, key: &'static str) -> Result<SecretString, UnusableCredential> {
        let what = key.replace('_', " ");
        let read = match self {
            Reference::Env(name) => match std::env::var(name) {
                Ok(text) => Ok(SecretString::from(text)),
                Err(VarError::NotPresent) => Err(format!(
                    "the environment variable {name}, which should hold the {what}, is not set"
                )),
                Err(VarError::NotUnicode(_)) => Err(format!(
                    "the environment variable {name} does not hold the {what}: it is not text"
                )),
            },
            Reference::File(path) => {
                let path = dir.join(path);
                let (read, path) = (read_private(&path), path.display());
                read.map_err(|error| format!("cannot read the {what} from {path}: {error}"))
                    .and_then(|read| {
                        read.map_err(|mode| format!(
                            "others can read the {what} in {path} (mode {mode:04o}); run: chmod 600 {path}"
                        ))
                    })
            }
        };
        read.map_err(|message| UnusableCredential::of(key, message))
    }

    fn explained(&self, error: &dyn fmt::Display) -> String {
        format!("from {self}: {error}")
    }
}

/// What is in a file, or its mode if others may read it.
fn read_private(path: &Path) -> io::Result<Result<SecretString, u32>> {
    let mut file = File::open(path)?;
    match private_file::open_to_others(&file)? {
        Some(mode) => Ok(Err(mode)),
        None => private_file::read(&mut file).map(Ok),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Env(name) => write!(f, "the environment variable {name}"),
            Reference::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

impl Secret for Literal {
    fn read(&self, _: &Path, _: &'static str) -> Result<SecretString, UnusableCredential> {
        Ok(self.0.clone())
    }

    fn explained(&self, error: &dyn fmt::Display) -> String {
        error.to_string()
    }
}

/// A credential as it is written down.
#[derive(Clone, Debug)]
pub enum CredentialSpec<S> {
    /// A token that somebody made once.
    AccessToken(S),
    /// A client that has its access tokens made.
    OAuth(OAuthSpec<S>),
}

/// A client that has its access tokens made.
#[derive(Clone, Debug)]
pub struct OAuthSpec<S> {
    /// Its id.
    pub client_id: ClientId<S>,
    /// Its secret, if it has one.
    pub client_secret: Option<S>,
    /// Where id and secret are sent.
    pub client_auth: ClientAuthentication,
    /// Where access tokens come from, if not from the provider's usual place.
    pub token_url: Option<String>,
    /// What it shows for a token.
    pub shown: Shown<S>,
}

/// What a client shows for a token.
#[derive(Clone, Debug)]
pub enum Shown<S> {
    /// A refresh token.
    RefreshToken(S),
    /// Its secret alone.
    Nothing,
    /// Whom it acts for, signed.
    Assertion {
        /// Signs.
        private_key: S,
        /// The user that it acts for.
        subject: String,
        /// The token endpoint's name for itself, if not the usual one.
        audience: Option<String>,
    },
}

/// The id of a client: it may be written down itself.
#[derive(Clone, Debug)]
pub enum ClientId<S> {
    /// The id.
    Here(String),
    /// Where it is.
    There(S),
}

/// What a source says about where its credential is used.
pub struct Site<'a> {
    /// Such as `hubspot`.
    pub provider: &'a str,
    /// Where the CRM is; the token endpoint is beside it, unless the credential says otherwise.
    pub base_url: &'a BaseUrl,
    /// What relative files of secrets are relative to.
    pub dir: &'a Path,
    /// Whose words the URL of the token endpoint are.
    pub endpoint: Endpoint<'a>,
}

/// Which token endpoints may be used.
pub enum Endpoint<'a> {
    /// The operator's own.
    Own {
        /// Lets it be in a private network.
        private_network: bool,
        /// Additional certificate authorities.
        ca_file: Option<&'a Path>,
    },
    /// A tenant's: it is as far away as the CRM.
    Tenants {
        /// Additional certificate authorities in PEM form.
        ca_pem: Option<&'a str>,
    },
}

/// A credential that cannot be used. No message repeats a secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UnusableCredential {
    /// A JSON Pointer to what is wrong in the specification.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// The key is missing, which this provider has no usual value of.
    pub missing: bool,
}

impl UnusableCredential {
    fn of(key: &str, message: impl ToString) -> UnusableCredential {
        let within = if key == "access_token" { "" } else { "/oauth" };
        let pointer = format!("{within}/{key}");
        UnusableCredential { pointer, message: message.to_string(), missing: false }
    }

    fn client(message: impl ToString) -> UnusableCredential {
        UnusableCredential { pointer: "/oauth".to_owned(), ..UnusableCredential::of("", message) }
    }

    fn missing(key: &str) -> UnusableCredential {
        let message = format!("`{key}` is missing, and a source of this provider has no usual one");
        UnusableCredential { missing: true, ..UnusableCredential::of(key, message) }
    }
}

impl<S: Secret> CredentialSpec<S> {
    /// Whether a credential can be made of it. No request leaves.
    ///
    /// # Errors
    /// See [`UnusableCredential`].
    pub fn check(&self, site: &Site<'_>) -> Result<(), UnusableCredential> {
        match self {
            CredentialSpec::AccessToken(token) => bearer(token, site).map(drop),
            CredentialSpec::OAuth(oauth) => {
                oauth.endpoint(site)?;
                oauth.client(site)?;
                oauth.signing(site).map(drop)
            }
        }
    }

    /// What egress makes requests with. `refresh` says where a refresh token and its successors
    /// are kept.
    ///
    /// # Errors
    /// See [`UnusableCredential`].
    pub fn credential(
        &self,
        site: &Site<'_>,
        refresh: impl FnOnce(&S) -> Result<Arc<dyn RefreshTokens>, UnusableCredential>,
    ) -> Result<Credential, UnusableCredential> {
        let oauth = match self {
            CredentialSpec::AccessToken(token) => return bearer(token, site),
            CredentialSpec::OAuth(oauth) => oauth,
        };
        let grant = match (&oauth.shown, oauth.signing(site)?) {
            (_, Some(signing)) => signing,
            (Shown::RefreshToken(token), None) => Grant::RefreshToken(refresh(token)?),
            (_, None) => Grant::ClientCredentials,
        };
        Ok(Credential::oauth(oauth.endpoint(site)?, oauth.client(site)?, grant))
    }
}

fn bearer(token: &impl Secret, site: &Site<'_>) -> Result<Credential, UnusableCredential> {
    let text = token.read(site.dir, "access_token")?;
    Credential::bearer(text.expose_secret())
        .map_err(|error| UnusableCredential::of("access_token", token.explained(&error)))
}

impl<S> OAuthSpec<S> {
    /// How it gets access tokens.
    pub fn grant(&self) -> GrantKind {
        match self.shown {
            Shown::RefreshToken(_) => GrantKind::RefreshToken,
            Shown::Nothing => GrantKind::ClientCredentials,
            Shown::Assertion { .. } => GrantKind::JwtBearer,
        }
    }

    fn endpoint(&self, site: &Site<'_>) -> Result<TokenEndpoint, UnusableCredential> {
        if self.token_url.as_ref().is_some_and(|url| !url.contains("://")) {
            let message = "`token_url` is not a URL that begins with https://";
            return Err(UnusableCredential::of("token_url", message));
        }
        let usual = || well_known::token_url(site.provider, site.base_url);
        let url = self.token_url.clone().or_else(usual);
        let url = url.ok_or_else(|| UnusableCredential::missing("token_url"))?;
        let limits = TokenEndpoint::limits();
        let endpoint = match site.endpoint {
            Endpoint::Own { private_network, ca_file } => {
                TokenEndpoint::new(&url, private_network, ca_file, limits)
            }
            Endpoint::Tenants { ca_pem } => {
                TokenEndpoint::beside(site.base_url, &url, ca_pem.map(str::as_bytes), limits)
            }
        };
        let endpoint = endpoint.map_err(UnusableCredential::client)?;
        Ok(endpoint.naming(well_known::account_in_answer(site.provider)))
    }
}

impl<S: Secret> OAuthSpec<S> {
    fn client(&self, site: &Site<'_>) -> Result<Client, UnusableCredential> {
        let id = match &self.client_id {
            ClientId::Here(id) => SecretString::from(id.as_str()),
            ClientId::There(secret) => secret.read(site.dir, "client_id")?,
        };
        let secret = self.client_secret.as_ref();
        let secret = secret.map(|secret| secret.read(site.dir, "client_secret")).transpose()?;
        Client::new(id.expose_secret(), secret.as_ref(), self.client_auth)
            .map_err(UnusableCredential::client)
    }

    /// The grant of a client that signs.
    fn signing(&self, site: &Site<'_>) -> Result<Option<Grant>, UnusableCredential> {
        let Shown::Assertion { private_key, subject, audience } = &self.shown else {
            return Ok(None);
        };
        let pem = private_key.read(site.dir, "private_key")?;
        let key = SigningKey::from_pem(&pem).map_err(|error| {
            let said = format!("the private key {error}");
            UnusableCredential::of("private_key", private_key.explained(&said))
        })?;
        let usual = || well_known::audience(site.provider, site.base_url);
        let audience = audience.clone().or_else(usual);
        let audience = audience.ok_or_else(|| UnusableCredential::missing("audience"))?;
        Ok(Some(Grant::JwtBearer { key, subject: subject.clone(), audience }))
    }
}

// serde's own messages repeat a text that does not fit. So texts are read by visitors of their own.

/// What an entry is that is not a text.
struct Entry<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<T> Entry<T> {
    fn new(expected: &'static str) -> Entry<T> {
        Entry { expected, of: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Entry<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<T, E> {
        Err(E::custom(self.expected))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Entries(std::collections::BTreeMap<String, String>);
        const EXPECTED: &str = "this says where a secret is: { env = \"HUBSPOT_TOKEN\" } or { file = \"token.txt\" }; the secret itself is never written here";
        let Entries(entries) = deserializer.deserialize_any(Entry::new(EXPECTED))?;
        let mut entries = entries.into_iter();
        match (entries.next(), entries.next()) {
            (Some((key, name)), None) if key == "env" => Ok(Reference::Env(name)),
            (Some((key, path)), None) if key == "file" => Ok(Reference::File(path.into())),
            _ => Err(D::Error::custom(EXPECTED)),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Literal, D::Error> {
        let text = SecretString::from(String::deserialize(deserializer)?);
        match text.expose_secret().trim() {
            "" => Err(D::Error::custom("it is empty")),
            trimmed if trimmed.len() == text.expose_secret().len() => Ok(Literal(text)),
            trimmed => Ok(Literal(SecretString::from(trimmed))),
        }
    }
}

/// A text that is not empty.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Literal>::deserialize(deserializer)?;
    Ok(text.map(|Literal(text)| text.expose_secret().to_owned()))
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for ClientId<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClientId<S>, D::Error> {
        struct Either<S>(PhantomData<S>);
        impl<'de, S: Deserialize<'de>> de::Visitor<'de> for Either<S> {
            type Value = ClientId<S>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ClientId<S>, E> {
                match text.trim() {
                    "" => Err(E::custom("it is empty")),
                    id => Ok(ClientId::Here(id.to_owned())),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ClientId<S>, A::Error> {
                S::deserialize(MapAccessDeserializer::new(map)).map(ClientId::There)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// One of a few words.
fn word<T: Copy, E: de::Error>(text: &str, words: &[(&str, T)]) -> Result<T, E> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        E::custom(format_args!("this must be one of {}", words.join(", ")))
    })
}

fn grant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<GrantKind, D::Error> {
    word(&String::deserialize(deserializer)?, &GrantKind::ALL.map(|kind| (kind.name(), kind)))
}

fn client_auth<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ClientAuthentication, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(ClientAuthentication::default()),
        Some(text) => word(&text, &ClientAuthentication::NAMED),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "S: Deserialize<'de>")]
struct Keys<S> {
    #[serde(deserialize_with = "grant")]
    grant: GrantKind,
    client_id: Option<ClientId<S>>,
    client_secret: Option<S>,
    #[serde(default, deserialize_with = "client_auth")]
    client_auth: ClientAuthentication,
    #[serde(default, deserialize_with = "text")]
    token_url: Option<String>,
    refresh_token: Option<S>,
    private_key: Option<S>,
    #[serde(default, deserialize_with = "text")]
    subject: Option<String>,
    #[serde(default, deserialize_with = "text")]
    audience: Option<String>,
}

impl<S> TryFrom<Keys<S>> for OAuthSpec<S> {
    type Error = WrongKeys;

    fn try_from(keys: Keys<S>) -> Result<OAuthSpec<S>, WrongKeys> {
        let grant = keys.grant;
        grant.check_keys(|key| match key {
            "client_id" => keys.client_id.is_some(),
            "client_secret" => keys.client_secret.is_some(),
            "refresh_token" => keys.refresh_token.is_some(),
            "private_key" => keys.private_key.is_some(),
            "subject" => keys.subject.is_some(),
            "audience" => keys.audience.is_some(),
            _ => false,
        })?;
        let missing = |key| WrongKeys::Missing { grant, key };
        let shown = match grant {
            GrantKind::RefreshToken => {
                Shown::RefreshToken(keys.refresh_token.ok_or(missing("refresh_token"))?)
            }
            GrantKind::ClientCredentials => Shown::Nothing,
            GrantKind::JwtBearer => Shown::Assertion {
                private_key: keys.private_key.ok_or(missing("private_key"))?,
                subject: keys.subject.ok_or(missing("subject"))?,
                audience: keys.audience,
            },
        };
        Ok(OAuthSpec {
            client_id: keys.client_id.ok_or(missing("client_id"))?,
            client_secret: keys.client_secret,
            client_auth: keys.client_auth,
            token_url: keys.token_url,
            shown,
        })
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for OAuthSpec<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OAuthSpec<S>, D::Error> {
        const EXPECTED: &str =
            "oauth has keys of its own, such as grant, client_id, client_secret and refresh_token";
        let keys: Keys<S> = deserializer.deserialize_any(Entry::new(EXPECTED))?;
        keys.try_into().map_err(D::Error::custom)
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for CredentialSpec<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CredentialSpec<S>, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, bound = "S: Deserialize<'de>")]
        struct Either<S> {
            access_token: Option<S>,
            oauth: Option<OAuthSpec<S>>,
        }
        let Either { access_token, oauth } = Either::deserialize(deserializer)?;
        CredentialSpec::of(access_token, oauth).ok_or_else(|| {
            D::Error::custom("it has exactly one of the keys `access_token` and `oauth`")
        })
    }
}

impl<S> CredentialSpec<S> {
    /// From the one of the two keys that is there; nothing if it is not exactly one.
    pub fn of(access_token: Option<S>, oauth: Option<OAuthSpec<S>>) -> Option<CredentialSpec<S>> {
        match (access_token, oauth) {
            (Some(token), None) => Some(CredentialSpec::AccessToken(token)),
            (None, Some(oauth)) => Some(CredentialSpec::OAuth(oauth)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
