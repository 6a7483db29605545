//! HubSpot's property definitions (crm-apis A8).

use crate::values::field::{Choice, CrmOption, Field, Kind};
use serde_json::Value;

/// Longest text (A8).
const MAX_TEXT: usize = 65_536;

pub(crate) fn parse(body: &[u8]) -> Option<Vec<Field>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["results"].as_array()?.iter().map(field).collect()
}

fn field(property: &Value) -> Option<Field> {
    let name = property["name"].as_str()?.to_owned();
    let is = |value: &Value| value.as_bool() == Some(true);
    let text = |key: &str| property[key].as_str().unwrap_or_default();
    let kind = match text("type") {
        "string" if name == "email" => Kind::Email { max: Some(MAX_TEXT), trimmed: false },
        "string" | "phone_number" => Kind::Text { max: Some(MAX_TEXT), trimmed: false },
        "number" => Kind::Number { scale: None },
        "bool" => Kind::Bool,
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        // Owners, stages and the like: the list may be empty or come from elsewhere.
        "enumeration" if is(&property["externalOptions"]) && text("fieldType") != "checkbox" => {
            Kind::Other
        }
        "enumeration" => Kind::Choice(Choice {
            multi: text("fieldType") == "checkbox",
            open: is(&property["externalOptions"]),
            options: options(&property["options"]),
        }),
        _ => Kind::Other,
    };
    // The modification metadata is absent for some custom properties: writable then (A8, inferred).
    let barred =
        match (is(&property["calculated"]), is(&property["modificationMetadata"]["readOnlyValue"]))
        {
            (true, _) => Some("calculated"),
            (false, true) => Some("read_only"),
            (false, false) => None,
        };
    Some(Field { name, kind, barred, may_be_empty: true })
}

/// In the order in which HubSpot shows them, which is that of a lifecycle: -1 comes after all
/// others (A8).
fn options(options: &Value) -> Vec<CrmOption> {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let place = |option: &Value| option["displayOrder"].as_u64().unwrap_or(u64::MAX);
    let mut order: Vec<(u64, usize)> = options.iter().map(place).zip(0..).collect();
    order.sort_unstable();
    let option = |(_, at): (u64, usize)| {
        let option = &options[at];
        let value = option["value"].as_str()?.to_owned();
        Some(CrmOption { label: option["label"].as_str().unwrap_or(&value).to_owned(), value })
    };
    order.into_iter().filter_map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_read_as_documented() {
        let body = br#"{"results":[
            {"name":"favourite_colour","type":"enumeration","fieldType":"checkbox","options":[
                {"label":"Blue","value":"blue","displayOrder":1,"hidden":true},{"label":"Red","value":"red","displayOrder":0},{"label":"Old","value":"old","displayOrder":-1}],
             "calculated":false,"externalOptions":false,"modificationMetadata":{"readOnlyDefinition":true,"readOnlyValue":false}},
            {"name":"hubspot_owner_id","type":"enumeration","fieldType":"select","options":[],"externalOptions":true},
            {"name":"score","type":"number","calculated":true},
            {"name":"createdate","type":"datetime","modificationMetadata":{"readOnlyValue":true}},
            {"name":"email","type":"string","fieldType":"text"},
            {"name":"owners","type":"enumeration","fieldType":"checkbox","options":[],"externalOptions":true}]}"#;
        let fields = parse(body).unwrap();
        let Kind::Choice(colours) = &fields[0].kind else { panic!("{:?}", fields[0]) };
        assert_eq!((colours.multi, colours.open), (true, false));
        assert_eq!(
            colours.options.iter().map(|option| option.value.as_str()).collect::<Vec<_>>(),
            ["red", "blue", "old"]
        );
        assert!(
            matches!(fields[1].kind, Kind::Other) && matches!(fields[4].kind, Kind::Email { .. })
        );
        // Several of a list that comes from elsewhere: a `;` in front would append.
        let Kind::Choice(owners) = &fields[5].kind else { panic!("{:?}", fields[5]) };
        assert_eq!((owners.multi, owners.open), (true, true));
        let barred: Vec<_> = fields.iter().map(|field| field.barred).collect();
        assert_eq!(barred, [None, None, Some("calculated"), Some("read_only"), None, None]);
        assert!(parse(b"{}").is_none() && parse(b"<html>").is_none());
    }
}
