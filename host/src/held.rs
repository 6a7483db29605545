//! What a run waits for while its credential's account is asked for: reads by GET, of the metadata,
//! need not wait, everything else does.

use tokio::sync::watch;

/// Whether the account is known to be the one that was meant.
#[derive(Clone)]
pub(crate) struct Held(watch::Receiver<bool>);

/// Says that it is; dropped before that, it says that it is not.
pub(crate) struct Holding(watch::Sender<bool>);

pub(crate) fn held() -> (Holding, Held) {
    let (known, waits) = watch::channel(false);
    (Holding(known), Held(waits))
}

impl Holding {
    pub(crate) fn known(self) {
        self.0.send_replace(true);
    }
}

impl Held {
    /// Waits until the question is answered, and tells how.
    pub(crate) async fn known(&self) -> bool {
        self.0.clone().wait_for(|known| *known).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_waited_for_and_none_is_no() {
        let (holding, waits) = held();
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(5), waits.known()).await.is_err()
        );
        holding.known();
        assert!(waits.known().await && waits.clone().known().await);
        let (holding, waits) = held();
        drop(holding);
        assert!(!waits.known().await);
    }
}
