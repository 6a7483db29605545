//! Fields, what values they accept, and describe (B2, B6).

use super::{
    errors::{self, RecordError},
    ids,
    store::SObject,
};
use crate::{World, message::Answer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Values of a multi-select (B5).
const MAX_ENUM_VALUES: usize = 100;

/// A field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Field {
    /// API name.
    pub name: String,
    /// What people see; error texts use it.
    pub label: String,
    /// `string`, `email`, `boolean`, `double`, `currency`, `date`, `datetime`, `picklist`,
    /// `multipicklist`, `reference` …
    pub kind: String,
    /// Longest text.
    #[serde(default)]
    pub length: usize,
    /// Decimals kept; more are cut off silently.
    #[serde(default)]
    pub scale: usize,
    /// Digits before and after the point.
    #[serde(default)]
    pub precision: usize,
    /// Whether an update may set it.
    pub updateable: bool,
    /// Whether it may be empty.
    pub nillable: bool,
    /// Allowed values.
    #[serde(default)]
    pub picklist: Vec<String>,
    /// Other values are refused; otherwise they are stored as they are.
    #[serde(default)]
    pub restricted: bool,
    /// Whether this user sees it (field-level security).
    pub visible: bool,
}

impl Field {
    /// A field of this type.
    pub fn new(name: &str, label: &str, kind: &str) -> Field {
        Field {
            name: name.to_owned(),
            label: label.to_owned(),
            kind: kind.to_owned(),
            length: 255,
            scale: 0,
            precision: 18,
            updateable: true,
            nillable: true,
            picklist: vec![],
            restricted: false,
            visible: true,
        }
    }

    /// What is stored, or why it is refused.
    pub(super) fn accept(&self, value: &Value, trim: bool) -> Result<Value, RecordError> {
        let parse_error = || {
            let message = format!(
                "Cannot deserialize instance of {} from {} value {value} or request may be missing a required field at [line:1, column:18]",
                self.kind,
                kind_of(value)
            );
            RecordError::new(400, "JSON_PARSER_ERROR", message)
        };
        if value.is_null() {
            if !self.nillable {
                return Err(RecordError::new(
                    400,
                    "REQUIRED_FIELD_MISSING",
                    format!("Required fields are missing: [{}]", self.name),
                )
                .on(&self.name));
            }
            return if self.kind == "boolean" { Err(parse_error()) } else { Ok(Value::Null) };
        }
        match self.kind.as_str() {
            "boolean" => value.is_boolean().then(|| value.clone()).ok_or_else(parse_error),
            "int" => value.as_i64().map(Value::from).ok_or_else(parse_error),
            "double" | "currency" | "percent" => {
                let number = value.as_f64().ok_or_else(parse_error)?;
                if number.abs() >= 10f64.powi((self.precision - self.scale) as i32) {
                    return Err(RecordError::new(
                        400,
                        "NUMBER_OUTSIDE_VALID_RANGE",
                        format!(
                            "{}: value outside of valid range on numeric field: {value}",
                            self.label
                        ),
                    )
                    .on(&self.name));
                }
                Ok(json!(truncated(number, self.scale)))
            }
            "date" => {
                let text = value
                    .as_str()
                    .filter(|text| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok());
                text.map(Value::from).ok_or_else(parse_error)
            }
            "datetime" => {
                let at = value
                    .as_str()
                    .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                    .ok_or_else(parse_error)?;
                Ok(json!(at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()))
            }
            _ => self.accept_text(value.as_str().ok_or_else(parse_error)?, trim),
        }
    }

