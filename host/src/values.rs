//! The JSON values of changes, as people read them: nothing, `""` and `null` all mean that a field
//! is empty. Whether two values are one is the component's to say, which knows the CRM and the kind
//! of the field.
//!
//! ```
//! use reverse_sync::values::{members, shown};
//!
//! let fields = members(r#"{"city": "Lyon", "zip": null}"#);
//! assert_eq!((shown(fields.get("city")), shown(fields.get("zip"))), ("Lyon".into(), "(empty)".into()));
//! ```

use serde_json::{Map, Value};

/// The members of a change's JSON object; none if it is not an object.
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

/// A value in a sentence: shortened, and `(empty)` where there is none.
pub fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 60;
    let text = value.map(text).unwrap_or_default();
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shown_values_stay_on_one_line() {
        assert_eq!(shown(Some(&json!("a\nb"))), "a b");
        assert_eq!(shown(Some(&json!(""))), "(empty)");
        assert_eq!(shown(Some(&json!("x".repeat(70)))).chars().count(), 61);
    }
}
