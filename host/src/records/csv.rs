//! CSV: every column is text, an empty cell is null. Whether `01234` is a number is not for a reader to guess.

use super::{
    RecordsError,
    bounds::{self, MAX_BATCH, MAX_RECORD, TOO_LONG},
};
use arrow_array::RecordBatch;
use arrow_csv::reader::Decoder;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use std::{
    collections::HashSet,
    io::{self, BufRead, Chain, Cursor, Read},
    sync::Arc,
};

/// A header larger than this is no header.
const MAX_HEADER: usize = 1 << 20;
/// A record with more text than this has a quote that was never closed, and the rest of the file behind it. Quotes in values are doubled.
const MAX_TEXT: usize = 2 * MAX_RECORD;

/// The header, which was read already, and the rest.
type Input = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>;

pub(super) struct CsvReader {
    name: String,
    /// `None` for a file without a single line.
    reader: Option<(Input, Decoder)>,
    /// Records that were read before the batch at hand.
    records: usize,
}

impl CsvReader {
    pub(super) fn new(
        name: String,
        mut stream: Box<dyn BufRead + Send>,
        delimiter: u8,
        max_rows: usize,
    ) -> Result<CsvReader, RecordsError> {
        let malformed = |line, reason: String| RecordsError::Malformed { file: name.clone(), line, reason };
        let header = read_header(&mut stream).map_err(|error| RecordsError::Io { file: name.clone(), error })?;
        if header.iter().all(u8::is_ascii_whitespace) {
            return Ok(CsvReader { name, reader: None, records: 0 });
        }
        let mut parser = ::csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(header.as_slice());
        let names =
            parser.records().next().transpose().map_err(|error| malformed(Some(1), format!("the header cannot be read: {error}")))?;
        let names: Vec<String> = names.unwrap_or_default().iter().map(str::to_owned).collect();
        let mut seen = HashSet::new();
        for (at, column) in names.iter().enumerate() {
            if column.trim().is_empty() {
                return Err(malformed(Some(1), format!("column {} has no name in the header; name it or leave it out", at + 1)));
            }
            if !seen.insert(column) {
                return Err(malformed(Some(1), format!("the header has the column `{column}` twice; which one counts cannot be told")));
            }
        }
        let schema = Schema::new(names.iter().map(|column| Field::new(column, DataType::Utf8, true)).collect::<Vec<_>>());
        let decoder = arrow_csv::ReaderBuilder::new(Arc::new(schema))
            .with_header(true)
            .with_delimiter(delimiter)
            .with_batch_size(max_rows)
            .build_decoder();
        Ok(CsvReader { name, reader: Some((Cursor::new(header).chain(stream), decoder)), records: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, RecordsError> {
        let Some((stream, decoder)) = &mut self.reader else { return Ok(None) };
        let malformed = |line, reason| RecordsError::Malformed { file: self.name.clone(), line, reason };
        let refused = |error: ArrowError| {
            let reason = match error {
                ArrowError::CsvError(text) | ArrowError::ParseError(text) => text,
                other => other.to_string(),
            };
            malformed(line_in(&reason), format!("{reason}; nothing of this file is skipped silently, mend it"))
        };
        // The header is the first line.
        let line = |record: usize| Some((self.records + record) as u64 + 2);
        let rows = decoder.capacity();
        let (mut record, mut batch) = (0, 0);
        loop {
            let mut bytes = stream.fill_buf().map_err(|error| RecordsError::Io { file: self.name.clone(), error })?;
            let before = decoder.capacity();
            let is_large = batch >= MAX_BATCH;
            if is_large {
                // Only at the end of a record can the batch end, and a record ends with a line.
                let end = memchr::memchr2(b'\n', b'\r', bytes).map_or(bytes.len(), |at| at + 1);
                bytes = &bytes[..end];
            }
            let used = decoder.decode(bytes).map_err(refused)?;
            stream.consume(used);
            // At the end of the stream the decoder is told so by no bytes.
            if used == 0 || decoder.capacity() == 0 {
                break;
            }
            let ended = decoder.capacity() < before;
            record = if ended { 0 } else { record + used };
            batch += used;
            if record > MAX_TEXT {
                return Err(malformed(
                    line(rows - decoder.capacity()),
                    format!("the record that begins here {TOO_LONG}; is a quote missing?"),
                ));
            }
            if is_large && ended {
                break;
            }
        }
        let batch = decoder.flush().map_err(refused)?;
        if let Some(row) = batch.as_ref().and_then(bounds::too_long) {
            return Err(malformed(line(row), format!("the record {TOO_LONG}; is a quote missing?")));
        }
        self.records += batch.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(batch)
    }
}

/// The first record, line breaks inside quotes included, without a byte order mark.
fn read_header(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        let read = stream.by_ref().take(MAX_HEADER as u64 + 1).read_until(b'\n', &mut header)?;
        let quotes = header.iter().filter(|byte| **byte == b'"').count();
        if header.len() > MAX_HEADER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the header does not end; is a quote or a line break missing?"));
        }
        if read == 0 || quotes % 2 == 0 {
            break;
        }
    }
    if header.starts_with(&[0xef, 0xbb, 0xbf]) {
        header.drain(..3);
    }
    Ok(header)
}

/// The line number in Arrow's message, such as `incorrect number of fields for line 3, expected 2 got 1`.
fn line_in(message: &str) -> Option<u64> {
    let rest = &message[message.find("line ")? + "line ".len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, StringArray};

    fn read(text: &[u8]) -> Result<Vec<Vec<Option<String>>>, RecordsError> {
        let stream = Box::new(Cursor::new(text.to_vec()));
        let mut reader = CsvReader::new("x.csv".to_owned(), stream, b',', 2)?;
        let mut rows = Vec::new();
        while let Some(batch) = reader.next()? {
            let columns: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_any().downcast_ref().unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.is_valid(row).then(|| column.value(row).to_owned())).collect());
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
        assert_eq!(read(text).unwrap(), [row(&["007", "01234", "a\nb \"c\""]), row(&["4.9e11", "", "x"]), row(&["8", "NULL", " y"])]);
    }

