//! A machine's clock that jumps: libfaketime in front of the service, which reads from a file how
//! far it is off.

use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};

const FILE: &str = "clock";

/// The variables of a service whose clock is what the file in this folder says.
///
/// # Errors
/// Says what to install.
pub(crate) fn variables(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    set(dir, 0)?;
    let file = dir.join(FILE);
    let file = file.to_str().context("a path that is not text")?.to_owned();
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    let variables = [
        ("LD_PRELOAD", library()?),
        ("FAKETIME_TIMESTAMP_FILE", file),
        // Looked at each time, or jumps would come seconds later.
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // A machine's clock jumps; how much time passes does not.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    Ok(variables.map(named).into())
}

/// From now on it is off by so many seconds.
pub(crate) fn set(dir: &Path, seconds: i64) -> anyhow::Result<()> {
    let (file, new) = (dir.join(FILE), dir.join("clock.new"));
    fs::write(&new, format!("{seconds:+}\n"))?;
    Ok(fs::rename(new, file)?)
}

fn library() -> anyhow::Result<String> {
    let folders =
        fs::read_dir("/usr/lib").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let folders = std::iter::once(PathBuf::from("/usr/lib")).chain(folders);
    let known = folders.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file()).context(
        "clocks cannot jump without libfaketime, and there is no faketime/libfaketimeMT.so.1 below /usr/lib. `.ci/install test` installs it as \
         root on Debian; elsewhere install faketime",
    )?;
    Ok(known.to_str().context("a path that is not text")?.to_owned())
}
