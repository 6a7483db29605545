//! How many batches are on their way at once.
//!
//! A CRM allows so many calls a second. How many have to be on their way to use that up follows from
//! how long a call takes, limit × latency: eight fill HubSpot's 19 a second while a call takes 0.4
//! seconds, and at a second it takes 19. The host keeps the limit, and its waiting cannot be told
//! from the CRM's here. So what counts is the rate: more lanes are tried, and kept where they bring
//! more answers a second. What the CRM calls too many, or finds locked, halves them.

use crate::config::Config;

/// Rates that are measured with no more lanes, after more have brought nothing.
const REST: u32 = 8;

/// The number of batches that may be on their way.
pub(super) struct Lanes {
    count: usize,
    most: usize,
    /// When the measurement began, in milliseconds, and the answers since.
    began: u64,
    answers: usize,
    /// Lanes and answers a second before the last growth.
    before: Option<(usize, f64)>,
    /// Measurements before more lanes are tried.
    rest: u32,
    /// They were halved in this measurement.
    halved: bool,
}

impl Lanes {
    pub(super) fn new(config: &Config, now: u64) -> Lanes {
        Lanes {
            count: config.in_flight,
            most: config.most_in_flight,
            began: now,
            answers: 0,
            before: None,
            rest: 0,
            halved: false,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A batch has ended; `slowed` says whether the CRM has asked for less meanwhile.
    pub(super) fn ended(&mut self, now: u64, slowed: bool) {
        self.answers += 1;
        if slowed && !self.halved {
            self.count = (self.count / 2).max(1);
            (self.before, self.rest, self.halved) = (None, REST, true);
            self.measure(now);
        } else if self.answers >= 2 * self.count {
            let rate = self.answers as f64 / now.saturating_sub(self.began).max(1) as f64;
            self.adapt(rate);
            self.halved = false;
            self.measure(now);
        }
    }

    fn measure(&mut self, now: u64) {
        (self.began, self.answers) = (now, 0);
    }

    fn adapt(&mut self, rate: f64) {
        if let Some((count, before)) = self.before.take() {
            // At least half of what they would bring if nothing else were in the way.
            let expected = self.count as f64 / count as f64;
            if rate < before * (1.0 + expected) / 2.0 {
                (self.count, self.rest) = (count, REST);
                return;
            }
        }
        if self.rest > 0 {
            self.rest -= 1;
        } else if self.count < self.most {
            self.before = Some((self.count, rate));
            self.count = (self.count + (self.count / 4).max(1)).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    /// Lanes after so many batches of calls that take so long, with a limit of calls a second.
    fn after(batches: u64, more: &str, latency: u64, limit: u64) -> Lanes {
        let config = format!(r#"{{"provider_id_field":"x","source_id":"s"{more}}}"#);
        let mut lanes = Lanes::new(&parse("hubspot_dest", &config).unwrap(), 0);
        let mut now = 0.0;
        for _ in 0..batches {
            now += (latency as f64 / lanes.count() as f64).max(1000.0 / limit as f64);
            lanes.ended(now as u64, false);
        }
        lanes
    }

    #[test]
    fn they_follow_the_latency_until_the_limit_is_used_up() {
        for (latency, limit, least, most) in
            [(100, 19, 8, 10), (420, 19, 8, 10), (1_000, 19, 17, 24), (5_000, 19, 32, 32)]
        {
            let count = after(1_000, "", latency, limit).count();
            assert!((least..=most).contains(&count), "{latency} ms: {count}");
        }
    }

    #[test]
    fn what_is_set_is_not_exceeded() {
        assert_eq!(after(1_000, r#","in_flight":8"#, 5_000, 19).count(), 8);
        assert_eq!(after(1_000, r#","in_flight":1"#, 5_000, 19).count(), 1);
        assert_eq!(after(1_000, r#","in_flight":20"#, 5_000, 19).count(), 20);
    }

    #[test]
    fn a_crm_that_asks_for_less_halves_them_once_for_all_that_are_on_their_way() {
        let mut lanes = after(0, "", 1, 1);
        for now in 0..6 {
            lanes.ended(now, true);
        }
        assert_eq!(lanes.count(), 4);
        for now in 6..100 {
            lanes.ended(now, true);
        }
        assert_eq!(lanes.count(), 1);
        // It recovers when the trouble is over.
        for n in 0..2_000 {
            lanes.ended(100 + n * 1_000 / lanes.count() as u64, false);
        }
        assert!(lanes.count() >= 8, "{}", lanes.count());
    }
}
