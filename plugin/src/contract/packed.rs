//! Many texts in one buffer, as the contract packs them.

use crate::contract::types::Strings;

/// Many texts in one buffer.
pub(crate) struct Packed(pub(crate) Strings);

impl Default for Packed {
    fn default() -> Self {
        Packed(empty_strings())
    }
}

impl Packed {
    pub(crate) fn push(&mut self, text: &str) {
        self.0.bytes.push_str(text);
        close(&mut self.0);
    }

    pub(crate) fn get(&self, at: usize) -> &str {
        match self.0.offsets.get(at..at + 2) {
            Some(&[start, end]) => {
                self.0.bytes.get(start as usize..end as usize).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// Appends piece by piece: write into it, then close.
    pub(crate) fn open(&mut self) -> &mut String {
        &mut self.0.bytes
    }

    pub(crate) fn close(&mut self) {
        close(&mut self.0);
    }
}

/// Appends string `at` of another buffer.
pub(crate) fn append(to: &mut Strings, from: &Strings, at: usize) {
    if let Some(&[start, end]) = from.offsets.get(at..at + 2) {
        to.bytes.push_str(from.bytes.get(start as usize..end as usize).unwrap_or_default());
    }
    close(to);
}

pub(crate) fn empty_strings() -> Strings {
    Strings { bytes: String::new(), offsets: vec![0] }
}

/// Ends the string that was appended to the bytes. [`PUSH_BYTES`] keeps them far below 4 GiB.
pub(crate) fn close(strings: &mut Strings) {
    strings.offsets.push(strings.bytes.len() as u32);
}

pub(crate) fn clear(strings: &mut Strings) {
    strings.bytes.clear();
    strings.offsets.truncate(1);
}
