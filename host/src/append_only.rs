//! A file of lines that only grows and that nobody else reads: a journal, an audit log, a request
//! log. A crash may tear its last line; whatever is appended begins at the start of a line.

use crate::private_file;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Such a file, open for appending.
#[derive(Debug)]
pub struct AppendOnly {
    file: File,
    path: PathBuf,
    /// It does not end with a line break.
    torn: bool,
}

impl AppendOnly {
    /// Opens a file, or makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<AppendOnly> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        let mut file = private_file::private(&mut options).open(path)?;
        let mut last = *b"\n";
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(AppendOnly { file, path: path.to_owned(), torn: last != *b"\n" })
    }

    /// Holds it alone, until it is closed.
    ///
    /// # Errors
    /// If somebody else does.
    pub fn try_lock(&self) -> Result<(), fs::TryLockError> {
        self.file.try_lock()
    }

    /// Cuts off what is behind so many bytes, which end with a line.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.torn = false;
        Ok(())
    }

    /// Appends whole lines. What a crash, or an earlier write that failed, has torn stays as it is,
    /// on a line of its own.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let ended = if self.torn { self.file.write_all(b"\n") } else { Ok(()) };
        let written = ended.and_then(|()| self.file.write_all(lines));
        self.torn = written.is_err();
        written
    }

    /// Returns once what was appended outlives the machine. The file itself does once its folder is
    /// [synced](private_file::sync_dir).
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Puts a new file in its place, which begins with so many of its bytes, continues with these
    /// lines and is locked. The old one is set aside beside it, with `.damaged-1` behind its name,
    /// and is returned: as long as it is locked, whoever opened it before gets no hold of it.
    ///
    /// # Errors
    /// If the disk refuses; then the old one is where it was.
    pub fn repair(&mut self, whole: u64, lines: &[u8]) -> io::Result<File> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut new =
            tempfile::Builder::new().prefix(".repaired-").append(true).tempfile_in(dir)?;
        io::copy(&mut File::open(&self.path)?.take(whole), &mut new)?;
        new.write_all(lines)?;
        new.as_file().sync_all()?;
        new.as_file().try_lock().map_err(io::Error::from)?;
        for number in 1.. {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".damaged-{number}"));
            match fs::hard_link(&self.path, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                set_aside => {
                    set_aside?;
                    break;
                }
            }
        }
        let new = new.persist(&self.path).map_err(|error| error.error)?;
        self.torn = false;
        Ok(std::mem::replace(&mut self.file, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_begins_at_the_start_of_a_line_whatever_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        for (there, then) in [("", "b\n"), ("a\n", "a\nb\n"), ("a\nto", "a\nto\nb\n")] {
            fs::write(&path, there).unwrap();
            let mut file = AppendOnly::open(&path).unwrap();
            file.append(b"").unwrap();
            file.append(b"b\n").unwrap();
            file.sync().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), then);
        }
        let mut file = AppendOnly::open(&path).unwrap();
        file.cut(2).unwrap();
        file.append(b"c\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nc\n");
    }

    #[test]
    #[cfg(unix)]
    fn nobody_else_reads_it_and_one_holds_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut held = AppendOnly::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        held.try_lock().unwrap();
        let other = AppendOnly::open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));

        held.append(b"a\nbad").unwrap();
        let _old = held.repair(2, b"b\n").unwrap();
        held.append(b"c\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
        assert_eq!(fs::read_to_string(dir.path().join("log.jsonl.damaged-1")).unwrap(), "a\nbad");
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
    }
}
