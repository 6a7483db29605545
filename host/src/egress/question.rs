//! A question that the host itself asks the CRM: one `GET` of fixed text, whose answer no component
//! sees.
//!
//! It passes the stages that a component's request passes after it was admitted: pacing,
//! credential, transport. What is safe to repeat is repeated here, with growing pauses, as a
//! component does it.

use super::{
    Link, Traffic, credential::CredentialError, observer::Watched, transport::TransportError,
};
use crate::{ErrorKind, stop::StopSignal};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use std::{sync::atomic::Ordering::Relaxed, time::Duration};

/// Attempts before the CRM counts as out of reach, and "slow down" answers before its limit counts
/// as exhausted.
const MAX_ATTEMPTS: u32 = 6;
/// Largest answer, in bytes. What is asked for is one value.
const MAX_ANSWER: usize = 64 << 10;
/// From sending until the last byte of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the CRM has said nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// There was no access token for it.
    #[error(transparent)]
    NoAccess(CredentialError),
    /// The CRM does not take the credential.
    #[error(
        "the CRM refuses the credential (HTTP 401): it has ended, was revoked or never was one; renew it"
    )]
    Unauthorized,
    /// A limit that waiting a little does not cure.
    #[error("no request may leave before the CRM resets a limit ({0})")]
    RateLimited(String),
    /// The CRM cannot be reached, or keeps failing.
    #[error("{0} ({MAX_ATTEMPTS} attempts)")]
    Unavailable(String),
    /// Somebody asked to stop.
    #[error("stopped on request before the CRM had answered")]
    Stopped,
}

impl Unanswered {
    /// What kind of trouble it is, as a component would call it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Unanswered::NoAccess(error) => error.kind(),
            Unanswered::Unauthorized => ErrorKind::Unauthorized,
            Unanswered::RateLimited(_) => ErrorKind::RateLimited,
            Unanswered::Unavailable(_) => ErrorKind::Unavailable,
            Unanswered::Stopped => ErrorKind::Cancelled,
        }
    }
}

/// Pause before attempt `attempt` (from 1): 0.2 s, doubling.
fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(200 << attempt.saturating_sub(1).min(5))
}

/// Reads what is at a path below the base URL. The inner error says, in words, why an answer is of
/// no use.
pub(crate) async fn ask(
    link: &Link,
    path: &str,
    traffic: &Traffic,
    stop: &StopSignal,
) -> Result<Result<Bytes, String>, Unanswered> {
    let url = format!("{}{path}", link.base_url);
    let Ok(uri) = url.parse::<Uri>() else { return Ok(Err(format!("{url} is not a URL"))) };
    let transport = link.transport.with_answers_within(MAX_ANSWER, ANSWER_TIMEOUT);
    let (mut attempts, mut renewed) = (0, false);
    loop {
        if stop.is_set() {
            return Err(Unanswered::Stopped);
        }
        let mut watched = Watched::new(link.observer.as_deref(), &Method::GET, uri.path(), 0);
        let turn = stop.or_stopped(link.pacer.turn()).await.ok_or(Unanswered::Stopped)?;
        let turn = turn.map_err(|error| Unanswered::RateLimited(error.to_string()))?;
        watched.waited(turn.waited());
        let access = traffic.access(link).await.map_err(Unanswered::NoAccess)?;
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        headers.insert(header::AUTHORIZATION, access.header.clone());
        traffic.requests.fetch_add(1, Relaxed);
        watched.leaves();
        let failed = match transport.send(request).await {
            Err(error) => {
                traffic.failed_with(&error, &link.base_url);
                watched.unanswered(&error);
                if let TransportError::TooLarge(_) = error {
                    return Ok(Err(error.to_string()));
                }
                Unanswered::Unavailable(error.at(&link.base_url))
            }
            Ok(answer) => {
                traffic.answered();
                let (status, body) = (answer.status(), answer.body());
                let throttled = turn.answered(status, answer.headers(), body);
                watched.answered(status, body.len(), throttled);
                let said = format!("HTTP {}", status.as_u16());
                match status {
                    _ if throttled => Unanswered::RateLimited(said),
                    StatusCode::UNAUTHORIZED => {
                        if !renewed
                            && link
                                .credential
                                .renewed(&access)
                                .await
                                .map_err(Unanswered::NoAccess)?
                        {
                            renewed = true;
                            continue;
                        }
                        return Err(Unanswered::Unauthorized);
                    }
                    StatusCode::TOO_MANY_REQUESTS => Unanswered::RateLimited(said),
                    _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                        Unanswered::Unavailable(format!("{} cannot be used: {said}", link.base_url))
                    }
                    _ => {
                        link.credential.accepted(&access);
                        if !status.is_success() {
                            return Ok(Err(said));
                        }
                        if link.credential.appears_in(body) {
                            return Ok(Err("the answer repeats the credential".to_owned()));
                        }
                        return Ok(Ok(body.clone()));
                    }
                }
            }
        };
        attempts += 1;
        if attempts >= MAX_ATTEMPTS {
            return Err(failed);
        }
        stop.or_stopped(tokio::time::sleep(backoff(attempts))).await.ok_or(Unanswered::Stopped)?;
    }
}
