//! JSON whose texts are secrets: read without a message that could repeat one.
//!
//! serde's own messages quote the value that does not fit. So a document is read into a tree first,
//! which fits everything, and what is wrong with the tree is said in words of ours: which key, what
//! it must be.

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess},
};
use std::fmt;

/// A document that is not what it must be. The message repeats nothing that is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadDocument(pub(super) String);

/// Any JSON.
pub(super) enum Node {
    Text(SecretString),
    Object(Vec<(String, Node)>),
    /// As good as not there.
    Null,
    /// In a word.
    Other(&'static str),
}

impl Node {
    fn kind(&self) -> &'static str {
        match self {
            Node::Text(_) => "a string",
            Node::Object(_) => "an object",
            Node::Null => "null",
            Node::Other(kind) => kind,
        }
    }
}

/// An object while it is read: keys are taken out one by one, and nothing may be left.
pub(super) struct Object {
    /// Where it stands, such as `credential.oauth`.
    place: &'static str,
    entries: Vec<(String, Node)>,
}

impl Object {
    pub(super) fn of(
        node: Node,
        place: &'static str,
        example: &str,
    ) -> Result<Object, BadDocument> {
        match node {
            Node::Object(entries) => {
                let twice = entries.iter().enumerate().any(|(at, (key, _))| {
                    entries.iter().skip(at + 1).any(|(later, _)| later == key)
                });
                if twice {
                    return Err(BadDocument(format!("`{place}` has a key twice")));
                }
                Ok(Object { place, entries })
            }
            other => Err(BadDocument(format!(
                "`{place}` is {}; it must be an object such as {example}",
                other.kind()
            ))),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, node)| name == key && !matches!(node, Node::Null))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(at).1).filter(|node| !matches!(node, Node::Null))
    }

    /// A secret, without the blanks and line breaks around it that come from pasting.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
    ) -> Result<Option<SecretString>, BadDocument> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let Node::Text(text) = node else {
            return Err(self.wrong(key, &format!("{}; it must be a string", node.kind())));
        };
        match text.expose_secret().trim() {
            "" => Err(self.wrong(key, "empty")),
            trimmed if trimmed.len() == text.expose_secret().len() => Ok(Some(text)),
            trimmed => Ok(Some(SecretString::from(trimmed))),
        }
    }

    /// A text that is not a secret, or would not be in the right place.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, BadDocument> {
        Ok(self.secret(key)?.map(|text| text.expose_secret().to_owned()))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, BadDocument> {
        let Some(text) = self.secret(key)? else { return Ok(None) };
        let found =
            words.iter().find(|(word, _)| *word == text.expose_secret()).map(|(_, value)| *value);
        let all =
            || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| self.wrong(key, &format!("none of {}", all())))
    }

    pub(super) fn wrong(&self, key: &str, what: &str) -> BadDocument {
        BadDocument(format!("`{}.{key}` is {what}", self.place))
    }

    pub(super) fn missing(&self, key: &str) -> BadDocument {
        BadDocument(format!("`{}.{key}` is missing", self.place))
    }

    /// Nothing else may be in it. A name that is not known is not repeated: people paste secrets
    /// anywhere.
    pub(super) fn finish(&self, keys: &[&str]) -> Result<(), BadDocument> {
        let is_known_null = |(key, node): &(String, Node)| {
            matches!(node, Node::Null) && keys.contains(&key.as_str())
        };
        if self.entries.iter().all(is_known_null) {
            return Ok(());
        }
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        Err(BadDocument(format!("`{}` has an unknown key; its keys are {keys}", self.place)))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct Anything;
        impl<'de> de::Visitor<'de> for Anything {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(SecretString::from(text)))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Node, E> {
                Ok(Node::Text(SecretString::from(text)))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Other("a boolean"))
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Other("a number"))
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Other("a number"))
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Other("a number"))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Node::Other("a list"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Object(entries))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}
