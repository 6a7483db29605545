//! Files that hold secrets: nobody else reads them, one process at a time changes them, and a
//! change is there whole or not at all.
//!
//! ```
//! use reverse_sync::private_file;
//!
//! # fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! let dir = dir.path().join("secrets");
//! private_file::create_dir(&dir)?;
//! private_file::create(&dir.join("token"), b"open sesame")?;
//! # Ok(())
//! # }
//! ```

use secrecy::{SecretString, zeroize::Zeroizing};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What such files hold is not longer; a mistake is.
const LONGEST: u64 = 64 << 10;

/// Whoever holds a lock renews a token at most, which ends sooner. A process that is frozen holds
/// it for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A file under an exclusive lock, which ends with it (and with the process, however that ends).
pub struct Locked {
    file: File,
    /// Without symbolic links, so that the file is replaced and not the link to it.
    path: PathBuf,
}

impl Locked {
    /// Opens a file with these options, and waits for its lock.
    ///
    /// # Errors
    /// If it cannot be opened or locked; [`io::ErrorKind::TimedOut`] if another process has held it
    /// for a minute.
    pub fn open(path: &Path, options: &OpenOptions) -> io::Result<Locked> {
        Locked::open_within(path, options, LONGEST_WAIT)
    }

    fn open_within(path: &Path, options: &OpenOptions, wait: Duration) -> io::Result<Locked> {
        let deadline = Instant::now() + wait;
        loop {
            let file = options.open(path)?;
            loop {
                match file.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::Error(error)) => return Err(error),
                    Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                        thread::sleep(POLL);
                    }
                    Err(TryLockError::WouldBlock) => {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            format!(
                                "another process has held the lock of {} for {} s: is it frozen? End it, and try again",
                                path.display(),
                                wait.as_secs()
                            ),
                        ));
                    }
                }
            }
            let path = fs::canonicalize(path)?;
            // Somebody may have replaced it while this one waited; then the lock is on what is
            // gone.
            if same_file(&file, &path)? {
                return Ok(Locked { file, path });
            }
        }
    }

    /// The file, for what its metadata say.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    ///
    /// # Errors
    /// If it cannot be read, or is not text.
    pub fn text(&mut self) -> io::Result<SecretString> {
        read(&mut self.file)
    }

    /// The new content or the old one, whenever the machine stops; never half of it.
    pub fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        replace(&self.path, content)
    }
}

/// The new content of a file or the old one, whenever the machine stops; never half of it.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    new_file(dir, content)?.persist(path).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// What is in a file, without a lock. No copy of it stays in memory.
pub fn read(file: &mut File) -> io::Result<SecretString> {
    let length = file.metadata()?.len().min(LONGEST) as usize;
    let mut text = Zeroizing::new(String::with_capacity(length + 64));
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(SecretString::from(text.as_str()))
}

/// A file that was not there, with this content from the beginning. If somebody else has made it
/// meanwhile, that one stays.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(dir)?;
    match new_file(dir, content)?.persist_noclobber(path) {
        Ok(_) => sync_dir(dir),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// A folder that nobody else may look into, if it is not there, and whatever folders above it are
/// missing. They are on disk for good: what is synced in one of them is found again only if its own
/// name is.
///
/// # Errors
/// If the disk refuses, or something else has the name.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent =
        dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(parent)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(_) if dir.is_dir() => {}
        made => made?,
    }
    sync_dir(parent)
}

/// Mode 0600 for a file that is created.
#[cfg(unix)]
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// The mode of a file that others may read or write.
#[cfg(unix)]
pub fn open_to_others(file: &File) -> io::Result<Option<u32>> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & 0o7777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

#[cfg(not(unix))]
pub fn open_to_others(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// Under a name of its own, mode 0600, on disk, and gone if anything fails.
fn new_file(dir: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    Ok(new)
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Puts the names in a folder on disk for good.
///
/// # Errors
/// If the disk refuses.
#[cfg(unix)]
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Names are on disk for good without it.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_process_does_not_give_back_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"").unwrap();
        let open = || Locked::open_within(&path, OpenOptions::new().read(true), POLL);
        let held = open().unwrap();
        let error = open().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        drop(held);
        open().unwrap();
    }
}
