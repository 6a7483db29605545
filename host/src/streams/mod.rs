//! What stands behind the streams of the contract: the state of each, and what a call of the
//! component does to it. They know the host's records, plans and journals, and neither the sandbox
//! nor who calls.

mod confirmed;
mod outcomes;
mod planning;
mod readings;

pub use confirmed::ConfirmedResource;
pub(crate) use confirmed::{MAX_OUTSTANDING, Selection};
pub use outcomes::OutcomeSinkResource;
pub(crate) use planning::{Decision, Failed, Shared, lock};
pub use planning::{PlanSinkResource, RecordsResource};
pub use readings::{Holding, Reading, VerifySinkResource};
