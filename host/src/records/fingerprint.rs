//! What tells that a file of golden records is not the one that was planned.

use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a golden-record file was when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The file.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified: i64,
}

impl Fingerprint {
    /// What a file is now.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Fingerprint> {
        let metadata = fs::metadata(path)?;
        let modified = match metadata.modified()?.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok(Fingerprint { path: path.to_owned(), size: metadata.len(), modified })
    }
}
