//! What a Python module needs of the linker, which is something on macOS alone.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
