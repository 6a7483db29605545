//! The sink of a verifying guest: what each record holds now, in the order of the plan.

use super::MAX_OUTSTANDING;
use crate::{
    changes::{Malformed, Packed},
    contract::types as wit,
    outstanding::{Outstanding, Taken},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub use wit::Holding;

/// Bytes of readings that wait for one before them.
const MAX_EARLY: usize = 64 << 20;

/// What one record holds now, in the fields of the change that was written to it.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: &'a str,
    /// The confirmed values, others, or none.
    pub holding: Holding,
    /// What was written, as a JSON object.
    pub written: &'a str,
    /// What the CRM held while planning, as a JSON object, if somebody looked.
    pub before: Option<&'a str>,
    /// What it holds now, as a JSON object, spelled so that writing it would put it back.
    pub now: &'a str,
    /// One sentence where there is something to say, else empty.
    pub detail: &'a str,
    /// Fields that hold another value than the one written, by the component's rule.
    pub differing: &'a [String],
    /// Fields that hold another value than before, by the same rule.
    pub moved: &'a [String],
    /// Fields that the CRM would not take back to the value before.
    pub one_way: &'a [String],
}

/// Where the guest reports what it read.
pub struct VerifySinkResource {
    outstanding: Outstanding,
    /// Readings of rows that follow one that is still outstanding.
    early: BTreeMap<u64, Early>,
    early_bytes: usize,
    /// Readings shown.
    read: Arc<AtomicU64>,
    show: Box<dyn FnMut(Reading<'_>) + Send>,
}

/// Lists of names, one for each row.
struct Names {
    items: Packed,
    offsets: Vec<u32>,
}

impl Names {
    fn from_wit(lists: wit::StringLists, rows: usize) -> Result<Names, Malformed> {
        let items = Packed::from_wit(lists.items)?;
        let offsets = lists.offsets;
        let fits = offsets.len() == rows + 1
            && offsets.is_sorted()
            && offsets.last().is_some_and(|last| *last as usize <= items.len());
        if fits { Ok(Names { items, offsets }) } else { Err(Malformed) }
    }

    fn get(&self, row: usize) -> Vec<String> {
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) => {
                (start as usize..end as usize).map(|at| self.items.get(at).to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A reading that waits for its turn.
struct Early {
    change: Taken,
    holding: Holding,
    now: String,
    detail: String,
    /// Fields that differ, that have moved, and that go one way only.
    names: [Vec<String>; 3],
}

impl VerifySinkResource {
    /// Shows each reading to `show`, in the order of rows, and counts it in `read`.
    pub(crate) fn new(
        outstanding: Outstanding,
        read: Arc<AtomicU64>,
        show: Box<dyn FnMut(Reading<'_>) + Send>,
    ) -> VerifySinkResource {
        VerifySinkResource { outstanding, early: BTreeMap::new(), early_bytes: 0, read, show }
    }

    /// What records hold; the number of them.
    pub(crate) fn push(&mut self, batch: wit::ReadingBatch) -> wasmtime::Result<usize> {
        let count = batch.rows.len();
        self.take(batch)?;
        Ok(count)
    }

    fn take(&mut self, batch: wit::ReadingBatch) -> wasmtime::Result<()> {
        let malformed =
            |_: Malformed| wasmtime::format_err!("it pushed readings that do not fit together");
        let (values, details) = (
            Packed::from_wit(batch.values).map_err(malformed)?,
            Packed::from_wit(batch.details).map_err(malformed)?,
        );
        let rows = batch.rows.len();
        if [batch.holdings.len(), values.len(), details.len()].iter().any(|length| *length != rows)
        {
            return Err(malformed(Malformed));
        }
        let names =
            [batch.differing, batch.moved, batch.one_way].map(|lists| Names::from_wit(lists, rows));
        let [Ok(differing), Ok(moved), Ok(one_way)] = names else {
            return Err(malformed(Malformed));
        };
        for (index, row) in batch.rows.into_iter().enumerate() {
            let change = self.outstanding.take(row);
            let Some(change) = change else {
                wasmtime::bail!("it reported what row {row} holds, which is not in hand");
            };
            let holding = match batch.holdings[index] {
                // Without an answer to a read, nothing is known about the record.
                Holding::Confirmed | Holding::Other if !change.was_read => Holding::Unreadable,
                holding => holding,
            };
            let (now, detail) = (values.get(index).to_owned(), details.get(index).to_owned());
            let names = [differing.get(index), moved.get(index), one_way.get(index)];
            self.early_bytes += now.len() + detail.len();
            if self.early_bytes > MAX_EARLY {
                wasmtime::bail!(
                    "it reported {} bytes of records without a word about one before them",
                    self.early_bytes
                );
            }
            self.early.insert(row, Early { change, holding, now, detail, names });
        }
        self.show_in_order()
    }

    /// Shows what no outstanding row comes before.
    fn show_in_order(&mut self) -> wasmtime::Result<()> {
        let first = self.outstanding.first_row().unwrap_or(u64::MAX);
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() < first) {
            let (row, early) = entry.remove_entry();
            self.early_bytes -= early.now.len() + early.detail.len();
            (self.show)(Reading {
                row,
                provider_id: &early.change.id,
                holding: early.holding,
                written: &early.change.fields,
                before: early.change.before.as_deref(),
                now: &early.now,
                detail: &early.detail,
                differing: &early.names[0],
                moved: &early.names[1],
                one_way: &early.names[2],
            });
            self.read.fetch_add(1, Relaxed);
        }
        if self.early.len() > MAX_OUTSTANDING {
            wasmtime::bail!(
                "it read more than {MAX_OUTSTANDING} records without a word about row {first} before them"
            );
        }
        Ok(())
    }
}
