//! The reference host as a service: the API of `reverse-sync serve`, its store, its jobs and the
//! page people use.
//!
//! Everything that writes to a CRM stays in the library `reverse-sync`; this crate decides who may
//! ask for it, keeps what has to last, and takes up what was interrupted.
//!
//! - [`app`]: all of it as one value, and what the operator decides
//! - [`api`]: its routes
//! - [`jobs`]: dry runs, and runs that are carried to their end
//! - [`scheduler`]: which run is next, whoever carries it out
//! - [`store`]: what lasts, in SQLite or PostgreSQL
//! - [`retention`]: what is not kept for ever; [`storage`]: how much an org keeps
//! - [`secrets`]: credentials at rest
//! - [`golden`]: uploads and queries of golden records
//! - [`listen`]: connections; [`lock`]: one service at a time; [`state_file`]: what the folder
//!   knows of its database
//! - [`components`]: those that it was started with; [`audit_key`]: what makes the hashes of the
//!   audit log
//! - [`login_codes`]: the codes of the link that the command prints
//! - [`links`]: the way to the CRM that a source stands for
//! - [`observe`]: metrics, request logs, traces
//! - [`page`]: the page people use

pub mod api;
pub mod app;
pub mod audit_key;
pub mod components;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod golden;
pub mod jobs;
pub mod links;
pub mod listen;
pub mod lock;
pub mod login_codes;
pub mod observe;
pub mod page;
pub mod retention;
pub mod scheduler;
pub mod secrets;
pub mod state_file;
pub mod storage;
pub mod store;
