//! CSV that says of its cells what CSV cannot: which of them are JSON and no text, and which are
//! not there at all.
//!
//! A file of rejects must be planned as the records that it was made of. But CSV has only text:
//! it cannot tell `10115` from `"10115"`, a list from its text, or a value that is missing from one
//! that is empty. So two columns, which are never written, name the other columns: `__json` those
//! whose cell is a number, `true`, `false` or a list, and `__missing` those that the record does
//! not have. Such a file is read as the JSON lines that it stands for. A cell that was fixed
//! meanwhile is what it says: text where it is not such JSON any more, and a value where something
//! stands in it.

use super::{RecordsError, csv::CsvReader, jsonl::JsonLinesReader};
use arrow_array::{Array, RecordBatch, StringArray, cast::AsArray};
use serde_json::{to_writer as push_json, value::RawValue};
use std::io::{self, Cursor};

/// The column that lists the columns whose cell is JSON.
pub(crate) const JSON: &str = "__json";
/// The column that lists the columns that the record does not have.
pub(crate) const MISSING: &str = "__missing";

pub(super) struct MarkedReader {
    name: String,
    csv: CsvReader,
    /// What is left of a batch, as JSON lines.
    lines: Option<JsonLinesReader>,
    records: u64,
}

impl MarkedReader {
    pub(super) fn new(name: String, csv: CsvReader) -> MarkedReader {
        MarkedReader { name, csv, lines: None, records: 0 }
    }

    pub(super) fn next(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        loop {
            if let Some(lines) = &mut self.lines {
                if let Some(batch) = lines.next(max_rows)? {
                    return Ok(Some(batch));
                }
                self.lines = None;
            }
            let Some(batch) = self.csv.next()? else { return Ok(None) };
            if batch.column_by_name(JSON).is_none() && batch.column_by_name(MISSING).is_none() {
                return Ok(Some(batch));
            }
            let lines = self.json_lines(&batch)?;
            self.records += batch.num_rows() as u64;
            self.lines =
                Some(JsonLinesReader::new(self.name.clone(), Box::new(Cursor::new(lines))));
        }
    }

    fn json_lines(&self, batch: &RecordBatch) -> Result<Vec<u8>, RecordsError> {
        let io_error = |error: io::Error| RecordsError::Io { file: self.name.clone(), error };
        let marks = [JSON, MISSING].map(|name| {
            batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>())
        });
        let schema = batch.schema();
        let columns: Vec<(&str, &StringArray)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter(|(field, _)| field.name() != JSON && field.name() != MISSING)
            .filter_map(|(field, column)| Some((field.name().as_str(), column.as_string_opt()?)))
            .collect();
        let mut lines = Vec::with_capacity(batch.get_array_memory_size());
        for row in 0..batch.num_rows() {
            let [json, missing] =
                [self.listed(JSON, marks[0], row)?, self.listed(MISSING, marks[1], row)?];
            lines.push(b'{');
            let mut comma = false;
            for (name, column) in &columns {
                let cell = column.is_valid(row).then(|| column.value(row));
                if cell.is_none() && missing.iter().any(|missing| missing == name) {
                    continue;
                }
                if std::mem::replace(&mut comma, true) {
                    lines.push(b',');
                }
                push_json(&mut lines, name).map_err(|error| io_error(error.into()))?;
                lines.push(b':');
                match cell {
                    Some(cell) if json.iter().any(|json| json == name) && is_json(cell) => {
                        lines.extend_from_slice(cell.as_bytes())
                    }
                    cell => push_json(&mut lines, &cell).map_err(|error| io_error(error.into()))?,
                }
            }
            lines.extend_from_slice(b"}\n");
        }
        Ok(lines)
    }

    /// The columns that one of the two lists.
    fn listed(
        &self,
        mark: &str,
        column: Option<&StringArray>,
        row: usize,
    ) -> Result<Vec<String>, RecordsError> {
        let Some(column) = column.filter(|column| column.is_valid(row)) else {
            return Ok(Vec::new());
        };
        serde_json::from_str(column.value(row)).map_err(|_| RecordsError::Malformed {
            file: self.name.clone(),
            line: None,
            reason: format!(
                "record {}: the column `{mark}` has to hold a list of columns, such as [\"phone\"], or nothing; put back what the rejects had there",
                self.records + row as u64 + 1
            ),
        })
    }
}

/// Whether a cell is a number, a boolean or a list, and nothing around it.
fn is_json(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | 't' | 'f' | '['))
        && serde_json::from_str::<&RawValue>(cell)
            .is_ok_and(|value| value.get().len() == cell.len() && !cell.contains(['\n', '\r']))
}
