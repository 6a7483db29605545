//! Which run is next: orgs take turns, and none has more than its share.

use std::collections::{HashMap, VecDeque};

/// What waits, by org. A value is taken out by [`Queue::next`], and its place is given back by
/// [`Queue::done`].
pub(super) struct Queue<T> {
    /// Most that are running at once.
    most: usize,
    /// Most of one org.
    most_of_org: usize,
    running: usize,
    orgs: HashMap<String, Org<T>>,
    /// Orgs that have something waiting, the one whose turn it is first.
    turns: VecDeque<String>,
}

struct Org<T> {
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Queue<T> {
    pub(super) fn new(most: usize, most_of_org: usize) -> Queue<T> {
        Queue {
            most: most.max(1),
            most_of_org: most_of_org.max(1),
            running: 0,
            orgs: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, org: &str, value: T) {
        let queue = self
            .orgs
            .entry(org.to_owned())
            .or_insert_with(|| Org { running: 0, waiting: VecDeque::new() });
        if queue.waiting.is_empty() {
            self.turns.push_back(org.to_owned());
        }
        queue.waiting.push_back(value);
    }

    /// The next that may begin, if there is room.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.running >= self.most {
            return None;
        }
        let most = self.most_of_org;
        let at = self
            .turns
            .iter()
            .position(|org| self.orgs.get(org).is_some_and(|org| org.running < most))?;
        let name = self.turns.remove(at)?;
        let org = self.orgs.get_mut(&name)?;
        let value = org.waiting.pop_front()?;
        org.running += 1;
        self.running += 1;
        if !org.waiting.is_empty() {
            // Behind all others.
            self.turns.push_back(name);
        }
        Some(value)
    }

    /// One of this org has ended.
    pub(super) fn done(&mut self, org: &str) {
        self.running = self.running.saturating_sub(1);
        if let Some(queue) = self.orgs.get_mut(org) {
            queue.running = queue.running.saturating_sub(1);
            if queue.running == 0 && queue.waiting.is_empty() {
                self.orgs.remove(org);
            }
        }
    }

    /// Takes out one that still waits.
    pub(super) fn remove(&mut self, org: &str, is: impl Fn(&T) -> bool) -> Option<T> {
        let queue = self.orgs.get_mut(org)?;
        let at = queue.waiting.iter().position(is)?;
        let value = queue.waiting.remove(at);
        if queue.waiting.is_empty() {
            self.turns.retain(|name| name != org);
            if queue.running == 0 {
                self.orgs.remove(org);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn orgs_take_turns_and_none_has_more_than_its_share() {
        let mut queue = Queue::new(4, 2);
        for run in ["a1", "a2", "a3", "a4"] {
            queue.push("a", run);
        }
        queue.push("b", "b1");
        queue.push("c", "c1");
        assert_eq!(all(&mut queue), ["a1", "b1", "c1", "a2"]);
        // There is room, but not for more of `a`.
        queue.done("b");
        assert_eq!(all(&mut queue), [] as [&str; 0]);
        queue.push("b", "b2");
        assert_eq!(all(&mut queue), ["b2"]);
        queue.done("a");
        assert_eq!(all(&mut queue), ["a3"]);
    }

    #[test]
    fn what_waits_can_be_taken_out_and_nothing_is_left_of_an_org_that_is_done() {
        let mut queue = Queue::new(1, 1);
        queue.push("a", "a1");
        queue.push("a", "a2");
        assert_eq!(queue.next(), Some("a1"));
        assert_eq!(queue.remove("a", |run| *run == "a2"), Some("a2"));
        assert_eq!(queue.remove("a", |run| *run == "a2"), None);
        queue.done("a");
        assert!(queue.orgs.is_empty() && queue.turns.is_empty());
        queue.push("b", "b1");
        assert_eq!(all(&mut queue), ["b1"]);
    }
}
