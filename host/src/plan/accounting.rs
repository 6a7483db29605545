//! Every row that was read is decided exactly once: pushed as a change or skipped. The host counts,
//! so that a component cannot lose a record or invent one.

use std::collections::VecDeque;

/// How far decisions may lag behind reading, in rows.
const MAX_LAG: u64 = 1 << 22;

/// A component's plan does not add up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miscount {
    /// A row was decided that was never handed out.
    #[error("row {0} was decided before it was read")]
    Unread(u64),
    /// A row was decided a second time.
    #[error("row {0} was decided twice")]
    Twice(u64),
    /// Rows were read and never decided.
    #[error("{count} rows were read and neither planned nor skipped, the first is row {first}")]
    Undecided {
        /// How many.
        count: u64,
        /// The first of them.
        first: u64,
    },
    /// Changes came out of order.
    #[error("row {row} was planned after row {after}; changes have to ascend")]
    Order {
        /// The row that came too late.
        row: u64,
        /// The one before it.
        after: u64,
    },
}

/// One bit for each row between the first undecided one and the last one read.
#[derive(Debug)]
pub struct Accounting {
    bits: VecDeque<u64>,
    /// Number of the row that the first bit stands for.
    base: u64,
    read: u64,
    decided: u64,
    last_change: u64,
}

impl Accounting {
    /// Rows are numbered from 1.
    pub fn new() -> Accounting {
        Accounting { bits: VecDeque::new(), base: 1, read: 0, decided: 0, last_change: 0 }
    }

    /// The next `count` rows were handed out. The number of the first of them.
    ///
    /// # Errors
    /// If the component hoards rows without deciding them.
    pub fn read(&mut self, count: u64) -> Result<u64, Miscount> {
        let first = self.read + 1;
        self.read += count;
        while self.bits.front() == Some(&u64::MAX) {
            self.bits.pop_front();
            self.base += 64;
        }
        if self.read - self.base > MAX_LAG {
            return Err(self.undecided());
        }
        let words = (self.read + 1 - self.base).div_ceil(64) as usize;
        self.bits.resize(words.max(self.bits.len()), 0);
        Ok(first)
    }

    /// Rows were planned, in order.
    ///
    /// # Errors
    /// If they are out of order, or as in [`Accounting::decide`].
    pub fn plan(&mut self, rows: &[u64]) -> Result<(), Miscount> {
        for row in rows {
            if *row <= self.last_change {
                return Err(Miscount::Order { row: *row, after: self.last_change });
            }
            self.last_change = *row;
            self.decide(*row)?;
        }
        Ok(())
    }

    /// One row was decided.
    ///
    /// # Errors
    /// If it was not read, or decided before.
    pub fn decide(&mut self, row: u64) -> Result<(), Miscount> {
        if row > self.read || row == 0 {
            return Err(Miscount::Unread(row));
        }
        let Some(at) = row.checked_sub(self.base) else { return Err(Miscount::Twice(row)) };
        let word = self.bits.get_mut((at / 64) as usize).ok_or(Miscount::Unread(row))?;
        let bit = 1 << (at % 64);
        if *word & bit != 0 {
            return Err(Miscount::Twice(row));
        }
        *word |= bit;
        self.decided += 1;
        Ok(())
    }

    /// Rows read.
    pub fn total(&self) -> u64 {
        self.read
    }

    /// The end of the plan.
    ///
    /// # Errors
    /// If a row is left undecided.
    pub fn finish(&self) -> Result<(), Miscount> {
        if self.decided == self.read { Ok(()) } else { Err(self.undecided()) }
    }

    fn undecided(&self) -> Miscount {
        let first = (self.base..=self.read).find(|row| {
            let at = row - self.base;
            self.bits.get((at / 64) as usize).is_none_or(|word| word & (1 << (at % 64)) == 0)
        });
        Miscount::Undecided { count: self.read - self.decided, first: first.unwrap_or(self.read) }
    }
}

impl Default for Accounting {
    fn default() -> Self {
        Accounting::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_does_not_add_up_is_refused() {
        let mut rows = Accounting::new();
        assert_eq!(rows.read(100), Ok(1));
        rows.plan(&(1..=50).collect::<Vec<_>>()).unwrap();
        assert_eq!(rows.decide(50), Err(Miscount::Twice(50)));
        assert_eq!(rows.decide(101), Err(Miscount::Unread(101)));
        assert_eq!(rows.decide(0), Err(Miscount::Unread(0)));
        assert_eq!(rows.plan(&[60, 59]), Err(Miscount::Order { row: 59, after: 60 }));
        assert_eq!(rows.finish(), Err(Miscount::Undecided { count: 49, first: 51 }));
    }

    #[test]
    fn memory_stays_flat_while_decisions_keep_up() {
        let mut rows = Accounting::new();
        for _ in 0..10_000 {
            let first = rows.read(1_000).unwrap();
            for row in first..first + 1_000 {
                rows.decide(row).unwrap();
            }
        }
        assert!(rows.bits.len() < 40, "{}", rows.bits.len());
        assert_eq!((rows.finish(), rows.total()), (Ok(()), 10_000_000));
        assert_eq!(rows.decide(5), Err(Miscount::Twice(5)));
    }

    #[test]
    fn hoarding_rows_is_refused() {
        let mut rows = Accounting::new();
        assert!((0..1_000).any(|_| rows.read(65_536).is_err()));
    }
}
