//! Standard output and standard error: the only ways to them, so that no text of somebody else's repaints what a person is about to confirm.

use reverse_sync::visible::Visible;
use std::io::{StderrLock, StdoutLock, Write, stderr, stdout};

/// Standard output.
pub(crate) fn out() -> Visible<StdoutLock<'static>> {
    Visible::new(stdout().lock())
}

/// Standard error.
pub(crate) fn err() -> Visible<StderrLock<'static>> {
    Visible::new(stderr().lock())
}

/// Prints for people or programs. A pipe that is closed is no reason to end: the exit code still tells.
pub(crate) fn print(text: impl std::fmt::Display) {
    let _ = write!(out(), "{text}").and_then(|()| stdout().flush());
}

/// Says something beside the result.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(err(), "{text}");
}
