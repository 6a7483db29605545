//! Instructions of a record, as callgrind counts them: a figure that no other load of the machine
//! changes.

use crate::{
    null_crm::{self, Reading},
    process::{self, Format},
    table::{Table, Target},
};
use anyhow::Context;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// What starting costs is in both, and in no difference.
const FEW: usize = 2_000;
const MANY: usize = 22_000;

/// Plan and run as whole processes. Without valgrind, nothing.
pub(crate) fn count(table: &mut Table, binary: &Path) -> anyhow::Result<()> {
    let binary = binary.canonicalize()?;
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("valgrind is missing: instructions are NOT MEASURED");
        return Ok(());
    }
    let server = null_crm::start(Duration::ZERO, Reading::Skims)?;
    let mut counts = [[0; 2]; 2];
    for (counts, rows) in counts.iter_mut().zip([FEW, MANY]) {
        let dir = process::project_at(rows, Format::Csv, &format!("http://{}", server.address))?;
        let plan = ["plan", "people", "--offline", "--json"];
        // Valgrind has a processor of its own, for which the component is compiled once.
        counted(&binary, dir.path(), &plan)?;
        let made = Command::new(&binary)
            .args(plan)
            .current_dir(dir.path())
            .env("HUBSPOT_TOKEN", "token")
            .output()?;
        anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
        let id = made["plan_id"].as_str().context("a plan without an id")?;
        let run = ["run", id, "--confirm", "--override", "max_changes"];
        *counts = [counted(&binary, dir.path(), &plan)?, counted(&binary, dir.path(), &run)?];
    }
    for (at, what) in ["plan", "run"].into_iter().enumerate() {
        let each = (counts[1][at] - counts[0][at]) as f64 / (MANY - FEW) as f64;
        table.add(&format!("{what}: instructions of a record"), "", &[each], Target::None);
    }
    Ok(())
}

fn counted(binary: &Path, dir: &Path, arguments: &[&str]) -> anyhow::Result<i64> {
    let out = dir.join("callgrind.out");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(binary)
        .args(arguments)
        .current_dir(dir)
        .env("HUBSPOT_TOKEN", "token")
        .stdout(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "{arguments:?} under valgrind ended with {status}");
    let text = fs::read_to_string(&out)?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    total
        .and_then(|total| total.trim().parse().ok())
        .with_context(|| format!("{}: no total", out.display()))
}
