//! The reverse-sync component: golden records back to HubSpot and Salesforce, by record id, UPDATE only.
//!
//! The host calls three functions (see `wit/destination.wit`):
//!
//! - `describe` ([`descriptor`]): what is served and asked for. The requests are templates in [`routes`] and `jobs`.
//! - `plan` ([`plan`]): golden records to changes, offline. [`config`] reads the destination, [`provider_id`] judges
//!   ids, `fields` says which columns are written, `columns` and [`encode`] write their values.
//! - `run` ([`run`]): confirmed changes to outcomes. [`run`] is a map of its own.
//!
//! All of it is native Rust with native tests. Only `guest` (the exports) and `http` (the network) are WebAssembly.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed, which is what it is for"))]

pub mod bindings;
mod columns;
mod compare;
mod confidence;
pub mod config;
pub mod descriptor;
pub mod encode;
mod error;
mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(target_arch = "wasm32")]
mod guest;
mod hint;
#[cfg(target_arch = "wasm32")]
mod http;
mod jobs;
mod json;
pub mod metadata;
mod normal;
mod packed;
pub mod plan;
#[cfg(test)]
mod plan_tests;
pub mod policy;
pub mod provider;
pub mod provider_id;
pub mod routes;
pub mod run;
mod scopes;
pub mod template;
mod value;
