//! What a shell and `man` know of this command, made from its definition.

use crate::{
    exit::{Exit, Failure, OrExit},
    terminal,
};
use anyhow::Context;
use clap::Args;
use clap_complete::Shell;
use std::{fs, io::Write, path::PathBuf};

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder that the pages are written to
    dir: PathBuf,
}

/// Prints the script that a shell completes the command with.
pub(crate) fn completions(
    mut command: clap::Command,
    args: &CompletionsArgs,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "reverse-sync", &mut script);
    terminal::out().write_all(&script).or_exit(Exit::Usage)?;
    Ok(Exit::Ok)
}

/// Writes the man pages, one for each command.
pub(crate) fn man(command: clap::Command, args: &ManArgs) -> Result<Exit, Failure> {
    let dir = &args.dir;
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .with_context(|| format!("cannot write the man pages to {}", dir.display()))
        .or_exit(Exit::Usage)?;
    Ok(Exit::Ok)
}
