//! A set is read once from its first record to its last before it is anybody's golden records: with
//! the readers that planning uses, so that what is taken here can be planned.

use super::{GoldenError, GoldenLimits, Packing, StagedFile, UploadFormat, receive::blocking};
use arrow_array::RecordBatch;
use reverse_sync::{
    planner::{READ_ROWS, Records},
    records::{
        RecordOptions, RecordSource,
        bounds::{self, MAX_COLUMNS, PARQUET_ROWS},
    },
};
use std::{collections::HashSet, fs::File, io::Read, path::Path};

/// Parquet repeats a value by reference, so that a few bytes of a file may be any number in memory:
/// here it is read in small steps, and refused if what planning reads at once would be larger than
/// this.
const STEPS: usize = 4;
pub(super) const MAX_PARQUET_BATCH: usize = 64 << 20;

/// What is in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// How many records.
    pub records: u64,
    /// The names of their columns, in the order in which they were first seen.
    pub columns: Vec<String>,
}

impl StagedFile {
    /// Reads all of it.
    ///
    /// # Errors
    /// Says which line cannot be read and why, or what is missing.
    pub async fn validate(&self, limits: GoldenLimits) -> Result<Validated, GoldenError> {
        let (path, format, bytes) = (self.path().to_owned(), self.format, self.bytes);
        blocking(move || validate(&path, format, bytes, &limits)).await
    }
}

fn validate(
    path: &Path,
    format: UploadFormat,
    bytes: u64,
    limits: &GoldenLimits,
) -> Result<Validated, GoldenError> {
    if bytes == 0 {
        return Err(GoldenError::invalid(None, "the body is empty; send the records in it"));
    }
    recognise(path, format)?;
    let failed = |error| GoldenError::of(error, limits);
    let source =
        RecordSource::of(vec![path.to_owned()], RecordOptions::default()).map_err(failed)?;
    let mut source = source.limited(limits.unpacked);
    let mut found = Columns::default();
    let rows = if format == UploadFormat::Parquet { PARQUET_ROWS / STEPS } else { READ_ROWS };
    let mut records = 0;
    let mut unpacked = 0;
    let mut at_once = [0; STEPS];
    while let Some(batch) = source.next_batch(rows).map_err(failed)? {
        if records == 0 && matches!(format, UploadFormat::Csv(_)) {
            check_header(&batch)?;
        }
        if format == UploadFormat::Parquet {
            let size = bounds::size(&batch, 0, batch.num_rows());
            unpacked += size as u64;
            if unpacked > limits.unpacked {
                return Err(GoldenError::TooLarge { limit: limits.unpacked, unpacked: true });
            }
            at_once.rotate_left(1);
            at_once[STEPS - 1] = size;
            if at_once.iter().sum::<usize>() > MAX_PARQUET_BATCH {
                return Err(too_large_at_once(records + batch.num_rows() as u64));
            }
        }
        found.see(&batch)?;
        records += batch.num_rows() as u64;
    }
    if records == 0 {
        let reason = if matches!(format, UploadFormat::Csv(_)) {
            "there are no records; a CSV file has the names of its columns in its first line, and records below it"
        } else {
            "there are no records"
        };
        return Err(GoldenError::invalid(None, reason));
    }
    if found.names.is_empty() {
        return Err(GoldenError::invalid(None, "the records have no columns"));
    }
    Ok(Validated { records, columns: found.names })
}

/// What is planned at once would be too large, with the record of this number.
pub(super) fn too_large_at_once(record: u64) -> GoldenError {
    let reason = format!(
        "the {PARQUET_ROWS} records up to {record} have more than 64 MiB together, which is too much for Parquet and for queries; send them as CSV or JSON Lines"
    );
    GoldenError::invalid(None, reason)
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    seen: HashSet<String>,
}

impl Columns {
    fn see(&mut self, batch: &RecordBatch) -> Result<(), GoldenError> {
        let schema = batch.schema_ref();
        let mut here = HashSet::new();
        for field in schema.fields() {
            if !here.insert(field.name().as_str()) {
                return Err(GoldenError::invalid(
                    None,
                    format!(
                        "the column `{}` is there twice; which one counts cannot be told",
                        field.name()
                    ),
                ));
            }
            if self.seen.insert(field.name().clone()) {
                self.names.push(field.name().clone());
            }
        }
        if self.names.len() > MAX_COLUMNS {
            return Err(GoldenError::invalid(
                None,
                format!("they have more than {MAX_COLUMNS} columns; leave out what is not written"),
            ));
        }
        Ok(())
    }
}

