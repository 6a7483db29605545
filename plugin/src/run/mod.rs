//! Running: confirmed changes in, outcomes out.
//!
//! ```text
//!  next ─▶ admit (still what was confirmed?) ─▶ batch job ──▶ crm ──▶ accepted or refused     nobody knows
//!                                               record job     ▲            │                     │
//!                                                              │     crm::hubspot, crm::salesforce    settle: read and compare
//!                                                              │     (join results with records)      │
//!                                                              └── send again: split, unlocked ──┴──▶ outcomes ─▶ push
//! ```
//!
//! [`run`] keeps several jobs going, each with one batch of changes until all of them have an
//! outcome. A job reports as it goes, so a run that is stopped has lost nothing but what was on its
//! way. Large plans on Salesforce take another way, which is a map of its own: `bulk`. [`verify`]
//! reads what was written.

mod admit;
mod batch_job;
pub(crate) mod bulk;
mod doubt;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod lanes;
mod record_job;
mod refusals;
mod runner;
mod settle;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod verify;

use crate::config::{Config, WriteMode};
use crate::contract::changes::Changes;
use crate::contract::types::{Error, PlanMode};
use crate::crm::network::Network;
use crate::crm::requests::{MAX_BYTES_IN_FLIGHT, REQUEST_BYTES};
use crate::crm::routes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lanes::Lanes;
use runner::{Runner, Task};
use stream::Stream;

/// Writes the confirmed changes and reports what became of them. `mode` is that of their plan.
///
/// # Errors
/// What ended the run early. Changes without an outcome stay pending.
pub async fn run<N: Network>(
    mode: PlanMode,
    config: &Config,
    network: &N,
    stream: &dyn Stream,
) -> Result<(), Error> {
    let mut runner = Runner::new(config, network, stream);
    runner.offline = mode == PlanMode::Offline;
    if runner.offline {
        runner.joined = stream.joined();
    }
    // Offline and compared plans are checked against the CRM before each write; online plans only
    // where a change is in doubt.
    let checks = mode != PlanMode::Online;
    if bulk::is_wanted(config, stream) {
        return runner.bulk(checks).await;
    }
    if checks {
        runner.crm.rules().await?;
    }
    let most = routes::of(config.provider).update_many.most();
    let mut lanes = Lanes::new(config, runner.crm.now());
    // In record mode one job has several requests going.
    let by_record = config.write_mode == WriteMode::Record;
    let mut jobs = FuturesUnordered::new();
    let mut bytes = 0;
    let mut max = most;
    let mut pulling = true;
    let mut end = Ok(());
    loop {
        while pulling
            && !runner.crm.stopped.get()
            && jobs.len() < if by_record { 1 } else { lanes.count() }
            && (bytes < MAX_BYTES_IN_FLIGHT || jobs.is_empty())
        {
            match stream.next(max).and_then(|batch| batch.map(Changes::new).transpose()) {
                Ok(Some(changes)) => {
                    let (size, count) = (changes.size(), changes.members().len());
                    bytes += size;
                    max = u32::try_from(REQUEST_BYTES / (size / count.max(1) + 1))
                        .unwrap_or(most)
                        .clamp(1, most);
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
                lanes.ended(runner.crm.now(), runner.crm.slowed.take());
                if let Err(error) = done {
                    // The first error tells why; the others follow from it. It says more than a
                    // cancellation.
                    if !runner.crm.stopped.replace(true) {
                        end = Err(error);
                    }
                }
            }
        }
    }
}

impl<N: Network> Runner<'_, N> {
    async fn job(&self, changes: Changes) -> Result<(), Error> {
        match self.crm.config.write_mode {
            WriteMode::Batch | WriteMode::Bulk => self.batch_job(changes).await,
            WriteMode::Record => self.record_job(changes).await,
        }
    }
}
