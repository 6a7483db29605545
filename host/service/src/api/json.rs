//! JSON as serde reads it, with errors that keep what serde knows instead of a sentence about it.
//! None of them repeats a value, which may be a secret that was pasted into the wrong place.

use serde::{
    Deserializer,
    de::{
        self, Expected, IntoDeserializer, Unexpected, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;
use std::fmt;

/// What does not fit.
#[derive(Debug)]
pub(super) enum Misfit {
    /// This key is missing.
    Missing(&'static str),
    /// A key is not one of these.
    UnknownKey(&'static [&'static str]),
    /// A word is not one of these.
    UnknownWord(&'static [&'static str]),
    /// A value of another kind, which should be this.
    Kind(String),
    /// A value of the right kind, which should be this.
    Value(String),
    /// In the words of what reads it.
    Said(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Said(text) => f.write_str(text),
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(text: T) -> Misfit {
        Misfit::Said(text.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::Kind(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::Value(expected.to_string())
    }

    fn unknown_variant(_: &str, words: &'static [&'static str]) -> Misfit {
        Misfit::UnknownWord(words)
    }

    fn unknown_field(_: &str, keys: &'static [&'static str]) -> Misfit {
        Misfit::UnknownKey(keys)
    }

    fn missing_field(key: &'static str) -> Misfit {
        Misfit::Missing(key)
    }
}

/// JSON that is read. A struct is an object: serde would take a list too.
#[derive(Clone, Copy)]
pub(super) struct Json<'v>(pub(super) &'v Value);

impl<'v> IntoDeserializer<'v, Misfit> for Json<'v> {
    type Deserializer = Json<'v>;

    fn into_deserializer(self) -> Json<'v> {
        self
    }
}

impl<'v> Deserializer<'v> for Json<'v> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Json));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), Json(value)));
                let mut entries = MapDeserializer::new(entries);
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(Misfit::Kind("an object".to_owned())),
        }
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            Value::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), Json(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(entries)))
            }
            _ => Err(Misfit::Kind("a string".to_owned())),
        }
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}
