//! The crates that a program needs which embeds the library. `reverse-sync-component` in the
//! repository builds the plugin, with a compiler for WebAssembly; the one that is published has it
//! built.

use super::{Release, VERSION, npm, stage::Stage};
use crate::{
    digest::sha256,
    process::{cargo, run},
    root, target_dir,
};
use anyhow::{Context, Result};
use reverse_sync_component::COMPONENT;
use std::fs;

const FROM_HERE: [&str; 2] = ["reverse-sync-wire", "reverse-sync"];

pub(super) fn make(release: &Release) -> Result<()> {
    // Whether they compile is seen where they are used: dist --check.
    let mut package = cargo();
    package.args(["package", "--locked", "--no-verify", "--allow-dirty"]);
    run(package.args(FROM_HERE.map(|name| format!("--package={name}"))))?;
    for name in FROM_HERE {
        release.copy(&target_dir().join(format!("package/{name}-{VERSION}.crate")))?;
    }

    let stage = Stage::new(release, "component-crate")?;
    stage.write("Cargo.toml", manifest()?)?;
    stage.write("src/lib.rs", library())?;
    stage.write("src/reverse_sync.wasm", COMPONENT)?;
    stage.write("README.md", README)?;
    stage.copy(&root().join("LICENSE"), "LICENSE")?;
    stage.write("THIRD-PARTY", &release.plugin_notices)?;
    let target = release.work.join("component-target");
    run(cargo()
        .args(["package", "--offline", "--allow-dirty", "--manifest-path"])
        .arg(stage.dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target))?;
    release.copy(&target.join(format!("package/{}-{VERSION}.crate", npm::NAME)))
}

/// With what all packages of the workspace have in common.
fn manifest() -> Result<String> {
    let workspace = fs::read_to_string(root().join("Cargo.toml"))?;
    let (_, package) =
        workspace.split_once("[workspace.package]\n").context("no [workspace.package]")?;
    let inherited: Vec<&str> = package
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| {
            line.contains(" = ") && !line.starts_with('#') && !line.starts_with("publish ")
        })
        .collect();
    let inherited = inherited.join("\n");
    Ok(format!(
        r#"[package]
name = "{}"
description = "The plugin of reverse-sync for HubSpot and Salesforce, as a WebAssembly component"
{inherited}
documentation = "https://docs.rs/{0}"
readme = "README.md"
keywords = ["reverse-etl", "hubspot", "salesforce", "crm", "wasm"]
categories = ["wasm", "api-bindings"]

[workspace]
"#,
        npm::NAME
    ))
}

fn library() -> String {
    format!(
        r#"#![doc = include_str!("../README.md")]
#![no_std]

/// The component's bytes.
pub static COMPONENT: &[u8] = include_bytes!("reverse_sync.wasm");

/// The SHA-256 of [`COMPONENT`], as plans and grants pin it.
pub const DIGEST: &str = "sha256:{}";
"#,
        sha256(COMPONENT)
    )
}

const README: &str = "\
# reverse-sync-component

The plugin of [reverse-sync](https://docs.rs/reverse-sync) for HubSpot and Salesforce: a WebAssembly component of the contract
`reverse-sync:destination@0.1.0`, built. `COMPONENT` has its bytes, for `Workspace::builder(…).plugin(COMPONENT)`; `DIGEST` is
their SHA-256.

Licence: Apache-2.0.
";
