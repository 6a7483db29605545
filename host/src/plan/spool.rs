//! Writing a plan to disk while it is being made: changes and skipped rows as Arrow IPC files,
//! digested as they are written. Ten million changes pass through here in a few buffers.

mod skipped;

use super::{
    Change, SampleChange,
    blocks::Blocks,
    duplicates::{DuplicateFinder, Excluded},
    fields::{self, FieldCounts},
    flags::Flags,
    spool_file::SpoolFile,
};
use crate::{
    capability::is_id,
    changes::{ChangeBatch, Malformed},
    contract::types as wit,
    destination::OnDuplicateId,
    digest::{Digest, DigestWriter},
    guards::{Guard, Watcher},
    private_file,
};
use arrow_array::{Array, RecordBatch, StringArray, UInt64Array};
use arrow_ipc::{reader::FileReader, writer::FileWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use skipped::SkipWriter;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Changes, in ascending order of row.
pub(crate) const CHANGES: &str = "changes.arrow";
/// Skipped rows with their reasons.
pub(crate) const SKIPPED: &str = "skipped.arrow";

/// The reason code of a row that claims the same CRM record as another.
pub const DUPLICATE_ID: &str = "duplicate_id";

/// Rows of one Arrow batch, at least, so that many small pushes do not make many small blocks.
const BLOCK: usize = 4_096;
/// Bytes of its texts, at most, but for one push.
const BLOCK_BYTES: usize = 16 << 20;
/// Changes shown to the person who confirms.
const SAMPLE: usize = 5;

/// Why a plan could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk.
    #[error("cannot write the plan: {0}")]
    Io(#[from] io::Error),
    /// Arrow.
    #[error("cannot write the plan: {0}")]
    Arrow(#[from] ArrowError),
    /// The component pushed something that is not a change.
    #[error("the plugin planned something that is not a change, for row {row}: {reason}")]
    Change {
        /// The golden record's row.
        row: u64,
        /// What is wrong.
        reason: String,
    },
    /// The component pushed columns that do not fit together.
    #[error("the plugin pushed columns that do not fit together: {0}")]
    Malformed(#[from] Malformed),
}

/// What a finished spool adds up to.
pub(crate) struct Spooled {
    pub(crate) writable: u64,
    pub(crate) skipped_by_reason: BTreeMap<String, u64>,
    pub(crate) fields: BTreeMap<String, u64>,
    pub(crate) sample: Vec<SampleChange>,
    pub(crate) watcher: Watcher,
    /// What the component flagged, of the changes that are planned.
    pub(crate) flagged: Vec<Guard>,
    pub(super) changes: Closed,
    pub(super) skipped: Closed,
}

impl Spooled {
    /// Records that the CRM has shown, if it was asked for them: they differ, do not, or must not
    /// be written.
    pub(crate) fn read(&self) -> u64 {
        let skipped = ["unchanged", "held_back"]
            .into_iter()
            .filter_map(|reason| self.skipped_by_reason.get(reason));
        self.writable + skipped.sum::<u64>()
    }
}

/// A file that is complete, and its digest.
pub(super) struct Closed {
    pub(super) file: SpoolFile,
    pub(super) digest: Digest,
}

type ArrowFile = FileWriter<DigestWriter<SpoolFile>>;

/// A plan in the making.
pub(crate) struct Spool {
    dir: PathBuf,
    changes: ChangeWriter,
    skipped: SkipWriter,
    duplicates: DuplicateFinder,
    flagged: Flags,
}

impl Spool {
    /// Nothing yet. What is too large for memory is written to files without a name, or with an
    /// unfinished one, in `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Spool, SpoolError> {
        private_file::create_dir(dir)?;
        Ok(Spool {
            dir: dir.to_owned(),
            changes: ChangeWriter::new(dir)?,
            skipped: SkipWriter::new(dir)?,
            duplicates: DuplicateFinder::new(dir),
            flagged: Flags::new(dir),
        })
    }

    pub(crate) fn push(&mut self, changes: ChangeBatch) -> Result<(), SpoolError> {
        for index in 0..changes.len() {
            let (row, id) = (changes.row(index), changes.id(index));
            if !is_id(id) {
                let shown: String = id.chars().take(60).collect();
                return Err(SpoolError::Change {
                    row,
                    reason: format!("`{shown}` cannot be a record id"),
                });
            }
            fields::judge(changes.fields(index), &mut self.changes.counts)
                .map_err(|reason| SpoolError::Change { row, reason })?;
            if let Some(before) = changes.before(index) {
                fields::judge(before, &mut FieldCounts::default()).map_err(|reason| {
                    SpoolError::Change { row, reason: format!("its previous values: {reason}") }
                })?;
            }
            self.duplicates.claim(id, row)?;
        }
        self.changes.push(changes)
    }

    pub(crate) fn skip(&mut self, mut skipped: wit::SkippedBatch) -> Result<(), SpoolError> {
        if let Some(ids) = skipped.ids.take() {
            let ids = crate::changes::Packed::from_wit(ids)?;
            if ids.len() != skipped.rows.len() {
                return Err(Malformed.into());
            }
            for (index, row) in skipped.rows.iter().enumerate() {
                match ids.get(index) {
                    "" => {}
                    // A row that is not written may still say that another one must not be.
                    id if is_id(id) => self.duplicates.claim(id, *row)?,
                    _ => {
                        return Err(SpoolError::Change {
                            row: *row,
                            reason: "it claims what cannot be a record id".to_owned(),
                        });
                    }
                }
            }
        }
        self.skipped.push(skipped)
    }

    /// Changes that need a second look.
    pub(crate) fn flag(&mut self, flagged: wit::FlaggedBatch) -> Result<(), SpoolError> {
        Ok(self.flagged.see(flagged)??)
    }

    /// Applies the duplicate policy and closes the files.
    pub(crate) fn finish(mut self, policy: OnDuplicateId) -> Result<Spooled, SpoolError> {
        let mut excluded = self.duplicates.excluded(policy)?;
        if excluded.count > 0 {
            self.changes = without(&self.dir, self.changes, &mut excluded, &mut self.skipped)?;
        }
        let writable = self.changes.written;
        let sample = std::mem::take(&mut self.changes.sample);
        let counts = std::mem::take(&mut self.changes.counts);
        let watcher = std::mem::take(&mut self.changes.watcher);
        let mut changes = self.changes.finish()?;
        let (skipped_by_reason, skipped) = self.skipped.finish()?;
        let flagged = if self.flagged.is_empty() {
            Vec::new()
        } else {
            self.flagged.finish(rows(&mut changes.file)?)?
        };
        Ok(Spooled {
            writable,
            skipped_by_reason,
            fields: counts.into_map(),
            sample,
            watcher,
            flagged,
            changes,
            skipped,
        })
    }
}

/// The rows of changes that are written already.
fn rows(changes: &mut SpoolFile) -> Result<impl Iterator<Item = io::Result<u64>>, SpoolError> {
    let blocks = FileReader::try_new(changes.reader()?, Some(vec![0]))?;
    Ok(blocks.flat_map(|block| {
        let rows =
            block.and_then(|block| column::<UInt64Array>(&block, "row")).map_err(io::Error::other);
        match rows {
            Ok(rows) => rows.values().iter().map(|row| Ok(*row)).collect(),
            Err(error) => vec![Err(error)],
        }
    }))
}

/// Writes the changes anew, without the excluded ones. This second pass costs only plans that have
/// duplicates.
fn without(
    dir: &Path,
    changes: ChangeWriter,
    excluded: &mut Excluded,
    skipped: &mut SkipWriter,
) -> Result<ChangeWriter, SpoolError> {
    let all = changes.finish()?.file.into_reader()?;
    let mut kept = ChangeWriter::new(dir)?;
    let mut next = excluded.next()?;
    for batch in FileReader::try_new(all, None)? {
        let batch = Stored::new(&batch?)?;
        let mut keep = ChangeBatch::new();
        for index in 0..batch.len() {
            let (row, id) = (batch.row(index), batch.ids.value(index));
            // Rows that are skipped already are among the excluded ones.
            while next.is_some_and(|(excluded_row, _)| excluded_row < row) {
                next = excluded.next()?;
            }
            match next {
                Some((excluded_row, other)) if excluded_row == row => {
                    skipped.one(
                        row,
                        DUPLICATE_ID,
                        Some(&format!("record {id} is also claimed by row {other}")),
                    )?;
                    next = excluded.next()?;
                }
                _ => {
                    fields::judge(batch.fields.value(index), &mut kept.counts)
                        .map_err(|reason| SpoolError::Change { row, reason })?;
                    batch.append(index, &mut keep);
                }
            }
        }
        kept.push(keep)?;
    }
    Ok(kept)
}

/// The columns of changes.
pub(super) fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("row", DataType::UInt64, false),
        Field::new("provider_id", DataType::Utf8, false),
        Field::new("fields", DataType::Utf8, false),
        Field::new("before", DataType::Utf8, true),
    ]))
}

