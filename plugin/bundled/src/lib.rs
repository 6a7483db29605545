//! The plugin as a WebAssembly component. It is built from the sources beside it whenever they
//! change.

/// The component's bytes.
pub static COMPONENT: &[u8] = include_bytes!(env!("COMPONENT_FILE"));

/// The file with these bytes: an absolute path.
pub const FILE: &str = env!("COMPONENT_FILE");

/// The compiler that built it, as `rustc --version` names it.
pub const COMPILER: &str = env!("COMPONENT_COMPILER");
