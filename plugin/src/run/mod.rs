//! Running: confirmed changes in, outcomes out.
//!
//! ```text
//!  next ─▶ batch job ──▶ requests ──▶ exchange (repeat what is safe) ──▶ verdict (what does the answer mean)
//!          record job       ▲                │ accepted or refused          │ nobody knows
//!                           │         hubspot / salesforce              settle: read and compare
//!                           │         (join results with records)          │
//!                           └── send again: split, unlocked, not applied ──┴──▶ outcomes ─▶ push
//! ```
//!
//! [`run`] keeps several jobs going, each with one batch of changes until all of them have an outcome. A job reports
//! as it goes, so a run that is stopped has lost nothing but what was on its way. Large plans on Salesforce take another
//! way, which is a map of its own: [`bulk`].

mod admit;
mod batch_job;
mod bulk;
pub(crate) mod changes;
mod crm_error;
pub(crate) mod exchange;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod hubspot;
mod reconcile;
mod record_job;
mod refusals;
mod requests;
pub(crate) mod salesforce;
mod settle;
#[cfg(test)]
mod tests;
mod verdict;
pub mod verify;
pub mod world;

use crate::bindings::reverse_sync::destination::types::{Error, PlanMode};
use crate::config::{Config, WriteMode};
use crate::metadata::{self, Metadata};
use crate::normal::Rules;
use crate::routes::{BodyForm, Routes};
use changes::{Changes, Outcomes};
use exchange::Exchange;
use futures_util::stream::{FuturesUnordered, StreamExt};
use requests::Requests;
use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::pin::Pin;
use world::{Network, Request, Stream};

/// Bytes of changes that may be on their way before no more are pulled: memory stays flat with long texts too.
pub(crate) const MAX_BYTES_IN_FLIGHT: usize = 6 << 20;
/// Bytes of changes that one request should carry at most, about.
pub(crate) const REQUEST_BYTES: usize = 2 << 20;

/// A job on its way, with the bytes of its changes. One type for all of them keeps the component small.
type Task<'t> = Pin<Box<dyn Future<Output = (Result<(), Error>, usize)> + 't>>;

/// What all jobs of a run share.
pub(crate) struct Runner<'a, N> {
    config: &'a Config,
    network: &'a N,
    stream: &'a dyn Stream,
    pub(crate) requests: Requests,
    /// What the CRM says of its fields, once a comparison needs it.
    metadata: OnceCell<Metadata>,
    /// The plan was made without it.
    offline: bool,
    /// Fields whose values it made of lists.
    joined: Vec<String>,
    /// An error ends the run: jobs make no further request.
    stopped: Cell<bool>,
    /// The Bulk API cannot be used, for this object or with this grant.
    no_bulk: Cell<bool>,
    /// Reasons that whole batches were refused for.
    refused: refusals::Known,
    /// Writes in a row that something in between has answered.
    blocked: Cell<u32>,
}

/// Writes the confirmed changes and reports what became of them. `mode` is that of their plan.
///
/// # Errors
/// What ended the run early. Changes without an outcome stay pending.
pub async fn run<N: Network>(mode: PlanMode, config: &Config, network: &N, stream: &dyn Stream) -> Result<(), Error> {
    let mut runner = Runner::new(config, network, stream);
    runner.offline = mode == PlanMode::Offline;
    if runner.offline {
        runner.joined = stream.joined();
    }
    // Offline and compared plans are checked against the CRM before each write; online plans only where a change is in doubt.
    if mode != PlanMode::Online {
        runner.rules().await?;
    }
    if bulk::is_wanted(config, stream) {
        return runner.bulk().await;
    }
    let most = match Routes::of(config.provider).update_many.body {
        BodyForm::Many { max, .. } => max,
        _ => 1,
    };
    // In record mode one job has several requests going.
    let lanes = if config.write_mode == WriteMode::Record { 1 } else { config.in_flight };
    let mut jobs = FuturesUnordered::new();
    let mut bytes = 0;
    let mut max = most;
    let mut pulling = true;
    let mut end = Ok(());
    loop {
        while pulling && !runner.stopped.get() && jobs.len() < lanes && (bytes < MAX_BYTES_IN_FLIGHT || jobs.is_empty()) {
            match stream.next(max).and_then(|batch| batch.map(Changes::new).transpose()) {
                Ok(Some(changes)) => {
                    let (size, count) = (changes.size(), changes.members().len());
                    bytes += size;
                    max = u32::try_from(REQUEST_BYTES / (size / count.max(1) + 1)).unwrap_or(most).clamp(1, most);
                    let job = runner.job(changes);
                    jobs.push(Box::pin(async move { (job.await, size) }) as Task<'_>);
                }
                Ok(None) => pulling = false,
                // What is in flight is finished and reported, also when the host wants to stop.
                Err(error) => {
                    pulling = false;
                    end = Err(error);
                }
            }
        }
        match jobs.next().await {
            None => return end,
            Some((done, size)) => {
                bytes -= size;
                if let Err(error) = done {
                    // The first error tells why; the others follow from it. It says more than a cancellation.
                    if !runner.stopped.replace(true) {
                        end = Err(error);
                    }
                }
            }
        }
    }
}

impl<'a, N: Network> Runner<'a, N> {
    pub(crate) fn new(config: &'a Config, network: &'a N, stream: &'a dyn Stream) -> Self {
        Runner {
            config,
            network,
            stream,
            requests: Requests::new(config),
            metadata: OnceCell::new(),
            offline: false,
            joined: Vec::new(),
            stopped: Cell::new(false),
            no_bulk: Cell::new(false),
            refused: refusals::Known::default(),
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

    /// Whether each record is written by a request of its own.
    fn one_by_one(&self) -> bool {
        self.config.write_mode == WriteMode::Record
    }

    async fn exchange(&self, request: &Request) -> Result<Exchange, Error> {
        let exchanged = exchange::exchange(self.config, self.network, request, || self.stopped.get()).await?;
        if request.writes {
            exchange::count_blocked(self.config, &self.blocked, &exchanged)?;
        }
        Ok(exchanged)
    }
}

impl<N: Network> Runner<'_, N> {
    async fn job(&self, changes: Changes) -> Result<(), Error> {
        match self.config.write_mode {
            WriteMode::Batch | WriteMode::Bulk => self.batch_job(changes).await,
            WriteMode::Record => self.record_job(changes).await,
        }
    }

    fn push(&self, outcomes: &Outcomes) -> Result<(), Error> {
        match outcomes.batch() {
            Some(batch) => self.stream.push(batch),
            None => Ok(()),
        }
    }
}
