//! Text inside JSON strings.

use std::fmt::Write;

/// Bytes that JSON does not allow as they are inside a string.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Position of the first byte that must be escaped, eight bytes at a time.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest marked byte is exact; a borrow can only mark bytes above it wrongly.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit = control
            | zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')));
        if hit != 0 {
            return Some(at + hit.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    words.remainder().iter().position(|byte| is_special(*byte)).map(|tail| at + tail)
}

/// Whether any text in here must be escaped.
pub fn needs_escape(text: &str) -> bool {
    first_special(text.as_bytes()).is_some()
}

/// Appends text as the inside of a JSON string.
pub fn push_escaped(out: &mut String, mut text: &str) {
    while let Some(at) = first_special(text.as_bytes()) {
        let (plain, rest) = text.split_at(at);
        out.push_str(plain);
        match rest.as_bytes().first().copied().unwrap_or_default() {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => {
                let _ = write!(out, "\\u{other:04x}");
            }
        }
        text = &rest[1..];
    }
    out.push_str(text);
}
