//! The answer of a query on its way into a Parquet file: values come as their text, and get the
//! type of their column here.

use super::{QueryError, QueryLimits};
use crate::golden::{
    GoldenError, GoldenFiles, StagedFile, UploadFormat, Validated,
    receive::Staging,
    validate::{MAX_PARQUET_BATCH, too_large_at_once},
};
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use jiff::{Timestamp, civil, tz::TimeZone};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use reverse_sync::records::bounds::{MAX_RECORD, PARQUET_ROWS};
use std::{error::Error, io, sync::Arc};

/// Rows and bytes of text that are written together.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 8 << 20;
/// What the writer holds in memory before it starts a new row group.
const GROUP_BYTES: usize = 64 << 20;

/// Arrow knows zones by their names only with a database of them.
const UTC: &str = "+00:00";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
    Date,
    Timestamp,
    /// A time without a zone.
    LocalTimestamp,
}

enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    LocalTimestamp(TimestampMicrosecondBuilder),
}

/// The file in the making.
pub(super) struct Table {
    names: Vec<String>,
    builders: Vec<Builder>,
    schema: Arc<Schema>,
    writer: ArrowWriter<Staging>,
    limits: QueryLimits,
    rows: u64,
    batch_rows: usize,
    batch_bytes: usize,
    row_bytes: usize,
    /// Of the rows that planning reads at once.
    read_bytes: usize,
}

impl Table {
    /// Blocks, as everything here that touches the file.
    pub(super) fn create(
        files: &GoldenFiles,
        columns: Vec<(String, Kind)>,
        id_columns: &[String],
        limits: QueryLimits,
    ) -> Result<Table, QueryError> {
        let columns: Vec<(String, Kind)> = columns
            .into_iter()
            .map(
                |(name, kind)| {
                    if holds_ids(&name, id_columns) { (name, Kind::Text) } else { (name, kind) }
                },
            )
            .collect();
        let schema = Arc::new(Schema::new(
            columns
                .iter()
                .map(|(name, kind)| Field::new(name, kind.data_type(), true))
                .collect::<Vec<_>>(),
        ));
        let staging = Staging::create(files, UploadFormat::Parquet, limits.bytes)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(staging, Arc::clone(&schema), Some(properties))
            .map_err(|error| written(error, limits.bytes))?;
        let builders = columns.iter().map(|(_, kind)| kind.builder()).collect();
        let names = columns.into_iter().map(|(name, _)| name).collect();
        Ok(Table {
            names,
            builders,
            schema,
            writer,
            limits,
            rows: 0,
            batch_rows: 0,
            batch_bytes: 0,
            row_bytes: 0,
            read_bytes: 0,
        })
    }

    /// Begins the next row; each of its columns is to be [put](Table::put).
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn row(&mut self) -> Result<(), QueryError> {
        if self.rows == self.limits.rows {
            return Err(QueryError::TooManyRows { limit: self.limits.rows });
        }
        if self.rows.is_multiple_of(PARQUET_ROWS as u64) {
            self.read_bytes = 0;
        }
        self.rows += 1;
        self.batch_rows += 1;
        self.row_bytes = 0;
        Ok(())
    }

    /// A value of the row, as its text.
    ///
    /// # Errors
    /// If the column's type has no such value, or the row is longer than a record may be.
    pub(super) fn put(&mut self, column: usize, text: Option<&str>) -> Result<(), QueryError> {
        let bytes = text.map_or(0, str::len);
        self.batch_bytes += bytes;
        // As planning counts it (`records::bounds`): a text with its offset, and what is not text,
        // whatever it is.
        let size = if matches!(self.builders.get(column), Some(Builder::Text(_))) {
            bytes + 4
        } else {
            24
        };
        self.row_bytes += size;
        self.read_bytes += size;
        if self.row_bytes > MAX_RECORD {
            let reason = "with this value the row is longer than 1 MiB, which no CRM's record is; leave it out, or shorten it in the query";
            return Err(QueryError::Value {
                row: self.rows,
                column: self.names[column].clone(),
                reason: reason.to_owned(),
            });
        }
        if self.read_bytes > MAX_PARQUET_BATCH {
            return Err(too_large_at_once(self.rows).into());
        }
        let Some(builder) = self.builders.get_mut(column) else { return Ok(()) };
        builder.put(text).map_err(|what| QueryError::Value {
            row: self.rows,
            column: self.names[column].clone(),
            reason: format!(
                "`{}` is not a {what}; cast the column to text in the query, or leave the row out",
                text.unwrap_or_default().chars().take(60).collect::<String>()
            ),
        })
    }

    /// Whether it is time to [write](Table::write).
    pub(super) fn is_full(&self) -> bool {
        self.batch_rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES
    }

    /// Writes the rows at hand. Blocks.
    pub(super) fn write(&mut self) -> Result<(), QueryError> {
        let limit = self.limits.bytes;
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|error| GoldenError::Io(io::Error::other(error)))?;
        self.writer.write(&batch).map_err(|error| written(error, limit))?;
        (self.batch_rows, self.batch_bytes) = (0, 0);
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush().map_err(|error| written(error, limit))?;
        }
        Ok(())
    }

    /// Blocks.
    pub(super) fn finish(mut self) -> Result<(StagedFile, Validated), QueryError> {
        if self.rows == 0 {
            return Err(QueryError::Statement(
                "it gives no rows, and golden records without a record change nothing".to_owned(),
            ));
        }
        self.write()?;
        let Table { writer, names, rows, limits, .. } = self;
        let staging = writer.into_inner().map_err(|error| written(error, limits.bytes))?;
        Ok((staging.finish()?, Validated { records: rows, columns: names }))
    }
}

