//! The way to the CRM that a source stands for. One for each source, so that all its runs share one
//! budget, one pool of connections and one access token.

use super::{
    secrets::{
        CredentialDocument, Holds, Sealed, SecretCell, SharedKeyring,
        credential::{BadStored, site},
        refreshing::Stored,
    },
    store::{SourceRow, SourceSettings, Store, StoreError, Unreadable},
};
use parking_lot::Mutex;
use reverse_sync::{
    component::Pacing,
    egress::{Link, addresses::Reach, base_url::BaseUrl, credential::spec::UnusableCredential},
    source::{self, Source, SourceError},
};
use secrecy::SecretString;
use std::{collections::HashMap, io, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// Why there is no way to a source's CRM.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Where it is, or how it is reached.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Where it is, which the operator does not allow.
    #[error("{0}")]
    NotAllowed(String),
    /// Its stored credential.
    #[error("the credential of source {source_id}: {error}")]
    Stored {
        /// The source.
        source_id: String,
        /// What is wrong with it.
        error: BadStored,
    },
    /// Its credential cannot be used.
    #[error(transparent)]
    Credential(#[from] UnusableCredential),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which text a source's credential is sealed for.
pub fn context(org_id: &str, source_id: &str) -> String {
    format!("{org_id}/{source_id}/credential")
}

/// The base URL of a source. `local_sources` says whether it may be the service's own machine or in
/// a private network, which is for the operator to allow: a tenant could otherwise reach what
/// listens there.
///
/// # Errors
/// Says what is wrong and what would be right.
pub fn base_url(
    provider: &str,
    settings: &SourceSettings,
    local_sources: bool,
) -> Result<BaseUrl, LinkError> {
    if settings.allow_private_network && !local_sources {
        let refused = "`allow_private_network` is for the service's operator to allow, who has not (`serve --allow-local-sources`)";
        return Err(LinkError::NotAllowed(refused.to_owned()));
    }
    let private_network = settings.allow_private_network;
    let url = source::base_url(provider, settings.base_url.as_deref(), private_network)?;
    if url.reach() == Reach::Loopback && !local_sources {
        let refused = format!(
            "base_url `{url}` is the service's own machine, which its operator has not allowed (`serve --allow-local-sources`)"
        );
        return Err(LinkError::NotAllowed(refused));
    }
    Ok(url)
}

/// The links that are in use.
pub struct Links {
    store: Store,
    keyring: SharedKeyring,
    holds: Holds,
    /// How long a source rests whose limit is used up.
    look_again: Duration,
    /// By org and source, with the version of the source that each was made from.
    links: Mutex<HashMap<(String, String), (i64, Link)>>,
}

impl Links {
    /// None yet.
    pub fn new(store: Store, keyring: SharedKeyring, holds: Holds, look_again: Duration) -> Links {
        Links { store, keyring, holds, look_again, links: Mutex::default() }
    }

    fn links(&self) -> parking_lot::MutexGuard<'_, HashMap<(String, String), (i64, Link)>> {
        // Each statement leaves the map consistent, so it is good after a panic, too.
        self.links.lock()
    }

    /// The link of a source, made anew when the source was changed. To be called within the
    /// runtime.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn link(
        &self,
        org_id: &str,
        source: &SourceRow,
        pacing: &Pacing,
        local_sources: bool,
    ) -> Result<Link, LinkError> {
        let key = (org_id.to_owned(), source.source_id.clone());
        // An account that is learned makes no other source of it: what is shared stays shared.
        let of_now =
            |link: &Link| Link { account: source.settings.account.clone(), ..link.clone() };
        if let Some((version, link)) = self.links().get(&key)
            && *version == source.version
        {
            return Ok(of_now(link));
        }
        let link = self.make(org_id, source, pacing, local_sources)?;
        // Two who made it at the same time use one.
        let mut links = self.links();
        match links.get(&key) {
            // Somebody who read the source later has been here: the row at hand knows nothing that
            // this does not.
            Some((version, link)) if *version > source.version => Ok(link.clone()),
            Some((version, link)) if *version == source.version => Ok(of_now(link)),
            _ => {
                links.insert(key, (source.version, link.clone()));
                Ok(link)
            }
        }
    }

    /// Forgets the link of a source that is gone.
    pub fn forget(&self, org_id: &str, source_id: &str) {
        self.links().remove(&(org_id.to_owned(), source_id.to_owned()));
    }

    fn make(
        &self,
        org_id: &str,
        source: &SourceRow,
        pacing: &Pacing,
        local_sources: bool,
    ) -> Result<Link, LinkError> {
        let settings = &source.settings;
        let base_url = base_url(&source.provider, settings, local_sources)?;
        let context = context(org_id, &source.source_id);
        let sealed: Sealed = source.credential.parse().map_err(|_| {
            let unreadable = Unreadable::new("sources.credential", &source.source_id, "not sealed");
            StoreError::from(unreadable)
        })?;
        let bad = |error| LinkError::Stored { source_id: source.source_id.clone(), error };
        let plain = self.keyring.open(&context, &sealed).map_err(|error| bad(error.into()))?;
        let document = CredentialDocument::from_plain(&plain).map_err(bad)?;
        let cell = Cell {
            store: self.store.clone(),
            keyring: self.keyring.clone(),
            runtime: Handle::current(),
            org_id: org_id.to_owned(),
            source_id: source.source_id.clone(),
        };
        let stored = Stored {
            source_id: source.source_id.clone(),
            cell: Arc::new(cell),
            holds: self.holds.clone(),
        };
        let site = site(&source.provider, &base_url, settings.ca_pem.as_deref());
        let credential = document.0.credential(&site, |_| Ok(Arc::new(stored)))?;
        let mut described = Source::builder(&source.provider, pacing)
            .base_url(base_url.as_str())
            .allow_private_network(settings.allow_private_network)
            .credential(credential)
            .limit(settings.limit)
            .look_again(self.look_again)
            .account(settings.account.clone());
        if let Some(pem) = &settings.ca_pem {
            described = described.ca_pem(pem.as_str());
        }
        Ok(described.build()?.link()?)
    }
}

