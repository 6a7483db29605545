//! Components compiled ahead of time. Compiling takes a second, loading the artefact a millisecond.
//!
//! There is unsafe code here (and for one limit of SQLite in `server/golden/query`): an artefact is
//! native code, and wasmtime can only take our word for where it comes from, and that it is whole.
//! The word is good because an artefact is loaded only if its folder and file belong to this user
//! and nobody else can write to them, and if its checksum is right: a file that a power loss tore
//! would otherwise be run as it is. Its name carries the component's digest and the engine's
//! compatibility hash, and wasmtime itself refuses an artefact of another version or configuration.

use crate::digest::Digest;
use std::{
    fs,
    hash::{Hash, Hasher},
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, Result, component::Component};

/// How many bytes the checksum in front of an artefact has.
const CHECKSUM: usize = 16;

/// The component from the cache, or compiled and put there. A cache that cannot be used costs time,
/// never the load.
pub(crate) fn load(engine: &Engine, dir: &Path, digest: Digest, bytes: &[u8]) -> Result<Component> {
    let artefact = artefact(engine, dir, digest);
    match read(dir, &artefact) {
        Ok(compiled) => match deserialize(engine, &compiled[CHECKSUM..]) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(path = %artefact.display(), %error, "the compiled artefact cannot be loaded; compiling again")
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %artefact.display(), %error, "the compiled artefact is not used; compiling again")
        }
    }
    let component = Component::new(engine, bytes)?;
    if let Err(error) = store(dir, &artefact, &component.serialize()?) {
        tracing::warn!(path = %artefact.display(), %error, "the compiled artefact could not be kept; the next start compiles again");
    }
    Ok(component)
}

fn artefact(engine: &Engine, dir: &Path, digest: Digest) -> PathBuf {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    (CHECKSUM, engine.precompile_compatibility_hash()).hash(&mut hasher);
    dir.join(format!("{}-{:016x}.cwasm", digest.hex(), hasher.finish()))
}

#[expect(
    unsafe_code,
    reason = "loading native code that this user compiled; see the module's documentation"
)]
fn deserialize(engine: &Engine, compiled: &[u8]) -> Result<Component> {
    // SAFETY: the bytes were written by `store`, from `Component::serialize`: `ours_alone` has
    // found that nobody but this user can have changed the file or its folder since, and `read`
    // that all of them are there. They are a copy, so the file may change later.
    unsafe { Component::deserialize(engine, compiled) }
}

/// The bytes that [`store`] wrote, the checksum in front.
fn read(dir: &Path, artefact: &Path) -> io::Result<Vec<u8>> {
    ours_alone(dir)?;
    ours_alone(artefact)?;
    let bytes = fs::read(artefact)?;
    match bytes.split_first_chunk::<CHECKSUM>() {
        Some((sum, compiled)) if *sum == checksum(compiled) => Ok(bytes),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is torn, or it was changed: its checksum is wrong",
        )),
    }
}

fn checksum(compiled: &[u8]) -> [u8; CHECKSUM] {
    xxhash_rust::xxh3::xxh3_128(compiled).to_le_bytes()
}

fn store(dir: &Path, artefact: &Path, compiled: &[u8]) -> io::Result<()> {
    create_private_dir(dir)?;
    ours_alone(dir)?;
    let mut file = tempfile::Builder::new().prefix(".compiling-").tempfile_in(dir)?;
    file.write_all(&checksum(compiled))?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
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
    if metadata.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a symbolic link"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    /// The one artefact in the folder, and its bytes.
    fn kept(dir: &Path) -> (PathBuf, Vec<u8>) {
        let mut files: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        let file = files.pop().unwrap();
        assert!(files.is_empty(), "{files:?} are left over");
        let bytes = fs::read(&file).unwrap();
        (file, bytes)
    }

    #[test]
    fn a_torn_artefact_is_compiled_again_and_mended() {
        let (dir, engine, digest) =
            (tempfile::tempdir().unwrap(), Engine::default(), Digest::of(EMPTY));
        load(&engine, dir.path(), digest, EMPTY).unwrap();
        let (file, whole) = kept(dir.path());
        let torn = |length: usize| whole[..length].to_vec();
        let zeroed = |from: usize| [&whole[..from], &vec![0; whole.len() - from]].concat();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let half = whole.len() / 2;
        for bad in [
            torn(0),
            torn(CHECKSUM - 1),
            torn(CHECKSUM),
            torn(half),
            torn(whole.len() - 1),
            zeroed(0),
            zeroed(half),
            flipped(0),
            flipped(half),
        ] {
            fs::write(&file, &bad).unwrap();
            assert!(read(dir.path(), &file).is_err());
            load(&engine, dir.path(), digest, EMPTY).unwrap();
            assert_eq!(kept(dir.path()), (file.clone(), whole.clone()));
        }
        assert!(read(dir.path(), &file).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn an_artefact_that_others_could_have_written_is_not_loaded() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (dir, engine, digest) =
            (tempfile::tempdir().unwrap(), Engine::default(), Digest::of(EMPTY));
        load(&engine, dir.path(), digest, EMPTY).unwrap();
        let (file, whole) = kept(dir.path());
        let refused = |file: &Path| read(dir.path(), file).unwrap_err().to_string();

        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(refused(&file), "others can write to it");
        let link = dir.path().join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(refused(&link), "it is a symbolic link");
        fs::remove_file(link).unwrap();

        load(&engine, dir.path(), digest, EMPTY).unwrap();
        assert_eq!(kept(dir.path()), (file.clone(), whole));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refused(&file), "others can write to it");
        load(&engine, dir.path(), digest, EMPTY).unwrap();
    }
}
