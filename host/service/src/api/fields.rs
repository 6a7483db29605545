//! What the fields of request bodies are made of. No error repeats a value, which may be a secret
//! that was pasted into the wrong place.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// Longest name of anything.
const MAX_NAME: usize = 100;

/// A key that may be left out (`None`, by `#[serde(default)]`). If it is there, it is a `T`: null
/// only if that is an `Option`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A name for people, without the blanks around it.
#[derive(Debug)]
pub struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
            return Err(D::Error::custom(format!(
                "a name has 1 to {MAX_NAME} characters on one line"
            )));
        }
        Ok(Name(name.to_owned()))
    }
}

/// What golden records are, such as `person`.
pub struct EntityType(pub String);

impl<'de> Deserialize<'de> for EntityType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EntityType, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_entity_type(&text) {
            Ok(EntityType(text))
        } else {
            Err(D::Error::custom(ENTITY_TYPE))
        }
    }
}

/// What an entity type must be.
pub const ENTITY_TYPE: &str =
    "an entity type is 1 to 100 letters, digits, `_` and `-`, such as `person`";

/// Whether this can be the name of a type of golden records. It is part of URLs.
pub fn is_entity_type(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What is written as a text, and no other way.
pub struct Parsed<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parsed<T>, D::Error> {
        String::deserialize(deserializer)?.parse().map(Parsed).map_err(D::Error::custom)
    }
}

/// A text that nothing prints.
pub struct Secret(pub SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(|text| Secret(SecretString::from(text)))
    }
}

/// A key as a step of a JSON Pointer.
pub fn step(key: &str) -> String {
    shown(key).replace('~', "~0").replace('/', "~1")
}

/// As much of a text as a message repeats.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// What a value is, without the value.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
