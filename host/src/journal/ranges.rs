//! Sets of change numbers that are mostly one long range.

use std::collections::BTreeMap;

/// Disjoint ranges of change numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `first..=last`.
    pub fn add(&mut self, mut first: u64, mut last: u64) {
        if let Some((&start, &end)) = self.0.range(..=first).next_back()
            && end + 1 >= first
        {
            first = start;
            last = last.max(end);
        }
        while let Some((&start, &end)) = self.0.range(first..=last.saturating_add(1)).next() {
            last = last.max(end);
            self.0.remove(&start);
        }
        self.0.insert(first, last);
    }

    /// How many numbers are in them.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last + 1 - first).sum()
    }

    /// Whether a number is in one of them.
    pub fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| *end >= number)
    }
}

/// Consecutive numbers as ranges.
pub(super) fn runs(mut numbers: Vec<u64>) -> Vec<(u64, u64)> {
    numbers.sort_unstable();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_a_set(pairs in prop::collection::vec((0u64..60, 0u64..6), 0..30)) {
            let mut ranges = Ranges::default();
            let mut set = std::collections::BTreeSet::new();
            for (first, length) in pairs {
                ranges.add(first, first + length);
                set.extend(first..=first + length);
            }
            for number in 0..80 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
        }
    }
}
