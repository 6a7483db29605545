//! How much memory the pages of a Parquet file take. A page is unpacked whole before anything of it
//! can be looked at, and a few bytes unpack to gigabytes, so sizes are looked at first: in the
//! header of each page, and where a codec unpacks whatever there is, by unpacking it to nowhere.

use brotli::Decompressor;
use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use parquet::{basic::Compression, errors::ParquetError, file::metadata::ParquetMetaData};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

/// Bytes of the pages that are unpacked at one time: of each column its largest page and its
/// dictionary.
const MAX_PAGES: u64 = 256 << 20;
/// Bytes of the file's description of itself.
const MAX_FOOTER: u32 = 16 << 20;
/// Columns within columns. Whoever reads a schema calls itself for each.
const MAX_NESTING: usize = 32;
/// Columns, and structures that they are in.
const MAX_ELEMENTS: u64 = 10_000;
/// Bytes of a page's header, which may hold the least and the greatest value.
const MAX_HEADER: u64 = 4 << 20;
/// Structures within structures of a header.
const MAX_DEPTH: u32 = 8;

/// Values of one page. Some encodings have a number for each in memory, and need no byte of the
/// file for it.
const MAX_VALUES: i64 = 8 << 20;

const DICTIONARY: i64 = 2;
/// Each text says how much of the one before it repeats, so a few bytes are any number of long
/// texts.
const DELTA_BYTE_ARRAY: i64 = 7;

fn refused(reason: impl Into<String>) -> ParquetError {
    ParquetError::General(reason.into())
}

fn malformed(error: &io::Error) -> ParquetError {
    refused(format!("the header of a page cannot be read: {error}"))
}

