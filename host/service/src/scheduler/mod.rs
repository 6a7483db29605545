//! Which run is next, and how it is watched and stopped. What a run is, whoever carries it out
//! knows: the scheduler is handed a `Runner`.
//!
//! - `queue`: which run is next
//! - [`live`]: a run as it is watched and stopped
//! - [`turns`]: turns at what many want at once

pub mod live;
mod queue;
pub mod turns;

use super::{
    observe::metrics::{Counted, Metrics},
    secrets::Holds,
    store::{RunRow, Unreadable},
};
use futures_util::future::BoxFuture;
use live::Live;
use parking_lot::{Mutex, MutexGuard};
use queue::Queue;
use reverse_sync::gate::ConfirmedPlan;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use turns::{LineTooLong, Turn, Turns};

/// How much is worked on at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Runs running. Each is an instance of its own: a few MB, two threads that mostly wait.
    pub runs: usize,
    /// Runs running of one org.
    pub runs_of_org: usize,
    /// Offline dry runs running; they are bound by the processor.
    pub offline_plans: usize,
    /// Dry runs running that ask the CRM; they mostly wait.
    pub online_plans: usize,
    /// Dry runs running of one org, of each of these kinds.
    pub plans_of_org: usize,
    /// How long an attempt of a run may take. What is pending then can be resumed.
    pub run_time: Duration,
    /// How long a dry run may take.
    pub plan_time: Duration,
    /// How long a run waits when a limit of its CRM is used up, if the CRM does not say for how
    /// long.
    pub look_again: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Limits {
            runs: 256,
            runs_of_org: 16,
            offline_plans: 2 * cores,
            online_plans: 128,
            plans_of_org: 4,
            run_time: Duration::from_secs(24 * 3600),
            plan_time: Duration::from_secs(3600),
            look_again: Duration::from_secs(3600),
        }
    }
}

/// Uploads and queries of golden records that are running, in all and of one org; the same for
/// checks of sources.
const RECEIVING: (usize, usize) = (64, 4);
const CHECKING: (usize, usize) = (32, 4);
/// Files of rejects that are being written, each of which reads golden records, plan and journal
/// once more.
const REJECTING: (usize, usize) = (16, 2);

/// Runs that are followed, in all and by one org: no more than there are connections.
const FOLLOWING: (usize, usize) = (4_096, 64);

impl Limits {
    /// Instances of the component that there may be at once.
    pub fn instances(&self) -> usize {
        // One for what is asked of the component while a request is answered, beside what has
        // turns.
        self.runs + self.offline_plans + self.online_plans + CHECKING.0 + 64
    }
}

/// A run that is to be carried to its end.
pub(super) struct Job {
    pub(super) row: RunRow,
    /// What was confirmed a moment ago; after a restart it is confirmed anew by what is on record.
    pub(super) confirmed: Option<ConfirmedPlan>,
    pub(super) live: Arc<Live>,
    /// It waits until this is dropped.
    pub(super) waits: Counted,
}

/// Who carries runs out.
pub(super) trait Runner: Send + Sync + 'static {
    /// The scheduler of its runs.
    fn jobs(&self) -> &Jobs;

    /// Carries a run to its end, or to where the service ends.
    fn carry_out(self: Arc<Self>, job: Job) -> BoxFuture<'static, ()>;
}

/// By org and run.
type Key = (String, String);

/// What is running.
pub struct Jobs {
    /// How much is worked on at once.
    pub limits: Limits,
    /// Turns at dry runs that ask nobody.
    pub(super) offline_plans: Turns,
    /// Turns at dry runs that ask the CRM.
    pub(super) online_plans: Turns,
    receiving: Turns,
    checking: Turns,
    rejecting: Turns,
    following: Turns,
    /// Held while a run of a destination begins.
    begins: Holds,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    ending: AtomicBool,
    paused: watch::Sender<bool>,
    idle: Notify,
}

struct State {
    queue: Queue<Job>,
    live: HashMap<Key, Arc<Live>>,
    /// Runs that were submitted while an attempt of theirs was about to be over.
    again: HashMap<Key, RunRow>,
    /// Runs that were set aside, because they cannot be read.
    unreadable: HashSet<String>,
    running: usize,
}

impl Jobs {
    /// Nothing is running.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Jobs {
        let state = State {
            queue: Queue::new(limits.runs, limits.runs_of_org),
            live: HashMap::new(),
            again: HashMap::new(),
            unreadable: HashSet::new(),
            running: 0,
        };
        Jobs {
            limits,
            offline_plans: Turns::new(limits.offline_plans, limits.plans_of_org),
            online_plans: Turns::new(limits.online_plans, limits.plans_of_org),
            receiving: Turns::new(RECEIVING.0, RECEIVING.1),
            checking: Turns::new(CHECKING.0, CHECKING.1),
            rejecting: Turns::new(REJECTING.0, REJECTING.1),
            following: Turns::new(FOLLOWING.0, FOLLOWING.1),
            begins: Holds::default(),
            metrics,
            state: Mutex::new(state),
            ending: AtomicBool::new(false),
            paused: watch::Sender::new(false),
            idle: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each statement leaves it consistent, so it is good after a panic, too.
        self.state.lock()
    }

