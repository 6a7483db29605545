//! Salesforce's describe (crm-apis B6). It lists only the fields that the credential's user sees.

use crate::values::field::{Choice, CrmOption, Field, Kind};
use serde_json::Value;

/// Longer lengths are not certain: since v49 describe says 255 for long texts too (B6).
const CERTAIN_LENGTH: usize = 254;

pub(crate) fn parse(body: &[u8]) -> Option<Vec<Field>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["fields"].as_array()?.iter().map(field).collect()
}

fn field(field: &Value) -> Option<Field> {
    let is = |key: &str| field[key].as_bool() == Some(true);
    let number = |key: &str| field[key].as_u64().unwrap_or_default() as usize;
    let max = Some(number("length")).filter(|length| (1..=CERTAIN_LENGTH).contains(length));
    let choice = |multi| {
        Kind::Choice(Choice {
            multi,
            open: !is("restrictedPicklist"),
            options: options(&field["picklistValues"]),
        })
    };
    let kind_name = field["type"].as_str().unwrap_or_default();
    let kind = match kind_name {
        "string" | "textarea" | "phone" | "url" | "combobox" => Kind::Text { max, trimmed: true },
        "email" => Kind::Email { max, trimmed: true },
        "boolean" => Kind::Bool,
        "int" | "long" => Kind::Number { scale: Some(0) },
        "double" | "currency" | "percent" => Kind::Number { scale: Some(number("scale")) },
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "picklist" => choice(false),
        "multipicklist" => choice(true),
        "time" => Kind::Time,
        "reference" => Kind::Reference,
        "encryptedstring" => Kind::Masked,
        _ => Kind::Other,
    };
    let barred = match (is("updateable"), is("calculated")) {
        (true, _) => None,
        (false, true) => Some("calculated"),
        // Names and addresses that are made of parts: write the parts (B6).
        (false, false) if matches!(kind_name, "address" | "location") => Some("compound"),
        (false, false) => Some("read_only"),
    };
    // `nillable: false` means that it cannot be cleared (B6). A boolean has no null.
    let may_be_empty = field["nillable"].as_bool() != Some(false) && kind_name != "boolean";
    Some(Field { name: field["name"].as_str()?.to_owned(), kind, barred, may_be_empty })
}

/// The active ones.
fn options(options: &Value) -> Vec<CrmOption> {
    let option = |option: &Value| {
        let value = option["value"]
            .as_str()
            .filter(|_| option["active"].as_bool() != Some(false))?
            .to_owned();
        Some(CrmOption { label: option["label"].as_str().unwrap_or(&value).to_owned(), value })
    };
    options.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_is_read_as_documented() {
        let body = br#"{"name":"Account","fields":[
            {"name":"Rating","type":"picklist","updateable":true,"nillable":true,"length":255,"restrictedPicklist":true,
             "picklistValues":[{"active":true,"label":"Hei\u00df","value":"Hot"},{"active":false,"label":"Cold","value":"Cold"}]},
            {"name":"Name","type":"string","updateable":true,"nillable":false,"length":120},
            {"name":"Description","type":"textarea","updateable":true,"length":32000},
            {"name":"Revenue","type":"currency","updateable":true,"scale":2},
            {"name":"BillingAddress","type":"address","updateable":false},
            {"name":"Score__c","type":"double","updateable":false,"calculated":true,"scale":1}]}"#;
        let fields = parse(body).unwrap();
        let Kind::Choice(rating) = &fields[0].kind else { panic!("{:?}", fields[0]) };
        assert_eq!(
            (rating.multi, rating.open, rating.options.len(), rating.options[0].label.as_str()),
            (false, false, 1, "Hei\u{df}")
        );
        assert!(
            matches!(fields[1].kind, Kind::Text { max: Some(120), trimmed: true })
                && !fields[1].may_be_empty
        );
        assert!(
            matches!(fields[2].kind, Kind::Text { max: None, .. })
                && matches!(fields[3].kind, Kind::Number { scale: Some(2) })
        );
        assert_eq!((fields[4].barred, fields[5].barred), (Some("compound"), Some("calculated")));
        assert!(parse(b"[]").is_none());
    }
}
