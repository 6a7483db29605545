//! Large plans on Salesforce: jobs of the Bulk API 2.0 instead of collections. (crm-apis B9)
//!
//! ```text
//!  load ─▶ job: open, note, upload, close ─▶ wait ─▶ result sets ──▶ outcomes
//!    │                                                   │
//!    │ what CSV cannot say                               │ locked, not processed, not mentioned (read first)
//!    └──────────────────────▶ collections ◀──────────────┘
//! ```
//!
//! A job continues when the host is gone. So before anything can be worked on, its name is kept by
//! the host, and an attempt that takes up changes in doubt asks the job that they were sent with:
//! one that is still open was never worked on and is given up, one that runs is waited for, and
//! what none of its result sets names is read before it is sent.

#[cfg(fuzzing)]
pub mod fuzzing;
mod job;
mod load;
mod notes;

use super::doubt::{changed_in_doubt, gone_in_doubt, unreadable};
use super::runner::{Runner, Task};
use super::settle::Finding;
use super::stream::Stream;
use crate::config::{Config, WriteMode};
use crate::contract::changes::{Changes, Failure, Outcomes};
use crate::contract::types::Error;
use crate::crm::network::Network;
use crate::crm::requests::REQUEST_BYTES;
use crate::crm::routes;
use crate::crm::salesforce::answers as salesforce;
use crate::crm::salesforce::bulk::csv;
use crate::crm::salesforce::bulk::job::{Job, State, job_error, row_error, unknown_column};
use crate::crm::salesforce::bulk::step::Step;
use crate::provider::Provider;
use futures_util::stream::{FuturesUnordered, StreamExt, TryStreamExt, iter};
use hashbrown::HashMap;
use load::{Load, Loads};
use notes::{Notes, Way};
use std::cell::RefCell;
use std::pin::Pin;

/// Outcomes that are reported at once.
const REPORT: usize = 1_000;
/// Jobs that may fail for an unknown column each before the rest goes in collections.
const MAX_REFUSED_JOBS: u32 = 5;
/// Reads of a load's records that go out together: the answer to one takes up to 4 MiB.
const READS_AT_ONCE: usize = 4;
/// Status of the answers that tell what became of rows.
const ANSWERED: u16 = 200;

/// Whether a run goes by jobs.
pub(super) fn is_wanted(config: &Config, stream: &dyn Stream) -> bool {
    match (config.provider, config.write_mode) {
        (Provider::Salesforce, WriteMode::Bulk) => true,
        // An earlier attempt may have left a job that continues, however little is left to do.
        (Provider::Salesforce, WriteMode::Batch) => {
            stream.remaining() > config.bulk_above || !stream.recall().is_empty()
        }
        _ => false,
    }
}

/// Part of a run that runs beside others; of one type, so that the component stays small.
type Boxed<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 't>>;

/// What a job leaves to do.
#[derive(Default)]
struct Left {
    /// Nobody knows whether they were applied.
    doubt: Vec<usize>,
    /// Not applied, and each is better off with an answer of its own.
    again: Vec<usize>,
    /// Not applied, for a reason that was not theirs.
    retry: Vec<usize>,
}

/// What became of a member, as far as the result sets tell.
enum Fate {
    Silent,
    Updated,
    Failed(Failure),
    Again,
}

