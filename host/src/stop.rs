//! The signal by which somebody asks a run to stop, and by which the service makes it pause.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asks a run to stop between batches. What waits ends at once; what is in flight is finished and
/// reported; the rest stays pending.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    stopped: CancellationToken,
    paused: Option<watch::Receiver<bool>>,
}

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
        self.stopped.cancel();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.stopped.is_cancelled()
    }

    /// What `waiting` comes to, or `None` as soon as somebody asks to stop.
    pub(crate) async fn or_stopped<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        self.stopped.run_until_cancelled(waiting).await
    }

    /// Returns once it does not pause, or is asked to stop.
    pub(crate) async fn unpaused(&mut self) {
        let Some(paused) = &mut self.paused else { return };
        let unpaused = self
            .stopped
            .run_until_cancelled(paused.wait_for(|paused| !*paused))
            .await
            .is_none_or(|unpaused| unpaused.is_ok());
        if !unpaused {
            // Whoever paused it is gone, and nobody says that it may continue.
            self.stopped.cancelled().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::pending, time::Duration};
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn what_waits_ends_when_somebody_asks_to_stop() {
        let stop = StopSignal::new();
        assert_eq!(stop.or_stopped(async { 1 }).await, Some(1));
        let asks = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            asks.stop();
        });
        assert_eq!(stop.or_stopped(pending::<()>()).await, None);
        assert!(stop.is_set());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_with_its_end_or_a_stop_and_not_because_whoever_paused_it_is_gone() {
        let (pause, paused) = watch::channel(true);
        let mut run = StopSignal::paused_by(paused);
        assert!(timeout(Duration::from_secs(60), run.unpaused()).await.is_err());
        pause.send_replace(false);
        run.unpaused().await;
        pause.send_replace(true);
        drop(pause);
        assert!(timeout(Duration::from_secs(60), run.unpaused()).await.is_err());
        run.stop();
        run.unpaused().await;
    }
}
