//! The library against the CRM simulator: the real component, real sockets.
//!
//! One binary, so that it is linked once; each module is a chapter.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod accounts;
mod blocked;
mod bulk;
mod check;
mod compare;
mod drift;
mod gate;
mod guards;
mod hostile;
mod metadata;
mod oauth;
mod outcomes;
mod pacing;
mod rejects_again;
mod resume;
mod secrets;
mod verify;
