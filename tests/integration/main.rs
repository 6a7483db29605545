//! The product against the CRM simulator: the real component, real sockets, and for the command the real binary.
//!
//! One binary, so that it is linked once; each module is a chapter.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod accounts;
mod blocked;
mod bulk;
mod check;
mod command;
mod compare;
mod drift;
mod examples;
mod gate;
mod guards;
mod hostile;
mod metadata;
mod oauth;
mod oauth_command;
mod observed;
mod offline;
mod outcomes;
mod pacing;
mod project;
mod rejects;
mod rejects_again;
mod resume;
mod secrets;
mod spec_example;
mod stored_credential;
mod support;
mod telemetry;
mod undo;
mod verify;
