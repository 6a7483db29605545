//! JSON by its outline, against a parser: where both take a text, they read the same values.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use std::fmt;

/// The members of an object as a parser finds them, in order, those that are there twice too.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members {
    fn one<'m>(&'m self, name: &str) -> Option<&'m Value> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "`{name}` is there twice and was taken");
        value
    }
}

fn parsed<'t, T: serde::Deserialize<'t>>(raw: &'t str) -> Option<T> {
    serde_json::from_str(raw).ok()
}

/// Whether members by their outline are those of a parser.
fn same(outlined: &json_outline::Members<'_>, object: &Members) {
    assert_eq!(outlined.len(), object.0.len());
    for ((name, raw), (expected, value)) in outlined.iter().zip(&object.0) {
        assert_eq!(name, expected);
        assert_eq!(&parsed::<Value>(raw).expect("a value that a parser takes"), value);
    }
}

pub(crate) fn outline(bytes: &[u8]) {
    let (ids, records, list) = (
        json_outline::result_ids(bytes),
        json_outline::result_records(bytes),
        json_outline::list(bytes),
    );
    let text = String::from_utf8_lossy(bytes);
    let escaped = {
        let mut out = String::from("\"");
        json_outline::push_escaped(&mut out, &text);
        out + "\""
    };
    assert_eq!(parsed::<String>(&escaped).as_deref(), Some(&*text), "what is escaped reads back");
    assert_eq!(json_outline::needs_escape(&text), escaped.len() != text.len() + 2);
    let Ok(text) = str::from_utf8(bytes) else { return };
    let members = json_outline::members(text);
    // What no parser takes, nobody asked for: the outline is looked at only to be faster.
    if let (Some(members), Some(object)) = (&members, parsed::<Members>(text)) {
        same(members, &object);
    }
    // What is not left to the parser: names without escapes. A value may be anything.
    if let Some(object) = parsed::<Members>(text) {
        let plain = !text.contains("\\u")
            && !text.contains("\\/")
            && object.0.iter().all(|(name, _)| !json_outline::needs_escape(name));
        assert!(!plain || members.is_some(), "an object that the outline does not take");
    }
    if let (Some(list), Some(items)) = (&list, parsed::<Vec<Option<Members>>>(text)) {
        assert_eq!(list.len(), items.len());
        for (outlined, item) in list.iter().zip(&items) {
            match (outlined, item) {
                (Some(outlined), Some(item)) => same(outlined, item),
                (None, None) => {}
                _ => panic!("null and an object"),
            }
        }
    }
    let Some(answer) = parsed::<Members>(text) else { return };
    if let Some(ids) = ids {
        assert!(answer.one("errors").is_none());
        let results = answer.one("results").and_then(Value::as_array).expect("results are a list");
        let expected: Vec<&str> =
            results.iter().filter_map(|result| result.get("id")?.as_str()).collect();
        assert_eq!(ids, expected);
        assert!(results.iter().all(Value::is_object));
    }
    if let Some(records) = records {
        let results = answer.one("results").and_then(Value::as_array).expect("results are a list");
        assert_eq!(records.len(), results.len());
        for ((id, properties), result) in records.iter().zip(results) {
            assert_eq!(Some(*id), result["id"].as_str());
            let object = result["properties"].as_object().expect("properties are an object");
            for (name, raw) in properties {
                let raw: Box<RawValue> = parsed(raw).expect("a value that a parser takes");
                // The last of two of one name is the one that is kept.
                let last =
                    properties.iter().rev().find(|(other, _)| other == name).map(|(_, raw)| *raw);
                assert!(
                    last != Some(raw.get())
                        || parsed::<Value>(raw.get()).as_ref() == object.get(*name)
                );
            }
            assert!(object.keys().all(|name| properties.iter().any(|(known, _)| known == name)));
        }
    }
}
