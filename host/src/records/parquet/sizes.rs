//! How much memory the pages of a Parquet file take. A page is unpacked whole before anything of it
//! can be looked at, and a few bytes unpack to gigabytes, so sizes are looked at first: in the
//! header of each page, and where a codec unpacks whatever there is, by unpacking it to nowhere.

use super::thrift::{END, FILE, Field, Name, PAGE_HEADER, invalid, walk};
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
const MAX_ELEMENTS: i64 = 10_000;
/// Bytes of a page's header, which may hold the least and the greatest value.
const MAX_HEADER: u64 = 4 << 20;

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
    let mut schema = Schema::default();
    walk(BufReader::new(file.take(u64::from(length))), &FILE, |field| schema.see(&field))
        .map(drop)
        .map_err(|error| refused(format!("its description of itself cannot be read: {error}")))
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
            let largest = check_chunk(file, start, length, column.compression())?;
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
    compression: Compression,
) -> Result<u64, ParquetError> {
    let end = start.saturating_add(length);
    let mut at = start;
    let (mut page, mut dictionary) = (0, 0);
    // The reader may look past the last value, so the headers there are read, too.
    while at < end {
        file.seek(SeekFrom::Start(at))?;
        let (found, used) =
            Page::read(BufReader::with_capacity(256, file.take(MAX_HEADER.min(end - at))))
                .map_err(|error| malformed(&error))?;
        let data = at + used;
        if found.compressed > end.saturating_sub(data) {
            return Err(refused("a page is longer than its column"));
        }
        if found.encoding == DELTA_BYTE_ARRAY {
            return Err(refused(
                "its texts are encoded as DELTA_BYTE_ARRAY, and nobody can tell how long they are before they are there: write it with version 1 of the pages, or with dictionaries",
            ));
        }
        let most = found.values.max(found.entries);
        if most > MAX_VALUES {
            return Err(refused(format!(
                "a page has {most} values, more than {MAX_VALUES}: write it with smaller pages"
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
    /// Values of a dictionary.
    entries: i64,
    encoding: i64,
    /// Bytes in front that are not packed.
    levels: u64,
    is_packed: bool,
}

impl Page {
    /// The header at the start, and its length.
    fn read(read: impl Read) -> io::Result<(Self, u64)> {
        let mut page = Self { is_packed: true, ..Self::default() };
        let (mut levels, mut headers) = ([0, 0], 0);
        let used = walk(read, &PAGE_HEADER, |Field { of, number, value }| {
            let size = || u64::try_from(value).map_err(|_| invalid("a size below zero"));
            match (of, number) {
                (Name::PageHeader, 1) => page.kind = value,
                (Name::PageHeader, 2) => page.unpacked = size()?,
                (Name::PageHeader, 3) => page.compressed = size()?,
                (Name::DataPageHeader | Name::DataPageHeaderV2, 1) => page.values = value.max(0),
                (Name::DataPageHeader, 2) | (Name::DataPageHeaderV2, 4) => page.encoding = value,
                (Name::DataPageHeaderV2, 5) => levels[0] = size()?,
                (Name::DataPageHeaderV2, 6) => levels[1] = size()?,
                (Name::DataPageHeaderV2, 7) => page.is_packed = value != 0,
                (Name::DictionaryPageHeader, 1) => page.entries = value,
                (
                    Name::DataPageHeader | Name::DataPageHeaderV2 | Name::DictionaryPageHeader,
                    END,
                ) => headers += 1,
                _ => {}
            }
            Ok(())
        })?;
        if headers > 1 {
            return Err(invalid("it is of more than one kind"));
        }
        page.levels = levels[0] + levels[1];
        Ok((page, used))
    }
}

/// The columns of a file, as they are told one after the other.
#[derive(Default)]
struct Schema {
    elements: i64,
    /// Children of the element that is told.
    children: i64,
    /// Children that have yet to come, of each element around.
    open: Vec<i64>,
}

impl Schema {
    fn see(&mut self, field: &Field) -> io::Result<()> {
        match (field.of, field.number) {
            (Name::SchemaElement, 5) => self.children = field.value,
            (Name::SchemaElement, END) => return self.end(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.elements += 1;
        // The reader makes room for as many children as an element says.
        if self.elements.max(self.children) > MAX_ELEMENTS {
            return Err(invalid("it has more columns than any record"));
        }
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        if let Some(children) = self.open.last_mut() {
            *children -= 1;
        }
        if self.children > 0 {
            self.open.push(self.children);
        }
        self.children = 0;
        if self.open.len() > MAX_NESTING {
            return Err(invalid(&format!("its columns are nested more than {MAX_NESTING} deep")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::open, Page};
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
        described(&description)
    }

    fn described(description: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"PAR1").unwrap();
        file.write_all(description).unwrap();
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
        // A field that no reader knows: a list of as many values as a number may say. The types of
        // its values are true, false, a number of 32 bits, a floating-point number, a structure.
        assert_eq!(open(nested(1, &[0x75, 2]), 64).unwrap().count(), 0);
        for kind in [1, 2, 5, 7, 12] {
            let list = [0x79, 0xf0 | kind, 0xff, 0xff, 0xff, 0xff, 7];
            let error = open(nested(1, &list), 64).err().unwrap().to_string();
            assert!(error.contains("description of itself cannot be read"), "{kind}: {error}");
        }
    }

    #[test]
    fn a_description_is_read_as_the_reader_reads_it() {
        let (other_type, no_number) = ("a type that it cannot have", "a number that none can have");
        let further: [(&[u8], &str); 5] = [
            // The name of the program that wrote the file, as a list of texts.
            (&[0x29, 0x18, 0], other_type),
            // The number of a field that is another one in 16 bits, and a version that is another
            // number in 32 bits.
            (&[0x08, 0x8c, 0x80, 0x08, 0], no_number),
            (&[0x05, 2, 0x80, 0x80, 0x80, 0x80, 0x40], other_type),
            // Values of another type than the list has, and a row group whose rows are a text.
            (&[0x19, 0x15, 2], other_type),
            (&[0x09, 8, 0x1c, 0x38, 1, b'x', 0], other_type),
        ];
        for (further, reason) in further {
            let error = open(nested(1, further), 64).err().unwrap().to_string();
            assert!(error.contains(reason), "{further:?}: {error}");
        }
        // The version as a text, in which the reader finds a schema.
        let mut bytes = Vec::new();
        let mut file = nested(1, &[]);
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(&bytes[4..7], [0x15, 2, 0x19], "a version, and the list of columns");
        bytes[4] = 0x18;
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&bytes).unwrap();
        let error = open(file, 64).err().unwrap().to_string();
        assert!(error.contains(other_type), "{error}");
    }

    #[test]
    fn an_element_with_more_children_than_there_can_be_is_refused() {
        // A root that has as many children as a number may say, of which there is one.
        let mut description = vec![0x15, 2, 0x19, 0x2c];
        description.extend([0x48, 1, b's', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]);
        description.extend([0x15, 12, 0x25, 2, 0x18, 1, b'b', 0, 0x16, 0, 0x19, 0x0c, 0]);
        let error = open(described(&description), 64).err().unwrap().to_string();
        assert!(error.contains("more columns than any record"), "{error}");
    }

    /// A page of data of three values, and of twenty bytes.
    const START: &[u8] = &[0x15, 0, 0x15, 40, 0x15, 40];
    const DATA: &[u8] = &[0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6];

    #[test]
    fn the_header_of_a_page_is_read_as_the_reader_reads_it() {
        let page = |fields: &[&[u8]]| {
            Page::read(fields.concat().as_slice()).map(|(page, used)| (page.values, used))
        };
        // Statistics: a text, and whether it is the least.
        let statistics: &[u8] = &[0x1c, 0x18, 1, b'x', 0x61, 0];
        assert_eq!(page(&[START, DATA, statistics, &[0, 0]]).unwrap(), (3, 23));
        let further: [(&[u8], &str); 11] = [
            // Lists of truth values, and of values that are not there.
            (&[0x29, 0xf1, 0xff, 0xff, 0xff, 0xff, 7], "a list of truth values"),
            (&[0x29, 0xf7, 0xff, 0xff, 0xff, 0xff, 7], "end of file"),
            // Statistics that are a text, and a text in them that is a structure.
            (&[0x18, 0], "a type that it cannot have"),
            (&[0x1c, 0x1c, 0, 0], "a type that it cannot have"),
            // Behind the data: a checksum, an index and a dictionary that are texts.
            (&[0, 0x08, 8, 0], "a type that it cannot have"),
            (&[0, 0x18, 0], "a type that it cannot have"),
            (&[0, 0x28, 0], "a type that it cannot have"),
            // A size of 64 bits, and one that is another number in 32 bits.
            (&[0, 0x06, 6, 2], "a type that it cannot have"),
            (&[0, 0x05, 6, 0x80, 0x80, 0x80, 0x80, 0x40], "a type that it cannot have"),
            // A field whose number is that of a size in 16 bits.
            (&[0, 0x05, 0x86, 0x80, 0x08, 2], "a number that none can have"),
            // A second header, of a page of the other version.
            (&[0, 0x3c, 0x15, 2, 0], "more than one kind"),
        ];
        for (further, reason) in further {
            let error = page(&[START, DATA, further, &[0, 0]]).unwrap_err().to_string();
            assert!(error.contains(reason), "{further:?}: {error}");
        }
    }

    #[test]
    fn a_dictionary_has_a_limited_number_of_values() {
        let chunk = |values: &[u8]| {
            let header =
                [&[0x15, 4, 0x15, 0, 0x15, 0, 0x4c, 0x15], values, &[0x15, 0, 0, 0]].concat();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&header).unwrap();
            super::check_chunk(&file, 0, header.len() as u64, Compression::UNCOMPRESSED)
        };
        assert_eq!(chunk(&[0x80, 0x80, 0x80, 8]).unwrap(), 0, "eight million");
        let error = chunk(&[0xfe, 0xff, 0xff, 0xff, 0x0f]).unwrap_err().to_string();
        assert!(error.contains("a page has 2147483647 values"), "{error}");
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
