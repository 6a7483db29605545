//! The text form of keys, in the file and in the environment: `key-id base64-of-32-bytes`, one a
//! line, the active one first.

use super::sealed::is_key_id;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroizing};
use std::{fmt::Write as _, sync::Arc};

/// Bytes of a key.
pub(super) const KEY: usize = 32;

/// Keys are pasted from `openssl rand -base64 32` and the like: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const HEADER: &str = "\
# Keys of reverse-sync: they open the credentials in its database. The first one seals what is new.
# Keep a copy where the database's copies are not. Without these keys, every source needs its credential again.
";

/// A key and its name. Clones share the memory.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) bytes: Arc<SecretBox<[u8; KEY]>>,
}

impl Key {
    /// A fresh one, from the operating system.
    pub(super) fn random() -> Result<Key, rand::rand_core::OsError> {
        let mut id = [0; 4];
        OsRng.try_fill_bytes(&mut id)?;
        let mut bytes = Zeroizing::new([0; KEY]);
        OsRng.try_fill_bytes(&mut *bytes)?;
        let id = id.iter().fold("k".to_owned(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        Ok(Key::new(id, &bytes))
    }

    fn new(id: String, bytes: &[u8; KEY]) -> Key {
        let mut kept = SecretBox::new(Box::new([0; KEY]));
        secrecy::ExposeSecretMut::expose_secret_mut(&mut kept).copy_from_slice(bytes);
        Key { id, bytes: Arc::new(kept) }
    }
}

/// A line that is not a key. The message does not repeat it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Nothing but comments.
    #[error(
        "there is no key; a key is a line such as `k1 ` and the output of `openssl rand -base64 32`"
    )]
    None,
    /// Not of the form.
    #[error("line {line} is not of the form `key-id base64-of-32-bytes`: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Reads keys. Empty lines and lines that begin with `#` say nothing.
pub(super) fn parse(text: &SecretString) -> Result<Vec<Key>, BadKeys> {
    let mut keys: Vec<Key> = Vec::new();
    for (at, line) in text.expose_secret().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |why| BadKeys::Line { line: at + 1, why };
        let (id, encoded) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| bad("it has one word where two are needed"))?;
        if !is_key_id(id) {
            return Err(bad("an id has letters, digits, `_` and `-`, and 64 of them at most"));
        }
        if keys.iter().any(|key| key.id == id) {
            return Err(bad("another key has this id already"));
        }
        let mut bytes = Zeroizing::new([0; KEY + 3]);
        let length = BASE64
            .decode_slice(encoded.trim(), &mut *bytes)
            .map_err(|_| bad("the key is not base64 of 32 bytes"))?;
        match bytes.first_chunk::<KEY>() {
            Some(key) if length == KEY => keys.push(Key::new(id.to_owned(), key)),
            _ => return Err(bad("the key has not 32 bytes")),
        }
    }
    if keys.is_empty() { Err(BadKeys::None) } else { Ok(keys) }
}

/// The file's content.
pub(super) fn text(keys: &[Key]) -> SecretString {
    let capacity = HEADER.len() + keys.iter().map(|key| key.id.len() + 2 + KEY * 2).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str(HEADER);
    for key in keys {
        text.push_str(&key.id);
        text.push(' ');
        BASE64.encode_string(key.bytes.expose_secret(), &mut text);
        text.push('\n');
    }
    SecretString::from(text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, BadKeys> {
        parse(&SecretString::from(text)).map(|keys| keys.into_iter().map(|key| key.id).collect())
    }

    #[test]
    fn keys_survive_being_written() {
        let keys = [Key::random().unwrap(), Key::random().unwrap()];
        let again = parse(&text(&keys)).unwrap();
        for (key, again) in keys.iter().zip(&again) {
            assert_eq!(
                (&key.id, key.bytes.expose_secret()),
                (&again.id, again.bytes.expose_secret())
            );
        }
        assert_ne!(keys[0].bytes.expose_secret(), keys[1].bytes.expose_secret());
    }

    #[test]
    fn lines_are_taken_with_and_without_padding() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        assert_eq!(read(&format!("# mine\n\nk2 {key}=\r\n  k1\t{key}  \n")).unwrap(), ["k2", "k1"]);
    }

    #[test]
    fn what_is_no_key_says_which_line_and_does_not_repeat_it() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let long = "sesame".repeat(40);
        for (text, line, says) in [
            (format!("k1 {key}\nsesame"), 2, "one word"),
            (format!("k.1 {key}"), 1, "letters"),
            (format!("k1 {key}\nk1 {key}"), 2, "already"),
            ("k1 sesame sesame".to_owned(), 1, "base64"),
            ("k1 c2VzYW1l".to_owned(), 1, "32 bytes"),
            (format!("k1 {long}"), 1, "32 bytes"),
        ] {
            let error = read(&text).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(
                said.contains(&format!("line {line}"))
                    && said.contains(says)
                    && !said.contains("sesame"),
                "{said}"
            );
        }
        assert_eq!(read("# nothing\n").unwrap_err(), BadKeys::None);
    }
}
