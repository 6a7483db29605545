//! Golden records as JSON lines that are planned as they were.
//!
//! They are written from the contract's columns, which is what the component was given, and not
//! from Arrow's: so whatever a column type becomes on its way into a plan, it becomes here too, and
//! what the component is not given is not in the file. Each value is spelled as the plan spells it,
//! because a date or a time comes back as text, and text is planned letter for letter.

use crate::{
    contract::types::{Column, ColumnValues, Strings},
    records::to_columns,
};
use arrow_array::RecordBatch;
use jiff::tz::Offset;
use serde_json::to_writer as push_json;
use std::{
    collections::HashSet,
    io::{self, Write},
};

/// Days from 1970 to the first and to the last day that a plan writes: 0001-01-01 and 9999-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// A column that is in no file of rejects: its type has no scalar form, so it is never planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
}

/// Some golden records.
pub(super) struct Rows {
    columns: Vec<Column>,
    left_out: Vec<LeftOut>,
    /// Which column holds the record ids.
    id: Option<usize>,
    zone: Option<Offset>,
    length: usize,
}

/// What is in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Values, nulls among them.
    pub(super) values: usize,
    /// Whether one of them is neither a text nor a null.
    pub(super) typed: bool,
}

impl Rows {
    /// Records without the columns that `skipped` names. A record id that was refused for its type
    /// must be refused again, so the column `id` is spelled with care. `zone`: what the plan took
    /// times without one for.
    pub(super) fn of(
        batch: &RecordBatch,
        skipped: &[&str],
        id: Option<&str>,
        zone: Option<Offset>,
    ) -> Rows {
        let mut rows = Rows {
            columns: Vec::new(),
            left_out: Vec::new(),
            id: None,
            zone,
            length: batch.num_rows(),
        };
        // A file may name a column twice; such a one is not planned, and JSON has room for one of
        // them.
        let mut seen = HashSet::new();
        for column in to_columns(batch) {
            if skipped.contains(&column.name.as_str()) {
                continue;
            }
            match column.values {
                ColumnValues::Unsupported(kind) => {
                    rows.left_out.push(LeftOut { name: column.name, kind })
                }
                _ if !seen.insert(column.name.clone()) => {}
                _ => {
                    if id == Some(column.name.as_str()) {
                        rows.id = Some(rows.columns.len());
                    }
                    rows.columns.push(column);
                }
            }
        }
        rows
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The columns that are written.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The columns that are not.
    pub(super) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Appends a record as the members of a JSON object, without its braces.
    pub(super) fn push(&self, row: usize, out: &mut Vec<u8>) -> io::Result<Written> {
        let mut written = Written::default();
        for (at, column) in self.columns.iter().enumerate() {
            if matches!(column.values, ColumnValues::Json(_)) && !is_valid(column, row) {
                continue;
            }
            if written.values > 0 {
                out.push(b',');
            }
            push_json(&mut *out, &column.name)?;
            out.push(b':');
            let start = out.len();
            if is_valid(column, row) {
                push_value(&column.values, self.id == Some(at), self.zone, row, out)?;
            } else {
                out.extend_from_slice(b"null");
            }
            written.values += 1;
            written.typed |= is_typed(&out[start..]);
        }
        Ok(written)
    }
}

/// Whether a spelling in JSON is neither that of a text nor a null.
pub(super) fn is_typed(json: &[u8]) -> bool {
    !json.starts_with(b"\"") && json != b"null"
}

fn is_valid(column: &Column, row: usize) -> bool {
    column
        .valid
        .as_ref()
        .is_none_or(|bits| bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1))
}

fn get(strings: &Strings, at: usize) -> &str {
    match strings.offsets.get(at..at + 2) {
        Some(&[start, end]) => strings.bytes.get(start as usize..end as usize).unwrap_or_default(),
        _ => "",
    }
}

