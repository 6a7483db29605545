//! HubSpot and Salesforce for tests and demos: a pure core, and a local server around it (feature
//! `http`, on by default).
//!
//! It is built from the CRMs' documentation and from recorded traffic (the fact sheet `crm-apis`,
//! whose paragraphs are cited where they are followed), never from the plugin: where the two
//! disagree, one of them is wrong. It is strict; what the facts leave open is a switch in
//! [`Switches`].
//!
//! - [`World`]: a request in, an answer out, with the faults that strike it; the records, and the
//!   log of what was received
//! - `hubspot`, `salesforce`: the two CRMs, as functions from a request to an answer
//! - `oauth`: what their token endpoints have in common
//! - [`faults`]: what can be switched on; [`mod@log`]: what was received
//! - `Simulator` serves a world over HTTP (`server`), and lets other processes look into it under
//!   `/_sim/` (`inspect`)

pub mod config;
pub mod faults;
pub mod hubspot;
#[cfg(feature = "http")]
mod inspect;
pub mod log;
pub mod message;
mod oauth;
pub mod salesforce;
mod seed;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod simulator;
mod world;

pub use config::{Config, Switches, Token};
pub use faults::{Fault, Rule};
pub use hubspot::HubSpot;
pub use log::{LoggedRequest, Write};
pub use salesforce::{Bulk, Field, Salesforce, record_id};
#[cfg(feature = "http")]
pub use simulator::Simulator;
pub use world::World;
