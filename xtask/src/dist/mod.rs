//! `cargo xtask dist`: what a release consists of, in `target/dist`. All of it comes from one
//! build, and from the same commit the same bytes: times are the commit's, owners and order fixed.

mod archive;
mod crates;
mod image;
mod npm;
mod sbom;
mod stage;

use crate::{
    digest::{self, sha256},
    notices,
    process::{cargo, output, run},
    target_dir,
    wheel::{self, Profile},
};
use anyhow::{Context, Result, bail};
use reverse_sync_component::COMPONENT;
use std::{
    env::consts::{ARCH, OS},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the parts of a release are made from, and where they go.
struct Release {
    profile: Profile,
    /// The result.
    dir: PathBuf,
    /// Where parts are put together.
    work: PathBuf,
    /// The command, without what only a debugger reads.
    binary: PathBuf,
    /// The time of the commit, in seconds since 1970.
    epoch: String,
    revision: String,
    /// The licences of what is compiled into the command, and into the plugin.
    notices: String,
    plugin_notices: String,
}

pub(crate) fn dist(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (profile, check) = match arguments[..] {
        [] => (Profile::Release, false),
        ["--check"] => (Profile::Release, true),
        ["--debug"] => (Profile::Debug, false),
        _ => bail!("usage: cargo xtask dist [--check | --debug]"),
    };
    if OS != "linux" {
        bail!("releases are made on Linux so far");
    }
    let git = |arguments: &[&str]| -> Result<String> {
        Ok(output(Command::new("git").args(arguments))?.trim().to_owned())
    };
    if profile == Profile::Release {
        let changed = git(&["status", "--porcelain"])?;
        if !changed.is_empty() {
            bail!("a release is made of a commit; these files are in none:\n{changed}");
        }
        digest::check()?;
    }
    let name = match profile {
        Profile::Release => "dist",
        Profile::Debug => "dist-debug",
    };
    let work = target_dir().join("dist-work").join(profile.name());
    let release = Release {
        profile,
        dir: empty(target_dir().join(name))?,
        binary: work.join("reverse-sync"),
        work: empty(work)?,
        epoch: git(&["log", "-1", "--format=%ct"])?,
        revision: git(&["rev-parse", "HEAD"])?,
        notices: notices::of("reverse-sync-cli", None)?,
        plugin_notices: notices::of("reverse-sync-plugin", Some("wasm32-wasip2"))?,
    };
    let made = release.make()?;
    if check {
        empty(release.dir.clone())?;
        empty(release.work.clone())?;
        let again = release.make()?;
        if made != again {
            bail!(
                "the same commit gave other bytes when it was packed again: first\n{made}then\n{again}"
            );
        }
        // As root on Debian it installs what the tests need; elsewhere it says what is missing.
        run(Command::new(".ci/install").arg("test"))?;
        run(cargo()
            .args(["test", "--locked", "--test", "dist", "--", "--include-ignored"])
            .env("REVERSE_SYNC_DIST", &release.dir))?;
    }
    Ok(())
}

impl Release {
    /// Makes every part, and returns the checksums.
    fn make(&self) -> Result<String> {
        // It builds the command, too.
        let wheel = wheel::make(self.profile, Some(&self.epoch))?;
        wheel::stripped(
            &target_dir().join(self.profile.name()).join("reverse-sync"),
            &self.binary,
        )?;
        self.copy(&wheel)?;
        self.write("reverse_sync.wasm", COMPONENT)?;
        self.write("component.digest", digest::built().as_bytes())?;
        archive::make(self)?;
        npm::make(self)?;
        image::make(self)?;
        crates::make(self)?;
        if self.profile == Profile::Release {
            // A debug build has the same dependencies, and it takes long to build what lists them.
            sbom::make(self)?;
        }
        self.write_sums()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        fs::write(self.dir.join(name), bytes).with_context(|| format!("cannot write {name}"))
    }

    /// Copies a file that is finished.
    fn copy(&self, file: &Path) -> Result<()> {
        let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?;
        fs::copy(file, self.dir.join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    fn write_sums(&self) -> Result<String> {
        let mut names = fs::read_dir(&self.dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        let (mut sums, mut shown) = (String::new(), String::new());
        for name in names {
            let bytes = fs::read(self.dir.join(&name))?;
            let sum = format!("{}  {name}\n", sha256(&bytes));
            shown.push_str(&format!("{:>11}  {sum}", bytes.len()));
            sums.push_str(&sum);
        }
        self.write("SHA256SUMS", sums.as_bytes())?;
        print!("{}:\n{shown}", self.dir.display());
        Ok(sums)
    }
}

/// The platform, as Rust names it.
fn platform() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

/// Makes a folder, without what an earlier call has left in it.
fn empty(dir: PathBuf) -> Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}
