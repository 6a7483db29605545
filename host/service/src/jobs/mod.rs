//! What the service works on: dry runs, and runs that are carried to their end whatever happens to
//! the process.
//!
//! - [`planning`]: golden records of an org in, a kept plan out
//! - [`beginning`]: a confirmation in, a queued run out
//! - [`execution`]: one run, from its turn to its row in the audit log

pub mod beginning;
pub mod execution;
pub mod planning;
