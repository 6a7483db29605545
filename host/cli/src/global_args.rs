//! The arguments of every command, and commands as people type them.

use crate::logging::LogArgs;
use clap::Args;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The project file's name, where none is given.
const PROJECT: &str = "reverse-sync.toml";

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The project file
    #[arg(long, global = true, value_name = "FILE", default_value = PROJECT)]
    pub(crate) project: PathBuf,
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
    /// Keeps what [`typed`] repeats.
    pub(crate) fn remember(&self) {
        let mut repeated = String::new();
        if self.project != Path::new(PROJECT) {
            repeated.push_str(&format!(" --project {}", quoted(&self.project.to_string_lossy())));
        }
        if let Some(plugin) = &self.plugin {
            repeated.push_str(&format!(" --plugin {}", quoted(&plugin.to_string_lossy())));
        }
        let _ = REPEATED.set(repeated);
    }
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