struct ChangeWriter {
    file: ArrowFile,
    schema: Arc<Schema>,
    pending: ChangeBatch,
    written: u64,
    counts: FieldCounts,
    sample: Vec<SampleChange>,
    watcher: Watcher,
}

impl ChangeWriter {
    fn new(dir: &Path) -> Result<ChangeWriter, SpoolError> {
        let schema = schema();
        Ok(ChangeWriter {
            file: arrow_file(dir, &schema)?,
            schema,
            pending: ChangeBatch::new(),
            written: 0,
            counts: FieldCounts::default(),
            sample: Vec::new(),
            watcher: Watcher::default(),
        })
    }

    fn push(&mut self, changes: ChangeBatch) -> Result<(), SpoolError> {
        for index in 0..changes.len() {
            self.watcher.see(
                changes.row(index),
                changes.id(index),
                changes.fields(index),
                changes.before(index),
            );
        }
        for index in 0..changes.len().min(SAMPLE.saturating_sub(self.sample.len())) {
            let json =
                |text: &str| RawValue::from_string(text.to_owned()).map_err(io::Error::other);
            self.sample.push(SampleChange {
                provider_id: changes.id(index).to_owned(),
                fields: json(changes.fields(index))?,
                before: changes.before(index).map(json).transpose()?,
            });
        }
        self.written += changes.len() as u64;
        if self.pending.is_empty() && changes.len() >= BLOCK {
            return self.write(changes);
        }
        for index in 0..changes.len() {
            let before = changes.before(index);
            if !self.pending.takes(before) {
                self.flush()?;
            }
            self.pending.push(changes.row(index), changes.id(index), changes.fields(index), before);
        }
        if self.pending.len() >= BLOCK || self.pending.bytes() >= BLOCK_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), SpoolError> {
        let pending = std::mem::replace(&mut self.pending, ChangeBatch::new());
        if pending.is_empty() { Ok(()) } else { self.write(pending) }
    }

