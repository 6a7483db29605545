//! JSON Lines: one object per line, typed by its JSON types, batch by batch.
//!
//! A line is parsed once, into slices of its own text; the type of a column is decided when the batch is full, from
//! those slices. So nothing is lost on the way: a column that mixes types becomes text in the spelling of the file.

use super::{
    RecordOptions, RecordsError,
    bounds::{MAX_BATCH, MAX_COLUMNS, MAX_RECORD, TOO_LONG},
    holds_ids,
};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StructArray,
    builder::{ListBuilder, StringBuilder},
};
use arrow_buffer::NullBuffer;
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

/// A whole number up to this is exact as a 64-bit float.
const EXACT: i64 = 1 << 53;

pub(super) struct JsonLinesReader {
    name: String,
    stream: Box<dyn BufRead + Send>,
    id_columns: Vec<String>,
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
    /// The column of a name. Records mostly have the same columns in the same order, so `hint` is mostly right.
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
    pub(super) fn new(name: String, stream: Box<dyn BufRead + Send>, options: &RecordOptions) -> JsonLinesReader {
        JsonLinesReader { name, stream, id_columns: options.id_columns.clone(), line: 0, text: String::new() }
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
            parsed.map_err(|error| self.malformed(line, format!("not a JSON object on one line: {error}")))?;
            columns.rows += 1;
            for values in &mut columns.values {
                values.resize(columns.rows, None);
            }
        }
        self.batch(columns).map(Some)
    }

    fn batch(&self, columns: Columns) -> Result<RecordBatch, RecordsError> {
        let mut fields = Vec::with_capacity(columns.names.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.names.len());
        for (name, ranges) in columns.names.iter().zip(&columns.values) {
            let values = Values {
                texts: ranges.iter().map(|range| range.clone().map(|range| &self.text[range]).filter(|text| *text != "null")).collect(),
            };
            let array = values
                .into_array(holds_ids(name, &self.id_columns))
                .map_err(|reason| self.malformed(self.line, format!("column `{name}`: {reason}")))?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(columns.rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| self.malformed(self.line, error.to_string()))
    }

    fn malformed(&self, line: u64, reason: String) -> RecordsError {
        RecordsError::Malformed { file: self.name.clone(), line: Some(line), reason }
    }

    fn io_error(&self, error: std::io::Error) -> RecordsError {
        match error.kind() {
            std::io::ErrorKind::InvalidData => self.malformed(self.line + 1, format!("{error}; JSON Lines are UTF-8")),
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

struct Name<'de>(Cow<'de, str>);

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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Integer,
    Number,
    List,
    Object,
}

fn kind(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'[') => Kind::List,
        Some(b'{') => Kind::Object,
        _ if text.contains(['.', 'e', 'E']) => Kind::Number,
        _ => Kind::Integer,
    }
}

/// The values of one column as they are spelled; nulls are `None`.
struct Values<'t> {
    texts: Vec<Option<&'t str>>,
}

