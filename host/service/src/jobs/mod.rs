//! What the service works on: dry runs, and runs that are carried to their end whatever happens to
//! the process.
//!
//! - [`planning`]: golden records of an org in, a kept plan out
//! - [`beginning`]: a confirmation in, a queued run out
//! - `queue`: which run is next
//! - `execution`: one run, from its turn to its row in the audit log
//! - [`live`]: a run as it is watched and stopped
//! - [`turns`]: turns at what many want at once

pub mod beginning;
mod execution;
pub mod live;
pub mod planning;
mod queue;
pub mod turns;

use super::{
    app::App,
    observe::metrics::Counted,
    store::{RunRow, Status, StoreError, Unreadable},
};
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
struct Job {
    row: RunRow,
    /// What was confirmed a moment ago; after a restart it is confirmed anew by what is on record.
    confirmed: Option<ConfirmedPlan>,
    live: Arc<Live>,
    /// It waits until this is dropped.
    waits: Counted,
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
    begins: super::secrets::Holds,
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
    pub fn new(limits: Limits) -> Jobs {
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
            begins: super::secrets::Holds::default(),
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

    /// Takes up runs that are running by the store and that nobody works on: at the start, what did
    /// not finish before the service did; later, what the store has refused to say when it was
    /// queued. How many there were. One whose row cannot be read is set aside, and nothing goes on
    /// with it: what it was confirmed to do is not known.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn take_up(app: &Arc<App>) -> Result<usize, StoreError> {
        let mut count = 0;
        for row in app.store.unfinished_runs().await? {
            let row = match row {
                Ok(row) => row,
                Err(unreadable) => {
                    app.jobs.set_aside(&unreadable);
                    continue;
                }
            };
            if app.jobs.live(&row.org_id, &row.run_id).is_some() {
                continue;
            }
            if row.status == Status::Running {
                app.store.set_run_status(&row.org_id, &row.run_id, Status::Interrupted).await?;
            }
            Jobs::submit(app, row, None);
            count += 1;
        }
        Ok(count)
    }

    /// Says once that a run cannot be read.
    fn set_aside(&self, unreadable: &Unreadable) {
        if self.state().unreadable.insert(unreadable.id.clone()) {
            tracing::error!(error = %unreadable, "a run is set aside; it goes on once its row is repaired");
        }
    }

    /// Carries a run to its end, when it is its turn. Whoever submits it twice does no harm: an
    /// attempt begins with what the store says.
    pub(super) fn submit(
        app: &Arc<App>,
        row: RunRow,
        confirmed: Option<ConfirmedPlan>,
    ) -> Arc<Live> {
        let live = Live::new(app.jobs.paused.subscribe());
        let key = (row.org_id.clone(), row.run_id.clone());
        let mut state = app.jobs.state();
        if let Some(live) = state.live.get(&key).cloned() {
            state.again.insert(key, row);
            return live;
        }
        state.live.insert(key, Arc::clone(&live));
        let org_id = row.org_id.clone();
        state.queue.push(
            &org_id,
            Job { row, confirmed, live: Arc::clone(&live), waits: app.metrics.run_queued() },
        );
        Jobs::begin_next(app, &mut state);
        live
    }

    fn begin_next(app: &Arc<App>, state: &mut State) {
        if app.jobs.ending.load(Relaxed) {
            return;
        }
        while let Some(job) = state.queue.next() {
            state.running += 1;
            let app = Arc::clone(app);
            tokio::spawn(async move {
                let (key, live) =
                    ((job.row.org_id.clone(), job.row.run_id.clone()), Arc::clone(&job.live));
                execution::carry_out(&app, job).await;
                Jobs::over(&app, &key, &live);
            });
        }
    }

    fn over(app: &Arc<App>, key: &Key, live: &Live) {
        let again = {
            let mut state = app.jobs.state();
            state.live.remove(key);
            state.queue.done(&key.0);
            state.running -= 1;
            // Whoever looks for the run from now on finds its end in the store.
            live.ended();
            if state.running == 0 {
                app.jobs.idle.notify_waiters();
            }
            Jobs::begin_next(app, &mut state);
            state.again.remove(key)
        };
        if let Some(row) = again {
            Jobs::submit(app, row, None);
        }
    }

    /// Asks a run to stop. What has not begun ends at once.
    pub(super) async fn cancel(app: &Arc<App>, row: &RunRow, who: &str) -> Result<(), StoreError> {
        app.store.cancel_run(&row.org_id, &row.run_id, who).await?;
        let key = (row.org_id.clone(), row.run_id.clone());
        // Then its turn is where it waits, and ends.
        let in_other_hands = execution::is_in_other_hands(app, row);
        let (waiting, is_known) = {
            let mut state = app.jobs.state();
            let live = state.live.get(&key).cloned();
            if let Some(live) = &live {
                live.cancel();
            }
            let is_it = |job: &Job| job.row.run_id == row.run_id;
            (
                if in_other_hands { None } else { state.queue.remove(&row.org_id, is_it) },
                live.is_some(),
            )
        };
        match waiting {
            Some(job) => {
                execution::ended_before_it_began(app, &job.row).await;
                app.jobs.state().live.remove(&key);
                job.live.ended();
            }
            None if !is_known && in_other_hands => drop(Jobs::submit(app, row.clone(), None)),
            None if !is_known => execution::ended_before_it_began(app, row).await,
            None => {}
        }
        Ok(())
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
    fn is_ending(&self) -> bool {
        self.ending.load(Relaxed)
    }
}
