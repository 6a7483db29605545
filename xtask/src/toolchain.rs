//! Which toolchain can build for wasm32-wasip2 here.
//!
//! With a network, rustup brings the target. Where it cannot download, Debian has a Rust with the sources of its
//! library (`rustc-web`, `cargo-web`, `rust-web-src`) and the C library (`wasi-libc`); linked with rustup's own
//! linker they build the same component. The first way that works is taken, and what is there already comes before what
//! has to be installed, so that only a new machine waits.

use crate::{
    apt,
    process::{output, succeeds_within},
    target_dir,
};
use anyhow::{Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// rustup hangs where it cannot download.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);
/// How long a failed download is remembered.
const RUSTUP_MEMORY: Duration = Duration::from_secs(24 * 3600);
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

/// A way to build for wasm32-wasip2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The Rust that runs this has the target.
    Rustup,
    /// Debian's Rust builds the library too; the linker is in this folder of rustup's.
    Debian {
        /// Where `rust-lld` and `wasm-component-ld` are.
        linkers: PathBuf,
    },
}

/// What can be tried, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    UseRustup,
    UseDebian,
    InstallRustup,
    InstallDebian,
}

/// What is known about this machine before anything is tried.
#[derive(Clone, Copy, Debug)]
struct Machine {
    target_installed: bool,
    debian_installed: bool,
    rustup: bool,
    rustup_failed_lately: bool,
    apt: bool,
}

/// What is there first, then what can be had.
fn steps(machine: Machine) -> Vec<Step> {
    let mut steps = Vec::new();
    if machine.target_installed {
        steps.push(Step::UseRustup);
    }
    if machine.debian_installed {
        steps.push(Step::UseDebian);
    }
    if machine.rustup && !machine.rustup_failed_lately {
        steps.push(Step::InstallRustup);
    }
    if machine.apt {
        steps.push(Step::InstallDebian);
    }
    steps
}

/// Finds or installs a toolchain.
///
/// # Errors
/// Explains what to install.
pub(crate) fn find() -> Result<Toolchain> {
    let sysroot = output("rustc", &["--print", "sysroot"]).map(PathBuf::from).unwrap_or_default();
    let linkers = sysroot.join("lib/rustlib").join(host()).join("bin");
    let has_target = || sysroot.join("lib/rustlib/wasm32-wasip2/lib").is_dir();
    let stamp = target_dir().join("rustup-cannot-download");
    let machine = Machine {
        target_installed: has_target(),
        debian_installed: debian_installed(),
        rustup: output("rustup", &["--version"]).is_some(),
        rustup_failed_lately: age(&stamp).is_some_and(|age| age < RUSTUP_MEMORY),
        apt: apt::available(),
    };
    let linker_there = linkers.join("wasm-component-ld").exists() && linkers.join("rust-lld").exists();
    for step in steps(machine) {
        match step {
            Step::UseRustup => return Ok(say(Toolchain::Rustup, "the target is installed")),
            Step::UseDebian if linker_there => return Ok(say(Toolchain::Debian { linkers }, "Debian's packages are installed")),
            Step::InstallRustup => {
                let limit =
                    env::var("XTASK_RUSTUP_SECONDS").ok().and_then(|text| text.parse().ok()).map_or(RUSTUP_LIMIT, Duration::from_secs);
                if succeeds_within(Command::new("rustup").args(["target", "add", "wasm32-wasip2"]), limit) && has_target() {
                    return Ok(say(Toolchain::Rustup, "rustup has just installed the target"));
                }
                eprintln!("rustup could not bring the target; trying Debian's packages");
                fs::create_dir_all(target_dir())?;
                fs::write(&stamp, "rustup target add wasm32-wasip2 failed or took too long; delete this file to try again\n")?;
            }
            Step::InstallDebian if linker_there => {
                if apt::install(&DEBIAN_PACKAGES) && debian_installed() {
                    return Ok(say(Toolchain::Debian { linkers }, "Debian's packages have just been installed"));
                }
            }
            Step::UseDebian | Step::InstallDebian => {
                eprintln!("Debian's packages need the linkers in {}, which this Rust does not have", linkers.display())
            }
        }
    }
    bail!(
        "nothing here can build for wasm32-wasip2. Install one of these and try again:\n\
         \x20 rustup target add wasm32-wasip2\n\
         \x20 apt-get install {}   (as root, on Debian; with a Rust from rustup, whose linker is used)",
        DEBIAN_PACKAGES.join(" ")
    )
}

fn say(toolchain: Toolchain, why: &str) -> Toolchain {
    let name = match toolchain {
        Toolchain::Rustup => "rustup's Rust",
        Toolchain::Debian { .. } => "Debian's Rust with its own standard library",
    };
    eprintln!("component: built with {name} ({why})");
    toolchain
}

/// Debian's Rust, its sources and the C library.
fn debian_installed() -> bool {
    let rustc = output("/usr/bin/rustc", &["--print", "sysroot"]);
    let sources = rustc.map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    sources.is_some_and(|sources| sources.exists())
        && Path::new("/usr/bin/cargo").exists()
        && Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
}

/// The platform this runs on, as rustc names it.
fn host() -> String {
    let version = output("rustc", &["-vV"]).unwrap_or_default();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("x86_64-unknown-linux-gnu").to_owned()
}

fn age(file: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(fs::metadata(file).ok()?.modified().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Machine =
        Machine { target_installed: false, debian_installed: false, rustup: false, rustup_failed_lately: false, apt: false };

    #[test]
    fn what_is_there_comes_before_what_has_to_be_installed() {
        use Step::{InstallDebian, InstallRustup, UseDebian, UseRustup};
        let all = Machine { target_installed: true, debian_installed: true, rustup: true, rustup_failed_lately: false, apt: true };
        assert_eq!(steps(all), [UseRustup, UseDebian, InstallRustup, InstallDebian]);
        assert_eq!(steps(Machine { rustup: true, apt: true, ..NOTHING }), [InstallRustup, InstallDebian]);
        assert_eq!(steps(Machine { rustup: true, rustup_failed_lately: true, apt: true, ..NOTHING }), [InstallDebian]);
        assert_eq!(steps(NOTHING), []);
    }
}
