//! Builds the plugin as a component.

fn main() -> std::io::Result<()> {
    let component = component_build::build("reverse-sync-plugin");
    println!("cargo::rustc-env=COMPONENT_FILE={}", component.file.display());
    println!("cargo::rustc-env=COMPONENT_COMPILER={}", component.compiler);
    // For people: the documentation names this path.
    component.copy_to("component/reverse_sync.wasm")
}
