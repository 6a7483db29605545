//! The arguments of every command, and commands as people type them.

use crate::logging::LogArgs;
use clap::Args;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The project file's name, where none is given.
const PROJECT: &str = "reverse-sync.toml";

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The project file, or its folder [default: reverse-sync.toml, here or in a folder above]
    #[arg(long, global = true, value_name = "FILE")]
    project: Option<PathBuf>,
    /// Use this plugin instead of the bundled one; the project file has to grant what it asks
    /// for
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) plugin: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Options that every command has to repeat that is printed to be typed.
static REPEATED: OnceLock<String> = OnceLock::new();

impl GlobalArgs {
    /// The project file that is there: the one that was named, or the one of this folder, or of the
    /// nearest folder above that has one.
    pub(crate) fn project(&self) -> PathBuf {
        if self.project.is_some() || Path::new(PROJECT).exists() {
            return self.new_project();
        }
        let here = std::env::current_dir().unwrap_or_default();
        let mut above = here.ancestors().skip(1).map(|dir| dir.join(PROJECT));
        // Somebody else's file would say where this user's tokens go.
        above
            .find(|file| file.is_file())
            .filter(|file| is_ours(file))
            .unwrap_or_else(|| PROJECT.into())
    }

    /// Where a new project file goes.
    pub(crate) fn new_project(&self) -> PathBuf {
        match &self.project {
            Some(path) if path.is_dir() => path.join(PROJECT),
            Some(path) => path.clone(),
            None => PROJECT.into(),
        }
    }

    /// Keeps what [`typed`] repeats.
    pub(crate) fn remember(&self) {
        let mut repeated = String::new();
        for (name, path) in [("project", &self.project), ("plugin", &self.plugin)] {
            if let Some(path) = path {
                repeated.push_str(&format!(" --{name} {}", quoted(&path.to_string_lossy())));
            }
        }
        let _ = REPEATED.set(repeated);
    }
}

#[cfg(unix)]
fn is_ours(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::geteuid().as_raw();
    fs::metadata(file).is_ok_and(|file| file.uid() == ours || file.uid() == 0)
}

#[cfg(not(unix))]
fn is_ours(file: &Path) -> bool {
    fs::metadata(file).is_ok()
}

/// A command as it is to be typed, with the options of this one that it needs too.
pub(crate) fn typed(command: impl fmt::Display) -> String {
    format!("reverse-sync {command}{}", REPEATED.get().map_or("", String::as_str))
}

/// A word of a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, typed) in [
            ("a/b.toml", "a/b.toml"),
            ("my file", "'my file'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }
}
