//! The project file, `reverse-sync.toml`: sources, destinations, grants.

use anyhow::{Context, anyhow, bail};
use reverse_sync::{
    account::Account,
    destination::{Destination, OnDuplicateId},
    digest::Digest,
    egress::credential::spec::{CredentialSpec, OAuthSpec, Reference},
    guards::Guards,
    mistakes,
    records::CsvForm,
    source::SourceLimit,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, Source>,
    #[serde(default)]
    pub(crate) destinations: BTreeMap<String, DestinationEntry>,
    #[serde(default)]
    pub(crate) grants: Vec<GrantEntry>,
    /// The folder of the file: relative paths are relative to it.
    #[serde(skip)]
    pub(crate) dir: PathBuf,
}

/// A connected CRM account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) provider: String,
    pub(crate) base_url: Option<String>,
    access_token: Option<Reference>,
    /// Instead of an access token: how to get one.
    oauth: Option<OAuthSpec<Reference>>,
    /// Additional certificate authorities, in PEM form.
    pub(crate) ca_file: Option<PathBuf>,
    /// Lets the base URL's name resolve to addresses of a private network.
    #[serde(default)]
    pub(crate) allow_private_network: bool,
    /// The account that the credential has to open: with another one nothing is planned online or
    /// written.
    pub(crate) account: Option<Account>,
    /// Stay below this many calls per window, whatever the CRM allows.
    pub(crate) limit: Option<SourceLimit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationEntry {
    pub(crate) destination_type: String,
    pub(crate) entity_type: String,
    pub(crate) records: Option<RecordsEntry>,
    #[serde(default)]
    pub(crate) on_duplicate_id: OnDuplicateId,
    #[serde(default)]
    pub(crate) guards: Guards,
    pub(crate) config_json: toml::Table,
    connection_string: Option<serde::de::IgnoredAny>,
}

/// Where golden records are: files, or files and how they are written.
#[derive(Debug)]
pub(crate) struct RecordsEntry {
    pub(crate) files: String,
    pub(crate) csv: CsvForm,
}

/// What another component than the bundled one may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantEntry {
    pub(crate) component: Digest,
    /// Labels as `plugin inspect` prints them; left out: its reads by GET and its updates.
    pub(crate) capabilities: Option<Vec<String>>,
}

