//! Egress: the only way from a component to the network.
//!
//! A request passes five stages, in this order, or it does not leave:
//!
//! 1. *capability*: is this kind of request granted, in this phase?
//!    ([`capability`](mod@crate::capability))
//! 2. *witness*: does it name only confirmed changes, with their confirmed values? (`outstanding`)
//! 3. *pacing*: the credential's budget ([`pacing`])
//! 4. *credential*: only now is the token put in, for the one base URL it belongs to
//!    ([`credential`])
//! 5. *transport*: pooled connections, filtered addresses, deadlines, size limits ([`transport`])
//!
//! An answer of 401 says that nothing was applied. If the token has died, the request passes stages
//! 2 to 5 once more, with a new token; the component sees the second answer only.
//!
//! What the host asks by itself (`question`) passes the last three.
//!
//! An offline plan has no egress behind it at all: `Egress::closed` refuses everything and holds no
//! credential. An online plan has one through which only declared reads pass, and so has verifying.
//!
//! Who wants to see each request, and never a header, a query or a body, is an [`Observer`]:
//!
//! ```
//! use reverse_sync::egress::{Exchange, Fate, Observer};
//!
//! struct Printed;
//!
//! impl Observer for Printed {
//!     fn exchanged(&self, exchange: &Exchange<'_>) {
//!         if let Fate::Answered(status) = exchange.fate {
//!             println!("{} {}: {status}", exchange.method, exchange.path);
//!         }
//!     }
//! }
//! ```

pub mod addresses;
pub mod base_url;
pub mod credential;
mod observer;
pub mod pacing;
pub(crate) mod question;
pub mod transport;

pub use observer::{Exchange, Fate, Observer, Stage};
pub use question::Unanswered;

use crate::{
    capability::{self, AnyRecord, Capability},
    contract::{
        capabilities::{Effect, Phase},
        types as wit,
    },
    held::Held,
    ids::Account,
    outstanding::{Outstanding, Place},
};
use base_url::BaseUrl;
use bytes::Bytes;
use credential::{Access, Credential, CredentialError};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use observer::Watched;
use pacing::Pacer;
use parking_lot::Mutex;
use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, Span};
use transport::{Collected, Transport, TransportError, TransportLimits};
use wasmtime_wasi_http::{
    Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

/// What a run needs to reach its CRM. Everything in it is shared by the runs that use the same
/// source.
#[derive(Clone)]
pub struct Link {
    /// Where requests may go.
    pub base_url: BaseUrl,
    /// What they carry.
    pub credential: Credential,
    /// How fast they may go.
    pub pacer: Arc<Pacer>,
    /// How they get there.
    pub transport: Transport,
    /// Who is told of each of them.
    pub observer: Option<Arc<dyn Observer>>,
    /// The account that the credential has to open, if somebody has said so: with another one
    /// nothing is planned or written.
    pub account: Option<Account>,
}

impl Link {
    /// The same, for somebody who knows of an account that it has to open.
    pub(crate) fn held_to(&self, account: Option<&Account>) -> Link {
        Link { account: account.or(self.account.as_ref()).cloned(), ..self.clone() }
    }
}

/// What every request says it comes from.
const USER_AGENT: &str = concat!("reverse-sync/", env!("CARGO_PKG_VERSION"));

/// What left and what did not, over one call into a component.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    last_failure: Mutex<Option<String>>,
    no_access: OnceLock<CredentialError>,
    account: OnceLock<Account>,
}

impl Traffic {
    /// The access token for the next request: of the account that the link has to open, and if
    /// nobody has said which, of the one of the first request. What an access token is said to open
    /// costs no question, so that each renewal is held to it.
    async fn access(&self, link: &Link) -> Result<Access, CredentialError> {
        let access = link.credential.access(link.account.as_ref().or(self.account.get())).await?;
        if let Some(account) = &access.account {
            self.account.get_or_init(|| account.clone());
        }
        Ok(access)
    }

    /// The account that the first access token was said to open, if it was said.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.get()
    }

    fn failed_with(&self, error: &TransportError, base_url: &BaseUrl) {
        self.failed.fetch_add(1, Relaxed);
        *self.last_failure.lock() = Some(error.at(base_url));
    }

    /// There was an answer that the component does not get.
    fn withheld(&self) {
        *self.last_failure.lock() = Some(
            "the CRM's answer repeats the credential, so it was withheld from the plugin; look at what stands between this machine and the CRM, such as a proxy"
                .to_owned(),
        );
    }

    /// There was an answer.
    fn answered(&self) {
        *self.last_failure.lock() = None;
    }

    /// What a component says went wrong. Why the CRM is out of reach is better known here.
    pub(crate) fn told(&self, error: wit::Error) -> wit::Error {
        match self.last_failure().filter(|_| error.kind == wit::ErrorKind::Unavailable) {
            Some(message) => wit::Error { message, ..error },
            None => error,
        }
    }

    /// Requests that were sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Requests that egress refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Requests that were sent, or tried, and got no complete answer.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Why the last request got none, if it got none, and what to look at.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().clone()
    }

    /// Why there was no access token for a request, if one was missing.
    pub fn no_access(&self) -> Option<&CredentialError> {
        self.no_access.get()
    }
}