/// The description at the end of the file, before it is decoded.
pub(super) fn check_footer(mut file: &File) -> Result<(), ParquetError> {
    let mut end = [0; 8];
    // What is shorter is not Parquet, as the reader will say.
    let Ok(at) = file.seek(SeekFrom::End(-8)) else { return Ok(()) };
    file.read_exact(&mut end)?;
    let [a, b, c, d, ..] = end;
    let length = u32::from_le_bytes([a, b, c, d]);
    if !end.ends_with(b"PAR1") || u64::from(length) > at {
        return Ok(());
    }
    if length > MAX_FOOTER {
        return Err(refused(format!(
            "its description of itself has {length} bytes, more than {MAX_FOOTER}: write it with larger row groups"
        )));
    }
    file.seek(SeekFrom::Start(at - u64::from(length)))?;
    let mut footer = Compact { read: BufReader::new(file.take(u64::from(length))), used: 0 };
    match footer.nesting() {
        Ok(depth) if depth > MAX_NESTING => {
            Err(refused(format!("its columns are nested more than {MAX_NESTING} deep")))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(refused(format!("its description of itself cannot be read: {error}"))),
    }
}

/// All pages, before any of them is unpacked.
pub(super) fn check(file: &File, metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    for group in metadata.row_groups() {
        let mut together = 0;
        for column in group.columns() {
            let start = column
                .dictionary_page_offset()
                .into_iter()
                .chain([column.data_page_offset()])
                .min()
                .unwrap_or(0);
            let (Ok(start), Ok(length)) =
                (u64::try_from(start), u64::try_from(column.compressed_size()))
            else {
                return Err(refused("a column has a place that none can have"));
            };
            let largest =
                check_chunk(file, start, length, column.num_values(), column.compression())?;
            together += largest;
            if together > MAX_PAGES {
                return Err(refused(format!(
                    "its pages unpack to more than {} MiB at one time (column `{}`): write it with smaller pages, or with fewer rows in a row group",
                    MAX_PAGES >> 20,
                    column.column_path().string()
                )));
            }
        }
    }
    Ok(())
}

/// Bytes of the largest page and of the dictionary of a column.
fn check_chunk(
    mut file: &File,
    start: u64,
    length: u64,
    values: i64,
    compression: Compression,
) -> Result<u64, ParquetError> {
    let end = start.saturating_add(length);
    let (mut at, mut seen) = (start, 0);
    let (mut page, mut dictionary) = (0, 0);
    while at < end && seen < values {
        file.seek(SeekFrom::Start(at))?;
        let mut header = Compact {
            read: BufReader::with_capacity(256, file.take(MAX_HEADER.min(end - at))),
            used: 0,
        };
        let found = header.page().map_err(|error| malformed(&error))?;
        let data = at + header.used;
        if found.compressed > end.saturating_sub(data) {
            return Err(refused("a page is longer than its column"));
        }
        if found.encoding == DELTA_BYTE_ARRAY {
            return Err(refused(
                "its texts are encoded as DELTA_BYTE_ARRAY, and nobody can tell how long they are before they are there: write it with version 1 of the pages, or with dictionaries",
            ));
        }
        if found.values > MAX_VALUES {
            return Err(refused(format!(
                "a page has {} values, more than {MAX_VALUES}: write it with smaller pages",
                found.values
            )));
        }
        let largest = if found.kind == DICTIONARY { &mut dictionary } else { &mut page };
        *largest = found.unpacked.max(*largest);
        if page + dictionary > MAX_PAGES {
            return Ok(page + dictionary);
        }
        if found.is_packed {
            check_unpacked(
                file,
                data + found.levels,
                found.compressed.saturating_sub(found.levels),
                &found,
                compression,
            )?;
        }
        seen += found.values;
        at = data + found.compressed;
    }
    Ok(page + dictionary)
}

/// That a page unpacks to what its header says, where the codec would not stop there.
fn check_unpacked(
    mut file: &File,
    at: u64,
    length: u64,
    page: &Page,
    compression: Compression,
) -> Result<(), ParquetError> {
    let most = page.unpacked.saturating_sub(page.levels);
    let mut packed = || -> io::Result<_> {
        file.seek(SeekFrom::Start(at))?;
        Ok(BufReader::new(file.take(length)))
    };
    let nowhere = |read: &mut dyn Read| io::copy(&mut read.take(most + 1), &mut io::sink());
    // What cannot be unpacked is for the reader to say.
    let unpacked = match compression {
        Compression::GZIP(_) => nowhere(&mut MultiGzDecoder::new(packed()?)),
        Compression::BROTLI(_) => nowhere(&mut Decompressor::new(packed()?, 4_096)),
        // The reader tries this last, with files of old writers.
        Compression::LZ4 => nowhere(&mut FrameDecoder::new(packed()?)),
        _ => return Ok(()),
    };
    match unpacked {
        Ok(unpacked) if unpacked > most => {
            Err(refused("a page unpacks to more than its header says"))
        }
        _ => Ok(()),
    }
}

/// What the header of a page says.
#[derive(Debug, Default)]
struct Page {
    kind: i64,
    unpacked: u64,
    compressed: u64,
    values: i64,
    encoding: i64,
    /// Bytes in front that are not packed.
    levels: u64,
    is_packed: bool,
}

/// Thrift's compact protocol, as far as the header of a page needs it.
struct Compact<R> {
    read: R,
    /// Bytes read so far.
    used: u64,
}

/// Types of a field.
const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I32: u8 = 5;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

const OTHER_TYPE: &str = "a field of a type that it cannot have";

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Compact<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.read.read_exact(&mut byte)?;
        self.used += 1;
        Ok(byte[0])
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(invalid("a number that does not end"))
    }

    fn signed(&mut self) -> io::Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn size(&mut self) -> io::Result<u64> {
        u64::try_from(self.signed()?).map_err(|_| invalid("a size below zero"))
    }

    /// The next field: its number and type; the type is [`STOP`] at the end of a structure.
    fn field(&mut self, last: &mut i64) -> io::Result<(i64, u8)> {
        let head = self.byte()?;
        let kind = head & 15;
        if kind != STOP {
            *last = match i64::from(head >> 4) {
                0 => self.signed()?,
                step => last.saturating_add(step),
            };
        }
        Ok((*last, kind))
    }

    /// How deep the schema is in a description of a file, or more than [`MAX_NESTING`]. All of the
    /// description is read, so that the reader finds nothing in it that takes more steps than bytes.
    fn nesting(&mut self) -> io::Result<usize> {
        let (mut last, mut deepest) = (0, 0);
        loop {
            match self.field(&mut last)? {
                (_, STOP) => return Ok(deepest),
                (2, LIST) => deepest = deepest.max(self.schema()?),
                (_, kind) => self.skip(kind, 0)?,
            }
            if deepest > MAX_NESTING {
                return Ok(deepest);
            }
        }
    }

    fn schema(&mut self) -> io::Result<usize> {
        let (length, kind) = self.list()?;
        if kind != STRUCT {
            return Err(invalid("its columns are not what a column can be"));
        }
        if length > MAX_ELEMENTS {
            return Err(invalid("it has more columns than any record"));
        }
        // Children that have yet to come, of each element around.
        let (mut open, mut deepest): (Vec<i64>, usize) = (Vec::new(), 0);
        for _ in 0..length {
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(children) = open.last_mut() {
                *children -= 1;
            }
            let children = self.children()?;
            if children > 0 {
                open.push(children);
                deepest = deepest.max(open.len());
                if deepest > MAX_NESTING {
                    break;
                }
            }
        }
        Ok(deepest)
    }

    /// Children of an element of a schema.
    fn children(&mut self) -> io::Result<i64> {
        let (mut last, mut children) = (0, 0);
        loop {
            match self.field(&mut last)? {
                (_, STOP) => return Ok(children),
                (5, I32) => children = self.signed()?,
                (_, kind) => self.skip(kind, 0)?,
            }
        }
    }

    /// Length of a list, and the type of what is in it.
    fn list(&mut self) -> io::Result<(u64, u8)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
        Ok((length, head & 15))
    }

    fn page(&mut self) -> io::Result<Page> {
        let mut page = Page { is_packed: true, ..Page::default() };
        let mut last = 0;
        loop {
            match self.field(&mut last)? {
                (_, STOP) => return Ok(page),
                (1, I32) => page.kind = self.signed()?,
                (2, I32) => page.unpacked = self.size()?,
                (3, I32) => page.compressed = self.size()?,
                (5, STRUCT) => self.data(&mut page, false)?,
                (8, STRUCT) => self.data(&mut page, true)?,
                (1..=3 | 5 | 8, _) => return Err(invalid(OTHER_TYPE)),
                (_, kind) => self.skip_of_page(kind)?,
            }
        }
    }

    /// What a page of data says of itself.
    fn data(&mut self, page: &mut Page, second: bool) -> io::Result<()> {
        let mut last = 0;
        loop {
            match self.field(&mut last)? {
                (_, STOP) => return Ok(()),
                (1, I32) => page.values = self.signed()?.max(0),
                (2, I32) if !second => page.encoding = self.signed()?,
                (4, I32) if second => page.encoding = self.signed()?,
                (5 | 6, I32) if second => page.levels = page.levels.saturating_add(self.size()?),
                (7, kind @ (TRUE | FALSE)) if second => page.is_packed = kind == TRUE,
                (1..=4, kind) if kind != I32 => return Err(invalid(OTHER_TYPE)),
                (6 | 7, _) if second => return Err(invalid(OTHER_TYPE)),
                (5, kind) if second || kind != STRUCT => return Err(invalid(OTHER_TYPE)),
                (_, kind) => self.skip_of_page(kind)?,
            }
        }
    }

    /// A field of a page's header whose value is not needed. None of them has a list or a
    /// floating-point number in it, and the reader takes those that are not all there for whole.
    fn skip_of_page(&mut self, kind: u8) -> io::Result<()> {
        match kind {
            DOUBLE | LIST | SET => Err(invalid(OTHER_TYPE)),
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, STOP) => return Ok(()),
                        (_, STRUCT) => return Err(invalid(OTHER_TYPE)),
                        (_, kind) => self.skip_of_page(kind)?,
                    }
                }
            }
            kind => self.skip(kind, 0),
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(invalid("it is too deep"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            4..=6 => self.unsigned().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | SET => {
                let (length, kind) = self.list()?;
                // The reader counts to their number without reading a byte, and no description of
                // a file has one.
                if matches!(kind, TRUE | FALSE) {
                    return Err(invalid("it has a list of truth values"));
                }
                (0..length).try_for_each(|_| self.skip(kind, depth + 1))
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, STOP) => return Ok(()),
                        (_, kind) => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => Err(invalid(OTHER_TYPE)),
        }
    }

    fn pass(&mut self, length: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.read.by_ref().take(length), &mut io::sink())?;
        self.used += passed;
        if passed == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parquet::open;
    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use parquet::{
        arrow::ArrowWriter,
        basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel},
        file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion},
    };
    use std::{
        fs::File,
        io::{Read, Seek, SeekFrom, Write},
        sync::Arc,
    };

    const CODECS: [fn() -> Compression; 5] = [
        || Compression::SNAPPY,
        || Compression::GZIP(GzipLevel::default()),
        || Compression::BROTLI(BrotliLevel::default()),
        || Compression::LZ4_RAW,
        || Compression::ZSTD(ZstdLevel::default()),
    ];

    fn written(texts: &[String], properties: WriterProperties) -> File {
        let batch = RecordBatch::try_from_iter([(
            "name",
            Arc::new(StringArray::from(texts.to_vec())) as ArrayRef,
        )])
        .unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn properties(codec: Compression, version: WriterVersion) -> WriterPropertiesBuilder {
        let sizes = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(1 << 30);
        sizes.set_compression(codec).set_writer_version(version)
    }

    #[test]
    fn pages_that_unpack_to_more_than_there_is_room_for_are_refused_before_that() {
        let texts = vec!["x".repeat(1 << 20); 300];
        for codec in CODECS {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let file = written(
                    &texts,
                    properties(codec(), version).set_encoding(Encoding::PLAIN).build(),
                );
                let error = open(file, 64).err().unwrap().to_string();
                assert!(error.contains("256 MiB") && error.contains("`name`"), "{error}");
            }
        }
    }

    #[test]
    fn texts_that_repeat_the_one_before_are_refused() {
        let properties = properties(Compression::SNAPPY, WriterVersion::PARQUET_2_0)
            .set_encoding(Encoding::DELTA_BYTE_ARRAY);
        let error = open(written(&vec!["x".repeat(1 << 20); 300], properties.build()), 64)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("DELTA_BYTE_ARRAY"), "{error}");
    }

    #[test]
    fn a_page_that_unpacks_to_more_than_its_header_says_is_refused() {
        for codec in [CODECS[1], CODECS[2]] {
            let texts = vec!["x".repeat(1 << 20); 4];
            let mut file = written(&texts, properties(codec(), WriterVersion::PARQUET_1_0).build());
            // The header of the first page begins behind the four letters: its type, its size, and
            // what it unpacks to.
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(&bytes[4..7], [0x15, 0x00, 0x15], "a page of data, and a number");
            // The lowest seven bits of the size, which is even as it is written.
            bytes[7] ^= 0b10;
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&bytes).unwrap();
            let opened = open(file, 64).map(|mut reader| reader.next());
            let error = match opened {
                Err(error) => error.to_string(),
                Ok(next) => next.unwrap().unwrap_err().to_string(),
            };
            assert!(
                error.contains("more than its header says") || error.contains("doesn't match"),
                "{error}"
            );
        }
    }

    /// A file without rows, of one column that is so many structures deep, with further fields in
    /// its description.
    fn nested(depth: usize, further: &[u8]) -> File {
        let mut description = vec![0x15, 2, 0x19];
        let mut elements = vec![vec![0x48, 1, b's', 0x15, 2, 0]];
        elements.extend((0..depth).map(|_| vec![0x35, 2, 0x18, 1, b'a', 0x15, 2, 0]));
        elements.push(vec![0x15, 12, 0x25, 2, 0x18, 1, b'b', 0]);
        description.push(0xfc);
        let mut length = elements.len();
        while length >= 0x80 {
            description.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        description.push(length as u8);
        description.extend(elements.concat());
        description.extend([0x16, 0, 0x19, 0x0c]);
        description.extend(further);
        description.push(0);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"PAR1").unwrap();
        file.write_all(&description).unwrap();
        file.write_all(&u32::try_from(description.len()).unwrap().to_le_bytes()).unwrap();
        file.write_all(b"PAR1").unwrap();
        file
    }

    #[test]
    fn columns_are_nested_no_deeper_than_a_stack_bears() {
        for depth in [20, super::MAX_NESTING - 1] {
            assert_eq!(open(nested(depth, &[]), 64).unwrap().count(), 0, "{depth}");
        }
        for depth in [super::MAX_NESTING, 1_000, 9_000] {
            let error = open(nested(depth, &[]), 64).err().unwrap().to_string();
            assert!(error.contains("nested more than 32 deep"), "{depth}: {error}");
        }
    }

    #[test]
    fn a_description_takes_no_more_steps_than_it_has_bytes() {
        // A field that no reader knows: a list of as many values as a number may say.
        let list = |kind: u8| [0x79, 0xf0 | kind, 0xff, 0xff, 0xff, 0xff, 7];
        assert_eq!(open(nested(1, &[0x75, 2]), 64).unwrap().count(), 0);
        for kind in [super::TRUE, super::FALSE, super::DOUBLE, super::I32, super::STRUCT] {
            let error = open(nested(1, &list(kind)), 64).err().unwrap().to_string();
            assert!(error.contains("description of itself cannot be read"), "{kind}: {error}");
        }
    }

    #[test]
    fn a_header_of_a_page_has_no_field_that_its_reader_takes_for_something_else() {
        let page = |fields: &[&[u8]]| {
            let bytes = fields.concat();
            super::Compact { read: bytes.as_slice(), used: 0 }.page().map(|page| page.values)
        };
        let start: &[u8] = &[0x15, 0, 0x15, 20, 0x15, 20];
        let data: &[u8] = &[0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6];
        // Statistics: a text, and whether it is the least.
        assert_eq!(page(&[start, data, &[0x1c, 0x18, 1, b'x', 0x61, 0, 0, 0]]).unwrap(), 3);
        let further: [&[u8]; 5] = [
            // A floating-point number of which nothing is there, and lists.
            &[0x27],
            &[0x29, 0xf7, 0xff, 0xff, 0xff, 0xff, 7],
            &[0x2a, 0x11, 1],
            // Statistics that are not a structure, and a structure in them.
            &[0x18, 0],
            &[0x1c, 0x1c, 0, 0, 0],
        ];
        for further in further {
            let error = page(&[start, data, further, &[0; 8]]).unwrap_err().to_string();
            assert!(error.contains("a type that it cannot have"), "{further:?}: {error}");
        }
        // A size that is a floating-point number.
        assert!(page(&[&[0x15, 0, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x15, 2], &[0; 8]]).is_err());
    }

    #[test]
    fn a_text_that_a_dictionary_repeats_is_in_memory_once() {
        let texts = vec!["x".repeat(1 << 20); 1_024];
        let file = written(
            &texts,
            WriterProperties::builder().set_dictionary_page_size_limit(8 << 20).build(),
        );
        let batch = open(file, 1_024).unwrap().next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 1_024);
        assert!(batch.get_array_memory_size() < 16 << 20, "{}", batch.get_array_memory_size());
    }
}
