//! What the tests need beside Rust: a PostgreSQL server, a browser, Node.js, Python and a clock that jumps.
//!
//! As root on Debian what is missing is installed; elsewhere it is said what to install. Nothing here stops the tests: what
//! could not be had is said, and the tests that need it fail and say so again. Nothing is skipped silently.

use crate::{
    apt,
    packages::{self, Packages},
    process::{output, run},
};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest Node.js that Playwright runs with.
const NODE: u32 = 20;
/// The oldest Python that schemathesis runs with.
const PYTHON: (u32, u32) = (3, 11);

/// A program, or some that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    PostgreSql,
    Chromium,
    Node,
    Python,
    Faketime,
}

const TOOLS: [Tool; 5] = [Tool::PostgreSql, Tool::Chromium, Tool::Node, Tool::Python, Tool::Faketime];

impl Tool {
    /// What has it in Debian.
    fn debian(self) -> &'static [&'static str] {
        match self {
            Tool::PostgreSql => &["postgresql"],
            // Without a font every text of a screenshot is missing.
            Tool::Chromium => &["chromium", "chromium-driver", "fonts-liberation"],
            Tool::Node => &["nodejs", "npm"],
            Tool::Python => &["python3", "python3-venv"],
            Tool::Faketime => &["faketime"],
        }
    }

    /// What a person has to bring who is not root on Debian.
    fn wanted(self) -> String {
        match self {
            Tool::PostgreSql => "PostgreSQL's server (initdb and pg_ctl, in PATH or in /usr/lib/postgresql/*/bin)".to_owned(),
            Tool::Chromium => "Chromium (chromium or google-chrome in PATH)".to_owned(),
            Tool::Node => format!("Node.js {NODE} or later, with npm"),
            Tool::Python => format!("Python {}.{} or later, with venv and ensurepip (python3 in PATH)", PYTHON.0, PYTHON.1),
            Tool::Faketime => "libfaketime (faketime/libfaketimeMT.so.1 below /usr/lib)".to_owned(),
        }
    }

    /// What fails without it.
    fn used_by(self) -> &'static str {
        match self {
            Tool::PostgreSql => "the tests of the service on PostgreSQL",
            Tool::Chromium => "the tests of the page",
            Tool::Node => "lint, the tests of the page and the vendors' clients",
            Tool::Python => "lint, the fuzzing of the API and the vendors' clients",
            Tool::Faketime => "the histories, in which clocks jump",
        }
    }

    fn is_there(self) -> bool {
        let runs = |program: &str| output(program, &["--version"]);
        match self {
            Tool::PostgreSql => {
                postgres_in(Path::new("/usr/lib/postgresql")).is_some() || runs("initdb").is_some() && runs("pg_ctl").is_some()
            }
            Tool::Chromium => ["chromium", "chromium-browser", "google-chrome"].into_iter().any(|program| runs(program).is_some()),
            Tool::Node => runs("node").is_some_and(|version| node_will_do(&version)) && runs("npm").is_some(),
            Tool::Python => {
                output("python3", &["-c", "import venv, ensurepip"]).is_some()
                    && runs("python3").is_some_and(|version| python_will_do(&version))
            }
            Tool::Faketime => faketime_in(Path::new("/usr/lib")),
        }
    }
}

/// What to do about tools that are missing.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Everything is there.
    Nothing,
    /// These, each for itself: one that cannot be had does not keep the others away.
    Install(Vec<&'static [&'static str]>),
    /// Only a person can bring them.
    Explain,
}

fn decide(missing: &[Tool], apt: bool) -> Decision {
    match (missing, apt) {
        ([], _) => Decision::Nothing,
        (missing, true) => Decision::Install(missing.iter().map(|tool| tool.debian()).collect()),
        (_, false) => Decision::Explain,
    }
}

/// What is missing, what it is for and how to get it.
fn explanation(missing: &[Tool]) -> String {
    let mut text = "these are missing, and what needs them will fail:\n".to_owned();
    for tool in missing {
        text.push_str(&format!("  {}, for {}; on Debian: apt-get install {}\n", tool.wanted(), tool.used_by(), tool.debian().join(" ")));
    }
    text
}

/// Finds or installs all of it, and what comes from npm and PyPI on top.
///
/// # Errors
/// Only if the target folder cannot be written.
pub(crate) fn prepare() -> Result<()> {
    let still = find_or_install(&TOOLS);
    let (node, python) = (!still.contains(&Tool::Node), !still.contains(&Tool::Python));
    packages::ensure(Packages::Page, node)?;
    packages::ensure(Packages::Api, python)?;
    packages::ensure(Packages::NodeClients, node)?;
    packages::ensure(Packages::PythonClients, python)
}

