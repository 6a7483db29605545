//! Golden records from files (CSV, JSON Lines and Parquet) or from an Arrow reader, as a stream of
//! Arrow batches.
//!
//! One idea runs through all readers: a value keeps the spelling it has in the file. CSV is text
//! throughout, so that a postal code keeps its zeros; JSON Lines are JSON values, so that an id
//! written as `4.92564112121e11` can be judged for what it is; Parquet brings its own types.
//!
//! ```
//! use reverse_sync::{RecordOptions, RecordSource, Records};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # std::fs::write(dir.path().join("a.csv"), "hs_object_id,zip\n1,01234\n")?;
//! let mut records = RecordSource::open("*.csv", dir.path(), RecordOptions::default())?;
//! let batch = records.next_batch(1_000)?.expect("one record");
//! assert_eq!((batch.num_rows(), batch.num_columns()), (1, 2));
//!
//! // Batches that are in memory already are golden records, too.
//! let mut records = std::iter::once(batch);
//! assert!(records.next_batch(1_000)?.is_some());
//! # Ok(())
//! # }
//! ```

mod arrow;
pub mod bounds;
mod columns;
mod csv;
mod csv_form;
mod fingerprint;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod input;
mod jsonl;
pub(crate) mod marked;
mod parquet;
mod strict;

pub use arrow::ArrowRecords;
pub(crate) use columns::to_columns;
pub use csv_form::CsvForm;
pub use fingerprint::Fingerprint;
pub(crate) use jsonl::Name;

use arrow_array::RecordBatch;
use input::{Format, Opened};
use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

/// Why golden records cannot be read. Each message says where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// No file fits the pattern.
    #[error("no golden records: nothing matches `{pattern}` in {}; check `records`", base.display())]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The folder it is relative to.
        base: PathBuf,
    },
    /// The pattern is invalid.
    #[error("`{pattern}` is not a file pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// A file whose name does not say what is in it.
    #[error(
        "{file}: golden records come as .csv, .jsonl, .ndjson or .parquet; .csv and .jsonl also with .gz or .zst behind"
    )]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// The system refuses.
    #[error("cannot read golden records from {file}: {error}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// What is in the file is not what its name says, or is damaged.
    #[error("{file}{}: {reason}", line.map_or_else(String::new, |line| format!(", line {line}")))]
    Malformed {
        /// The file.
        file: String,
        /// The line, counted from 1, where there are lines.
        line: Option<u64>,
        /// What was found, and what to do.
        reason: String,
    },
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct RecordOptions {
    /// The column that holds the record ids. A header without it may be one of another delimiter.
    pub id_column: Option<String>,
    /// How CSV is written, where it is not as RFC 4180 has it.
    pub csv: CsvForm,
    /// Takes CSV of zero bytes for a file without records. Else it is an error: most often the
    /// export is broken.
    pub allow_empty: bool,
}

/// Golden records as a stream of Arrow batches.
pub trait Records: Send {
    /// The next records, `max_rows` at most, or `None` at the end.
    ///
    /// # Errors
    /// Says what is wrong, where, and what to do.
    fn next_batch(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError>;

    /// The files they come from as they are now: a plan is stale when they have changed. None by
    /// default.
    ///
    /// # Errors
    /// If one of them cannot be looked at.
    fn fingerprints(&self) -> Result<Vec<Fingerprint>, RecordsError> {
        Ok(Vec::new())
    }
}

/// Any iterator of batches is a source of golden records that are in memory already.
impl<I: Iterator<Item = RecordBatch> + Send> Records for I {
    fn next_batch(&mut self, _max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        Ok(self.next())
    }
}

/// Files, one after the other, or standard input.
pub struct RecordSource {
    files: std::vec::IntoIter<PathBuf>,
    inputs: Vec<PathBuf>,
    stdin: bool,
    options: RecordOptions,
    /// Bytes of text that may still come.
    left: Option<Arc<AtomicU64>>,
    open: Option<Reader>,
}

enum Reader {
    Csv(Box<marked::MarkedReader>),
    JsonLines(jsonl::JsonLinesReader),
    /// The file's name, what reads it, and how many records it has read.
    Parquet(String, parquet::ParquetReader, u64),
}

impl RecordSource {
    /// Finds the files. `pattern` is a path, a glob, or `-` for standard input; a relative one is
    /// relative to `base`. Files come in the order of their paths.
    ///
    /// # Errors
    /// If nothing matches, or a name does not say what is in the file.
    pub fn open(
        pattern: &str,
        base: &Path,
        options: RecordOptions,
    ) -> Result<RecordSource, RecordsError> {
        let inputs = if pattern == "-" { Vec::new() } else { input::find(pattern, base)? };
        Ok(RecordSource { stdin: pattern == "-", ..RecordSource::of(inputs, options)? })
    }

