//! For build scripts: builds a package of this workspace as a WebAssembly component, so that plain
//! cargo builds everything and nothing can embed or test an old component.
//!
//! The component has to come out the same wherever it is built, because grants and plans pin its
//! digest. So it is built with its own cargo, alone (built together, two components would share the
//! features of their dependencies), without the variables of the outer cargo, and with the paths of
//! this machine replaced.

#![expect(clippy::print_stdout, reason = "that is how a build script talks to cargo")]

mod metadata;
mod sources;
mod toolchain;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus},
};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "component";

/// A component that was just built.
#[derive(Debug)]
pub struct Component {
    /// Its file, in `OUT_DIR`.
    pub file: PathBuf,
    /// The compiler, as `rustc --version` names it. Another one makes another component.
    pub compiler: String,
}

/// Builds a package, and has cargo run the build script again when anything that it is built from
/// changes.
///
/// A failure is explained to cargo, and ends the build script.
#[must_use]
pub fn build(package: &str) -> Component {
    attempt(package).unwrap_or_else(|error| {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
        process::exit(1)
    })
}

impl Component {
    /// Copies it to this path in cargo's target folder.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn copy_to(&self, path: &str) -> io::Result<()> {
        write_if_changed(&target_dir(&out_dir()?).join(path), &fs::read(&self.file)?)
    }
}

fn attempt(package: &str) -> io::Result<Component> {
    let out_dir = out_dir()?;
    // A folder of its own, so that neither cargo waits for the other's lock.
    let target_dir = target_dir(&out_dir).join("wasm");
    fs::create_dir_all(&target_dir)?;
    let root = workspace()?;
    let toolchain = toolchain::find(&target_dir)?;

    let cargo = || {
        let mut cargo = toolchain.cargo();
        remove_outer_variables(&mut cargo);
        cargo.env("RUSTC", toolchain.rustc()).current_dir(&root);
        cargo
    };
    let mut building = cargo();
    toolchain.configure(&mut building, remapped(&root, &target_dir)?);
    building.args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
        "--package",
        package,
    ]);
    let status = building.arg("--target-dir").arg(&target_dir).status()?;
    if !status.success() {
        return Err(failed(package, status));
    }

    let name = package.replace('-', "_");
    let built = target_dir.join(TARGET).join(PROFILE).join(format!("{name}.wasm"));
    let to_root = to_root(&root)?;
    for path in sources::of(&built.with_extension("d"), &root)? {
        // Relative to the package: another clone that shares the target folder looks at its own.
        let path =
            path.strip_prefix(&root).map_or_else(|_| path.clone(), |path| to_root.join(path));
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let file = out_dir.join(format!("{name}.wasm"));
    write_if_changed(&file, &metadata::add(&fs::read(&built)?, package, cargo)?)?;
    Ok(Component { file, compiler: toolchain.version()? })
}

fn failed(package: &str, status: ExitStatus) -> io::Error {
    io::Error::other(format!(
        "{package} cannot be built for {TARGET} ({status}); what its cargo printed is below, under `--- stderr`"
    ))
}

/// A name that is not UTF-8 is a path as good as any other.
fn variable(name: &str) -> io::Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(format!("{name} is not set: this runs in build scripts")))
}

fn out_dir() -> io::Result<PathBuf> {
    variable("OUT_DIR")
}

/// Cargo's target folder: `OUT_DIR` is `TARGET_DIR/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target_dir(out_dir: &Path) -> PathBuf {
    let dir = out_dir.ancestors().nth(4).unwrap_or(out_dir);
    let triple = env::var_os("TARGET");
    if triple.is_some() && dir.file_name() == triple.as_deref() {
        dir.parent().unwrap_or(dir).to_owned()
    } else {
        dir.to_owned()
    }
}

/// The workspace: the folder with the `Cargo.lock`.
fn workspace() -> io::Result<PathBuf> {
    let package = variable("CARGO_MANIFEST_DIR")?;
    let root = package.ancestors().find(|dir| dir.join("Cargo.lock").is_file());
    root.map(Path::to_owned)
        .ok_or_else(|| io::Error::other(format!("no Cargo.lock above {}", package.display())))
}

/// The way from the package up to the workspace.
fn to_root(root: &Path) -> io::Result<PathBuf> {
    let package = variable("CARGO_MANIFEST_DIR")?;
    let below = package.strip_prefix(root).unwrap_or(Path::new(""));
    Ok(below.components().map(|_| "..").collect())
}

/// The flags that put a name in place of each path of this machine.
fn remapped(root: &Path, target_dir: &Path) -> io::Result<Vec<String>> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let cargo_home = cargo_home.ok_or_else(|| io::Error::other("there is no home folder"))?;
    // The last that matches counts.
    let names =
        [(cargo_home.as_path(), "/cargo"), (root, "/reverse-sync"), (target_dir, "/target")];
    Ok(names.map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display())).into())
}

/// Removes what the outer cargo (`clippy`, `doc`, `xtask fuzz`, a profile) has set for itself, and
/// what would change the component.
fn remove_outer_variables(cargo: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_outer) {
            cargo.env_remove(name);
        }
    }
}

/// What cargo, rustc and build scripts read.
const READ: [&str; 11] = [
    "CARGO",
    "CLIPPY_",
    "DEBUG",
    "DEP_",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUST",
    "TARGET",
];
/// Of these, what says where things come from, and how many jobs there may be.
const KEPT: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_MAKEFLAGS",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "RUSTUP_",
];

fn is_outer(name: &str) -> bool {
    READ.iter().any(|read| name.starts_with(read))
        && !KEPT.iter().any(|kept| name.starts_with(kept))
}

/// Whoever reads the file is built again when it is written.
fn write_if_changed(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(file, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_cargo_has_set_is_removed() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "CARGO_PROFILE_RELEASE_LTO",
        ] {
            assert!(is_outer(name), "{name}");
        }
        for name in [
            "CLIPPY_ARGS",
            "CARGO_FEATURE_DEFAULT",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_CFG_UNIX",
            "RUSTDOCFLAGS",
        ] {
            assert!(is_outer(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_MAKEFLAGS",
            "RUSTUP_TOOLCHAIN",
            "HTTPS_PROXY",
        ] {
            assert!(!is_outer(name), "{name}");
        }
    }
}