    fn accept_text(&self, text: &str, trim: bool) -> Result<Value, RecordError> {
        // Text is trimmed on both ends; what is empty then is null (B2).
        let text = if trim { text.trim() } else { text };
        if text.is_empty() {
            return self.accept(&Value::Null, trim);
        }
        if text.chars().count() > self.length {
            let start: String = text.chars().take(30).collect();
            return Err(RecordError::new(
                400,
                "STRING_TOO_LONG",
                format!(
                    "{}: data value too large: {start} (max length={})",
                    self.label, self.length
                ),
            )
            .on(&self.name));
        }
        // Matched whatever its case, and stored as it is defined.
        let known =
            |value: &str| self.picklist.iter().find(|option| option.eq_ignore_ascii_case(value));
        match self.kind.as_str() {
            "email"
                if !text
                    .split_once('@')
                    .is_some_and(|(name, host)| !name.is_empty() && host.contains('.')) =>
            {
                Err(RecordError::new(
                    400,
                    "INVALID_EMAIL_ADDRESS",
                    format!("{}: invalid email address: {text}", self.label),
                )
                .on(&self.name))
            }
            "picklist" => match known(text) {
                None if self.restricted => Err(self.bad_picklist(text)),
                found => Ok(json!(found.map_or(text, String::as_str))),
            },
            "multipicklist" if text.split(';').count() > MAX_ENUM_VALUES => Err(RecordError::new(
                400,
                "TOO_MANY_ENUM_VALUE",
                format!("{}: too many values", self.label),
            )
            .on(&self.name)),
            "multipicklist" if self.restricted => {
                match text.split(';').find(|value| known(value).is_none()) {
                    Some(bad) => Err(self.bad_picklist(bad)),
                    None => Ok(json!(text)),
                }
            }
            "reference" => ids::canonical(text).map(Value::from).ok_or_else(|| {
                RecordError::new(
                    400,
                    "MALFORMED_ID",
                    format!("{}: id value of incorrect type: {text}", self.label),
                )
                .on(&self.name)
            }),
            _ => Ok(json!(text)),
        }
    }

    fn bad_picklist(&self, value: &str) -> RecordError {
        RecordError::new(
            400,
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            format!("{}: bad value for restricted picklist field: {value}", self.label),
        )
        .on(&self.name)
    }

    /// The type that Bulk's errors and describe call it.
    pub(super) fn xsd(&self) -> &'static str {
        match self.kind.as_str() {
            "boolean" => "xsd:boolean",
            "int" => "xsd:int",
            "double" | "currency" | "percent" => "xsd:double",
            "date" => "xsd:date",
            "datetime" => "xsd:dateTime",
            "id" | "reference" => "tns:ID",
            _ => "xsd:string",
        }
    }

    fn json(&self) -> Value {
        let values: Vec<Value> = self
            .picklist
            .iter()
            .map(|value| json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value}))
            .collect();
        json!({
            "name": self.name, "label": self.label, "type": self.kind, "updateable": self.updateable, "createable": self.updateable, "nillable": self.nillable,
            "calculated": false, "autoNumber": false, "length": self.length, "precision": self.precision, "scale": self.scale, "digits": 0,
            "restrictedPicklist": self.restricted, "dependentPicklist": false, "controllerName": null, "picklistValues": values,
            "unique": false, "externalId": false, "idLookup": false, "caseSensitive": false, "encrypted": false, "compoundFieldName": null,
            "referenceTo": [], "relationshipName": null, "defaultedOnCreate": false, "custom": self.name.ends_with("__c"), "soapType": self.xsd(),
        })
    }
}

