//! The reverse-sync component: golden records back to HubSpot and Salesforce, by record id, UPDATE
//! only.
//!
//! The host calls four functions (see `wit/destination.wit`), which `guest` exports:
//!
//! - `describe` ([`descriptor`]): what is served and asked for.
//! - `plan` ([`plan`]): golden records to changes, offline, with the CRM's metadata, or compared
//!   with its records.
//! - `run` and `verify` ([`run`]): confirmed changes to outcomes, and what the CRM holds of them
//!   afterwards.
//!
//! Below them, each importing only those that come after it: [`crm`] (the conversation over HTTP, a
//! folder for each CRM), [`config`] (a destination's configuration), [`values`] (how values are
//! spelled and compared), [`provider`] and [`provider_id`] (the CRMs and their ids), [`contract`]
//! (the generated types).
//!
//! All of it is native Rust with native tests. Only `guest` and `crm::http` (the network) are
//! WebAssembly.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

pub mod config;
pub mod contract;
pub mod crm;
pub mod descriptor;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(target_arch = "wasm32")]
mod guest;
pub mod plan;
pub mod provider;
pub mod provider_id;
pub mod run;
pub mod values;
