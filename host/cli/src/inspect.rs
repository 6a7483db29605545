//! `reverse-sync plugin inspect`: what a plugin asks for, in words.

use crate::{
    bundled,
    exit::{Exit, Failure, OrExit},
    metadata::Metadata,
    render, terminal, workspace,
};
use anyhow::Context;
use clap::Args;
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The plugin; left out: the bundled one
    file: Option<PathBuf>,
    /// List the packages that the file says were compiled into it
    #[arg(long)]
    dependencies: bool,
}

pub(crate) async fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let component = workspace::load(args.file.as_deref()).await.or_exit(Exit::Usage)?;
    let metadata = match &args.file {
        None => Metadata::of(bundled::COMPONENT),
        Some(path) => Metadata::of(
            &fs::read(path)
                .with_context(|| format!("cannot read {}", path.display()))
                .or_exit(Exit::Usage)?,
        ),
    };
    let file = args.file.as_deref();
    let rendered = render::component(&component, &metadata, args.dependencies, file);
    terminal::print(format_args!("{rendered}"));
    Ok(Exit::Ok)
}
