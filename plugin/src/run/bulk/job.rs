//! One job: opened, filled, closed, waited for, and asked what became of its rows. (crm-apis B9)

use super::notes::{Note, Way};
use crate::contract::changes::cap;
use crate::contract::types::{Error, ErrorKind};
use crate::crm::exchange::{Exchange, unavailable};
use crate::crm::network::Network;
use crate::crm::salesforce::bulk::job::{Job, Row, State, read_rows};
use crate::crm::salesforce::bulk::step::Step;
use crate::run::runner::Runner;

/// How often something that is safe to repeat is tried before another way is taken.
const MAX_TRIES: u32 = 3;
/// Between two looks at a job, in milliseconds: first, and at most.
const FIRST_PAUSE: u64 = 200;
const LONGEST_PAUSE: u64 = 20_000;
/// A pause is cut into pieces, so that a run that is to stop does not wait for the rest of it.
const PIECE: u64 = 500;

impl<N: Network> Runner<'_, N> {
    async fn step(&self, step: Step, job: &str) -> Result<Exchange, Error> {
        self.crm.exchange(&step.request(self.crm.config, job, String::new())).await
    }

    /// Puts an upload into a new job and closes it; the work on it begins then. `None`: Bulk cannot
    /// be used for it.
    pub(super) async fn fill_job(
        &self,
        rows: (u64, u64),
        mut upload: String,
    ) -> Result<Option<Job>, Error> {
        for attempt in 1..=MAX_TRIES {
            let Some(job) = self.open_job().await? else { return Ok(None) };
            self.remember(Way::Job(job.id.clone()), rows)?;
            let request = Step::Upload.request(self.crm.config, &job.id, upload);
            let exchanged = self.crm.exchange(&request).await?;
            upload = request.body;
            let closed = match exchanged {
                Exchange::Accepted(_) => self.close_job(&job.id).await?,
                // A value of it is to blame, or its size: collections can be split.
                Exchange::Refused(status, error) if status == 413 || error.is_blocked() => {
                    self.give_up(&job.id, rows).await?;
                    return Ok(None);
                }
                // Whether it arrived is not asked: a job that is never closed is never worked on.
                Exchange::Refused(..) | Exchange::Doubtful(_) => None,
            };
            if let Some(job) = closed {
                return Ok(Some(job));
            }
            self.give_up(&job.id, rows).await?;
            self.crm.back_off(attempt).await;
        }
        Ok(None)
    }

    /// `None`: Salesforce, or the grant, has no Bulk API for this object.
    pub(super) async fn open_job(&self) -> Result<Option<Job>, Error> {
        if let Some(job) = self.opened.take() {
            return Ok(Some(job));
        }
        for attempt in 1..=MAX_TRIES {
            match self.step(Step::Open, "").await {
                Ok(Exchange::Accepted(answer)) => {
                    if let Some(job) =
                        Job::read(&answer.body).filter(|job| job.state == State::Open)
                    {
                        return Ok(Some(job));
                    }
                }
                Err(error) if error.code.as_deref() != Some("request_denied") => return Err(error),
                _ => {
                    // Asked once: it will be the same for the next load.
                    self.no_bulk.set(true);
                    return Ok(None);
                }
            }
            self.crm.back_off(attempt).await;
        }
        Err(unavailable(
            self.crm.config,
            MAX_TRIES,
            "an answer to the opening of a Bulk job that is not in the documented form",
        ))
    }

    /// Says that the upload is complete. `None`: the job is still open.
    async fn close_job(&self, id: &str) -> Result<Option<Job>, Error> {
        if let Exchange::Accepted(answer) = self.step(Step::Close, id).await?
            && let Some(job) = Job::read(&answer.body).filter(|job| job.state != State::Open)
        {
            return Ok(Some(job));
        }
        // Closed by an earlier try whose answer was lost, or not at all.
        Ok(self.job_state(id).await?.filter(|job| job.state != State::Open))
    }

    /// Cancels a job whose upload is not complete: nothing of it is ever worked on, whether this
    /// succeeds or not.
    pub(super) async fn give_up(&self, id: &str, rows: (u64, u64)) -> Result<Option<Job>, Error> {
        self.remember(Way::NotYet, rows)?;
        self.abort(id).await
    }

    pub(super) async fn abort(&self, id: &str) -> Result<Option<Job>, Error> {
        match self.step(Step::Abort, id).await? {
            Exchange::Accepted(answer) => Ok(Job::read(&answer.body)),
            _ => Ok(None),
        }
    }

    /// Where a job stands now. `None`: there is no such job any more.
    pub(super) async fn job_state(&self, id: &str) -> Result<Option<Job>, Error> {
        for attempt in 1..=MAX_TRIES {
            match self.step(Step::State, id).await? {
                Exchange::Accepted(answer) => match Job::read(&answer.body) {
                    Some(job) => return Ok(Some(job)),
                    None => self.crm.back_off(attempt).await,
                },
                Exchange::Refused(404, _) => return Ok(None),
                // It may well continue: nothing of it is sent another way.
                Exchange::Refused(status, error) => {
                    let message = format!(
                        "Salesforce does not tell what became of Bulk job {id} (HTTP {status}, {}). Its changes stay pending; run the same plan again, it asks again",
                        error.told()
                    );
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        error.code,
                        cap(&message, 2000),
                    ));
                }
                Exchange::Doubtful(why) => return Err(unavailable(self.crm.config, attempt, &why)),
            }
        }
        Err(unavailable(
            self.crm.config,
            MAX_TRIES,
            "an answer about a Bulk job that is not in the documented form",
        ))
    }

    /// Waits until a job has ended. `None`: there is no such job any more.
    pub(super) async fn ended(&self, id: &str) -> Result<Option<Job>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(job) = self.job_state(id).await? else { return Ok(None) };
            if job.state != State::Running {
                return Ok(Some(job));
            }
            let mut left = pause;
            while left > 0 {
                if self.stream.stopping() {
                    let message = format!(
                        "stopped on request; Bulk job {id} continues in Salesforce. Run the plan again to pick up its results and continue"
                    );
                    return Err(Error::new(ErrorKind::Cancelled, None, message));
                }
                let piece = left.min(PIECE);
                self.crm.pause(piece).await;
                left -= piece;
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads a result set, if it can be read.
    pub(super) async fn results(
        &self,
        set: Step,
        id: &str,
        mut each: impl FnMut(Row<'_>),
    ) -> Result<(), Error> {
        for attempt in 1..=MAX_TRIES {
            match self.step(set, id).await? {
                Exchange::Accepted(answer) if read_rows(&answer.body, &mut each) => break,
                Exchange::Accepted(_) => self.crm.back_off(attempt).await,
                _ => break,
            }
        }
        Ok(())
    }

    /// Keeps a note about these rows, before what it says can happen.
    pub(super) fn remember(&self, way: Way, (first, last): (u64, u64)) -> Result<(), Error> {
        self.stream.remember(&Note { way, first, last }.to_string())
    }
}
