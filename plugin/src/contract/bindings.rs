//! Everything that is generated from `wit/`, in one place.

#![expect(missing_docs, reason = "generated code; the contract is documented in wit/")]
#![allow(
    clippy::allow_attributes_without_reason,
    clippy::all,
    unsafe_code,
    unreachable_pub,
    reason = "generated code: unsafe is how the canonical ABI crosses the boundary, and which lints it hits varies by target"
)]

wit_bindgen::generate!({ path: "../wit", world: "reverse-sync", pub_export_macro: true });