impl<N: Network> Runner<'_, N> {
    /// Writes all changes, after a read of the metadata if each is checked against it.
    pub(super) async fn bulk(&self, checks: bool) -> Result<(), Error> {
        let texts = self.stream.recall();
        if checks {
            // Neither waits for the other. What an earlier attempt has left may need no job.
            let needed = texts.is_empty() && !self.stream.stopping();
            let rules = async { self.crm.rules().await.map(drop) };
            let opened = async {
                if needed {
                    let opened = self.open_job().await?;
                    self.opened.replace(opened);
                }
                Ok(())
            };
            let both: [Boxed<'_, ()>; 2] = [Box::pin(rules), Box::pin(opened)];
            iter(both).buffered(2).try_collect::<Vec<()>>().await?;
        }
        let notes = Notes::read(&texts);
        let mut loads = Loads::default();
        while let Some(load) = loads.next(self.stream)? {
            self.load(&load, &notes).await?;
        }
        if let Some(job) = self.opened.take() {
            // Nothing is in it, and all is done: whether it is aborted changes nothing.
            let _ = self.abort(&job.id).await;
        }
        Ok(())
    }

    async fn load(&self, load: &Load, notes: &Notes) -> Result<(), Error> {
        let changes = &load.changes;
        let mut send: Vec<usize> = (load.fresh_from..changes.len()).collect();
        let mut read = Vec::new();
        let mut jobs: Vec<(String, Vec<usize>)> = Vec::new();
        let doubtful: Vec<usize> = (0..load.fresh_from).collect();
        if let Some((first, last)) = rows(changes, &doubtful) {
            let notes = notes.about(first, last);
            for member in doubtful {
                match notes.way(changes.row(member)) {
                    Some(Way::NotYet) => send.push(member),
                    Some(Way::Collections) | None => read.push(member),
                    Some(Way::Job(id)) => match jobs.iter_mut().find(|(known, _)| known == id) {
                        Some((_, members)) => members.push(member),
                        None => jobs.push((id.clone(), vec![member])),
                    },
                }
            }
        }
        for (id, members) in jobs {
            match self.resumed(changes, &id, &members).await? {
                Resumed::NeverBegun => send.extend(members),
                Resumed::Left(left) => read.extend([left.doubt, left.again, left.retry].concat()),
            }
        }
        let again = self.read_first(changes, &read).await?;
        self.send_again(changes, &again).await?;
        self.send(changes, in_order(changes, &send)).await
    }

    /// What became of a job that an earlier attempt has left.
    async fn resumed(
        &self,
        changes: &Changes,
        id: &str,
        members: &[usize],
    ) -> Result<Resumed, Error> {
        match self.job_state(id).await? {
            Some(job) if job.state == State::Open => {
                let Some(rows) = rows(changes, members) else { return Ok(Resumed::NeverBegun) };
                let given_up = self.give_up(id, rows).await?;
                let begun =
                    given_up.is_some_and(|job| job.state != State::Aborted || job.processed > 0);
                if !begun {
                    return Ok(Resumed::NeverBegun);
                }
            }
            Some(_) => {}
            None => return Ok(Resumed::Left(Left { doubt: members.to_vec(), ..Left::default() })),
        }
        Ok(Resumed::Left(self.finish(changes, members, id, true).await?))
    }

    /// Sends changes that may have been applied, and were read since: in collections, where a
    /// refusal is looked into.
    async fn send_again(&self, changes: &Changes, members: &[usize]) -> Result<(), Error> {
        let admitted = self.all_admitted(changes, members, true).await?;
        self.collections(changes, in_order(changes, &admitted), true).await
    }

    /// Those of many members that may be written.
    async fn all_admitted(
        &self,
        changes: &Changes,
        members: &[usize],
        doubtful: bool,
    ) -> Result<Vec<usize>, Error> {
        let mut reads: Vec<Boxed<'_, Vec<usize>>> = Vec::new();
        for members in members.chunks(most_read()) {
            reads.push(Box::pin(self.admitted(changes, members.to_vec(), doubtful)));
        }
        let admitted: Vec<_> = iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(admitted.concat())
    }

    /// Sends changes that were not applied, if they still may be written: by jobs, if they are many
    /// enough, and the rest in collections.
    async fn send(&self, changes: &Changes, members: Vec<usize>) -> Result<(), Error> {
        let members = self.all_admitted(changes, &members, false).await?;
        let Some(all) = rows(changes, &members) else { return Ok(()) };
        let left = members.len() as u64 + self.stream.remaining();
        let few =
            self.crm.config.write_mode == WriteMode::Batch && left <= self.crm.config.bulk_above;
        if few || self.no_bulk.get() {
            return self.collections(changes, members, false).await;
        }
        let (mut rest, mut one_by_one) = csv::split(changes, members);
        let mut refused = 0;
        while !rest.is_empty() {
            let upload = csv::upload(changes, &rest);
            let later = rest.split_off(upload.members.clamp(1, rest.len()));
            let now = std::mem::take(&mut rest);
            let covered = rows(changes, &now).unwrap_or(all);
            let job = if refused < MAX_REFUSED_JOBS && !self.no_bulk.get() {
                self.fill_job(covered, upload.text).await?
            } else {
                None
            };
            match job {
                Some(job) => {
                    let left = self.finish(changes, &now, &job.id, false).await?;
                    refused += u32::from(!left.retry.is_empty());
                    one_by_one.extend(left.again);
                    let again = self.read_first(changes, &left.doubt).await?;
                    self.send_again(changes, &again).await?;
                    rest = left.retry;
                    rest.extend(later);
                }
                None => {
                    one_by_one.extend(now);
                    one_by_one.extend(later);
                }
            }
        }
        self.collections(changes, in_order(changes, &one_by_one), false).await
    }

    /// Waits for a job, reports what it says, and tells what is left to do.
    async fn finish(
        &self,
        changes: &Changes,
        members: &[usize],
        id: &str,
        resumed: bool,
    ) -> Result<Left, Error> {
        let job = match self.ended(id).await? {
            Some(job) if job.state != State::Open => job,
            _ => return Ok(Left { doubt: members.to_vec(), ..Left::default() }),
        };
        if job.state == State::Failed && job.processed == 0 && !resumed {
            return self.failed_as_such(changes, members, &job);
        }
        let places: HashMap<&str, usize> =
            members.iter().enumerate().map(|(at, member)| (changes.id(*member), at)).collect();
        // A row that several sets name has the fate of the one that says most, whichever comes first.
        let fates = RefCell::new(members.iter().map(|_| (0, Fate::Silent)).collect::<Vec<_>>());
        let (fates, places) = (&fates, &places);
        for sets in job.result_sets() {
            if !fates.borrow().iter().any(|(_, fate)| matches!(fate, Fate::Silent)) {
                break;
            }
            let mut reads: Vec<Boxed<'_, ()>> = Vec::new();
            for set in sets {
                let job = &job;
                let says = match set {
                    Step::Succeeded => 3,
                    Step::Failed => 2,
                    _ => 1,
                };
                reads.push(Box::pin(self.results(set, id, move |row| {
                    if let Some(at) = places.get(row.id)
                        && let Some(fate) = fates.borrow_mut().get_mut(*at)
                        && says > fate.0
                    {
                        *fate = (says, fate_of(set, job, row.error));
                    }
                })));
            }
            iter(reads).buffered(READS_AT_ONCE).try_collect::<Vec<()>>().await?;
        }
        let mut left = Left::default();
        let mut outcomes = Outcomes::new();
        for (member, (_, fate)) in members.iter().zip(fates.take()) {
            let row = changes.row(*member);
            match fate {
                Fate::Silent => left.doubt.push(*member),
                Fate::Again => left.again.push(*member),
                Fate::Updated => outcomes.updated(row),
                Fate::Failed(failure) => outcomes.failed(row, &failure),
            }
            if outcomes.len() >= REPORT {
                self.push(&std::mem::replace(&mut outcomes, Outcomes::new()))?;
            }
        }
        self.push(&outcomes)?;
        Ok(left)
    }

    /// Nothing of the job was applied. If a column is to blame, only the changes that have it are.
    /// Any other reason, such as a limit, is not known to be theirs: they go in collections, where
    /// each has an answer of its own.
    fn failed_as_such(
        &self,
        changes: &Changes,
        members: &[usize],
        job: &Job,
    ) -> Result<Left, Error> {
        let column = unknown_column(job);
        let is_blamed = |member: &&usize| {
            column.is_some_and(|name| csv::has_field(changes.fields(**member), name))
        };
        let (blamed, retry): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|member| is_blamed(member));
        if blamed.is_empty() {
            // What is wrong with one upload need not be wrong with the next; anything else is.
            self.no_bulk.set(self.no_bulk.get() || !job.error.starts_with("InvalidBatch"));
            return Ok(Left { again: retry, ..Left::default() });
        }
        let failure = job_error(job).failure(ANSWERED);
        for members in blamed.chunks(REPORT) {
            let mut outcomes = Outcomes::new();
            members.iter().for_each(|member| outcomes.failed(changes.row(*member), &failure));
            self.push(&outcomes)?;
        }
        Ok(Left { retry, ..Left::default() })
    }

    /// Reads changes in doubt and settles those that the CRM holds; the others were not applied.
    async fn read_first(&self, changes: &Changes, members: &[usize]) -> Result<Vec<usize>, Error> {
        let mut again = Vec::new();
        for members in members.chunks(most_read()) {
            let mut outcomes = Outcomes::new();
            for (member, finding) in self.look(changes, members).await? {
                let row = changes.row(member);
                match finding {
                    Finding::Equal => outcomes.updated(row),
                    Finding::Gone(failure) => outcomes.unknown(row, &gone_in_doubt(failure)),
                    Finding::Unreadable(why) => {
                        outcomes.unknown(row, &unreadable(changes.id(member), &why))
                    }
                    Finding::Neither(what) => {
                        outcomes.unknown(row, &changed_in_doubt(changes.id(member), &what))
                    }
                    Finding::Again | Finding::Untouched => again.push(member),
                }
            }
            self.push(&outcomes)?;
        }
        Ok(again)
    }

    /// Sends changes that were not applied in collections, several on their way.
    async fn collections(
        &self,
        changes: &Changes,
        members: Vec<usize>,
        doubted: bool,
    ) -> Result<(), Error> {
        let Some(all) = rows(changes, &members) else { return Ok(()) };
        self.remember(Way::Collections, all)?;
        let mut portions = portions(changes, members).into_iter();
        let mut calls = FuturesUnordered::new();
        let mut end = Ok(());
        loop {
            while !self.crm.stopped.get()
                && calls.len() < self.crm.config.in_flight
                && let Some(members) = portions.next()
            {
                let call = async move {
                    match doubted {
                        true => (self.batch_again(changes, members).await, 0usize),
                        false => (self.batch_members(changes, members, false).await, 0usize),
                    }
                };
                calls.push(Box::pin(call) as Task<'_>);
            }
            match calls.next().await {
                // The first error tells why; those on their way are finished.
                Some((Err(error), _)) if !self.crm.stopped.replace(true) => end = Err(error),
                Some(_) => {}
                None => return end,
            }
        }
    }
}

