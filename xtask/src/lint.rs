//! `cargo xtask lint`.

use crate::{
    digest,
    process::{cargo, run, succeeds_within},
    target_dir,
};
use anyhow::Result;
use std::{process::Command, time::Duration};

/// A clone of the RustSec database takes a few seconds.
const DATABASE: Duration = Duration::from_secs(120);

pub(crate) fn lint() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    digest::check()?;
    run(Command::new(".ci/install").arg("lint"))?;
    let compiler = target_dir().join("tools/page/node_modules/typescript/bin/tsc");
    run(Command::new("node").arg(compiler).args(["--project", "host/service/src/page"]))?;
    deny()?;
    run(cargo().args(["clippy", "--locked", "--all-targets", "--", "-D", "warnings"]))?;
    // Alone, so that the library is built without the features that the command needs.
    run(cargo().args([
        "clippy",
        "--locked",
        "--package",
        "embed",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo().args(["doc", "--locked", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks the dependencies against `deny.toml`. Advisories come from RustSec's database on GitHub;
/// if it cannot be downloaded, says so.
fn deny() -> Result<()> {
    let deny = || {
        let mut command = Command::new(target_dir().join("tools/deny/bin/cargo-deny"));
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