/// Whether the file begins as what it is said to be does.
fn recognise(path: &Path, format: UploadFormat) -> Result<(), GoldenError> {
    let mut start = Vec::with_capacity(4);
    File::open(path)?.take(4).read_to_end(&mut start)?;
    let found = match start.as_slice() {
        [0x1f, 0x8b, ..] => Some(("packed with gzip", "`content-encoding: gzip`", Packing::Gzip)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Some(("packed with zstd", "`content-encoding: zstd`", Packing::Zstd))
        }
        b"PAR1" => Some((
            "a Parquet file",
            "`content-type: application/vnd.apache.parquet`",
            Packing::None,
        )),
        _ => None,
    };
    let (is, say) = match (found, format) {
        (Some((_, _, Packing::None)), UploadFormat::Parquet) => return Ok(()),
        (Some((.., packing)), UploadFormat::Csv(said) | UploadFormat::JsonLines(said))
            if packing == said && said != Packing::None =>
        {
            return Ok(());
        }
        (Some((is, say, _)), _) => (is, say),
        (None, UploadFormat::Parquet) => {
            return Err(GoldenError::invalid(
                None,
                "this is not a Parquet file; name its content-type",
            ));
        }
        (None, UploadFormat::Csv(Packing::None) | UploadFormat::JsonLines(Packing::None)) => {
            return Ok(());
        }
        (None, UploadFormat::Csv(_) | UploadFormat::JsonLines(_)) => {
            return Err(GoldenError::invalid(
                None,
                "the body is not packed as its content-encoding says; leave that out, or pack it",
            ));
        }
    };
    Err(GoldenError::invalid(None, format!("the body is {is}; say so: {say}")))
}

