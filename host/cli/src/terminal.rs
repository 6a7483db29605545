//! Standard output and standard error: the only ways to them, so that no text of somebody else's
//! repaints what a person is about to confirm.

use reverse_sync::visible::Visible;
use std::io::{self, ErrorKind, StderrLock, StdoutLock, Write, stderr, stdout};

/// Standard output.
pub(crate) fn out() -> Visible<Unread<StdoutLock<'static>>> {
    Visible::new(Unread(stdout().lock()))
}

/// A pipe whose reader may leave, as `head` does: what it does not read is lost, and the command
/// ends as it would have.
pub(crate) struct Unread<W>(W);

impl<W: Write> Write for Unread<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Standard error.
pub(crate) fn err() -> Visible<StderrLock<'static>> {
    Visible::new(stderr().lock())
}

/// Prints for people or programs. Whatever is wrong with standard output is no reason to end: the
/// exit code still tells.
pub(crate) fn print(text: impl std::fmt::Display) {
    let mut out = out();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Says something beside the result.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(err(), "{text}");
}
