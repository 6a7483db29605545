//! The file of rejects. It is written beside its place and moved there when it is whole; it holds personal data, so only its owner can read it.

use super::{RejectsError, ledger::Entry};
use arrow_array::{RecordBatch, make_array};
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    path::Path,
    sync::Arc,
};
use tempfile::NamedTempFile;

/// What became of a record. No such column is ever written to a CRM.
const COLUMNS: [&str; 6] = ["__outcome", "__row", "__provider_id", "__http_status", "__code", "__message"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

impl Format {
    pub(super) fn of(path: &Path) -> Result<Format, RejectsError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Format::Csv),
            Some("jsonl" | "ndjson") => Ok(Format::JsonLines),
            _ => Err(RejectsError::Name(path.to_owned())),
        }
    }
}

/// Rejects as JSON lines, on their way.
pub(super) struct Output {
    format: Format,
    lines: BufWriter<NamedTempFile>,
    /// Columns of the golden records, in the order in which they were first seen.
    columns: Vec<String>,
}

#[derive(Serialize)]
struct Fate<'e> {
    #[serde(rename = "__outcome")]
    outcome: &'e str,
    #[serde(rename = "__row")]
    row: u64,
    #[serde(rename = "__provider_id")]
    provider_id: Option<&'e str>,
    #[serde(rename = "__http_status")]
    http_status: Option<u16>,
    #[serde(rename = "__code")]
    code: &'e str,
    #[serde(rename = "__message")]
    message: &'e str,
}

impl Output {
    pub(super) fn create(format: Format, dir: &Path) -> io::Result<Output> {
        Ok(Output { format, lines: BufWriter::with_capacity(1 << 18, temporary(dir)?), columns: Vec::new() })
    }

    /// Golden records as JSON lines, each with all of its columns; without those that an earlier rejects file has brought.
    pub(super) fn lines(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, String> {
        let schema = rows.schema();
        // A struct without fields stands for a JSON value that no column type fits; what it held is not known any more.
        let is_kept = |at: &usize| {
            let field = schema.field(*at);
            !COLUMNS.contains(&field.name().as_str()) && !matches!(field.data_type(), DataType::Struct(fields) if fields.is_empty())
        };
        let kept: Vec<usize> = (0..schema.fields().len()).filter(is_kept).collect();
        for at in &kept {
            let name = schema.field(*at).name();
            if !self.columns.contains(name) {
                self.columns.push(name.clone());
            }
        }
        if kept.is_empty() {
            return Ok(b"{}\n".repeat(rows.num_rows()));
        }
        let rows = rows.project(&kept).and_then(|rows| in_utc(&rows)).map_err(|error| error.to_string())?;
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
        writer.write(&rows).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
        Ok(writer.into_inner())
    }

    /// One reject: a golden record as a JSON object, and the first row of an entry.
    pub(super) fn push(&mut self, record: &[u8], entry: &Entry) -> io::Result<()> {
        let fate = Fate {
            outcome: entry.outcome.name(),
            row: entry.first_row,
            provider_id: entry.provider_id.as_deref(),
            http_status: entry.status,
            code: &entry.code,
            message: &entry.message,
        };
        let fate = serde_json::to_vec(&fate)?;
        let record = record.strip_suffix(b"}").unwrap_or(record);
        self.lines.write_all(record)?;
        if record != b"{" {
            self.lines.write_all(b",")?;
        }
        self.lines.write_all(&fate[1..])?;
        self.lines.write_all(b"\n")
    }

    /// Moves the file to its place.
    pub(super) fn finish(self, path: &Path, dir: &Path) -> io::Result<()> {
        let file = self.whole(dir)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The whole file, from its start, without a name: it is gone when it is closed.
    pub(super) fn unnamed(self, dir: &Path) -> io::Result<File> {
        let mut file = self.whole(dir)?.into_file();
        file.rewind()?;
        Ok(file)
    }

    fn whole(self, dir: &Path) -> io::Result<NamedTempFile> {
        let mut lines = self.lines.into_inner().map_err(|error| error.into_error())?;
        match self.format {
            Format::JsonLines => Ok(lines),
            Format::Csv => {
                lines.rewind()?;
                as_csv(BufReader::with_capacity(1 << 18, lines), &self.columns, temporary(dir)?)
            }
        }
    }
}

/// Times are written in UTC: what zone a file calls `Europe/Zurich` is not known here.
fn in_utc(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let mut columns = rows.columns().to_vec();
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    for (column, field) in columns.iter_mut().zip(&mut fields) {
        if let DataType::Timestamp(unit, Some(_)) = field.data_type() {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            // Only the zone's name changes: a time is kept in UTC whatever it is called.
            *column = make_array(column.to_data().into_builder().data_type(utc.clone()).build()?);
            *field = Arc::new(field.as_ref().clone().with_data_type(utc));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".rejects-").tempfile_in(dir)
}

/// The lines as CSV, with the columns of all of them: a header has to come first, and files may differ.
fn as_csv(mut lines: impl BufRead, columns: &[String], to: NamedTempFile) -> io::Result<NamedTempFile> {
    let mut writer = csv::Writer::from_writer(BufWriter::with_capacity(1 << 18, to));
    let header = || columns.iter().map(String::as_str).chain(COLUMNS);
    writer.write_record(header())?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let record: HashMap<String, Box<RawValue>> = serde_json::from_slice(&line)?;
        for column in header() {
            writer.write_field(record.get(column).map(|value| cell(value)).transpose()?.unwrap_or_default())?;
        }
        writer.write_record(None::<&[u8]>)?;
        line.clear();
    }
    writer.into_inner().map_err(|error| error.into_error())?.into_inner().map_err(|error| error.into_error())
}

/// Texts as they are, nothing for null, everything else as it is spelled.
fn cell(value: &RawValue) -> io::Result<String> {
    match value.get() {
        "null" => Ok(String::new()),
        text if text.starts_with('"') => Ok(serde_json::from_str(text)?),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, TimestampMicrosecondArray};

    #[test]
    fn a_time_in_a_zone_that_only_its_file_knows_is_written_in_utc() {
        let dir = tempfile::tempdir().unwrap();
        for zone in ["UTC", "Europe/Zurich", "+02:00", "nowhere"] {
            let times = TimestampMicrosecondArray::from(vec![Some(1_704_164_645_000_000), None]).with_timezone(zone);
            let batch = RecordBatch::try_from_iter([("seen", Arc::new(times) as ArrayRef)]).unwrap();
            let lines = Output::create(Format::Csv, dir.path()).unwrap().lines(&batch).unwrap();
            assert_eq!(String::from_utf8(lines).unwrap(), "{\"seen\":\"2024-01-02T03:04:05Z\"}\n{\"seen\":null}\n", "{zone}");
        }
    }
}
