//! A source: a connected CRM account, as its user describes it.
//!
//! ```
//! use reverse_sync::{Account, Credential, Source, SourceLimit, component::Pacing};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pacing = Pacing { limit: None, headers: None, throttles: vec![] };
//! let acme = Source::builder("salesforce", &pacing)
//!     .base_url("https://acme.my.salesforce.com")
//!     // Looked up when a request first needs it: an offline plan never does.
//!     .credential_with(|| Ok(Credential::bearer(&std::env::var("SALESFORCE_TOKEN")?)?))
//!     .limit(SourceLimit { calls: 50, per_seconds: 10.0 })
//!     .account("00D5t0000000001EAA".parse::<Account>()?)
//!     .build()?;
//! assert_eq!(acme.base_url().as_str(), "https://acme.my.salesforce.com");
//! # Ok(())
//! # }
//! ```

use crate::{
    contract::capabilities::Pacing,
    egress::{
        Link, Observer,
        base_url::{BadBaseUrl, BaseUrl},
        credential::{
            Credential,
            well_known::{self, NotTheApi},
        },
        pacing::{LOOK_AGAIN, Pacer},
        transport::{BadAuthorities, Transport, TransportLimits},
    },
    ids::Account,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{
    ops::RangeInclusive,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The error of a credential that is looked up by the program that embeds the library.
pub type LookUpError = Box<dyn std::error::Error + Send + Sync>;

type LookUp = Box<dyn Fn() -> Result<Credential, LookUpError> + Send + Sync>;

/// A connected CRM account: where it is, what opens it, and how fast it may be asked. Clones share
/// one connection pool, one budget of calls and one access token, as all plans and runs of an
/// account should.
#[derive(Clone)]
pub struct Source(Arc<Described>);

struct Described {
    base_url: BaseUrl,
    /// What the link is made of when it is first needed.
    by: Option<SourceBuilder>,
    link: OnceLock<Link>,
}

/// So many calls within any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceLimit {
    /// Calls.
    #[serde(deserialize_with = "calls")]
    pub calls: u32,
    /// Seconds, at most 120.
    #[serde(deserialize_with = "window")]
    pub per_seconds: f64,
}

/// Longest window of a limit, in seconds, and the shortest: what egress can keep to.
const WINDOWS: RangeInclusive<f64> = 0.001..=120.0;

fn calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let calls = f64::deserialize(deserializer)?;
    let is_whole = calls.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&calls);
    if is_whole {
        Ok(calls as u32)
    } else {
        Err(D::Error::custom("it is a whole number of at least 1"))
    }
}

fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    if WINDOWS.contains(&seconds) {
        Ok(seconds)
    } else {
        Err(D::Error::custom("it is a number of seconds, at most 120"))
    }
}