impl Project {
    /// Reads a project file. No message repeats a line of it: a secret may have been pasted there.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Project> {
        let text = fs::read_to_string(path).with_context(|| {
            format!("cannot read the project file {}; `reverse-sync init` writes one, and --project FILE names another", path.display())
        })?;
        let line = |error: &toml::de::Error| {
            let span = error.span();
            span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1)
        };
        let told = |(line, what): (Option<usize>, String)| {
            let line = line.map_or_else(String::new, |line| format!(", line {line}"));
            format!("{}{line}: {what}", path.display())
        };
        let all = |mut found: Vec<(Option<usize>, String)>| {
            found.sort_by_key(|(line, _)| *line);
            found.into_iter().map(told).collect::<Vec<_>>().join("\n")
        };
        let mut tables = DeTable::parse(&text)
            .map_err(|error| anyhow!(told((line(&error), error.message().to_owned()))))?;
        let (mut found, mut removed) = (Vec::new(), Vec::<Vec<String>>::new());
        // Without what is wrong, the next mistake shows.
        let mut project: Project = loop {
            let read = serde_path_to_error::deserialize(toml::Deserializer::from(tables.clone()));
            let error = match read {
                Ok(project) if found.is_empty() => break project,
                Ok(_) => return Err(anyhow!(all(found))),
                Err(error) => error,
            };
            let steps: Vec<String> = error.path().iter().map(ToString::to_string).collect();
            let message = error.inner().message();
            let missing =
                mistakes::missing(message).map(|key| [&steps[..], &[key.to_owned()]].concat());
            // A key is not missing that was there and wrong.
            if missing.as_ref().is_none_or(|key| !removed.contains(key)) {
                let what = mistakes::explained("the project file", &steps, message);
                found.push((line(error.inner()), what));
            }
            if !remove(tables.get_mut(), &steps) {
                return Err(anyhow!(all(found)));
            }
            removed.push(steps);
        };
        project.dir = path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        Ok(project)
    }

    /// The destination of this name, with its source.
    pub(crate) fn destination(
        &self,
        name: &str,
    ) -> anyhow::Result<(Destination, &DestinationEntry)> {
        let Some(entry) = self.destinations.get(name) else {
            let known: Vec<&str> = self.destinations.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let meant = mistakes::meant(name, self.destinations.keys().map(String::as_str));
            bail!("the project file has no destination `{name}`; it has: {known}{meant}");
        };
        if entry.connection_string.is_some() {
            bail!(
                "destinations.{name}: a reverse destination has no connection_string; it reuses the credential of its source, named by config_json.source_id"
            );
        }
        let config_json = match serde_json::to_value(&entry.config_json)
            .with_context(|| format!("destinations.{name}.config_json"))?
        {
            serde_json::Value::Object(config) => config,
            _ => bail!("destinations.{name}.config_json is not a table"),
        };
        let destination = Destination {
            config_json,
            on_duplicate_id: entry.on_duplicate_id,
            guards: entry.guards.clone(),
            csv: entry.records.as_ref().map(|records| records.csv).unwrap_or_default(),
            ..Destination::new(name, &entry.destination_type, &entry.entity_type)
        };
        Ok((destination, entry))
    }

    /// The source that a destination's `config_json.source_id` names, checked against the provider
    /// it has to have.
    pub(crate) fn source(
        &self,
        destination: &Destination,
        provider: &str,
    ) -> anyhow::Result<(&str, &Source)> {
        let name = &destination.name;
        let id = match destination.config_json.get("source_id") {
            Some(serde_json::Value::String(id)) => id,
            Some(_) => bail!(
                "destinations.{name}.config_json.source_id must be the name of a source, such as source_id = \"src_1\""
            ),
            None => bail!(
                "destinations.{name}.config_json lacks `source_id`, the source whose credential is reused, such as source_id = \"src_1\""
            ),
        };
        let known = || self.sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (id, source) = self.sources.get_key_value(id).ok_or_else(|| {
            let meant = mistakes::meant(id, self.sources.keys().map(String::as_str));
            anyhow!("destinations.{name}.config_json.source_id is `{id}`, but the project file has no [sources.{id}]; it has: {}{meant}", known())
        })?;
        if source.provider != provider {
            bail!(
                "destinations.{name} is a {} and needs a source with provider `{provider}`; sources.{id} has provider `{}`",
                destination.destination_type,
                source.provider
            );
        }
        if source.access_token.is_some() && source.oauth.is_some() {
            bail!("sources.{id} has both `access_token` and `oauth`; it needs exactly one of them");
        }
        Ok((id, source))
    }
}

/// Takes out what is at the end of these steps.
fn remove(table: &mut DeTable<'_>, steps: &[String]) -> bool {
    match steps {
        [] => false,
        [key] => table.remove(key.as_str()).is_some(),
        [key, below @ ..] => match table.get_mut(key.as_str()).map(|value| value.get_mut()) {
            Some(DeValue::Table(table)) => remove(table, below),
            _ => false,
        },
    }
}

impl Source {
    /// Where its token is, such as the environment variable HUBSPOT_TOKEN.
    pub(crate) fn token_place(&self) -> Option<String> {
        self.access_token.as_ref().map(ToString::to_string)
    }

    /// Whether its token is to be in a variable that does not exist.
    pub(crate) fn is_token_unset(&self) -> bool {
        matches!(&self.access_token, Some(Reference::Env(name)) if std::env::var_os(name).is_none())
    }

    /// Its credential, if it has one.
    pub(crate) fn credential(&self) -> Option<CredentialSpec<Reference>> {
        CredentialSpec::of(self.access_token.clone(), self.oauth.clone())
    }
}

