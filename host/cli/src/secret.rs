//! References to secrets in the project file.

use anyhow::{Context, anyhow, bail};
use reverse_sync::egress::credential::Credential;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a secret is, never the secret itself.
#[derive(Debug)]
pub(crate) enum Secret {
    Env(String),
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        struct Reference;
        const EXPECTED: &str = "this says where a secret is: { env = \"HUBSPOT_TOKEN\" } or { file = \"token.txt\" }; the secret itself is never written here";
        impl<'de> serde::de::Visitor<'de> for Reference {
            type Value = Secret;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(EXPECTED)
            }
            // The default would repeat the text, which is most likely the token itself.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Secret, E> {
                Err(E::custom(EXPECTED))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Secret, A::Error> {
                use serde::de::Error;
                let secret = match map.next_key::<String>()?.as_deref() {
                    Some("env") => Secret::Env(map.next_value()?),
                    Some("file") => Secret::File(map.next_value()?),
                    _ => return Err(A::Error::custom(EXPECTED)),
                };
                match map.next_key::<String>()? {
                    None => Ok(secret),
                    Some(_) => Err(A::Error::custom(EXPECTED)),
                }
            }
        }
        deserializer.deserialize_any(Reference)
    }
}

impl Secret {
    /// Looks an access token up. `dir` is what a relative file is relative to.
    pub(crate) fn look_up(&self, dir: &Path) -> anyhow::Result<Credential> {
        let text = self.read(dir, "access token")?;
        Credential::bearer(text.expose_secret()).with_context(|| format!("from {self}"))
    }

    /// Reads a secret, which messages call `what`.
    pub(crate) fn read(&self, dir: &Path, what: &str) -> anyhow::Result<SecretString> {
        let text = match self {
            Secret::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => {
                    bail!(
                        "the environment variable {name}, which should hold the {what}, is not set"
                    )
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    bail!(
                        "the environment variable {name} does not hold the {what}: it is not text"
                    )
                }
            },
            Secret::File(path) => {
                let path = dir.join(path);
                check_private(&path, what)?;
                fs::read_to_string(&path).map_err(|error| {
                    anyhow!("cannot read the {what} from {}: {error}", path.display())
                })?
            }
        };
        Ok(SecretString::from(text))
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Env(name) => write!(f, "the environment variable {name}"),
            Secret::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

#[cfg(unix)]
fn check_private(path: &Path, what: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(|error| anyhow!("cannot read the {what} from {}: {error}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "others can read the {what} in {} (mode {:04o}); run: chmod 600 {}",
            path.display(),
            mode & 0o7777,
            path.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &str) -> anyhow::Result<()> {
    Ok(())
}
