//! Changes that the component wants somebody to have a second look at, by the name to override by.

use super::{
    Guard,
    changes::{Malformed, Packed},
};
use crate::bindings::types as wit;
use std::collections::BTreeMap;

/// Guards that a component may raise so.
const MAX_GUARDS: usize = 100;

/// What was flagged, by guard and by what is the matter.
#[derive(Default)]
pub(super) struct Flags(BTreeMap<(String, String), Flagged>);

struct Flagged {
    count: u64,
    /// The first row, and a few words about it.
    first: (u64, String),
}

impl Flags {
    pub(super) fn see(&mut self, batch: wit::FlaggedBatch) -> Result<(), Malformed> {
        let details = Packed::from_wit(batch.details)?;
        if details.len() != batch.rows.len() || self.0.len() >= MAX_GUARDS {
            return Err(Malformed);
        }
        for (at, row) in batch.rows.into_iter().enumerate() {
            let key = (batch.guard.clone(), batch.what.clone());
            self.0.entry(key).or_insert_with(|| Flagged { count: 0, first: (row, details.get(at).to_owned()) }).count += 1;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<Guard> {
        let guard = |((name, what), Flagged { count, first: (row, detail) })| {
            let changes = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
            Guard { name, message: format!("{changes} {what}; the first is row {row}: {detail}") }
        };
        self.0.into_iter().map(guard).collect()
    }
}