/// Holds the page's scripts against their types, with what is found or installed for that.
///
/// # Errors
/// If a type is wrong, or there is no TypeScript to say so.
pub(crate) fn check_types() -> Result<()> {
    packages::ensure(Packages::Page, find_or_install(&[Tool::Node]).is_empty())?;
    let compiler = Packages::Page.dir().join("node_modules/typescript/bin/tsc");
    if !compiler.is_file() {
        bail!(
            "the types of the page's scripts cannot be checked without {}; above is said why it could not be installed",
            compiler.display()
        );
    }
    run(Command::new("node").arg(compiler).args(["--project", "host/service/src/page"]))
}

/// Where cargo-deny is, found or installed.
///
/// # Errors
/// If it cannot be had.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    packages::ensure(Packages::Deny, find_or_install(&[Tool::Python]).is_empty())?;
    let program = Packages::Deny.dir().join("bin/cargo-deny");
    if !program.is_file() {
        bail!("deny.toml cannot be checked without {}; above is said why it could not be installed", program.display());
    }
    Ok(program)
}

/// What cannot be had.
fn find_or_install(tools: &[Tool]) -> Vec<Tool> {
    let missing = || tools.iter().copied().filter(|tool| !tool.is_there()).collect::<Vec<_>>();
    let mut still = missing();
    if let Decision::Install(packages) = decide(&still, apt::available()) {
        for packages in packages {
            if !apt::install(packages) {
                eprintln!("apt-get could not install {}", packages.join(" "));
            }
        }
        still = missing();
    }
    if !still.is_empty() {
        eprint!("{}", explanation(&still));
    }
    still
}

/// The newest of Debian's PostgreSQL servers: the folder of its programs.
fn postgres_in(dir: &Path) -> Option<PathBuf> {
    let version = |dir: &Path| dir.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let newest =
        versions.filter(|dir| dir.join("bin/initdb").is_file() && dir.join("bin/pg_ctl").is_file()).max_by_key(|dir| version(dir))?;
    Some(newest.join("bin"))
}

/// Whether libfaketime is in this folder or in one of its folders.
fn faketime_in(dir: &Path) -> bool {
    let folders = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    std::iter::once(dir.to_owned()).chain(folders).any(|dir| dir.join("faketime/libfaketimeMT.so.1").is_file())
}

/// `v20.20.2`
fn node_will_do(version: &str) -> bool {
    version
        .strip_prefix('v')
        .and_then(|version| version.split('.').next())
        .and_then(|major| major.parse().ok())
        .is_some_and(|major: u32| major >= NODE)
}

/// `Python 3.11.7`
fn python_will_do(version: &str) -> bool {
    let mut numbers = version.strip_prefix("Python ").unwrap_or_default().split('.').map(|number| number.parse::<u32>().ok());
    matches!((numbers.next().flatten(), numbers.next().flatten()), (Some(major), Some(minor)) if (major, minor) >= PYTHON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(decide(&[], true), Decision::Nothing);
        assert_eq!(decide(&[Tool::PostgreSql], true), Decision::Install(vec![&["postgresql"]]));
        assert_eq!(decide(&[Tool::Node, Tool::Python], true), Decision::Install(vec![&["nodejs", "npm"], &["python3", "python3-venv"]]));
    }

    #[test]
    fn without_apt_every_missing_tool_is_explained() {
        assert_eq!(decide(&TOOLS, false), Decision::Explain);
        let text = explanation(&TOOLS);
        for word in
            ["initdb", "Chromium", "Node.js 20", "Python 3.11", "libfaketime", "apt-get install postgresql", "the tests of the page"]
        {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        assert!(!explanation(&[Tool::Node]).contains("postgresql"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(node_will_do("v20.0.0") && node_will_do("v20.20.2") && node_will_do("v100.1.1"));
        assert!(!node_will_do("v9.11.2") && !node_will_do("v18.20.4") && !node_will_do("") && !node_will_do("20.1.1"));
        assert!(python_will_do("Python 3.11.7") && python_will_do("Python 3.13.0rc1") && python_will_do("Python 4.0.0"));
        assert!(!python_will_do("Python 3.9.2") && !python_will_do("Python 2.7.18") && !python_will_do(""));
    }

    #[test]
    fn the_newest_postgresql_with_a_server_is_taken() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("xtask-postgres-{}", std::process::id()));
        for (version, programs) in [("9", vec!["initdb", "pg_ctl"]), ("15", vec!["initdb", "pg_ctl"]), ("17", vec!["psql"])] {
            let bin = dir.join(version).join("bin");
            fs::create_dir_all(&bin)?;
            for program in programs {
                fs::write(bin.join(program), "")?;
            }
        }
        let found = postgres_in(&dir);
        fs::remove_dir_all(&dir)?;
        assert_eq!(found, Some(dir.join("15/bin")));
        assert_eq!(postgres_in(&dir), None);
        Ok(())
    }
}
