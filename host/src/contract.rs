//! The types of the contract in `wit/`, generated: what crosses the boundary, without the streams
//! and calls that it crosses by.
//!
//! ```
//! use reverse_sync::contract::{capabilities::Effect, types::ErrorKind};
//!
//! fn is_safe(effect: Effect) -> bool {
//!     effect == Effect::Read
//! }
//! # assert!(is_safe(Effect::Read) && ErrorKind::Cancelled != ErrorKind::Other);
//! ```
#![expect(missing_docs, reason = "the documentation of these items is in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package reverse-sync:host;
        world types {
            import reverse-sync:destination/types@0.1.0;
            import reverse-sync:destination/capabilities@0.1.0;
        }
    ",
    path: "../wit",
    world: "reverse-sync:host/types",
    imports: { default: trappable },
});

pub use self::reverse_sync::destination::{capabilities, types};
