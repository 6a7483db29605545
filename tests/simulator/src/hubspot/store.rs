//! HubSpot's records.

use super::properties::{self, Property};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Instant,
};

/// HubSpot's objects and limits.
pub struct HubSpot {
    /// By plural name, such as `contacts`.
    pub objects: BTreeMap<String, Object>,
    /// The refresh token that is accepted.
    pub refresh_token: String,
    /// A refresh gives a new refresh token, and the old one dies. Off: HubSpot answers with the one
    /// it was shown (A10).
    pub rotate_refresh_token: bool,
    /// Scopes of the tokens that the endpoint gives out (A10).
    pub oauth_scopes: Vec<String>,
    /// Calls of the last window.
    pub(super) calls: VecDeque<Instant>,
    /// Searches of the last second.
    pub(super) searches: VecDeque<Instant>,
    /// Calls of the day.
    pub(super) today: u64,
}

/// Records and property definitions of one type.
#[derive(Default)]
pub struct Object {
    /// By internal name.
    pub properties: BTreeMap<String, Property>,
    /// By record id.
    pub records: HashMap<String, Record>,
    /// Ids of records that were merged away, and the record they lead to (A6).
    pub aliases: HashMap<String, String>,
}

/// A record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Values by internal name; cleared ones are absent.
    pub properties: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub updated: i64,
    /// In the recycle bin.
    pub archived: bool,
    /// Past values, newest first: value, milliseconds since 1970, source.
    pub history: BTreeMap<String, Vec<(String, i64, String)>>,
}

/// Names and type ids (A2).
const TYPES: [(&str, &str); 7] = [
    ("contacts", "0-1"),
    ("companies", "0-2"),
    ("deals", "0-3"),
    ("tickets", "0-5"),
    ("products", "0-7"),
    ("line_items", "0-8"),
    ("leads", "0-136"),
];

/// Lists the ids that lead to a record since it was merged (A6).
const MERGED_IDS: &str = "hs_merged_object_ids";

impl Object {
    /// The id of the record with this e-mail address, whose letter case means nothing.
    pub(super) fn with_email(&self, address: &str) -> Option<&str> {
        let has = |record: &Record| {
            record.properties.get("email").is_some_and(|email| email.eq_ignore_ascii_case(address))
        };
        self.records
            .iter()
            .find(|(_, record)| !record.archived && has(record))
            .map(|(id, _)| id.as_str())
    }
}

impl HubSpot {
    pub(crate) fn new() -> HubSpot {
        let objects = TYPES.iter().map(|(name, _)| {
            (
                (*name).to_owned(),
                Object { properties: properties::standard(name), ..Object::default() },
            )
        });
        HubSpot {
            objects: objects.collect(),
            refresh_token: "test-refresh-token".to_owned(),
            rotate_refresh_token: false,
            oauth_scopes: ["crm.objects.contacts.read", "crm.objects.contacts.write", "oauth"]
                .map(str::to_owned)
                .to_vec(),
            calls: VecDeque::new(),
            searches: VecDeque::new(),
            today: 0,
        }
    }

    pub(super) fn object_type(&self, name: &str) -> Option<String> {
        let named = TYPES.iter().find(|(_, id)| *id == name).map_or(name, |(named, _)| named);
        self.objects.contains_key(named).then(|| named.to_owned())
    }

    /// A record as it is stored.
    pub fn record(&self, object: &str, id: &str) -> Option<&Record> {
        self.objects.get(object)?.records.get(id)
    }

    /// A stored value; `None` if it is empty.
    pub fn value(&self, object: &str, id: &str, property: &str) -> Option<&str> {
        self.record(object, id)?.properties.get(property).map(String::as_str)
    }

    /// Puts a record there, with these values and whatever a new record has.
    pub fn put(&mut self, object: &str, id: &str, values: &Value) {
        let now = now();
        let mut record = Record { created: now, updated: now, ..Record::default() };
        for (name, value) in values.as_object().unwrap_or(&Map::new()) {
            if let Some(text) = value.as_str() {
                record.properties.insert(name.clone(), text.to_owned());
                record
                    .history
                    .insert(name.clone(), vec![(text.to_owned(), now, "CRM_UI".to_owned())]);
            }
        }
        record.properties.insert("hs_object_id".to_owned(), id.to_owned());
        record.properties.insert("createdate".to_owned(), iso(now));
        record.properties.insert(modified_property(object).to_owned(), iso(now));
        self.objects.entry(object.to_owned()).or_default().records.insert(id.to_owned(), record);
    }

