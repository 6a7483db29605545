//! What the service keeps and must not be able to read aloud: credentials of sources, sealed in the
//! store.
//!
//! ```text
//!  what a client wrote ── CredentialDocument ── seal(context) ──▶ v1.<key id>.<base64>   in the store
//!                              ▲                                        │
//!                              └──────────── open(context) ◀────────────┘
//!                              │
//!                              └─▶ Credential: only egress puts it into a request
//! ```
//!
//! A sealed text belongs to its context, such as `org_x/src_y/credential`: somebody who can write
//! to the database cannot make one tenant use another one's credential by moving a text to another
//! row.
//!
//! - [`keyring`]: the keys, where they come from, sealing and opening, rotation
//! - [`sealed`]: a sealed text, which may be stored and printed
//! - [`credential`]: the credential of a source, as a client writes it and as egress uses it
//! - [`refreshing`]: a refresh token that lives in the store, and its successors

pub mod credential;
pub mod keyring;
mod keys_text;
pub mod refreshing;
pub mod sealed;
mod shared;

pub use credential::CredentialDocument;
pub use keyring::{KEYS_VARIABLE, Keyring, KeysError, OpenError};
pub use refreshing::{Holds, SecretCell};
pub use sealed::Sealed;
pub use shared::SharedKeyring;
