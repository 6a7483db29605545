//! The components that the service was started with: a run is finished by the one that began it,
//! whatever came with a newer version.

use super::store::{Store, StoreError};
use reverse_sync::{
    component::{Allowed, Component, Grant},
    component_files::ComponentFiles,
    digest::Digest,
    engine::Engine,
};
use std::{collections::HashMap, io, path::PathBuf, sync::Arc};
use tokio::sync::Mutex;

/// A component and its grant.
#[derive(Clone)]
pub struct Granted {
    /// What runs.
    pub component: Arc<Component>,
    /// What it may do.
    pub grant: Grant,
}

/// Why a component cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    /// The service was never started with it.
    #[error("plugin {0} is not one that this service was ever started with; plan again")]
    NotGranted(Digest),
    /// Its file is gone, or is not what it was.
    #[error(
        "the file of plugin {0} is gone, or is not what it was: put it back into {1}, or plan again"
    )]
    NotKept(Digest, PathBuf),
    /// It does not work with this version.
    #[error(
        "plugin {0} does not work with this version of the service ({1}); continue with the version that began, or plan again"
    )]
    Unusable(Digest, String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was kept.
pub struct Components {
    files: ComponentFiles,
    store: Store,
    engine: Arc<Engine>,
    loaded: Mutex<HashMap<Digest, Granted>>,
}

impl Components {
    /// Keeps a component, in a folder of the state and by its digest in the store, for the runs
    /// that it will have begun.
    ///
    /// # Errors
    /// If the disk or the store refuses.
    pub async fn keep(
        files: ComponentFiles,
        store: Store,
        component: &Component,
        bytes: &[u8],
    ) -> io::Result<Components> {
        files.keep(component.digest(), bytes)?;
        store.add_component(component.digest()).await.map_err(io::Error::other)?;
        Ok(Components {
            files,
            store,
            engine: Arc::clone(component.engine()),
            loaded: Mutex::default(),
        })
    }

    /// A component that the service was once started with.
    ///
    /// # Errors
    /// See [`NoComponent`].
    pub async fn get(&self, digest: Digest) -> Result<Granted, NoComponent> {
        let mut loaded = self.loaded.lock().await;
        if let Some(granted) = loaded.get(&digest) {
            return Ok(granted.clone());
        }
        if !self.store.has_component(digest).await? {
            return Err(NoComponent::NotGranted(digest));
        }
        let bytes = self
            .files
            .read(digest)
            .ok_or_else(|| NoComponent::NotKept(digest, self.files.path(digest)))?;
        let unusable = |error: String| NoComponent::Unusable(digest, error);
        let component = Component::load(&self.engine, &bytes)
            .await
            .map_err(|error| unusable(error.to_string()))?;
        let granted = Granted {
            component: Arc::new(component),
            grant: Grant { component: digest, allowed: Allowed::Everything },
        };
        loaded.insert(digest, granted.clone());
        Ok(granted)
    }
}
