//! Parquet, with its own types. Texts are views of the pages that they stand in: a value that a
//! dictionary repeats is in memory once.

mod sizes;
mod thrift;

use crate::contained::contained;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
        ParquetRecordBatchReaderBuilder,
    },
    basic::Type,
    errors::ParquetError,
};
use std::{fs::File, sync::Arc};

/// Reads batches, up to the first that cannot be read.
pub(super) struct ParquetReader(Option<ParquetRecordBatchReader>);

impl Iterator for ParquetReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.0.take()?;
        let batch = contained(|| reader.next().transpose(), ArrowError::ParseError).transpose();
        if matches!(batch, Some(Ok(_))) {
            self.0 = Some(reader);
        }
        batch
    }
}

pub(super) fn open(file: File, batch_rows: usize) -> Result<ParquetReader, ParquetError> {
    contained(|| open_file(file, batch_rows), ParquetError::General)
        .map(|reader| ParquetReader(Some(reader)))
}

fn open_file(file: File, batch_rows: usize) -> Result<ParquetRecordBatchReader, ParquetError> {
    sizes::check_footer(&file)?;
    let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    sizes::check(&file, found.metadata())?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(as_read(&found)));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)?;
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(batch_rows)
        .build()
}

/// The schema with texts as views, and with times of INT96, which Spark, Hive and Impala write, in
/// microseconds: in nanoseconds, 64 bits end in the year 2262, and a later time would become
/// another one.
fn as_read(found: &ArrowReaderMetadata) -> Schema {
    let file = found.metadata().file_metadata().schema_descr();
    let long = |field: &Field| {
        let column =
            file.root_schema().get_fields().iter().find(|column| column.name() == field.name());
        column.is_some_and(|column| {
            column.is_primitive() && column.get_physical_type() == Type::INT96
        })
    };
    let schema = found.schema();
    let fields = schema.fields().iter().map(|field| match long(field) {
        true => Arc::new(
            field.as_ref().clone().with_data_type(DataType::Timestamp(TimeUnit::Microsecond, None)),
        ),
        false => with_views(field),
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

fn with_views(field: &Arc<Field>) -> Arc<Field> {
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(item) => DataType::List(with_views(item)),
        DataType::LargeList(item) => DataType::LargeList(with_views(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(with_views(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(with_views).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        Array, ArrayRef, StringArray, cast::AsArray, types::TimestampMicrosecondType,
    };
    use parquet::{
        arrow::ArrowWriter,
        basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
        data_type::{Int96, Int96Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };

    #[test]
    fn every_codec_is_read() {
        let codecs = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::default()),
        ];
        for codec in codecs {
            let texts = StringArray::from(vec!["Ada"; 100]);
            let batch =
                RecordBatch::try_from_iter([("name", Arc::new(texts) as ArrayRef)]).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            let properties = WriterProperties::builder().set_compression(codec).build();
            let mut writer =
                ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let read = open(file, 100).unwrap().next().unwrap().unwrap();
            let texts = read.column(0).as_string_view();
            assert!(texts.len() == 100 && texts.iter().all(|text| text == Some("Ada")), "{codec}");
        }
    }

    /// The crate's own reader panics about hundreds of these.
    #[test]
    fn a_file_with_a_changed_bit_is_read_or_refused() {
        let texts = StringArray::from(vec![Some("Ada"), None, Some("Bob")]);
        let batch = RecordBatch::try_from_iter([("name", Arc::new(texts) as ArrayRef)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &changed).unwrap();
            if let Ok(reader) = open(file, 100) {
                let batches: Vec<_> = reader.take(10).collect();
                assert!(
                    batches.iter().rev().skip(1).all(Result::is_ok),
                    "nothing comes after what cannot be read"
                );
            }
        }
    }

    #[test]
    fn times_of_spark_keep_their_year() {
        let schema = Arc::new(
            parse_message_type("message spark { REQUIRED INT96 at; REQUIRED INT32 n; }").unwrap(),
        );
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        // Julian days of 9999-12-31 and of 1970-01-01, the first one second before midnight.
        let times = [(86_399_000_000_000u64, 5_373_484u32), (0, 2_440_588)].map(|(nanos, day)| {
            let mut time = Int96::new();
            time.set_data(nanos as u32, (nanos >> 32) as u32, day);
            time
        });
        column.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<parquet::data_type::Int32Type>().write_batch(&[1, 2], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();

        let batch = open(file, 100).unwrap().next().unwrap().unwrap();
        let micros = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        assert_eq!((micros.value(0), micros.value(1)), (253_402_300_799_000_000, 0));
    }
}