fn push_value(
    values: &ColumnValues,
    id: bool,
    zone: Option<Offset>,
    row: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    match values {
        // An id that went through floating point is refused; its digits alone would not be. The
        // exponent says what happened to it.
        ColumnValues::Number(values) if id => push_json(out, &format!("{:e}", at(values, row)))?,
        ColumnValues::Number(values) => match at(values, row) {
            // Negative zero is zero.
            0.0 => out.push(b'0'),
            value if value.is_finite() => write!(out, "{value}")?,
            value => push_refused(&value.to_string(), id, out)?,
        },
        ColumnValues::Boolean(values) if at(values, row) => out.extend_from_slice(b"true"),
        ColumnValues::Boolean(_) => out.extend_from_slice(b"false"),
        ColumnValues::Integer(values) => {
            out.extend_from_slice(itoa::Buffer::new().format(at(values, row)).as_bytes())
        }
        ColumnValues::Decimal(texts) => match get(texts, row) {
            text if is_plain_decimal(text) => out.extend_from_slice(text.as_bytes()),
            text => push_refused(text, id, out)?,
        },
        ColumnValues::Text(texts) => push_json(out, get(texts, row))?,
        ColumnValues::TextList(lists) => {
            let range = match lists.offsets.get(row..row + 2) {
                Some(&[start, end]) => start as usize..end as usize,
                _ => 0..0,
            };
            push_json(out, &range.map(|at| get(&lists.items, at)).collect::<Vec<_>>())?;
        }
        ColumnValues::Date(values) => match i64::from(at(values, row)) {
            days if DAYS.contains(&days) => write!(out, "\"{}\"", date(days))?,
            days => push_refused(&format!("{days} days after 1970-01-01"), id, out)?,
        },
        ColumnValues::Json(texts) => out.extend_from_slice(get(texts, row).as_bytes()),
        ColumnValues::Timestamp(_) | ColumnValues::LocalTimestamp(_) => {
            let micros = match (values, zone) {
                (ColumnValues::Timestamp(values), _) => at(values, row),
                (ColumnValues::LocalTimestamp(values), Some(zone)) => {
                    at(values, row).saturating_sub(i64::from(zone.seconds()) * 1_000_000)
                }
                (ColumnValues::LocalTimestamp(values), None) => {
                    return push_refused(
                        &format!(
                            "{} microseconds after 1970-01-01T00:00:00 without a zone",
                            at(values, row)
                        ),
                        id,
                        out,
                    );
                }
                _ => return Ok(()),
            };
            let millis = micros.div_euclid(1_000);
            match jiff::Timestamp::from_millisecond(millis) {
                Ok(time) if DAYS.contains(&millis.div_euclid(MILLIS_PER_DAY)) => {
                    write!(out, "\"{time:.3}\"")?
                }
                _ => push_refused(
                    &format!("{micros} microseconds after 1970-01-01T00:00:00Z"),
                    id,
                    out,
                )?,
            }
        }
        ColumnValues::Unsupported(_) => out.extend_from_slice(b"null"),
    }
    Ok(())
}

fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
    values.get(row).copied().unwrap_or_default()
}

/// A value that no CRM's field takes, so that its record was skipped. As a text or a number it
/// could be taken; a list whose only option has a `;` in it is refused by every mode of planning,
/// and says what to do. In the place of an id any of them is refused.
fn push_refused(value: &str, id: bool, out: &mut Vec<u8>) -> io::Result<()> {
    if id {
        return Ok(push_json(out, value)?);
    }
    Ok(push_json(out, &[format!("{value}; no CRM takes this: fix or remove it")])?)
}

/// `YYYY-MM-DD` of a day within the years 1 to 9999.
fn date(days: i64) -> jiff::civil::Date {
    let seconds = days.saturating_mul(MILLIS_PER_DAY / 1_000);
    jiff::tz::Offset::UTC
        .to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or_default())
        .date()
}

/// Whether this is a JSON number without an exponent.
fn is_plain_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
