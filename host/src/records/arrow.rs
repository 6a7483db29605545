//! Golden records from an Arrow reader: what another library of the same process has, such as a
//! data frame, the result of a query or an ADBC driver.

use super::{Records, RecordsError, bounds};
use arrow_array::{RecordBatch, RecordBatchReader};

/// An Arrow reader as golden records. Its batches may be of any size.
///
/// ```
/// use arrow_array::{RecordBatch, RecordBatchIterator, StringArray};
/// use reverse_sync::{Records, records::ArrowRecords};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ids = Arc::new(StringArray::from(vec!["1", "2", "3"]));
/// let batch = RecordBatch::try_from_iter([("hs_object_id", ids as _)])?;
/// let schema = batch.schema();
/// let mut records = ArrowRecords::new(RecordBatchIterator::new([Ok(batch)], schema));
/// assert_eq!(records.next_batch(2)?.map(|batch| batch.num_rows()), Some(2));
/// assert_eq!(records.next_batch(2)?.map(|batch| batch.num_rows()), Some(1));
/// # Ok(())
/// # }
/// ```
pub struct ArrowRecords<R> {
    reader: R,
    /// What is left of the last batch.
    rest: Option<RecordBatch>,
    /// Records before it.
    read: u64,
}

impl<R: RecordBatchReader + Send> ArrowRecords<R> {
    /// What this reader reads.
    pub fn new(reader: R) -> ArrowRecords<R> {
        ArrowRecords { reader, rest: None, read: 0 }
    }

    fn next_rest(&mut self) -> Result<Option<RecordBatch>, RecordsError> {
        while self.rest.is_none() {
            let Some(batch) = self.reader.next() else { return Ok(None) };
            let batch = batch.map_err(|error| malformed(error.to_string()))?;
            if batch.num_columns() > bounds::MAX_COLUMNS {
                let (found, most) = (batch.num_columns(), bounds::MAX_COLUMNS);
                return Err(malformed(format!(
                    "there are {found} columns, more than {most}; leave out what is not written"
                )));
            }
            if let Some(row) = bounds::too_long(&batch) {
                let record = self.read + row as u64 + 1;
                return Err(malformed(format!("record {record} {}", bounds::TOO_LONG)));
            }
            self.rest = Some(batch).filter(|batch| batch.num_rows() > 0);
        }
        Ok(self.rest.take())
    }
}

impl<R: RecordBatchReader + Send> Records for ArrowRecords<R> {
    fn next_batch(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        let Some(batch) = self.next_rest()? else { return Ok(None) };
        let rows = bounds::fitting(&batch, max_rows, bounds::MAX_BATCH);
        let left = batch.num_rows() - rows;
        self.rest = (left > 0).then(|| batch.slice(rows, left));
        self.read += rows as u64;
        Ok(Some(batch.slice(0, rows)))
    }
}

fn malformed(reason: String) -> RecordsError {
    RecordsError::Malformed { file: "the Arrow stream".to_owned(), line: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, RecordBatchIterator, StringArray, cast::AsArray};
    use arrow_schema::ArrowError;
    use std::sync::Arc;

    type Read = Result<RecordBatch, ArrowError>;

    fn batch(texts: Vec<String>) -> RecordBatch {
        let column = Arc::new(StringArray::from(texts)) as ArrayRef;
        RecordBatch::try_from_iter([("id", column)]).unwrap()
    }

    fn records(batches: Vec<Read>) -> ArrowRecords<impl RecordBatchReader + Send> {
        let schema = batch(Vec::new()).schema();
        ArrowRecords::new(RecordBatchIterator::new(batches, schema))
    }

    #[test]
    fn large_batches_are_cut_and_empty_ones_passed_over() {
        let numbered =
            |from: usize, to: usize| Ok(batch((from..to).map(|n| n.to_string()).collect()));
        let mut records =
            records(vec![numbered(0, 0), numbered(0, 10), numbered(0, 0), numbered(10, 12)]);
        let (mut sizes, mut ids) = (Vec::new(), Vec::new());
        while let Some(batch) = records.next_batch(4).unwrap() {
            sizes.push(batch.num_rows());
            ids.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        assert_eq!(sizes, [4, 4, 2, 2]);
        assert_eq!(ids, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_of_long_records_is_cut_by_its_bytes() {
        let long = "x".repeat(bounds::MAX_RECORD / 2);
        let mut records = records(vec![Ok(batch(vec![long; 64]))]);
        let first = records.next_batch(4_096).unwrap().unwrap();
        assert!(
            first.num_rows() < 64 && bounds::size(&first, 0, first.num_rows()) <= bounds::MAX_BATCH
        );
    }

    #[test]
    fn what_cannot_be_planned_says_which_record() {
        let short = || Ok(batch(vec!["1".to_owned(); 3]));
        let long = Ok(batch(vec!["1".to_owned(), "x".repeat(bounds::MAX_RECORD + 1)]));
        let mut cut = records(vec![short(), long]);
        assert!(cut.next_batch(4_096).is_ok());
        let error = cut.next_batch(4_096).unwrap_err().to_string();
        assert_eq!(
            error,
            "the Arrow stream: record 5 is longer than 1 MiB, which no CRM's record is"
        );
        let broken = Err(ArrowError::ExternalError("connection lost".into()));
        let error = records(vec![broken]).next_batch(1).unwrap_err().to_string();
        assert_eq!(error, "the Arrow stream: External error: connection lost");
    }
}