    fn write(&mut self, changes: ChangeBatch) -> Result<(), SpoolError> {
        let (rows, ids, fields, before) = changes.into_parts();
        let before = match before {
            Some(before) => before.into_arrow()?,
            None => StringArray::new_null(rows.len()),
        };
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::new(UInt64Array::from(rows)),
            Arc::new(ids.into_arrow()?),
            Arc::new(fields.into_arrow()?),
            Arc::new(before),
        ];
        Ok(self.file.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?)
    }

    fn finish(mut self) -> Result<Closed, SpoolError> {
        self.flush()?;
        close(self.file)
    }
}

fn arrow_file(dir: &Path, schema: &Schema) -> Result<ArrowFile, SpoolError> {
    Ok(FileWriter::try_new(DigestWriter::new(SpoolFile::new(dir)), schema)?)
}

fn close(mut file: ArrowFile) -> Result<Closed, SpoolError> {
    file.finish()?;
    let (file, digest) = file.into_inner()?.finish();
    Ok(Closed { file, digest })
}

/// All blocks of a file, one after the other.
pub(crate) fn read(
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ArrowError> {
    let mut blocks = Blocks::open(path)?;
    Ok((0..blocks.count()).map(move |number| blocks.read(number)))
}

/// One block of the changes, without those before it.
pub(crate) fn read_block(blocks: &mut Blocks, number: usize) -> Result<Stored, ArrowError> {
    Stored::new(&blocks.read(number)?)
}

/// One block of stored changes.
pub(crate) struct Stored {
    rows: UInt64Array,
    pub(crate) ids: StringArray,
    pub(crate) fields: StringArray,
    before: StringArray,
}

impl Stored {
    pub(crate) fn new(batch: &RecordBatch) -> Result<Stored, ArrowError> {
        let rows = column::<UInt64Array>(batch, "row")?;
        let ids = column::<StringArray>(batch, "provider_id")?;
        let fields = column::<StringArray>(batch, "fields")?;
        let before = column::<StringArray>(batch, "before")?;
        Ok(Stored { rows, ids, fields, before })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn row(&self, index: usize) -> u64 {
        self.rows.value(index)
    }

    /// The previous values, if they were read.
    pub(crate) fn before(&self, index: usize) -> Option<&str> {
        self.before.is_valid(index).then(|| self.before.value(index))
    }

    pub(crate) fn change(&self, index: usize) -> Change<'_> {
        Change {
            row: self.row(index),
            provider_id: self.ids.value(index),
            fields: self.fields.value(index),
            before: self.before(index),
        }
    }

    pub(crate) fn append(&self, index: usize, to: &mut ChangeBatch) {
        to.push(
            self.row(index),
            self.ids.value(index),
            self.fields.value(index),
            self.before(index),
        );
    }
}

fn column<A: Array + Clone + 'static>(batch: &RecordBatch, name: &str) -> Result<A, ArrowError> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<A>());
    column.cloned().ok_or_else(|| {
        ArrowError::SchemaError(format!("the plan has no column `{name}` of the expected type"))
    })
}

