//! Salesforce's records, and the one way in which each kind of update changes them.

use super::{
    errors::RecordError,
    ids,
    schema::{self, Field},
};
use crate::World;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Salesforce's objects and limits.
pub struct Salesforce {
    /// By API name, such as `Contact`.
    pub objects: BTreeMap<String, SObject>,
    /// The refresh token that is accepted.
    pub refresh_token: String,
    /// A refresh gives a new refresh token, and the old one dies (B10).
    pub rotate_refresh_token: bool,
    /// Scopes of the sessions that its endpoint gives out, with a blank between them (B10).
    pub oauth_scope: String,
    /// Calls of the day.
    pub today: u64,
    /// Jobs of the Bulk API, and how they are worked on.
    pub bulk: super::Bulk,
    pub(super) cursors: super::query::Cursors,
}

/// Records and fields of one object.
pub struct SObject {
    /// Key prefix.
    pub prefix: String,
    /// By API name.
    pub fields: BTreeMap<String, Field>,
    /// By 18-character id.
    pub records: HashMap<String, Record>,
}

/// A record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Values by API name; empty ones are absent.
    pub fields: BTreeMap<String, Value>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970: the last change by a user.
    pub modified: i64,
    /// Milliseconds since 1970: the last change by anybody.
    pub stamped: i64,
    /// In the recycle bin.
    pub deleted: bool,
    /// The record that it was merged into (B11).
    pub master: Option<String>,
    /// A converted lead refuses updates.
    pub converted: bool,
    /// So many updates find the row locked.
    pub locked: u32,
    /// A duplicate rule stops updates of it.
    pub duplicate: bool,
}

impl Salesforce {
    pub(crate) fn new() -> Salesforce {
        let objects = schema::standard().into_iter().map(|(name, prefix, fields)| {
            (
                name.to_owned(),
                SObject { prefix: prefix.to_owned(), fields, records: HashMap::new() },
            )
        });
        Salesforce {
            objects: objects.collect(),
            refresh_token: "test-refresh-token".to_owned(),
            rotate_refresh_token: false,
            oauth_scope: "api refresh_token".to_owned(),
            today: 0,
            bulk: super::Bulk::default(),
            cursors: super::query::Cursors::default(),
        }
    }

    /// A record as it is stored, by either form of its id.
    pub fn record(&self, object: &str, id: &str) -> Option<&Record> {
        self.objects.get(object)?.records.get(&ids::canonical(id)?)
    }

    /// The same, to be changed: locked, converted, deleted …
    pub fn record_mut(&mut self, object: &str, id: &str) -> Option<&mut Record> {
        self.objects.get_mut(object)?.records.get_mut(&ids::canonical(id)?)
    }

    /// A stored value; `None` if it is empty.
    pub fn value(&self, object: &str, id: &str, field: &str) -> Option<&Value> {
        self.record(object, id)?.fields.get(field)
    }

    /// Puts a record there. Checkboxes that are not given are false: they have no null (B6).
    pub fn put(&mut self, object: &str, id: &str, values: &Value) {
        let now = now();
        let fields = values
            .as_object()
            .map(|values| {
                values.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            })
            .unwrap_or_default();
        let mut record =
            Record { fields, created: now, modified: now, stamped: now, ..Record::default() };
        if let (Some(object), Some(id)) = (self.objects.get_mut(object), ids::canonical(id)) {
            for checkbox in
                object.fields.values().filter(|field| field.kind == "boolean" && field.updateable)
            {
                record.fields.entry(checkbox.name.clone()).or_insert(Value::Bool(false));
            }
            object.records.insert(id, record);
        }
    }

    /// Moves a record to the recycle bin.
    pub fn delete(&mut self, object: &str, id: &str) {
        if let Some(record) = self.record_mut(object, id) {
            record.deleted = true;
        }
    }

    /// Merges one record into another: the loser is deleted and knows its master (B11).
    pub fn merge(&mut self, object: &str, kept: &str, lost: &str) {
        let kept = ids::canonical(kept);
        if let Some(record) = self.record_mut(object, lost) {
            record.deleted = true;
            record.master = kept;
        }
    }

