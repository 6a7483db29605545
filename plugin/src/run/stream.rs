//! The host's cursor and sink of a run.

use crate::contract::types::{ChangeBatch, Error, OutcomeBatch};

/// The host's cursor and sink of a run.
pub trait Stream {
    /// The next confirmed changes, `max` at most.
    ///
    /// # Errors
    /// `cancelled` when the host wants to stop; whatever else the host fails with.
    fn next(&self, max: u32) -> Result<Option<ChangeBatch>, Error>;
    /// Reports outcomes.
    ///
    /// # Errors
    /// The host's.
    fn push(&self, outcomes: &OutcomeBatch) -> Result<(), Error>;
    /// How many changes are yet to come.
    fn remaining(&self) -> u64 {
        0
    }
    /// Fields whose values the plan made of lists, without knowing whether they take several.
    fn joined(&self) -> Vec<String> {
        Vec::new()
    }
    /// Notes of earlier attempts, oldest first.
    fn recall(&self) -> Vec<String> {
        Vec::new()
    }
    /// Keeps a note for later attempts; it is safe when this returns.
    ///
    /// # Errors
    /// The host's.
    fn remember(&self, _note: &str) -> Result<(), Error> {
        Ok(())
    }
    /// Whether the host wants to stop.
    fn stopping(&self) -> bool {
        false
    }
}
