//! The conversation with a CRM over HTTP, which planning and running share.
//!
//! ```text
//!  requests (templates of routes, filled in) ─▶ conversation ─▶ exchange (repeat what is safe) ─▶ network
//!                                                    │                 └ verdict (what does the answer mean?) ◀ error
//!  held, metadata (what does the CRM hold?) ◀────────┘
//! ```
//!
//! `hubspot` and `salesforce` have what differs: routes, answers and metadata, as pure functions on
//! bytes.

pub(crate) mod conversation;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod held;
#[cfg(target_arch = "wasm32")]
pub(crate) mod http;
pub(crate) mod hubspot;
pub(crate) mod metadata;
pub mod network;
pub(crate) mod reconciled;
pub(crate) mod requests;
pub(crate) mod rights;
pub(crate) mod route;
pub(crate) mod routes;
pub(crate) mod salesforce;
pub(crate) mod template;
pub(crate) mod verdict;
