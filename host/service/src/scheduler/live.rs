//! A run that waits or is running in this process: how it is watched, and how it is stopped.

use reverse_sync::{
    egress::pacing::Pace,
    journal::Counts,
    run::{StopSignal, Watch},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::watch;

/// A run in this process.
#[derive(Debug)]
pub struct Live {
    /// Stops it between batches.
    pub(crate) stop: StopSignal,
    cancelled: AtomicBool,
    stage: watch::Sender<Stage>,
}

/// How far it is.
#[derive(Clone)]
enum Stage {
    Queued,
    /// With what the journal said before this attempt, once it was looked at.
    Begins(Option<Counts>),
    Running(Watch),
    Ended,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::Queued => "Queued",
            Stage::Begins(_) => "Begins",
            Stage::Running(_) => "Running",
            Stage::Ended => "Ended",
        })
    }
}

/// Where a run stands right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Whether it has begun.
    pub running: bool,
    /// Outcomes that are safely in the journal; `None` before that was looked at.
    pub counts: Option<Counts>,
    /// Requests of this attempt.
    pub requests: u64,
    /// Those of them that egress refused.
    pub refused: u64,
}

impl Live {
    /// As long as `paused` is true, it hands nothing out.
    pub(crate) fn new(paused: watch::Receiver<bool>) -> Arc<Live> {
        Arc::new(Live {
            stop: StopSignal::paused_by(paused),
            cancelled: AtomicBool::new(false),
            stage: watch::Sender::new(Stage::Queued),
        })
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
        self.stop.stop();
    }

    /// Whether somebody has asked it to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// With what earlier attempts came to, once that is known.
    pub(crate) fn begins(&self, before: Option<Counts>) {
        self.stage.send_replace(Stage::Begins(before));
    }

    pub(crate) fn watched(&self, watch: Watch) {
        self.stage.send_replace(Stage::Running(watch));
    }

    pub(crate) fn ended(&self) {
        self.stage.send_replace(Stage::Ended);
    }

    /// Where it stands, or `None` once its end is on record.
    pub fn now(&self) -> Option<Now> {
        Some(match &*self.stage.borrow() {
            Stage::Queued => Now { running: false, counts: None, requests: 0, refused: 0 },
            Stage::Begins(before) => {
                Now { running: true, counts: *before, requests: 0, refused: 0 }
            }
            Stage::Running(watch) => Now {
                running: true,
                counts: Some(*watch.counts.borrow()),
                requests: watch.traffic.requests(),
                refused: watch.traffic.refused(),
            },
            Stage::Ended => return None,
        })
    }

    /// The pace of the source that it writes to, once it does.
    pub fn pace(&self) -> Option<Pace> {
        match &*self.stage.borrow() {
            Stage::Running(watch) => Some(watch.pacer.pace()),
            _ => None,
        }
    }

    /// Returns once its end is on record.
    pub async fn end(&self) {
        // The sender is this run's own, so it is there as long as somebody asks.
        let _ = self.stage.subscribe().wait_for(|stage| matches!(stage, Stage::Ended)).await;
    }
}
