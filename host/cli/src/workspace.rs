//! What a project file comes to: the component, one destination with its source and grant, and the
//! state folder.

use crate::{
    bundled,
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    project::{Project, Source},
};
use anyhow::{Context, anyhow};
use reverse_sync::{
    component::{Allowed, Component, DestinationType, Grant},
    component_files::ComponentFiles,
    destination::Destination,
    digest::Digest,
    egress::{
        Link,
        base_url::BaseUrl,
        credential::{
            Credential,
            refresh_tokens::{RefreshTokens, SuccessorFile, TokenFile},
            spec::{Endpoint, Reference, Secret as _, Site, UnusableCredential},
            well_known,
        },
        pacing::Pacer,
        transport::{Transport, TransportLimits},
    },
    engine::{Engine, EngineConfig},
    plan::PlanId,
    private_file,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A project and the component that serves it.
pub(crate) struct Workspace {
    pub(crate) project: Project,
    pub(crate) component: Component,
    grant: Option<Grant>,
    /// The file of the component, if it is not the bundled one.
    plugin: Option<PathBuf>,
    state: PathBuf,
}

/// One destination, ready to be planned.
pub(crate) struct Target<'w> {
    pub(crate) destination: Destination,
    pub(crate) records: Option<&'w str>,
    pub(crate) base_url: BaseUrl,
    pub(crate) served: &'w DestinationType,
    pub(crate) grant: &'w Grant,
    source_id: &'w str,
    source: &'w Source,
    dir: &'w Path,
    state: &'w Path,
}

impl Workspace {
    /// Reads the project file and loads the component.
    pub(crate) async fn open(global: &GlobalArgs) -> Result<Workspace, Failure> {
        let project = Project::read(&global.project).or_exit(Exit::Usage)?;
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
        kept.with_context(|| format!("cannot keep the component in {}", file.display()))
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
        self.state.join("audit_log.jsonl")
    }

    /// The destination of this name.
    pub(crate) fn target(&self, name: &str) -> Result<Target<'_>, Failure> {
        let (destination, entry) = self.project.destination(name).or_exit(Exit::Usage)?;
        let served =
            self.component.destination_type(&destination.destination_type).or_exit(Exit::Usage)?;
        let (source_id, source) =
            self.project.source(&destination, &served.provider).or_exit(Exit::Usage)?;
        let provider = source.provider.as_str();
        let base_url = match source.base_url.as_deref().or(well_known::base_url(provider)) {
            Some(url) => url,
            None => {
                let error = anyhow!(
                    "sources.{source_id} lacks `base_url`; a {provider} source needs the instance URL, such as https://acme.my.salesforce.com"
                );
                return Err(Failure::new(Exit::Usage, error));
            }
        };
        let base_url = BaseUrl::parse(base_url, source.allow_private_network)
            .with_context(|| format!("sources.{source_id}"))
            .or_exit(Exit::Usage)?;
        well_known::check_base_url(provider, &base_url)
            .with_context(|| format!("sources.{source_id}"))
            .or_exit(Exit::Usage)?;
        let grant = self.grant.as_ref().ok_or_else(|| {
            let digest = self.component.digest();
            let error = anyhow!("component {digest} has no grant; see what it asks for with `reverse-sync plugin inspect FILE`, then add to the project file:\n\n[[grants]]\ncomponent = \"{digest}\"");
            Failure::new(Exit::Refused, error)
        })?;
        let (dir, state) = (self.project.dir.as_path(), self.state.as_path());
        Ok(Target {
            destination,
            records: entry.records.as_ref().map(|records| records.files.as_str()),
            base_url,
            served,
            grant,
            source_id,
            source,
            dir,
            state,
        })
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
                Err(Failure::new(
                    Exit::Usage,
                    anyhow!(
                        "`{text}` is neither a destination of the project ({}) nor a plan that is kept here",
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

/// What is kept has customers' data in it, and belongs into no repository.
fn ignored_by_git(state: &Path) -> std::io::Result<()> {
    let path = state.join(".gitignore");
    if path.exists() { Ok(()) } else { fs::write(path, "*\n") }
}

/// The link of a target, made when it is first needed, so that planning, running and verifying
/// share one budget.
pub(crate) struct OnceLink<'t> {
    target: &'t Target<'t>,
    link: OnceLock<Link>,
}

impl<'t> OnceLink<'t> {
    pub(crate) fn of(target: &'t Target<'t>) -> OnceLink<'t> {
        OnceLink { target, link: OnceLock::new() }
    }

    /// Looks the credential up, the first time.
    pub(crate) fn get(&self) -> Result<Link, Failure> {
        if let Some(link) = self.link.get() {
            return Ok(link.clone());
        }
        let link = self.target.link()?;
        Ok(self.link.get_or_init(|| link).clone())
    }
}

impl Target<'_> {
    /// Looks the credential up and connects it to its budget and transport. Nothing that is offline
    /// gets here.
    pub(crate) fn link(&self) -> Result<Link, Failure> {
        let ca_file = self.source.ca_file.as_ref().map(|path| self.dir.join(path));
        let credential = self.credential(ca_file.as_deref()).or_exit(Exit::Unavailable)?;
        let transport =
            Transport::new(&self.base_url, ca_file.as_deref(), TransportLimits::default())
                .or_exit(Exit::Usage)?;
        let ceiling = self.source.limit.map(|limit| {
            (limit.calls, Duration::from_secs_f64(limit.per_seconds.clamp(0.001, 120.0)))
        });
        let pacer = Pacer::new(&self.served.pacing, ceiling);
        Ok(Link {
            base_url: self.base_url.clone(),
            credential,
            pacer,
            transport,
            observer: None,
            account: self.source.account.clone(),
        })
    }

    fn credential(&self, ca_file: Option<&Path>) -> anyhow::Result<Credential> {
        let (source_id, source) = (self.source_id, self.source);
        let spec = source.credential().ok_or_else(|| anyhow!(
            "sources.{source_id} lacks `access_token`, such as access_token = {{ env = \"HUBSPOT_TOKEN\" }}, or `oauth` (see the README)"
        ))?;
        let private_network = source.allow_private_network;
        let site = Site {
            provider: &source.provider,
            base_url: &self.base_url,
            dir: self.dir,
            endpoint: Endpoint::Own { private_network, ca_file },
        };
        spec.credential(&site, |token| self.refresh_tokens(token)).map_err(|error| {
            let key = error.pointer.replace('/', ".");
            anyhow::Error::new(error).context(format!("sources.{source_id}{key}"))
        })
    }

    /// Where the source's refresh token is kept.
    fn refresh_tokens(
        &self,
        reference: &Reference,
    ) -> Result<Arc<dyn RefreshTokens>, UnusableCredential> {
        // A file is read again with each use; here it is only looked at, so that a mistake is found
        // before anything is sent.
        let text = reference.read(self.dir, "refresh_token")?;
        Ok(match reference {
            Reference::File(path) => Arc::new(TokenFile::new(self.dir.join(path))),
            Reference::Env(_) => {
                let path = self.state.join("credentials").join(file_name(self.source_id));
                Arc::new(SuccessorFile::new(path, &text, reference.to_string()))
            }
        })
    }
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
    let loaded = match file {
        None => engine.load(bundled::COMPONENT)?,
        Some(path) => engine.load_file(path)?,
    };
    Ok(Component::describe(loaded).await?)
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
