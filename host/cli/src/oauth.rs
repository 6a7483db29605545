//! `oauth = { … }` of a source: how the command gets access tokens.

use crate::secret::Secret;
use anyhow::Context;
use reverse_sync::{
    digest::Digest,
    egress::credential::{
        Credential,
        assertion::SigningKey,
        endpoint::TokenEndpoint,
        grants::{Client, ClientAuthentication, Grant, GrantKind, WrongKeys},
        refresh_tokens::{RefreshTokens, SuccessorFile, TokenFile},
        well_known::AccountInAnswer,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the file says. Which keys belong together is for [`OAuthEntry::check`], so that messages
/// can name them.
#[derive(Debug)]
pub(crate) struct OAuthEntry(Keys);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "grant")]
    grant: GrantKind,
    token_url: Option<String>,
    client_id: Option<Text>,
    client_secret: Option<Secret>,
    #[serde(default, deserialize_with = "authentication")]
    client_auth: ClientAuthentication,
    refresh_token: Option<Secret>,
    private_key: Option<Secret>,
    subject: Option<String>,
    audience: Option<String>,
}

/// What may stand in the file, or elsewhere.
#[derive(Debug)]
enum Text {
    Here(String),
    There(Secret),
}

/// What a source knows when its credential is made.
pub(crate) struct Around<'a> {
    pub(crate) source_id: &'a str,
    /// What relative files are relative to.
    pub(crate) dir: &'a Path,
    /// Where rotated refresh tokens are kept that came from the environment.
    pub(crate) state: &'a Path,
    pub(crate) private_network: bool,
    pub(crate) ca_file: Option<&'a Path>,
    /// If the file names none.
    pub(crate) token_url: Option<String>,
    pub(crate) audience: Option<String>,
    /// Where the token endpoint names the account.
    pub(crate) account: Option<AccountInAnswer>,
}

impl OAuthEntry {
    /// Whether the keys make up a grant. Looks no secret up.
    pub(crate) fn check(&self) -> Result<(), WrongKeys> {
        let keys = &self.0;
        keys.grant.check_keys(|key| match key {
            "client_id" => keys.client_id.is_some(),
            "client_secret" => keys.client_secret.is_some(),
            "refresh_token" => keys.refresh_token.is_some(),
            "private_key" => keys.private_key.is_some(),
            "subject" => keys.subject.is_some(),
            "audience" => keys.audience.is_some(),
            _ => false,
        })
    }

    /// Looks the secrets up. Only a confirmed run gets here.
    pub(crate) fn look_up(&self, around: &Around<'_>) -> anyhow::Result<Credential> {
        let keys = &self.0;
        let token_url = keys
            .token_url
            .as_ref()
            .or(around.token_url.as_ref())
            .context("lacks `token_url`, where access tokens come from")?;
        let endpoint = TokenEndpoint::new(
            token_url,
            around.private_network,
            around.ca_file,
            TokenEndpoint::limits(),
        )?;
        let endpoint = endpoint.naming(around.account);
        let id = match keys.client_id.as_ref().context("lacks `client_id`")? {
            Text::Here(id) => SecretString::from(id.as_str()),
            Text::There(secret) => secret.read(around.dir, "client id")?,
        };
        let secret = keys
            .client_secret
            .as_ref()
            .map(|secret| secret.read(around.dir, "client secret"))
            .transpose()?;
        let client = Client::new(id.expose_secret(), secret.as_ref(), keys.client_auth)?;
        let grant = match keys.grant {
            GrantKind::RefreshToken => Grant::RefreshToken(refresh_tokens(
                keys.refresh_token.as_ref().context("lacks `refresh_token`")?,
                around,
            )?),
            GrantKind::ClientCredentials => Grant::ClientCredentials,
            GrantKind::JwtBearer => {
                let reference = keys.private_key.as_ref().context("lacks `private_key`")?;
                let pem = reference.read(around.dir, "private key")?;
                Grant::JwtBearer {
                    key: SigningKey::from_pem(&pem)
                        .with_context(|| format!("private_key from {reference}"))?,
                    subject: keys.subject.clone().context("lacks `subject`")?,
                    audience: keys
                        .audience
                        .clone()
                        .or(around.audience.clone())
                        .context("lacks `audience`")?,
                }
            }
        };
        Ok(Credential::oauth(endpoint, client, grant))
    }
}

fn refresh_tokens(
    reference: &Secret,
    around: &Around<'_>,
) -> anyhow::Result<Arc<dyn RefreshTokens>> {
    // A file is read again with each use; here it is only looked at, so that a mistake is found
    // before anything is sent.
    let text = reference.read(around.dir, "refresh token")?;
    Ok(match reference {
        Secret::File(path) => Arc::new(TokenFile::new(around.dir.join(path))),
        Secret::Env(_) => {
            let path = around.state.join("credentials").join(file_name(around.source_id));
            Arc::new(SuccessorFile::new(path, &text, reference.to_string()))
        }
    })
}

