//! The command against the CRM simulator: the real program, the real component, real sockets.
//!
//! One binary, so that it is linked once; each module is a chapter.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod accounts;
mod blocked;
mod bulk;
mod command;
mod conformance;
mod documents;
mod first_steps;
mod gate;
mod guards;
mod guidance;
mod oauth_command;
mod offline;
mod other_hosts;
mod project;
mod rejects;
mod resume;
mod secrets;
mod spec_example;
mod telemetry;
mod undo;
mod verify;
