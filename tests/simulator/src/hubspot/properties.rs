//! Property definitions, and what values they accept (A8).

use super::{
    errors::{self, Invalid},
    store::{Object, iso, now},
};
use crate::{Switches, World, message::Answer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longest text (A8).
const MAX_TEXT: usize = 65_536;
/// Stages of `lifecyclestage`, in order.
const STAGES: [&str; 8] = [
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];

/// A property definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Property {
    /// Internal name.
    pub name: String,
    /// What people see.
    pub label: String,
    /// `string`, `number`, `bool`, `enumeration`, `date`, `datetime`, `phone_number`.
    pub kind: String,
    /// `text`, `select`, `checkbox` (several options), `booleancheckbox` …
    pub field: String,
    /// Label and internal value.
    #[serde(default)]
    pub options: Vec<(String, String)>,
    /// Its value cannot be set.
    #[serde(default)]
    pub read_only: bool,
    /// HubSpot computes it.
    #[serde(default)]
    pub calculated: bool,
    /// Its options come from elsewhere.
    #[serde(default)]
    pub external_options: bool,
    /// No two records may have the same value.
    #[serde(default)]
    pub unique: bool,
    /// The portal's own; its definition has no `modificationMetadata`, which is optional for these.
    #[serde(default)]
    pub custom: bool,
}

impl Property {
    /// A property of this type.
    pub fn new(name: &str, kind: &str, field: &str) -> Property {
        let label = name.replace('_', " ");
        Property {
            name: name.to_owned(),
            label,
            kind: kind.to_owned(),
            field: field.to_owned(),
            options: vec![],
            read_only: false,
            calculated: false,
            external_options: false,
            unique: false,
            custom: false,
        }
    }

    fn options(mut self, options: &[(&str, &str)]) -> Property {
        self.options = options
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect();
        self
    }

    /// How a value is stored; `None` if it is ignored. A leading `;` adds to the options that are
    /// there.
    pub(super) fn stored(&self, text: &str, before: &str) -> Option<String> {
        if self.name == "lifecyclestage" && moves_backwards(before, text) {
            return None;
        }
        if self.name == "email" {
            return Some(text.to_lowercase());
        }
        if self.field == "checkbox"
            && let Some(added) = text.strip_prefix(';')
        {
            let mut all: Vec<&str> =
                before.split(';').filter(|option| !option.is_empty()).collect();
            all.extend(added.split(';').filter(|option| {
                !option.is_empty() && !before.split(';').any(|there| there == *option)
            }));
            return Some(all.join(";"));
        }
        match self.kind.as_str() {
            "date" if !text.is_empty() => Some(date(text).unwrap_or_else(|| text.to_owned())),
            "datetime" if !text.is_empty() => {
                Some(datetime(text).unwrap_or_else(|| text.to_owned()))
            }
            _ => Some(text.to_owned()),
        }
    }

    fn json(&self) -> Value {
        let options: Vec<Value> = self
            .options
            .iter()
            .enumerate()
            .map(|(n, (label, value))| json!({"label": label, "value": value, "displayOrder": n, "hidden": false}))
            .collect();
        let mut property = json!({
            "name": self.name, "label": self.label, "type": self.kind, "fieldType": self.field, "groupName": "information", "description": "", "options": options,
            "calculated": self.calculated, "externalOptions": self.external_options, "hasUniqueValue": self.unique, "hidden": false,
            "hubspotDefined": !self.custom, "formField": true, "archived": false,
        });
        if !self.custom {
            property["modificationMetadata"] = json!({"archivable": false, "readOnlyDefinition": true, "readOnlyValue": self.read_only, "readOnlyOptions": false});
        }
        property
    }
}

fn moves_backwards(before: &str, after: &str) -> bool {
    let stage = |name: &str| STAGES.iter().position(|stage| *stage == name);
    matches!((stage(before), stage(after)), (Some(before), Some(after)) if after < before)
}