impl Values<'_> {
    fn into_array(self, id: bool) -> Result<ArrayRef, String> {
        let mut kinds = [false; 6];
        for text in self.texts.iter().flatten() {
            kinds[kind(text) as usize] = true;
        }
        let only = |allowed: &[Kind]| (0..6).all(|at| !kinds[at] || allowed.iter().any(|kind| *kind as usize == at));
        if only(&[Kind::List]) && kinds[Kind::List as usize] {
            return Ok(self.lists()?.unwrap_or_else(|| self.unsupported()));
        }
        if kinds[Kind::List as usize] || kinds[Kind::Object as usize] {
            return Ok(self.unsupported());
        }
        if id || !kinds.contains(&true) {
            return self.texts();
        }
        if only(&[Kind::Boolean]) {
            return Ok(Arc::new(BooleanArray::from_iter(self.texts.iter().map(|text| text.map(|text| text == "true")))));
        }
        if only(&[Kind::Integer])
            && let Some(integers) = self.integers()
        {
            return Ok(Arc::new(integers));
        }
        if only(&[Kind::Integer, Kind::Number])
            && let Some(numbers) = self.numbers()
        {
            return Ok(Arc::new(numbers));
        }
        self.texts()
    }

    /// Strings unescaped, everything else as it is spelled.
    fn texts(&self) -> Result<ArrayRef, String> {
        let mut builder = StringBuilder::with_capacity(self.texts.len(), self.texts.len() * 16);
        for text in &self.texts {
            match text {
                Some(text) if text.starts_with('"') => builder.append_value(&unquoted(text)?),
                text => builder.append_option(*text),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn integers(&self) -> Option<Int64Array> {
        self.texts
            .iter()
            .map(|text| text.map(|text| text.parse::<i64>().ok()).map_or(Some(None), |n| n.map(Some)))
            .collect::<Option<Vec<_>>>()
            .map(Int64Array::from)
    }

    /// Numbers, unless one of them would lose digits.
    fn numbers(&self) -> Option<Float64Array> {
        let exact = |text: &str| text.parse::<i64>().is_ok_and(|whole| (-EXACT..=EXACT).contains(&whole));
        let parse = |text: &str| match kind(text) {
            Kind::Integer if !exact(text) => None,
            _ => text.parse::<f64>().ok().filter(|number| number.is_finite()),
        };
        self.texts
            .iter()
            .map(|text| text.map(parse).map_or(Some(None), |n| n.map(Some)))
            .collect::<Option<Vec<_>>>()
            .map(Float64Array::from)
    }

    /// Lists of texts; `None` if one of them holds something else.
    fn lists(&self) -> Result<Option<ArrayRef>, String> {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for text in &self.texts {
            match text {
                None => builder.append_null(),
                Some(text) => {
                    let Ok(items) = serde_json::from_str::<Vec<Cow<'_, str>>>(text) else { return Ok(None) };
                    for item in items {
                        builder.values().append_value(item);
                    }
                    builder.append(true);
                }
            }
        }
        Ok(Some(Arc::new(builder.finish())))
    }

    /// A column that has no scalar form; it is there so that the plan can say so.
    fn unsupported(&self) -> ArrayRef {
        let present = NullBuffer::from_iter(self.texts.iter().map(Option::is_some));
        Arc::new(StructArray::new_empty_fields(self.texts.len(), Some(present)))
    }
}

fn unquoted(text: &str) -> Result<Cow<'_, str>, String> {
    let inner = &text[1..text.len() - 1];
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(text).map(Cow::Owned).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, ListArray, StringArray};
    use arrow_schema::DataType;
    use std::io::Cursor;

    fn read(text: &str) -> Result<RecordBatch, RecordsError> {
        let options = RecordOptions { id_columns: vec!["hs_object_id".to_owned()], ..RecordOptions::default() };
        let mut reader = JsonLinesReader::new("x.jsonl".to_owned(), Box::new(Cursor::new(text.to_owned())), &options);
        Ok(reader.next(1_000)?.unwrap())
    }

    fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
        let array = batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn ids_keep_their_spelling_whatever_their_type() {
        let batch = read(
            "{\"hs_object_id\":492564112121,\"account_id\":\"007\"}\n\n{\"hs_object_id\":4.92564112121e11}\n{\"hs_object_id\":null}\n",
        )
        .unwrap();
        assert_eq!(texts(&batch, "hs_object_id"), [Some("492564112121".to_owned()), Some("4.92564112121e11".to_owned()), None]);
        assert_eq!(texts(&batch, "account_id"), [Some("007".to_owned()), None, None]);
    }

    #[test]
    fn columns_take_the_type_that_loses_nothing() {
        let batch = read(concat!(
            "{\"b\":true,\"i\":1,\"n\":1,\"mixed\":1,\"big\":9223372036854775808,\"list\":[\"a\",\"b;c\"],\"o\":{\"x\":1},\"exact\":9007199254740993,\"nulls\":null,\"odd\":[1]}\n",
            "{\"b\":false,\"i\":-2,\"n\":1.5,\"mixed\":\"\\u00e9\\n\",\"big\":1,\"list\":[],\"o\":1,\"exact\":0.5,\"odd\":[\"a\"]}\n",
        ))
        .unwrap();
        let types: Vec<_> =
            ["b", "i", "n", "mixed", "big", "exact", "nulls"].map(|name| batch.column_by_name(name).unwrap().data_type().clone()).into();
        use DataType::{Boolean, Float64, Int64, Utf8};
        assert_eq!(types, [Boolean, Int64, Float64, Utf8, Utf8, Utf8, Utf8]);
        assert_eq!(texts(&batch, "mixed"), [Some("1".to_owned()), Some("é\n".to_owned())]);
        assert_eq!(texts(&batch, "exact"), [Some("9007199254740993".to_owned()), Some("0.5".to_owned())]);
        let list = batch.column_by_name("list").unwrap().as_any().downcast_ref::<ListArray>().unwrap().clone();
        assert_eq!((list.value(0).len(), list.value(1).len()), (2, 0));
        for unsupported in ["o", "odd"] {
            assert!(matches!(batch.column_by_name(unsupported).unwrap().data_type(), DataType::Struct(_)));
        }
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
        assert!(error.contains("x.jsonl, line 2") && error.contains("more than 2000 columns"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, line) in
            [("{\"a\":1}\n{\"a\":\n", 2), ("[1]\n", 1), ("{\"a\":1} {\"a\":2}\n", 1), ("{\"a\":1,\"a\":2}\n", 1), ("\n\nnonsense\n", 3)]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(&format!("x.jsonl, line {line}")), "{error}");
        }
    }
}
