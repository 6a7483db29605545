//! Changes that the component wants somebody to have a second look at, by the name to override by.
//! Only those count that are planned in the end: a row may turn out to be unchanged, or a
//! duplicate, after it was flagged.

use super::ExternalSort;
use crate::{
    changes::{Malformed, Packed},
    contract::types as wit,
    guards::Guard,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// Guards and matters that a component may raise so.
const MAX_MATTERS: usize = 100;
/// Rows of each whose words are kept: those of the first one that is planned are shown.
const MAX_DETAILS: usize = 1_000;
/// Longest words, in characters.
const MAX_DETAIL: usize = 300;
/// One run of keys in memory: 6 MiB.
const RUN: usize = 1 << 19;

/// What was flagged.
pub(super) struct Flags {
    dir: PathBuf,
    /// Guard, and what is the matter.
    matters: Vec<(String, String)>,
    details: BTreeMap<(usize, u64), String>,
    /// Row and matter.
    rows: Option<ExternalSort<12>>,
}

impl Flags {
    pub(super) fn new(dir: &Path) -> Flags {
        Flags { dir: dir.to_owned(), matters: Vec::new(), details: BTreeMap::new(), rows: None }
    }

    pub(super) fn see(&mut self, batch: wit::FlaggedBatch) -> io::Result<Result<(), Malformed>> {
        let Ok(details) = Packed::from_wit(batch.details) else { return Ok(Err(Malformed)) };
        let key = (batch.guard, batch.what);
        let known = self.matters.iter().position(|known| *known == key);
        let matter = known.unwrap_or(self.matters.len());
        if details.len() != batch.rows.len() || matter >= MAX_MATTERS {
            return Ok(Err(Malformed));
        }
        if known.is_none() {
            self.matters.push(key);
        }
        for (at, row) in batch.rows.into_iter().enumerate() {
            if self.details.len() < MAX_DETAILS * self.matters.len() {
                self.details
                    .insert((matter, row), details.get(at).chars().take(MAX_DETAIL).collect());
            }
            let mut key = [0; 12];
            key[..8].copy_from_slice(&row.to_be_bytes());
            key[8..].copy_from_slice(&(matter as u32).to_be_bytes());
            self.rows.get_or_insert_with(|| ExternalSort::new(&self.dir, RUN)).push(key)?;
        }
        Ok(Ok(()))
    }

    /// Whether there is anything to count.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_none()
    }

    /// The guards, of these rows, which ascend.
    pub(super) fn finish(
        self,
        planned: impl Iterator<Item = io::Result<u64>>,
    ) -> io::Result<Vec<Guard>> {
        let Some(rows) = self.rows else { return Ok(Vec::new()) };
        let mut counts: Vec<(u64, u64)> = vec![(0, 0); self.matters.len()];
        let mut sorted = rows.sorted()?;
        let mut planned = planned.peekable();
        let mut last = None;
        while let Some(key) = sorted.next()? {
            // A row that is flagged twice for one matter is one change.
            if last.replace(key) == Some(key) {
                continue;
            }
            let (row, matter) = key.split_at(8);
            let row = u64::from_be_bytes(row.try_into().unwrap_or_default());
            let matter = u32::from_be_bytes(matter.try_into().unwrap_or_default()) as usize;
            while let Some(next) =
                planned.next_if(|next| next.as_ref().map_or(true, |next| *next < row))
            {
                next?;
            }
            let is_planned = matches!(planned.peek(), Some(Ok(next)) if *next == row);
            if let Some((count, first)) = counts.get_mut(matter).filter(|_| is_planned) {
                if *count == 0 {
                    *first = row;
                }
                *count += 1;
            }
        }
        let guards = self
            .matters
            .into_iter()
            .zip(counts)
            .enumerate()
            .filter(|(_, (_, (count, _)))| *count > 0);
        Ok(guards
            .map(|(matter, ((name, what), (count, first)))| {
                let changes =
                    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
                let detail = self
                    .details
                    .get(&(matter, first))
                    .map_or_else(String::new, |detail| format!(": {detail}"));
                Guard {
                    name,
                    message: format!("{changes} {what}; the first is row {first}{detail}"),
                }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(guard: &str, rows: &[u64]) -> wit::FlaggedBatch {
        let texts: Vec<String> = rows.iter().map(|row| format!("{guard}{row}")).collect();
        let mut details = wit::Strings { bytes: texts.concat(), offsets: vec![0] };
        texts.iter().fold(0, |end, text| {
            details.offsets.push(end + text.len() as u32);
            end + text.len() as u32
        });
        wit::FlaggedBatch {
            guard: guard.to_owned(),
            what: "with odd values".to_owned(),
            rows: rows.to_vec(),
            details,
        }
    }

    #[test]
    fn only_rows_that_are_planned_count_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut flags = Flags::new(dir.path());
        assert!(flags.is_empty());
        for (guard, rows) in [("a", &[5, 2, 9][..]), ("b", &[3]), ("a", &[2, 7])] {
            flags.see(batch(guard, rows)).unwrap().unwrap();
        }
        let guards = flags.finish([4, 5, 6, 7, 9].into_iter().map(Ok)).unwrap();
        let message = "3 changes with odd values; the first is row 5: a5".to_owned();
        assert_eq!(
            guards,
            [Guard { name: "a".to_owned(), message }],
            "rows 2 and 3 are not planned"
        );
    }
}