enum Resumed {
    /// Nothing of it was, or ever will be, worked on.
    NeverBegun,
    Left(Left),
}

fn fate_of(set: Step, job: &Job, error: &str) -> Fate {
    match set {
        Step::Succeeded => Fate::Updated,
        Step::Failed => {
            let error = row_error(error);
            if salesforce::is_transient(&error) {
                Fate::Again
            } else {
                Fate::Failed(salesforce::failure(&error, ANSWERED))
            }
        }
        // Somebody wanted it to end there.
        _ if job.state == State::Aborted => Fate::Failed(Failure::ours(
            "job_aborted",
            format!(
                "Bulk job {} was aborted in Salesforce before it came to this record; plan again to write what is left",
                job.id
            ),
        )),
        _ => Fate::Again,
    }
}

/// Members in ascending order.
fn in_order(changes: &Changes, members: &[usize]) -> Vec<usize> {
    let mut chosen = vec![false; changes.len()];
    members.iter().for_each(|member| {
        chosen.iter_mut().skip(*member).take(1).for_each(|chosen| *chosen = true)
    });
    (0..chosen.len()).filter(|member| chosen.get(*member) == Some(&true)).collect()
}

/// First and last row of members in ascending order.
fn rows(changes: &Changes, members: &[usize]) -> Option<(u64, u64)> {
    Some((changes.row(*members.first()?), changes.row(*members.last()?)))
}

/// What one read takes.
fn most_read() -> usize {
    routes::of(Provider::Salesforce).read_many.most() as usize
}

/// What one collection takes, in number and bytes.
fn portions(changes: &Changes, members: Vec<usize>) -> Vec<Vec<usize>> {
    let most = routes::of(Provider::Salesforce).update_many.most() as usize;
    let mut portions: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for member in members {
        let size = changes.fields(member).len();
        match portions.last_mut() {
            Some(portion) if portion.len() < most && bytes + size <= REQUEST_BYTES => {
                portion.push(member);
                bytes += size;
            }
            _ => {
                portions.push(vec![member]);
                bytes = size;
            }
        }
    }
    portions
}
