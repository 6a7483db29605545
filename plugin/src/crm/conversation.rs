//! The conversation of one plan, run or verification with its CRM: every request goes through here.

use super::exchange::{Exchange, backoff, count_blocked, exchange, unavailable};
use super::metadata;
use super::network::{Network, Request};
use super::requests::Requests;
use crate::config::Config;
use crate::contract::types::Error;
use crate::values::field::Metadata;
use crate::values::normal::Rules;
use std::cell::{Cell, OnceCell};

/// What all requests share.
pub(crate) struct Conversation<'a, N> {
    pub(crate) config: &'a Config,
    pub(crate) requests: Requests,
    network: &'a N,
    /// What the CRM says of its fields, once a comparison needs it.
    metadata: OnceCell<Metadata>,
    /// An error ends the run: no further request is made.
    pub(crate) stopped: Cell<bool>,
    /// The CRM has asked for fewer calls, or has found a record locked.
    pub(crate) slowed: Cell<bool>,
    /// Writes in a row that something in between has answered.
    blocked: Cell<u32>,
}

impl<'a, N: Network> Conversation<'a, N> {
    pub(crate) fn new(config: &'a Config, network: &'a N) -> Self {
        Conversation {
            config,
            requests: Requests::new(config),
            network,
            metadata: OnceCell::new(),
            stopped: Cell::new(false),
            slowed: Cell::new(false),
            blocked: Cell::new(0),
        }
    }

    /// How values of this object are compared. The CRM's metadata is read the first time.
    pub(crate) async fn rules(&self) -> Result<Rules<'_>, Error> {
        let metadata = match self.metadata.get() {
            Some(metadata) => metadata,
            None => {
                let read = metadata::read(self.config, self.network).await?;
                self.metadata.get_or_init(|| read)
            }
        };
        Ok(Rules { provider: self.config.provider, metadata })
    }

    /// What the CRM says of its fields, if it was asked.
    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.metadata.get()
    }

    /// Sends a request until its answer means something.
    ///
    /// # Errors
    /// What ends the whole run.
    pub(crate) async fn exchange(&self, request: &Request) -> Result<Exchange, Error> {
        let exchanged =
            exchange(self.config, self.network, request, &self.stopped, &self.slowed).await?;
        if request.writes {
            count_blocked(self.config, &self.blocked, &exchanged)?;
        }
        Ok(exchanged)
    }

    /// A read, repeated until its body can be used.
    ///
    /// # Errors
    /// What ends the whole run.
    pub(crate) async fn read(
        &self,
        request: &Request,
        usable: impl Fn(&[u8]) -> bool,
    ) -> Result<Exchange, Error> {
        for attempt in 1..=3 {
            match self.exchange(request).await? {
                Exchange::Accepted(answer) if !usable(&answer.body) => self.back_off(attempt).await,
                other => return Ok(other),
            }
        }
        Err(unavailable(self.config, 3, "an answer to a read that is not in the documented form"))
    }

    /// Waits before attempt `attempt`, counted from 1, is repeated.
    pub(crate) async fn back_off(&self, attempt: u32) {
        self.pause(backoff(attempt, self.network.random())).await;
    }

    /// A clock that never goes back, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.network.now()
    }

    /// Waits so many milliseconds.
    pub(crate) async fn pause(&self, milliseconds: u64) {
        self.network.pause(milliseconds).await;
    }
}
