//! A plan: the result of a dry run, on disk, under an id that is a digest of everything it would do.
//!
//! A plan is a folder of three files: `changes.arrow` and `skipped.arrow` (Arrow IPC, readable by any Arrow tool)
//! and `plan.json`, the [`Header`]. The id is a digest over the destination, the component's digest and both files'
//! digests, so the same golden records planned again give the same plan, and a plan that was altered is not the plan
//! its name says. Only [`Plan::load`] makes a [`Plan`] and it checks all of that.

mod accounting;
mod blocks;
mod changes;
mod duplicates;
mod external_sort;
mod fields;
mod page;
#[cfg(test)]
pub(crate) mod sample;
mod spool;
mod spool_file;

pub use accounting::{Accounting, Miscount};
pub use changes::{ChangeBatch, Malformed, Packed};
pub(crate) use external_sort::{ExternalSort, Sorted};
pub(crate) use page::Opened;
pub use page::{ChangeFilter, Cursor, MAX_LIMIT, Page, PlannedChange, changes_page, skipped_page};
pub use spool::{DUPLICATE_ID, SkippedRows, SpoolError};
pub(crate) use spool::{Spool, Stored, read as read_changes, read_block};

use crate::{
    account::Account,
    destination::Destination,
    digest::{self, Digest},
    journal::RunId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spool::{CHANGES, SKIPPED};
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

const HEADER: &str = "plan.json";
/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// The name of a plan: `plan_` and 32 hexadecimal digits of its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(String);

impl PlanId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlanId {
    type Err = String;

    fn from_str(text: &str) -> Result<PlanId, String> {
        let digits = text.strip_prefix("plan_").unwrap_or_default();
        if digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(PlanId(text.to_owned()))
        } else {
            Err(format!("`{text}` is no plan id; one looks like plan_0f3a… with 32 hexadecimal digits"))
        }
    }
}

impl TryFrom<String> for PlanId {
    type Error = String;
    fn try_from(text: String) -> Result<PlanId, String> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> String {
        id.0
    }
}

/// One of the changes shown to the person who confirms.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SampleChange {
    /// The CRM's record id.
    pub provider_id: String,
    /// The values as they will be written.
    #[cfg_attr(feature = "server", schema(value_type = Object))]
    pub fields: Box<RawValue>,
    /// The values that the CRM held while planning, if somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>, nullable = false))]
    pub before: Option<Box<RawValue>>,
}

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
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum PlanMode {
    /// Without a request to the CRM.
    #[default]
    Offline,
    /// With the CRM's metadata.
    Online,
    /// With the CRM's metadata and the values that its records held.
    Compare,
}

impl From<PlanMode> for crate::bindings::types::PlanMode {
    fn from(mode: PlanMode) -> Self {
        match mode {
            PlanMode::Offline => Self::Offline,
            PlanMode::Online => Self::Online,
            PlanMode::Compare => Self::Compare,
        }
    }
}

/// Something that keeps a plan from being confirmed until somebody overrides it by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Guard {
    /// A snake_case code, such as `email_taken`.
    pub name: String,
    /// What was found, and what it may mean.
    pub message: String,
}

/// A column that is not written for any record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct DroppedField {
    /// Its name.
    pub name: String,
    /// A snake_case code, such as `read_only`.
    pub reason: String,
}

/// What a golden-record file was when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The file.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified: i64,
}

/// What the plan was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedBy {
    /// The component's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub digest: Digest,
}

/// All of a plan but its changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// The plan's name.
    pub plan_id: PlanId,
    /// Where it would be written.
    pub destination: Destination,
    /// The CRM's base URL.
    pub base_url: String,
    /// The account that it was made with and is to be written to. `None` if nobody has asked, as offline, or nobody knows.
    pub account: Option<Account>,
    /// The component that made it, and alone may run it.
    pub component: PlannedBy,
    /// How it was made.
    pub mode: PlanMode,
    /// Golden records read.
    pub total: u64,
    /// Records that would be updated.
    pub writable: u64,
    /// All others.
    pub skipped: u64,
    /// The others by reason.
    pub skipped_by_reason: BTreeMap<String, u64>,
    /// How many records each field would be written for.
    pub fields: BTreeMap<String, u64>,
    /// Columns that are not written.
    pub dropped_fields: Vec<DroppedField>,
    /// What the person who confirms should know.
    pub warnings: Vec<String>,
    /// What the person who confirms has to override by name.
    pub guards: Vec<Guard>,
    /// The first changes.
    pub sample: Vec<SampleChange>,
    /// Digest of `changes.arrow`.
    pub changes_digest: Digest,
    /// Digest of `skipped.arrow`.
    pub skipped_digest: Digest,
    /// The files the golden records came from.
    pub records: Vec<Fingerprint>,
    /// The run that it undoes, if it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RunId>,
    /// When it was made (RFC 3339).
    pub planned_at: String,
    /// Digest of all of the above, against editing by hand.
    seal: Digest,
}