/// The limit is the file's, which the writer wraps into its own words.
fn written(error: ParquetError, limit: u64) -> QueryError {
    let is_limit = |source: &(dyn Error + 'static)| {
        source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::FileTooLarge)
    };
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = source {
        if is_limit(found) {
            return GoldenError::TooLarge { limit, unpacked: false }.into();
        }
        source = found.source();
    }
    GoldenError::Io(io::Error::other(error)).into()
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::Integer => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Kind::LocalTimestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    fn builder(self) -> Builder {
        match self {
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Integer => Builder::Integer(Int64Builder::new()),
            Kind::Number => Builder::Number(Float64Builder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Date => Builder::Date(Date32Builder::new()),
            Kind::Timestamp => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(UTC))
            }
            Kind::LocalTimestamp => Builder::LocalTimestamp(TimestampMicrosecondBuilder::new()),
        }
    }
}

impl Builder {
    fn put(&mut self, text: Option<&str>) -> Result<(), &'static str> {
        fn parsed<T>(
            text: Option<&str>,
            what: &'static str,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Result<Option<T>, &'static str> {
            text.map(|text| parse(text).ok_or(what)).transpose()
        }
        match self {
            Builder::Boolean(builder) => builder.append_option(parsed(text, "boolean", boolean)?),
            Builder::Integer(builder) => {
                builder.append_option(parsed(text, "whole number of 64 bits", |text| {
                    text.parse().ok()
                })?)
            }
            Builder::Number(builder) => {
                let finite =
                    |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
                builder.append_option(parsed(text, "number", finite)?);
            }
            Builder::Text(builder) => builder.append_option(text),
            Builder::Date(builder) => {
                builder.append_option(parsed(text, "date from the years 0 to 9999", date)?)
            }
            Builder::Timestamp(builder) => {
                builder.append_option(parsed(text, "time from the years 0 to 9999", timestamp)?)
            }
            Builder::LocalTimestamp(builder) => {
                builder.append_option(parsed(
                    text,
                    "time without a zone from the years 0 to 9999",
                    local_timestamp,
                )?);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Number(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder) | Builder::LocalTimestamp(builder) => {
                Arc::new(builder.finish())
            }
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// Days since 1970 of `2024-01-31`, and of nothing that says more than that.
pub(super) fn date(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    let midnight = utc(text.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight()))?;
    i32::try_from(midnight.as_second().div_euclid(86_400)).ok()
}

/// Microseconds since 1970 of a time with an offset. A finer time would be lost.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    micros(text.parse().ok()?)
}

/// Microseconds from midnight of 1970-01-01 to a time without an offset, by the same clock.
pub(super) fn local_timestamp(text: &str) -> Option<i64> {
    let is_local = text.len() >= 16 && text.parse::<Timestamp>().is_err();
    micros(utc(text.parse::<civil::DateTime>().ok().filter(|_| is_local)?)?)
}

fn micros(time: Timestamp) -> Option<i64> {
    (time.subsec_nanosecond() % 1_000 == 0).then(|| time.as_microsecond())
}

fn utc(time: civil::DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

/// Whether a column holds ids, which stay text as they are spelled.
fn holds_ids(name: &str, id_columns: &[String]) -> bool {
    id_columns.iter().any(|column| column == name)
        || name.eq_ignore_ascii_case("id")
        || name.to_ascii_lowercase().ends_with("_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_they_say_or_nothing() {
        assert_eq!(
            (date("1970-01-02"), date("1969-12-31"), date("2024-02-29")),
            (Some(1), Some(-1), Some(19_782))
        );
        for bad in [
            "",
            "infinity",
            "2024-02-30",
            "2024-01-02 10:00",
            "0044-03-15 BC",
            "20240102",
            "2024-1-2",
            "10000-01-01",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
        for (text, micros) in [
            ("1970-01-01 00:00:00+00", 0),
            ("1970-01-01 02:00:00.5+02", 500_000),
            ("1970-01-01T00:00:00Z", 0),
        ] {
            assert_eq!((timestamp(text), local_timestamp(text)), (Some(micros), None), "{text}");
        }
        for (text, micros) in [
            ("1970-01-01 00:00:01", 1_000_000),
            ("1970-01-01 00:00:00.000001", 1),
            ("1969-12-31 23:59:59.999999", -1),
        ] {
            assert_eq!(
                (timestamp(text), local_timestamp(text)),
                (None, Some(micros)),
                "which zone is meant is not guessed: {text}"
            );
        }
        for bad in [
            "",
            "infinity",
            "1970-01-01",
            "1970-01-01 00:00:00.0000001",
            "0044-03-15 00:00:00 BC",
            "1700000000",
        ] {
            assert_eq!((timestamp(bad), local_timestamp(bad)), (None, None), "{bad}");
        }
    }
}
