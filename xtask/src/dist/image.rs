//! The container image: an OCI layout in a tar, made by umoci, which needs neither an engine nor the
//! right to mount anything.
//!
//! There is the command in it, the libraries that it is linked with as Debian built them, and
//! nothing else: no shell, no package manager. It has no CA certificates either: those that the
//! command trusts are inside it (webpki-roots), or named in a project file.

use super::{Release, VERSION, stage::Stage};
use crate::{
    process::{PERMISSIONS, output, run},
    root,
};
use anyhow::{Context, Result};
use std::{collections::BTreeSet, path::Path, process::Command};

/// The user, as images without a root user number it.
const USER: &str = "65532:65532";

pub(super) fn make(release: &Release) -> Result<()> {
    output(Command::new("umoci").arg("--version"))
        .context("umoci makes the image; `.ci/install test` installs it")?;
    let files = files(release)?;
    let image = Stage::new(release, "image")?;
    let (layout, tag) = (image.dir.join("layout"), format!("layout:reverse-sync:{VERSION}"));
    let umoci =
        |arguments: &[&str]| run(Command::new("umoci").args(arguments).current_dir(&image.dir));
    let created = output(
        Command::new("date")
            .args(["--utc", "--date"])
            .args([format!("@{}", release.epoch).as_str(), "+%Y-%m-%dT%H:%M:%SZ"]),
    )?;
    let created = created.trim();
    let added = ["--image", &tag, "--history.created", created];

    umoci(&["init", "--layout", "layout"])?;
    umoci(&["new", "--image", &tag])?;
    run(Command::new("chmod").args(PERMISSIONS).arg(&files.dir))?;
    let times = ["-exec", "touch", "--no-dereference", "--date", &format!("@{}", release.epoch)];
    run(Command::new("find").arg(&files.dir).args(times).args(["{}", "+"]))?;
    let files = files.dir.display().to_string();
    umoci(&[&["insert"][..], &added, &[&files, "/"]].concat())?;

    let labels = [
        ("title", "reverse-sync"),
        ("version", VERSION),
        ("revision", &release.revision),
        ("licenses", "Apache-2.0"),
    ]
    .map(|(key, value)| format!("--config.label=org.opencontainers.image.{key}={value}"));
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let config = [
        "--created",
        created,
        "--config.user",
        USER,
        "--config.entrypoint",
        "/usr/bin/reverse-sync",
        "--config.cmd",
        "--help",
        "--config.workingdir",
        "/work",
    ];
    umoci(&[&["config"][..], &added, &config, &labels].concat())?;
    umoci(&["gc", "--layout", "layout"])?;
    Stage { dir: layout }.tar(release, ".", &format!("reverse-sync-{VERSION}-image.tar"), false)
}

/// The files of its one layer.
fn files(release: &Release) -> Result<Stage> {
    let stage = Stage::new(release, "image-files")?;
    stage.copy(&release.binary, "usr/bin/reverse-sync")?;
    stage.copy(&root().join("LICENSE"), "usr/share/doc/reverse-sync/LICENSE")?;
    stage.write("usr/share/doc/reverse-sync/THIRD-PARTY", &release.notices)?;
    stage.write("etc/passwd", "nonroot:x:65532:65532:nonroot:/work:/sbin/nologin\n")?;
    stage.write("etc/group", "nonroot:x:65532:\n")?;
    stage.write("etc/nsswitch.conf", "hosts: files dns\n")?;
    stage.copy(Path::new("/etc/os-release"), "etc/os-release")?;
    stage.folder("work")?;
    stage.folder("tmp")?;

    // `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, or the path alone.
    let listed = output(Command::new("ldd").arg(&release.binary))?;
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut packages = BTreeSet::new();
    for library in libraries {
        stage.copy(Path::new(library), library.trim_start_matches('/'))?;
        let owner = output(Command::new("dpkg-query").args(["--search", library]))?;
        packages.extend(owner.split(':').next().map(str::to_owned));
    }
    // Their versions, where scanners look for them in images without a package manager.
    for package in packages {
        let status = output(Command::new("dpkg-query").args(["--status", &package]))?;
        stage.write(format!("var/lib/dpkg/status.d/{package}"), status)?;
        let copyright = format!("usr/share/doc/{package}/copyright");
        stage.copy(&Path::new("/").join(&copyright), copyright)?;
    }
    Ok(stage)
}
