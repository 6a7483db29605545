//! Any bytes as what a target needs: numbers in front, texts behind. Nothing of it can fail, so
//! that every input means something.

/// What is left of an input.
pub(crate) struct Input<'b>(pub(crate) &'b [u8]);

/// What stands between two texts. It is in no UTF-8.
const BETWEEN: u8 = 0xff;

impl<'b> Input<'b> {
    /// The next byte; zero at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// A number below this one, of two bytes.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end.max(1)
    }

    /// Bytes up to the next separator.
    pub(crate) fn bytes(&mut self) -> &'b [u8] {
        let end = self.0.iter().position(|byte| *byte == BETWEEN).unwrap_or(self.0.len());
        let (bytes, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }

    /// A text up to the next separator; what is not UTF-8 of it is left out.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).replace('\u{fffd}', "")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes some bytes: replaced, left out or put in. Whether anything was changed.
    pub(crate) fn edit(&mut self, bytes: &mut Vec<u8>) -> bool {
        let before = bytes.clone();
        // Few of them: what is changed everywhere is refused at once.
        for _ in 0..4 {
            if self.is_empty() {
                break;
            }
            let (what, at) = (self.byte(), self.below(bytes.len() + 1));
            match what % 4 {
                0 if at < bytes.len() => bytes[at] = self.byte(),
                1 if at < bytes.len() => {
                    let end = (at + 1 + usize::from(self.byte() % 8)).min(bytes.len());
                    bytes.drain(at..end);
                }
                2 => {
                    let put = self.bytes();
                    bytes.splice(at..at, put.iter().copied());
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << (self.byte() % 8),
                _ => {}
            }
        }
        *bytes != before
    }
}
