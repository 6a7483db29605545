//! Golden records to changes. Every row is pushed or skipped, once, and changes ascend.

use crate::{
    Config,
    bindings::reverse_sync::destination::{
        streams::{PlanSink, Records},
        types::{ChangeBatch, Column, ColumnValues, Error, PlanMode, RecordBatch, SkippedBatch},
    },
    crm::{self, Person},
    packed::{pack, text_at},
};
use serde_json::{Map, Value};

/// Records that are taken at once.
const ROWS: u32 = 1_000;
/// Digits of Roster's largest number.
const DIGITS: usize = 18;

pub(crate) fn plan(
    config: &Config,
    base_url: &str,
    mode: PlanMode,
    records: &Records,
    sink: &PlanSink,
) -> Result<(), Error> {
    let mut dropped = Vec::new();
    while let Some(batch) = records.next(ROWS)? {
        for column in &batch.columns {
            if let Some(reason) = unused(config, column)
                && !dropped.contains(&column.name)
            {
                sink.drop_column(&column.name, reason);
                dropped.push(column.name.clone());
            }
        }
        let mut planned = Planned::default();
        for at in 0..batch.length as usize {
            let row = batch.first_row + at as u64;
            match decide(config, base_url, mode, &batch, at)? {
                Ok(change) => planned.add(row, change),
                Err(reason) => sink.skip(&SkippedBatch {
                    rows: vec![row],
                    reason: reason.into(),
                    details: None,
                    ids: None,
                })?,
            }
        }
        sink.push(&planned.into_batch(mode))?;
    }
    Ok(())
}

/// An update of a person: id, values, and those before.
type Change = (String, String, String);

/// The change of one record, or the reason to skip it.
fn decide(
    config: &Config,
    base_url: &str,
    mode: PlanMode,
    batch: &RecordBatch,
    at: usize,
) -> Result<Result<Change, &'static str>, Error> {
    let named = |name: &str| batch.columns.iter().find(|column| column.name == name);
    let Some(id) = named(&config.id_column).and_then(|column| value(column, at)) else {
        return Ok(Err("id_missing"));
    };
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    // One spelling of each number, as two would be two people.
    if id.is_empty() || id.len() > DIGITS || id.starts_with('0') || !is_number(&id) {
        return Ok(Err("id_invalid"));
    }
    let mut fields = Map::new();
    for name in config.fields.iter().filter(|name| **name != config.id_column) {
        // A record without a value says nothing about the field.
        if let Some(value) = named(name).and_then(|column| value(column, at)) {
            fields.insert(name.clone(), value);
        }
    }
    let mut before = Map::new();
    if mode == PlanMode::Compare && !fields.is_empty() {
        let held = match crm::read(base_url, &id)? {
            Person::Holds(held) => held,
            Person::Gone => return Ok(Err("not_found")),
        };
        fields.retain(|name, value| held.get(name).unwrap_or(&Value::Null) != value);
        let held = |name: &String| held.get(name).cloned().unwrap_or_default();
        before = fields.keys().map(|name| (name.clone(), held(name))).collect();
        if fields.is_empty() {
            return Ok(Err("unchanged"));
        }
    }
    if fields.is_empty() {
        return Ok(Err("nothing_to_write"));
    }
    Ok(Ok((id, Value::Object(fields).to_string(), Value::Object(before).to_string())))
}

fn is_number(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why a column is not written for any record.
fn unused(config: &Config, column: &Column) -> Option<&'static str> {
    if column.name == config.id_column {
        Some("key")
    } else if !config.fields.contains(&column.name) {
        Some("not_configured")
    } else {
        match column.values {
            ColumnValues::Boolean(_)
            | ColumnValues::Integer(_)
            | ColumnValues::Text(_)
            | ColumnValues::Json(_) => None,
            _ => Some("unsupported_type"),
        }
    }
}

/// A value of a column, or none where it is missing.
fn value(column: &Column, at: usize) -> Option<Value> {
    if column.valid.as_ref().is_some_and(|valid| valid[at / 8] & (1 << (at % 8)) == 0) {
        return None;
    }
    match &column.values {
        ColumnValues::Boolean(values) => Some(values[at].into()),
        ColumnValues::Integer(values) => Some(values[at].into()),
        ColumnValues::Text(values) => Some(text_at(values, at).into()),
        // In JSON, a null that is there clears the field.
        ColumnValues::Json(values) => serde_json::from_str(text_at(values, at)).ok(),
        _ => None,
    }
}

/// The changes of one batch.
#[derive(Default)]
struct Planned {
    rows: Vec<u64>,
    ids: Vec<String>,
    fields: Vec<String>,
    before: Vec<String>,
}

impl Planned {
    fn add(&mut self, row: u64, (id, fields, before): Change) {
        self.rows.push(row);
        self.ids.push(id);
        self.fields.push(fields);
        self.before.push(before);
    }

    fn into_batch(self, mode: PlanMode) -> ChangeBatch {
        ChangeBatch {
            rows: self.rows,
            ids: pack(self.ids),
            fields: pack(self.fields),
            before: (mode == PlanMode::Compare).then(|| pack(self.before)),
            doubtful: false,
        }
    }
}
