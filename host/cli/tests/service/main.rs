//! The service: the real program, real sockets, on both databases.
//!
//! One binary, so that it is linked once; each module is a chapter. A test takes the database it is
//! to run on, and `on_both!` at the end of its module runs it on each.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod accounts;
mod api_fuzz;
mod audit;
mod authorisation;
mod bounds;
mod clients;
mod conflicts;
mod credentials;
mod long_records;
mod observing;
mod operations;
mod page;
mod restart;
mod restored;
mod retention;
mod safety;
mod status_codes;
mod storage;
mod taken_over;
mod tenants;
mod walk_through;
mod world;
