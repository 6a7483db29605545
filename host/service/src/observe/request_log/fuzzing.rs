//! See [`crate::fuzzing`].

use super::{file, page};
use reverse_sync::journal::RunId;
use std::{fs, path::Path};

/// Reads a page of a log that has these bytes: how many entries it has, and where the next one
/// begins.
pub fn log_page(
    dir: &Path,
    bytes: Option<&[u8]>,
    after: Option<u64>,
    limit: usize,
) -> Option<(usize, Option<u64>)> {
    let run_id: RunId = "run_0123456789ab_1".parse().ok()?;
    let path = file(dir, &run_id);
    if let Some(bytes) = bytes {
        fs::create_dir_all(path.parent()?).ok()?;
        fs::write(&path, bytes).ok()?;
    }
    let page = page(dir, &run_id, after, limit).ok()??;
    Some((page.items.len(), page.next))
}
