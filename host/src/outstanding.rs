//! The changes that were handed out to a running instance and have no outcome yet.
//!
//! This is the witness of egress and the conscience of the journal in one: a write may leave only
//! for a change that stands here, and an outcome counts only if what it says can be true given what
//! left and what was answered. It holds a window of the plan (what the component has in flight), so
//! it stays small however long the plan is.

use crate::{
    capability::{Witness, job_names},
    changes::ChangeBatch,
};
use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A write that names this change has left.
const SENT: u8 = 1;
/// A write that names it was answered with 2xx.
const ACKNOWLEDGED: u8 = 2;
/// A read that names it was answered with 2xx after the last write left.
const READ: u8 = 4;
/// It has its outcome.
const DONE: u8 = 8;
/// An earlier attempt may have sent it.
const DOUBTFUL: u8 = 16;
/// A write of it alone was answered with 2xx.
const WRITTEN: u8 = 32;

/// Writes of several records, and uploads, that were answered with 2xx, after which none of them is
/// sent again: such an answer may say of one record that it was refused, and one whose row was
/// locked is sent again a few times.
const MAX_ACKNOWLEDGED: u8 = 8;

/// Where a change stands in its batch: number of the batch, index in it.
pub(crate) type Place = (u64, u32);

/// Shared between the call into the guest and the requests it has in flight.
#[derive(Clone)]
pub(crate) struct Outstanding(Arc<Mutex<Window>>);

struct Window {
    batches: BTreeMap<u64, HandedOut>,
    next_batch: u64,
    by_id: HashTable<Place>,
    seed: u64,
    requests: u64,
    /// Jobs that this run has opened, as answers to its job requests have named them.
    jobs: BTreeSet<String>,
}

/// Most names of jobs that are kept: a run of ten million changes has some thousands, each answer a
/// dozen words.
const MAX_JOBS: usize = 100_000;

struct HandedOut {
    changes: ChangeBatch,
    /// Each change's number in the plan.
    ordinals: Vec<u64>,
    state: Vec<u8>,
    /// Writes of each change that were answered with 2xx.
    acknowledged: Vec<u8>,
    /// The last request that named each change.
    named_by: Vec<u64>,
    left: usize,
}

/// What the host knows about a change when its outcome arrives.
pub(crate) struct Evidence {
    /// The change's number in the plan.
    pub(crate) ordinal: u64,
    /// Its id, where it was asked for.
    pub(crate) id: String,
    state: u8,
}

/// A change that has been read, not written.
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) fields: String,
    pub(crate) before: Option<String>,
    /// A read that names it was answered with 2xx.
    pub(crate) was_read: bool,
}

impl Evidence {
    /// A write left and was acknowledged, or a later read was answered; after a crash a read alone
    /// can prove it.
    pub(crate) fn allows_updated(&self) -> bool {
        let written = self.state & (SENT | DOUBTFUL) != 0;
        self.state & ACKNOWLEDGED != 0 || (written && self.state & READ != 0)
    }

    /// Nothing shows that it was written.
    pub(crate) fn allows_failed(&self) -> bool {
        self.state & WRITTEN == 0
    }

    /// A read was answered, and nothing was written. The same makes a claim of drift good.
    pub(crate) fn allows_unwritten(&self) -> bool {
        self.state & READ != 0 && self.state & SENT == 0
    }
}

impl Outstanding {
    pub(crate) fn new() -> Outstanding {
        let seed =
            std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
        let window = Window {
            batches: BTreeMap::new(),
            next_batch: 0,
            by_id: HashTable::new(),
            seed,
            requests: 0,
            jobs: BTreeSet::new(),
        };
        Outstanding(Arc::new(Mutex::new(window)))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // The window is consistent after every statement that can panic, so it is good after a
        // panic, too.
        self.0.lock()
    }

