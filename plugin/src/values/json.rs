//! Single JSON values, read from how they are spelled.

use super::encode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, marker::PhantomData};

/// What is read from an object alone. A derived reader takes a list as well, for the members in
/// their order, and no CRM answers so.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

/// A JSON string's text, or `None` for null and whatever is not a string.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.into());
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// Whether a value is a number or a boolean: what stands without quotation marks and is a value of
/// a field.
pub(crate) fn is_bare(raw: &str) -> bool {
    !raw.starts_with(['"', '[', '{', 'n'])
}

/// A string, number or boolean as text. Digits stay as they are, and exponents are written out.
/// `None` for null, lists and objects, and for an exponent that is too large to be written out.
pub(crate) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => text(raw),
        b'n' | b'[' | b'{' => None,
        b't' | b'f' => Some(raw.into()),
        _ if encode::is_plain_decimal(raw) => Some(raw.into()),
        _ => encode::without_exponent(raw).map(Cow::Owned),
    }
}

/// The values of a list as texts. `None`: it is not a list, or one of them is not a scalar.
pub(crate) fn items(raw: &str) -> Option<Vec<Cow<'_, str>>> {
    let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    items.into_iter().map(|item| scalar(item.get())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_spelled() {
        for (raw, expected) in [
            (r#""x\ty""#, Some("x\ty")),
            ("12345678901234567.89", Some("12345678901234567.89")),
            ("1.10", Some("1.10")),
            ("1.5e3", Some("1500")),
            ("1e-500", None),
            ("true", Some("true")),
            ("null", None),
            ("[1]", None),
            ("{}", None),
        ] {
            assert_eq!(scalar(raw).as_deref(), expected, "{raw}");
        }
        assert_eq!(items(r#"["a",1.50,true]"#).unwrap(), ["a", "1.50", "true"]);
        assert!(
            items(r#"["a",null]"#).is_none()
                && items(r#"[["a"]]"#).is_none()
                && items("1").is_none()
        );
        assert_eq!((text(r#""x\ty""#).as_deref(), text("null")), (Some("x\ty"), None));
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        let read = |text: &'static str| {
            serde_json::from_str::<Object<Named<'_>>>(text).ok().map(|Object(named)| named.id)
        };
        assert_eq!(read(r#"{"a":[1],"id":"17"}"#).as_deref(), Some("17"));
        assert_eq!((read(r#"["17"]"#), read("[]"), read("null")), (None, None, None));
    }
}
