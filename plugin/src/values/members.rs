//! The members of a JSON object, borrowed from its text: a plan of ten thousand records reads
//! megabytes.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A JSON object with its values as they are spelled.
pub(crate) enum Members<'a> {
    /// Read by its outline.
    Outlined(json_outline::Members<'a>),
    /// With names that had to be unescaped.
    Parsed(Vec<(String, &'a str)>),
}

impl Default for Members<'_> {
    fn default() -> Self {
        Members::Outlined(Vec::new())
    }
}

impl<'a> Members<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Members<'a>> {
        match json_outline::members(text) {
            Some(members) => Some(Members::Outlined(members)),
            None => serde_json::from_str(text).ok(),
        }
    }

    fn at(&self, index: usize) -> Option<(&str, &'a str)> {
        match self {
            Members::Outlined(members) => members.get(index).copied(),
            Members::Parsed(members) => {
                members.get(index).map(|(name, value)| (name.as_str(), *value))
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        (0..).map_while(|index| self.at(index))
    }

    /// The value of this name. Salesforce answers with its own letter case of names.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let exact = self.iter().find(|(known, _)| *known == name);
        exact
            .or_else(|| self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(name) = map.next_key::<String>()? {
                    members.push((name, map.next_value::<&'de RawValue>()?.get()));
                }
                Ok(Members::Parsed(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_spelling() {
        let members = Members::parse(r#"{"a":"x\ty","B":12.50,"c":null}"#).unwrap();
        assert_eq!(
            (members.get("a"), members.get("b"), members.get("c"), members.get("d")),
            (Some(r#""x\ty""#), Some("12.50"), Some("null"), None)
        );
    }
}
