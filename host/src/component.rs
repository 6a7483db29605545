//! A component, what it says it is, and what the operator lets it do.
//!
//! ```no_run
//! use reverse_sync::{Allowed, Component, Engine, EngineConfig, Grant, Workspace};
//!
//! # async fn load(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineConfig::default())?;
//! let plugin = Component::load(&engine, bytes).await?;
//! for served in &plugin.descriptor().destinations {
//!     println!("{} needs: {}", served.name, served.required_rights);
//! }
//! // One compiled plugin for several workspaces.
//! let grant = Grant { component: plugin.digest(), allowed: Allowed::ReadsAndUpdates };
//! let acme = Workspace::new(plugin.clone(), grant.clone(), "state/acme");
//! let umbrella = Workspace::new(plugin, grant, "state/umbrella");
//! # Ok(())
//! # }
//! ```

use crate::{
    account::Question,
    capability::{self, Capability, Unacceptable, check_jobs},
    config_values::ConfigValues,
    contract::capabilities as wit,
    destination::Destination,
    digest::Digest,
    egress::Egress,
    engine::{Engine, EngineError, Loaded, within},
};
use std::{path::Path, sync::Arc, time::Duration};

pub use wit::{Descriptor, DestinationType, Effect, Pacing, Phase};

/// Describing is pure and takes microseconds.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(10);

/// A loaded component with its descriptor. Clones share what was compiled.
#[derive(Clone)]
pub struct Component {
    loaded: Loaded,
    descriptor: Arc<Descriptor>,
}

/// What the operator allows a component, pinned to its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The component it is for.
    pub component: Digest,
    /// Which of the capabilities it asks for.
    pub allowed: Allowed,
}

/// Which capabilities are granted, out of those asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All of them, jobs too, as whoever granted it saw them. The digest pins what that is. What
    /// the bundled component gets. Its reads by POST are those that the host knows.
    Everything,
    /// Reads by GET and updates: what a fixed text of a job does, and whether a POST only reads,
    /// nobody can tell who does not know the CRM.
    ReadsAndUpdates,
    /// Those with these labels (phase, method, path template).
    Only(Vec<String>),
}

/// Why a component may not be used for a destination.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The grant is for another component.
    #[error("plugin {component} has no grant")]
    NotGranted {
        /// The component's digest.
        component: Digest,
    },
    /// The component does not serve this type.
    #[error("the plugin does not serve `{asked}`; it serves {served}")]
    NotServed {
        /// The type that was asked for.
        asked: String,
        /// The types there are.
        served: String,
    },
    /// It asks for something that is never granted.
    #[error(transparent)]
    Unacceptable(#[from] Unacceptable),
    /// The type's JSON Schema is not JSON.
    #[error("the plugin's JSON Schema for `{0}` is not JSON")]
    Schema(String),
}

impl Component {
    /// Loads a component from its bytes and asks it what it is.
    ///
    /// # Errors
    /// If it is not a component of the contract, or breaks off while describing itself.
    pub async fn load(engine: &Arc<Engine>, bytes: &[u8]) -> Result<Component, EngineError> {
        let loaded = engine.load(bytes)?;
        let descriptor = Arc::new(describe(&loaded).await?);
        Ok(Component { loaded, descriptor })
    }

    /// The same from a file.
    ///
    /// # Errors
    /// If it cannot be read, or as [`Component::load`].
    pub async fn load_file(engine: &Arc<Engine>, path: &Path) -> Result<Component, EngineError> {
        let bytes = std::fs::read(path)
            .map_err(|error| EngineError::Read { path: path.to_owned(), error })?;
        Component::load(engine, &bytes).await
    }

    /// SHA-256 of the component's file.
    pub fn digest(&self) -> Digest {
        self.loaded.digest()
    }

    /// What it says it is and asks for.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Makes an instance and drops it: what every call costs before it begins.
    ///
    /// # Errors
    /// If the pool has no slot left.
    pub async fn instantiate(&self) -> Result<(), EngineError> {
        self.loaded.instantiate(Egress::closed(Phase::Plan)).await.map(drop)
    }

