//! `cargo xtask wheel`: the Python module and the command as a wheel, in `target/wheel`.
//!
//! It packs what plain cargo has built. Not by maturin, which would build all dependencies again,
//! with the features of the module alone.

use crate::{
    notices,
    process::{PERMISSIONS, cargo, output, run},
    root, target_dir,
};
use anyhow::{Context, Result, bail};
use std::{
    env::consts::{ARCH, OS},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const NAME: &str = "reverse_sync";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the programs are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// As cargo's folder is named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Profile::Debug => "debug",
            Profile::Release => "release",
        }
    }
}

/// Prints the wheel's path.
pub(crate) fn wheel(arguments: &[String]) -> Result<()> {
    let profile = match arguments {
        [] => Profile::Debug,
        [flag] if flag == "--release" => Profile::Release,
        _ => bail!("usage: cargo xtask wheel [--release]"),
    };
    println!("{}", make(profile, None)?.display());
    Ok(())
}

/// Builds command and module, and packs the wheel. With a time, in seconds since 1970, its files are
/// of that time.
pub(crate) fn make(profile: Profile, epoch: Option<&str>) -> Result<PathBuf> {
    if OS != "linux" {
        bail!("wheels are made on Linux so far");
    }
    let build = (profile == Profile::Release).then_some("--release");
    run(cargo().args(["build", "--locked", "--lib", "--bin", "reverse-sync"]).args(build))?;

    let profile = profile.name();
    let dir = target_dir().join("wheel").join(profile);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let tree = dir.join("tree");
    let put = |path: String| -> Result<PathBuf> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&tree))
            .with_context(|| format!("cannot make the folder of {}", path.display()))?;
        Ok(path)
    };
    for file in ["__init__.py", "_native.pyi", "_types.py", "py.typed"] {
        copy(&root().join("python").join(NAME).join(file), &put(format!("{NAME}/{file}"))?)?;
    }
    let built = target_dir().join(profile);
    let module = put(format!("{NAME}/_native.abi3.so"))?;
    let command = put(format!("{NAME}-{VERSION}.data/scripts/reverse-sync"))?;
    stripped(&built.join("libreverse_sync_python.so"), &module)?;
    stripped(&built.join("reverse-sync"), &command)?;

    let info = format!("{NAME}-{VERSION}.dist-info");
    copy(&root().join("LICENSE"), &put(format!("{info}/licenses/LICENSE"))?)?;
    let notices =
        ["reverse-sync-cli", "reverse-sync-python"].map(|package| notices::of(package, None));
    for (notices, of) in notices.into_iter().zip(["command", "module"]) {
        fs::write(put(format!("{info}/licenses/THIRD-PARTY-{of}"))?, notices?)?;
    }
    fs::write(put(format!("{info}/METADATA"))?, metadata()?)?;
    let glibc = glibc(&module)?.max(glibc(&command)?);
    let tag = format!("cp311-abi3-manylinux_2_{glibc}_{ARCH}");
    let wheel = format!(
        "Wheel-Version: 1.0\nGenerator: cargo xtask wheel\nRoot-Is-Purelib: false\nTag: {tag}\n"
    );
    fs::write(put(format!("{info}/WHEEL"))?, wheel)?;

    // It writes the digests of all of them, too.
    let packer = target_dir().join("tools/python/bin/wheel");
    if !packer.exists() {
        bail!("{} is not there; `.ci/install test` installs it", packer.display());
    }
    run(Command::new("chmod").args(PERMISSIONS).arg(&tree))?;
    run(Command::new(packer)
        .envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)))
        .arg("pack")
        .arg(&tree)
        .arg("--dest-dir")
        .arg(&dir))?;
    fs::remove_dir_all(&tree)?;
    Ok(dir.join(format!("{NAME}-{VERSION}-{tag}.whl")))
}

fn metadata() -> Result<String> {
    let page = root().join("docs/python.md");
    let page =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    Ok(format!(
        "Metadata-Version: 2.4\n\
         Name: reverse-sync\n\
         Version: {VERSION}\n\
         Summary: Reverse ETL for HubSpot and Salesforce: UPDATE only, behind a dry run and a confirmation\n\
         License-Expression: Apache-2.0\n\
         License-File: LICENSE\n\
         License-File: THIRD-PARTY-command\n\
         License-File: THIRD-PARTY-module\n\
         Classifier: Operating System :: POSIX :: Linux\n\
         Classifier: Programming Language :: Python :: 3\n\
         Classifier: Programming Language :: Rust\n\
         Classifier: Typing :: Typed\n\
         Requires-Python: >=3.11\n\
         Description-Content-Type: text/markdown\n\
         \n{page}"
    ))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Without what only a debugger reads, which is most of a build for development.
pub(crate) fn stripped(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("strip").arg("--strip-unneeded").arg("-o").args([to, from]))
}

/// The glibc that a binary needs: the newest 2.x of those that its symbols name.
pub(crate) fn glibc(binary: &Path) -> Result<u32> {
    let shown = output(Command::new("readelf").args(["--version-info", "--wide"]).arg(binary))?;
    let named = shown.split("GLIBC_2.").skip(1).filter_map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    });
    named.max().with_context(|| format!("{} needs no glibc", binary.display()))
}
