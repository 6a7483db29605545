//! What can go wrong in the sandbox, and how much of what a component says about it is kept.

use crate::contract::types as wit;
use std::{path::PathBuf, time::Duration};

/// A component could not be loaded, or an instance of it broke.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime does not run here.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Start(wasmtime::Error),
    /// The file cannot be read.
    #[error("cannot read plugin {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not a component, or not one of this contract.
    #[error("this is not a component of the contract reverse-sync:destination@0.1.0: {0:#}")]
    Contract(wasmtime::Error),
    /// The instance trapped, ran out of a budget or broke the contract.
    #[error("the plugin broke off: {0}")]
    Trap(Trapped),
    /// The deadline passed.
    #[error("the plugin was stopped after {0:?}, its deadline")]
    Deadline(Duration),
}

/// Why an instance broke off, without the addresses of a backtrace that nobody can read.
#[derive(Debug)]
pub struct Trapped(String);

impl Trapped {
    /// The innermost cause, and what the component said on standard error (a Rust component says
    /// why it panicked).
    pub(crate) fn new(error: &wasmtime::Error, stderr: &str) -> Trapped {
        let cause = error.root_cause().to_string();
        match stderr.trim() {
            "" => Trapped(cause),
            said => Trapped(format!("{cause}; it said: {said}")),
        }
    }
}

impl std::fmt::Display for Trapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> EngineError {
        EngineError::Trap(Trapped::new(&error, ""))
    }
}

/// Longest message and code of an error of a component, in characters, and the most scopes that it
/// may name: they go to reports, logs and databases.
const MAX_ERROR: usize = 4_000;
const MAX_CODE: usize = 200;
const MAX_SCOPES: usize = 100;

/// What is kept of an error in the component's words.
pub(super) fn shortened(error: wit::Error) -> wit::Error {
    let cut = |text: String, most: usize| match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    };
    wit::Error {
        kind: error.kind,
        code: error.code.map(|code| cut(code, MAX_CODE)),
        pointer: error.pointer.filter(|pointer| pointer.len() <= MAX_CODE),
        message: cut(error.message, MAX_ERROR),
        missing_scopes: error
            .missing_scopes
            .into_iter()
            .take(MAX_SCOPES)
            .map(|scope| cut(scope, MAX_CODE))
            .collect(),
    }
}
