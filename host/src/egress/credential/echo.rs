//! Looks for secrets in answers, also in the spellings that JSON, URLs and base64 have for the same
//! text.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

/// An answer, or a part of one.
pub(super) struct Answer<'a> {
    bytes: &'a [u8],
    /// Without escapes, if it has any.
    decoded: Option<Vec<u8>>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Answer<'a> {
        Answer {
            bytes,
            decoded: memchr::memchr2(b'\\', b'%', bytes).map(|first| decoded(bytes, first)),
        }
    }

    /// Whether it repeats this secret.
    pub(super) fn repeats(&self, secret: &SecretString) -> bool {
        let secret = secret.expose_secret().as_bytes();
        let found = |wanted: &[u8]| {
            let within = |bytes: &[u8]| memchr::memmem::find(bytes, wanted).is_some();
            !wanted.is_empty()
                && (within(self.bytes) || self.decoded.as_deref().is_some_and(within))
        };
        found(secret) || (0..3).any(|before| found(in_base64(secret, before).as_bytes()))
    }
}

/// What base64 makes of the middle of a secret, as many bytes after the beginning of what was
/// encoded (of three, after which it repeats).
fn in_base64(secret: &[u8], before: usize) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(vec![0; before]);
    whole.extend_from_slice(secret);
    let text = Zeroizing::new(STANDARD_NO_PAD.encode(&*whole));
    // Characters in which there are bits of something else are left out, at both ends.
    let from = (before * 8).div_ceil(6);
    let to = whole.len() * 8 / 6;
    Zeroizing::new(text.get(from..to).unwrap_or_default().to_owned())
}

/// JSON's and URLs' escapes as what they stand for.
fn decoded(bytes: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let hex = |digits: &[u8]| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let mut rest = &bytes[first..];
    loop {
        rest = match rest {
            [] => return out,
            [b'\\', b'u', a, b, c, d, rest @ ..] => {
                let code = hex(&[*a, *b, *c, *d]).and_then(|code| u8::try_from(code).ok());
                // No secret has anything but ASCII.
                out.push(code.unwrap_or(0));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                out.push(*escaped);
                rest
            }
            [b'%', a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex(&[*a, *b]).and_then(|code| u8::try_from(code).ok()).unwrap_or(0));
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "00D!AQ/x+9.sesame_open-now=";

    fn repeats(answer: &str) -> bool {
        Answer::new(answer.as_bytes()).repeats(&SecretString::from(TOKEN))
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        assert!(repeats(&format!("x{TOKEN}y")));
        assert!(repeats(&format!(r#"{{"a":"é\n{}"}}"#, TOKEN.replace('/', "\\/"))));
        let all = |spell: fn(u8) -> String| TOKEN.bytes().map(spell).collect::<String>();
        assert!(repeats(&all(|byte| format!("\\u{byte:04X}"))));
        assert!(repeats(&all(|byte| format!("%{byte:02x}"))));
        assert!(repeats(&format!(
            "q=1%202&t={}",
            TOKEN.replace('!', "%21").replace('/', "%2F").replace('+', "%2B").replace('=', "%3D")
        )));
        for before in ["", "B", "Be", "Bearer "] {
            for after in ["", "x", "xy"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}{TOKEN}{after}"));
                assert!(repeats(&format!("{{\"a\":\"{text}\"}}")), "{before}{after}");
            }
        }
    }

    #[test]
    fn what_is_like_it_is_none() {
        for answer in
            ["", "%", "%2", "\\", "\\u00", "%zz", &TOKEN[1..], &STANDARD_NO_PAD.encode(&TOKEN[4..])]
        {
            assert!(!repeats(answer), "{answer}");
        }
        assert!(!Answer::new(b"abc").repeats(&SecretString::from("")));
    }
}
