//! The arguments of every command.

use crate::logging::LogArgs;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The project file
    #[arg(long, global = true, value_name = "FILE", default_value = "reverse-sync.toml")]
    pub(crate) project: PathBuf,
    /// Use this plugin instead of the bundled one; the project file has to grant what it asks
    /// for
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) plugin: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}
