//! Golden sets: the golden records that an org has handed in, each set one file below the org's
//! folder.
//!
//! A set is written beside its place as it arrives, read once from its first record to its last,
//! and only then moved to its place, under a name that no other set has had. So a set is whole or
//! it is not there, one that is replaced stays readable for whoever reads it, and an upload that
//! ends early leaves nothing behind. What comes from a database ([`query`]) goes the same way.

pub mod query;
mod receive;
mod validate;

pub use receive::StagedFile;
pub use validate::Validated;

use reverse_sync::{private_file, records::RecordsError};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What files in the making are called; what a crash has left of them is swept away by this name.
pub(super) const STAGED: &str = ".upload-";

/// Why golden records are not taken. Nothing is replaced then.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// What is in the body cannot be told. (415)
    #[error(
        "golden records come as text/csv, application/x-ndjson or application/vnd.apache.parquet{}; name one of them as content-type",
        found.as_ref().map_or_else(String::new, |found| format!(", not as `{found}`"))
    )]
    UnsupportedType {
        /// The content type.
        found: Option<String>,
    },
    /// How it is packed cannot be told. (415)
    #[error("a body of {format} may have the content-encoding {}, not `{found}`", if *format == "parquet" { "identity alone, as Parquet is packed inside" } else { "gzip, zstd or identity" })]
    UnsupportedEncoding {
        /// What it is.
        format: &'static str,
        /// The content encoding.
        found: String,
    },
    /// There is more of it than is taken. (413)
    #[error("the golden records are larger than {limit} bytes{}; hand in less, or have the limit raised", if *unpacked { " once they are unpacked" } else { "" })]
    TooLarge {
        /// How much may be.
        limit: u64,
        /// Whether they are so only when they are unpacked.
        unpacked: bool,
    },
    /// The body did not finish. (400)
    #[error("the body broke off after {received} bytes: {reason}; send it again")]
    Interrupted {
        /// How much of it came.
        received: u64,
        /// What happened.
        reason: String,
    },
    /// What came cannot be golden records. (422)
    #[error("golden records{}: {reason}", line.map_or_else(String::new, |line| format!(", line {line}")))]
    Invalid {
        /// The line, counted from 1, where there are lines.
        line: Option<u64>,
        /// What was found, and what to do.
        reason: String,
    },
    /// The disk. (500)
    #[error("cannot keep the golden records: {0}")]
    Io(#[from] io::Error),
}

impl GoldenError {
    pub(super) fn invalid(line: impl Into<Option<u64>>, reason: impl Into<String>) -> GoldenError {
        GoldenError::Invalid { line: line.into(), reason: reason.into() }
    }

    /// The error of a reader, which knows the file by a name that is nobody's business.
    fn of(error: RecordsError, limits: &GoldenLimits) -> GoldenError {
        match error {
            RecordsError::Malformed { line, reason, .. } => GoldenError::Invalid { line, reason },
            RecordsError::Io { error, .. } => match error.kind() {
                io::ErrorKind::FileTooLarge => {
                    GoldenError::TooLarge { limit: limits.unpacked, unpacked: true }
                }
                io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::StorageFull => GoldenError::Io(error),
                // A packed stream that is invalid, or is cut short.
                _ => {
                    GoldenError::invalid(None, format!("they cannot be unpacked or read: {error}"))
                }
            },
            other => GoldenError::Io(io::Error::other(other.to_string())),
        }
    }
}

/// How much is taken.
#[derive(Clone, Copy, Debug)]
pub struct GoldenLimits {
    /// Bytes of a body as it arrives.
    pub bytes: u64,
    /// Bytes of what it unpacks to.
    pub unpacked: u64,
}

impl Default for GoldenLimits {
    /// 4 GiB, and 64 GiB unpacked: some 10 and some 200 million records of 8 columns.
    fn default() -> Self {
        GoldenLimits { bytes: 4 << 30, unpacked: 64 << 30 }
    }
}

/// How text is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
    /// With zstd.
    Zstd,
}

/// What is in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadFormat {
    /// Comma-separated values with a header.
    Csv(Packing),
    /// One JSON object per line.
    JsonLines(Packing),
    /// Apache Parquet.
    Parquet,
}