/// Whether a value is accepted; what is wrong with it otherwise.
pub(super) fn check(
    object: &Object,
    id: &str,
    name: &str,
    value: &Value,
    switches: Switches,
) -> Option<Invalid> {
    let invalid =
        |code, message: String| Some(Invalid { property: name.to_owned(), code, message });
    let Some(property) = object.properties.get(name) else {
        return invalid("PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist"));
    };
    if property.calculated {
        return invalid(
            "READ_ONLY_VALUE",
            format!("\"{name}\" is a calculated property; its value cannot be set."),
        );
    }
    if property.read_only {
        return invalid(
            "READ_ONLY_VALUE",
            format!("\"{name}\" is a read only property; its value cannot be set."),
        );
    }
    // All values are sent as strings (A3).
    let Some(text) = value.as_str() else {
        return invalid("INVALID_STRING", format!("{value} was not a valid string."));
    };
    if text.is_empty() {
        return None;
    }
    if text.chars().count() > MAX_TEXT {
        return invalid(
            "INVALID_STRING",
            format!("the value is longer than {MAX_TEXT} characters"),
        );
    }
    if property.unique
        && object.records.iter().any(|(other, record)| {
            other != id && record.properties.get(name).is_some_and(|there| there == text)
        })
    {
        return invalid(
            "CONFLICTING_UNIQUE_VALUE",
            format!("{name} already has that value on another record"),
        );
    }
    match property.kind.as_str() {
        "number"
            if text.parse::<f64>().is_err()
                || text.contains(|character: char| !matches!(character, '0'..='9' | '.' | '-')) =>
        {
            invalid("INVALID_LONG", format!("{text} was not a valid long."))
        }
        "bool" if !matches!(text, "true" | "false") => {
            invalid("INVALID_OPTION", option_message(text, property))
        }
        "date" if date(text).is_none() => invalid(
            "INVALID_DATE",
            format!("{text} was not a valid date: not midnight UTC or not parsable"),
        ),
        "datetime" if datetime(text).is_none() => {
            invalid("INVALID_DATE", format!("{text} was not a valid date."))
        }
        "enumeration" if !property.external_options => {
            let allowed = |option: &str| property.options.iter().any(|(_, value)| value == option);
            let unknown = if property.field == "checkbox" {
                text.trim_start_matches(';').split(';').find(|option| !allowed(option))
            } else {
                Some(text).filter(|text| !allowed(text))
            };
            if let Some(option) = unknown {
                return invalid("INVALID_OPTION", option_message(option, property));
            }
            let before = object
                .records
                .get(id)
                .and_then(|record| record.properties.get(name))
                .map_or("", String::as_str);
            if name == "lifecyclestage"
                && switches.hubspot_backwards_is_error
                && moves_backwards(before, text)
            {
                return invalid(
                    "INVALID_LIFECYCLE_STAGE",
                    format!("{name} cannot move backwards from {before} to {text}"),
                );
            }
            None
        }
        _ if name == "email" && !is_email(text) => {
            invalid("INVALID_EMAIL", format!("Email address {text} is invalid"))
        }
        _ => None,
    }
}

fn option_message(value: &str, property: &Property) -> String {
    let options: Vec<String> = property
        .options
        .iter()
        .map(|(label, value)| format!("label: \"{label}\" value: \"{value}\""))
        .collect();
    format!("{value} was not one of the allowed options: [{}]", options.join(", "))
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    })
}

/// `YYYY-MM-DD`, or milliseconds at midnight UTC.
fn date(text: &str) -> Option<String> {
    if let Ok(ms) = text.parse::<i64>() {
        let at = jiff::Timestamp::from_millisecond(ms).ok()?;
        return (ms % 86_400_000 == 0).then(|| at.strftime("%Y-%m-%d").to_string());
    }
    (text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()).then(|| text.to_owned())
}

/// ISO 8601 with a zone, or milliseconds; stored as ISO with milliseconds and `Z`.
fn datetime(text: &str) -> Option<String> {
    let at = match text.parse::<i64>() {
        Ok(ms) => jiff::Timestamp::from_millisecond(ms).ok()?,
        Err(_) => text.parse::<jiff::Timestamp>().ok()?,
    };
    Some(iso(at.as_millisecond()))
}