impl<'de> Deserialize<'de> for RecordsEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<RecordsEntry, D::Error> {
        struct Entry;
        impl<'de> serde::de::Visitor<'de> for Entry {
            type Value = RecordsEntry;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(r#"a file or a pattern, such as "golden/*.csv", or { files = "golden/*.csv", delimiter = ";", quote = "'", escape = "\\" }"#)
            }
            fn visit_str<E: serde::de::Error>(self, files: &str) -> Result<RecordsEntry, E> {
                Ok(RecordsEntry { files: files.to_owned(), csv: CsvForm::default() })
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<RecordsEntry, A::Error> {
                use serde::de::{Error, value::MapAccessDeserializer};
                let mut form = toml::Table::deserialize(MapAccessDeserializer::new(map))?;
                let files = match form.remove("files") {
                    Some(toml::Value::String(files)) => files,
                    _ => {
                        return Err(A::Error::custom(
                            "`records` needs `files`: a file or a pattern, such as files = \"golden/*.csv\"",
                        ));
                    }
                };
                let csv = serde_path_to_error::deserialize(form).map_err(|error| {
                    let steps: Vec<String> = error.path().iter().map(ToString::to_string).collect();
                    let text = error.inner().message();
                    // What is wrong with a value says itself which key it is.
                    A::Error::custom(if text.starts_with('`') {
                        text.to_owned()
                    } else {
                        mistakes::explained("the form", &steps, text)
                    })
                })?;
                Ok(RecordsEntry { files, csv })
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Project> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reverse-sync.toml");
        fs::write(&path, text).unwrap();
        Project::read(&path)
    }

    #[test]
    fn a_pasted_token_is_refused_and_not_repeated() {
        for text in [
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = \"pat-sesame\"\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = { env = \"X\", token = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = { literal = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = { pat-sesame = \"X\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { pat-sesame = \"X\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_tokn = \"pat-sesame\"\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = [\"pat-sesame\"]\n",
            "[sources.a]\nprovider = \"hubspot\"\naccess_token = \"pat-sesame\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = \"pat-sesame\"\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { grant = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { grant = \"refresh_token\", refresh_token = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { client_secret = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { private_key = { pem = \"pat-sesame\" } }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { client_id = { literal = \"pat-sesame\" } }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { client_auth = \"pat-sesame\" }\n",
            "[sources.a]\nprovider = \"hubspot\"\noauth = { refresh = \"pat-sesame\" }\n",
        ] {
            let error = format!("{:#} {:?}", read(text).unwrap_err(), read(text).unwrap_err());
            assert!(!error.contains("sesame") && error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        let text = "[sources.a]\nprovider = 7\nbaseurl = \"x\"\n\n[destinations.people]\ndestination_typ = \"hubspot_dest\"\nentity_type = \"person\"\nconfig_json = {}\n";
        let told = read(text).unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        for (line, says) in [
            ("line 2", "provider"),
            ("line 3", "did you mean `base_url`?"),
            ("line 6", "did you mean `destination_type`?"),
        ] {
            let is = |told: &&str| told.contains(line) && told.contains(says);
            assert!(lines.iter().any(is), "{line}: {told}");
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        let project = read("[sources.src_1]\nprovider = \"salesforce\"\n[destinations.people]\ndestination_type = \"hubspot_dest\"\nentity_type = \"person\"\nconfig_json = { source_id = \"src_2\" }\n").unwrap();
        let error = |name: &str| {
            project
                .destination(name)
                .and_then(|(d, _)| project.source(&d, "hubspot").map(|_| ()))
                .unwrap_err()
                .to_string()
        };
        assert!(error("persons").contains("it has: people"));
        let misspelled = read(
            "[destinations.people]\ndestination_type = \"hubspot_dest\"\nentity_type = \"person\"\nconfig_json = {}\nrecords = { files = \"a.csv\", delimeter = \";\" }\n",
        );
        let misspelled = misspelled.unwrap_err().to_string();
        assert!(
            misspelled.contains("unknown key `delimeter` (did you mean `delimiter`?)"),
            "{misspelled}"
        );
        assert!(error("people").contains("no [sources.src_2]; it has: src_1"));
    }
}
