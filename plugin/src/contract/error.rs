//! The contract's error, made in one line: what most of them have nothing to say about is left
//! empty.

use crate::contract::types::{Error, ErrorKind};

impl Error {
    pub(crate) fn new(kind: ErrorKind, code: Option<String>, message: String) -> Error {
        Error { kind, code, pointer: None, message, missing_scopes: Vec::new() }
    }
}
