//! Building components, and putting them where those who embed them look.

use crate::{
    process::run,
    target_dir,
    toolchain::{self, Toolchain},
};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const TARGET: &str = "wasm32-wasip2";
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
    // One at a time: built together, they would share the features of what both depend on, and be other components.
    for package in ["reverse-sync-plugin", "reverse-sync-hostile-guest"].into_iter().take(if guests { 2 } else { 1 }) {
        let mut command = command(&toolchain, &dir)?;
        command.args(["build", "--profile", PROFILE, "--target", TARGET, "--package", package, "--target-dir"]).arg(&dir);
        run(&mut command)?;
    }
    let built = dir.join(TARGET).join(PROFILE);
    put(&built.join("reverse_sync_plugin.wasm"), &file())?;
    if guests {
        put(&built.join("reverse_sync_hostile_guest.wasm"), &file().with_file_name("hostile_guest.wasm"))?;
    }
    Ok(())
}

/// Where a release says which component it has.
const RECORD: &str = "plugin/component.digest";

/// Holds the component that was built against the one on record. Another compiler makes another one.
pub(crate) fn check() -> Result<()> {
    let built = record()?;
    let kept = fs::read_to_string(RECORD).with_context(|| format!("{RECORD} is not there; `cargo xtask component --record` writes it"))?;
    let compiler = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    if compiler(&kept) != compiler(&built) {
        println!("component: on record is one by {}, and this is {}; they cannot be compared", compiler(&kept), compiler(&built));
    } else if kept != built {
        bail!(
            "the component is not the one in {RECORD}:\n{built}If it was changed on purpose, `cargo xtask component --record` puts it on record"
        );
    }
    Ok(())
}

/// Puts the component that was built on record.
pub(crate) fn keep() -> Result<()> {
    Ok(fs::write(RECORD, record()?)?)
}

fn record() -> Result<String> {
    let compiler = match toolchain::find()? {
        Toolchain::Rustup => Command::new("rustc").arg("--version").output()?,
        Toolchain::Debian { .. } => Command::new("/usr/bin/rustc").arg("--version").output()?,
    };
    let compiler = String::from_utf8(compiler.stdout)?;
    let digest: String = Sha256::digest(fs::read(file())?).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}\nsha256:{digest}\n", compiler.trim()))
}

/// Paths of this machine, and what stands for them in a component: its digest is pinned by grants and plans, so it may not say where it was built.
fn remapped(dir: &Path) -> Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let mut flags = Vec::new();
    // The last that fits counts.
    for (path, name) in [(home, "/cargo"), (Some(env::current_dir()?), "/reverse-sync"), (Some(dir.to_owned()), "/target")] {
        let path = path.context("there is no home folder")?;
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags)
}

fn command(toolchain: &Toolchain, dir: &Path) -> Result<Command> {
    let remapped = remapped(dir)?;
    match toolchain {
        Toolchain::Rustup => {
            let mut cargo = crate::process::cargo();
            cargo.arg("--locked").env("CARGO_ENCODED_RUSTFLAGS", remapped.join("\x1f"));
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
                .env("CARGO_ENCODED_RUSTFLAGS", {
                    let linking = ["-C", "link-self-contained=no", "-C", "link-arg=-L/usr/lib/wasm32-wasi"].map(str::to_owned);
                    linking.into_iter().chain(remapped).collect::<Vec<_>>().join("\x1f")
                });
            // What rustup and the outer cargo have set is about another Rust.
            for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC_WRAPPER", "RUSTDOC"] {
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
