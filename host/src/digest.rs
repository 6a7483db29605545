//! SHA-256 digests, as values that can only be made by hashing or by parsing their text.
//!
//! ```
//! use reverse_sync::Digest;
//!
//! let digest = Digest::of(b"the bytes of a plugin");
//! assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
//! ```

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, io, str::FromStr};

/// A SHA-256 digest. Its text is `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a `sha256:` digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest; expected `sha256:` and 64 hexadecimal digits")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        let bad = || NotADigest(text.chars().take(100).collect());
        let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
        // A sign is taken for part of a number.
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A writer that digests what passes through it.
pub struct DigestWriter<W> {
    inner: W,
    state: Sha256,
}

impl<W: io::Write> DigestWriter<W> {
    /// Around a writer.
    pub fn new(inner: W) -> DigestWriter<W> {
        DigestWriter { inner, state: Sha256::new() }
    }

    /// The writer, and the digest of what passed.
    pub fn finish(self) -> (W, Digest) {
        (self.inner, Digest(self.state.finalize().into()))
    }
}

impl<W: io::Write> io::Write for DigestWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.state.update(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest of everything that a reader has left.
pub(crate) fn of_reader(mut reader: impl io::Read) -> io::Result<Digest> {
    let mut writer = DigestWriter::new(io::sink());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(writer.finish().1),
            n => io::Write::write_all(&mut writer, &buffer[..n])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_text_but_for_its_letter_case() {
        let text = Digest::of(b"x").to_string();
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for bad in [
            format!("sha256:{}", "+a".repeat(32)),
            format!("sha256:0a+a{}", "0".repeat(60)),
            "sha256:".to_owned(),
            text + "0",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