    #[test]
    fn a_header_alone_and_nothing_at_all_have_no_rows() {
        assert_eq!(read(b"a,b\n").unwrap().len(), 0);
        assert_eq!(read(b"").unwrap().len(), 0);
        assert_eq!(read(b"\"a\nb\",c\n1,2\n").unwrap().len(), 1);
    }

    #[test]
    fn what_does_not_end_is_not_read_into_memory() {
        /// A stream that begins with a text and goes on for ever.
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
        let stream = |text: &'static [u8]| Box::new(io::BufReader::with_capacity(1 << 17, Endless(Cursor::new(text), 0)));
        let header = CsvReader::new("x.csv".to_owned(), stream(b"a,b"), b',', 2).err().unwrap().to_string();
        assert!(header.contains("the header does not end"), "{header}");
        let mut reader = CsvReader::new("x.csv".to_owned(), stream(b"a,b\n1,2\n3,4\n5,\"6"), b',', 2).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().num_rows(), 2);
        let error = reader.next().unwrap_err().to_string();
        assert!(error.contains("x.csv, line 4: the record that begins here"), "{error}");
    }

    #[test]
    fn long_records_make_short_batches_and_none_is_cut_in_two() {
        // Line breaks of all kinds, alone and inside quotes, so that a batch could end in the wrong place.
        for newline in ["\n", "\r\n", "\r"] {
            let note = format!("\"a{newline}\"\"b\"\"{newline}{}\"", "x".repeat(MAX_RECORD / 2));
            let mut text = format!("id,note{newline}").replace('\r', if newline == "\r" { "\n" } else { "\r" });
            for id in 0..60 {
                text.push_str(&format!("{id},{note}{newline}"));
            }
            let stream = io::BufReader::with_capacity(1 << 17, Cursor::new(text.into_bytes()));
            let mut reader = CsvReader::new("x.csv".to_owned(), Box::new(stream), b',', 4_096).unwrap();
            let mut rows = 0;
            while let Some(batch) = reader.next().unwrap() {
                assert!((1..=17).contains(&batch.num_rows()), "{newline:?}: {} rows at once", batch.num_rows());
                let column = |at: usize| batch.column(at).as_any().downcast_ref::<StringArray>().unwrap().clone();
                for row in 0..batch.num_rows() {
                    assert_eq!(column(0).value(row), rows.to_string(), "{newline:?}");
                    assert!(column(1).value(row).starts_with(&format!("a{newline}\"b\"{newline}x")), "{newline:?}");
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
        assert_eq!(read(format!("id,note\n1,\"{}\"\n", "\"\"".repeat(largest)).as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, expected) in [
            (b"a,b\n1,2\n3\n".as_slice(), "x.csv, line 3"),
            (b"a,b\n1,2,3\n", "x.csv, line 2"),
            (b"a,a\n1,2\n", "`a` twice"),
            (b"a,,c\n1,2,3\n", "column 2 has no name"),
            (b"a\n\xff\xfe\n", "x.csv"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
