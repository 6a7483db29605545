//! The contract with the host (`wit/`): its types as they are generated, and the batches in which
//! changes come.

pub mod bindings;
pub(crate) mod changes;
mod error;
pub(crate) mod packed;

pub use bindings::reverse_sync::destination::{capabilities, streams, types};
