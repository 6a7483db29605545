//! Which Rust can build for wasm32-wasip2 here.
//!
//! Usually rustup brings the target. Where it cannot download, Debian has a Rust with the sources
//! of its library and the C library; linked with rustup's own linker it builds the component, too.
//! A build script installs no packages of the system: it names them.

use crate::TARGET;
use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// rustup hangs where it cannot download.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);
/// How long a failed download is remembered.
const RUSTUP_MEMORY: Duration = Duration::from_secs(24 * 3600);
const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src wasi-libc";

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
}

/// What is known about this machine before anything is tried.
#[derive(Clone, Copy, Debug)]
struct Machine {
    target_installed: bool,
    debian_installed: bool,
    rustup: bool,
    rustup_failed_lately: bool,
}

/// What is there first, then what can be had.
fn steps(machine: Machine) -> Vec<Step> {
    let tried = [
        (Step::UseRustup, machine.target_installed),
        (Step::UseDebian, machine.debian_installed),
        (Step::InstallRustup, machine.rustup && !machine.rustup_failed_lately),
    ];
    tried.into_iter().filter_map(|(step, possible)| possible.then_some(step)).collect()
}

/// Finds a toolchain, or has rustup add the target. Failures of rustup are remembered in this
/// folder.
///
/// # Errors
/// Says what to install.
pub(crate) fn find(dir: &Path) -> io::Result<Toolchain> {
    // Build scripts run side by side, and rustup does not expect another one.
    let lock = fs::File::create(dir.join("toolchain.lock"))?;
    lock.lock()?;
    let sysroot = output(&rustc(), &["--print", "sysroot"]).map(PathBuf::from).unwrap_or_default();
    let has_target = || sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    let linkers =
        sysroot.join("lib/rustlib").join(env::var_os("HOST").unwrap_or_default()).join("bin");
    let linker_there =
        linkers.join("wasm-component-ld").exists() && linkers.join("rust-lld").exists();
    let stamp = dir.join("rustup-cannot-download");
    let machine = Machine {
        target_installed: has_target(),
        debian_installed: linker_there && debian_installed(),
        rustup: output(Path::new("rustup"), &["--version"]).is_some(),
        rustup_failed_lately: age(&stamp).is_some_and(|age| age < RUSTUP_MEMORY),
    };
    for step in steps(machine) {
        match step {
            Step::UseRustup => return Ok(Toolchain::Rustup),
            Step::UseDebian => return Ok(Toolchain::Debian { linkers }),
            Step::InstallRustup => {
                if succeeds_within(
                    Command::new("rustup").args(["target", "add", TARGET]),
                    RUSTUP_LIMIT,
                ) && has_target()
                {
                    return Ok(Toolchain::Rustup);
                }
                fs::write(
                    &stamp,
                    "rustup target add wasm32-wasip2 failed or took too long; delete this file to try again\n",
                )?;
            }
        }
    }
    Err(io::Error::other(format!(
        "nothing here can build for {TARGET}. Install one of these and try again:\n\
         \x20 rustup target add {TARGET}\n\
         \x20 apt-get install {DEBIAN_PACKAGES}   (as root, on Debian; with a Rust from rustup, whose linker is used)"
    )))
}

impl Toolchain {
    /// Its cargo.
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Toolchain::Rustup => {
                Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            }
            Toolchain::Debian { .. } => Command::new("/usr/bin/cargo"),
        }
    }

    /// The compiler, as it names itself.
    pub(crate) fn version(&self) -> io::Result<String> {
        output(&self.rustc(), &["--version"])
            .ok_or_else(|| io::Error::other("rustc does not tell its version"))
    }

    /// Its compiler.
    pub(crate) fn rustc(&self) -> PathBuf {
        match self {
            Toolchain::Rustup => rustc(),
            Toolchain::Debian { .. } => "/usr/bin/rustc".into(),
        }
    }

    /// Has its cargo build with it and with these flags.
    pub(crate) fn configure(&self, cargo: &mut Command, mut flags: Vec<String>) {
        if let Toolchain::Debian { linkers } = self {
            let mut path = OsString::from("/usr/bin");
            for dir in [
                linkers.as_os_str(),
                linkers.join("gcc-ld").as_os_str(),
                &env::var_os("PATH").unwrap_or_default(),
            ] {
                path.push(":");
                path.push(dir);
            }
            cargo.env("PATH", path).env_remove("RUSTUP_TOOLCHAIN");
            // Building the library is an unstable option of cargo.
            cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
            let linking = ["-C", "link-self-contained=no", "-C", "link-arg=-L/usr/lib/wasm32-wasi"]
                .map(str::to_owned);
            flags.splice(0..0, linking);
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    }
}

/// The compiler that runs this.
fn rustc() -> PathBuf {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}

/// Debian's Rust, its sources and the C library.
fn debian_installed() -> bool {
    let rustc = output(Path::new("/usr/bin/rustc"), &["--print", "sysroot"]);
    let sources = rustc
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    sources.is_some_and(|sources| sources.exists())
        && Path::new("/usr/bin/cargo").exists()
        && Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
}

fn age(file: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(fs::metadata(file).ok()?.modified().ok()?).ok()
}

/// What a program prints, if it succeeds.
fn output(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program succeeds within this time. It is killed when the time is over.
fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    // Standard output is cargo's.
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() else {
        return false;
    };
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if started.elapsed() < limit => thread::sleep(Duration::from_millis(100)),
            Ok(None) | Err(_) => {
                // It may have ended by itself just now; either way it is over.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Machine = Machine {
        target_installed: false,
        debian_installed: false,
        rustup: false,
        rustup_failed_lately: false,
    };

    #[test]
    fn what_is_there_comes_before_what_has_to_be_installed() {
        use Step::{InstallRustup, UseDebian, UseRustup};
        let all = Machine {
            target_installed: true,
            debian_installed: true,
            rustup: true,
            rustup_failed_lately: false,
        };
        assert_eq!(steps(all), [UseRustup, UseDebian, InstallRustup]);
        assert_eq!(steps(Machine { rustup: true, ..NOTHING }), [InstallRustup]);
        assert_eq!(steps(Machine { rustup: true, rustup_failed_lately: true, ..NOTHING }), []);
        assert_eq!(steps(NOTHING), []);
    }
}
