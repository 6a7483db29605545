//! The dependencies of what is built, as CycloneDX lists them.

use super::Release;
use crate::{process::run, root, target_dir};
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

/// The version of cargo-cyclonedx: built when it is first needed, since nobody offers it built.
const CYCLONEDX: &str = "0.5.9";

pub(super) fn make(release: &Release) -> Result<()> {
    let tools = target_dir().join("tools/cyclonedx");
    let install = ["install", "--locked", "--quiet", "cargo-cyclonedx", "--version", CYCLONEDX];
    run(Command::new("cargo").args(install).arg("--root").arg(&tools))?;
    let tool = tools.join("bin/cargo-cyclonedx");
    for (package, target, name) in [
        ("host/cli", None, "reverse-sync.cdx.json"),
        ("python", None, "reverse_sync-python.cdx.json"),
        ("plugin", Some("wasm32-wasip2"), "reverse_sync.wasm.cdx.json"),
    ] {
        release.write(name, &sbom(release, &tool, package, target)?)?;
    }
    Ok(())
}

/// The dependencies of a package, built for this machine or for a target. cargo-cyclonedx writes a
/// file beside the manifest of every package of the workspace: takes the one that was meant,
/// without the path of this machine, and removes them all.
fn sbom(release: &Release, tool: &Path, package: &str, target: Option<&str>) -> Result<Vec<u8>> {
    let mut command = Command::new(tool);
    command.env("SOURCE_DATE_EPOCH", &release.epoch);
    command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
    command
        .args(["--no-build-deps", "--override-filename", "sbom.cdx", "--manifest-path"])
        .arg(Path::new(package).join("Cargo.toml"));
    run(command.args(target.map(|target| format!("--target={target}"))))?;
    let made = fs::read_to_string(Path::new(package).join("sbom.cdx.json"));
    let others = Command::new("git").args(["ls-files", "--others", "*sbom.cdx.json"]).output()?;
    for other in String::from_utf8(others.stdout)?.lines() {
        fs::remove_file(other).with_context(|| format!("cannot remove {other}"))?;
    }
    let made = made.with_context(|| format!("cargo-cyclonedx wrote nothing for {package}"))?;
    Ok(made.replace(&format!("file://{}", root().display()), "file:///reverse-sync").into_bytes())
}
