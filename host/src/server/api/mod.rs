//! What every route of the API is built from.
//!
//! - [`auth`]: who sends a request, and whether they may
//! - [`body`]: what it carries
//! - [`problem`]: what is answered when something cannot be done

pub mod auth;
pub mod body;
pub mod problem;
