//! Turns at what many want at once: so many in all, so many of one org, and a line that does not
//! get longer without end.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one org that may wait for a turn.
const WAITING: usize = 256;

/// Turns at one thing.
pub struct Turns {
    all: Arc<Semaphore>,
    of_org: usize,
    orgs: Mutex<HashMap<String, Weak<Line>>>,
}

struct Line {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A turn, until it is dropped.
pub struct Turn {
    _all: OwnedSemaphorePermit,
    _of_org: OwnedSemaphorePermit,
    _line: Arc<Line>,
}

/// Too many of an org wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{WAITING} requests of this org wait for the same thing already")]
pub struct LineTooLong;

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    /// So many at once, and so many of one org.
    pub fn new(all: usize, of_org: usize) -> Turns {
        Turns {
            all: Arc::new(Semaphore::new(all.max(1))),
            of_org: of_org.max(1),
            orgs: Mutex::default(),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// If the org's line is too long.
    pub async fn take(&self, org_id: &str) -> Result<Turn, LineTooLong> {
        let line = self.line(org_id);
        let waiting = Waiting(&line.waiting);
        if line.waiting.fetch_add(1, Relaxed) >= WAITING {
            return Err(LineTooLong);
        }
        // First in the org's own line, so that a busy org does not fill the line that all share.
        // Neither is ever closed.
        let of_org = Arc::clone(&line.turns).acquire_owned().await.map_err(|_| LineTooLong)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(|_| LineTooLong)?;
        drop(waiting);
        Ok(Turn { _all: all, _of_org: of_org, _line: line })
    }

    /// A turn, if there is one now.
    pub fn take_now(&self, org_id: &str) -> Option<Turn> {
        let line = self.line(org_id);
        let of_org = Arc::clone(&line.turns).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Turn { _all: all, _of_org: of_org, _line: line })
    }

    fn line(&self, org_id: &str) -> Arc<Line> {
        // Each statement leaves the map consistent, so it is good after a panic, too.
        let mut orgs = self.orgs.lock();
        if let Some(line) = orgs.get(org_id).and_then(Weak::upgrade) {
            return line;
        }
        orgs.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line {
            turns: Arc::new(Semaphore::new(self.of_org)),
            waiting: AtomicUsize::new(0),
        });
        orgs.insert(org_id.to_owned(), Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn an_org_that_wants_much_waits_for_itself() {
        let turns = Turns::new(3, 2);
        let (first, second) = (turns.take("a").await.unwrap(), turns.take("a").await.unwrap());
        assert!(turns.take("a").now_or_never().is_none());
        let third = turns.take("b").now_or_never().unwrap().unwrap();
        assert!(turns.take("c").now_or_never().is_none(), "three at once, whoever they are");
        drop(first);
        assert!(turns.take("c").now_or_never().is_some());
        drop((second, third));
    }

    #[tokio::test]
    async fn who_does_not_wait_has_a_turn_now_or_none() {
        let turns = Turns::new(3, 2);
        let held = (turns.take_now("a").unwrap(), turns.take("a").await.unwrap());
        assert!(turns.take_now("a").is_none());
        let other = turns.take_now("b").unwrap();
        assert!(turns.take_now("b").is_none(), "three at once, whoever they are");
        drop(held);
        assert!(turns.take_now("a").is_some());
        drop(other);
    }

    #[tokio::test]
    async fn the_line_of_an_org_ends_somewhere() {
        let turns = Turns::new(10, 1);
        let _turn = turns.take("a").await.unwrap();
        let mut line: Vec<_> = (0..WAITING).map(|_| Box::pin(turns.take("a"))).collect();
        for waiting in &mut line {
            assert!(waiting.now_or_never().is_none());
        }
        assert_eq!(turns.take("a").now_or_never().unwrap().err(), Some(LineTooLong));
        assert!(turns.take("b").now_or_never().unwrap().is_ok());
        // Those who go away make room.
        line.pop();
        assert!(turns.take("a").now_or_never().is_none());
    }
}