/// Skipped rows as they are stored: consecutive rows with the same reason are one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SkippedRows {
    /// The first row.
    pub first_row: u64,
    /// How many rows follow each other, the first included.
    pub rows: u64,
    /// A snake_case code.
    pub reason: String,
    /// One sentence, where the code does not say it all.
    pub detail: Option<String>,
}

/// Reads skipped rows back, entry by entry.
pub(crate) fn read_skipped(
    path: &Path,
) -> Result<impl Iterator<Item = Result<SkippedRows, ArrowError>> + use<>, ArrowError> {
    Ok(read(path)?.flat_map(|batch| match batch.and_then(|batch| skipped_rows(&batch)) {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }))
}

pub(super) fn skipped_rows(batch: &RecordBatch) -> Result<Vec<SkippedRows>, ArrowError> {
    let first_row = column::<UInt64Array>(batch, "first_row")?;
    let rows = column::<UInt64Array>(batch, "rows")?;
    let reason = column::<StringArray>(batch, "reason")?;
    let detail = column::<StringArray>(batch, "detail")?;
    Ok((0..batch.num_rows())
        .map(|index| SkippedRows {
            first_row: first_row.value(index),
            rows: rows.value(index),
            reason: reason.value(index).to_owned(),
            detail: detail.is_valid(index).then(|| detail.value(index).to_owned()),
        })
        .collect())
}
