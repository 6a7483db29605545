//! The release archive: the command with its completions and man pages, and the plugin, as they are
//! laid below `/usr/local` or `~/.local`.

use super::{Release, VERSION, platform, stage::Stage};
use crate::{process::output, root, wheel};
use anyhow::Result;
use reverse_sync_component::COMPONENT;
use std::process::Command;

const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/reverse-sync"),
    ("zsh", "share/zsh/site-functions/_reverse-sync"),
    ("fish", "share/fish/vendor_completions.d/reverse-sync.fish"),
];

pub(super) fn make(release: &Release) -> Result<()> {
    let stage = Stage::new(release, "archive")?;
    let name = format!("reverse-sync-{VERSION}-{}", platform());
    let within = |path: &str| format!("{name}/{path}");
    stage.copy(&release.binary, within("bin/reverse-sync"))?;
    for (shell, path) in COMPLETIONS {
        let script = output(Command::new(&release.binary).args(["completions", shell]))?;
        stage.write(within(path), script)?;
    }
    output(Command::new(&release.binary).arg("man").arg(stage.path(within("share/man/man1"))?))?;
    stage.write(within("share/reverse-sync/reverse_sync.wasm"), COMPONENT)?;
    stage.copy(&root().join("LICENSE"), within("share/doc/reverse-sync/LICENSE"))?;
    stage.write(within("share/doc/reverse-sync/THIRD-PARTY"), &release.notices)?;
    let install = include_str!("INSTALL.md")
        .replace("${name}", &name)
        .replace("${glibc}", &format!("2.{}", wheel::glibc(&release.binary)?));
    stage.write(within("share/doc/reverse-sync/INSTALL.md"), install)?;
    stage.tar(release, &name, &format!("{name}.tar.gz"), true)
}
