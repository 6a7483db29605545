//! The host's side of the contract in `wit/`, generated: the calls, and the streams behind which
//! `streams` stands.
//!
//! Embedders need none of it; a host of another kind begins with
//!
//! ```
//! use reverse_sync::bindings::{ReverseSync, ReverseSyncPre};
//! ```
#![expect(missing_docs, reason = "the documentation of these items is in wit/")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "reverse-sync",
    imports: {
        "reverse-sync:destination/streams.[method]records.next": async | trappable,
        "reverse-sync:destination/streams.[method]plan-sink.push": async | trappable,
        "reverse-sync:destination/streams.[method]plan-sink.skip": async | trappable,
        "reverse-sync:destination/streams.[method]plan-sink.drop-column": trappable,
        "reverse-sync:destination/streams.[method]plan-sink.warn": trappable,
        "reverse-sync:destination/streams.[method]plan-sink.guard": trappable,
        "reverse-sync:destination/streams.[method]plan-sink.flag": async | trappable,
        "reverse-sync:destination/streams.[method]plan-sink.joined": trappable,
        "reverse-sync:destination/streams.[method]verify-sink.push": async | trappable,
        "reverse-sync:destination/streams.[method]confirmed.next": async | trappable,
        "reverse-sync:destination/streams.[method]outcome-sink.push": async | trappable,
        "reverse-sync:destination/streams.[method]outcome-sink.remember": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "reverse-sync:destination/types": crate::contract::types,
        "reverse-sync:destination/capabilities": crate::contract::capabilities,
        "reverse-sync:destination/streams.records": crate::streams::RecordsResource,
        "reverse-sync:destination/streams.plan-sink": crate::streams::PlanSinkResource,
        "reverse-sync:destination/streams.confirmed": crate::streams::ConfirmedResource,
        "reverse-sync:destination/streams.outcome-sink": crate::streams::OutcomeSinkResource,
        "reverse-sync:destination/streams.verify-sink": crate::streams::VerifySinkResource,
    },
});

pub use self::reverse_sync::destination::streams;
