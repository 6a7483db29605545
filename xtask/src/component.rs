//! Building components, and putting them where those who embed them look.

use crate::{
    process::run,
    target_dir,
    toolchain::{self, Toolchain},
};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "component";

/// The bundled component.
pub(crate) fn file() -> PathBuf {
    target_dir().join("component/reverse_sync.wasm")
}

/// Builds the component, and with `guests` the one that breaks the rules.
pub(crate) fn build(guests: bool) -> Result<()> {
    let toolchain = toolchain::find()?;
    // One folder of its own: the Rust that builds it may be another one than the host's.
    let dir = target_dir().join("wasm");
    let mut command = command(&toolchain)?;
    command.args(["build", "--profile", PROFILE, "--target", TARGET, "--package", "reverse-sync-plugin"]);
    if guests {
        command.args(["--package", "reverse-sync-hostile-guest"]);
    }
    command.arg("--target-dir").arg(&dir);
    run(&mut command)?;
    let built = dir.join(TARGET).join(PROFILE);
    put(&built.join("reverse_sync_plugin.wasm"), &file())?;
    if guests {
        put(&built.join("reverse_sync_hostile_guest.wasm"), &file().with_file_name("hostile_guest.wasm"))?;
    }
    Ok(())
}

fn command(toolchain: &Toolchain) -> Result<Command> {
    match toolchain {
        Toolchain::Rustup => {
            let mut cargo = crate::process::cargo();
            cargo.arg("--locked");
            Ok(cargo)
        }
        Toolchain::Debian { linkers } => {
            let mut path = OsString::from("/usr/bin:");
            path.push(linkers);
            path.push(":");
            path.push(linkers.join("gcc-ld"));
            path.push(":");
            path.push(env::var_os("PATH").unwrap_or_default());
            let mut cargo = Command::new("/usr/bin/cargo");
            cargo
                .arg("--locked")
                .args(["-Z", "build-std=std,panic_abort"])
                .env("PATH", path)
                .env("RUSTC", "/usr/bin/rustc")
                // Building the library is an unstable option of cargo.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", "-C link-self-contained=no -C link-arg=-L/usr/lib/wasm32-wasi");
            // What rustup and the outer cargo have set is about another Rust.
            for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC_WRAPPER", "RUSTDOC", "CARGO_ENCODED_RUSTFLAGS"] {
                cargo.env_remove(name);
            }
            Ok(cargo)
        }
    }
}

/// Copies a component if it is another one than the one that is there: whoever embeds it is built again otherwise.
fn put(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("the build left no {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(to, &bytes)?;
    eprintln!("component: {} ({} KB)", to.display(), bytes.len() / 1_000);
    Ok(())
}
