//! The reverse-sync reference host, as a library: it loads a component of the contract in `wit/`,
//! gives it golden records, and enforces what the component promises.
//!
//! A program that embeds it begins with a [`Workspace`], whose module shows all of it in one
//! example. Beneath that, data flows one way through these modules:
//!
//! - [`records`]: golden records from files, as Arrow batches
//! - [`contract`]: the types of the contract; [`bindings`]: its calls and streams
//! - [`engine`], [`component`]: the sandbox, what a component asks for, what the operator grants
//! - [`account`]: which of a CRM's accounts a credential opens, and that it is the one that was
//!   meant
//! - [`check`]: what a credential may do, before anything is planned
//! - [`source`]: a CRM account: where it is, what opens it, how fast it may be asked
//! - [`planner`]: records in, a [`plan`] on disk out
//! - [`guards`]: what is suspicious about a plan as a whole
//! - [`gate`]: the one way from a [`plan::Plan`] to a [`gate::ConfirmedPlan`]
//! - [`mod@run`]: confirmed changes in, outcomes out, kept in a [`journal`]; [`passes`] is a run
//!   with its canary and checks
//! - [`verify`]: what the CRM holds now of what was written; [`undo`]: a plan of the way back
//! - [`summary`]: a plan and a run as JSON, the same in each front end
//! - [`audit`]: the audit log of a program that one person uses
//! - [`failure`]: what any of these fails with, for front ends to turn into their own words
//! - [`rejects`]: the golden records that were not written, to be fixed and fed back
//! - [`mistakes`]: what is wrong in what people write, in words
//! - [`egress`]: the five stages that each request of a run passes; [`capability`] is its policy
//!
//! The `reverse-sync` command on top of it is the crate `reverse-sync-cli`, the service
//! `reverse-sync-service`.

/// The example on the crate's first page compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod account;
mod aot;
pub mod append_only;
pub mod audit;
pub mod bindings;
pub mod capability;
mod changes;
pub mod check;
pub mod component;
pub mod component_files;
mod config_values;
mod contained;
pub mod contract;
pub mod destination;
pub mod digest;
pub mod egress;
pub mod engine;
pub mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod gate;
pub mod guards;
mod held;
mod ids;
pub mod journal;
pub mod mistakes;
mod outstanding;
pub mod passes;
pub mod plan;
pub mod planner;
pub mod private_file;
pub mod records;
pub mod rejects;
pub mod run;
pub mod source;
mod stop;
mod streams;
pub mod summary;
pub mod undo;
pub mod values;
pub mod verify;
pub mod visible;
pub mod workspace;

pub use account::Account;
pub use check::Check;
pub use component::{Allowed, Component, Grant};
pub use contract::types::ErrorKind;
pub use destination::{Destination, OnDuplicateId};
pub use digest::Digest;
pub use egress::{Observer, credential::Credential, transport::TransportLimits};
pub use engine::{Engine, EngineConfig};
pub use gate::{Confirmation, ConfirmedPlan, Refused};
pub use guards::{Guard, Guards};
pub use journal::{Counts, RunId};
pub use passes::{Checks, Done, HowMany};
pub use plan::{Plan, PlanId, PlanMode};
pub use planner::PlanningError;
pub use records::{RecordOptions, RecordSource, Records, RecordsError};
pub use run::{Report, RunError, StopSignal, Watch};
pub use source::{Source, SourceBuilder, SourceError, SourceLimit};
pub use summary::{PlanSummary, RunSummary};
pub use undo::{PastRun, UndoError};
pub use verify::Verified;
pub use workspace::{OpenError, Run, Target, Workspace, WorkspaceBuilder};