    /// Registers changes that are about to be handed out.
    pub(crate) fn hand_out(&self, changes: ChangeBatch, ordinals: Vec<u64>, doubtful: bool) {
        let mut guard = self.window();
        let window = &mut *guard;
        let number = window.next_batch;
        window.next_batch += 1;
        let left = ordinals.len();
        let state = vec![if doubtful { DOUBTFUL } else { 0 }; left];
        window.batches.insert(
            number,
            HandedOut {
                changes,
                ordinals,
                state,
                acknowledged: vec![0; left],
                named_by: vec![0; left],
                left,
            },
        );
        for index in 0..left {
            let place = (number, index as u32);
            let hash = hash(window.seed, window.batches[&number].changes.id(index));
            let (batches, seed) = (&window.batches, window.seed);
            window.by_id.insert_unique(hash, place, |place| hash_at(batches, seed, *place));
        }
    }

    /// Changes without an outcome, and bytes of the batches that they are in.
    pub(crate) fn held(&self) -> (usize, usize) {
        let window = self.window();
        window.batches.values().fold((0, 0), |(count, bytes), batch| {
            (count + batch.left, bytes + batch.changes.bytes())
        })
    }

    /// A witness for one request. It remembers what the request names.
    pub(crate) fn witness(&self) -> RequestWitness<'_> {
        let mut window = self.window();
        window.requests += 1;
        RequestWitness { window, named: Vec::new() }
    }

    /// A write of these changes is about to leave; whether one of them may have been sent before.
    /// It was admitted a while ago, so each must be in hand still.
    ///
    /// # Errors
    /// If a change has its outcome by now, or was written already.
    pub(crate) fn sent(&self, named: &[Place]) -> Result<bool, String> {
        let mut guard = self.window();
        let window = &mut *guard;
        for (number, index) in named {
            let (batch, index) = (window.batches.get(number), *index as usize);
            let state = batch.and_then(|batch| batch.state.get(index)).copied().unwrap_or(DONE);
            if state & DONE != 0 {
                return Err("a record that it names has its outcome by now".to_owned());
            }
            let acknowledged =
                batch.and_then(|batch| batch.acknowledged.get(index)).copied().unwrap_or(u8::MAX);
            if state & WRITTEN != 0 || acknowledged >= MAX_ACKNOWLEDGED {
                return Err("a record that it names was written already, as the CRM's answer said"
                    .to_owned());
            }
        }
        let mut again = false;
        window.mark(named, |state| {
            again |= state & (SENT | DOUBTFUL) != 0;
            (state | SENT) & !READ
        });
        Ok(again)
    }

    /// It was answered with 2xx: to a write of one record that says that it was written, to one of
    /// several that some of them were.
    pub(crate) fn acknowledged(&self, named: &[Place], alone: bool) {
        let mut window = self.window();
        window.mark(named, |state| state | ACKNOWLEDGED | if alone { WRITTEN } else { 0 });
        window.count(named);
    }

    /// An upload of them was taken in. What its job makes of them is not known, but it may write
    /// each.
    pub(crate) fn uploaded(&self, named: &[Place]) {
        self.window().count(named);
    }

    /// A write of them was answered with 412: its precondition did not hold, so it was not carried
    /// out.
    pub(crate) fn precondition_failed(&self, named: &[Place]) {
        self.mark(named, |state| (state & !SENT) | READ);
    }

    /// A read of them was answered with 2xx.
    pub(crate) fn read(&self, named: &[Place]) {
        self.mark(named, |state| state | READ);
    }

    /// A read that does not name them in its request was answered with these ids.
    pub(crate) fn read_ids(&self, ids: impl FnOnce(&mut dyn FnMut(&str))) {
        let mut guard = self.window();
        let window = &mut *guard;
        ids(&mut |id| {
            if let Some((number, index)) = window.find_id(id)
                && let Some(state) = window
                    .batches
                    .get_mut(&number)
                    .and_then(|batch| batch.state.get_mut(index as usize))
            {
                *state |= READ;
            }
        });
    }

    /// A job request was answered like this: the jobs that it names are this run's.
    pub(crate) fn opened(&self, answer: &[u8]) {
        let mut window = self.window();
        for job in job_names(answer) {
            if window.jobs.len() < MAX_JOBS && !window.jobs.contains(job) {
                window.jobs.insert(job.to_owned());
            }
        }
    }

    /// The jobs of this run that a text names.
    pub(crate) fn jobs_in(&self, text: &str) -> Vec<String> {
        let window = self.window();
        job_names(text.as_bytes())
            .filter(|job| window.jobs.contains(*job))
            .map(str::to_owned)
            .collect()
    }

    fn mark(&self, named: &[Place], change: impl FnMut(u8) -> u8) {
        self.window().mark(named, change);
    }

    /// Takes the change of a row out of the window, as its outcome has arrived. `None` if no such
    /// change is outstanding. The id is filled in only if `names_it` says that it is needed.
    pub(crate) fn settle(
        &self,
        row: u64,
        names_it: impl Fn(&Evidence) -> bool,
    ) -> Option<Evidence> {
        let mut guard = self.window();
        let window = &mut *guard;
        let (number, index) = window.find(row)?;
        let batch = window.batches.get_mut(&number)?;
        let state = *batch.state.get(index)?;
        if state & DONE != 0 {
            return None;
        }
        batch.state[index] |= DONE;
        let mut evidence = Evidence { ordinal: batch.ordinals[index], id: String::new(), state };
        if names_it(&evidence) {
            evidence.id = batch.changes.id(index).to_owned();
        }
        let id_hash = hash(window.seed, batch.changes.id(index));
        batch.left -= 1;
        let empty = batch.left == 0;
        if let Ok(entry) =
            window.by_id.find_entry(id_hash, |place| *place == (number, index as u32))
        {
            entry.remove();
        }
        if empty {
            window.batches.remove(&number);
        }
        Some(evidence)
    }

    /// Takes the change of a row out of the window whole, as it has been read.
    pub(crate) fn take(&self, row: u64) -> Option<Taken> {
        let fields = {
            let window = self.window();
            let (number, index) = window.find(row)?;
            let batch = window.batches.get(&number)?;
            (batch.changes.fields(index).to_owned(), batch.changes.before(index).map(str::to_owned))
        };
        let evidence = self.settle(row, |_| true)?;
        Some(Taken {
            id: evidence.id,
            fields: fields.0,
            before: fields.1,
            was_read: evidence.state & READ != 0,
        })
    }

    /// The lowest row that is still outstanding.
    pub(crate) fn first_row(&self) -> Option<u64> {
        let window = self.window();
        // Batches are handed out in ascending order of row, and one without anything left is gone.
        window.batches.values().find_map(|batch| {
            let index = batch.state.iter().position(|state| state & DONE == 0)?;
            Some(batch.changes.row(index))
        })
    }

    /// Rows that are still outstanding, for what a component left without an outcome.
    pub(crate) fn rows(&self) -> Vec<u64> {
        let window = self.window();
        let left = |batch: &HandedOut, index: usize| {
            (batch.state[index] & DONE == 0).then(|| batch.changes.row(index))
        };
        window
            .batches
            .values()
            .flat_map(|batch| (0..batch.state.len()).filter_map(|index| left(batch, index)))
            .collect()
    }
}

