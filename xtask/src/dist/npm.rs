//! The npm package: the component and the types that TypeScript has for it. Nothing in it runs by
//! itself.

use super::{Release, VERSION, stage::Stage};
use crate::{
    digest::sha256,
    process::{PERMISSIONS, run},
    root, target_dir,
};
use anyhow::{Result, bail};
use reverse_sync_component::COMPONENT;
use std::process::Command;

pub(crate) const NAME: &str = "reverse-sync-component";

pub(super) fn make(release: &Release) -> Result<()> {
    let tools = target_dir().join("tools/dist");
    if !tools.exists() {
        bail!("{} is not there; `.ci/install test` installs it", tools.display());
    }
    let stage = Stage::new(release, "npm")?;
    stage.write("reverse_sync.wasm", COMPONENT)?;
    run(Command::new("node").arg("xtask/npm/types.mjs").args([
        tools,
        stage.dir.join("reverse_sync.wasm"),
        stage.path("types")?,
    ]))?;
    stage.write("package.json", manifest())?;
    stage.copy(&root().join("xtask/npm/README.md"), "README.md")?;
    stage.copy(&root().join("LICENSE"), "LICENSE")?;
    stage.write("THIRD-PARTY", &release.plugin_notices)?;
    run(Command::new("chmod").args(PERMISSIONS).arg(&stage.dir))?;
    run(Command::new("npm")
        .args(["pack", "--silent", "--ignore-scripts", "--offline"])
        .arg(&stage.dir)
        .arg("--pack-destination")
        .arg(&release.dir))
}

fn manifest() -> String {
    let digest = sha256(COMPONENT);
    format!(
        r#"{{
  "name": "{NAME}",
  "version": "{VERSION}",
  "description": "The plugin of reverse-sync for HubSpot and Salesforce, as a WebAssembly component, with its types",
  "license": "Apache-2.0",
  "keywords": ["reverse-etl", "hubspot", "salesforce", "webassembly", "component"],
  "type": "module",
  "types": "./types/reverse_sync.d.ts",
  "exports": {{
    ".": {{ "types": "./types/reverse_sync.d.ts" }},
    "./reverse_sync.wasm": "./reverse_sync.wasm",
    "./package.json": "./package.json"
  }},
  "files": ["reverse_sync.wasm", "types", "THIRD-PARTY"],
  "component": {{ "file": "reverse_sync.wasm", "digest": "sha256:{digest}" }}
}}
"#
    )
}