/// Why a plan cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such plan.
    #[error("there is no plan {0} here; plan again")]
    Unknown(String),
    /// It cannot be read.
    #[error("cannot read plan {id}: {error}")]
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
    /// A cursor of another plan, or of none.
    #[error("`after` does not fit plan {id}; take it from `next` of the page before, or leave it out")]
    Cursor {
        /// The plan.
        id: PlanId,
    },
    /// The disk.
    #[error("cannot keep the plan: {0}")]
    Io(#[from] io::Error),
}

/// What the planner found out, before it is sealed.
pub(crate) struct Draft {
    pub(crate) destination: Destination,
    pub(crate) base_url: String,
    pub(crate) account: Option<Account>,
    pub(crate) component: PlannedBy,
    pub(crate) mode: PlanMode,
    pub(crate) total: u64,
    pub(crate) spooled: spool::Spooled,
    pub(crate) dropped_fields: Vec<DroppedField>,
    pub(crate) warnings: Vec<String>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) records: Vec<Fingerprint>,
    pub(crate) undoes: Option<RunId>,
}

/// A verified plan. Nothing is written by having one.
#[derive(Clone, Debug)]
pub struct Plan {
    dir: PathBuf,
    header: Header,
}

impl Plan {
    /// Seals a spooled plan and puts it in its place below `plans_dir`. On disk for good it has to be before its first change is
    /// written: see [`Plan::sync`].
    pub(crate) fn seal(draft: Draft, plans_dir: &Path) -> Result<Plan, PlanError> {
        let spooled = draft.spooled;
        let mut header = Header {
            format: FORMAT,
            plan_id: PlanId(String::new()),
            destination: draft.destination,
            base_url: draft.base_url,
            account: draft.account,
            component: draft.component,
            mode: draft.mode,
            total: draft.total,
            writable: spooled.writable,
            skipped: draft.total - spooled.writable,
            skipped_by_reason: spooled.skipped_by_reason,
            fields: spooled.fields,
            dropped_fields: draft.dropped_fields,
            warnings: draft.warnings,
            guards: draft.guards,
            sample: spooled.sample,
            changes_digest: spooled.changes.digest,
            skipped_digest: spooled.skipped.digest,
            records: draft.records,
            undoes: draft.undoes,
            planned_at: jiff::Timestamp::now().to_string(),
            seal: Digest::of(b""),
        };
        header.plan_id = header.id();
        header.seal = header.seal();
        let dir = plans_dir.join(header.plan_id.as_str());
        let put = |dir: &Path| -> io::Result<()> {
            spooled.changes.file.keep_as(&dir.join(CHANGES))?;
            spooled.skipped.file.keep_as(&dir.join(SKIPPED))?;
            write_header(dir, &header)
        };
        // The same plan may be there already: its changes are the same to the byte, only the header is newer.
        if dir.is_dir() {
            put(&dir)?;
        } else {
            let unfinished = spool_file::unfinished_folder(plans_dir)?;
            put(unfinished.path())?;
            match fs::rename(unfinished.path(), &dir) {
                // There is nothing left to remove.
                Ok(()) => drop(unfinished.keep()),
                // Somebody else has made the same plan meanwhile.
                Err(_) if dir.is_dir() => write_header(&dir, &header)?,
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
        for (file, expected) in [(CHANGES, header.changes_digest), (SKIPPED, header.skipped_digest)] {
            let found =
                fs::File::open(dir.join(file)).and_then(digest::of_reader).map_err(|error| unreadable(format!("{file}: {error}")))?;
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
    pub fn skipped_rows(&self) -> Result<impl Iterator<Item = Result<SkippedRows, PlanError>> + use<>, PlanError> {
        let id = self.id().clone();
        let unreadable = move |error: arrow_schema::ArrowError| PlanError::Unreadable { id: id.clone(), error: error.to_string() };
        let rows = spool::read_skipped(&self.dir.join(SKIPPED)).map_err(&unreadable)?;
        Ok(rows.map(move |row| row.map_err(&unreadable)))
    }

    /// Shows every change.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn for_each_change(&self, mut show: impl FnMut(Change<'_>)) -> Result<(), PlanError> {
        let unreadable = |error: arrow_schema::ArrowError| PlanError::Unreadable { id: self.id().clone(), error: error.to_string() };
        for block in read_changes(&self.changes_file()).map_err(unreadable)? {
            let block = block.and_then(|block| Stored::new(&block)).map_err(unreadable)?;
            for index in 0..block.len() {
                show(block.change(index));
            }
        }
        Ok(())
    }

    /// Puts it on disk for good. A plan that a crash has torn is refused by its digests, and made again; a run has to find its own.
    pub(crate) fn sync(&self) -> io::Result<()> {
        for file in [CHANGES, SKIPPED, HEADER] {
            fs::File::open(self.dir.join(file))?.sync_all()?;
        }
        // The names are on disk once the folders are.
        #[cfg(unix)]
        for dir in [Some(self.dir.as_path()), self.dir.parent()].into_iter().flatten() {
            fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    }

    pub(crate) fn changes_file(&self) -> PathBuf {
        self.dir.join(CHANGES)
    }

    /// Whether the golden-record files are still what was planned.
    ///
    /// # Errors
    /// Names the file that is not.
    pub fn check_records(&self) -> Result<(), PlanError> {
        for planned in &self.header.records {
            let stale =
                |what: &str| PlanError::Stale { id: self.id().clone(), what: format!("golden records {} {what}", planned.path.display()) };
            match Fingerprint::of(&planned.path) {
                Ok(now) if now == *planned => {}
                Ok(_) => return Err(stale("have changed since")),
                Err(error) => return Err(stale(&format!("cannot be read any more ({error})"))),
            }
        }
        Ok(())
    }
}

impl Fingerprint {
    /// What a file is now.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Fingerprint> {
        let metadata = fs::metadata(path)?;
        let modified = match metadata.modified()?.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok(Fingerprint { path: path.to_owned(), size: metadata.len(), modified })
    }
}

impl Header {
    /// The likely cause, if there is nothing to write.
    pub fn hint(&self) -> Option<String> {
        if self.writable > 0 {
            return None;
        }
        let of = |is: fn(&str) -> bool| -> u64 { self.skipped_by_reason.iter().filter(|(name, _)| is(name)).map(|(_, rows)| rows).sum() };
        let (no_id, unchanged) = (of(|reason| reason.starts_with("provider_id_")), of(|reason| reason == "unchanged"));
        Some(if self.undoes.is_some() {
            "nothing would be put back: see the reasons above".to_owned()
        } else if self.total == 0 {
            "there are no golden records".to_owned()
        } else if unchanged > 0 && unchanged + no_id == self.total {
            format!("nothing would be written: {unchanged} records hold these values already")
        } else if no_id == self.total {
            let field = self.destination.config_json.get("provider_id_field").and_then(|field| field.as_str()).unwrap_or("provider id");
            format!(
                "nothing would be written: no golden record carries a usable provider id in `{field}`; ingest and resolve the CRM source first, so that its record ids arrive with the records"
            )
        } else {
            "nothing would be written: see the reasons above".to_owned()
        })
    }

    /// Reads all of a plan but its changes, and checks that it was not altered. The changes may have been: only
    /// [`Plan::load`] looks at them.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or was altered.
    pub fn read(plans_dir: &Path, id: &PlanId) -> Result<Header, PlanError> {
        let unreadable = |error: String| PlanError::Unreadable { id: id.clone(), error };
        let tampered = |what| PlanError::Tampered { id: id.clone(), what };
        let text = match fs::read(plans_dir.join(id.as_str()).join(HEADER)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(PlanError::Unknown(id.to_string())),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let header: Header = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if header.format != FORMAT {
            return Err(unreadable(format!("it has format {}, this version reads {FORMAT}", header.format)));
        }
        if header.seal != header.seal() {
            return Err(tampered(HEADER));
        }
        if header.plan_id != *id || header.id() != *id {
            return Err(tampered("plan.json does not belong to this id"));
        }
        Ok(header)
    }

    /// The id that these contents have.
    fn id(&self) -> PlanId {
        let contents = serde_json::json!({
            "format": self.format,
            "destination": self.destination,
            "base_url": self.base_url,
            "account": self.account,
            "component": self.component.digest,
            "mode": self.mode,
            "guards": self.guards,
            "undoes": self.undoes,
            "total": self.total,
            "changes": self.changes_digest,
            "skipped": self.skipped_digest,
        });
        PlanId(format!("plan_{}", &Digest::of(contents.to_string().as_bytes()).hex()[..32]))
    }

    fn seal(&self) -> Digest {
        let unsealed = Header { seal: Digest::of(b""), ..self.clone() };
        Digest::of(&serde_json::to_vec(&unsealed).unwrap_or_default())
    }
}

fn write_header(dir: &Path, header: &Header) -> io::Result<()> {
    // In one piece: a header is made of hundreds.
    spool_file::write_whole(&dir.join(HEADER), &serde_json::to_vec_pretty(header)?)
}
