//! Components compiled ahead of time. Compiling takes a second, loading the artefact a millisecond.
//!
//! This is the one module with unsafe code: an artefact is native code, and wasmtime can only take our word for where
//! it comes from. The word is good because an artefact is loaded only if its folder and file belong to this user
//! and nobody else can write to them; its name carries the component's digest and the engine's compatibility hash,
//! and wasmtime itself refuses an artefact of another version or configuration.

use crate::digest::Digest;
use std::{
    fs,
    hash::{Hash, Hasher},
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, Result, component::Component};

/// The component from the cache, or compiled and put there. A cache that cannot be used costs time, never the load.
pub(crate) fn load(engine: &Engine, dir: &Path, digest: Digest, bytes: &[u8]) -> Result<Component> {
    let artefact = artefact(engine, dir, digest);
    match ours_alone(dir).and_then(|()| ours_alone(&artefact)) {
        Ok(()) => match deserialize(engine, &artefact) {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(path = %artefact.display(), %error, "the compiled artefact cannot be loaded; compiling again"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %artefact.display(), %error, "the compiled artefact is not used"),
    }
    let component = Component::new(engine, bytes)?;
    if let Err(error) = store(dir, &artefact, &component.serialize()?) {
        tracing::warn!(path = %artefact.display(), %error, "the compiled artefact could not be kept; the next start compiles again");
    }
    Ok(component)
}

fn artefact(engine: &Engine, dir: &Path, digest: Digest) -> PathBuf {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    dir.join(format!("{}-{:016x}.cwasm", digest.hex(), hasher.finish()))
}

#[expect(unsafe_code, reason = "loading native code that this user compiled; see the module's documentation")]
fn deserialize(engine: &Engine, artefact: &Path) -> Result<Component> {
    // SAFETY: the file was written by `store`, from `Component::serialize`, and `ours_alone` has found that nobody but
    // this user can have changed it or its folder since.
    unsafe { Component::deserialize_file(engine, artefact) }
}

fn store(dir: &Path, artefact: &Path, compiled: &[u8]) -> io::Result<()> {
    create_private_dir(dir)?;
    ours_alone(dir)?;
    let mut file = tempfile::Builder::new().prefix(".compiling-").tempfile_in(dir)?;
    file.write_all(compiled)?;
    file.persist(artefact).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(unix)]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Whether only this user can write to it.
#[cfg(unix)]
fn ours_alone(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    let me = fs::metadata("/proc/self").map(|process| process.uid());
    if metadata.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a symbolic link"));
    }
    if me.is_ok_and(|me| me != metadata.uid()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can write to it"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn ours_alone(path: &Path) -> io::Result<()> {
    fs::symlink_metadata(path).map(|_| ())
}
