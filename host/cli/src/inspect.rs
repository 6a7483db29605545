//! `reverse-sync plugin inspect`: what a plugin asks for, in words.

use crate::{
    exit::{Exit, Failure, OrExit},
    render, terminal, workspace,
};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The plugin; left out: the bundled one
    file: Option<PathBuf>,
}

pub(crate) async fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let component = workspace::load(args.file.as_deref()).await.or_exit(Exit::Usage)?;
    terminal::print(format_args!("{}", render::component(&component, args.file.as_deref())));
    Ok(Exit::Ok)
}
