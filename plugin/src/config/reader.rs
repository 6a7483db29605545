//! A configuration while it is read.

use crate::provider::Provider;
use serde_json::{Map, Value};

/// A configuration while it is read: what is wrong is collected, so that all of it is said at once.
pub(super) struct Reader {
    pub(super) provider: Provider,
    pub(super) map: Map<String, Value>,
    /// The key of each, and what is wrong with it.
    pub(super) problems: Vec<(String, String)>,
}

impl Reader {
    pub(super) fn wrong(&mut self, key: &str, found: &str, right: &str, example: &str) {
        let text =
            format!("`{key}` is {found}; it must be {right}, for example `\"{key}\": {example}`");
        self.problems.push((key.to_owned(), text));
    }

    pub(super) fn required(&mut self, key: &str, meaning: &str, example: &str) -> String {
        match self.map.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return text.clone(),
            Some(Value::String(_)) => self.wrong(key, "empty", meaning, &format!("\"{example}\"")),
            Some(other) => {
                let found = kind(other);
                self.wrong(key, found, &format!("a string, {meaning}"), &format!("\"{example}\""));
            }
            None => {
                let text = format!(
                    "`{key}` is missing; it names {meaning}, for example `\"{key}\": \"{example}\"`"
                );
                self.problems.push((key.to_owned(), text));
            }
        }
        String::new()
    }

    pub(super) fn text(
        &mut self,
        key: &str,
        default: &str,
        form: &str,
        example: &str,
        fits: fn(&str) -> bool,
    ) -> String {
        match self.map.get(key) {
            None => {}
            Some(Value::String(text)) if fits(text) => return text.clone(),
            Some(other) => {
                let found = match other {
                    Value::String(text) => format!("`{}`", text.escape_debug()),
                    other => kind(other).to_owned(),
                };
                self.wrong(key, &found, form, &format!("\"{example}\""));
            }
        }
        default.to_owned()
    }

    pub(super) fn whole(&mut self, key: &str, default: u32, least: u32, most: u32) -> u64 {
        // JSON Schema counts 8.0 among the integers.
        let range = f64::from(least)..=f64::from(most);
        let whole = |value: &Value| {
            value.as_f64().filter(|number| number.fract() == 0.0 && range.contains(number))
        };
        let found = self
            .map
            .get(key)
            .filter(|_| key != "bulk_above" || self.provider == Provider::Salesforce);
        match found.map(|value| whole(value).ok_or_else(|| value.to_string())) {
            None => default.into(),
            Some(Ok(number)) => number as u64,
            Some(Err(found)) => {
                self.wrong(
                    key,
                    &found,
                    &format!("a whole number from {least} to {most}"),
                    &default.to_string(),
                );
                default.into()
            }
        }
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