impl UploadFormat {
    /// What the headers `content-type` and `content-encoding` say.
    ///
    /// # Errors
    /// If they say nothing, or what is not taken.
    pub fn of(
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Result<UploadFormat, GoldenError> {
        let unsupported = || GoldenError::UnsupportedType {
            found: content_type.map(|found| found.chars().take(100).collect()),
        };
        let mut parts = content_type
            .unwrap_or_default()
            .split(';')
            .map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let is_utf8 = |part: String| {
            part.strip_prefix("charset=")
                .is_none_or(|name| matches!(name.trim_matches('"'), "utf-8" | "utf8"))
        };
        if !parts.all(is_utf8) {
            return Err(unsupported());
        }
        let encoding = content_encoding.map(|encoding| encoding.trim().to_ascii_lowercase());
        let packing = match encoding.as_deref() {
            None | Some("" | "identity") => Some(Packing::None),
            Some("gzip" | "x-gzip") => Some(Packing::Gzip),
            Some("zstd") => Some(Packing::Zstd),
            Some(_) => None,
        };
        let encoded = |format| GoldenError::UnsupportedEncoding {
            format,
            found: content_encoding.unwrap_or_default().chars().take(100).collect(),
        };
        match kind.as_str() {
            "text/csv" => packing.map(UploadFormat::Csv).ok_or_else(|| encoded("csv")),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => {
                packing.map(UploadFormat::JsonLines).ok_or_else(|| encoded("jsonl"))
            }
            "application/vnd.apache.parquet" if packing == Some(Packing::None) => {
                Ok(UploadFormat::Parquet)
            }
            "application/vnd.apache.parquet" => Err(encoded("parquet")),
            _ => Err(unsupported()),
        }
    }

    /// `csv`, `jsonl` or `parquet`.
    pub fn name(self) -> &'static str {
        match self {
            UploadFormat::Csv(_) => "csv",
            UploadFormat::JsonLines(_) => "jsonl",
            UploadFormat::Parquet => "parquet",
        }
    }

    /// The end of the file's name, by which readers know what is in it.
    pub fn ending(self) -> &'static str {
        match self {
            UploadFormat::Csv(Packing::None) => "csv",
            UploadFormat::Csv(Packing::Gzip) => "csv.gz",
            UploadFormat::Csv(Packing::Zstd) => "csv.zst",
            UploadFormat::JsonLines(Packing::None) => "jsonl",
            UploadFormat::JsonLines(Packing::Gzip) => "jsonl.gz",
            UploadFormat::JsonLines(Packing::Zstd) => "jsonl.zst",
            UploadFormat::Parquet => "parquet",
        }
    }
}

/// The folder of an org's golden sets.
#[derive(Clone, Debug)]
pub struct GoldenFiles {
    dir: PathBuf,
}

impl GoldenFiles {
    /// Makes the folder if it is not there. Plans keep the whole path of their golden records, so
    /// they find them from wherever the service is started the next time.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(dir: &Path) -> io::Result<GoldenFiles> {
        private_file::create_dir(dir)?;
        #[cfg(unix)]
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(GoldenFiles { dir: dir.canonicalize()? })
    }

    /// Where the file of a set is.
    ///
    /// # Errors
    /// If it is not a set id.
    pub fn path(&self, set_id: &str, format: UploadFormat) -> io::Result<PathBuf> {
        let fits = set_id.len() <= 100
            && set_id.starts_with("set_")
            && set_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a golden set's id begins with `set_` and is letters and digits",
            ));
        }
        Ok(self.dir.join(format!("{set_id}.{}", format.ending())))
    }

    /// Removes a set's file. Nothing may refer to it any more, plans and their rejects included.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, set_id: &str, format: UploadFormat) -> io::Result<()> {
        match fs::remove_file(self.path(set_id, format)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what a crash has left of uploads; to be called before the first one. How many there
    /// were.
    ///
    /// # Errors
    /// If the folder cannot be read, or one cannot be removed.
    pub fn sweep(&self) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(STAGED)) {
                fs::remove_file(entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_a_body_is() {
        let of = |kind, encoding| UploadFormat::of(kind, encoding);
        for (kind, encoding, expected) in [
            ("text/csv", None, UploadFormat::Csv(Packing::None)),
            (
                "Text/CSV; charset=\"UTF-8\"; header=present",
                Some("identity"),
                UploadFormat::Csv(Packing::None),
            ),
            ("text/csv", Some("GZIP"), UploadFormat::Csv(Packing::Gzip)),
            ("application/x-ndjson", Some("zstd"), UploadFormat::JsonLines(Packing::Zstd)),
            ("application/jsonl", None, UploadFormat::JsonLines(Packing::None)),
            ("application/vnd.apache.parquet", None, UploadFormat::Parquet),
        ] {
            assert_eq!(of(Some(kind), encoding).unwrap(), expected, "{kind}");
        }
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/json"),
            Some("text/csv; charset=latin1"),
            Some("text/csvx"),
        ] {
            let error = of(kind, None).unwrap_err();
            assert!(
                matches!(error, GoldenError::UnsupportedType { .. })
                    && error.to_string().contains("text/csv"),
                "{error}"
            );
        }
        for (kind, encoding) in [
            ("text/csv", "br"),
            ("text/csv", "gzip, gzip"),
            ("application/vnd.apache.parquet", "gzip"),
        ] {
            assert!(
                matches!(
                    of(Some(kind), Some(encoding)),
                    Err(GoldenError::UnsupportedEncoding { .. })
                ),
                "{kind} {encoding}"
            );
        }
    }

    #[test]
    fn a_set_id_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let files = GoldenFiles::open(dir.path()).unwrap();
        assert!(
            files
                .path("set_01abc", UploadFormat::Csv(Packing::Gzip))
                .unwrap()
                .ends_with("set_01abc.csv.gz")
        );
        for bad in ["", "x", "set_../x", "set_a/b", "set_a.b", "../set_a"] {
            assert!(files.path(bad, UploadFormat::Parquet).is_err(), "{bad}");
        }
    }
}
