//! `cargo xtask dist`: what a release consists of, in `target/dist`.

use crate::{
    digest::sha256,
    process::{cargo, run},
    root, target_dir,
};
use anyhow::{Context, Result};
use reverse_sync_component::COMPONENT;
use std::{collections::BTreeMap, env::consts::EXE_SUFFIX, fs, path::Path, process::Command};

/// The version of cargo-cyclonedx: built when it is first needed, since nobody offers it built.
const CYCLONEDX: &str = "0.5.9";

pub(crate) fn dist() -> Result<()> {
    let command = format!("reverse-sync{EXE_SUFFIX}");
    run(cargo().args(["build", "--release", "--locked", "--bin", "reverse-sync"]))?;
    let binary = fs::read(target_dir().join("release").join(&command))?;
    let files = BTreeMap::from([
        ("reverse-sync.cdx.json".to_owned(), sbom("host/cli", None)?),
        ("reverse_sync.wasm.cdx.json".to_owned(), sbom("plugin", Some("wasm32-wasip2"))?),
        ("reverse_sync.wasm".to_owned(), COMPONENT.to_vec()),
        (command.clone(), binary),
    ]);

    let dir = target_dir().join("dist");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut sums = String::new();
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
        sums.push_str(&format!("{}  {name}\n", sha256(bytes)));
    }
    fs::write(dir.join("SHA256SUMS"), &sums)?;
    // A copy that was written is not a program yet.
    fs::set_permissions(
        dir.join(&command),
        fs::metadata(target_dir().join("release").join(&command))?.permissions(),
    )?;
    print!("{}:\n{sums}", dir.display());
    Ok(())
}

/// The dependencies of a package, built for this machine or for a target. cargo-cyclonedx writes a
/// file beside the manifest of every package of the workspace: takes the one that was meant,
/// without the path of this machine, and removes them all.
fn sbom(package: &str, target: Option<&str>) -> Result<Vec<u8>> {
    let tools = target_dir().join("tools/cyclonedx");
    run(Command::new("cargo")
        .args([
            "install",
            "--locked",
            "--quiet",
            "cargo-cyclonedx",
            "--version",
            CYCLONEDX,
            "--root",
        ])
        .arg(&tools))?;
    let mut command = Command::new(tools.join("bin/cargo-cyclonedx"));
    command.args([
        "cyclonedx",
        "--quiet",
        "--format",
        "json",
        "--spec-version",
        "1.5",
        "--no-build-deps",
    ]);
    command
        .args(["--override-filename", "sbom.cdx", "--manifest-path"])
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