/// Why there is no way to a CRM. No message repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The plugin serves no sources of this provider.
    #[error("the plugin serves no `{0}` sources")]
    Provider(String),
    /// Each customer of the provider has a URL of their own.
    #[error(
        "a {0} source needs `base_url`, the URL of its instance, such as https://acme.my.salesforce.com"
    )]
    NoBaseUrl(String),
    /// The base URL.
    #[error(transparent)]
    BaseUrl(#[from] BadBaseUrl),
    /// The base URL is the provider's, but its API is elsewhere.
    #[error(transparent)]
    NotTheApi(#[from] NotTheApi),
    /// The certificate authorities.
    #[error(transparent)]
    Authorities(#[from] BadAuthorities),
    /// Only offline plans can be made with it.
    #[error("the source has no credential")]
    NoCredential,
    /// The credential cannot be looked up.
    #[error(transparent)]
    Credential(LookUpError),
}

/// Where a source's CRM is. `private_network` lets its name resolve to addresses of a private
/// network.
///
/// # Errors
/// If there is no usual place and no URL, or the URL cannot be the API of this provider.
pub fn base_url(
    provider: &str,
    url: Option<&str>,
    private_network: bool,
) -> Result<BaseUrl, SourceError> {
    let url = url
        .or_else(|| well_known::base_url(provider))
        .ok_or_else(|| SourceError::NoBaseUrl(provider.to_owned()))?;
    let url = BaseUrl::parse(url, private_network)?;
    well_known::check_base_url(provider, &url)?;
    Ok(url)
}

impl Source {
    /// A source of this provider, whose CRM is paced like this. See also
    /// [`Workspace::source`](crate::Workspace::source).
    pub fn builder(provider: &str, pacing: &Pacing) -> SourceBuilder {
        SourceBuilder {
            provider: provider.to_owned(),
            pacing: pacing.clone(),
            base_url: None,
            private_network: false,
            credential: None,
            authorities: Authorities::Usual,
            transport: TransportLimits::default(),
            limit: None,
            look_again: LOOK_AGAIN,
            account: None,
            observer: None,
        }
    }

    /// Where its CRM is.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// The way to its CRM. The credential is looked up the first time.
    ///
    /// # Errors
    /// If there is no credential, or it cannot be looked up; if the certificate authorities cannot
    /// be used.
    pub fn link(&self) -> Result<Link, SourceError> {
        let Described { base_url, by, link } = &*self.0;
        match (link.get(), by) {
            (Some(link), _) => Ok(link.clone()),
            (None, Some(by)) => {
                let made = by.link(base_url)?;
                Ok(link.get_or_init(|| made).clone())
            }
            (None, None) => Err(SourceError::NoCredential),
        }
    }
}

/// A place that is known by its URL only: enough for offline plans.
impl From<BaseUrl> for Source {
    fn from(base_url: BaseUrl) -> Source {
        Source(Arc::new(Described { base_url, by: None, link: OnceLock::new() }))
    }
}

/// A link that was made elsewhere.
impl From<Link> for Source {
    fn from(link: Link) -> Source {
        Source(Arc::new(Described { base_url: link.base_url.clone(), by: None, link: link.into() }))
    }
}

/// Describes a [`Source`].
#[must_use]
pub struct SourceBuilder {
    provider: String,
    pacing: Pacing,
    base_url: Option<String>,
    private_network: bool,
    credential: Option<LookUp>,
    authorities: Authorities,
    transport: TransportLimits,
    limit: Option<SourceLimit>,
    look_again: Duration,
    account: Option<Account>,
    observer: Option<Arc<dyn Observer>>,
}

enum Authorities {
    Usual,
    File(PathBuf),
    Pem(Vec<u8>),
}

impl SourceBuilder {
    /// Where its CRM is, if not where all customers of the provider have it.
    pub fn base_url(self, url: impl Into<String>) -> SourceBuilder {
        SourceBuilder { base_url: Some(url.into()), ..self }
    }

    /// Lets its CRM's name resolve to addresses of a private network.
    pub fn allow_private_network(self, allow: bool) -> SourceBuilder {
        SourceBuilder { private_network: allow, ..self }
    }

    /// What opens it.
    pub fn credential(self, credential: Credential) -> SourceBuilder {
        self.credential_with(move || Ok(credential.clone()))
    }

    /// How to get what opens it, when it is first needed: from a vault, for instance. Never called
    /// for an offline plan.
    pub fn credential_with(
        self,
        look_up: impl Fn() -> Result<Credential, LookUpError> + Send + Sync + 'static,
    ) -> SourceBuilder {
        SourceBuilder { credential: Some(Box::new(look_up)), ..self }
    }

    /// Certificate authorities beside the usual ones, in PEM form: of a proxy, for instance.
    pub fn ca_pem(self, pem: impl Into<Vec<u8>>) -> SourceBuilder {
        SourceBuilder { authorities: Authorities::Pem(pem.into()), ..self }
    }

    /// The same from a file.
    pub fn ca_file(self, path: impl Into<PathBuf>) -> SourceBuilder {
        SourceBuilder { authorities: Authorities::File(path.into()), ..self }
    }

    /// Time and size limits of each request.
    pub fn transport_limits(self, limits: TransportLimits) -> SourceBuilder {
        SourceBuilder { transport: limits, ..self }
    }

    /// Stays below this, if there is a limit, whatever the CRM allows.
    pub fn limit(self, limit: impl Into<Option<SourceLimit>>) -> SourceBuilder {
        SourceBuilder { limit: limit.into(), ..self }
    }

    /// Lets a call pass again so long after the CRM's limit was exhausted.
    pub fn look_again(self, after: Duration) -> SourceBuilder {
        SourceBuilder { look_again: after, ..self }
    }

    /// The account that the credential has to open: with another one nothing is planned online or
    /// written.
    pub fn account(self, account: impl Into<Option<Account>>) -> SourceBuilder {
        SourceBuilder { account: account.into(), ..self }
    }

    /// Who is told of each request.
    pub fn observer(self, observer: Arc<dyn Observer>) -> SourceBuilder {
        SourceBuilder { observer: Some(observer), ..self }
    }

    /// A source that looks its credential up when it is needed.
    ///
    /// # Errors
    /// As [`base_url`].
    pub fn build(self) -> Result<Source, SourceError> {
        let base_url = base_url(&self.provider, self.base_url.as_deref(), self.private_network)?;
        Ok(Source(Arc::new(Described { base_url, by: Some(self), link: OnceLock::new() })))
    }

    fn link(&self, base_url: &BaseUrl) -> Result<Link, SourceError> {
        let look_up = self.credential.as_ref().ok_or(SourceError::NoCredential)?;
        let ceiling = self.limit.map(|SourceLimit { calls, per_seconds }| {
            (calls, Duration::from_secs_f64(per_seconds.clamp(*WINDOWS.start(), *WINDOWS.end())))
        });
        Ok(Link {
            base_url: base_url.clone(),
            credential: look_up().map_err(SourceError::Credential)?,
            pacer: Pacer::looking_again(&self.pacing, ceiling, self.look_again),
            transport: match &self.authorities {
                Authorities::Usual => Transport::trusting(base_url, None, self.transport),
                Authorities::File(path) => Transport::new(base_url, Some(path), self.transport),
                Authorities::Pem(pem) => Transport::trusting(base_url, Some(pem), self.transport),
            }?,
            observer: self.observer.clone(),
            account: self.account.clone(),
        })
    }
}
