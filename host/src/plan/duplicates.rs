//! Golden records that claim the same CRM record.
//!
//! Ids arrive in their normal form, so equal text means equal record. What is kept per change is a
//! 128-bit keyed hash of its id and its number in the plan: 24 bytes, sorted outside memory, so
//! that ten million changes need no more memory than ten thousand.

use super::external_sort::{ExternalSort, Sorted};
use crate::destination::OnDuplicateId;
use std::{io, path::Path};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// One run of keys in memory: 12 MiB.
const RUN: usize = 1 << 19;

/// Collects the ids of a plan.
pub(crate) struct DuplicateFinder {
    ids: ExternalSort<24>,
    seed: u64,
    dir: std::path::PathBuf,
}

/// Rows that must not be written, ascending, each with the row that a message should name.
pub(crate) struct Excluded {
    sorted: Sorted<16>,
    pub(crate) count: u64,
}

impl DuplicateFinder {
    pub(crate) fn new(dir: &Path) -> DuplicateFinder {
        // The seed keeps ids that were made to collide from doing so.
        let seed =
            std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
        DuplicateFinder { ids: ExternalSort::new(dir, RUN), seed, dir: dir.to_owned() }
    }

    /// Golden record `row`, which is written or not, claims this id.
    pub(crate) fn claim(&mut self, id: &str, row: u64) -> io::Result<()> {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&xxh3_128_with_seed(id.as_bytes(), self.seed).to_be_bytes());
        key[16..].copy_from_slice(&row.to_be_bytes());
        self.ids.push(key)
    }

    /// The rows that the policy leaves out, each with another row that claims the same record.
    pub(crate) fn excluded(self, policy: OnDuplicateId) -> io::Result<Excluded> {
        let mut excluded = ExternalSort::<16>::new(&self.dir, RUN);
        let mut count = 0;
        let mut exclude = |row: u64, other: u64| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&row.to_be_bytes());
            key[8..].copy_from_slice(&other.to_be_bytes());
            count += 1;
            excluded.push(key)
        };
        let mut sorted = self.ids.sorted()?;
        // The group at hand: its id, first row and last row seen.
        let mut group: Option<([u8; 16], u64, u64)> = None;
        while let Some(key) = sorted.next()? {
            let mut id = [0; 16];
            id.copy_from_slice(&key[..16]);
            let mut row = [0; 8];
            row.copy_from_slice(&key[16..]);
            let row = u64::from_be_bytes(row);
            group = match group {
                Some((same, first, last)) if same == id => {
                    match policy {
                        OnDuplicateId::Skip => {
                            if first == last {
                                exclude(first, row)?;
                            }
                            exclude(row, first)?;
                        }
                        OnDuplicateId::First => exclude(row, first)?,
                        OnDuplicateId::Last => exclude(last, row)?,
                    }
                    Some((id, first, row))
                }
                _ => Some((id, row, row)),
            };
        }
        Ok(Excluded { sorted: excluded.sorted()?, count })
    }
}

impl Excluded {
    /// The next row to leave out and another row that claims the same record.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, u64)>> {
        Ok(self.sorted.next()?.map(|key| {
            let (mut row, mut other) = ([0; 8], [0; 8]);
            row.copy_from_slice(&key[..8]);
            other.copy_from_slice(&key[8..]);
            (u64::from_be_bytes(row), u64::from_be_bytes(other))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(ids: &[&str], policy: OnDuplicateId) -> Vec<(u64, u64)> {
        let dir = tempfile::tempdir().unwrap();
        let mut finder = DuplicateFinder::new(dir.path());
        for (at, id) in ids.iter().enumerate() {
            finder.claim(id, at as u64 + 1).unwrap();
        }
        let mut excluded = finder.excluded(policy).unwrap();
        let rows: Vec<_> = std::iter::from_fn(|| excluded.next().unwrap()).collect();
        assert_eq!(rows.len() as u64, excluded.count);
        rows
    }

    #[test]
    fn each_policy_leaves_out_the_right_rows() {
        let ids = ["a", "b", "a", "c", "a", "b"];
        assert_eq!(excluded(&ids, OnDuplicateId::Skip), [(1, 3), (2, 6), (3, 1), (5, 1), (6, 2)]);
        assert_eq!(excluded(&ids, OnDuplicateId::First), [(3, 1), (5, 1), (6, 2)]);
        assert_eq!(excluded(&ids, OnDuplicateId::Last), [(1, 3), (2, 6), (3, 5)]);
        assert_eq!(excluded(&["a", "b"], OnDuplicateId::Skip), []);
    }
}
