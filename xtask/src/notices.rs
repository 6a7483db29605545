//! The licences of what is compiled into a program. Most of them ask that their text goes along with it.

use crate::process::{cargo, output};
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
};

const NAMES: [&str; 5] = ["LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Of a package's dependencies, for this machine or for a target: what each says of its licence, and
/// the texts that came with it, each text once.
pub(crate) fn of(package: &str, target: Option<&str>) -> Result<String> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro"]);
    tree.args(["--prefix", "none", "--format", "{p}|{l}"]);
    let listed = output(tree.args(target.map(|target| format!("--target={target}"))))?;
    let sources = sources()?;
    let mut packages = BTreeSet::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // `(*)` stands for what was listed before, a path behind the version for our own.
    let lines = listed.lines().map(|line| line.trim_end_matches(" (*)"));
    for line in lines.filter(|line| !line.contains(" (")) {
        let (named, licence) = line.split_once('|').with_context(|| format!("`{line}`"))?;
        if !packages.insert(format!("{named}: {licence}\n")) {
            continue;
        }
        let folder = named.replace(" v", "-");
        let Some(dir) = sources.iter().map(|dir| dir.join(&folder)).find(|dir| dir.is_dir()) else {
            bail!("the source of {named} is not in cargo's home");
        };
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            if path.is_file() && NAMES.iter().any(|known| name.starts_with(known)) {
                let text = String::from_utf8_lossy(&fs::read(&path)?).trim().replace("\r\n", "\n");
                texts.entry(text).or_default().insert(named.to_owned());
            }
        }
    }
    let mut notices = format!(
        "Packages that are compiled into this, with their licences. Their texts follow.\n\n{}",
        packages.into_iter().collect::<String>()
    );
    for (text, named) in texts {
        let named = named.into_iter().collect::<Vec<_>>().join(", ");
        notices.push_str(&format!("\n{}\n{named}\n\n{text}\n", "=".repeat(80)));
    }
    Ok(notices)
}

/// Where cargo keeps the sources of its registries.
fn sources() -> Result<Vec<PathBuf>> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("there is no home folder")?;
    let folder = home.join("registry/src");
    let read =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    read.map(|entry| Ok(entry?.path())).collect()
}