impl Window {
    fn mark(&mut self, named: &[Place], mut change: impl FnMut(u8) -> u8) {
        for (number, index) in named {
            if let Some(state) =
                self.batches.get_mut(number).and_then(|batch| batch.state.get_mut(*index as usize))
            {
                *state = change(*state);
            }
        }
    }

    /// One more write of these was answered with 2xx.
    fn count(&mut self, named: &[Place]) {
        for (number, index) in named {
            if let Some(count) = self
                .batches
                .get_mut(number)
                .and_then(|batch| batch.acknowledged.get_mut(*index as usize))
            {
                *count = count.saturating_add(1);
            }
        }
    }

    fn find_id(&self, id: &str) -> Option<Place> {
        self.by_id
            .find(hash(self.seed, id), |(number, index)| {
                self.batches.get(number).is_some_and(|batch| batch.matches(*index, id))
            })
            .copied()
    }

    /// Where the change of a row stands. Rows ascend over the batches; after a resume there may be
    /// a gap, never one out of order.
    fn find(&self, row: u64) -> Option<(u64, usize)> {
        let begins_later =
            |batch: &&HandedOut| batch.changes.rows().first().is_some_and(|first| *first > row);
        let (number, batch) = self.batches.iter().rev().find(|(_, batch)| !begins_later(batch))?;
        Some((*number, batch.changes.find_row(row)?))
    }
}

