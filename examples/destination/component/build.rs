//! Builds the example destination as a component.

fn main() {
    let component = component_build::build("example-destination");
    println!("cargo::rustc-env=COMPONENT_FILE={}", component.file.display());
}
