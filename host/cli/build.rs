//! Finds the component that the command embeds. It is built for another target, so `cargo xtask` builds it first and
//! `.cargo/config.toml` says where it is.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=REVERSE_SYNC_COMPONENT");
    match env::var("REVERSE_SYNC_COMPONENT") {
        Ok(path) if Path::new(&path).is_file() => {
            println!("cargo::rerun-if-changed={path}");
            println!("cargo::rustc-env=REVERSE_SYNC_COMPONENT_FILE={path}");
        }
        Ok(path) => {
            println!(
                "cargo::error=the component {path} is not built yet; run `cargo xtask component`, or `cargo xtask build` for everything"
            );
        }
        Err(_) => println!(
            "cargo::error=REVERSE_SYNC_COMPONENT does not say where the component is; run cargo from inside the repository, or use `cargo xtask build`"
        ),
    }
}
