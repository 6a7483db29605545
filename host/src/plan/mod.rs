//! A plan: the result of a dry run, on disk, under an id that is a digest of everything it would
//! do.
//!
//! A plan is a folder of three files: `changes.arrow` and `skipped.arrow` (Arrow IPC, readable by
//! any Arrow tool) and `plan.json`, the [`Header`]. The id is a digest over the destination, the
//! component's digest and both files' digests, so the same golden records planned again give the
//! same plan, and a plan that was altered is not the plan its name says. Only [`Plan::load`] makes
//! a [`Plan`] and it checks all of that.
//!
//! The changes of a plan, all of them or by pages, and what it leaves out:
//!
//! ```no_run
//! use reverse_sync::{PlanId, Workspace, plan::{ChangeFilter, changes_page}};
//!
//! # fn look(workspace: &Workspace, id: &PlanId) -> Result<(), Box<dyn std::error::Error>> {
//! let plan = workspace.plan(id)?;
//! plan.for_each_change(|change| println!("{}: {}", change.provider_id, change.fields))?;
//! for rows in plan.skipped_rows()? {
//!     let rows = rows?;
//!     println!("{} rows from {}: {}", rows.rows, rows.first_row, rows.reason);
//! }
//! let filter = ChangeFilter { field: Some("email".to_owned()), provider_id: None };
//! let page = changes_page(&workspace.plans_dir(), id, None, 100, &filter)?;
//! let next = changes_page(&workspace.plans_dir(), id, page.next, 100, &filter)?;
//! # Ok(())
//! # }
//! ```

mod accounting;
mod blocks;
mod duplicates;
mod external_sort;
mod fields;
mod flags;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod header;
mod page;
#[cfg(any(test, fuzzing))]
pub(crate) mod sample;
mod spool;
mod spool_file;

pub use crate::{
    changes::{ChangeBatch, Malformed, Packed},
    guards::Guard,
    ids::PlanId,
    records::Fingerprint,
};
pub use accounting::{Accounting, Miscount};
pub(crate) use external_sort::{ExternalSort, Sorted};
pub(crate) use header::Draft;
pub use header::{DroppedField, Header, PlannedBy, SampleChange};
pub(crate) use page::Opened;
pub use page::{ChangeFilter, Cursor, MAX_LIMIT, Page, PlannedChange, changes_page, skipped_page};
use spool::read as read_changes;
pub use spool::{DUPLICATE_ID, SkippedRows, SpoolError};
pub(crate) use spool::{Spool, Stored, read_block};

use crate::digest;
use arrow_array::{RecordBatchIterator, RecordBatchReader};
use arrow_schema::ArrowError;
use header::HEADER;
use serde::{Deserialize, Serialize};
use spool::{CHANGES, SKIPPED};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tokio::{sync::mpsc, task::JoinHandle};

/// One change of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: &'a str,
    /// The values as they will be written, a JSON object.
    pub fields: &'a str,
    /// The values that the CRM held while planning, a JSON object, if somebody looked.
    pub before: Option<&'a str>,
}

/// How a plan was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PlanMode {
    /// Without a request to the CRM.
    #[default]
    Offline,
    /// With the CRM's metadata.
    Online,
    /// With the CRM's metadata and the values that its records held.
    Compare,
}

impl From<PlanMode> for crate::contract::types::PlanMode {
    fn from(mode: PlanMode) -> Self {
        match mode {
            PlanMode::Offline => Self::Offline,
            PlanMode::Online => Self::Online,
            PlanMode::Compare => Self::Compare,
        }
    }
}

/// Why a plan cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such plan.
    #[error("there is no plan {0} here; plan again")]
    Unknown(String),
    /// It cannot be read.
    #[error("cannot read plan {id}: {error}; plan again")]
    Unreadable {
        /// The plan.
        id: PlanId,
        /// What went wrong.
        error: String,
    },
    /// It is not what it was.
    #[error("plan {id} was altered after it was made ({what}); it is refused, plan again")]
    Tampered {
        /// The plan.
        id: PlanId,
        /// Which part.
        what: &'static str,
    },
    /// The world has moved on.
    #[error("plan {id} is stale: {what}; plan again and look at what changed")]
    Stale {
        /// The plan.
        id: PlanId,
        /// What changed since.
        what: String,
    },
    /// The golden records that it was made from are not what they were.
    #[error("plan {id} is stale: golden records {file} {what}; plan again and look at what changed", file = .file.display())]
    OtherRecords {
        /// The plan.
        id: PlanId,
        /// The file.
        file: PathBuf,
        /// What changed since.
        what: String,
    },
    /// A cursor of another plan, or of none.
    #[error(
        "invalid cursor of plan {id}: take `after` from `next` of the page before, or leave it out"
    )]
    Cursor {
        /// The plan.
        id: PlanId,
    },
    /// The disk.
    #[error("cannot keep the plan: {0}")]
    Io(#[from] io::Error),
}

/// A verified plan. Nothing is written by having one.
#[derive(Clone, Debug)]
pub struct Plan {
    dir: PathBuf,
    header: Header,
}

