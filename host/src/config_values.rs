//! The values that `${key}` placeholders of a capability stand for: the destination's
//! `config_json`, completed by the defaults in the type's JSON Schema. The host reads them by name
//! only and knows no key itself.

use serde_json::Value;

/// A destination's configuration and the schema it is written for.
pub struct ConfigValues {
    config: Value,
    schema: Value,
}

impl ConfigValues {
    /// From a destination's `config_json` and the JSON Schema its type publishes.
    pub fn new(config: Value, schema: Value) -> ConfigValues {
        ConfigValues { config, schema }
    }

    /// The text of `key`, or its default, if it is plain enough to stand in a path and in a JSON
    /// string alike.
    pub(crate) fn plain(&self, key: &str) -> Result<String, String> {
        let value = self
            .config
            .get(key)
            .or_else(|| self.schema.get("properties")?.get(key)?.get("default"))
            .ok_or_else(|| {
                format!("the placeholder `${{{key}}}` is neither configured nor has it a default")
            })?;
        let text = value.as_str().ok_or_else(|| format!("`{key}` is not a string"))?;
        if text.is_empty()
            || !text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
        {
            return Err(format!(
                "`{key}` is `{text}`, which cannot stand in a path; use letters, digits, `-`, `_`, `.` and `/`"
            ));
        }
        Ok(text.to_owned())
    }
}