/// Decimals beyond the scale are cut off, digit by digit: a product of floats would lose some that
/// were not too many.
fn truncated(number: f64, scale: usize) -> f64 {
    let text = number.to_string();
    let cut = text
        .split_once('.')
        .and_then(|(whole, decimals)| format!("{whole}.{}", decimals.get(..scale)?).parse().ok());
    // Without a minus before zero.
    cut.unwrap_or(number) + 0.0
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "VALUE_STRING",
        Value::Bool(true) => "VALUE_TRUE",
        Value::Bool(false) => "VALUE_FALSE",
        Value::Number(_) => "VALUE_NUMBER",
        Value::Null => "VALUE_NULL",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// What a name and value come to for an object: the field's stored form.
pub(super) fn accept(
    object: &SObject,
    object_name: &str,
    name: &str,
    value: &Value,
    trim: bool,
) -> Result<(String, Value), RecordError> {
    let field =
        object.fields.values().find(|field| field.name.eq_ignore_ascii_case(name) && field.visible);
    let Some(field) = field else {
        return Err(RecordError::new(
            400,
            "INVALID_FIELD",
            format!("No such column '{name}' on sobject of type {object_name}"),
        ));
    };
    if !field.updateable {
        let message = format!(
            "Unable to create/update fields: {name}. Please check the security settings of this field and verify that it is read/write for your profile or permission set."
        );
        return Err(RecordError::new(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message).on(name));
    }
    Ok((field.name.clone(), field.accept(value, trim)?))
}

/// What an org has from the start: name, key prefix, fields.
pub(super) fn standard() -> Vec<(&'static str, &'static str, BTreeMap<String, Field>)> {
    let text = |name: &str, label: &str, length: usize| Field {
        length,
        ..Field::new(name, label, "string")
    };
    let picklist = |name: &str, label: &str, restricted: bool, values: &[&str]| Field {
        restricted,
        picklist: values.iter().map(|value| (*value).to_owned()).collect(),
        ..Field::new(name, label, "picklist")
    };
    let person = || {
        vec![
            text("FirstName", "First Name", 40),
            Field { nillable: false, ..text("LastName", "Last Name", 80) },
            Field { length: 80, ..Field::new("Email", "Email", "email") },
            Field { length: 40, ..Field::new("Phone", "Phone", "phone") },
            text("Title", "Title", 128),
            Field::new("DoNotCall", "Do Not Call", "boolean"),
            picklist("LeadSource", "Lead Source", false, &["Web", "Partner", "Other"]),
        ]
    };
    let mut contact = person();
    contact.extend([
        text("MailingCity", "Mailing City", 40),
        text("Department", "Department", 80),
        Field::new("Birthdate", "Birthdate", "date"),
        Field::new("LastMeeting__c", "Last Meeting", "datetime"),
        Field { scale: 2, ..Field::new("Discount__c", "Discount", "double") },
        picklist("Level__c", "Level", true, &["Primary", "Secondary", "Tertiary"]),
        Field {
            kind: "multipicklist".to_owned(),
            ..picklist("Languages__c", "Languages", true, &["German", "English", "French"])
        },
        Field::new("AccountId", "Account ID", "reference"),
        Field { visible: false, ..text("Secret__c", "Secret", 255) },
        Field { updateable: false, ..text("Name", "Full Name", 121) },
    ]);
    let mut lead = person();
    lead.extend([
        text("Company", "Company", 255),
        text("City", "City", 40),
        Field { updateable: false, ..Field::new("IsConverted", "Converted", "boolean") },
    ]);
    let account = vec![
        Field { nillable: false, ..text("Name", "Account Name", 255) },
        picklist("Rating", "Account Rating", true, &["Hot", "Warm", "Cold"]),
        Field { scale: 2, ..Field::new("AnnualRevenue", "Annual Revenue", "currency") },
        text("BillingCity", "Billing City", 40),
        text("Industry", "Industry", 255),
    ];
    let opportunity = vec![
        text("Name", "Name", 120),
        Field::new("CloseDate", "Close Date", "date"),
        Field { scale: 2, ..Field::new("Amount", "Amount", "currency") },
    ];
    let system = [
        ("Id", "id"),
        ("CreatedDate", "datetime"),
        ("LastModifiedDate", "datetime"),
        ("SystemModstamp", "datetime"),
        ("IsDeleted", "boolean"),
        ("CreatedById", "reference"),
        ("LastModifiedById", "reference"),
        ("MasterRecordId", "reference"),
    ];
    [
        ("Contact", "003", contact),
        ("Lead", "00Q", lead),
        ("Account", "001", account),
        ("Opportunity", "006", opportunity),
    ]
    .into_iter()
    .map(|(name, prefix, fields)| {
        let system = system
            .iter()
            .map(|(name, kind)| Field { updateable: false, ..Field::new(name, name, kind) });
        (
            name,
            prefix,
            fields.into_iter().chain(system).map(|field| (field.name.clone(), field)).collect(),
        )
    })
    .collect()
}

/// Which objects can be merged (B11).
pub(super) fn is_mergeable(object: &str) -> bool {
    matches!(object, "Contact" | "Lead" | "Account")
}

/// `GET …/describe`: only what the user sees (B6).
pub(super) fn describe(world: &World, object: &str) -> Answer {
    match world.salesforce.objects.get(object) {
        Some(found) => {
            let fields: Vec<Value> =
                found.fields.values().filter(|field| field.visible).map(Field::json).collect();
            let body = json!({
                "name": object, "label": object, "keyPrefix": found.prefix, "custom": false, "updateable": true, "queryable": true,
                "mergeable": is_mergeable(object), "deletable": true, "recordTypeInfos": [], "fields": fields,
            });
            Answer::json(200, &body)
        }
        None => errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}
