//! See [`crate::fuzzing`].

use super::{
    CsvForm, RecordOptions, RecordsError, bounds, csv::CsvReader, jsonl::JsonLinesReader,
    marked::MarkedReader, to_columns,
};
use arrow_array::{Array, RecordBatch, StringArray, cast::AsArray};
use std::{
    fs::File,
    io::{BufReader, Cursor},
};

/// Rows that are read at once: few, so that small inputs have several batches.
const ROWS: usize = 4;

/// Names of columns, and rows of texts; `None` where there is no value.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Of the first batch.
    pub names: Vec<String>,
    /// Of all batches, each with the names of its own columns.
    pub rows: Vec<Vec<(String, Option<String>)>>,
}

impl Table {
    fn add(&mut self, batch: &RecordBatch) {
        // What the component is given of it is made of every batch.
        let columns = to_columns(batch);
        assert_eq!(columns.len(), batch.num_columns());
        if self.names.is_empty() {
            self.names = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        }
        let columns: Vec<Option<&StringArray>> =
            batch.columns().iter().map(|column| column.as_string_opt::<i32>()).collect();
        for row in 0..batch.num_rows() {
            let cell = |column: &Option<&StringArray>| {
                column
                    .filter(|column| column.is_valid(row))
                    .map(|column| column.value(row).to_owned())
            };
            let schema = batch.schema();
            let names = schema.fields().iter().map(|field| field.name().clone());
            self.rows.push(names.zip(columns.iter().map(cell)).collect());
        }
    }
}

fn csv_reader(bytes: &[u8], form: CsvForm, piece: usize) -> Result<CsvReader, RecordsError> {
    let stream = BufReader::with_capacity(piece.max(1), Cursor::new(bytes.to_vec()));
    CsvReader::new(
        "x.csv".to_owned(),
        Box::new(stream),
        b',',
        &RecordOptions { id_column: None, csv: form, allow_empty: false },
        ROWS,
    )
}

/// Golden records in CSV, which come in pieces of so many bytes.
///
/// # Errors
/// As for a file.
pub fn csv(bytes: &[u8], form: CsvForm, piece: usize) -> Result<Table, RecordsError> {
    let mut reader = csv_reader(bytes, form, piece)?;
    let mut table = Table::default();
    while let Some(batch) = reader.next()? {
        table.add(&batch);
    }
    Ok(table)
}

/// Golden records in CSV that says of its cells what CSV cannot.
///
/// # Errors
/// As for a file.
pub fn marked_csv(bytes: &[u8], piece: usize) -> Result<Table, RecordsError> {
    let mut reader =
        MarkedReader::new("x.csv".to_owned(), csv_reader(bytes, CsvForm::default(), piece)?);
    let mut table = Table::default();
    while let Some(batch) = reader.next(ROWS)? {
        table.add(&batch);
    }
    Ok(table)
}

/// Golden records in JSON Lines.
///
/// # Errors
/// As for a file.
pub fn jsonl(bytes: &[u8], piece: usize) -> Result<Table, RecordsError> {
    let stream = BufReader::with_capacity(piece.max(1), Cursor::new(bytes.to_vec()));
    let mut reader = JsonLinesReader::new("x.jsonl".to_owned(), Box::new(stream));
    let mut table = Table::default();
    while let Some(batch) = reader.next(ROWS)? {
        table.add(&batch);
    }
    Ok(table)
}

/// How many golden records a Parquet file has.
///
/// # Errors
/// What its reader says.
pub fn parquet(file: File) -> Result<u64, String> {
    let mut rows = 0;
    for batch in
        super::parquet::open(file, bounds::PARQUET_ROWS).map_err(|error| error.to_string())?
    {
        let batch = batch.map_err(|error| error.to_string())?;
        if bounds::too_long(&batch).is_some() {
            return Err("a record is too long".to_owned());
        }
        rows += batch.num_rows() as u64;
        let columns = to_columns(&batch);
        assert_eq!(columns.len(), batch.num_columns());
    }
    Ok(rows)
}
