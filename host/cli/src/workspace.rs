//! What a project file comes to: the component, one destination with its source and grant, and the
//! state folder.

use crate::{
    bundled,
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    progress::Unanswered,
    project::Project,
};
use anyhow::{Context, anyhow};
use reverse_sync::{
    audit,
    component::{Allowed, Component, DestinationType, Grant},
    component_files::ComponentFiles,
    digest::Digest,
    egress::{
        base_url::BaseUrl,
        credential::{
            Credential,
            refresh_tokens::{RefreshTokens, SuccessorFile, TokenFile},
            spec::{Endpoint, Reference, Secret as _, Site, UnusableCredential},
        },
    },
    engine::{Engine, EngineConfig},
    mistakes::meant,
    plan::PlanId,
    private_file,
    source::{self, Source},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A project and the component that serves it.
pub(crate) struct Workspace {
    pub(crate) project: Arc<Project>,
    pub(crate) component: Component,
    grant: Option<Grant>,
    /// The file of the component, if it is not the bundled one.
    plugin: Option<PathBuf>,
    state: PathBuf,
}

/// One destination, ready to be planned. Its credential is looked up when a request first needs it.
pub(crate) struct Target<'w> {
    pub(crate) there: reverse_sync::Target,
    pub(crate) served: &'w DestinationType,
    pub(crate) records: Option<&'w str>,
    /// Where the token is, such as the environment variable HUBSPOT_TOKEN.
    pub(crate) token_place: Option<String>,
}

impl Workspace {
    /// Reads the project file and loads the component.
    pub(crate) async fn open(global: &GlobalArgs) -> Result<Workspace, Failure> {
        let project = Arc::new(Project::read(&global.project()).or_exit(Exit::Usage)?);
        let (component, grant) = match &global.plugin {
            None => {
                let component = load(None).await.or_exit(Exit::Usage)?;
                // The bundled component's grant ships with the command.
                let grant = Grant { component: component.digest(), allowed: Allowed::Everything };
                (component, Some(grant))
            }
            Some(path) => {
                let component = load(Some(path)).await.or_exit(Exit::Usage)?;
                let granted =
                    project.grants.iter().find(|grant| grant.component == component.digest());
                let grant = granted.map(|grant| Grant {
                    component: grant.component,
                    allowed: grant
                        .capabilities
                        .clone()
                        .map_or(Allowed::ReadsAndUpdates, Allowed::Only),
                });
                (component, grant)
            }
        };
        let state = project.dir.join(".reverse-sync");
        private_file::create_dir(&state)
            .and_then(|()| ignored_by_git(&state))
            .with_context(|| format!("cannot create {}", state.display()))
            .or_exit(Exit::Usage)?;
        Ok(Workspace { project, component, grant, plugin: global.plugin.clone(), state })
    }

    /// Keeps the component for the run that begins with it, which another version of this command
    /// could not finish with its own.
    pub(crate) fn keep_component(&self) -> anyhow::Result<()> {
        let digest = self.component.digest();
        let file = self.components().path(digest);
        let kept = match &self.plugin {
            None => self.components().keep(digest, bundled::COMPONENT),
            Some(path) => fs::read(path).and_then(|bytes| self.components().keep(digest, &bytes)),
        };
        kept.with_context(|| format!("cannot keep the plugin in {}", file.display()))
    }

    /// The file of a component that a run began with.
    pub(crate) fn kept_component(&self, digest: Digest) -> Option<PathBuf> {
        self.components().read(digest).map(|_| self.components().path(digest))
    }

    fn components(&self) -> ComponentFiles {
        ComponentFiles::new(self.state.join("components"))
    }

    pub(crate) fn plans_dir(&self) -> PathBuf {
        self.state.join("plans")
    }

    pub(crate) fn runs_dir(&self) -> PathBuf {
        self.state.join("runs")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.state.join(audit::FILE)
    }

