//! The columns of one batch of golden records: typed views into the packed values, and the text of
//! a value.

use crate::contract::types::{Column, ColumnValues, Error, ErrorKind, RecordBatch, Strings};
use crate::provider::Provider;
use crate::provider_id::shown;
use crate::values::encode::{self, Kind};
use crate::values::json;
use std::borrow::Cow;

/// Packed strings, checked once and then read without copying.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    bytes: &'a str,
    offsets: &'a [u32],
}

impl<'a> Texts<'a> {
    fn new(strings: &'a Strings, length: usize) -> Option<Texts<'a>> {
        let fits =
            strings.offsets.len() == length + 1 || (length == 0 && strings.offsets.is_empty());
        fits.then_some(Texts { bytes: &strings.bytes, offsets: &strings.offsets })
    }

    /// String `at`; empty if the offsets make no sense, which [`View::new`] has checked for.
    pub(crate) fn get(&self, at: usize) -> &'a str {
        match self.offsets.get(at..at + 2) {
            Some(&[start, end]) => self.bytes.get(start as usize..end as usize).unwrap_or_default(),
            _ => "",
        }
    }
}

/// The values of one column.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    Boolean(&'a [bool]),
    Integer(&'a [i64]),
    Number(&'a [f64]),
    Decimal(Texts<'a>),
    /// `plain`: no text of the column needs escaping.
    Text {
        texts: Texts<'a>,
        plain: bool,
    },
    TextList {
        items: Texts<'a>,
        offsets: &'a [u32],
    },
    Date(&'a [i32]),
    Timestamp(&'a [i64]),
    /// On a clock that is so many minutes ahead of UTC; `None`: nobody said.
    LocalTimestamp(&'a [i64], Option<i64>),
    /// As the input spells them. What is not valid is missing.
    Json(Texts<'a>),
}

/// One column of a batch, with its nulls.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) name: &'a str,
    /// `None`: a type without a scalar form.
    pub(crate) values: Option<Values<'a>>,
    valid: Option<&'a [u8]>,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    Written,
    Null,
    /// The record does not have the column: nothing is said about the field.
    Missing,
    /// Nothing but blanks, or a list of nothing.
    Empty,
    /// The CRM has no such value; [`View::explain`] says why.
    Unencodable,
}

impl<'a> View<'a> {
    /// `None`: the host packed the column wrongly. `zone`: what is assumed of times without one.
    pub(crate) fn new(
        column: &'a Column,
        batch: &RecordBatch,
        zone: Option<i64>,
    ) -> Option<View<'a>> {
        let length = batch.length as usize;
        let (values, found) = match &column.values {
            ColumnValues::Boolean(values) => (Some(Values::Boolean(values)), values.len()),
            ColumnValues::Integer(values) => (Some(Values::Integer(values)), values.len()),
            ColumnValues::Number(values) => (Some(Values::Number(values)), values.len()),
            ColumnValues::Decimal(strings) => {
                (Some(Values::Decimal(Texts::new(strings, length)?)), length)
            }
            ColumnValues::Text(strings) => {
                let plain = !encode::needs_escape(&strings.bytes);
                (Some(Values::Text { texts: Texts::new(strings, length)?, plain }), length)
            }
            ColumnValues::TextList(lists) => {
                let items = Texts::new(&lists.items, lists.items.offsets.len().saturating_sub(1))?;
                (
                    Some(Values::TextList { items, offsets: &lists.offsets }),
                    if length == 0 { 0 } else { lists.offsets.len().checked_sub(1)? },
                )
            }
            ColumnValues::Date(values) => (Some(Values::Date(values)), values.len()),
            ColumnValues::Timestamp(values) => (Some(Values::Timestamp(values)), values.len()),
            ColumnValues::LocalTimestamp(values) => {
                (Some(Values::LocalTimestamp(values, zone)), values.len())
            }
            ColumnValues::Json(strings) => {
                (Some(Values::Json(Texts::new(strings, length)?)), length)
            }
            ColumnValues::Unsupported(_) => (None, length),
        };
        let valid = column.valid.as_deref();
        let fits = found == length && valid.is_none_or(|bits| bits.len() >= length.div_ceil(8));
        fits.then_some(View { name: &column.name, values, valid })
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        self.valid
            .is_none_or(|bits| bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1))
    }

    /// What stands in the place of a value, if there is none.
    #[inline]
    pub(crate) fn absence(&self, row: usize) -> Option<Appended> {
        match &self.values {
            Some(Values::Json(_)) if !self.is_valid(row) => Some(Appended::Missing),
            Some(Values::Json(texts)) => (texts.get(row) == "null").then_some(Appended::Null),
            _ => (!self.is_valid(row)).then_some(Appended::Null),
        }
    }

    /// The text of a value, where it is one.
    #[inline]
    pub(crate) fn as_text(&self, row: usize) -> Option<Cow<'a, str>> {
        match &self.values {
            Some(Values::Text { texts, .. }) => Some(texts.get(row).into()),
            Some(Values::Json(texts)) => json::text(texts.get(row)),
            _ => None,
        }
    }

    /// Whether the value of a row is a number or a boolean of its own type.
    pub(crate) fn is_bare(&self, row: usize) -> bool {
        matches!(&self.values, Some(Values::Json(texts)) if json::is_bare(texts.get(row)))
    }

    /// How many values of a list there are in a row, blank ones aside; 0 where there is no list.
    #[inline]
    pub(crate) fn items(&self, row: usize) -> usize {
        match &self.values {
            Some(Values::TextList { items, offsets }) if self.is_valid(row) => {
                list(offsets, row).filter(|at| !is_blank(items.get(*at))).count()
            }
            Some(Values::Json(texts)) if texts.get(row).starts_with('[') => {
                json::items(texts.get(row))
                    .map_or(0, |items| items.iter().filter(|item| !is_blank(item)).count())
            }
            _ => 0,
        }
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        Some(match self.values? {
            Values::Boolean(_) => Kind::Boolean,
            Values::Integer(_) => Kind::Integer,
            Values::Number(_) => Kind::Number,
            Values::Decimal(_) => Kind::Decimal,
            Values::Text { .. } => Kind::Text,
            Values::TextList { .. } => Kind::TextList,
            Values::Date(_) => Kind::Date,
            Values::Timestamp(_) | Values::LocalTimestamp(..) => Kind::Timestamp,
            Values::Json(_) => Kind::Json,
        })
    }

    /// Appends the value of the row as text, without JSON around or in it.
    pub(crate) fn append_unescaped(&self, row: usize, out: &mut String) -> Appended {
        match self.absence(row) {
            Some(absence) => absence,
            None => self.append_value(row, "", "", false, out),
        }
    }

    /// Appends `before`, the value of a row that has one, and `after`; nothing at all unless the
    /// answer is `Written`.
    #[inline]
    pub(crate) fn append_value(
        &self,
        row: usize,
        before: &str,
        after: &str,
        escape: bool,
        out: &mut String,
    ) -> Appended {
        let Some(values) = &self.values else { return Appended::Null };
        let start = out.len();
        match values {
            Values::Text { texts, plain } => {
                let text = texts.get(row);
                if is_blank(text) {
                    return Appended::Empty;
                }
                out.push_str(before);
                if *plain || !escape {
                    out.push_str(text);
                } else {
                    encode::push_escaped(out, text);
                }
                out.push_str(after);
                return Appended::Written;
            }
            Values::TextList { items, offsets } => {
                out.push_str(before);
                let done = append_list(items, list(offsets, row), escape, out);
                if done != Appended::Written {
                    out.truncate(start);
                    return done;
                }
                out.push_str(after);
                return Appended::Written;
            }
            Values::Json(texts) => {
                out.push_str(before);
                let done = append_json(texts.get(row), escape, out);
                if done != Appended::Written {
                    out.truncate(start);
                    return done;
                }
                out.push_str(after);
                return Appended::Written;
            }
            _ => out.push_str(before),
        }
        let good = match values {
            Values::Boolean(values) => {
                out.push_str(if values.get(row) == Some(&true) { "true" } else { "false" });
                true
            }
            Values::Integer(values) => {
                encode::push_integer(out, values.get(row).copied().unwrap_or_default());
                true
            }
            Values::Number(values) => {
                encode::push_number(out, values.get(row).copied().unwrap_or_default())
            }
            Values::Decimal(texts) => {
                let text = texts.get(row);
                out.push_str(text);
                encode::is_plain_decimal(text)
            }
            Values::Date(values) => {
                encode::push_date(out, i64::from(values.get(row).copied().unwrap_or_default()))
            }
            Values::Timestamp(values) => {
                encode::push_timestamp(out, values.get(row).copied().unwrap_or_default())
            }
            // Without a zone, nobody said which instant it is.
            Values::LocalTimestamp(values, zone) => zone.is_some_and(|zone| {
                let micros = values.get(row).copied().unwrap_or_default();
                encode::push_timestamp(out, micros.saturating_sub(zone * 60_000_000))
            }),
            Values::Text { .. } | Values::TextList { .. } | Values::Json(_) => true,
        };
        if good {
            out.push_str(after);
            Appended::Written
        } else {
            out.truncate(start);
            Appended::Unencodable
        }
    }

    /// Why the value of a row is `Unencodable`.
    pub(crate) fn explain(&self, row: usize, provider: Provider) -> String {
        let (name, crm) = (self.name, provider.name());
        match &self.values {
            Some(Values::Json(texts)) => {
                let json = texts.get(row);
                match json.as_bytes().first() {
                    Some(b'{') => format!("`{name}` is an object, which is not a value of a field"),
                    Some(b'[') => format!(
                        "`{name}` is the list `{}`, of which a value is null, no scalar, or has a `;`, which separates options",
                        shown(json)
                    ),
                    _ => format!(
                        "`{name}` is `{}`, which is not a plain decimal number",
                        shown(json)
                    ),
                }
            }
            Some(Values::Number(values)) => {
                format!(
                    "`{name}` is {}, which is not a number to {crm}",
                    encode::shown_number(values.get(row).copied().unwrap_or_default())
                )
            }
            Some(Values::Decimal(texts)) => {
                format!(
                    "`{name}` is `{}`, which is not a plain decimal number",
                    shown(texts.get(row))
                )
            }
            Some(Values::TextList { items, offsets }) => {
                let culprit = list(offsets, row)
                    .map(|at| items.get(at))
                    .find(|item| item.contains(';'))
                    .unwrap_or_default();
                format!(
                    "`{name}` has the option `{}`; `;` separates options and cannot be part of one",
                    shown(culprit)
                )
            }
            Some(Values::LocalTimestamp(_, None)) => {
                format!(
                    "`{name}` is a time without a zone, so nobody knows which instant it is; `time_zone` says it for all of them"
                )
            }
            Some(Values::Date(_) | Values::Timestamp(_) | Values::LocalTimestamp(..)) => {
                format!("`{name}` is not within the years 1 to 9999")
            }
            _ => format!("`{name}` has a value that {crm} cannot hold"),
        }
    }

    /// Number of bytes that the values take, about.
    pub(crate) fn size(&self) -> usize {
        match &self.values {
            None => 0,
            Some(Values::Boolean(values)) => values.len(),
            Some(Values::Date(values)) => values.len() * 4,
            Some(
                Values::Integer(values)
                | Values::Timestamp(values)
                | Values::LocalTimestamp(values, _),
            ) => values.len() * 8,
            Some(Values::Number(values)) => values.len() * 8,
            Some(Values::Text { texts, .. } | Values::Decimal(texts) | Values::Json(texts)) => {
                texts.bytes.len() + texts.offsets.len() * 4
            }
            Some(Values::TextList { items, offsets }) => {
                items.bytes.len() + (items.offsets.len() + offsets.len()) * 4
            }
        }
    }
}

/// Appends a JSON value without quotation marks around it.
fn append_json(raw: &str, escape: bool, out: &mut String) -> Appended {
    let text = match raw.starts_with('[') {
        false => json::scalar(raw),
        true => match json::items(raw) {
            Some(items) if items.iter().all(|item| !item.contains(';')) => Some(
                items
                    .iter()
                    .map(Cow::as_ref)
                    .filter(|item| !is_blank(item))
                    .collect::<Vec<_>>()
                    .join(";")
                    .into(),
            ),
            _ => None,
        },
    };
    match text {
        None => return Appended::Unencodable,
        Some(text) if is_blank(&text) => return Appended::Empty,
        Some(text) if escape => encode::push_escaped(out, &text),
        Some(text) => out.push_str(&text),
    }
    Appended::Written
}

fn is_blank(text: &str) -> bool {
    match text.as_bytes().first() {
        // Most texts begin with a letter or digit: no need to look any further.
        Some(first) if first.is_ascii_graphic() => false,
        _ => text.trim().is_empty(),
    }
}

fn list(offsets: &[u32], row: usize) -> std::ops::Range<usize> {
    match offsets.get(row..row + 2) {
        Some(&[start, end]) => start as usize..end as usize,
        _ => 0..0,
    }
}

/// Blank options are left out: HubSpot takes a leading `;` for "append to what is there".
fn append_list(
    items: &Texts<'_>,
    range: std::ops::Range<usize>,
    escape: bool,
    out: &mut String,
) -> Appended {
    let mut first = true;
    for at in range {
        let item = items.get(at);
        if item.contains(';') {
            return Appended::Unencodable;
        }
        if is_blank(item) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(';');
        }
        if escape {
            encode::push_escaped(out, item);
        } else {
            out.push_str(item);
        }
    }
    if first { Appended::Empty } else { Appended::Written }
}

/// The host broke the contract.
pub(super) fn malformed(column: &str) -> Error {
    Error::new(
        ErrorKind::Other,
        None,
        format!("the host packed the column `{column}` wrongly: its lengths do not agree"),
    )
}
