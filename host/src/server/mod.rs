//! The reference host as a service: the API of `reverse-sync serve`, its store, its jobs and the page people use.
//!
//! Everything that writes to a CRM stays in the library beside it; this module decides who may ask for it, keeps what
//! has to last, and takes up what was interrupted.
//!
//! - [`api`]: what its routes are built from
//! - [`store`]: what lasts, in SQLite or PostgreSQL
//! - [`secrets`]: credentials at rest
//! - [`golden`]: uploads and queries of golden records
//! - [`links`]: the way to the CRM that a source stands for
//! - [`observe`]: metrics, request logs, traces
//! - [`page`]: the page people use

pub mod api;
pub mod golden;
pub mod links;
pub mod observe;
pub mod page;
pub mod secrets;
pub mod store;