    /// Waits for a turn at taking golden records in.
    ///
    /// # Errors
    /// If too many of the org wait.
    pub async fn receiving(&self, org_id: &str) -> Result<Turn, LineTooLong> {
        self.receiving.take(org_id).await
    }

    /// Waits for a turn at checking a source.
    ///
    /// # Errors
    /// If too many of the org wait.
    pub async fn checking(&self, org_id: &str) -> Result<Turn, LineTooLong> {
        self.checking.take(org_id).await
    }

    /// Waits for a turn at reading the rejects of a run.
    ///
    /// # Errors
    /// If too many of the org wait.
    pub async fn rejecting(&self, org_id: &str) -> Result<Turn, LineTooLong> {
        self.rejecting.take(org_id).await
    }

    /// A turn at following a run, or `None` if the org follows as many as it may.
    pub fn following(&self, org_id: &str) -> Option<Turn> {
        self.following.take_now(org_id)
    }

    /// Waits until no other run of this destination is about to begin.
    pub(super) async fn beginning(
        &self,
        org_id: &str,
        destination_id: &str,
    ) -> tokio::sync::OwnedMutexGuard<()> {
        self.begins.of(&format!("{org_id}/{destination_id}")).lock_owned().await
    }

    /// A run that waits or is running.
    pub fn live(&self, org_id: &str, run_id: &str) -> Option<Arc<Live>> {
        self.state().live.get(&(org_id.to_owned(), run_id.to_owned())).cloned()
    }

    /// Says once that a run cannot be read.
    pub(super) fn set_aside(&self, unreadable: &Unreadable) {
        if self.state().unreadable.insert(unreadable.id.clone()) {
            tracing::error!(error = %unreadable, "a run is set aside; it continues once its row is repaired");
        }
    }

    /// Has a run carried to its end, when it is its turn. Whoever submits it twice does no harm: an
    /// attempt begins with what the store says.
    pub(super) fn submit<R: Runner>(
        runner: &Arc<R>,
        row: RunRow,
        confirmed: Option<ConfirmedPlan>,
    ) -> Arc<Live> {
        let jobs = runner.jobs();
        let live = jobs.new_live();
        let key = (row.org_id.clone(), row.run_id.clone());
        let mut state = jobs.state();
        if let Some(live) = state.live.get(&key).cloned() {
            state.again.insert(key, row);
            return live;
        }
        state.live.insert(key, Arc::clone(&live));
        let org_id = row.org_id.clone();
        state.queue.push(
            &org_id,
            Job { row, confirmed, live: Arc::clone(&live), waits: jobs.metrics.run_queued() },
        );
        Jobs::begin_next(runner, &mut state);
        live
    }

    /// What is watched of a run, which is in no queue.
    pub(super) fn new_live(&self) -> Arc<Live> {
        Live::new(self.paused.subscribe())
    }

    fn begin_next<R: Runner>(runner: &Arc<R>, state: &mut State) {
        if runner.jobs().is_ending() {
            return;
        }
        while let Some(job) = state.queue.next() {
            state.running += 1;
            let runner = Arc::clone(runner);
            tokio::spawn(async move {
                let (key, live) =
                    ((job.row.org_id.clone(), job.row.run_id.clone()), Arc::clone(&job.live));
                Arc::clone(&runner).carry_out(job).await;
                Jobs::over(&runner, &key, &live);
            });
        }
    }

    fn over<R: Runner>(runner: &Arc<R>, key: &Key, live: &Live) {
        let jobs = runner.jobs();
        let again = {
            let mut state = jobs.state();
            state.live.remove(key);
            state.queue.done(&key.0);
            state.running -= 1;
            // Whoever looks for the run from now on finds its end in the store.
            live.ended();
            if state.running == 0 {
                jobs.idle.notify_waiters();
            }
            Jobs::begin_next(runner, &mut state);
            state.again.remove(key)
        };
        if let Some(row) = again {
            Jobs::submit(runner, row, None);
        }
    }

    /// Asks a run to stop, and takes it out of the queue if it still waits there and `take` says
    /// so. Whether it is known here.
    pub(super) fn stop(&self, row: &RunRow, take: bool) -> (Option<Job>, bool) {
        let mut state = self.state();
        let live = state.live.get(&(row.org_id.clone(), row.run_id.clone())).cloned();
        if let Some(live) = &live {
            live.cancel();
        }
        let is_it = |job: &Job| job.row.run_id == row.run_id;
        (if take { state.queue.remove(&row.org_id, is_it) } else { None }, live.is_some())
    }

    /// Forgets a run that was taken out of the queue.
    pub(super) fn forget(&self, job: &Job) {
        self.state().live.remove(&(job.row.org_id.clone(), job.row.run_id.clone()));
        job.live.ended();
    }

    /// Stops everything between batches, and returns when it has stopped. It continues at the next
    /// start.
    pub async fn shut_down(&self) {
        self.ending.store(true, Relaxed);
        loop {
            let idle = self.idle.notified();
            {
                let state = self.state();
                if state.running == 0 {
                    return;
                }
                for live in state.live.values() {
                    live.stop.stop();
                }
            }
            idle.await;
        }
    }

    /// Keeps runs from handing anything out, or lets them continue. Says whether that is new.
    pub fn pause(&self, paused: bool) -> bool {
        self.paused.send_replace(paused) != paused
    }

    /// Whether the service is about to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Relaxed)
    }
}