/// Requests that one instance may have in flight at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(pub(crate) u32);

/// The egress of one instance.
pub(crate) struct Egress {
    open: Option<Arc<Open>>,
    phase: Phase,
    traffic: Arc<Traffic>,
}

struct Open {
    phase: Phase,
    capabilities: Vec<Capability>,
    link: Link,
    /// `None` while planning: nothing is confirmed yet.
    outstanding: Option<Outstanding>,
    /// Of a run: what is no read waits for it.
    held: Option<Held>,
    traffic: Arc<Traffic>,
    /// Requests that this instance may still have in flight.
    budget: Arc<Semaphore>,
    /// The span of the call. Within the guest it is not the current one.
    span: Span,
}

type Answer =
    Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>), HttpError>;

impl Egress {
    /// No network, no credential.
    pub(crate) fn closed(phase: Phase) -> Egress {
        Egress { open: None, phase, traffic: Arc::default() }
    }

    /// The egress of an online plan: its reads, of any record.
    pub(crate) fn planning(capabilities: Vec<Capability>, link: Link, budget: Budget) -> Egress {
        Egress::open(Phase::Plan, reads(capabilities), link, None, None, budget)
    }

    /// The egress of a confirmed run.
    pub(crate) fn running(
        capabilities: Vec<Capability>,
        link: Link,
        outstanding: Outstanding,
        held: Held,
        budget: Budget,
    ) -> Egress {
        Egress::open(Phase::Run, capabilities, link, Some(outstanding), Some(held), budget)
    }

    /// The egress of verifying: a run's reads, of the records that were handed out.
    pub(crate) fn verifying(
        capabilities: Vec<Capability>,
        link: Link,
        outstanding: Outstanding,
        budget: Budget,
    ) -> Egress {
        Egress::open(Phase::Run, reads(capabilities), link, Some(outstanding), None, budget)
    }

    fn open(
        phase: Phase,
        capabilities: Vec<Capability>,
        link: Link,
        outstanding: Option<Outstanding>,
        held: Option<Held>,
        budget: Budget,
    ) -> Egress {
        let traffic = Arc::new(Traffic::default());
        let budget = Arc::new(Semaphore::new(budget.0.max(1) as usize));
        let open = Open {
            phase,
            capabilities,
            link,
            outstanding,
            held,
            traffic: Arc::clone(&traffic),
            budget,
            span: Span::current(),
        };
        Egress { open: Some(Arc::new(open)), phase, traffic }
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }
}

fn reads(mut capabilities: Vec<Capability>) -> Vec<Capability> {
    capabilities.retain(|capability| capability.effect() == Effect::Read);
    capabilities
}

/// Refusals of one call that are logged; the others are counted.
const LOGGED: u64 = 20;
/// As much of what a component made up goes to a log, in characters.
const SHOWN: usize = 200;
/// Bytes of a body that are taken in at once.
const BODY_CHUNK: usize = 64 << 10;

fn refuse(
    traffic: &Traffic,
    stage: Stage,
    request: &Request<impl Sized>,
    reason: &str,
) -> HttpError {
    let before = traffic.refused.fetch_add(1, Relaxed);
    let (method, path, reason) =
        (shown(request.method().as_str()), shown(request.uri().path()), shown(reason));
    match before {
        0..LOGGED => {
            tracing::warn!(stage = stage.as_str(), method, path, reason, "egress refused a request")
        }
        LOGGED => tracing::warn!("egress refuses more requests of this call; they are counted"),
        _ => {}
    }
    HttpError::HttpRequestDenied
}

fn shown(text: &str) -> &str {
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}

