//! Answers to reads of many records, borrowed from their bytes: a plan of ten thousand records reads megabytes.

use crate::json::Object;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
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
            Members::Parsed(members) => members.get(index).map(|(name, value)| (name.as_str(), *value)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        (0..).map_while(|index| self.at(index))
    }

    /// The value of this name. Salesforce answers with its own letter case of names.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let exact = self.iter().find(|(known, _)| *known == name);
        exact.or_else(|| self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))).map(|(_, value)| value)
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

/// HubSpot: the records that were found, in any order, by id.
pub(crate) fn hubspot(body: &[u8]) -> Option<Vec<(Cow<'_, str>, Members<'_>)>> {
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        results: Vec<Object<Record<'a>>>,
    }
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow, default)]
        properties: Members<'a>,
    }
    if let Some(records) = json_outline::result_records(body) {
        return Some(records.into_iter().map(|(id, properties)| (id.into(), Members::Outlined(properties))).collect());
    }
    let Object(found) = serde_json::from_slice::<Object<Found<'_>>>(body).ok()?;
    Some(found.results.into_iter().map(|Object(record)| (record.id, record.properties)).collect())
}

/// Salesforce: one entry for each id, in order; `None` where there is no such record.
pub(crate) fn salesforce(body: &[u8]) -> Option<Vec<Option<Members<'_>>>> {
    match json_outline::list(body) {
        Some(list) => Some(list.into_iter().map(|record| record.map(Members::Outlined)).collect()),
        None => serde_json::from_slice(body).ok(),
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

    #[test]
    fn answers_are_read_by_id_and_by_position() {
        let body = br#"{"status":"COMPLETE","results":[{"id":"7","properties":{"a":"x"},"archived":false}],"numErrors":1}"#;
        let found = hubspot(body).unwrap();
        assert_eq!((found.len(), found[0].0.as_ref(), found[0].1.get("a")), (1, "7", Some("\"x\"")));
        let found = salesforce(br#"[{"attributes":{"type":"Contact"},"Id":"003","A":true},null]"#).unwrap();
        assert_eq!((found.len(), found[0].as_ref().unwrap().get("a"), found[1].is_none()), (2, Some("true"), true));
        assert!(hubspot(b"{}").is_none() && salesforce(b"{}").is_none());
    }
}