    /// The destination of this name.
    pub(crate) fn target(&self, name: &str) -> Result<Target<'_>, Failure> {
        let (destination, entry) = self.project.destination(name).or_exit(Exit::Usage)?;
        let served = self.component.destination_type(&destination.destination_type);
        let served = served.map_err(|error| {
            let given = &destination.destination_type;
            let types = self.component.descriptor().destinations.iter();
            let types: Vec<&str> = types.map(|served| served.name.as_str()).collect();
            // People write the CRM's name.
            let meant = match types.iter().find(|name| name.strip_suffix("_dest") == Some(given)) {
                Some(name) => format!("; did you mean `{name}`?"),
                None => meant(given, types),
            };
            anyhow!("destinations.{}.destination_type: {error}{meant}", destination.name)
        });
        let served = served.or_exit(Exit::Usage)?;
        let (source_id, source) =
            self.project.source(&destination, &served.provider).or_exit(Exit::Usage)?;
        let grant = self.grant.as_ref().ok_or_else(|| {
            let digest = self.component.digest();
            let error = anyhow!("plugin {digest} has no grant; see what it asks for with `reverse-sync plugin inspect FILE`, then add to the project file:\n\n[[grants]]\ncomponent = \"{digest}\"");
            Failure::new(Exit::Refused, error)
        })?;
        let in_source = || format!("sources.{source_id}");
        let token_place = source.token_place();
        let (provider, url) = (source.provider.as_str(), source.base_url.as_deref());
        let base_url = source::base_url(provider, url, source.allow_private_network)
            .with_context(in_source)
            .or_exit(Exit::Usage)?;
        let mut described = Source::builder(provider, &served.pacing)
            .base_url(base_url.as_str())
            .allow_private_network(source.allow_private_network)
            .limit(source.limit)
            .account(source.account.clone());
        if let Some(path) = &source.ca_file {
            described = described.ca_file(self.project.dir.join(path));
        }
        let (project, state) = (Arc::clone(&self.project), self.state.clone());
        let id = source_id.to_owned();
        let described = described.observer(Arc::new(Unanswered::new(&base_url)));
        let described =
            // What is wrong with it is said with the place where the project file says so.
            described.credential_with(move || {
                Ok(credential(&project, &id, &base_url, &state)
                    .map_err(|error| format!("{error:#}"))?)
            });
        let source = described.build().with_context(in_source).or_exit(Exit::Usage)?;
        let there =
            reverse_sync::Workspace::new(self.component.clone(), grant.clone(), &self.state)
                .target(destination, &source)
                .or_exit(Exit::Usage)?;
        let records = entry.records.as_ref().map(|records| records.files.as_str());
        Ok(Target { there, served, records, token_place })
    }

    /// The plan that `text` names: a whole plan id, or the beginning of one that fits a single
    /// plan.
    pub(crate) fn plan_id(&self, text: &str) -> Result<PlanId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let plans = fs::read_dir(self.plans_dir()).map(|dir| {
            dir.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
        });
        let plans: Vec<String> = plans.unwrap_or_default();
        let fitting: Vec<&String> = plans
            .iter()
            .filter(|name| text.len() >= "plan_".len() + 8 && name.starts_with(text))
            .collect();
        match fitting.as_slice() {
            [one] => one.parse().map_err(|error: String| Failure::new(Exit::Usage, anyhow!(error))),
            [] => {
                let names: Vec<&str> =
                    self.project.destinations.keys().map(String::as_str).collect();
                let meant = meant(text, names.iter().copied());
                Err(Failure::new(
                    Exit::Usage,
                    anyhow!(
                        "`{text}` is neither a destination of the project ({}) nor a plan that is kept here{meant}",
                        names.join(", ")
                    ),
                ))
            }
            _ => Err(Failure::new(
                Exit::Usage,
                anyhow!(
                    "`{text}` is the beginning of {} plans; give more of the id",
                    fitting.len()
                ),
            )),
        }
    }
}

/// What is kept has customers' data in it, and does not belong in a repository.
fn ignored_by_git(state: &Path) -> std::io::Result<()> {
    let path = state.join(".gitignore");
    if path.exists() { Ok(()) } else { fs::write(path, "*\n") }
}

/// Looks up the credential of a source. Nothing that is offline gets here.
fn credential(
    project: &Project,
    source_id: &str,
    base_url: &BaseUrl,
    state: &Path,
) -> anyhow::Result<Credential> {
    let missing = || {
        anyhow!(
            "sources.{source_id} lacks `access_token`, such as access_token = {{ env = \"HUBSPOT_TOKEN\" }}, or `oauth` (see the README)"
        )
    };
    let source = project.sources.get(source_id).ok_or_else(missing)?;
    let spec = source.credential().ok_or_else(missing)?;
    let dir = project.dir.as_path();
    let ca_file = source.ca_file.as_ref().map(|path| dir.join(path));
    let private_network = source.allow_private_network;
    let site = Site {
        provider: &source.provider,
        base_url,
        dir,
        endpoint: Endpoint::Own { private_network, ca_file: ca_file.as_deref() },
    };
    let kept = state.join("credentials").join(file_name(source_id));
    spec.credential(&site, |token| refresh_tokens(token, dir, kept)).map_err(|error| {
        let key = error.pointer.replace('/', ".");
        let advice = match (source.is_token_unset(), source.provider.as_str()) {
            (true, "hubspot") => {
                "; HubSpot makes tokens under Settings > Integrations (service key or private app)"
            }
            _ => "",
        };
        anyhow!("sources.{source_id}{key}: {error}{advice}")
    })
}

/// Where a source's refresh token is kept; one from the environment has its successors in a file.
fn refresh_tokens(
    reference: &Reference,
    dir: &Path,
    kept: PathBuf,
) -> Result<Arc<dyn RefreshTokens>, UnusableCredential> {
    // A file is read again with each use; here it is only looked at, so that a mistake is found
    // before anything is sent.
    let text = reference.read(dir, "refresh_token")?;
    Ok(match reference {
        Reference::File(path) => Arc::new(TokenFile::new(dir.join(path))),
        Reference::Env(_) => Arc::new(SuccessorFile::new(kept, &text, reference.to_string())),
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

/// Loads the bundled component, or the one in a file.
pub(crate) async fn load(file: Option<&Path>) -> anyhow::Result<Component> {
    // One command runs one instance at a time; describing takes a second one.
    let engine = Engine::new(EngineConfig {
        max_instances: 4,
        cache_dir: cache_dir(),
        ..EngineConfig::default()
    })?;
    Ok(match file {
        None => Component::load(&engine, bundled::COMPONENT).await?,
        Some(path) => Component::load_file(&engine, path).await?,
    })
}

/// Where compiled artefacts are kept: the user's own cache, never the project folder, which may
/// come from elsewhere.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("REVERSE_SYNC_CACHE_DIR") {
        return Some(dir.into());
    }
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("reverse-sync"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
