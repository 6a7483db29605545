//! A file of a plan in the making. It is in memory until it is large: most plans are small, and
//! file systems are slow at making files and at removing them again.

use std::{
    fs,
    io::{self, BufReader, BufWriter, Cursor, Read, Seek, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Names of what is being made begin so. What a crash has left of it may be removed.
const UNFINISHED: &str = ".planning-";
/// Bytes of a file that stays in memory, and of the buffer of one that does not.
const SMALL: usize = 1 << 18;

/// A file that has no place yet. It goes away unless it is given one.
pub(super) struct SpoolFile {
    /// On the file system where its place will be.
    dir: PathBuf,
    content: Content,
}

enum Content {
    Memory(Vec<u8>),
    Disk(BufWriter<NamedTempFile>),
}

/// What can be read from any place.
pub(super) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl SpoolFile {
    /// Nothing yet, to be kept somewhere below `dir`.
    pub(super) fn new(dir: &Path) -> SpoolFile {
        SpoolFile { dir: dir.to_owned(), content: Content::Memory(Vec::new()) }
    }

    /// What is in it so far, from the beginning. It stays.
    pub(super) fn reader(&mut self) -> io::Result<Box<dyn ReadSeek + '_>> {
        match &mut self.content {
            Content::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.as_slice()))),
            Content::Disk(file) => {
                file.flush()?;
                Ok(Box::new(BufReader::with_capacity(SMALL, file.get_ref().reopen()?)))
            }
        }
    }

    /// What was written to it, from the beginning.
    pub(super) fn into_reader(self) -> io::Result<Box<dyn ReadSeek>> {
        match self.content {
            Content::Memory(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Content::Disk(file) => {
                let mut file = file.into_inner().map_err(|error| error.into_error())?;
                file.rewind()?;
                Ok(Box::new(BufReader::with_capacity(SMALL, file)))
            }
        }
    }

    /// Gives it its place, whole or not at all. A file that is there already and has the same
    /// content stays.
    pub(super) fn keep_as(self, path: &Path) -> io::Result<()> {
        let file = match self.content {
            Content::Memory(bytes) if holds(path, &bytes) => return Ok(()),
            Content::Memory(bytes) => return write_whole(path, &bytes),
            Content::Disk(file) => file.into_inner().map_err(|error| error.into_error())?,
        };
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.content {
            Content::Memory(written) if written.len() + bytes.len() <= SMALL => {
                written.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Content::Memory(written) => {
                let mut file = BufWriter::with_capacity(SMALL, unfinished_in(&self.dir)?);
                file.write_all(written)?;
                self.content = Content::Disk(file);
                self.write(bytes)
            }
            Content::Disk(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.content {
            Content::Memory(_) => Ok(()),
            Content::Disk(file) => file.flush(),
        }
    }
}

/// Writes a file that is there whole or as it was before.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = unfinished_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A folder for a plan that has no place yet.
pub(super) fn unfinished_folder(dir: &Path) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir)
}

fn unfinished_in(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)
}

/// Whether a file has exactly this content. One that cannot be read has not.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == bytes.len() as u64)
        && fs::read(path).is_ok_and(|held| held == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path, bytes: &[u8]) -> SpoolFile {
        let mut file = SpoolFile::new(dir);
        for piece in bytes.chunks(100_000) {
            file.write_all(piece).unwrap();
        }
        file
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn small_or_large_it_is_read_and_kept_as_it_was_written() {
        for length in [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL + 7] {
            let dir = tempfile::tempdir().unwrap();
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut read = Vec::new();
            let mut file = written(dir.path(), &bytes);
            file.reader().unwrap().read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{length}");
            read.clear();
            file.into_reader().unwrap().read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{length}");
            assert!(files(dir.path()).is_empty(), "what has no place goes away");

            written(dir.path(), &bytes).keep_as(&dir.path().join("kept")).unwrap();
            assert!(fs::read(dir.path().join("kept")).unwrap() == bytes, "{length}");
            assert_eq!(files(dir.path()), ["kept"]);
        }
    }

    #[test]
    fn a_file_that_is_torn_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        for torn in ["", "\0\0\0\0\0", "longer than it was"] {
            fs::write(&path, torn).unwrap();
            written(dir.path(), b"whole").keep_as(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"whole");
        }
    }

    #[test]
    fn only_a_large_file_is_on_disk_before_it_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let small = written(dir.path(), &[0; SMALL]);
        assert!(files(dir.path()).is_empty());
        let large = written(dir.path(), &[0; SMALL + 1]);
        assert_eq!(files(dir.path()).len(), 1);
        assert!(files(dir.path())[0].starts_with(UNFINISHED));
        drop((small, large));
        assert!(files(dir.path()).is_empty());
    }
}
