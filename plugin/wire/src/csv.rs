//! CSV as Salesforce's Bulk API takes it (crm-apis B9), in one spelling: text in quotation marks,
//! whatever else as its JSON is spelled, an empty cell where a change has no such field.

use serde::Deserialize;
use std::borrow::Cow;

/// Most columns of an upload beside that of the ids: Salesforce's limit of fields in a record.
pub const MAX_COLUMNS: usize = 5_000;

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a JSON string.
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0),
    }
}

/// Appends text in quotation marks; those within it are doubled.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

/// Whether a field can be a column. With a `.` it would be a lookup of another record, and with a
/// `:` it names the kind of that record. (crm-apis B9)
pub fn is_column(name: &str) -> bool {
    !name.contains(['.', ':'])
}

/// The cell of a value.
pub enum Cell<'a> {
    /// In quotation marks.
    Text(Cow<'a, str>),
    /// As it is.
    Bare(&'a str),
}

impl<'a> Cell<'a> {
    /// The cell of a JSON value; `null` is the text that clears a field.
    ///
    /// # Errors
    /// What an upload cannot say: an empty text would be ignored, the text of a null would clear,
    /// and there are no lists.
    pub fn of(json: &'a str, null: &'a str) -> Result<Cell<'a>, String> {
        match json.as_bytes().first() {
            Some(b'"') => match text(json) {
                // Whether blanks around the text of a null count is not known.
                Some(text) if text.is_empty() || text.trim() == null => {
                    Err(format!("is `{text}`, which an upload cannot say"))
                }
                Some(text) => Ok(Cell::Text(text)),
                None => Err("is not a JSON string".to_owned()),
            },
            Some(b'{' | b'[') | None => {
                Err("is a list or an object, which an upload cannot say".to_owned())
            }
            Some(b'n') => Ok(Cell::Bare(null)),
            Some(_) => Ok(Cell::Bare(json)),
        }
    }

    /// Appends it.
    pub fn push(&self, out: &mut String) {
        match self {
            Cell::Text(text) => push_quoted(out, text),
            Cell::Bare(text) => out.push_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling_or_none() {
        for (json, cell) in [
            (r#""x""#, Some("\"x\"")),
            (r#""say \"x\",\n""#, Some("\"say \"\"x\"\",\n\"")),
            (r#"" Zürich\u00e9 ""#, Some("\" Züriché \"")),
            ("12.50", Some("12.50")),
            ("true", Some("true")),
            ("null", Some("#N/A")),
            (r##""#N/A""##, None),
            (r##""#N/A ""##, None),
            (r##""#N/A?""##, Some("\"#N/A?\"")),
            (r#""""#, None),
            (r#""\ud800""#, None),
            ("[1]", None),
            (r#"{"a":1}"#, None),
            ("", None),
        ] {
            let said = Cell::of(json, "#N/A").ok().map(|cell| {
                let mut out = String::new();
                cell.push(&mut out);
                out
            });
            assert_eq!(said.as_deref(), cell, "{json}");
        }
    }
}
