//! The component that comes with the command. Its grant ships with it: everything it asks for,
//! pinned to its digest.

pub(crate) use reverse_sync_component::COMPONENT;
