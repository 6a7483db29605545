//! What all jobs of a run share.

use super::refusals;
use super::stream::Stream;
use crate::config::{Config, WriteMode};
use crate::contract::changes::Outcomes;
use crate::contract::types::Error;
use crate::crm::conversation::Conversation;
use crate::crm::network::Network;
use crate::crm::salesforce::bulk::job::Job;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;

/// A job on its way, with the bytes of its changes. One type for all of them keeps the component
/// small.
pub(super) type Task<'t> = Pin<Box<dyn Future<Output = (Result<(), Error>, usize)> + 't>>;

/// A run: the conversation with the CRM, the host's stream, and what its jobs have found out.
pub(super) struct Runner<'a, N> {
    pub(super) crm: Conversation<'a, N>,
    pub(super) stream: &'a dyn Stream,
    /// The plan was made without the CRM's metadata.
    pub(super) offline: bool,
    /// Fields whose values it made of lists.
    pub(super) joined: Vec<String>,
    /// The Bulk API cannot be used, for this object or with this grant.
    pub(super) no_bulk: Cell<bool>,
    /// A job that nothing was put into yet.
    pub(super) opened: RefCell<Option<Job>>,
    /// Reasons that whole batches were refused for.
    pub(super) refused: refusals::Known,
}

impl<'a, N: Network> Runner<'a, N> {
    pub(super) fn new(config: &'a Config, network: &'a N, stream: &'a dyn Stream) -> Self {
        Runner {
            crm: Conversation::new(config, network),
            stream,
            offline: false,
            joined: Vec::new(),
            no_bulk: Cell::new(false),
            opened: RefCell::default(),
            refused: refusals::Known::default(),
        }
    }

    /// Whether each record is written by a request of its own.
    pub(super) fn one_by_one(&self) -> bool {
        self.crm.config.write_mode == WriteMode::Record
    }

    pub(super) fn push(&self, outcomes: &Outcomes) -> Result<(), Error> {
        match outcomes.batch() {
            Some(batch) => self.stream.push(batch),
            None => Ok(()),
        }
    }
}
