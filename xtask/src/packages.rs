//! What lint and the tests take from npm and PyPI: pinned by a lock file here, kept below `target/tools`, installed once.
//!
//! A stamp remembers what was installed: the lock file itself, and which Node.js or Python it was installed for. It is written last, so
//! that an installation that broke off is begun anew.

use crate::{
    process::{output, succeeds_within},
    root, target_dir,
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Registries answer slowly at times; a minute is usual.
const LIMIT: Duration = Duration::from_secs(600);

/// What belongs together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packages {
    /// What drives the browser through the page, and checks the types of its scripts: `tests/page`.
    Page,
    /// What fuzzes the API: `tests/api`.
    Api,
    /// The vendors' clients in Python, which judge the simulator: `tests/clients`.
    PythonClients,
    /// Those in Node.js, beside them.
    NodeClients,
    /// cargo-deny, which checks the dependencies against `deny.toml`: `xtask/deny`.
    Deny,
}

/// What they are installed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registry {
    Npm,
    PyPi,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Its folder is not in the repository (yet).
    NothingToInstall,
    /// What it would be installed with is missing.
    Impossible,
    UpToDate,
    Install,
}

fn step(wanted: Option<&str>, stamp: Option<&str>, possible: bool) -> Step {
    match (wanted, stamp) {
        (None, _) => Step::NothingToInstall,
        (Some(wanted), Some(stamp)) if wanted == stamp => Step::UpToDate,
        (Some(_), _) if possible => Step::Install,
        (Some(_), _) => Step::Impossible,
    }
}

impl Packages {
    fn name(self) -> &'static str {
        match self {
            Packages::Page => "page",
            Packages::Api => "api",
            Packages::PythonClients => "clients-python",
            Packages::NodeClients => "clients-node",
            Packages::Deny => "deny",
        }
    }

    fn registry(self) -> Registry {
        match self {
            Packages::Page | Packages::NodeClients => Registry::Npm,
            Packages::Api | Packages::PythonClients | Packages::Deny => Registry::PyPi,
        }
    }

    fn lock_file(self) -> &'static str {
        match self.registry() {
            Registry::Npm => "package-lock.json",
            Registry::PyPi => "requirements.txt",
        }
    }

    /// Where its lock file is.
    fn source(self) -> PathBuf {
        let folder = match self {
            Packages::Page | Packages::Api => Path::new("tests").join(self.name()),
            Packages::PythonClients | Packages::NodeClients => PathBuf::from("tests/clients"),
            Packages::Deny => PathBuf::from("xtask/deny"),
        };
        root().join(folder)
    }

    /// Where it is installed.
    pub(crate) fn dir(self) -> PathBuf {
        target_dir().join("tools").join(self.name())
    }

    fn stamp(self) -> PathBuf {
        self.dir().with_extension("stamp")
    }

    /// What the stamp says once it is installed: for which interpreter, and the lock file.
    fn wanted(self) -> Option<String> {
        let lock = fs::read_to_string(self.source().join(self.lock_file())).ok()?;
        let interpreter = match self.registry() {
            Registry::Npm => "node",
            Registry::PyPi => "python3",
        };
        Some(format!("{}\n{lock}", output(interpreter, &["--version"]).unwrap_or_default()))
    }

    fn install(self) -> Result<bool> {
        let dir = self.dir();
        match self.registry() {
            Registry::Npm => {
                fs::create_dir_all(&dir)?;
                for file in ["package.json", self.lock_file()] {
                    copy(&self.source().join(file), &dir.join(file))?;
                }
                // No package's own script is run: none that is used here needs one.
                let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
                Ok(succeeds_within(Command::new("npm").args(arguments).current_dir(&dir), LIMIT))
            }
            Registry::PyPi => {
                let venv = |arguments: &[&str]| succeeds_within(Command::new("python3").args(arguments).arg(&dir), LIMIT);
                let lock = self.source().join(self.lock_file());
                let pip = || {
                    let arguments = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
                    succeeds_within(Command::new(dir.join("bin/pip")).args(arguments).arg(&lock), LIMIT)
                };
                Ok(venv(&["-m", "venv", "--clear"]) && pip())
            }
        }
    }
}

/// Installs what its lock file names, unless that is there. `possible` says whether there is something to install it with.
///
/// # Errors
/// If the target folder cannot be written. An installation that fails leaves nothing, for the tests that need it to see.
pub(crate) fn ensure(packages: Packages, possible: bool) -> Result<()> {
    let (name, dir, stamp) = (packages.name(), packages.dir(), packages.stamp());
    let wanted = packages.wanted();
    // A stamp without its folder says nothing.
    let found = dir.is_dir().then(|| fs::read_to_string(&stamp).ok()).flatten();
    match step(wanted.as_deref(), found.as_deref(), possible) {
        Step::UpToDate => Ok(()),
        Step::NothingToInstall => {
            eprintln!("{name} has no {}: nothing to install for it", packages.lock_file());
            Ok(())
        }
        Step::Impossible => remove(&dir, &stamp),
        Step::Install => {
            remove(&dir, &stamp)?;
            if packages.install()? {
                return fs::write(&stamp, wanted.unwrap_or_default()).with_context(|| format!("cannot write {}", stamp.display()));
            }
            eprintln!("{} of {name} could not be installed; what needs it will fail", packages.lock_file());
            remove(&dir, &stamp)
        }
    }
}

fn remove(dir: &Path, stamp: &Path) -> Result<()> {
    if stamp.exists() {
        fs::remove_file(stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_is_installed_once_and_again_when_it_changes() {
        assert_eq!(step(Some("v20\nlock"), None, true), Step::Install);
        assert_eq!(step(Some("v20\nlock"), Some("v20\nlock"), true), Step::UpToDate);
        assert_eq!(step(Some("v20\nother"), Some("v20\nlock"), true), Step::Install);
        assert_eq!(step(Some("v22\nlock"), Some("v20\nlock"), true), Step::Install);
    }

    #[test]
    fn without_node_or_python_nothing_old_stays() {
        assert_eq!(step(Some("lock"), None, false), Step::Impossible);
        assert_eq!(step(Some("lock"), Some("older"), false), Step::Impossible);
        assert_eq!(step(None, None, true), Step::NothingToInstall);
        assert_eq!(step(None, None, false), Step::NothingToInstall);
    }
}
