//! JSON Lines: one object per line.
//!
//! A line is parsed once, into slices of its own text, and a column is those slices: JSON values as
//! the file spells them, each of a type of its own. So nothing is lost on the way, and no value is
//! read otherwise because of its neighbours.

use super::{
    RecordsError,
    bounds::{MAX_BATCH, MAX_COLUMNS, MAX_RECORD, TOO_LONG},
    columns::json_field,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{Field, Schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    io::{BufRead, Read},
    ops::Range,
    sync::Arc,
};

pub(super) struct JsonLinesReader {
    name: String,
    stream: Box<dyn BufRead + Send>,
    line: u64,
    text: String,
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// Per column, where each row's value stands in the batch's text.
    values: Vec<Vec<Option<Range<usize>>>>,
    rows: usize,
}

impl Columns {
    /// The column of a name. Records mostly have the same columns in the same order, so `hint` is
    /// mostly right.
    fn find(&mut self, name: &str, hint: usize) -> usize {
        if self.names.get(hint).is_some_and(|known| known == name) {
            return hint;
        }
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), self.values.len());
        self.values.push(vec![None; self.rows]);
        self.values.len() - 1
    }
}

impl JsonLinesReader {
    pub(super) fn new(name: String, stream: Box<dyn BufRead + Send>) -> JsonLinesReader {
        JsonLinesReader { name, stream, line: 0, text: String::new() }
    }

    pub(super) fn next(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        self.text.clear();
        let mut lines: Vec<(u64, Range<usize>)> = Vec::with_capacity(max_rows);
        while lines.len() < max_rows && self.text.len() < MAX_BATCH {
            let start = self.text.len();
            let mut line = self.stream.by_ref().take(MAX_RECORD as u64 + 1);
            let read = line.read_line(&mut self.text);
            if line.limit() == 0 {
                return Err(self.malformed(self.line + 1, format!("the line {TOO_LONG}")));
            }
            if read.map_err(|error| self.io_error(error))? == 0 {
                break;
            }
            self.line += 1;
            if self.line == 1 && self.text.starts_with('\u{feff}') {
                self.text.replace_range(..3, "   ");
            }
            if !self.text[start..].trim().is_empty() {
                lines.push((self.line, start..self.text.len()));
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let mut columns = Columns::default();
        for (line, range) in lines {
            let mut deserializer = serde_json::Deserializer::from_str(&self.text[range]);
            let visitor = Row { columns: &mut columns, base: self.text.as_ptr() as usize };
            let parsed = deserializer.deserialize_map(visitor).and_then(|()| deserializer.end());
            parsed.map_err(|error| {
                self.malformed(line, format!("not a JSON object on one line: {error}"))
            })?;
            columns.rows += 1;
            for values in &mut columns.values {
                values.resize(columns.rows, None);
            }
        }
        self.batch(columns).map(Some)
    }

    fn batch(&self, columns: Columns) -> Result<RecordBatch, RecordsError> {
        let fields: Vec<Field> = columns.names.iter().map(|name| json_field(name)).collect();
        let texts = |ranges: &Vec<Option<Range<usize>>>| -> ArrayRef {
            Arc::new(
                ranges
                    .iter()
                    .map(|range| range.clone().map(|range| &self.text[range]))
                    .collect::<StringArray>(),
            )
        };
        let arrays = columns.values.iter().map(texts).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(columns.rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| self.malformed(self.line, error.to_string()))
    }

    fn malformed(&self, line: u64, reason: String) -> RecordsError {
        RecordsError::Malformed { file: self.name.clone(), line: Some(line), reason }
    }

    fn io_error(&self, error: std::io::Error) -> RecordsError {
        match error.kind() {
            std::io::ErrorKind::InvalidData => {
                self.malformed(self.line + 1, format!("{error}; JSON Lines are UTF-8"))
            }
            _ => RecordsError::Io { file: self.name.clone(), error },
        }
    }
}

/// One line, taken apart into its columns.
struct Row<'c> {
    columns: &'c mut Columns,
    /// Where the batch's text begins, so that a value is kept as a range and not as a copy.
    base: usize,
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut hint = 0;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let at = self.columns.find(&name, hint);
            if self.columns.names.len() > MAX_COLUMNS {
                return Err(serde::de::Error::custom(format_args!(
                    "there are more than {MAX_COLUMNS} columns; leave out what is not written"
                )));
            }
            let start = value.as_ptr() as usize - self.base;
            let values = &mut self.columns.values[at];
            if values.len() > self.columns.rows {
                return Err(serde::de::Error::custom(format_args!("`{name}` is there twice")));
            }
            values.push(Some(start..start + value.len()));
            hint = at + 1;
        }
        Ok(())
    }
}

/// A name in JSON, as it is in the text where it can be.
#[derive(PartialEq)]
pub(crate) struct Name<'de>(pub(crate) Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::columns::is_json;
    use std::io::Cursor;

    fn read(text: &str) -> Result<RecordBatch, RecordsError> {
        let mut reader =
            JsonLinesReader::new("x.jsonl".to_owned(), Box::new(Cursor::new(text.to_owned())));
        Ok(reader.next(1_000)?.unwrap())
    }

    fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
        let array =
            batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn every_value_keeps_its_spelling_and_what_is_missing_is_not_null() {
        let batch =
            read("{\"id\":492564112121,\"a\":\"007\\n\"}\n\n{\"id\":4.9e11,\"a\":[1, \"x\"],\"b\":{\"c\":1}}\n{\"id\":null,\"b\":1.10}\n")
                .unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts(&batch, "id"), [some("492564112121"), some("4.9e11"), some("null")]);
        assert_eq!(texts(&batch, "a"), [some("\"007\\n\""), some("[1, \"x\"]"), None]);
        assert_eq!(texts(&batch, "b"), [None, some("{\"c\":1}"), some("1.10")]);
        assert!(batch.schema().fields().iter().all(|field| is_json(field)));
    }

    #[test]
    fn a_line_may_have_one_mebibyte_and_so_many_columns_and_no_more() {
        let line = |bytes: usize| format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n", "x".repeat(bytes - 9));
        assert_eq!(read(&line(MAX_RECORD)).unwrap().num_rows(), 2);
        let error = read(&line(MAX_RECORD + 1)).unwrap_err().to_string();
        assert!(error.contains("x.jsonl, line 2: the line is longer than 1 MiB"), "{error}");
        let columns = |count: usize| {
            let columns: Vec<String> = (0..count).map(|at| format!("\"c{at}\":1")).collect();
            format!("{{\"a\":1}}\n{{{}}}\n", columns.join(","))
        };
        assert_eq!(read(&columns(MAX_COLUMNS - 1)).unwrap().num_columns(), MAX_COLUMNS);
        let error = read(&columns(MAX_COLUMNS)).unwrap_err().to_string();
        assert!(
            error.contains("x.jsonl, line 2") && error.contains("more than 2000 columns"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, line) in [
            ("{\"a\":1}\n{\"a\":\n", 2),
            ("[1]\n", 1),
            ("{\"a\":1} {\"a\":2}\n", 1),
            ("{\"a\":1,\"a\":2}\n", 1),
            ("\n\nnonsense\n", 3),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(&format!("x.jsonl, line {line}")), "{error}");
        }
    }
}