impl Plan {
    /// Seals a spooled plan and puts it in its place below `plans_dir`. On disk for good it has to
    /// be before its first change is written: see [`Plan::sync`].
    pub(crate) fn seal(draft: Draft, plans_dir: &Path) -> Result<Plan, PlanError> {
        let (header, changes, skipped) = Header::of(draft);
        let dir = plans_dir.join(header.plan_id.as_str());
        let put = |dir: &Path| -> io::Result<()> {
            changes.keep_as(&dir.join(CHANGES))?;
            skipped.keep_as(&dir.join(SKIPPED))?;
            header.write(dir)
        };
        // The same plan may be there already: its changes are the same to the byte, only the header
        // is newer.
        if dir.is_dir() {
            put(&dir)?;
        } else {
            let unfinished = spool_file::unfinished_folder(plans_dir)?;
            put(unfinished.path())?;
            match fs::rename(unfinished.path(), &dir) {
                // There is nothing left to remove.
                Ok(()) => drop(unfinished.keep()),
                // Somebody else has made the same plan meanwhile.
                Err(_) if dir.is_dir() => header.write(&dir)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Plan { dir, header })
    }

    /// Reads a plan and checks that it is what its id says.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or was altered.
    pub fn load(plans_dir: &Path, id: &PlanId) -> Result<Plan, PlanError> {
        let dir = plans_dir.join(id.as_str());
        let unreadable = |error: String| PlanError::Unreadable { id: id.clone(), error };
        let tampered = |what| PlanError::Tampered { id: id.clone(), what };
        let header = Header::read(plans_dir, id)?;
        for (file, expected) in [(CHANGES, header.changes_digest), (SKIPPED, header.skipped_digest)]
        {
            let found = fs::File::open(dir.join(file))
                .and_then(digest::of_reader)
                .map_err(|error| unreadable(format!("{file}: {error}")))?;
            if found != expected {
                return Err(tampered(file));
            }
        }
        Ok(Plan { dir, header })
    }

    /// All of it but the changes.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The plan's name.
    pub fn id(&self) -> &PlanId {
        &self.header.plan_id
    }

    /// Skipped rows with their reasons, in the order of planning; duplicates come last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn skipped_rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<SkippedRows, PlanError>> + use<>, PlanError> {
        let id = self.id().clone();
        let unreadable = move |error: ArrowError| PlanError::Unreadable {
            id: id.clone(),
            error: error.to_string(),
        };
        let rows = spool::read_skipped(&self.dir.join(SKIPPED)).map_err(&unreadable)?;
        Ok(rows.map(move |row| row.map_err(&unreadable)))
    }

    /// The first skipped rows that have a sentence of their own, such as the value that cannot be
    /// written.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn explained_rows(&self, max: usize) -> Result<Vec<SkippedRows>, PlanError> {
        let explained = self
            .skipped_rows()?
            .filter(|rows| rows.as_ref().map_or(true, |rows| rows.detail.is_some()));
        let mut first = explained.take(max).collect::<Result<Vec<_>, _>>()?;
        first.sort_by_key(|rows| rows.first_row);
        Ok(first)
    }

    /// Shows every change.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn for_each_change(&self, mut show: impl FnMut(Change<'_>)) -> Result<(), PlanError> {
        let unreadable = |error: ArrowError| PlanError::Unreadable {
            id: self.id().clone(),
            error: error.to_string(),
        };
        for block in read_changes(&self.dir.join(CHANGES)).map_err(unreadable)? {
            let block = block.and_then(|block| Stored::new(&block)).map_err(unreadable)?;
            for index in 0..block.len() {
                show(block.change(index));
            }
        }
        Ok(())
    }

    /// Every change as Arrow batches, one of which is in memory at a time: `row`, `provider_id`, and
    /// `fields` and `before` as JSON objects.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn change_batches(&self) -> Result<impl RecordBatchReader + Send + use<>, PlanError> {
        let batches = read_changes(&self.dir.join(CHANGES)).map_err(|error| {
            PlanError::Unreadable { id: self.id().clone(), error: error.to_string() }
        })?;
        Ok(RecordBatchIterator::new(batches, spool::schema()))
    }

    /// Its changes, block by block, read a block ahead on a thread of their own. That ends when all
    /// of them are read, or nobody wants more.
    pub(crate) fn blocks(&self) -> (mpsc::Receiver<Stored>, JoinHandle<Result<(), ArrowError>>) {
        let (blocks, receiver) = mpsc::channel(1);
        let file = self.dir.join(CHANGES);
        let reader = tokio::task::spawn_blocking(move || {
            for block in read_changes(&file)? {
                if blocks.blocking_send(Stored::new(&block?)?).is_err() {
                    break;
                }
            }
            Ok(())
        });
        (receiver, reader)
    }

    /// Puts it on disk for good. A plan that a crash has torn is refused by its digests, and made
    /// again; a run has to find its own.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let sync = |path: &Path| {
            let named = |error: io::Error| {
                io::Error::new(
                    error.kind(),
                    format!("cannot put {} on disk: {error}", path.display()),
                )
            };
            fs::File::open(path).and_then(|file| file.sync_all()).map_err(named)
        };
        for file in [CHANGES, SKIPPED, HEADER] {
            sync(&self.dir.join(file))?;
        }
        // The names are on disk once the folders are.
        #[cfg(unix)]
        for dir in [Some(self.dir.as_path()), self.dir.parent()].into_iter().flatten() {
            sync(dir)?;
        }
        Ok(())
    }

    /// Whether the golden-record files are still what was planned.
    ///
    /// # Errors
    /// Names the file that is not.
    pub fn check_records(&self) -> Result<(), PlanError> {
        for planned in &self.header.records {
            let stale = |what: &str| PlanError::OtherRecords {
                id: self.id().clone(),
                file: planned.path.clone(),
                what: what.to_owned(),
            };
            match Fingerprint::of(&planned.path) {
                Ok(now) if now == *planned => {}
                Ok(_) => return Err(stale("have changed since")),
                Err(error) => return Err(stale(&format!("cannot be read any more ({error})"))),
            }
        }
        Ok(())
    }
}