/// The credential of one source in the store, for the renewal of a refresh token.
struct Cell {
    store: Store,
    keyring: SharedKeyring,
    runtime: Handle,
    org_id: String,
    source_id: String,
}

impl SecretCell for Cell {
    fn read(&self) -> io::Result<SecretString> {
        let row = self
            .runtime
            .block_on(self.store.source(&self.org_id, &self.source_id))
            .map_err(io::Error::other)?;
        let row =
            row.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the source is gone"))?;
        let sealed = row.credential.parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the stored credential is not sealed")
        })?;
        self.keyring
            .open(&context(&self.org_id, &self.source_id), &sealed)
            .map_err(io::Error::other)
    }

    fn write(&self, secret: &SecretString) -> io::Result<()> {
        let sealed = self.keyring.seal(&context(&self.org_id, &self.source_id), secret).to_string();
        self.runtime
            .block_on(self.store.replace_credential(&self.org_id, &self.source_id, &sealed))
            .map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        secrets::Keyring,
        store::{NewSource, tests::store},
    };

    async fn add(links: &Links, org_id: &str, sealed_for: &str) -> SourceRow {
        let source_id = Store::new_source_id();
        let document: CredentialDocument =
            serde_json::from_str(r#"{"access_token": "pat-na1-sesame"}"#).unwrap();
        let context =
            if sealed_for.is_empty() { context(org_id, &source_id) } else { sealed_for.to_owned() };
        let credential = document.seal(&links.keyring.current(), &context).to_string();
        let settings = &SourceSettings {
            base_url: Some("http://127.0.0.1:9".to_owned()),
            ..SourceSettings::default()
        };
        let new = NewSource {
            name: "HubSpot",
            provider: "hubspot",
            settings,
            credential: &credential,
            credential_summary: "{}",
        };
        links.store.add_source(org_id, &source_id, new, "ada").await.unwrap();
        links.store.source(org_id, &source_id).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn all_runs_of_a_source_share_one_link_until_the_source_is_changed() {
        let (dir, store) = store().await;
        let keyring = SharedKeyring::new(Keyring::from_file(&dir.path().join("keys")).unwrap());
        let links = Links::new(store.clone(), keyring, Holds::default(), Duration::from_secs(1));
        let pacing = Pacing { limit: None, headers: None, throttles: Vec::new() };
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        let source = add(&links, &org, "").await;
        let first = links.link(&org, &source, &pacing, true).unwrap();
        assert!(Arc::ptr_eq(
            &first.pacer,
            &links.link(&org, &source, &pacing, true).unwrap().pacer
        ));

        let changed = SourceRow { version: 2, ..source.clone() };
        let second = links.link(&org, &changed, &pacing, true).unwrap();
        assert!(!Arc::ptr_eq(&first.pacer, &second.pacer));
        // Who still has the row of before gets the link of now, whole.
        let settings =
            SourceSettings { account: Some("1".parse().unwrap()), ..source.settings.clone() };
        let old =
            links.link(&org, &SourceRow { settings, ..source.clone() }, &pacing, true).unwrap();
        assert!(Arc::ptr_eq(&second.pacer, &old.pacer) && old.account.is_none());
        links.forget(&org, &source.source_id);
        assert!(!Arc::ptr_eq(
            &second.pacer,
            &links.link(&org, &changed, &pacing, true).unwrap().pacer
        ));

        // What was sealed for another source, as when rows are swapped in the database, does not
        // open.
        let swapped = add(&links, &org, &context(&org, &source.source_id)).await;
        assert!(matches!(links.link(&org, &swapped, &pacing, true), Err(LinkError::Stored { .. })));
        // And this machine is out of reach unless the operator says otherwise.
        links.forget(&org, &source.source_id);
        let refused = links.link(&org, &source, &pacing, false).map(drop).unwrap_err().to_string();
        assert!(refused.contains("own machine"), "{refused}");
    }

    #[tokio::test]
    async fn a_credential_that_is_replaced_is_sealed_and_read_again() {
        let (dir, store) = store().await;
        let keyring = SharedKeyring::new(Keyring::from_file(&dir.path().join("keys")).unwrap());
        let links =
            Links::new(store.clone(), keyring.clone(), Holds::default(), Duration::from_secs(3600));
        let org_id = store.add_org("Acme", false, "ada").await.unwrap();
        let source_id = add(&links, &org_id, "").await.source_id;
        let cell = Cell {
            store: store.clone(),
            keyring,
            runtime: Handle::current(),
            org_id: org_id.clone(),
            source_id: source_id.clone(),
        };
        tokio::task::spawn_blocking(move || {
            cell.write(&SecretString::from("open barley")).unwrap();
            assert_eq!(secrecy::ExposeSecret::expose_secret(&cell.read().unwrap()), "open barley");
        })
        .await
        .unwrap();
        assert!(
            !store
                .source(&org_id, &source_id)
                .await
                .unwrap()
                .unwrap()
                .credential
                .contains("barley")
        );
    }
}