/// A first line that names its columns `492564112121` and `brian@example.com` is a record.
fn check_header(batch: &RecordBatch) -> Result<(), GoldenError> {
    let schema = batch.schema_ref();
    let is_value = |name: &str| {
        name.contains('@')
            || (name.starts_with(|c: char| c.is_ascii_digit()) && name.parse::<f64>().is_ok())
    };
    match schema.fields().iter().find(|field| is_value(field.name())) {
        Some(field) => Err(GoldenError::invalid(
            1,
            format!(
                "the first line has to name the columns, and it looks like a record: a column would be called `{}`",
                field.name().chars().take(60).collect::<String>()
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::GoldenFiles;
    use arrow_array::{ArrayRef, StringArray};
    use bytes::Bytes;
    use futures_util::stream;
    use parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::properties::WriterProperties,
    };
    use reverse_sync::records::bounds::MAX_RECORD;
    use std::{io::Write, sync::Arc};

    const CSV: UploadFormat = UploadFormat::Csv(Packing::None);
    const JSON: UploadFormat = UploadFormat::JsonLines(Packing::None);

    async fn validated(
        bytes: impl Into<Vec<u8>>,
        format: UploadFormat,
    ) -> Result<Validated, GoldenError> {
        validated_within(bytes, format, GoldenLimits { bytes: 1 << 20, unpacked: 1 << 20 }).await
    }

    async fn validated_within(
        bytes: impl Into<Vec<u8>>,
        format: UploadFormat,
        limits: GoldenLimits,
    ) -> Result<Validated, GoldenError> {
        let dir = tempfile::tempdir().unwrap();
        let files = GoldenFiles::open(dir.path()).unwrap();
        let body = stream::iter([Ok::<_, String>(Bytes::from(bytes.into()))]);
        let staged = files.receive(body, format, limits.bytes).await?;
        let result = staged.validate(limits).await;
        if let Err(error) = &result {
            let text = error.to_string();
            assert!(
                !text.contains("upload") && !text.contains(dir.path().to_str().unwrap()),
                "{text}"
            );
        }
        result
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn parquet_of(texts: &[String]) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([(
            "a",
            Arc::new(StringArray::from(texts.to_vec())) as ArrayRef,
        )])
        .unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn parquet(names: &[&str]) -> Vec<u8> {
        let columns =
            names.iter().map(|_| Arc::new(StringArray::from(vec!["1", "2"])) as ArrayRef).collect();
        let fields: Vec<_> = names
            .iter()
            .map(|name| arrow_schema::Field::new(*name, arrow_schema::DataType::Utf8, true))
            .collect();
        let batch =
            RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[tokio::test]
    async fn records_and_columns_are_counted_in_every_format() {
        let expected =
            Validated { records: 2, columns: vec!["hs_object_id".to_owned(), "city".to_owned()] };
        let csv = b"hs_object_id,city\n1,Boston\n2,Butte\n".as_slice();
        let json = b"{\"hs_object_id\":1}\n{\"hs_object_id\":2,\"city\":\"Butte\"}\n".as_slice();
        for (bytes, format) in [
            (csv.to_vec(), CSV),
            (gzip(csv), UploadFormat::Csv(Packing::Gzip)),
            (zstd::encode_all(csv, 0).unwrap(), UploadFormat::Csv(Packing::Zstd)),
            (json.to_vec(), JSON),
            (gzip(json), UploadFormat::JsonLines(Packing::Gzip)),
            (zstd::encode_all(json, 0).unwrap(), UploadFormat::JsonLines(Packing::Zstd)),
            (parquet(&["hs_object_id", "city"]), UploadFormat::Parquet),
        ] {
            assert_eq!(validated(bytes, format).await.unwrap(), expected, "{format:?}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_with_its_line() {
        for (bytes, format, expected) in [
            (b"".to_vec(), CSV, "golden records: the body is empty"),
            (b"a,b\n1,2\n3\n".to_vec(), CSV, "golden records, line 3: "),
            (
                b"a,a\n1,2\n".to_vec(),
                CSV,
                "golden records, line 1: the header has the column `a` twice",
            ),
            (b"a,,b\n1,2,3\n".to_vec(), CSV, "column 2 has no name"),
            (b"a,b\n".to_vec(), CSV, "there are no records"),
            (b"\n\n".to_vec(), CSV, "there is nothing in the file"),
            (
                b"492564112121,Brian\n492564112122,Ann\n".to_vec(),
                CSV,
                "line 1: the first line has to name the columns",
            ),
            (
                b"brian@example.com,x\na@b.c,y\n".to_vec(),
                CSV,
                "would be called `brian@example.com`",
            ),
            (b"{\"a\":1}\n{\"a\":}\n".to_vec(), JSON, "golden records, line 2: not a JSON object"),
            (b"{\"a\":1,\"a\":2}\n".to_vec(), JSON, "`a` is there twice"),
            (b"[1]\n".to_vec(), JSON, "line 1: not a JSON object"),
            (b"{}\n".to_vec(), JSON, "the records have no columns"),
            (b"\n \n".to_vec(), JSON, "there are no records"),
            (gzip(b"a\n1\n"), CSV, "say so: `content-encoding: gzip`"),
            (
                zstd::encode_all(b"a\n1\n".as_slice(), 0).unwrap(),
                JSON,
                "say so: `content-encoding: zstd`",
            ),
            (parquet(&["a"]), CSV, "say so: `content-type: application/vnd.apache.parquet`"),
            (
                b"a\n1\n".to_vec(),
                UploadFormat::Csv(Packing::Gzip),
                "not packed as its content-encoding says",
            ),
            (
                gzip(b"a\n1\n2\n3\n")[..20].to_vec(),
                UploadFormat::Csv(Packing::Gzip),
                "cannot be unpacked",
            ),
            (b"a,b\n1,2\n".to_vec(), UploadFormat::Parquet, "not a Parquet file"),
            (parquet(&["a"])[..50].to_vec(), UploadFormat::Parquet, "golden records: "),
            (parquet(&["a", "b", "a"]), UploadFormat::Parquet, "the column `a` is there twice"),
        ] {
            let error = validated(bytes, format).await.unwrap_err();
            assert!(matches!(error, GoldenError::Invalid { .. }), "{error}");
            assert!(error.to_string().contains(expected), "{error} lacks {expected}");
        }
    }

    #[tokio::test]
    async fn a_few_bytes_that_unpack_to_many_are_refused() {
        let long = [b"a\n".as_slice(), &b"x\n".repeat(600_000)].concat();
        let packed = gzip(&long);
        assert!(packed.len() < 5_000);
        let bomb = validated(packed, UploadFormat::Csv(Packing::Gzip)).await.unwrap_err();
        assert!(matches!(bomb, GoldenError::TooLarge { unpacked: true, .. }), "{bomb}");

        let long = parquet_of(&["x".repeat(MAX_RECORD - 4), "x".repeat(MAX_RECORD - 3)]);
        let error = validated(long, UploadFormat::Parquet).await.unwrap_err().to_string();
        assert!(error.contains("record 2 is longer than 1 MiB"), "{error}");
        // One value, kept once and referred to by as many records as are planned at once.
        let many = parquet_of(&vec!["x".repeat(70_000); PARQUET_ROWS]);
        assert!(many.len() < 1 << 20, "{}", many.len());
        let limits = GoldenLimits { bytes: 1 << 20, unpacked: 1 << 30 };
        let error =
            validated_within(many, UploadFormat::Parquet, limits).await.unwrap_err().to_string();
        assert!(
            error.contains("the 1024 records up to 1024 have more than 64 MiB together"),
            "{error}"
        );

        // One value, kept once and referred to 200 times.
        let value = "x".repeat(200_000);
        let batch = RecordBatch::try_from_iter([(
            "a",
            Arc::new(StringArray::from(vec![value.as_str(); 200])) as ArrayRef,
        )])
        .unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        assert!(bytes.len() < 1 << 20, "{}", bytes.len());
        let bomb = validated(bytes, UploadFormat::Parquet).await.unwrap_err();
        assert!(matches!(bomb, GoldenError::TooLarge { unpacked: true, .. }), "{bomb}");
    }
}
