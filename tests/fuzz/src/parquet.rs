//! Golden records in Parquet: any file is read or refused, within the memory that libFuzzer allows.

use crate::input::Input;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    builder::{ListBuilder, StringBuilder, StringDictionaryBuilder},
    types::Int32Type,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel},
    file::properties::{WriterProperties, WriterVersion},
};
use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    sync::{Arc, Mutex, OnceLock},
};

/// Files of every codec, and of both versions of pages.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let codecs = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::default()),
        ];
        let mut files = Vec::new();
        for codec in codecs {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let mut properties =
                    WriterProperties::builder().set_compression(codec).set_writer_version(version);
                if version == WriterVersion::PARQUET_2_0 && files.len() % 4 == 1 {
                    properties =
                        properties.set_dictionary_enabled(false).set_encoding(Encoding::PLAIN);
                }
                let batch = records();
                let mut writer =
                    ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build()))
                        .unwrap();
                writer.write(&batch).unwrap();
                files.push(writer.into_inner().unwrap());
            }
        }
        files
    })
}

/// A column of each type that golden records have.
fn records() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    for word in ["a", "b", "a", "c"] {
        lists.append_value([Some(word), Some("x")]);
        words.append_value(word);
    }
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(StringArray::from(vec![Some("1"), Some("2"), None, Some("4")]))),
        ("number", Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX), Some(-1)]))),
        ("float", Arc::new(Float64Array::from(vec![0.5, f64::NAN, -1.0, 1e300]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1, -1, i32::MAX]))),
        ("list", Arc::new(lists.finish())),
        ("word", Arc::new(words.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(crate) fn parquet(bytes: &[u8]) {
    let mut input = Input(bytes);
    let kind = usize::from(input.byte());
    let (content, altered) = match samples().get(kind) {
        // Most of a file is its description, at its end: half of the changes are made there.
        Some(sample) => {
            let mut content = sample.clone();
            let from = if input.byte() % 2 == 0 { 0 } else { input.below(content.len()) };
            let mut rest = content.split_off(from);
            let altered = input.edit(&mut rest);
            content.extend(rest);
            (content, altered)
        }
        None => (input.0.to_vec(), true),
    };
    // One file for all inputs: making one costs more than most of them.
    static FILE: OnceLock<Mutex<File>> = OnceLock::new();
    let file = FILE
        .get_or_init(|| Mutex::new(tempfile::tempfile_in(crate::plan::folder().path()).unwrap()));
    let mut file = file.lock().unwrap();
    file.set_len(0).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let read = reverse_sync::fuzzing::parquet(file.try_clone().unwrap());
    assert!(altered || read == Ok(4), "{read:?}");
}