    /// These files, in this order.
    ///
    /// # Errors
    /// If a name does not say what is in the file.
    pub fn of(inputs: Vec<PathBuf>, options: RecordOptions) -> Result<RecordSource, RecordsError> {
        for path in &inputs {
            input::format_of(path)?;
        }
        Ok(RecordSource {
            files: inputs.clone().into_iter(),
            inputs,
            stdin: false,
            options,
            left: None,
            open: None,
        })
    }

    /// With a limit of how many bytes of text may come out of its files, once they are unpacked.
    /// What is beyond it is an [`io::ErrorKind::FileTooLarge`].
    #[must_use]
    pub fn limited(self, bytes: u64) -> RecordSource {
        RecordSource { left: Some(Arc::new(AtomicU64::new(bytes))), ..self }
    }

    /// The files.
    pub fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }

    fn next_reader(&mut self, max_rows: usize) -> Result<Option<Reader>, RecordsError> {
        let opened = if std::mem::take(&mut self.stdin) {
            input::open_stdin()?
        } else {
            match self.files.next() {
                Some(path) => input::open(&path, self.left.as_ref())?,
                None => return Ok(None),
            }
        };
        let Opened { name, format, data } = opened;
        Ok(Some(match (format, data) {
            (Format::Parquet, input::Data::Seekable(file)) => {
                let reader = parquet::open(file, max_rows.min(bounds::PARQUET_ROWS));
                let reader = reader.map_err(|error| RecordsError::Malformed {
                    file: name.clone(),
                    line: None,
                    reason: error.to_string(),
                })?;
                Reader::Parquet(name, reader, 0)
            }
            (Format::Csv(delimiter), data) => {
                let mut stream = data.into_stream();
                if self.options.allow_empty {
                    let start = stream.fill_buf();
                    let start =
                        start.map_err(|error| RecordsError::Io { file: name.clone(), error })?;
                    if start.is_empty() {
                        return self.next_reader(max_rows);
                    }
                }
                let csv =
                    csv::CsvReader::new(name.clone(), stream, delimiter, &self.options, max_rows)?;
                Reader::Csv(Box::new(marked::MarkedReader::new(name, csv)))
            }
            (_, data) => Reader::JsonLines(jsonl::JsonLinesReader::new(name, data.into_stream())),
        }))
    }
}

impl Records for RecordSource {
    fn fingerprints(&self) -> Result<Vec<Fingerprint>, RecordsError> {
        let of = |path: &PathBuf| {
            Fingerprint::of(path)
                .map_err(|error| RecordsError::Io { file: path.display().to_string(), error })
        };
        self.inputs.iter().map(of).collect()
    }

    fn next_batch(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        loop {
            let reader = match &mut self.open {
                Some(reader) => reader,
                None => match self.next_reader(max_rows)? {
                    Some(reader) => self.open.insert(reader),
                    None => return Ok(None),
                },
            };
            let batch = match reader {
                Reader::Csv(reader) => reader.next(max_rows)?,
                Reader::JsonLines(reader) => reader.next(max_rows)?,
                Reader::Parquet(name, reader, records) => {
                    let malformed = |reason: String| RecordsError::Malformed {
                        file: name.clone(),
                        line: None,
                        reason,
                    };
                    let batch =
                        reader.next().transpose().map_err(|error| malformed(error.to_string()))?;
                    if let Some(batch) = &batch {
                        if let Some(row) = bounds::too_long(batch) {
                            return Err(malformed(format!(
                                "record {} {}",
                                *records + row as u64 + 1,
                                bounds::TOO_LONG
                            )));
                        }
                        *records += batch.num_rows() as u64;
                    }
                    batch
                }
            };
            match batch {
                Some(batch) if batch.num_rows() > 0 => return Ok(Some(batch)),
                Some(_) => {}
                None => self.open = None,
            }
        }
    }
}