    /// Moves a record to the recycle bin.
    pub fn archive(&mut self, object: &str, id: &str) {
        if let Some(record) =
            self.objects.get_mut(object).and_then(|object| object.records.get_mut(id))
        {
            record.archived = true;
        }
    }

    /// Merges two records into a new one, to which both ids lead from then on (A6). The new id.
    pub fn merge(&mut self, object: &str, kept: &str, lost: &str) -> Option<String> {
        let object_name = object.to_owned();
        let object = self.objects.get_mut(object)?;
        let mut record = object.records.remove(kept)?;
        let other = object.records.remove(lost)?;
        let merged_before: Vec<String> =
            [record.properties.get(MERGED_IDS), other.properties.get(MERGED_IDS)]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
        for (name, value) in other.properties {
            record.properties.entry(name).or_insert(value);
        }
        let new = (kept.parse::<u64>().ok()?.max(lost.parse().ok()?) + 900_000_000_000).to_string();
        record.properties.insert("hs_object_id".to_owned(), new.clone());
        let merged = merged_before
            .iter()
            .map(String::as_str)
            .chain([kept, lost])
            .collect::<Vec<_>>()
            .join(";");
        record.properties.insert(MERGED_IDS.to_owned(), merged);
        record.updated = now();
        record.properties.insert(modified_property(&object_name).to_owned(), iso(record.updated));
        for target in
            object.aliases.values_mut().filter(|target| *target == kept || *target == lost)
        {
            target.clone_from(&new);
        }
        object.aliases.insert(kept.to_owned(), new.clone());
        object.aliases.insert(lost.to_owned(), new.clone());
        object.records.insert(new.clone(), record);
        Some(new)
    }

    /// Somebody changes a value in the CRM's own page.
    pub fn edit(&mut self, object: &str, id: &str, property: &str, value: &str) {
        if let Some(record) =
            self.objects.get_mut(object).and_then(|object| object.records.get_mut(id))
        {
            record.set(property, value, modified_property(object), "CRM_UI", true);
        }
    }
}

impl Record {
    /// Sets a value; an empty one clears it. The date moves when something changes, or always.
    pub(super) fn set(
        &mut self,
        property: &str,
        value: &str,
        modified: &str,
        source: &str,
        keep_date_if_same: bool,
    ) {
        let before = self.properties.get(property).map_or("", String::as_str);
        if before == value && keep_date_if_same {
            return;
        }
        if before != value {
            self.history
                .entry(property.to_owned())
                .or_default()
                .insert(0, (value.to_owned(), now(), source.to_owned()));
        }
        if value.is_empty() {
            self.properties.remove(property);
        } else {
            self.properties.insert(property.to_owned(), value.to_owned());
        }
        self.updated = now();
        self.properties.insert(modified.to_owned(), iso(self.updated));
    }

    /// The answer's form: only the properties asked for (A3, A4).
    pub(super) fn json(&self, id: &str, wanted: &[String], history: &[String]) -> Value {
        let properties: Map<String, Value> = wanted
            .iter()
            .map(|name| {
                (name.clone(), self.properties.get(name).map_or(Value::Null, |value| json!(value)))
            })
            .collect();
        let mut record = json!({
            "id": id, "properties": properties, "createdAt": iso(self.created), "updatedAt": iso(self.updated), "archived": self.archived,
        });
        if !history.is_empty() {
            let entries = |name: &String| -> Vec<Value> {
                let past = self.history.get(name).map_or(&[][..], Vec::as_slice);
                // The app that writes has its own source id; people have another (A11).
                let source_id =
                    |source: &str| if source == "INTEGRATION" { "1111" } else { "userId:33" };
                past.iter()
                    .map(|(value, at, source)| {
                        json!({"value": value, "timestamp": iso(*at), "sourceType": source, "sourceId": source_id(source)})
                    })
                    .collect()
            };
            record["propertiesWithHistory"] = history
                .iter()
                .map(|name| (name.clone(), Value::from(entries(name))))
                .collect::<Map<_, _>>()
                .into();
        }
        record
    }
}

/// Contacts have their own name for the modified date (A11).
pub(super) fn modified_property(object: &str) -> &'static str {
    if object == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
}

pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// With milliseconds and `Z`.
pub(super) fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}
