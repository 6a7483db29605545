//! Who wants to know of every request, and what they are told: never a query string, a header or a
//! body.

use super::TransportError;
use http::{Method, StatusCode};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Is told of every request of an instance that left or was refused, whether it plans, runs or
/// verifies.
///
/// It is called on the request's own path, once, when the request is over: it must not wait for
/// anything. Without a [`Link`](super::Link) there is nobody to tell: what an offline plan tries is
/// in the log only.
pub trait Observer: Send + Sync {
    /// A request is over.
    fn exchanged(&self, exchange: &Exchange<'_>);
}

/// One request and what became of it. A request that is repeated with a new token is two.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// When it left, or was refused.
    pub began: Timestamp,
    /// Its method.
    pub method: &'a Method,
    /// Its path, without the query string. That of a refused request is whatever the component made
    /// up.
    pub path: &'a str,
    /// What became of it.
    pub fate: Fate<'a>,
    /// From its leaving to the last byte of the answer; zero if it was refused.
    pub duration: Duration,
    /// How long it waited for its turn before that.
    pub waited: Duration,
    /// Bytes of its body.
    pub bytes_out: u64,
    /// Bytes of the answer's body.
    pub bytes_in: u64,
    /// Whether the answer said "slow down".
    pub throttled: bool,
    /// Whether it writes a change that may have been sent before, in this attempt of the run or in
    /// an earlier one.
    pub repeated: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    /// It has a complete answer.
    Answered(StatusCode),
    /// It left, or was about to, and there is no complete answer.
    Unanswered(&'a TransportError),
    /// It left, and the component, or the end of its time, did not wait for the answer.
    Abandoned,
    /// It did not leave.
    Refused {
        /// Where it was held up.
        stage: Stage,
        /// Why.
        reason: &'a str,
    },
}

/// The stages that a request passes on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It goes elsewhere, or nowhere.
    Capability,
    /// No grant covers it, or it names what is not confirmed.
    Witness,
    /// No call passes before the CRM resets its limit.
    Pacing,
    /// There is no access token.
    Credential,
    /// It is too large.
    Transport,
}

impl Stage {
    /// Its name, as in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Capability => "capability",
            Stage::Witness => "witness",
            Stage::Pacing => "pacing",
            Stage::Credential => "credential",
            Stage::Transport => "transport",
        }
    }
}

/// A request on its way, as its observer will see it. Without an observer it does nothing.
pub(super) struct Watched<'a> {
    observer: Option<&'a dyn Observer>,
    method: &'a Method,
    path: &'a str,
    bytes_out: usize,
    waited: Duration,
    repeated: bool,
    left: Option<(Timestamp, Instant)>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(
        observer: Option<&'a dyn Observer>,
        method: &'a Method,
        path: &'a str,
        bytes_out: usize,
    ) -> Watched<'a> {
        Watched {
            observer,
            method,
            path,
            bytes_out,
            waited: Duration::ZERO,
            repeated: false,
            left: None,
        }
    }

    pub(super) fn waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    pub(super) fn repeats(&mut self, repeated: bool) {
        self.repeated = repeated;
    }

    pub(super) fn leaves(&mut self) {
        if self.observer.is_some() {
            self.left = Some((Timestamp::now(), Instant::now()));
        }
    }

    pub(super) fn answered(mut self, status: StatusCode, bytes_in: usize, throttled: bool) {
        self.over(Fate::Answered(status), bytes_in, throttled);
    }

    pub(super) fn unanswered(mut self, error: &TransportError) {
        self.over(Fate::Unanswered(error), 0, false);
    }

    pub(super) fn refused(mut self, stage: Stage, reason: &str) {
        self.over(Fate::Refused { stage, reason }, 0, false);
    }

    fn over(&mut self, fate: Fate<'_>, bytes_in: usize, throttled: bool) {
        let Some(observer) = self.observer.take() else { return };
        let (began, duration) = match self.left {
            Some((at, left)) => (at, left.elapsed()),
            None => (Timestamp::now(), Duration::ZERO),
        };
        observer.exchanged(&Exchange {
            began,
            method: self.method,
            path: self.path,
            fate,
            duration,
            waited: self.waited,
            bytes_out: self.bytes_out as u64,
            bytes_in: bytes_in as u64,
            throttled,
            repeated: self.repeated,
        });
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.left.is_some() {
            self.over(Fate::Abandoned, 0, false);
        }
    }
}
