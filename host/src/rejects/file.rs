//! The file of rejects. It is written beside its place and moved there when it is whole; it holds
//! personal data, so only its owner can read it.

use super::{
    LeftOut, RejectsError,
    ledger::Entry,
    rows::{Rows, is_typed},
};
use crate::records::{
    CsvForm,
    marked::{JSON, MISSING},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    path::Path,
};
use tempfile::NamedTempFile;

/// What became of a record. No such column is ever written to a CRM.
const COLUMNS: [&str; 6] =
    ["__outcome", "__row", "__provider_id", "__http_status", "__code", "__message"];
/// Columns of an earlier file of rejects, which make room for new ones.
pub(super) const EARLIER: [&str; 8] =
    ["__outcome", "__row", "__provider_id", "__http_status", "__code", "__message", JSON, MISSING];
/// Columns that are remembered as left out; files differ in their columns, but not by the thousand.
const MAX_LEFT_OUT: usize = 1_000;

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
    csv: CsvForm,
    lines: BufWriter<NamedTempFile>,
    line: Vec<u8>,
    seen: Seen,
    left_out: Vec<LeftOut>,
}

/// What all records together have, which the header of a CSV file has to say before the first of
/// them.
#[derive(Default)]
struct Seen {
    /// Columns of the golden records, in the order in which they were first seen.
    columns: Vec<String>,
    /// Columns of the record that has the fewest.
    fewest: Option<usize>,
    /// Whether there is a value that is not text.
    typed: bool,
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
    pub(super) fn create(format: Format, csv: CsvForm, dir: &Path) -> io::Result<Output> {
        let lines = BufWriter::with_capacity(1 << 18, temporary(dir)?);
        Ok(Output {
            format,
            csv,
            lines,
            line: Vec::new(),
            seen: Seen::default(),
            left_out: Vec::new(),
        })
    }

    /// Takes note of the columns of records that come next.
    pub(super) fn columns(&mut self, rows: &Rows) {
        for name in rows.names() {
            if !self.seen.columns.iter().any(|known| known == name) {
                self.seen.columns.push(name.to_owned());
            }
        }
        for column in rows.left_out() {
            if self.left_out.len() < MAX_LEFT_OUT
                && !self.left_out.iter().any(|known| known.name == column.name)
            {
                self.left_out.push(column.clone());
            }
        }
    }

    /// One reject: a golden record, if there is one, and the first row of an entry.
    pub(super) fn push(&mut self, record: Option<(&Rows, usize)>, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        self.line.push(b'{');
        let written = record
            .map(|(rows, row)| rows.push(row, &mut self.line))
            .transpose()?
            .unwrap_or_default();
        self.seen.fewest =
            Some(self.seen.fewest.map_or(written.values, |fewest| fewest.min(written.values)));
        self.seen.typed |= written.typed;
        if written.values > 0 {
            self.line.push(b',');
        }
        let fate = Fate {
            outcome: entry.outcome.name(),
            row: entry.first_row,
            provider_id: entry.provider_id.as_deref(),
            http_status: entry.status,
            code: &self.no_formula(&entry.code),
            message: &self.no_formula(&entry.message),
        };
        let fate = serde_json::to_vec(&fate)?;
        self.line.extend_from_slice(fate.get(1..).unwrap_or_default());
        self.line.push(b'\n');
        self.lines.write_all(&self.line)
    }

    /// A word of the CRM's for a spreadsheet, which would take it for a formula if it began like
    /// one.
    fn no_formula<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.format {
            Format::Csv if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => {
                Cow::Owned(format!("'{text}"))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The columns that are not in the file.
    pub(super) fn left_out(&mut self) -> Vec<LeftOut> {
        std::mem::take(&mut self.left_out)
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
                as_csv(
                    BufReader::with_capacity(1 << 18, lines),
                    &self.seen,
                    self.csv,
                    temporary(dir)?,
                )
            }
        }
    }
}

fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".rejects-").tempfile_in(dir)
}

/// The lines as CSV, with the columns of all of them: a header has to come first, and files may
/// differ. What a cell cannot say stands in two more columns, where there is any.
fn as_csv(
    mut lines: impl BufRead,
    seen: &Seen,
    form: CsvForm,
    to: NamedTempFile,
) -> io::Result<NamedTempFile> {
    // As the golden records are written, so that it is read like them.
    let mut writer = csv::WriterBuilder::new();
    writer.delimiter(form.delimiter.unwrap_or(b',')).quote(form.quote.unwrap_or(b'"'));
    if let Some(escape) = form.escape {
        writer.double_quote(false).escape(escape);
    }
    let mut writer = writer.from_writer(BufWriter::with_capacity(1 << 18, to));
    let some_are_missing = seen.fewest.is_some_and(|fewest| fewest < seen.columns.len());
    let marks = [(JSON, seen.typed), (MISSING, some_are_missing)];
    for name in seen.columns.iter().map(String::as_str).chain(COLUMNS) {
        writer.write_field(name)?;
    }
    for (name, _) in marks.iter().filter(|(_, is_there)| *is_there) {
        writer.write_field(name)?;
    }
    writer.write_record(None::<&[u8]>)?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let record: HashMap<String, Box<RawValue>> = serde_json::from_slice(&line)?;
        let (mut json, mut missing) = (Vec::new(), Vec::new());
        for column in &seen.columns {
            match record.get(column) {
                None => missing.push(column.as_str()),
                Some(value) if is_typed(value.get().as_bytes()) => json.push(column.as_str()),
                Some(_) => {}
            }
        }
        for column in seen.columns.iter().map(String::as_str).chain(COLUMNS) {
            writer.write_field(
                record.get(column).map(|value| cell(value)).transpose()?.unwrap_or_default(),
            )?;
        }
        for ((_, is_there), names) in marks.iter().zip([json, missing]) {
            match is_there {
                true if names.is_empty() => writer.write_field("")?,
                true => writer.write_field(serde_json::to_string(&names)?)?,
                false => {}
            }
        }
        writer.write_record(None::<&[u8]>)?;
        line.clear();
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error())?
        .into_inner()
        .map_err(|error| error.into_error())
}

/// Texts as they are, nothing for null, everything else as it is spelled.
fn cell(value: &RawValue) -> io::Result<String> {
    match value.get() {
        "null" => Ok(String::new()),
        text if text.starts_with('"') => Ok(serde_json::from_str(text)?),
        text => Ok(text.to_owned()),
    }
}
