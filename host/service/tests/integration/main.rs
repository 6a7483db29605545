//! The service's crate over real sockets and on both databases: its store, its queries, what it
//! keeps and what it observes.
//!
//! One binary, so that it is linked once; each module is a chapter.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cluster;
mod golden_query;
mod observed;
mod query;
mod store;
mod stored_credential;
mod unreadable;
