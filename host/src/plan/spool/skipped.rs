//! Skipped rows, those that follow each other for one reason as one entry.

use super::{ArrowFile, BLOCK, Closed, SpoolError, arrow_file, close};
use crate::{
    changes::{Malformed, Packed},
    contract::types as wit,
};
use arrow_array::{
    Array, RecordBatch,
    builder::{StringBuilder, UInt64Builder},
};
use arrow_schema::{DataType, Field, Schema};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Reasons that a plan may have, and bytes of one: they are codes.
const MAX_REASONS: usize = 100;
const MAX_REASON: usize = 100;
/// Bytes of details that wait to be written.
const PENDING: usize = 8 << 20;

/// Skipped rows, consecutive ones with the same reason as one entry.
pub(super) struct SkipWriter {
    file: ArrowFile,
    schema: Arc<Schema>,
    first_row: UInt64Builder,
    rows: UInt64Builder,
    reason: StringBuilder,
    detail: StringBuilder,
    pending: usize,
    pending_bytes: usize,
    by_reason: BTreeMap<String, u64>,
    open: Option<(u64, u64, String)>,
}

impl SkipWriter {
    pub(super) fn new(dir: &Path) -> Result<SkipWriter, SpoolError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("first_row", DataType::UInt64, false),
            Field::new("rows", DataType::UInt64, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("detail", DataType::Utf8, true),
        ]));
        Ok(SkipWriter {
            file: arrow_file(dir, &schema)?,
            schema,
            first_row: UInt64Builder::new(),
            rows: UInt64Builder::new(),
            reason: StringBuilder::new(),
            detail: StringBuilder::new(),
            pending: 0,
            pending_bytes: 0,
            by_reason: BTreeMap::new(),
            open: None,
        })
    }

    pub(super) fn push(&mut self, skipped: wit::SkippedBatch) -> Result<(), SpoolError> {
        let details = skipped.details.map(Packed::from_wit).transpose()?;
        if details.as_ref().is_some_and(|details| details.len() != skipped.rows.len()) {
            return Err(Malformed.into());
        }
        for (index, row) in skipped.rows.iter().enumerate() {
            self.one(*row, &skipped.reason, details.as_ref().map(|details| details.get(index)))?;
        }
        Ok(())
    }

    pub(super) fn one(
        &mut self,
        row: u64,
        reason: &str,
        detail: Option<&str>,
    ) -> Result<(), SpoolError> {
        match self.by_reason.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                if self.by_reason.len() >= MAX_REASONS || reason.len() > MAX_REASON {
                    return Err(Malformed.into());
                }
                self.by_reason.insert(reason.to_owned(), 1);
            }
        }
        if detail.is_none() {
            if let Some((first, rows, open)) = &mut self.open
                && open == reason
                && *first + *rows == row
            {
                *rows += 1;
                return Ok(());
            }
            self.close_run()?;
            self.open = Some((row, 1, reason.to_owned()));
            return Ok(());
        }
        self.close_run()?;
        self.entry(row, 1, reason, detail)
    }

    fn close_run(&mut self) -> Result<(), SpoolError> {
        match self.open.take() {
            Some((first, rows, reason)) => self.entry(first, rows, &reason, None),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        first: u64,
        rows: u64,
        reason: &str,
        detail: Option<&str>,
    ) -> Result<(), SpoolError> {
        self.first_row.append_value(first);
        self.rows.append_value(rows);
        self.reason.append_value(reason);
        self.detail.append_option(detail);
        self.pending += 1;
        self.pending_bytes += detail.map_or(0, str::len);
        if self.pending >= BLOCK || self.pending_bytes >= PENDING { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SpoolError> {
        if self.pending == 0 {
            return Ok(());
        }
        (self.pending, self.pending_bytes) = (0, 0);
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::new(self.first_row.finish()),
            Arc::new(self.rows.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.detail.finish()),
        ];
        Ok(self.file.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?)
    }

    pub(super) fn finish(mut self) -> Result<(BTreeMap<String, u64>, Closed), SpoolError> {
        self.close_run()?;
        self.flush()?;
        Ok((self.by_reason, close(self.file)?))
    }
}
