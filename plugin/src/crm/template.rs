//! The templates of `routes`, filled in. Egress compares every request with the same text byte for
//! byte.

use crate::config::{Config, api_key};
use crate::values::encode::push_json_string;
use reverse_sync_wire::template::{Piece, members, parse};

/// A template with the configuration's values put in.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Piece>);

/// What a template is filled in with; names and text are JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filling<'a> {
    pub(crate) id: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) names: &'a str,
    pub(crate) text: &'a str,
    pub(crate) job: &'a str,
}

impl Template {
    /// Reads a template.
    pub(crate) fn new(text: &str, config: &Config) -> Template {
        let value = |key: &str| {
            Ok(match key {
                "object" => config.object.clone(),
                "properties_path" => config.properties_path.clone(),
                key => {
                    debug_assert_eq!(key, api_key(config.provider).0);
                    config.api.clone()
                }
            })
        };
        let pieces = parse(text, value);
        debug_assert!(pieces.is_ok(), "{pieces:?}");
        Template(pieces.unwrap_or_default())
    }

    /// Appends the template's text.
    pub(crate) fn push(&self, out: &mut String, filling: Filling<'_>) {
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Id => filling.id,
                Piece::Fields => filling.fields,
                Piece::Members => members(filling.fields),
                Piece::Names => filling.names,
                Piece::Text => filling.text,
                Piece::Job => filling.job,
            });
        }
    }

    /// The template's text.
    pub(crate) fn filled(&self, filling: Filling<'_>) -> String {
        let mut out = String::new();
        self.push(&mut out, filling);
        out
    }
}

/// Field names as a JSON array. `]` is escaped, so that the list's end is the first one there is.
pub(crate) fn json_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("[");
    for name in names {
        if out.len() > 1 {
            out.push(',');
        }
        let start = out.len();
        push_json_string(&mut out, name);
        if out[start..].contains(']') {
            let escaped = out[start..].replace(']', "\\u005d");
            out.truncate(start);
            out.push_str(&escaped);
        }
    }
    out.push(']');
    out
}

/// Appends a query value, percent-encoded but for what RFC 3986 calls unreserved.
pub(crate) fn push_query_value(out: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn filled(template: &str, fields: &str) -> String {
        let config = parse(
            "salesforce_dest",
            r#"{"provider_id_field":"Id","source_id":"s","object":"Lead"}"#,
        )
        .unwrap();
        Template::new(template, &config).filled(Filling {
            id: "7",
            fields,
            names: r#"["a"]"#,
            text: r#""t""#,
            job: "750",
        })
    }

    #[test]
    fn placeholders_are_filled_and_the_rest_stands_for_itself() {
        assert_eq!(filled("/x/${api_version}/${object}/${id}", "{}"), "/x/v67.0/Lead/7");
        assert_eq!(
            filled(r#"{"id":"${id}",${members}}"#, r#"{"a":1,"b":"}"}"#),
            r#"{"id":"7","a":1,"b":"}"}"#
        );
        assert_eq!(filled("${fields}", r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(filled(r#"{"f":${names},"t":${text}}"#, ""), r#"{"f":["a"],"t":"t"}"#);
        assert_eq!(filled("/x/${job}/y/", ""), "/x/750/y/");
    }

    #[test]
    fn names_cannot_end_their_list() {
        let names = json_names(["a\"b", "c]d", "e"].into_iter());
        assert_eq!(names, r#"["a\"b","c\u005dd","e"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(&names).unwrap(), ["a\"b", "c]d", "e"]);
    }

    #[test]
    fn query_values_are_percent_encoded() {
        let mut out = String::new();
        push_query_value(&mut out, "a_b,c&d=ü");
        assert_eq!(out, "a_b%2Cc%26d%3D%C3%BC");
    }
}
