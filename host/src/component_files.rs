//! Files of components that runs began with: a run is finished by the component that began it,
//! whatever comes with a newer version.
//!
//! ```
//! use reverse_sync::{Digest, component_files::ComponentFiles};
//!
//! # fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! let (files, plugin) = (ComponentFiles::new(dir.path().join("components")), b"the bytes");
//! files.keep(Digest::of(plugin), plugin)?;
//! assert_eq!(files.read(Digest::of(plugin)).as_deref(), Some(&plugin[..]));
//! # Ok(())
//! # }
//! ```

use crate::{digest::Digest, private_file};
use std::{fs, io, path::PathBuf};

/// A folder of components, each named by its digest.
#[derive(Clone, Debug)]
pub struct ComponentFiles(PathBuf);

impl ComponentFiles {
    /// In this folder, which is made when it is needed.
    pub fn new(dir: PathBuf) -> ComponentFiles {
        ComponentFiles(dir)
    }

    /// Keeps a component, if it is not there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        if self.read(digest).is_some() {
            return Ok(());
        }
        private_file::create_dir(&self.0)?;
        private_file::replace(&self.path(digest), bytes)
    }

    /// The bytes of a component, if they are there and what they were.
    pub fn read(&self, digest: Digest) -> Option<Vec<u8>> {
        fs::read(self.path(digest)).ok().filter(|bytes| Digest::of(bytes) == digest)
    }

    /// Where a component is, or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.0.join(format!("{}.wasm", digest.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_there_as_it_was_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (files, digest) =
            (ComponentFiles::new(dir.path().join("components")), Digest::of(b"one"));
        assert_eq!(files.read(digest), None);
        files.keep(digest, b"one").unwrap();
        assert_eq!(files.read(digest), Some(b"one".to_vec()));
        fs::write(files.path(digest), b"another").unwrap();
        assert_eq!(files.read(digest), None);
        files.keep(digest, b"one").unwrap();
        assert_eq!(files.read(digest), Some(b"one".to_vec()));
    }
}
