//! Builds the hostile guest as a component.

fn main() {
    let component = component_build::build("reverse-sync-hostile-guest");
    println!("cargo::rustc-env=COMPONENT_FILE={}", component.file.display());
}
