//! The values that many records share, counted in memory that does not grow with the records.

use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Values that are counted at the same time. The count of a value is short by one in this many
/// records at most.
const COUNTERS: usize = 128;
/// Characters kept of a value, to show it.
const SHOWN: usize = 60;

/// The heavy hitters of a stream, after Misra and Gries: a count is never too high, and too low by
/// a `COUNTERS`-th of the stream at most. So what is said to be frequent is frequent.
#[derive(Debug, Default)]
pub(super) struct Frequent {
    counters: HashMap<u64, (u64, String)>,
}

impl Frequent {
    /// One more value.
    pub(super) fn see(&mut self, value: &str) {
        let hash = xxh3_64(value.as_bytes());
        if let Some((count, _)) = self.counters.get_mut(&hash) {
            *count += 1;
        } else if self.counters.len() < COUNTERS {
            self.counters.insert(hash, (1, value.chars().take(SHOWN).collect()));
        } else {
            // Each value seen is counted down once at most, so this costs no more than counting up
            // did.
            self.counters.retain(|_, (count, _)| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// The most frequent value, and how often it was seen at least.
    pub(super) fn top(&self) -> Option<(u64, &str)> {
        self.counters.values().map(|(count, value)| (*count, value.as_str())).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_most_share_is_found_among_any_number_of_others() {
        let mut frequent = Frequent::default();
        for n in 0..100_000 {
            frequent.see(&if n % 10 == 0 { format!("other {n}") } else { "Bozeman".to_owned() });
        }
        let (count, value) = frequent.top().unwrap();
        assert_eq!(value, "Bozeman");
        assert!((89_000..=90_000).contains(&count), "{count}");
        assert!(frequent.counters.len() <= COUNTERS);
    }

    #[test]
    fn distinct_values_have_no_top_worth_the_name() {
        let mut frequent = Frequent::default();
        (0..10_000).for_each(|n| frequent.see(&n.to_string()));
        assert!(frequent.top().is_none_or(|(count, _)| count <= 1));
    }
}
