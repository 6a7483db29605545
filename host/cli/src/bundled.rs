//! The component that comes with the command. Its grant ships with it: everything it asks for, pinned to its digest.

/// The component's bytes.
pub(crate) static COMPONENT: &[u8] = include_bytes!(env!("REVERSE_SYNC_COMPONENT_FILE"));
