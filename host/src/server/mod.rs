//! The reference host as a service: the API of `reverse-sync serve`, its store, its jobs and the page people use.
//!
//! Everything that writes to a CRM stays in the library beside it; this module decides who may ask for it, keeps what
//! has to last, and takes up what was interrupted.

pub mod page;
