//! The JSON values of changes, as people compare them: a CRM answers `"true"` to what was sent as `true`, and nothing, `""` and
//! `null` all mean that a field is empty.

use serde_json::{Map, Value};

/// The members of a change's JSON object; none if it is no object.
pub fn members(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

/// Whether a field that holds this is empty.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The text that stands for a value: texts without quotes, empty values as nothing.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value if is_empty(value) => String::new(),
        value => value.to_string(),
    }
}

/// Whether two values are the same to a reader.
pub fn same(one: &Value, other: &Value) -> bool {
    one == other || text(one) == text(other)
}

/// A value in a sentence: shortened, and `(empty)` where there is none.
pub fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 60;
    let text = value.map(text).unwrap_or_default();
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let mut shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

/// Names of fields whose values differ between two objects, with both values, in the order of the names.
pub fn differences(one: &str, other: &str) -> Vec<(String, Option<Value>, Option<Value>)> {
    let (mut one, mut other) = (members(one), members(other));
    let mut names: Vec<String> = one.keys().chain(other.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let pairs = names.into_iter().map(|name| {
        let (one, other) = (one.remove(&name), other.remove(&name));
        (name, one, other)
    });
    pairs.filter(|(_, one, other)| !same(one.as_ref().unwrap_or(&Value::Null), other.as_ref().unwrap_or(&Value::Null))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_is_empty_and_spelling_of_scalars_does_not_count() {
        for (one, other) in [(json!(true), json!("true")), (json!(5), json!("5")), (json!(null), json!("")), (json!([]), json!(null))] {
            assert!(same(&one, &other), "{one} {other}");
        }
        for (one, other) in [(json!("a"), json!("A")), (json!(0), json!("")), (json!(false), json!(null)), (json!("5.0"), json!(5))] {
            assert!(!same(&one, &other), "{one} {other}");
        }
    }

    #[test]
    fn differences_name_the_fields() {
        let found = differences(r#"{"a":"1","b":"x","c":null}"#, r#"{"b":"y","a":1,"d":""}"#);
        assert_eq!(found, [("b".to_owned(), Some(json!("x")), Some(json!("y")))]);
    }

    #[test]
    fn shown_values_stay_on_one_line() {
        assert_eq!(shown(Some(&json!("a\nb"))), "a b");
        assert_eq!(shown(Some(&json!(""))), "(empty)");
        assert_eq!(shown(Some(&json!("x".repeat(70)))).chars().count(), 61);
    }
}
