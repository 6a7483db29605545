//! Templates: text in which placeholders stand for ids, confirmed values and names, and the cursor
//! that compares a body with it.

use super::{Witness, is_id};
use crate::config_values::ConfigValues;
pub(super) use reverse_sync_wire::template::Piece;
use reverse_sync_wire::template::parse;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Text(String),
    Id,
    Job,
}

pub(super) type Template = Vec<Piece>;

/// Longest `${text}`, in bytes as it stands in the body.
const MAX_TEXT: usize = 1_000;

pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(format!("the body continues after its template ended, at `{}`", self.here()))
        }
    }

    pub(super) fn here(&self) -> String {
        String::from_utf8_lossy(&self.rest[..self.rest.len().min(40)]).into_owned()
    }

    /// One template. `confirmed` are the values of the record in the path; in a body of several, an
    /// `${id}` comes first and says whose values have to follow.
    pub(super) fn template(
        &mut self,
        template: &Template,
        confirmed: Option<&[u8]>,
        witness: &mut dyn Witness,
    ) -> Result<(), String> {
        let mut id: Option<&'a str> = None;
        for (at, piece) in template.iter().enumerate() {
            match piece {
                Piece::Literal(text) => self.literal(text.as_bytes())?,
                Piece::Id => {
                    let text = self.id()?;
                    let wants_values = template[at..]
                        .iter()
                        .any(|piece| matches!(piece, Piece::Fields | Piece::Members));
                    if !wants_values {
                        witness.claim(text)?;
                    }
                    id = Some(text);
                }
                Piece::Fields | Piece::Members => {
                    let values = match (id, confirmed) {
                        (Some(id), _) => witness.claim(id)?,
                        (None, Some(values)) => values,
                        (None, None) => return Err("values without an id".to_owned()),
                    };
                    let values = if *piece == Piece::Fields {
                        values
                    } else {
                        values.get(1..values.len().saturating_sub(1)).unwrap_or_default()
                    };
                    if !self.take(values) {
                        return Err(match id {
                            Some(id) => format!(
                                "the values for record {id} are not the confirmed ones, at `{}`",
                                self.here()
                            ),
                            None => format!(
                                "the values are not the confirmed ones, at `{}`",
                                self.here()
                            ),
                        });
                    }
                }
                Piece::Names => self.names()?,
                Piece::Text => self.text()?,
                Piece::Job => return Err("a job outside the path".to_owned()),
            }
        }
        Ok(())
    }

    pub(super) fn literal(&mut self, text: &[u8]) -> Result<(), String> {
        if self.take(text) {
            return Ok(());
        }
        Err(format!(
            "the body is not in the granted form: expected `{}`, found `{}`",
            String::from_utf8_lossy(text),
            self.here()
        ))
    }

    pub(super) fn id(&mut self) -> Result<&'a str, String> {
        let end = memchr::memchr(b'"', self.rest).unwrap_or(self.rest.len());
        let (id, rest) = self.rest.split_at(end);
        let id = str::from_utf8(id)
            .ok()
            .filter(|id| is_id(id))
            .ok_or_else(|| format!("expected a record id, found `{}`", self.here()))?;
        self.rest = rest;
        Ok(id)
    }

    /// One JSON string.
    fn text(&mut self) -> Result<(), String> {
        let mut values = serde_json::Deserializer::from_slice(self.rest)
            .into_iter::<std::borrow::Cow<'_, str>>();
        if self.rest.first() != Some(&b'"') || !matches!(values.next(), Some(Ok(_))) {
            return Err(format!("expected a JSON string, found `{}`", self.here()));
        }
        let length = values.byte_offset();
        if length > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
        self.rest = &self.rest[length..];
        Ok(())
    }

    /// A JSON array of plain names: reads name fields, they carry nothing.
    fn names(&mut self) -> Result<(), String> {
        let end = memchr::memchr(b']', self.rest)
            .ok_or_else(|| "a list of names that does not end".to_owned())?;
        let (list, rest) = self.rest.split_at(end + 1);
        let names: Vec<&str> = serde_json::from_slice(list)
            .map_err(|_| format!("expected a list of names, found `{}`", self.here()))?;
        if names.iter().any(|name| name.len() > 255) {
            return Err("a name of more than 255 bytes".to_owned());
        }
        self.rest = rest;
        Ok(())
    }
}

/// The template of a body. What a body says about a job would be nobody's to check.
pub(super) fn compile_body(text: &str, config: &ConfigValues) -> Result<Template, String> {
    let template = parse(text, |key| config.plain(key))?;
    if template.contains(&Piece::Job) {
        Err("a job outside the path".to_owned())
    } else {
        Ok(template)
    }
}

pub(super) fn compile_path(text: &str, config: &ConfigValues) -> Result<Vec<Segment>, String> {
    let mut path = String::new();
    for piece in parse(text, |key| config.plain(key))? {
        match piece {
            Piece::Literal(text) => path.push_str(&text),
            Piece::Id => path.push_str("${id}"),
            Piece::Job => path.push_str("${job}"),
            Piece::Fields | Piece::Members | Piece::Names | Piece::Text => {
                return Err("values in the path".to_owned());
            }
        }
    }
    let rest = path
        .strip_prefix('/')
        .ok_or_else(|| format!("the path `{path}` does not begin with `/`"))?;
    let last = rest.split('/').count() - 1;
    rest.split('/')
        .enumerate()
        .map(|(at, segment)| match segment {
            "${id}" => Ok(Segment::Id),
            "${job}" => Ok(Segment::Job),
            // A slash at the end, where the CRM's documentation has one.
            "" if at > 0 && at == last => Ok(Segment::Text(String::new())),
            "" | "." | ".." => Err(format!("the path `{path}` has an empty or relative segment")),
            _ if segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) =>
            {
                Ok(Segment::Text(segment.to_owned()))
            }
            _ => Err(format!("`{segment}` is not a plain path segment")),
        })
        .collect()
}
