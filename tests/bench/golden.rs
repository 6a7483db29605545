//! Golden records for benchmarks: eight columns, as a resolver leaves them.

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, builder::StringBuilder};
use parquet::arrow::ArrowWriter;
use std::{fs::File, path::Path, sync::Arc};

const BATCH: usize = 4_096;

/// Rows `first..first + count`, counted from 0.
pub(crate) fn batch(first: usize, count: usize, salesforce: bool) -> anyhow::Result<RecordBatch> {
    let column = |text: &dyn Fn(usize) -> String| {
        let mut builder = StringBuilder::new();
        for row in first..first + count {
            builder.append_value(text(row));
        }
        Arc::new(builder.finish()) as ArrayRef
    };
    let id: &dyn Fn(usize) -> String = if salesforce {
        &salesforce_id
    } else {
        &|row| format!("{}", 100_000_000_000u64 + row as u64 * 7)
    };
    let phones = (first..first + count)
        .map(|row| (row % 3 != 0).then(|| format!("+1 406-555-{:04}", row % 10_000)));
    Ok(RecordBatch::try_from_iter_with_nullable([
        (if salesforce { "Id" } else { "hs_object_id" }, column(id), false),
        ("firstname", column(&|row| format!("First{}", row % 5_000)), true),
        ("lastname", column(&|row| format!("Last{}", row % 70_000)), true),
        ("email", column(&|row| format!("person{row}@example.com")), true),
        ("phone", Arc::new(StringArray::from_iter(phones)) as ArrayRef, true),
        ("company", column(&|row| format!("Company {} \"Ltd\"", row % 900)), true),
        ("city", column(&|row| ["Zürich", "Bozeman", "Łódź", "Lyon"][row % 4].to_owned()), true),
        ("jobtitle", column(&|row| ["Director", "Engineer", "Buyer"][row % 3].to_owned()), true),
    ])?)
}

/// A Salesforce id in its 18-character form.
fn salesforce_id(row: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = *b"0035t0000000000";
    let mut n = row;
    for place in id.iter_mut().rev().take(8) {
        *place = DIGITS[n % 62];
        n /= 62;
    }
    let mut text = String::from_utf8_lossy(&id).into_owned();
    for group in id.chunks(5) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0, |bits, (at, c)| bits | usize::from(c.is_ascii_uppercase()) << at);
        text.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]));
    }
    text
}

/// Writes `rows` golden records to a Parquet file.
pub(crate) fn write_parquet(path: &Path, rows: usize) -> anyhow::Result<()> {
    let schema = batch(0, 0, false)?.schema();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_max_row_group_row_count(Some(100_000))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema, Some(properties))?;
    let mut first = 0;
    while first < rows {
        let count = BATCH.min(rows - first);
        writer.write(&batch(first, count, false)?)?;
        first += count;
    }
    writer.close()?;
    Ok(())
}

/// `rows` golden records as CSV.
pub(crate) fn csv(rows: usize) -> anyhow::Result<Vec<u8>> {
    let batch = batch(0, rows, false)?;
    let columns: Vec<&StringArray> =
        batch.columns().iter().filter_map(|column| column.as_any().downcast_ref()).collect();
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(batch.schema_ref().fields().iter().map(|field| field.name()))?;
    for row in 0..rows {
        csv.write_record(
            columns.iter().map(|column| if column.is_valid(row) { column.value(row) } else { "" }),
        )?;
    }
    Ok(csv.into_inner()?)
}

/// Golden records that are in memory already, so that only what comes after reading is measured.
pub(crate) fn in_memory(
    rows: usize,
    salesforce: bool,
) -> anyhow::Result<std::vec::IntoIter<RecordBatch>> {
    let batches = (0..rows)
        .step_by(BATCH)
        .map(|first| batch(first, BATCH.min(rows - first), salesforce))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(batches.into_iter())
}
