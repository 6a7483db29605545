//! The example destination as a WebAssembly component. It is built from the sources beside it
//! whenever they change.

/// The component's file: an absolute path.
pub const FILE: &str = env!("COMPONENT_FILE");
