//! What comes of a read, and what all reads share.

use crate::contract::packed::{Packed, append};
use crate::crm::conversation::Conversation;
use crate::values::field::Metadata;
use std::cell::{Cell, RefCell};

/// The record holds all values already.
pub(super) const UNCHANGED: &str = "unchanged";

/// What comes of one read.
#[derive(Default)]
pub(crate) struct Compared {
    pub(super) rows: Vec<u64>,
    pub(super) ids: Packed,
    pub(super) fields: Packed,
    pub(super) before: Packed,
    /// By reason: rows, a sentence for each, and the record that each claims.
    pub(super) skipped: Vec<(&'static str, Vec<u64>, Packed, Packed)>,
    /// By guard and by what is the matter: rows, and a few words for each.
    pub(super) flagged: Vec<(&'static str, &'static str, Vec<u64>, Packed)>,
}

impl Compared {
    /// Puts changes that came late in the order of their rows.
    pub(crate) fn sort(&mut self) {
        if self.rows.is_sorted() {
            return;
        }
        let mut order: Vec<(u64, usize)> = self.rows.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let sorted = |packed: &Packed| {
            let mut sorted = Packed::default();
            for (_, at) in &order {
                append(&mut sorted.0, &packed.0, *at);
            }
            sorted
        };
        (self.ids, self.fields, self.before) =
            (sorted(&self.ids), sorted(&self.fields), sorted(&self.before));
        self.rows = order.into_iter().map(|(row, _)| row).collect();
    }

    /// Somebody has to have a second look at a row.
    pub(crate) fn flag(&mut self, guard: &'static str, what: &'static str, row: u64, detail: &str) {
        let at = self
            .flagged
            .iter()
            .position(|(known, about, ..)| (*known, *about) == (guard, what))
            .unwrap_or_else(|| {
                self.flagged.push((guard, what, Vec::new(), Packed::default()));
                self.flagged.len() - 1
            });
        let (.., rows, details) = &mut self.flagged[at];
        rows.push(row);
        details.push(detail);
    }

    pub(crate) fn skip(&mut self, reason: &'static str, row: u64, id: &str, detail: &str) {
        let at =
            self.skipped.iter().position(|(known, ..)| *known == reason).unwrap_or_else(|| {
                self.skipped.push((reason, Vec::new(), Packed::default(), Packed::default()));
                self.skipped.len() - 1
            });
        let (_, rows, details, ids) = &mut self.skipped[at];
        rows.push(row);
        details.push(detail);
        ids.push(id);
    }
}

/// Values that are not written for a reason that only comparing shows, counted for a warning:
/// field, reason, how many, and the first row.
pub(crate) type HeldBack = RefCell<Vec<(String, &'static str, u64, u64)>>;

/// What all reads share.
pub(crate) struct Comparer<'r, N> {
    pub(super) metadata: &'r Metadata,
    pub(super) crm: &'r Conversation<'r, N>,
    pub(super) held_back: HeldBack,
    /// Bytes of the last answer; nobody knows before the first one.
    pub(super) answer: Cell<Option<usize>>,
}

impl<'r, N> Comparer<'r, N> {
    pub(crate) fn new(metadata: &'r Metadata, crm: &'r Conversation<'r, N>) -> Self {
        Comparer { metadata, crm, held_back: RefCell::default(), answer: Cell::new(None) }
    }
}