/// A source may have any name; a file may not.
fn file_name(source_id: &str) -> PathBuf {
    let plain = !source_id.is_empty()
        && source_id.len() <= 64
        && source_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain {
        format!("{source_id}.json")
    } else {
        format!("{}.json", Digest::of(source_id.as_bytes()).hex())
    }
    .into()
}

// The defaults of serde repeat what is in the file. It may be a secret.

impl<'de> Deserialize<'de> for OAuthEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OAuthEntry, D::Error> {
        const EXPECTED: &str = "oauth is a table, such as { grant = \"refresh_token\", client_id = \"…\", client_secret = { env = \"…\" }, refresh_token = { file = \"…\" } }";
        struct Table;
        impl<'de> de::Visitor<'de> for Table {
            type Value = OAuthEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<OAuthEntry, E> {
                Err(E::custom(EXPECTED))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<OAuthEntry, A::Error> {
                Keys::deserialize(de::value::MapAccessDeserializer::new(map)).map(OAuthEntry)
            }
        }
        deserializer.deserialize_any(Table)
    }
}

/// One of a few words.
fn word<'de, T: Copy, D: Deserializer<'de>>(
    deserializer: D,
    words: &[(&str, T)],
) -> Result<T, D::Error> {
    struct Word<'w, T>(&'w [(&'w str, T)]);
    impl<T: Copy> de::Visitor<'_> for Word<'_, T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            write!(f, "one of {}", words.join(", "))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let found = self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                E::custom(format_args!("this must be {}", &self as &dyn de::Expected))
            })
        }
    }
    deserializer.deserialize_str(Word(words))
}

fn grant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<GrantKind, D::Error> {
    word(deserializer, &GrantKind::ALL.map(|kind| (kind.name(), kind)))
}

fn authentication<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ClientAuthentication, D::Error> {
    word(deserializer, &ClientAuthentication::NAMED)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct HereOrThere;
        impl<'de> de::Visitor<'de> for HereOrThere {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or where it is: { env = \"…\" } or { file = \"…\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Here(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
                Secret::deserialize(de::value::MapAccessDeserializer::new(map)).map(Text::There)
            }
        }
        deserializer.deserialize_any(HereOrThere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> OAuthEntry {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn keys_have_to_make_up_a_grant() {
        let secret = "client_secret = { env = \"S\" }\n";
        let refresh = "refresh_token = { env = \"R\" }\n";
        for (keys, says) in [
            ("grant = \"refresh_token\"\n".to_owned(), Some("needs `client_id`")),
            ("grant = \"refresh_token\"\nclient_id = \"a\"\n".to_owned(), Some("needs `refresh_token`")),
            (format!("grant = \"refresh_token\"\nclient_id = \"a\"\n{refresh}"), None),
            (format!("grant = \"refresh_token\"\nclient_id = {{ env = \"I\" }}\n{secret}{refresh}client_auth = \"basic\"\n"), None),
            ("grant = \"client_credentials\"\nclient_id = \"a\"\n".to_owned(), Some("needs `client_secret`")),
            (format!("grant = \"client_credentials\"\nclient_id = \"a\"\n{secret}{refresh}"), Some("no use for `refresh_token`")),
            (format!("grant = \"jwt_bearer\"\nclient_id = \"a\"\n{secret}"), Some("no use for `client_secret`")),
            ("grant = \"jwt_bearer\"\nclient_id = \"a\"\nprivate_key = { file = \"k\" }\n".to_owned(), Some("needs `subject`")),
            ("grant = \"jwt_bearer\"\nclient_id = \"a\"\nprivate_key = { file = \"k\" }\nsubject = \"u\"\n".to_owned(), None),
        ] {
            let said = entry(&keys).check().err().map(|error| error.to_string());
            assert_eq!(said.is_some(), says.is_some(), "{keys}: {said:?}");
            assert!(said.unwrap_or_default().contains(says.unwrap_or_default()), "{keys}");
        }
    }

    #[test]
    fn a_source_of_any_name_has_a_file_in_its_folder() {
        assert_eq!(file_name("src_1"), Path::new("src_1.json"));
        for name in ["../../etc/passwd", "", "a/b", "a.b", "ä", &"x".repeat(65)] {
            let file = file_name(name);
            assert!(
                file.components().count() == 1 && file.to_str().unwrap().len() == 64 + 5,
                "{file:?}"
            );
        }
    }
}
