//! All of a plan but its changes: what it is for, what it adds up to, and the digests that hold it
//! together.

use super::{
    PlanError, PlanMode, spool,
    spool_file::{SpoolFile, write_whole},
};
use crate::{
    destination::Destination,
    digest::Digest,
    guards::Guard,
    ids::{Account, PlanId, RunId},
    mistakes::{listed, nearest},
    records::Fingerprint,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, fs, io, path::Path};

pub(super) const HEADER: &str = "plan.json";
/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// One of the changes shown to the person who confirms.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SampleChange {
    /// The CRM's record id.
    pub provider_id: String,
    /// The values as they will be written.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: Box<RawValue>,
    /// The values that the CRM held while planning, if somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, nullable = false))]
    pub before: Option<Box<RawValue>>,
}

/// A column that is not written for any record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DroppedField {
    /// Its name.
    pub name: String,
    /// A snake_case code, such as `read_only`.
    pub reason: String,
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
    /// The account that it was made with and is to be written to. `None` if nobody has asked, as
    /// offline, or nobody knows.
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
    /// Fields whose values were made of lists, without knowing whether they take several. The run
    /// finds out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<String>,
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
    pub(crate) joined: Vec<String>,
    pub(crate) records: Vec<Fingerprint>,
    pub(crate) undoes: Option<RunId>,
}

impl Header {
    /// The header of a draft, under the id and with the seal that its contents have; and the files
    /// of its changes and skipped rows.
    pub(super) fn of(draft: Draft) -> (Header, SpoolFile, SpoolFile) {
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
            joined: draft.joined,
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
        (header, spooled.changes.file, spooled.skipped.file)
    }

    /// Writes it into the plan's folder, whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        // In one piece: a header is made of hundreds.
        write_whole(&dir.join(HEADER), &serde_json::to_vec_pretty(self)?)
    }

    /// The likely cause, if there is nothing to write.
    pub fn hint(&self) -> Option<String> {
        if self.writable > 0 {
            return None;
        }
        let of = |is: fn(&str) -> bool| -> u64 {
            self.skipped_by_reason.iter().filter(|(name, _)| is(name)).map(|(_, rows)| rows).sum()
        };
        let (no_id, unchanged) =
            (of(|reason| reason.starts_with("provider_id_")), of(|reason| reason == "unchanged"));
        Some(if self.undoes.is_some() {
            "nothing would be put back: see the reasons above".to_owned()
        } else if self.total == 0 {
            "there are no golden records".to_owned()
        } else if unchanged > 0 && unchanged + no_id == self.total {
            format!("nothing would be written: {unchanged} records hold these values already")
        } else if no_id == self.total {
            if let Some(no_column) = self.no_id_column() {
                let end = if no_column.ends_with('?') { "" } else { "." };
                return Some(format!(
                    "nothing would be written: {no_column}{end} If another column holds the CRM's record ids, name it in `provider_id_field`; else ingest and resolve the CRM source first, so that its record ids arrive with the records"
                ));
            }
            let field = self.id_column();
            format!(
                "nothing would be written: no golden record carries a usable provider id in `{field}`; ingest and resolve the CRM source first, so that its record ids arrive with the records"
            )
        } else {
            "nothing would be written: see the reasons above".to_owned()
        })
    }

    /// The column that holds the record ids.
    fn id_column(&self) -> &str {
        let column = self.destination.config_json.get("provider_id_field");
        column.and_then(|column| column.as_str()).unwrap_or("provider id")
    }

    /// That no golden record has the column that holds the ids, and which columns there are.
    pub fn no_id_column(&self) -> Option<String> {
        let without = self.skipped_by_reason.get("provider_id_missing");
        if self.total == 0 || without != Some(&self.total) {
            return None;
        }
        let field = self.id_column();
        // Nothing is written of them, so those that are not dropped are those that `fields` names.
        let missing = |name: &str| {
            let mut dropped = self.dropped_fields.iter();
            dropped.any(|dropped| dropped.name == name && dropped.reason == "not_in_records")
        };
        let named: Vec<&str> = match self.destination.config_json.get("fields") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::Object(names)) => names.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let dropped = self.dropped_fields.iter().map(|dropped| dropped.name.as_str());
        let mut columns: Vec<&str> = dropped.chain(named).filter(|name| !missing(name)).collect();
        columns.sort_unstable();
        columns.dedup();
        let plain = |name: &str| name.to_lowercase().replace(['_', ' ', '-'], "");
        let meant = nearest(field, columns.iter().copied()).or_else(|| {
            let mut ids = columns.iter().filter(|name| plain(name).ends_with("id"));
            ids.next().filter(|_| ids.next().is_none()).copied()
        });
        let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        let more = match columns.len() {
            0..=20 => "",
            _ => ", …",
        };
        columns.truncate(20);
        let columns = match columns.as_slice() {
            [] => String::new(),
            columns => format!(", only {}{more}", listed(columns)),
        };
        Some(format!("the golden records have no column `{field}`{columns}{meant}"))
    }

    /// Reads all of a plan but its changes, and checks that it was not altered. The changes may
    /// have been: only [`Plan::load`](super::Plan::load) looks at them.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or was altered.
    pub fn read(plans_dir: &Path, id: &PlanId) -> Result<Header, PlanError> {
        let unreadable = |error: String| PlanError::Unreadable { id: id.clone(), error };
        let tampered = |what| PlanError::Tampered { id: id.clone(), what };
        let text = match fs::read(plans_dir.join(id.as_str()).join(HEADER)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlanError::Unknown(id.to_string()));
            }
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let header: Header =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if header.format != FORMAT {
            return Err(unreadable(format!(
                "it has format {}, this version reads {FORMAT}",
                header.format
            )));
        }
        if header.seal != header.seal() {
            return Err(tampered(HEADER));
        }
        if header.plan_id != *id || header.id() != *id {
            return Err(tampered("plan.json does not belong to this id"));
        }
        Ok(header)
    }

    /// See [`crate::fuzzing`].
    #[cfg(fuzzing)]
    pub(super) fn reseal(
        plans_dir: &Path,
        header: &[u8],
        changes: &[u8],
        skipped: &[u8],
    ) -> Option<PlanId> {
        let mut header: Header = serde_json::from_slice(header).ok()?;
        (header.changes_digest, header.skipped_digest) = (Digest::of(changes), Digest::of(skipped));
        header.plan_id = header.id();
        header.seal = header.seal();
        let dir = plans_dir.join(header.plan_id.as_str());
        fs::create_dir_all(&dir).ok()?;
        fs::write(dir.join(spool::CHANGES), changes).ok()?;
        fs::write(dir.join(spool::SKIPPED), skipped).ok()?;
        fs::write(dir.join(HEADER), serde_json::to_vec(&header).ok()?).ok()?;
        Some(header.plan_id)
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
            "joined": self.joined,
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