impl WasiHttpHooks for Egress {
    /// Credentials are refused where they are seen, with a reason, rather than filtered silently.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| {
            *name == header::HOST
                || *name == header::TRANSFER_ENCODING
                || *name == header::CONNECTION
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    // What was written and not sent yet is the host's memory, for each body that there is.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        match &self.open {
            Some(open) => {
                let (open, span) = (Arc::clone(open), open.span.clone());
                // It becomes a task of its own, whose lines are still those of the run.
                Box::new(async move { open.handle(request).await }.instrument(span))
            }
            None => {
                let reason = match self.phase {
                    Phase::Plan => "an offline plan has no network",
                    Phase::Run => "this call has no network",
                };
                let error = refuse(&self.traffic, Stage::Capability, &request, reason);
                Box::new(async move {
                    // Taken in, so that the guest meets the refusal and not a broken stream.
                    collect(request.into_body(), TransportLimits::default().max_body).await?;
                    Err(error)
                })
            }
        }
    }
}

impl Open {
    async fn handle(&self, request: Request<WasiBody>) -> Answer {
        // Before the body is taken in, so that the budget bounds what bodies take of the host's
        // memory too. It is never closed.
        let permit = Arc::clone(&self.budget)
            .acquire_owned()
            .await
            .map_err(|_| HttpError::InternalError(None))?;
        let link = &self.link;
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), ());
        let watched = |bytes_out| {
            Watched::new(
                link.observer.as_deref(),
                request.method(),
                request.uri().path(),
                bytes_out,
            )
        };
        let refuse = |stage, reason: &str| {
            watched(0).refused(stage, reason);
            refuse(&self.traffic, stage, &request, reason)
        };
        let body = collect(body, link.transport.limits().max_body).await.inspect_err(|error| {
            if let HttpError::HttpRequestBodySize(Some(max)) = error {
                refuse(Stage::Transport, &format!("its body is larger than {max} bytes"));
            }
        })?;

        let Some(below) = link.base_url.below(request.uri()) else {
            let elsewhere = request.uri().authority().map_or("", |authority| authority.as_str());
            return Err(refuse(
                Stage::Capability,
                &format!("requests may go to {} only, not to {elsewhere}", link.base_url),
            ));
        };
        let target = match request.uri().query() {
            Some(query) => format!("{below}?{query}"),
            None => below.to_owned(),
        };
        let target = target.parse().map_err(|_| refuse(Stage::Capability, "not a plain path"))?;

        let admit = |witness: &mut dyn capability::Witness| {
            let admitted = capability::admit(
                &self.capabilities,
                self.phase,
                &parts.method,
                &target,
                request.headers(),
                &body,
                witness,
            );
            admitted.map_err(|reason| refuse(Stage::Witness, &reason))
        };
        let mut sent = parts.clone();
        sent.headers.remove(header::CONTENT_LENGTH);
        sent.headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let mut repeated = false;
        let answer = loop {
            // The witness holds the window's lock, so it ends before anything is awaited.
            let (capability, named) = match &self.outstanding {
                Some(outstanding) => {
                    let mut witness = outstanding.witness();
                    (admit(&mut witness)?, witness.named())
                }
                None => (admit(&mut AnyRecord)?, Vec::new()),
            };

            let mut watched = watched(body.len());
            if !capability.is_plain_read()
                && let Some(held) = &self.held
                && !held.known().await
            {
                let reason = "the credential may open another account than the one that was meant";
                watched.refused(Stage::Credential, reason);
                return Err(self::refuse(&self.traffic, Stage::Credential, &request, reason));
            }
            let turn = match link.pacer.turn().await {
                Ok(turn) => turn,
                Err(error) => {
                    tracing::warn!(%error, "a request was not sent");
                    watched
                        .refused(Stage::Pacing, "the CRM's limit for this credential is exhausted");
                    return Err(HttpError::ConnectionLimitReached);
                }
            };
            watched.waited(turn.waited());

            let access = match self.traffic.access(link).await {
                Ok(access) => access,
                Err(error) => {
                    watched.refused(Stage::Credential, "there is no access token for it");
                    return Err(self.no_access(error));
                }
            };
            sent.headers.insert(header::AUTHORIZATION, access.header.clone());
            if capability.effect() == Effect::Write
                && let Some(outstanding) = &self.outstanding
            {
                match outstanding.sent(&named) {
                    Ok(again) => watched.repeats(again),
                    Err(reason) => {
                        watched.refused(Stage::Witness, &reason);
                        return Err(self::refuse(&self.traffic, Stage::Witness, &request, &reason));
                    }
                }
            }
            self.traffic.requests.fetch_add(1, Relaxed);
            let started = Instant::now();
            watched.leaves();
            let answer = match link
                .transport
                .send(Request::from_parts(sent.clone(), Full::new(body.clone())))
                .await
            {
                Ok(answer) => answer,
                Err(error) => {
                    self.traffic.failed_with(&error, &link.base_url);
                    // What it comes to is told when the call ends.
                    tracing::info!(method = %request.method(), path = below, %error, "no answer from the CRM");
                    watched.unanswered(&error);
                    return Err(for_guest(error));
                }
            };
            tracing::debug!(method = %request.method(), path = below, status = answer.status().as_u16(), ms = started.elapsed().as_millis() as u64, bytes = answer.body().len(), "request");
            self.traffic.answered();
            let throttled = turn.answered(answer.status(), answer.headers(), answer.body());
            watched.answered(answer.status(), answer.body().len(), throttled);
            if answer.status() == StatusCode::UNAUTHORIZED {
                if !repeated && self.renewed(&access).await {
                    repeated = true;
                    continue;
                }
            } else {
                link.credential.accepted(&access);
            }
            self.witness_answer(capability, &named, &answer);
            break answer;
        };
        self.give(answer, permit)
    }

    /// Whether there is another token than the one that was refused with 401. If not, the guest
    /// gets that answer.
    async fn renewed(&self, refused: &Access) -> bool {
        self.link.credential.renewed(refused).await.unwrap_or_else(|error| {
            self.no_access(error);
            false
        })
    }

    /// There is no token for a request. The guest learns that it did not leave; the report says
    /// why.
    fn no_access(&self, error: CredentialError) -> HttpError {
        tracing::debug!(%error, "no access token for a request");
        // The first error tells why; the others follow from it.
        let _ = self.traffic.no_access.set(error);
        HttpError::HttpRequestDenied
    }

    /// What an answer proves about the changes that its request named.
    fn witness_answer(&self, capability: &Capability, named: &[Place], answer: &Response<Bytes>) {
        let Some(outstanding) = &self.outstanding else { return };
        let status = answer.status();
        match capability.effect() {
            // The CRM has taken it in and not yet looked at it.
            Effect::Write if capability.is_upload() && status.is_success() => {
                outstanding.uploaded(named)
            }
            Effect::Write if capability.is_upload() => {}
            Effect::Write if status.is_success() => {
                outstanding.acknowledged(named, capability.is_of_one())
            }
            Effect::Write if status == StatusCode::PRECONDITION_FAILED => {
                outstanding.precondition_failed(named)
            }
            Effect::Job if status.is_success() => outstanding.opened(answer.body()),
            Effect::Read if status.is_success() && capability.reads_job() => {
                if let Some(id_column) = capability::id_column(&self.capabilities) {
                    outstanding
                        .read_ids(|each| capability::csv::ids(answer.body(), id_column, each));
                }
            }
            Effect::Read if status.is_success() => outstanding.read(named),
            Effect::Write | Effect::Read | Effect::Job => {}
        }
    }

    /// Hands the answer to the guest, unless it repeats the credential. The request counts against
    /// the instance's budget until the guest lets go of the answer: one that hoards answers hoards
    /// the host's memory.
    fn give(&self, answer: Response<Bytes>, permit: OwnedSemaphorePermit) -> Answer {
        let (mut parts, body) = answer.into_parts();
        for hop in [header::SET_COOKIE, header::CONNECTION, header::TRANSFER_ENCODING] {
            parts.headers.remove(hop);
        }
        let credential = &self.link.credential;
        if credential.appears_in(&body)
            || parts.headers.values().any(|value| credential.appears_in(value.as_bytes()))
        {
            tracing::error!(
                "the CRM's answer repeats the credential; it is withheld from the plugin"
            );
            self.traffic.withheld();
            return Err(HttpError::HttpProtocolError);
        }
        // The closure is never called; it owns the permit, and goes when the body goes.
        let keep = move |never: Infallible| {
            let _permit = &permit;
            match never {}
        };
        let body = Full::new(body).map_err(keep).boxed_unsync();
        Ok((Response::from_parts(parts, body), Box::new(async { Ok(()) })))
    }
}

async fn collect(mut body: WasiBody, max: usize) -> Result<Bytes, HttpError> {
    let mut whole = Collected::default();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if whole.len() + data.len() > max {
                return Err(HttpError::HttpRequestBodySize(Some(max as u64)));
            }
            whole.push(data);
        }
    }
    Ok(whole.finish())
}

/// What the guest learns of a failed exchange: enough to know whether the request can have arrived.
fn for_guest(error: TransportError) -> HttpError {
    match error {
        TransportError::Resolve(_) => HttpError::DnsError { rcode: None, info_code: None },
        TransportError::Connect(_) => HttpError::ConnectionRefused,
        TransportError::Tls(_) => HttpError::TlsCertificateError,
        TransportError::Broken(_) => HttpError::ConnectionTerminated,
        TransportError::Timeout(_) => HttpError::HttpResponseTimeout,
        TransportError::TooLarge(size) => HttpError::HttpResponseBodySize(Some(size as u64)),
    }
}