impl HandedOut {
    fn matches(&self, index: u32, id: &str) -> bool {
        self.changes.id(index as usize) == id
    }
}

fn hash(seed: u64, id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), seed)
}

fn hash_at(batches: &BTreeMap<u64, HandedOut>, seed: u64, (number, index): Place) -> u64 {
    batches.get(&number).map_or(0, |batch| hash(seed, batch.changes.id(index as usize)))
}

/// The witness of one request.
pub(crate) struct RequestWitness<'a> {
    window: MutexGuard<'a, Window>,
    named: Vec<Place>,
}

impl RequestWitness<'_> {
    /// The changes that the request names.
    pub(crate) fn named(self) -> Vec<Place> {
        self.named
    }
}

impl Witness for RequestWitness<'_> {
    fn claim(&mut self, id: &str) -> Result<&[u8], String> {
        let window = &mut *self.window;
        let (number, index) = window
            .find_id(id)
            .ok_or_else(|| format!("record {id} is not among the confirmed changes in hand"))?;
        let request = window.requests;
        let batch = window.batches.get_mut(&number).ok_or("a change without its batch")?;
        if std::mem::replace(&mut batch.named_by[index as usize], request) == request {
            return Err(format!("record {id} is named twice"));
        }
        self.named.push((number, index));
        Ok(batch.changes.fields(index as usize).as_bytes())
    }

    fn knows_job(&self, job: &str) -> bool {
        self.window.jobs.contains(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_hand() -> (Outstanding, Vec<Place>) {
        let outstanding = Outstanding::new();
        let mut changes = ChangeBatch::new();
        for row in 1..=3 {
            changes.push(row, &row.to_string(), "{}", None);
        }
        outstanding.hand_out(changes, vec![0, 1, 2], false);
        let mut witness = outstanding.witness();
        for id in ["1", "2"] {
            witness.claim(id).unwrap();
        }
        let named = witness.named();
        (outstanding, named)
    }

    #[test]
    fn a_write_that_waited_until_its_outcome_was_in_does_not_leave() {
        let (outstanding, named) = in_hand();
        assert_eq!(outstanding.sent(&named), Ok(false));
        assert_eq!(outstanding.sent(&named), Ok(true), "the answer was lost");
        outstanding.settle(2, |_| false).unwrap();
        assert!(outstanding.sent(&named).unwrap_err().contains("its outcome"));
        // The whole batch is gone.
        for row in [1, 3] {
            outstanding.settle(row, |_| false).unwrap();
        }
        assert!(outstanding.sent(&named).unwrap_err().contains("its outcome"));
        assert_eq!(outstanding.held(), (0, 0));
    }

    #[test]
    fn what_was_written_is_not_sent_again() {
        let (outstanding, named) = in_hand();
        let (one, other) = named.split_at(1);
        outstanding.sent(one).unwrap();
        outstanding.acknowledged(one, true);
        assert!(outstanding.sent(one).unwrap_err().contains("written already"));
        assert!(!outstanding.settle(1, |_| false).unwrap().allows_failed());
        // Of several, some may have been refused: a locked row is tried again a few times.
        for _ in 0..MAX_ACKNOWLEDGED {
            outstanding.sent(other).unwrap();
            outstanding.acknowledged(other, false);
        }
        assert!(outstanding.sent(other).is_err());
        assert!(outstanding.settle(2, |_| false).unwrap().allows_failed());
    }

    #[test]
    fn what_was_uploaded_often_is_not_uploaded_again_and_not_called_updated() {
        let (outstanding, named) = in_hand();
        for _ in 0..MAX_ACKNOWLEDGED {
            outstanding.sent(&named).unwrap();
            outstanding.uploaded(&named);
        }
        assert!(outstanding.sent(&named).is_err());
        assert!(!outstanding.settle(1, |_| false).unwrap().allows_updated());
    }
}
