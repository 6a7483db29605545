//! How CSV is written, where it is not as RFC 4180 has it.

use serde::{Deserialize, Serialize};

/// How a CSV file is written. What is not said is as RFC 4180 has it. Always UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Spelled", try_from = "Spelled")]
pub struct CsvForm {
    /// What stands between two cells; a tab in a file called .tsv, else a comma.
    pub delimiter: Option<u8>,
    /// What stands around a cell; `"`.
    pub quote: Option<u8>,
    /// What stands before a quote inside a quoted cell, if quotes are not doubled.
    pub escape: Option<u8>,
}

/// As it is spelled in a project file and in a plan: each a text of one character.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spelled {
    #[serde(skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escape: Option<String>,
}

impl CsvForm {
    /// Whether all of it is as RFC 4180 has it.
    pub fn is_default(&self) -> bool {
        *self == CsvForm::default()
    }
}

impl From<CsvForm> for Spelled {
    fn from(form: CsvForm) -> Spelled {
        let spelled = |byte: Option<u8>| byte.map(|byte| char::from(byte).to_string());
        Spelled {
            delimiter: spelled(form.delimiter),
            quote: spelled(form.quote),
            escape: spelled(form.escape),
        }
    }
}

impl TryFrom<Spelled> for CsvForm {
    type Error = String;

    fn try_from(spelled: Spelled) -> Result<CsvForm, String> {
        let byte = |name: &str, text: Option<String>| match text.as_deref().map(str::as_bytes) {
            None => Ok(None),
            Some([byte])
                if (byte.is_ascii_graphic() || matches!(byte, b'\t' | b' '))
                    && !byte.is_ascii_alphanumeric() =>
            {
                Ok(Some(*byte))
            }
            Some(_) => Err(format!(
                "`{name}` must be one ASCII character that is neither a letter nor a digit, such as \";\" or \"\\t\""
            )),
        };
        let form = CsvForm {
            delimiter: byte("delimiter", spelled.delimiter)?,
            quote: byte("quote", spelled.quote)?,
            escape: byte("escape", spelled.escape)?,
        };
        let quote = form.quote.unwrap_or(b'"');
        if form.delimiter == Some(quote)
            || form.escape == Some(quote)
            || (form.escape.is_some() && form.escape == form.delimiter)
        {
            return Err(
                "`delimiter`, `quote` and `escape` must be different characters; quotes that are doubled need no `escape`".to_owned()
            );
        }
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_spelled_in_texts_of_one_character() {
        let text = r#"{"delimiter":";","escape":"\\"}"#;
        let form: CsvForm = serde_json::from_str(text).unwrap();
        assert_eq!(form, CsvForm { delimiter: Some(b';'), quote: None, escape: Some(b'\\') });
        assert_eq!(serde_json::to_string(&form).unwrap(), text);
        assert!(serde_json::from_str::<CsvForm>("{}").unwrap().is_default());
        for (bad, why) in [
            (r#"{"delimiter":";;"}"#, "`delimiter` must be one"),
            (r#"{"delimiter":"a"}"#, "neither a letter"),
            (r#"{"quote":"\n"}"#, "`quote`"),
            (r#"{"escape":"\""}"#, "different"),
            (r#"{"delimiter":"'","quote":"'"}"#, "different"),
            (r#"{"encoding":"latin1"}"#, "encoding"),
        ] {
            let error = serde_json::from_str::<CsvForm>(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
