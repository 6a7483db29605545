//! Connections to CRMs: pooled, TLS by rustls, no redirects, addresses filtered, everything with a
//! deadline and a size limit.
//!
//! ```
//! use reverse_sync::TransportLimits;
//! use std::time::Duration;
//!
//! let patient =
//!     TransportLimits { answer_timeout: Duration::from_secs(600), ..TransportLimits::default() };
//! ```

use super::{addresses::Reach, base_url::BaseUrl};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    fs,
    future::Future,
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Time and size limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct TransportLimits {
    /// To connect, TLS included. 10 s by default.
    pub connect_timeout: Duration,
    /// From sending until the last byte of the answer. 130 s by default: HubSpot's edge gives up
    /// after 100 (crm-apis A7), Salesforce works on a call for up to ten minutes but a collection
    /// of 200 takes seconds.
    pub answer_timeout: Duration,
    /// Largest answer, in bytes. 32 MiB by default.
    pub max_answer: usize,
    /// Largest request body, in bytes. 16 MiB by default.
    pub max_body: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        TransportLimits {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(130),
            max_answer: 32 << 20,
            max_body: 16 << 20,
        }
    }
}

/// Why no usable answer came. The variants tell what is known about the request's fate.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The name does not resolve, or only to addresses out of reach.
    #[error("cannot resolve the CRM's name: {0}")]
    Resolve(String),
    /// No connection: nothing was sent.
    #[error("cannot connect to the CRM: {0}")]
    Connect(String),
    /// TLS failed: nothing was sent.
    #[error("no trusted TLS connection to the CRM: {0}")]
    Tls(String),
    /// The connection broke after the request may have been sent.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// No answer in time, after the request was sent.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// The answer is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl TransportError {
    /// What happened and what to look at, for a person: at this place.
    pub(crate) fn at(&self, base_url: &BaseUrl) -> String {
        let look = match self {
            TransportError::Resolve(_) | TransportError::Connect(_) => {
                "check the source's `base_url`, and this machine's network"
            }
            TransportError::Tls(_) => {
                "check the source's `base_url`; where a proxy opens TLS, name its certificate in `ca_file`"
            }
            TransportError::Broken(_) | TransportError::Timeout(_) => "try again later",
            TransportError::TooLarge(_) => "ask for less at once",
        };
        format!("no answer from {base_url}: {self}; {look}")
    }
}

/// Certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct BadAuthorities {
    /// Such as `ca_file /etc/ssl/proxy.pem`.
    place: String,
    reason: String,
}

/// A pool of connections. Clones share it. Make one per tenant.
#[derive(Clone)]
pub struct Transport {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    limits: TransportLimits,
}

impl Transport {
    /// A pool for one source. `ca_file` holds additional certificate authorities in PEM form.
    ///
    /// # Errors
    /// If the file cannot be read or has no certificate.
    pub fn new(
        base_url: &BaseUrl,
        ca_file: Option<&Path>,
        limits: TransportLimits,
    ) -> Result<Transport, BadAuthorities> {
        let Some(path) = ca_file else { return Transport::trusting(base_url, None, limits) };
        let fail = |reason: String| BadAuthorities {
            place: format!("ca_file {}", path.display()),
            reason,
        };
        let pem = fs::read(path).map_err(|error| fail(error.to_string()))?;
        Transport::trusting(base_url, Some(&pem), limits).map_err(|error| fail(error.reason))
    }

    /// The same with additional certificate authorities that are at hand, in PEM form.
    ///
    /// # Errors
    /// If there is no certificate in it.
    pub fn trusting(
        base_url: &BaseUrl,
        ca_pem: Option<&[u8]>,
        limits: TransportLimits,
    ) -> Result<Transport, BadAuthorities> {
        let fail = |reason: String| BadAuthorities { place: "ca_pem".to_owned(), reason };
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = ca_pem {
            let known = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            }
            if roots.len() == known {
                return Err(fail("has no certificate in PEM form".to_owned()));
            }
        }
        let provider = rustls::crypto::ring::default_provider();
        let tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| fail(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(Resolver { reach: base_url.reach() });
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect_timeout));
        http.set_keepalive(Some(Duration::from_secs(60)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .build(https);
        Ok(Transport { client, limits })
    }

    pub(crate) fn limits(&self) -> &TransportLimits {
        &self.limits
    }

    /// The same pool, with tighter limits for answers: so many bytes, within this time.
    pub(crate) fn with_answers_within(
        &self,
        max_answer: usize,
        answer_timeout: Duration,
    ) -> Transport {
        let limits = TransportLimits {
            max_answer: max_answer.min(self.limits.max_answer),
            answer_timeout: answer_timeout.min(self.limits.answer_timeout),
            ..self.limits
        };
        Transport { client: self.client.clone(), limits }
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, TransportError> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(classify)?;
            let (parts, mut body) = response.into_parts();
            let mut whole = Collected::default();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| TransportError::Broken(error.to_string()))?;
                if let Ok(data) = frame.into_data() {
                    if whole.len() + data.len() > self.limits.max_answer {
                        return Err(TransportError::TooLarge(self.limits.max_answer));
                    }
                    whole.push(data);
                }
            }
            Ok(Response::from_parts(parts, whole.finish()))
        };
        tokio::time::timeout(self.limits.answer_timeout, exchange)
            .await
            .map_err(|_| TransportError::Timeout(self.limits.answer_timeout))?
    }
}

/// Frames of a body as one buffer; a body of one frame is not copied.
#[derive(Default)]
pub(crate) struct Collected {
    first: Bytes,
    rest: BytesMut,
}

impl Collected {
    pub(crate) fn len(&self) -> usize {
        if self.rest.is_empty() { self.first.len() } else { self.rest.len() }
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.reserve((self.first.len() + data.len()).max(1 << 16));
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

fn classify(error: hyper_util::client::legacy::Error) -> TransportError {
    if !error.is_connect() {
        return TransportError::Broken(chain(&error));
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if cause.is::<OutOfReach>() || cause.to_string().contains("dns error") {
            return TransportError::Resolve(innermost(cause));
        }
        if cause.is::<rustls::Error>() {
            return TransportError::Tls(cause.to_string());
        }
        // An io::Error hides what it wraps from source().
        source = match cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref()) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    TransportError::Connect(innermost(&error))
}

/// The cause that says it to a person; those around it say which layer it came through.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The causes of an error, outermost first, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The system's resolver, less every address out of reach. The connection goes to the very address
/// that was checked.
#[derive(Clone)]
struct Resolver {
    reach: Reach,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{name} resolves only to addresses that this source must not reach ({addresses:?}); if the CRM really lives there, set allow_private_network = true"
)]
struct OutOfReach {
    name: String,
    addresses: Vec<SocketAddr>,
}

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let within: Vec<SocketAddr> =
                addresses.iter().copied().filter(|address| reach.allows(address.ip())).collect();
            if within.is_empty() {
                return Err(io::Error::other(OutOfReach {
                    name: name.as_str().to_owned(),
                    addresses,
                }));
            }
            Ok(within.into_iter())
        })
    }
}