    /// Somebody changes a value in the CRM's own page.
    pub fn edit(&mut self, object: &str, id: &str, field: &str, value: Value) {
        if let Some(record) = self.record_mut(object, id) {
            if value.is_null() {
                record.fields.remove(field);
            } else {
                record.fields.insert(field.to_owned(), value);
            }
            record.modified = now();
            record.stamped = record.modified;
        }
    }
}

/// An update that has been checked.
pub(super) struct Checked {
    id: String,
    values: Vec<(String, Value)>,
}

/// Whether a record can take these values. Nothing is changed but the count of a lock.
pub(super) fn check(
    world: &mut World,
    object_name: &str,
    id: &str,
    fields: &Map<String, Value>,
    trim: bool,
) -> Result<Checked, RecordError> {
    let Some(object) = world.salesforce.objects.get_mut(object_name) else {
        return Err(RecordError::new(404, "NOT_FOUND", "The requested resource does not exist"));
    };
    let Some(id) = ids::canonical(id) else {
        return Err(RecordError::new(
            400,
            "MALFORMED_ID",
            format!("{object_name} ID: id value of incorrect type: {id}"),
        )
        .on("Id"));
    };
    if !id.starts_with(&object.prefix) {
        return Err(RecordError::new(
            400,
            "MALFORMED_ID",
            format!("{object_name} ID: id value of incorrect type: {id}"),
        )
        .on("Id"));
    }
    let Some(record) = object.records.get_mut(&id) else {
        return Err(RecordError::new(
            404,
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        ));
    };
    if record.deleted {
        return Err(RecordError::new(404, "ENTITY_IS_DELETED", "entity is deleted"));
    }
    if record.converted {
        return Err(RecordError::new(
            400,
            "CANNOT_UPDATE_CONVERTED_LEAD",
            "cannot reference converted lead",
        ));
    }
    if record.locked > 0 {
        record.locked -= 1;
        let status = if world.config.switches.salesforce_lock_is_500 { 500 } else { 400 };
        return Err(RecordError::new(
            status,
            "UNABLE_TO_LOCK_ROW",
            format!("unable to obtain exclusive access to this record or 1 records: {id}"),
        ));
    }
    if record.duplicate {
        return Err(RecordError::new(400, "DUPLICATES_DETECTED", "Use one of these records?"));
    }
    let values = fields
        .iter()
        .map(|(name, value)| schema::accept(object, object_name, name, value, trim))
        .collect::<Result<_, _>>()?;
    Ok(Checked { id, values })
}

/// Writes a checked update.
pub(super) fn apply(
    world: &mut World,
    object_name: &str,
    checked: Checked,
    said: Map<String, Value>,
) {
    let trigger = world.config.switches.salesforce_trigger;
    if let Some(record) = world
        .salesforce
        .objects
        .get_mut(object_name)
        .and_then(|object| object.records.get_mut(&checked.id))
    {
        for (name, value) in checked.values {
            if value.is_null() {
                record.fields.remove(&name);
            } else {
                record.fields.insert(name, value);
            }
        }
        if trigger && let Some(Value::String(title)) = record.fields.get_mut("Title") {
            *title = title.to_uppercase();
        }
        record.modified = now();
        record.stamped = record.modified;
    }
    world.wrote(object_name, &checked.id, said);
}

impl Record {
    /// The answer's form: only the fields asked for.
    pub(super) fn json(&self, object: &str, id: &str, wanted: &[String]) -> Value {
        let mut answer = Map::new();
        answer.insert(
            "attributes".to_owned(),
            json!({"type": object, "url": format!("/services/data/v67.0/sobjects/{object}/{id}")}),
        );
        for name in wanted {
            let value = match name.to_ascii_lowercase().as_str() {
                "id" => json!(id),
                "createddate" => json!(datetime(self.created)),
                "lastmodifieddate" => json!(datetime(self.modified)),
                "systemmodstamp" => json!(datetime(self.stamped)),
                "isconverted" => json!(self.converted),
                "isdeleted" => json!(self.deleted),
                "masterrecordid" => json!(self.master),
                _ => self
                    .fields
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map_or(Value::Null, |(_, value)| value.clone()),
            };
            answer.insert(name.clone(), value);
        }
        Value::Object(answer)
    }
}

pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// To the second, as the API answers (B6).
pub(super) fn datetime(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string())
        .unwrap_or_default()
}
