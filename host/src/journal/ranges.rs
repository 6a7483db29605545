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

    /// The numbers that are in either.
    #[must_use]
    pub fn or(&self, other: &Ranges) -> Ranges {
        let mut all = self.clone();
        other.0.iter().for_each(|(first, last)| all.add(*first, *last));
        all
    }

    /// How many numbers are in them.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The part of them below a number.
    pub fn below(&self, end: u64) -> Ranges {
        Ranges(self.0.range(..end).map(|(first, last)| (*first, (*last).min(end - 1))).collect())
    }

    /// `count` of the numbers, spread evenly from the first to the last; all of them if there are
    /// no more.
    pub fn spread(&self, count: u64) -> Ranges {
        let all = self.count();
        if all <= count {
            return self.clone();
        }
        let mut chosen = Ranges::default();
        let mut ranges = self.0.iter();
        // Numbers in the ranges before the one at hand, and that one.
        let (mut before, mut range) = (0, ranges.next());
        for step in 0..count {
            // With one chosen, the first; with more, the last one too.
            let at =
                (u128::from(step) * u128::from(all - 1) / u128::from((count - 1).max(1))) as u64;
            while let Some((first, last)) = range {
                if at < before + (last - first + 1) {
                    chosen.add(first + at - before, first + at - before);
                    break;
                }
                before += last - first + 1;
                range = ranges.next();
            }
        }
        chosen
    }

    /// The smallest number in them that is not below this one.
    pub fn next(&self, number: u64) -> Option<u64> {
        if self.contains(number) {
            Some(number)
        } else {
            self.0.range(number..).next().map(|(first, _)| *first)
        }
    }

    /// The smallest number not in them that is not below this one.
    pub fn next_gap(&self, number: u64) -> u64 {
        // Ranges that touch are one, so behind each there is a gap.
        match self.0.range(..=number).next_back() {
            Some((_, last)) if *last >= number => last.saturating_add(1),
            _ => number,
        }
    }

    /// The numbers below this one that are not in them.
    #[must_use]
    pub fn gaps_below(&self, end: u64) -> Ranges {
        let mut gaps = Ranges::default();
        let mut number = self.next_gap(0);
        while number < end {
            let next = self.next(number).unwrap_or(end).min(end);
            gaps.add(number, next - 1);
            number = self.next_gap(next);
        }
        gaps
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
            prop_assert_eq!(ranges.count(), set.len() as u64);
            for end in [0, 1, 17, 40, 70] {
                let below = ranges.below(end);
                prop_assert!((0..80).all(|number| below.contains(number) == (number < end && set.contains(&number))));
                let gaps = ranges.gaps_below(end);
                prop_assert!((0..80).all(|number| gaps.contains(number) == (number < end && !set.contains(&number))));
            }
            for count in [0, 1, 2, 5, 30, 100] {
                let chosen = ranges.spread(count);
                prop_assert_eq!(chosen.count(), count.min(set.len() as u64));
                prop_assert!((0..80).all(|number| !chosen.contains(number) || set.contains(&number)));
                if count > 1 && let (Some(first), Some(last)) = (set.first(), set.last()) {
                    prop_assert!(chosen.contains(*first) && chosen.contains(*last));
                }
            }
            for number in 0..80 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
                prop_assert_eq!(ranges.next(number), set.range(number..).next().copied());
                prop_assert_eq!(Some(ranges.next_gap(number)), (number..).find(|number| !set.contains(number)));
            }
        }
    }
}
