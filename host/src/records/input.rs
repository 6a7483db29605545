//! Finding files, telling what is in them, and unpacking them on the way.

use super::RecordsError;
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Chain, Cursor, Read, Seek},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

const BUFFER: usize = 1 << 17;

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Text with this delimiter.
    Csv(u8),
    JsonLines,
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

/// A file that is ready to be read.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) data: Data,
}

pub(super) enum Data {
    Seekable(File),
    Stream(Box<dyn BufRead + Send>),
}

impl Data {
    pub(super) fn into_stream(self) -> Box<dyn BufRead + Send> {
        match self {
            Data::Seekable(file) => Box::new(BufReader::with_capacity(BUFFER, file)),
            Data::Stream(stream) => stream,
        }
    }
}

/// The files that a path or glob names, in the order of their paths.
pub(super) fn find(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, RecordsError> {
    let whole = base.join(pattern);
    // A file whose name happens to look like a pattern is still a file.
    let paths = if whole.exists() {
        vec![whole]
    } else {
        let text = whole.to_str().ok_or_else(|| RecordsError::Pattern {
            pattern: pattern.to_owned(),
            reason: "it is not text".to_owned(),
        })?;
        let found = glob::glob(text).map_err(|error| RecordsError::Pattern {
            pattern: pattern.to_owned(),
            reason: error.msg.to_owned(),
        })?;
        let mut paths = Vec::new();
        for path in found {
            paths.push(path.map_err(|error| RecordsError::Io {
                file: error.path().display().to_string(),
                error: error.into(),
            })?);
        }
        paths.sort();
        paths
    };
    if paths.is_empty() {
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        return Err(RecordsError::NoMatch { pattern: pattern.to_owned(), base: base.to_owned() });
    }
    if let Some(dir) = paths.iter().find(|path| path.is_dir()) {
        let reason = format!(
            "{} is a folder; write {}/*.parquet, or the ending your files have",
            dir.display(),
            dir.display()
        );
        return Err(RecordsError::Pattern { pattern: pattern.to_owned(), reason });
    }
    Ok(paths)
}

/// What a file's name says.
pub(super) fn format_of(path: &Path) -> Result<(Format, Packing), RecordsError> {
    let unknown = || RecordsError::UnknownFormat { file: path.display().to_string() };
    let name =
        path.file_name().and_then(|name| name.to_str()).ok_or_else(unknown)?.to_ascii_lowercase();
    let (stem, packing) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Packing::Gzip),
        Some((stem, "zst")) => (stem, Packing::Zstd),
        _ => (name.as_str(), Packing::None),
    };
    let format = match stem.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv") => Format::Csv(b','),
        Some("tsv") => Format::Csv(b'\t'),
        Some("jsonl" | "ndjson") => Format::JsonLines,
        Some("parquet") if packing == Packing::None => Format::Parquet,
        _ => return Err(unknown()),
    };
    Ok((format, packing))
}

/// `left` is how many bytes of text may come out of it, and out of what is opened after it.
pub(super) fn open(path: &Path, left: Option<&Arc<AtomicU64>>) -> Result<Opened, RecordsError> {
    let (format, packing) = format_of(path)?;
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| RecordsError::Io { file: name.clone(), error })?;
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) && format == Format::Parquet {
        return Err(RecordsError::Malformed {
            file: name,
            line: None,
            reason: "the file is empty".to_owned(),
        });
    }
    let data = if format == Format::Parquet {
        Data::Seekable(file)
    } else {
        let mut file = BufReader::with_capacity(BUFFER, file);
        let start =
            file.fill_buf().map_err(|error| RecordsError::Io { file: name.clone(), error })?;
        if let Some((other, ending)) = other_than(packing, start) {
            let reason = format!(
                "the file is {other}, and its name does not say so; rename it so that it ends in {ending}"
            );
            return Err(RecordsError::Malformed { file: name, line: None, reason });
        }
        let stream = unpack(Box::new(file), packing);
        let stream = stream.map_err(|error| RecordsError::Io { file: name.clone(), error })?;
        Data::Stream(match left {
            Some(left) => Box::new(Limited { inner: stream, left: Arc::clone(left) }),
            None => stream,
        })
    };
    Ok(Opened { name, format, data })
}

/// What a stream is packed with, by its first bytes.
fn packing_of(start: &[u8]) -> Packing {
    match start {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _ => Packing::None,
    }
}

/// Whether a stream is Parquet, by its first bytes. A column of CSV may have that name, and then
/// text follows.
fn is_parquet(start: &[u8]) -> bool {
    let is_text = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    start.strip_prefix(b"PAR1").is_some_and(|rest| !rest.first().is_some_and(is_text))
}

/// What a file is by its first bytes, and its ending, if its name says something else.
fn other_than(packing: Packing, start: &[u8]) -> Option<(&'static str, &'static str)> {
    match packing_of(start) {
        Packing::Gzip if packing != Packing::Gzip => Some(("packed with gzip", ".gz")),
        Packing::Zstd if packing != Packing::Zstd => Some(("packed with zstd", ".zst")),
        _ if is_parquet(start) => Some(("Parquet", ".parquet")),
        _ => None,
    }
}

fn unpack(
    stream: Box<dyn BufRead + Send>,
    packing: Packing,
) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match packing {
        Packing::None => stream,
        Packing::Gzip => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(stream))),
        Packing::Zstd => {
            Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(stream)?))
        }
    })
}

/// A stream that ends in an error once it has given what it may: a few bytes can be packed that
/// unpack without end.
struct Limited {
    inner: Box<dyn BufRead + Send>,
    left: Arc<AtomicU64>,
}

