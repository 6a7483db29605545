//! Collections: up to 200 updates or 2,000 reads in a call (B4).

use super::{
    errors::{self, RecordError},
    ids, rows, store,
};
use crate::{World, message::Answer};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const MAX_UPDATES: usize = 200;
const MAX_CHUNKS: usize = 10;
/// Updates of one record in a call before the rest is refused.
const MAX_DUPLICATES: usize = 12;

/// `PATCH …/composite/sobjects`: always 200 when well formed, results in the order of the request.
pub(super) fn update(world: &mut World, body: &Value) -> Answer {
    let Some(records) = body.get("records").and_then(Value::as_array) else {
        return errors::one(
            400,
            "JSON_PARSER_ERROR",
            "The request has no records [line:1, column:1]",
        );
    };
    if records.is_empty() {
        return errors::one(400, "REQUIRED_FIELD_MISSING", "At least 1 record is required");
    }
    if records.len() > MAX_UPDATES {
        return errors::one(
            400,
            "EXCEEDED_ID_LIMIT",
            "record limit reached. cannot submit more than 200 records into this call",
        );
    }
    let kind = |record: &Value| {
        record
            .get("attributes")
            .and_then(|attributes| attributes.get("type"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let kinds: Vec<Option<String>> = records.iter().map(kind).collect();
    if kinds.iter().any(Option::is_none) {
        return errors::one(
            400,
            "INVALID_INPUT",
            "Include an entity type with your request: attributes.type",
        );
    }
    if 1 + kinds.windows(2).filter(|pair| pair[0] != pair[1]).count() > MAX_CHUNKS {
        return errors::one(
            400,
            "INVALID_INPUT",
            "the records make more than 10 chunks; sort them by type",
        );
    }
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let mut checked = Vec::with_capacity(records.len());
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (record, kind) in records.iter().zip(kinds) {
        let kind = kind.unwrap_or_default();
        let fields: Map<String, Value> = record.as_object().map_or_else(Map::new, |record| {
            record
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "attributes" | "id" | "Id"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        });
        let result = match record.get("id").or_else(|| record.get("Id")).and_then(Value::as_str) {
            None => {
                Err(RecordError::new(400, "MISSING_ARGUMENT", "Id not specified in an update call"))
            }
            Some(id) => {
                let times =
                    seen.entry(ids::canonical(id).unwrap_or_else(|| id.to_owned())).or_default();
                *times += 1;
                if *times > MAX_DUPLICATES {
                    let message = format!(
                        "Maximum number of duplicate updates in one batch (12 allowed). Attempt to update Id more than once in this Api call: {id}"
                    );
                    Err(RecordError::new(400, "DUPLICATE_VALUE", message))
                } else {
                    store::check(world, &kind, id, &fields, true)
                        .map(|checked| (id.to_owned(), checked))
                }
            }
        };
        if let Err(error) = &result
            && error.code == "JSON_PARSER_ERROR"
            && world.config.switches.salesforce_parse_error_refuses_all
        {
            return error.answer();
        }
        checked.push((kind, fields, result));
    }
    let locked = checked
        .iter()
        .find_map(|(_, _, result)| {
            result.as_ref().err().filter(|error| error.code == "UNABLE_TO_LOCK_ROW")
        })
        .cloned();
    if let Some(error) = locked.filter(|_| world.config.switches.salesforce_lock_fails_all) {
        for (_, _, result) in checked.iter_mut().filter(|(_, _, result)| result.is_ok()) {
            *result = Err(error.clone());
        }
    }
    let failed = checked.iter().any(|(_, _, result)| result.is_err());
    let mut results = Vec::with_capacity(checked.len());
    for (kind, fields, result) in checked {
        results.push(match result {
            Err(error) => error.item(),
            Ok(_) if all_or_none && failed => {
                let message = "Record rolled back because not all records were valid and the request was using AllOrNone header";
                RecordError::new(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", message).item()
            }
            Ok((id, checked)) => {
                store::apply(world, &kind, checked, fields);
                json!({"id": ids::canonical(&id).unwrap_or(id), "success": true, "errors": []})
            }
        });
    }
    Answer::json(200, &Value::Array(results))
}

/// One entry per id, `null` for what is invalid, deleted or invisible; an unknown field refuses the
/// call.
pub(super) fn read(
    world: &World,
    object: &str,
    wanted: &[String],
    fields: &[String],
    max: usize,
) -> Answer {
    let Some(found) = world.salesforce.objects.get(object) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    if wanted.len() > max {
        let status = if max == 800 { 414 } else { 400 };
        return errors::one(
            status,
            "EXCEEDED_ID_LIMIT",
            &format!("record limit reached. cannot submit more than {max} records into this call"),
        );
    }
    if fields.is_empty() {
        return errors::one(400, "REQUIRED_FIELD_MISSING", "fields is required");
    }
    if let Some(unknown) = rows::unknown_field(world, object, fields) {
        return errors::one(
            400,
            "INVALID_FIELD",
            &format!("No such column '{unknown}' on sobject of type {object}"),
        );
    }
    let mut names = fields.to_vec();
    if !names.iter().any(|name| name.eq_ignore_ascii_case("id")) {
        names.push("Id".to_owned());
    }
    let entries = wanted.iter().map(|id| {
        let id = ids::canonical(id)?;
        let record = found.records.get(&id).filter(|record| !record.deleted)?;
        Some(record.json(object, &id, &names))
    });
    Answer::json(200, &entries.map(|entry| entry.unwrap_or(Value::Null)).collect())
}
