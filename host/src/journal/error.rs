//! Why a journal cannot be used.

use super::{RunId, lines::FORMAT};
use std::{io, path::PathBuf};

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it.
    #[error("run {0} is running in another process; wait for it, or stop it first")]
    Busy(RunId),
    /// There is no such run.
    #[error("there is no run {0} here")]
    Unknown(RunId),
    /// A line is not what was written.
    #[error(
        "the journal {path} is damaged at line {line}: {error}; run its plan again: what is behind that line is read from the CRM then"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        error: String,
    },
    /// A line says what this version does not know.
    #[error(
        "line {line} of the journal {path} was written by a newer version ({error}); continue with that version"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What cannot be read.
        error: String,
    },
    /// Another version has written it.
    #[error(
        "the journal {path} has format {format}, and this version reads {FORMAT}; continue with the version that has written it, or move it away"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is not the journal of this run.
    #[error(
        "{path} is not the journal of this run but of {theirs}: the database or the folder was put back to an older state. Nothing was written; plan again"
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// What it is the journal of.
        theirs: String,
    },
    /// It was there.
    #[error(
        "the journal {path} is gone: nobody knows what this run has written. Put it back from a backup, or plan again with compare to see what the CRM holds"
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The disk.
    #[error("cannot keep the journal {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}
