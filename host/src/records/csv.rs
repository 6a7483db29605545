//! CSV: every column is text, an empty cell is null. Whether `01234` is a number is not for a
//! reader to guess.

use super::{
    RecordOptions, RecordsError,
    bounds::{self, MAX_BATCH, MAX_RECORD, TOO_LONG},
    strict::{Dialect, Fault, Strict},
};
use arrow_array::{Array, RecordBatch, StringArray, cast::AsArray};
use arrow_csv::reader::Decoder;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use std::{
    collections::HashSet,
    io::{self, BufRead, Chain, Cursor, Read},
    sync::Arc,
};

/// A header larger than this is not a header.
const MAX_HEADER: usize = 1 << 20;
/// A record with more text than this has a quote that was never closed, and the rest of the file
/// behind it. Quotes in values are doubled.
const MAX_TEXT: usize = 2 * MAX_RECORD;

/// The header, which was read already, and the rest.
type Input = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>;

pub(super) struct CsvReader {
    name: String,
    input: Input,
    decoder: Decoder,
    strict: Strict,
    /// Bytes of the input that have been looked at and not been read yet.
    ahead: usize,
    /// Records that were read before the batch at hand.
    records: usize,
}

impl CsvReader {
    pub(super) fn new(
        name: String,
        mut stream: Box<dyn BufRead + Send>,
        delimiter: u8,
        options: &RecordOptions,
        max_rows: usize,
    ) -> Result<CsvReader, RecordsError> {
        let malformed =
            |line, reason: String| RecordsError::Malformed { file: name.clone(), line, reason };
        let form = &options.csv;
        let dialect = Dialect {
            delimiter: form.delimiter.unwrap_or(delimiter),
            quote: form.quote.unwrap_or(b'"'),
            escape: form.escape,
        };
        let mut strict = Strict::new(dialect);
        let header = match read_header(&mut stream, &mut strict, form.delimiter) {
            Ok(header) => header,
            Err(HeaderError::Io(error)) => return Err(RecordsError::Io { file: name, error }),
            Err(HeaderError::Fault(fault)) => {
                return Err(malformed(Some(fault.line), fault.reason));
            }
        };
        if header.iter().all(u8::is_ascii_whitespace) {
            let reason = "there is nothing in the file; a CSV file has the names of its columns in its first line, and records below it";
            return Err(malformed(None, reason.to_owned()));
        }
        let line = Some(strict.line(0));
        let mut parser = ::csv::ReaderBuilder::new();
        let parser = parser
            .has_headers(false)
            .delimiter(dialect.delimiter)
            .quote(dialect.quote)
            .escape(dialect.escape);
        let names = parser.from_reader(header.as_slice()).records().next().transpose();
        let names = names.map_err(|error| {
            malformed(line, format!("the header cannot be read: {error}; save the file as UTF-8"))
        })?;
        let names: Vec<String> = names.unwrap_or_default().iter().map(str::to_owned).collect();
        if let Some(seems) = other_delimiter(&names, dialect, options.id_column.as_deref()) {
            return Err(malformed(line, seems));
        }
        let mut seen = HashSet::new();
        for (at, column) in names.iter().enumerate() {
            if column.trim().is_empty() {
                return Err(malformed(
                    line,
                    format!("column {} has no name in the header; name it or leave it out", at + 1),
                ));
            }
            if !seen.insert(column) {
                return Err(malformed(
                    line,
                    format!(
                        "the header has the column `{column}` twice; which one counts cannot be told"
                    ),
                ));
            }
        }
        strict.take(1);
        let schema = Schema::new(
            names.iter().map(|column| Field::new(column, DataType::Utf8, true)).collect::<Vec<_>>(),
        );
        let mut decoder = arrow_csv::ReaderBuilder::new(Arc::new(schema))
            .with_header(true)
            .with_delimiter(dialect.delimiter)
            .with_quote(dialect.quote)
            .with_batch_size(max_rows);
        if let Some(escape) = dialect.escape {
            decoder = decoder.with_escape(escape);
        }
        let ahead = header.len();
        Ok(CsvReader {
            name,
            input: Cursor::new(header).chain(stream),
            decoder: decoder.build_decoder(),
            strict,
            ahead,
            records: 0,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, RecordsError> {
        let CsvReader { name, input, decoder, strict, ahead, .. } = self;
        let malformed =
            |line, reason| RecordsError::Malformed { file: name.clone(), line: Some(line), reason };
        let fault = |Fault { line, reason }| malformed(line, reason);
        // Arrow counts records, from the header on, and calls them lines.
        let known = self.records + 2;
        let refused = |strict: &Strict, error: ArrowError| {
            let reason = match error {
                ArrowError::CsvError(text) | ArrowError::ParseError(text) => text,
                other => other.to_string(),
            };
            let Some((record, of)) = line_in(&reason) else {
                return RecordsError::Malformed { file: name.clone(), line: None, reason };
            };
            let reason = reason.replacen(&of, &format!("record {}", record.saturating_sub(1)), 1);
            let help = if reason.contains("UTF-8") {
                "save the file as UTF-8"
            } else {
                "nothing of this file is skipped silently, fix it"
            };
            malformed(strict.line(record.saturating_sub(known)), format!("{reason}; {help}"))
        };
        let rows = decoder.capacity();
        let (mut record, mut batch) = (0, 0);
        loop {
            let mut bytes =
                input.fill_buf().map_err(|error| RecordsError::Io { file: name.clone(), error })?;
            if bytes.is_empty() {
                strict.end().map_err(fault)?;
            } else if *ahead < bytes.len() {
                strict.see(&bytes[*ahead..]).map_err(fault)?;
                *ahead = bytes.len();
            }
            let before = decoder.capacity();
            let is_large = batch >= MAX_BATCH;
            if is_large {
                // Only at the end of a record can the batch end, and a record ends with a line.
                let end = memchr::memchr2(b'\n', b'\r', bytes).map_or(bytes.len(), |at| at + 1);
                bytes = &bytes[..end];
            }
            let used = decoder.decode(bytes).map_err(|error| refused(strict, error))?;
            input.consume(used);
            *ahead -= used.min(*ahead);
            // At the end of the stream the decoder is told so by no bytes.
            if used == 0 || decoder.capacity() == 0 {
                break;
            }
            let ended = decoder.capacity() < before;
            record = if ended { 0 } else { record + used };
            batch += used;
            if record > MAX_TEXT {
                let line = strict.line(rows - decoder.capacity());
                return Err(malformed(
                    line,
                    format!("the record that begins here {TOO_LONG}; is a quote missing?"),
                ));
            }
            if is_large && ended {
                break;
            }
        }
        let batch = decoder.flush().map_err(|error| refused(strict, error))?;
        if let Some(row) = batch.as_ref().and_then(split_character) {
            let reason =
                "a character in it is in two cells, so it is not UTF-8; save the file as UTF-8";
            return Err(malformed(strict.line(row), reason.to_owned()));
        }
        if let Some(row) = batch.as_ref().and_then(bounds::too_long) {
            return Err(malformed(
                strict.line(row),
                format!("the record {TOO_LONG}; is a quote missing?"),
            ));
        }
        let read = batch.as_ref().map_or(0, RecordBatch::num_rows);
        strict.take(read);
        self.records += read;
        Ok(batch)
    }
}

/// The first row with a cell that begins within a character. Arrow looks at all cells as one text,
/// in which the end of one cell and the beginning of the next may be a character; neither is a text
/// by itself.
fn split_character(batch: &RecordBatch) -> Option<usize> {
    let is_within = |column: &StringArray, row: usize| {
        let bytes = usize::try_from(column.value_offsets()[row])
            .ok()
            .and_then(|at| column.value_data().get(at));
        column.value_length(row) > 0 && bytes.is_some_and(|byte| byte & 0xc0 == 0x80)
    };
    let columns = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    columns.filter_map(|column| (0..column.len()).find(|row| is_within(column, *row))).min()
}

enum HeaderError {
    Io(io::Error),
    Fault(Fault),
}

/// The first record, line breaks inside quotes included, without a byte order mark.
fn read_header(
    stream: &mut impl BufRead,
    strict: &mut Strict,
    delimiter: Option<u8>,
) -> Result<Vec<u8>, HeaderError> {
    let mut header = Vec::new();
    let mut is_first = true;
    loop {
        let start = header.len();
        let read = stream
            .by_ref()
            .take(MAX_HEADER as u64 + 1)
            .read_until(b'\n', &mut header)
            .map_err(HeaderError::Io)?;
        if header.len() > MAX_HEADER {
            let reason = "the header does not end; is a quote or a line break missing?";
            return Err(HeaderError::Io(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        if std::mem::take(&mut is_first) {
            if header.starts_with(&[0xef, 0xbb, 0xbf]) {
                header.drain(..3);
            }
            if header.starts_with(b"PK\x03\x04") {
                let reason = "this is not CSV but a zip archive, as Excel's .xlsx is; save the sheet as CSV in UTF-8";
                return Err(HeaderError::Fault(Fault { line: 1, reason: reason.to_owned() }));
            }
            if header.contains(&0) {
                let reason = "there are zero bytes in the first line, so this is not text in UTF-8; it may be UTF-16: save the file as UTF-8";
                return Err(HeaderError::Fault(Fault { line: 1, reason: reason.to_owned() }));
            }
            if let Some(said) = header.trim_ascii_end().strip_prefix(b"sep=") {
                if said.len() != 1 || delimiter != said.first().copied() {
                    let said = String::from_utf8_lossy(said);
                    let reason = format!(
                        "the first line, `sep={said}`, says that the delimiter is `{said}`; save the file with commas and without this line, or say so in the project file: records = {{ files = …, delimiter = \"{said}\" }}"
                    );
                    return Err(HeaderError::Fault(Fault { line: 1, reason }));
                }
                header.clear();
                strict.skip_line();
                continue;
            }
        }
        strict.see(&header[start.min(header.len())..]).map_err(HeaderError::Fault)?;
        if read == 0 {
            strict.end().map_err(HeaderError::Fault)?;
        }
        if read == 0 || strict.is_between_records() {
            return Ok(header);
        }
    }
}

/// What to say if the header is one of another delimiter.
fn other_delimiter(names: &[String], dialect: Dialect, id: Option<&str>) -> Option<String> {
    if names.iter().any(|name| Some(name.as_str()) == id) {
        return None;
    }
    let is_id = |name: &str| Some(name.trim().trim_matches(char::from(dialect.quote))) == id;
    let seems = [';', '\t', '|', ',']
        .into_iter()
        .filter(|other| *other != char::from(dialect.delimiter))
        .find(|other| {
            let is_split = names.iter().any(|name| name.contains(*other));
            is_split
                && (names.len() == 1
                    || names
                        .iter()
                        .any(|name| name.contains(*other) && name.split(*other).any(is_id)))
        })?;
    let word = if seems == '\t' { "\\t".to_owned() } else { seems.to_string() };
    let ending = if seems == '\t' { ", or call the file .tsv" } else { "" };
    let names = names.join(char::from(dialect.delimiter).to_string().as_str());
    let names: String = names.chars().take(80).collect();
    Some(format!(
        "the delimiter seems to be `{word}`: the header is `{names}`; save the file with commas{ending}, or say so in the project file: records = {{ files = …, delimiter = \"{word}\" }}"
    ))
}

/// The number in Arrow's message, such as `incorrect number of fields for line 3, expected 2 got
/// 1`, and the words that it is in.
fn line_in(message: &str) -> Option<(usize, String)> {
    let from = message.find("line ")?;
    let digits = message[from + "line ".len()..].split(|c: char| !c.is_ascii_digit()).next()?;
    Some((digits.parse().ok()?, format!("line {digits}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Vec<Option<String>>>, RecordsError> {
        let stream = Box::new(Cursor::new(text.to_vec()));
        let mut reader =
            CsvReader::new("x.csv".to_owned(), stream, b',', &RecordOptions::default(), 2)?;
        let mut rows = Vec::new();
        while let Some(batch) = reader.next()? {
            let columns: Vec<&StringArray> = batch
                .columns()
                .iter()
                .map(|column| column.as_any().downcast_ref().unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                rows.push(
                    columns
                        .iter()
                        .map(|column| column.is_valid(row).then(|| column.value(row).to_owned()))
                        .collect(),
                );
            }
        }
        Ok(rows)
    }

    fn row(cells: &[&str]) -> Vec<Option<String>> {
        cells.iter().map(|cell| (!cell.is_empty()).then(|| (*cell).to_owned())).collect()
    }

    #[test]
    fn values_keep_their_spelling() {
        let text = b"\xef\xbb\xbfid,zip,note\r\n007,01234,\"a\nb \"\"c\"\"\"\r\n4.9e11,,x\r\n8,NULL, y\r\n";
        assert_eq!(
            read(text).unwrap(),
            [
                row(&["007", "01234", "a\nb \"c\""]),
                row(&["4.9e11", "", "x"]),
                row(&["8", "NULL", " y"])
            ]
        );
    }

    #[test]
    fn a_header_alone_has_no_rows() {
        assert_eq!(read(b"a,b\n").unwrap().len(), 0);
        assert_eq!(read(b"\"a\nb\",c\n1,2\n").unwrap().len(), 1);
    }

    #[test]
    fn what_does_not_end_is_not_read_into_memory() {
        /// A stream that begins with a text and continues for ever.
        struct Endless(Cursor<&'static [u8]>, usize);
        impl Read for Endless {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                let read = self.0.read(to)?;
                if read == 0 {
                    to.fill(b'x');
                    self.1 += to.len();
                    assert!(self.1 < 64 << 20, "it reads on");
                    return Ok(to.len());
                }
                Ok(read)
            }
        }
        let stream = |text: &'static [u8]| {
            Box::new(io::BufReader::with_capacity(1 << 17, Endless(Cursor::new(text), 0)))
        };
        let header =
            CsvReader::new("x.csv".to_owned(), stream(b"a,b"), b',', &RecordOptions::default(), 2)
                .err()
                .unwrap()
                .to_string();
        assert!(header.contains("the header does not end"), "{header}");
        let mut reader = CsvReader::new(
            "x.csv".to_owned(),
            stream(b"a,b\n1,2\n3,4\n5,\"6"),
            b',',
            &RecordOptions::default(),
            2,
        )
        .unwrap();
        assert_eq!(reader.next().unwrap().unwrap().num_rows(), 2);
        let error = reader.next().unwrap_err().to_string();
        assert!(error.contains("x.csv, line 4: the record that begins here"), "{error}");
    }

    #[test]
    fn long_records_make_short_batches_and_none_is_cut_in_two() {
        // Line breaks of all kinds, alone and inside quotes, so that a batch could end in the wrong
        // place.
        for newline in ["\n", "\r\n", "\r"] {
            let note = format!("\"a{newline}\"\"b\"\"{newline}{}\"", "x".repeat(MAX_RECORD / 2));
            let mut text = format!("id,note{newline}")
                .replace('\r', if newline == "\r" { "\n" } else { "\r" });
            for id in 0..60 {
                text.push_str(&format!("{id},{note}{newline}"));
            }
            let stream = io::BufReader::with_capacity(1 << 17, Cursor::new(text.into_bytes()));
            let mut reader = CsvReader::new(
                "x.csv".to_owned(),
                Box::new(stream),
                b',',
                &RecordOptions::default(),
                4_096,
            )
            .unwrap();
            let mut rows = 0;
            while let Some(batch) = reader.next().unwrap() {
                assert!(
                    (1..=17).contains(&batch.num_rows()),
                    "{newline:?}: {} rows at once",
                    batch.num_rows()
                );
                let column = |at: usize| {
                    batch.column(at).as_any().downcast_ref::<StringArray>().unwrap().clone()
                };
                for row in 0..batch.num_rows() {
                    assert_eq!(column(0).value(row), rows.to_string(), "{newline:?}");
                    assert!(
                        column(1).value(row).starts_with(&format!("a{newline}\"b\"{newline}x")),
                        "{newline:?}"
                    );
                    rows += 1;
                }
            }
            assert_eq!(rows, 60, "{newline:?}");
        }
    }

    #[test]
    fn a_record_may_have_one_mebibyte_and_no_more() {
        // Two texts have their offsets too.
        let largest = MAX_RECORD - 8 - 1;
        let text = |bytes: usize| format!("id,note\n1,x\n2,{}\n3,x\n", "x".repeat(bytes));
        assert_eq!(read(text(largest).as_bytes()).unwrap().len(), 3);
        let error = read(text(largest + 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("x.csv, line 3: the record is longer than 1 MiB"), "{error}");
        // Quotes are doubled in the file, not in the value.
        assert_eq!(
            read(format!("id,note\n1,\"{}\"\n", "\"\"".repeat(largest)).as_bytes()).unwrap().len(),
            1
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, expected) in [
            (b"a,b\n1,2\n3\n".as_slice(), "x.csv, line 3"),
            (b"a,b\n1,2,3\n", "x.csv, line 2"),
            (b"a,a\n1,2\n", "`a` twice"),
            (b"a,,c\n1,2,3\n", "column 2 has no name"),
            (b"a,b\n1,\"x\ny\"\n\n3\n", "x.csv, line 5: incorrect number of fields for record 2"),
            (
                b"a,b\n1,2\n2,\"x\ny\n",
                "x.csv, line 3: the quote that opens here, in record 2, is never closed",
            ),
            (b"a,b\n1,\"Acme\" Ltd\n", "x.csv, line 2: record 1 has text behind a closing quote"),
            (
                b"a,b\n1,\"Pipe 5\\\" GmbH\"\n",
                "x.csv, line 2: record 1 has a quote behind a backslash",
            ),
            (b"", "x.csv: there is nothing in the file"),
            (b"id;name\n1;x\n", "line 1: the delimiter seems to be `;`"),
            (b"id\tname\n1\tx\n", "call the file .tsv"),
            (b"sep=;\nid;name\n1;x\n", "says that the delimiter is `;`"),
            (b"PK\x03\x04\x14\0\x06\0\n", "a zip archive, as Excel's .xlsx is"),
            (b"i\0d\0,\0x\0\n\0", "save the file as UTF-8"),
            // Split between two cells, a character is invalid in each, though valid in both
            // together.
            (b"a,b\n1,x\n\xc3,\xa9\n", "x.csv, line 3: a character in it is in two cells"),
            (b"a\n\xc3\n\xa9\n", "x.csv, line 3: a character in it is in two cells"),
            (
                b"a\n\xff\xfe\n",
                "x.csv, line 2: Encountered invalid UTF-8 data for record 1 and field 1; save the file as UTF-8",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
