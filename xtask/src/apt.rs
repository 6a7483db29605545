//! Debian's package manager, where it is and where we may use it.

use crate::process::{output, succeeds_within};
use std::{process::Command, sync::OnceLock, time::Duration};

const LIMIT: Duration = Duration::from_secs(600);

/// Whether packages can be installed: on Debian and its kin, as root.
pub(crate) fn available() -> bool {
    output("apt-get", &["--version"]).is_some() && output("id", &["-u"]).as_deref() == Some("0")
}

/// Installs packages, and says whether that went well.
pub(crate) fn install(packages: &[&str]) -> bool {
    // Once is enough, and it may be long ago that somebody asked for the lists.
    static LISTS: OnceLock<bool> = OnceLock::new();
    let apt = |arguments: &[&str]| succeeds_within(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"), LIMIT);
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    *LISTS.get_or_init(|| apt(&["update"])) && apt(&install)
}
