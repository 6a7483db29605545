//! Judging the JSON object of a change: the host shows it to a person and lets it leave byte for
//! byte, so it must be exactly one object with each name once, and nothing that could end it early.

use crate::records::Name;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::{collections::BTreeMap, fmt};

/// Names beyond this many are counted under none.
pub(super) const MAX_NAMES: usize = 10_000;

/// How many changes write each field.
#[derive(Debug, Default)]
pub(crate) struct FieldCounts(BTreeMap<String, u64>);

impl FieldCounts {
    fn count(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        } else if self.0.len() < MAX_NAMES {
            self.0.insert(name.to_owned(), 1);
        }
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, u64> {
        self.0
    }
}

/// Counts the fields of a change.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn judge(fields: &str, counts: &mut FieldCounts) -> Result<(), String> {
    if !fields.starts_with('{') || !fields.ends_with('}') {
        return Err("not a compact JSON object".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(fields);
    deserializer.deserialize_map(Names { counts }).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())
}

/// Whether a change writes a field.
pub(crate) fn names(fields: &str, name: &str) -> bool {
    struct Find<'n>(&'n str);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut found = false;
            while let Some(name) = map.next_key::<Name<'de>>()? {
                found |= name.0 == self.0;
                map.next_value::<IgnoredAny>()?;
            }
            Ok(found)
        }
    }
    // Most changes that do not write the field do not have its name in them at all; an escape may
    // spell it in another way.
    if !fields.contains(name) && !fields.contains('\\') {
        return false;
    }
    serde_json::Deserializer::from_str(fields).deserialize_map(Find(name)).unwrap_or(false)
}

struct Names<'c> {
    counts: &'c mut FieldCounts,
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Records have a handful of fields: a scan over those seen is cheaper than hashing each
        // name.
        let mut seen: Vec<Name<'de>> = Vec::with_capacity(16);
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if seen.contains(&name) {
                return Err(serde::de::Error::custom(format_args!(
                    "the field `{}` is there twice",
                    name.0
                )));
            }
            self.counts.count(&name.0);
            seen.push(name);
            map.next_value::<IgnoredAny>()?;
        }
        if seen.is_empty() {
            return Err(serde::de::Error::custom("a change without a field"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_one_object_with_distinct_names_is_refused() {
        let judge = |text: &str| super::judge(text, &mut FieldCounts::default());
        let smuggled = r#"{"a":"b"}},{"id":"999","properties":{"x":"y"}"#;
        for bad in [
            "",
            "{}",
            "[]",
            "1",
            r#"{"a":1"#,
            r#"{"a":1} "#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            smuggled,
            "{\"a\":\"\n\"}",
            r#"{"a":01}"#,
        ] {
            assert!(judge(bad).is_err(), "{bad}");
        }
        judge(r#"{"a":"x","b":null,"c":{"d":[1.5,true]}}"#).unwrap();
    }

    #[test]
    fn a_field_is_found_however_it_is_spelled() {
        for (fields, expected) in [
            (r#"{"city":1}"#, true),
            (r#"{"a":{"city":1},"b":"city"}"#, false),
            (r#"{"a":"\"city\":1","\u0063ity":2}"#, true),
            (r#"{"cityy":1}"#, false),
        ] {
            assert_eq!(names(fields, "city"), expected, "{fields}");
        }
    }

    #[test]
    fn fields_are_counted() {
        let mut counts = FieldCounts::default();
        judge(r#"{"a":1,"b":2}"#, &mut counts).unwrap();
        judge(r#"{"b":2}"#, &mut counts).unwrap();
        assert_eq!(
            counts.into_map().into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), 1), ("b".to_owned(), 2)]
        );
    }
}