/// What a portal has from the start.
pub(super) fn standard(object: &str) -> BTreeMap<String, Property> {
    let mut all = Vec::new();
    let mut texts =
        |names: &[&str]| all.extend(names.iter().map(|name| Property::new(name, "string", "text")));
    match object {
        "contacts" => texts(&[
            "firstname",
            "lastname",
            "email",
            "phone",
            "company",
            "city",
            "jobtitle",
            "address",
            "zip",
            "state",
            "country",
            "website",
        ]),
        "companies" => texts(&["name", "domain", "city", "phone", "industry", "zip", "country"]),
        "deals" => texts(&["dealname", "description"]),
        "tickets" => texts(&["subject", "content"]),
        _ => texts(&["name", "description"]),
    }
    all.push(Property::new("annualrevenue", "number", "number"));
    all.push(Property::new("birthday", "date", "date"));
    all.push(Property::new("last_meeting", "datetime", "date"));
    all.push(
        Property::new("newsletter", "bool", "booleancheckbox")
            .options(&[("Yes", "true"), ("No", "false")]),
    );
    all.push(Property::new("lifecyclestage", "enumeration", "radio").options(&[
        ("Subscriber", "subscriber"),
        ("Lead", "lead"),
        ("Marketing Qualified Lead", "marketingqualifiedlead"),
        ("Sales Qualified Lead", "salesqualifiedlead"),
        ("Opportunity", "opportunity"),
        ("Customer", "customer"),
        ("Evangelist", "evangelist"),
        ("Other", "other"),
    ]));
    all.push(Property::new("hs_lead_status", "enumeration", "select").options(&[
        ("New", "NEW"),
        ("Open", "OPEN"),
        ("In progress", "IN_PROGRESS"),
    ]));
    let colours = Property::new("favourite_colour", "enumeration", "checkbox").options(&[
        ("Red", "red"),
        ("Blue", "blue"),
        ("Green", "green"),
    ]);
    all.push(Property { custom: true, ..colours });
    all.push(Property {
        external_options: true,
        ..Property::new("hubspot_owner_id", "enumeration", "select")
    });
    all.push(Property {
        unique: true,
        custom: true,
        ..Property::new("customer_number", "string", "text")
    });
    all.push(Property {
        calculated: true,
        ..Property::new("days_to_close", "number", "calculation_equation")
    });
    for name in [
        "hs_object_id",
        "hs_merged_object_ids",
        "createdate",
        "lastmodifieddate",
        "hs_lastmodifieddate",
        "hs_createdate",
        "num_notes",
    ] {
        all.push(Property { read_only: true, ..Property::new(name, "string", "text") });
    }
    all.into_iter().map(|property| (property.name.clone(), property)).collect()
}

/// `GET /crm/v3/properties/{object}`.
pub(super) fn list(world: &World, object: &str) -> Answer {
    let properties: Vec<Value> =
        world.hubspot.objects[object].properties.values().map(Property::json).collect();
    Answer::json(200, &json!({"results": properties}))
}

/// `GET /crm/v3/properties/{object}/{name}`.
pub(super) fn one(world: &World, object: &str, name: &str) -> Answer {
    match world.hubspot.objects[object].properties.get(name) {
        Some(property) => Answer::json(200, &property.json()),
        None => errors::whole(
            404,
            &format!("Property \"{name}\" does not exist"),
            Some("OBJECT_NOT_FOUND"),
        ),
    }
}

/// `POST /crm/v3/properties/{object}/batch/read`.
pub(super) fn batch_read(world: &World, object: &str, body: &Value) -> Answer {
    let known = &world.hubspot.objects[object].properties;
    let inputs = body.get("inputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let found: Vec<Value> = inputs
        .iter()
        .filter_map(|input| known.get(input.get("name")?.as_str()?))
        .map(Property::json)
        .collect();
    let at = iso(now());
    Answer::json(
        200,
        &json!({"status": "COMPLETE", "results": found, "startedAt": at, "completedAt": at}),
    )
}