    /// Asks it once more what it is, in another instance. The contract has it give the same answer
    /// each time.
    ///
    /// # Errors
    /// If it breaks off.
    pub async fn describe_again(&self) -> Result<Descriptor, EngineError> {
        describe(&self.loaded).await
    }

    /// Asks it what it is in an instance for which the host does nothing. The contract has it
    /// describe itself without a call to the host.
    ///
    /// # Errors
    /// If it calls the host (the error names the function), or breaks off.
    pub async fn describe_alone(&self) -> Result<(), EngineError> {
        self.loaded.with_deadline(DESCRIBE_DEADLINE).describe_alone().await
    }

    /// The same component with less time for each call than
    /// [`EngineConfig::deadline`](crate::engine::EngineConfig); what was compiled and the instances
    /// of the engine are shared.
    pub fn with_deadline(&self, deadline: Duration) -> Component {
        Component { loaded: self.loaded.with_deadline(deadline), ..self.clone() }
    }

    /// The engine that its instances run in.
    pub fn engine(&self) -> &Arc<Engine> {
        self.loaded.engine()
    }

    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The destination type of this name.
    ///
    /// # Errors
    /// If the component does not serve it; the message lists what it serves.
    pub fn destination_type(&self, name: &str) -> Result<&DestinationType, GrantError> {
        self.descriptor.destinations.iter().find(|served| served.name == name).ok_or_else(|| {
            GrantError::NotServed {
                asked: name.to_owned(),
                served: self
                    .descriptor
                    .destinations
                    .iter()
                    .map(|served| format!("`{}`", served.name))
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })
    }

    /// How the CRM of a destination type names the account that a credential opens, if it does. The
    /// host asks this for itself, so no grant has to name it.
    ///
    /// # Errors
    /// If it could be anything but a read of one fixed path.
    pub(crate) fn question(&self, destination_type: &str) -> Result<Option<Question>, GrantError> {
        let served = self.destination_type(destination_type)?;
        Ok(served.account.as_ref().map(Question::compile).transpose()?)
    }

    /// Compiles what is granted, for one destination: asked for and allowed.
    ///
    /// # Errors
    /// If the grant is for another component, or something asked for is never granted.
    pub(crate) fn capabilities(
        &self,
        grant: &Grant,
        destination: &Destination,
    ) -> Result<Vec<Capability>, GrantError> {
        if grant.component != self.digest() {
            return Err(GrantError::NotGranted { component: self.digest() });
        }
        let served = self.destination_type(&destination.destination_type)?;
        self.question(&served.name)?;
        let schema = serde_json::from_str(&served.config_schema)
            .map_err(|_| GrantError::Schema(served.name.clone()))?;
        let values =
            ConfigValues::new(serde_json::Value::Object(destination.config_json.clone()), schema);
        let allowed = |asked: &&wit::Capability| match &grant.allowed {
            Allowed::Everything => true,
            Allowed::ReadsAndUpdates => match asked.effect {
                Effect::Job => false,
                Effect::Read => asked.method == "GET",
                Effect::Write => true,
            },
            Allowed::Only(labels) => labels.contains(&capability::label(asked)),
        };
        let granted = served
            .capabilities
            .iter()
            .filter(allowed)
            .map(|asked| Capability::compile(asked, &values))
            .collect::<Result<Vec<_>, _>>()?;
        check_jobs(&granted)?;
        let unknown = |capability: &&Capability| {
            capability.reads_by_post() && !capability.is_known_read(&served.provider)
        };
        if let (Allowed::Everything, Some(capability)) =
            (&grant.allowed, granted.iter().find(unknown))
        {
            let reason =
                "a read by POST that this host does not know; it must be granted by its name"
                    .to_owned();
            return Err(Unacceptable { label: capability.label().to_owned(), reason }.into());
        }
        Ok(granted)
    }
}

async fn describe(loaded: &Loaded) -> Result<Descriptor, EngineError> {
    let (store, instance) = loaded.instantiate(Egress::closed(Phase::Plan)).await?;
    let guest = instance.reverse_sync_destination_destination();
    within(DESCRIBE_DEADLINE, store, async |store| guest.call_describe(store).await).await
}
