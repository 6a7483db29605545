//! A folder that is filled, and then packed.

use super::{Release, empty};
use crate::{process::run, wheel::Profile};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(super) struct Stage {
    pub(super) dir: PathBuf,
}

impl Stage {
    pub(super) fn new(release: &Release, name: &str) -> Result<Stage> {
        Ok(Stage { dir: empty(release.work.join(name))? })
    }

    /// The path of a file in it; its folder is there afterwards.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        Ok(path)
    }

    pub(super) fn folder(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))
    }

    pub(super) fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(path)?;
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn copy(&self, from: &Path, path: impl AsRef<Path>) -> Result<()> {
        fs::copy(from, self.path(path)?)
            .with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    }

    /// Packs what is named, the same whoever packs it where and when. GNU tar can do all of that.
    pub(super) fn tar(&self, release: &Release, entry: &str, to: &str, gzip: bool) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--format=ustar", "--sort=name", "--owner=0", "--group=0"])
            .args(["--numeric-owner", "--mode=u=rwX,go=rX"])
            .arg(format!("--mtime=@{}", release.epoch))
            .args(gzip.then_some(match release.profile {
                Profile::Release => "--use-compress-program=gzip -9 --no-name",
                // Six times as large, and soon thrown away.
                Profile::Debug => "--use-compress-program=gzip -1 --no-name",
            }));
        run(tar
            .arg("--file")
            .arg(release.dir.join(to))
            .arg("--directory")
            .arg(&self.dir)
            .arg(entry))
    }
}
