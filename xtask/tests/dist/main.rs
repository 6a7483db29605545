//! The release, used where nothing else is: each part is installed into an empty place, and does
//! the example of the specification there.
//!
//! By default a release of the debug build. `cargo xtask dist --check` has the real one tested, and
//! what would take too long for every run.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod archive;
mod crates;
mod example;
mod image;
mod npm;
mod wheel;

use reverse_sync_tests::{printed, xtask};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The release that is checked, if it is the real one.
fn checked() -> Option<PathBuf> {
    env::var_os("REVERSE_SYNC_DIST").map(PathBuf::from)
}

/// The folder of the release. The first test that asks makes it.
fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| checked().unwrap_or_else(made))
}

fn made() -> PathBuf {
    xtask(&["dist", "--debug"], &target());
    target().join("dist-debug")
}

/// The one file of the release whose name begins and ends so.
#[track_caller]
fn file(begin: &str, end: &str) -> PathBuf {
    let files = fs::read_dir(dist()).unwrap().map(|entry| entry.unwrap().path());
    let named = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with(begin) && name.ends_with(end)
    };
    let found: Vec<PathBuf> = files.filter(named).collect();
    assert_eq!(found.len(), 1, "{begin}…{end}: {found:?}");
    found[0].clone()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn target() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// A tool that `.ci/install test` installs.
#[track_caller]
fn tool(path: &str) -> PathBuf {
    let path = target().join("tools").join(path);
    assert!(path.exists(), "{} is not there: `.ci/install test` installs it", path.display());
    path
}

/// A program that finds nothing beside itself: no variable, and in these folders alone other programs.
fn alone(program: &Path, path: &[&Path]) -> Command {
    for dir in path {
        for rust in ["cargo", "rustc"] {
            assert!(!dir.join(rust).exists(), "{} has {rust}", dir.display());
        }
    }
    let mut command = Command::new(program);
    command.env_clear().env("PATH", env::join_paths(path).unwrap());
    command
}

#[track_caller]
fn unpack(archive: &Path, dir: &Path) {
    printed(
        Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(dir),
    );
}

#[test]
#[ignore = "needs Node, Python, umoci: .ci/install test"]
fn the_sums_are_those_of_all_other_files() {
    let listed = fs::read_to_string(file("SHA256SUMS", "")).unwrap();
    assert_eq!(listed.lines().count() + 1, fs::read_dir(dist()).unwrap().count(), "{listed}");
    printed(
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(dist()),
    );
    let component = listed.lines().find(|line| line.ends_with(" reverse_sync.wasm")).unwrap();
    let digest = fs::read_to_string(file("component.digest", "")).unwrap();
    assert_eq!(digest.lines().last().unwrap(), format!("sha256:{}", &component[..64]));
}
