//! The dependencies of the command and the component: the check of `deny.toml`, and the SBOM.

use crate::{
    component,
    process::{output, run, succeeds_within},
    root, target_dir, tools,
};
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command, time::Duration};

/// A clone of the RustSec database takes a few seconds.
const DATABASE: Duration = Duration::from_secs(120);

/// Checks the dependencies against `deny.toml`. Advisories come from RustSec's database on GitHub; if it cannot be downloaded, says so.
pub(crate) fn check() -> Result<()> {
    let program = tools::cargo_deny()?;
    let deny = || {
        let mut command = Command::new(&program);
        command.args(["--locked", "--log-level", "error"]);
        command
    };
    run(deny().args(["check", "bans", "licenses", "sources"]))?;
    if !succeeds_within(deny().args(["fetch", "db"]), DATABASE) {
        eprintln!("advisories: NOT CHECKED, RustSec's database cannot be downloaded");
        return Ok(());
    }
    run(deny().args(["check", "advisories"]))
}

/// The version of cargo-cyclonedx: built when it is first needed, since nobody offers it built.
const CYCLONEDX: &str = "0.5.9";
/// What is made: its name in `target/sbom`, its package, and the target it is built for if that is not this machine.
const PRODUCTS: [(&str, &str, Option<&str>); 2] =
    [("reverse-sync", "host/cli", None), ("reverse_sync.wasm", "plugin", Some(component::TARGET))];

/// Writes the SBOMs.
pub(crate) fn list() -> Result<()> {
    let tools = target_dir().join("tools/cyclonedx");
    run(Command::new("cargo").args(["install", "--locked", "--quiet", "cargo-cyclonedx", "--version", CYCLONEDX, "--root"]).arg(&tools))?;
    let dir = target_dir().join("sbom");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (product, package, target) in PRODUCTS {
        let mut command = Command::new(tools.join("bin/cargo-cyclonedx"));
        command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--no-build-deps"]);
        command.args(["--override-filename", UNFINISHED, "--manifest-path"]).arg(Path::new(package).join("Cargo.toml"));
        run(command.args(target.map(|target| format!("--target={target}"))))?;
        let made = read_and_remove(package)?;
        let file = dir.join(format!("{product}.cdx.json"));
        fs::write(&file, made).with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("sbom: {}", file.display());
    }
    Ok(())
}

/// What cargo-cyclonedx calls its files.
const UNFINISHED: &str = "sbom.cdx";

/// cargo-cyclonedx writes a file for every package of the workspace, beside its manifest. Takes the one that was meant, without the path of this machine.
fn read_and_remove(package: &str) -> Result<String> {
    let file = format!("{UNFINISHED}.json");
    let made =
        fs::read_to_string(Path::new(package).join(&file)).with_context(|| format!("cargo-cyclonedx wrote nothing for {package}"))?;
    let others = output("git", &["ls-files", "--others", &format!("*{file}")]).unwrap_or_default();
    for other in others.lines() {
        fs::remove_file(other).with_context(|| format!("cannot remove {other}"))?;
    }
    Ok(made.replace(&format!("file://{}", root().display()), "file:///reverse-sync"))
}
