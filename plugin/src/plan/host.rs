//! What planning needs of the host: the cursor and the sink of the contract.

use crate::contract::types::{ChangeBatch, Error, FlaggedBatch, RecordBatch, SkippedBatch};
use std::future::Future;

/// What planning needs of the host: the cursor and the sink of the contract.
pub trait PlanHost {
    /// The next records, `max` at most.
    ///
    /// # Errors
    /// The host's.
    fn next(&mut self, max: u32) -> Result<Option<RecordBatch>, Error>;
    /// Takes changes.
    ///
    /// # Errors
    /// The host's.
    fn push(&mut self, changes: &ChangeBatch) -> impl Future<Output = Result<(), Error>>;
    /// Takes skipped rows.
    ///
    /// # Errors
    /// The host's.
    fn skip(&mut self, skipped: &SkippedBatch) -> Result<(), Error>;
    /// Takes a column that is not written.
    fn drop_column(&mut self, name: &str, reason: &str);
    /// Takes a warning.
    fn warn(&mut self, message: &str);
    /// Takes what must be overridden by name.
    fn guard(&mut self, name: &str, message: &str);
    /// Takes changes that need a second look.
    ///
    /// # Errors
    /// The host's.
    fn flag(&mut self, flagged: &FlaggedBatch) -> Result<(), Error>;
    /// Whether the CRM's records are read before a change is planned.
    fn compares(&self) -> bool {
        false
    }
    /// Takes a field whose values were made of lists.
    fn joined(&mut self, field: &str);
}
