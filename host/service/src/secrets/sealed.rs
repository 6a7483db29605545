//! A sealed secret as text: `v1.<key id>.<base64 of nonce and ciphertext>`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, str::FromStr};

const VERSION: &str = "v1";
/// Bytes of an XChaCha20 nonce. Long enough to be drawn at random for every text.
pub(super) const NONCE: usize = 24;
/// Bytes of a Poly1305 tag.
pub(super) const TAG: usize = 16;

/// A sealed secret. It may be stored and printed; only the key that it names opens it, and only
/// where it belongs.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key_id: String,
    /// Nonce, ciphertext, tag.
    bytes: Vec<u8>,
}

/// A text that was never sealed, or was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a sealed secret of the form v1.<key id>.<base64>; was it cut off, or written by a newer version?"
)]
pub struct NotSealed;

impl Sealed {
    pub(super) fn new(key_id: &str, nonce: &[u8; NONCE], ciphertext: &[u8]) -> Sealed {
        Sealed { key_id: key_id.to_owned(), bytes: [nonce, ciphertext].concat() }
    }

    /// The key that opens it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Nonce and ciphertext.
    pub(super) fn parts(&self) -> Option<(&[u8; NONCE], &[u8])> {
        self.bytes.split_first_chunk::<NONCE>()
    }
}

/// What a key's id may be: it stands between dots and on a line of its own.
pub(super) fn is_key_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({self})")
    }
}

impl FromStr for Sealed {
    type Err = NotSealed;

    fn from_str(text: &str) -> Result<Sealed, NotSealed> {
        let mut parts = text.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(VERSION), Some(key_id), Some(bytes)) if is_key_id(key_id) => {
                let bytes = URL_SAFE_NO_PAD.decode(bytes).map_err(|_| NotSealed)?;
                if bytes.len() < NONCE + TAG {
                    return Err(NotSealed);
                }
                Ok(Sealed { key_id: key_id.to_owned(), bytes })
            }
            _ => Err(NotSealed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_is_the_same_after_it_was_text() {
        let sealed = Sealed::new("k1", &[7; NONCE], &[9; 40]);
        let text = sealed.to_string();
        assert!(text.starts_with("v1.k1.BwcH"), "{text}");
        let read: Sealed = text.parse().unwrap();
        assert_eq!((read.key_id(), &read), ("k1", &sealed));
        assert_eq!(read.parts().unwrap(), (&[7; NONCE], &[9; 40][..]));
    }

    #[test]
    fn what_was_never_sealed_is_refused() {
        let bytes = |count: usize| URL_SAFE_NO_PAD.encode(vec![0; count]);
        for text in [
            "".to_owned(),
            "sesame".to_owned(),
            format!("v2.k1.{}", bytes(60)),
            format!("v1..{}", bytes(60)),
            format!("v1.k 1.{}", bytes(60)),
            format!("v1.{}", bytes(60)),
            format!("v1.k1.{}", bytes(39)),
            format!("v1.k1.{}=", bytes(60)),
            format!("v1.k1.{}.x", bytes(60)),
        ] {
            assert_eq!(text.parse::<Sealed>().err(), Some(NotSealed), "{text}");
        }
        assert!(format!("v1.k1.{}", bytes(40)).parse::<Sealed>().is_ok(), "the empty secret");
    }
}
