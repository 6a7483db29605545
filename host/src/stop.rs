//! The signal by which somebody asks a run to stop, and by which the service makes it pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::watch;

/// Asks a run to stop between batches. What is in flight is finished and reported; the rest stays pending.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    stopped: Arc<AtomicBool>,
    paused: Option<watch::Receiver<bool>>,
}

/// How often a run that pauses looks whether it is asked to stop.
const PAUSED: Duration = Duration::from_millis(100);

impl StopSignal {
    /// Not stopped.
    pub fn new() -> StopSignal {
        StopSignal::default()
    }

    /// Not stopped. As long as `paused` is true, nothing more is handed out to be written.
    pub fn paused_by(paused: watch::Receiver<bool>) -> StopSignal {
        StopSignal { paused: Some(paused), ..StopSignal::default() }
    }

    /// Asks to stop.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Returns once it does not pause, or is asked to stop.
    pub(crate) async fn unpaused(&mut self) {
        while !self.is_set()
            && let Some(paused) = &mut self.paused
            && *paused.borrow_and_update()
        {
            // Whoever pauses runs for as long as they do.
            let _ = tokio::time::timeout(PAUSED, paused.changed()).await;
        }
    }
}