impl Limited {
    /// Takes bytes off what is left.
    fn took(&self, bytes: usize) -> io::Result<()> {
        let before = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(bytes as u64)));
        let enough = before.is_ok_and(|left| left >= bytes as u64);
        if enough { Ok(()) } else { Err(io::Error::from(io::ErrorKind::FileTooLarge)) }
    }
}

impl Read for Limited {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.took(read)?;
        Ok(read)
    }
}

impl BufRead for Limited {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.left.load(Relaxed);
        let bytes = self.inner.fill_buf()?;
        if left == 0 && !bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(&bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))])
    }

    fn consume(&mut self, bytes: usize) {
        // No more than `fill_buf` has shown.
        let _ = self.took(bytes);
        self.inner.consume(bytes);
    }
}

/// Standard input says by its first bytes what it is.
pub(super) fn open_stdin() -> Result<Opened, RecordsError> {
    sniff("standard input", io::stdin())
        .map_err(|error| RecordsError::Io { file: "standard input".to_owned(), error })
}

fn sniff(name: &str, input: impl Read + Send + 'static) -> io::Result<Opened> {
    let (start, stream) = peek(input)?;
    let (start, mut stream) =
        peek(unpack(Box::new(BufReader::with_capacity(BUFFER, stream)), packing_of(&start))?)?;
    let name = name.to_owned();
    if is_parquet(&start) {
        // Parquet is read from its end, so it must be somewhere where there is one.
        let mut file = tempfile::tempfile()?;
        io::copy(&mut stream, &mut file)?;
        file.rewind()?;
        return Ok(Opened { name, format: Format::Parquet, data: Data::Seekable(file) });
    }
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    let format = if first == Some(&b'{') { Format::JsonLines } else { Format::Csv(b',') };
    Ok(Opened {
        name,
        format,
        data: Data::Stream(Box::new(BufReader::with_capacity(BUFFER, stream))),
    })
}

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first five bytes, and the whole stream all the same.
fn peek<R: Read>(mut input: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::with_capacity(5);
    input.by_ref().take(5).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sniffed(bytes: Vec<u8>) -> (Format, String) {
        let opened = sniff("standard input", Cursor::new(bytes)).unwrap();
        let mut text = Vec::new();
        opened.data.into_stream().read_to_end(&mut text).unwrap();
        (opened.format, String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn standard_input_is_recognised_by_its_first_bytes() {
        assert_eq!(sniffed(b"a,b\n1,2\n".to_vec()), (Format::Csv(b','), "a,b\n1,2\n".to_owned()));
        assert_eq!(
            sniffed(b" {\"a\":1}\n".to_vec()),
            (Format::JsonLines, " {\"a\":1}\n".to_owned())
        );
        assert_eq!(sniffed(b"PAR1\x15yz".to_vec()).0, Format::Parquet);
        assert_eq!(
            sniffed(b"PAR1,b\n1,2\n".to_vec()).0,
            Format::Csv(b','),
            "a column may have that name"
        );
        assert_eq!(sniffed(Vec::new()).0, Format::Csv(b','));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{\"a\":1}\n").unwrap();
        assert_eq!(sniffed(gzip.finish().unwrap()), (Format::JsonLines, "{\"a\":1}\n".to_owned()));
        assert_eq!(
            sniffed(zstd::encode_all(b"a\n1\n".as_slice(), 0).unwrap()),
            (Format::Csv(b','), "a\n1\n".to_owned())
        );
    }

    #[test]
    fn what_is_something_else_than_its_name_says_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, is) in [
            (
                "a.csv",
                &[0x1f, 0x8b, 8, 0][..],
                "gzip, and its name does not say so; rename it so that it ends in .gz",
            ),
            ("b.jsonl", &[0x28, 0xb5, 0x2f, 0xfd, 0], "ends in .zst"),
            ("c.csv", b"PAR1\x15", "ends in .parquet"),
            ("d.csv.gz", b"PAR1\x15", "ends in .parquet"),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let error = open(&path, None).err().unwrap().to_string();
            assert!(error.contains(is) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_unpacks_to_more_than_it_may_is_broken_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.csv.zst");
        fs::write(&path, zstd::encode_all(io::repeat(b'x').take(10 << 20), 0).unwrap()).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 5_000);
        for (limit, whole) in [(10 << 20, true), ((10 << 20) - 1, false), (5, false)] {
            let mut stream =
                open(&path, Some(&Arc::new(AtomicU64::new(limit)))).unwrap().data.into_stream();
            let mut text = Vec::new();
            let read = stream.read_until(b'\n', &mut text);
            assert!(text.len() as u64 <= limit);
            assert_eq!(
                read.map_err(|error| error.kind()),
                if whole { Ok(10 << 20) } else { Err(io::ErrorKind::FileTooLarge) }
            );
        }
    }

    #[test]
    fn names_say_what_is_in_a_file() {
        let format = |name: &str| format_of(Path::new(name)).ok();
        assert_eq!(format("a/People.CSV.gz"), Some((Format::Csv(b','), Packing::Gzip)));
        assert_eq!(format("x.jsonl.zst"), Some((Format::JsonLines, Packing::Zstd)));
        assert_eq!(format("x.parquet"), Some((Format::Parquet, Packing::None)));
        for unknown in ["x.parquet.gz", "x.xlsx", "x", "x.gz", "x.json"] {
            assert_eq!(format(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn files_come_in_the_order_of_their_paths_and_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "c.txt"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let names: Vec<_> = find("*.csv", dir.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.csv", "b.csv"]);
        assert!(
            find("*.parquet", dir.path())
                .unwrap_err()
                .to_string()
                .contains("nothing matches `*.parquet`")
        );
        assert!(find(".", dir.path()).unwrap_err().to_string().contains("is a folder"));
    }
}
