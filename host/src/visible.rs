//! Text that is not ours, as a terminal, a log and a page may show it: what moves the cursor, or
//! turns the direction of what follows, is shown instead of done.
//!
//! ```
//! use reverse_sync::visible::one_line;
//!
//! assert_eq!(one_line("all is well\n  0 failed"), "all is well\\n  0 failed");
//! ```

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// Whether a character does something else than to be seen: a control character, also of C1, or one
/// that changes the direction of text.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As JSON spells it, so that JSON stays what it is.
fn push(out: &mut String, c: char) {
    // Writing to a text does not fail.
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

/// A text on one line: no part of it looks like a line of ours.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) => push(&mut out, c),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Where everything goes that a person reads. Ends of lines are left as they are.
pub struct Visible<W: Write> {
    inner: W,
    /// The beginning of a character whose rest has yet to come.
    rest: Vec<u8>,
}

impl<W: Write> Visible<W> {
    /// Writes to this.
    pub fn new(inner: W) -> Visible<W> {
        Visible { inner, rest: Vec::new() }
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.rest.is_empty() && bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
            self.inner.write_all(bytes)?;
            return Ok(bytes.len());
        }
        self.rest.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.rest);
        let mut out = String::with_capacity(all.len() + 16);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                if c != '\n' && acts(c) { push(&mut out, c) } else { out.push(c) }
            }
            match chunk.invalid() {
                // It may be the beginning of a character.
                cut if chunks.peek().is_none() && cut.len() < 4 => self.rest = cut.to_vec(),
                [] => {}
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self.inner.write_all(out.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut out = Visible::new(Vec::new());
        for piece in pieces {
            out.write_all(piece).unwrap();
        }
        String::from_utf8(out.inner).unwrap()
    }

    #[test]
    fn what_acts_is_shown_wherever_the_pieces_end() {
        let text = "Ada \u{1b}[2J\u{9b}1A\u{202e}evil\u{2066} Zoë — 漢字\n\tline\r\u{7f}";
        let expected =
            "Ada \\u001b[2J\\u009b1A\\u202eevil\\u2066 Zoë — 漢字\n\\u0009line\\u000d\\u007f";
        for end in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(end);
            assert_eq!(shown(&[first, second]), expected, "{end}");
        }
        assert_eq!(
            shown(&text.as_bytes().iter().map(std::slice::from_ref).collect::<Vec<_>>()),
            expected
        );
        assert_eq!(shown(&[b"a\xff\xffb\n"]), "a\u{fffd}\u{fffd}b\n");
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = serde_json::json!({"message": "\u{9b}31m\u{202e}x", "n": 1});
        let text = shown(&[value.to_string().as_bytes()]);
        assert!(text.is_ascii() && text.contains("\\u202e"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(
            one_line("a\nUpdate 0 records\r\t\u{1b}[1A"),
            "a\\nUpdate 0 records\\r\\t\\u001b[1A"
        );
        assert!(matches!(one_line("Zoë"), Cow::Borrowed("Zoë")));
    }
}
