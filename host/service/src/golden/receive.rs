//! A body on its way to disk: written and digested as it arrives, so that memory holds a piece of
//! it however large it is.

use super::{GoldenError, GoldenFiles, STAGED, UploadFormat};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reverse_sync::digest::{Digest, DigestWriter};
use std::{
    fmt::Display,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::{NamedTempFile, TempPath};

/// Pieces are collected until they are worth a trip to a thread that may block.
const PIECE: usize = 1 << 20;
/// A body of which nothing arrives for this long is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// A file that has arrived, beside its place. Dropping it removes it.
#[derive(Debug)]
pub struct StagedFile {
    pub(super) path: TempPath,
    /// What is in it.
    pub format: UploadFormat,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, as it arrived.
    pub digest: Digest,
    files: GoldenFiles,
}

/// A file that is being written.
pub(super) struct Staging {
    file: DigestWriter<NamedTempFile>,
    written: u64,
    limit: u64,
    format: UploadFormat,
    files: GoldenFiles,
}

impl GoldenFiles {
    /// Writes a body to disk as it arrives, `limit` bytes of it at most.
    ///
    /// # Errors
    /// If there is more of it, it breaks off, or the disk refuses.
    pub async fn receive<S, E>(
        &self,
        mut body: S,
        format: UploadFormat,
        limit: u64,
    ) -> Result<StagedFile, GoldenError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Display,
    {
        let files = self.clone();
        let mut staging = blocking(move || Staging::create(&files, format, limit)).await?;
        let (mut pieces, mut waiting, mut received) = (Vec::new(), 0, 0);
        loop {
            let interrupted = |reason: String| GoldenError::Interrupted { received, reason };
            let next = tokio::time::timeout(SILENCE, body.next()).await;
            let piece = next.map_err(|_| {
                interrupted(format!("nothing came for {} seconds", SILENCE.as_secs()))
            })?;
            let ended = piece.is_none();
            if let Some(piece) = piece {
                let piece = piece.map_err(|error| interrupted(error.to_string()))?;
                received += piece.len() as u64;
                if received > limit {
                    return Err(GoldenError::TooLarge { limit, unpacked: false });
                }
                waiting += piece.len();
                pieces.push(piece);
            }
            if waiting >= PIECE || ended {
                let pieces = std::mem::take(&mut pieces);
                waiting = 0;
                staging = blocking(move || {
                    for piece in pieces {
                        staging.write_all(&piece)?;
                    }
                    Ok(staging)
                })
                .await?;
            }
            if ended {
                return blocking(move || staging.finish()).await;
            }
        }
    }
}

impl Staging {
    pub(super) fn create(
        files: &GoldenFiles,
        format: UploadFormat,
        limit: u64,
    ) -> Result<Staging, GoldenError> {
        let suffix = format!(".{}", format.ending());
        let file =
            tempfile::Builder::new().prefix(STAGED).suffix(&suffix).tempfile_in(&files.dir)?;
        Ok(Staging {
            file: DigestWriter::new(file),
            written: 0,
            limit,
            format,
            files: files.clone(),
        })
    }

    pub(super) fn finish(mut self) -> Result<StagedFile, GoldenError> {
        self.file.flush()?;
        let (file, digest) = self.file.finish();
        file.as_file().sync_all()?;
        Ok(StagedFile {
            path: file.into_temp_path(),
            format: self.format,
            bytes: self.written,
            digest,
            files: self.files,
        })
    }
}

impl Write for Staging {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + bytes.len() as u64 > self.limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StagedFile {
    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its place under a set's id, which no set may have had before.
    ///
    /// # Errors
    /// If there is such a set, or the disk refuses.
    pub fn publish(self, set_id: &str) -> Result<PathBuf, GoldenError> {
        let path = self.files.path(set_id, self.format)?;
        self.path.persist_noclobber(&path).map_err(|error| error.error)?;
        // The name is on disk once the folder is.
        File::open(&self.files.dir)?.sync_all()?;
        Ok(path)
    }
}

/// On a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GoldenError> + Send + 'static,
) -> Result<T, GoldenError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| GoldenError::Io(io::Error::other(error)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Packing;
    use futures_util::stream;

    const CSV: UploadFormat = UploadFormat::Csv(Packing::None);

    fn body(pieces: &[&'static str]) -> impl Stream<Item = Result<Bytes, String>> + Unpin {
        stream::iter(
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect::<Vec<_>>(),
        )
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_body_becomes_a_set_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = GoldenFiles::open(dir.path()).unwrap();
        let staged = files.receive(body(&["a,b\n", "", "1,2\n"]), CSV, 8).await.unwrap();
        assert_eq!((staged.bytes, staged.digest), (8, Digest::of(b"a,b\n1,2\n")));
        assert!(
            names(dir.path()).iter().all(|name| name.starts_with(STAGED)),
            "nothing is there before it is published"
        );
        let path = staged.publish("set_1").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\n1,2\n");
        assert_eq!(names(dir.path()), ["set_1.csv"]);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(
                &std::fs::metadata(&path).unwrap().permissions()
            ) & 0o777,
            0o600
        );

        let again = files.receive(body(&["other"]), CSV, 8).await.unwrap();
        assert!(again.publish("set_1").is_err(), "a set is never written over");
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\n1,2\n");
        drop(files.receive(body(&["x"]), CSV, 8).await.unwrap());
        assert_eq!(names(dir.path()), ["set_1.csv"]);
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = GoldenFiles::open(dir.path()).unwrap();
        let large = files.receive(body(&["a,b\n", "1,2\n", "3"]), CSV, 8).await.unwrap_err();
        assert!(matches!(large, GoldenError::TooLarge { limit: 8, unpacked: false }));
        let broken = stream::iter([Ok(Bytes::from_static(b"a,b\n")), Err("connection reset")]);
        let broken = files.receive(broken, CSV, 100).await.unwrap_err().to_string();
        assert!(broken.contains("after 4 bytes: connection reset"), "{broken}");
        // A client that goes away takes the future with it.
        let waits = stream::once(async { Ok::<_, String>(Bytes::from(vec![b'x'; PIECE])) })
            .chain(stream::pending());
        let waits = Box::pin(waits);
        tokio::select! {
            biased;
            _ = files.receive(waits, CSV, u64::MAX) => panic!("it ended"),
            () = async { while names(dir.path()).is_empty() { tokio::task::yield_now().await } } => {}
        }
        while !names(dir.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let files = GoldenFiles::open(dir.path()).unwrap();
        let silent = files
            .receive(stream::pending::<Result<Bytes, String>>(), CSV, 8)
            .await
            .unwrap_err()
            .to_string();
        assert!(silent.contains("nothing came for 60 seconds"), "{silent}");
    }

    #[test]
    fn what_a_crash_has_left_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".upload-abc.csv", "set_1.csv"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(GoldenFiles::open(dir.path()).unwrap().sweep().unwrap(), 1);
        assert_eq!(names(dir.path()), ["set_1.csv"]);
    }
}
