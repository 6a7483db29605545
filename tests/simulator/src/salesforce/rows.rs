//! Single records (B2, B3, B5, B11).

use super::{
    errors::{self, RecordError},
    ids,
    store::{self, Record},
};
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::{Map, Value, json};

/// `PATCH …/sobjects/{Object}/{id}`: 204 without a body.
pub(super) fn update(
    world: &mut World,
    object: &str,
    id: &str,
    request: &Request,
    body: &Value,
) -> Answer {
    let Some(fields) = body.as_object() else {
        return errors::one(
            400,
            "JSON_PARSER_ERROR",
            "Cannot deserialize the request body [line:1, column:1]",
        );
    };
    if fields.keys().any(|name| name.eq_ignore_ascii_case("id")) {
        return RecordError::new(
            400,
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
        )
        .on("Id")
        .answer();
    }
    if !matches!(id.len(), 15 | 18) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return not_an_id(id);
    }
    if let Some(refused) = precondition(world, object, id, request) {
        return refused;
    }
    match store::check(world, object, id, fields, true) {
        Ok(checked) => {
            store::apply(world, object, checked, fields.clone());
            Answer::empty(204)
        }
        Err(error) if error.code == "DUPLICATES_DETECTED" => {
            let body = json!([{"message": error.message, "errorCode": error.code, "fields": [], "duplicateResult": {"allowSave": false, "matchResults": []}}]);
            Answer::json(400, &body)
        }
        Err(error) => error.answer(),
    }
}

/// A path part that is not an id at all; one with a wrong checksum is `MALFORMED_ID` (B5).
fn not_an_id(text: &str) -> Answer {
    errors::one(
        404,
        "NOT_FOUND",
        &format!("Provided external ID field does not exist or is not accessible: {text}"),
    )
}

/// `If-Unmodified-Since`, to the second; `If-Match` for accounts only (B3).
fn precondition(world: &World, object: &str, id: &str, request: &Request) -> Option<Answer> {
    let record = world.salesforce.record(object, id).filter(|record| !record.deleted)?;
    if let Some(text) = request.header("if-unmodified-since") {
        let Ok(since) = jiff::fmt::rfc2822::parse(text) else {
            return Some(errors::one(
                400,
                "INVALID_HEADER",
                "Invalid value for If-Unmodified-Since",
            ));
        };
        if record.modified / 1_000 > since.timestamp().as_second() {
            return Some(errors::one(412, "PRECONDITION_FAILED", "The record has changed since"));
        }
    }
    if object == "Account"
        && request
            .header("if-match")
            .is_some_and(|tag| tag.trim_matches('"') != record.modified.to_string())
    {
        return Some(errors::one(412, "PRECONDITION_FAILED", "The record has changed since"));
    }
    None
}

/// `GET …/sobjects/{Object}/{id}?fields=…`.
pub(super) fn read(world: &World, object: &str, id: &str, request: &Request) -> Answer {
    let Some(id) = ids::canonical(id) else {
        return not_an_id(id);
    };
    let Some(found) = world.salesforce.objects.get(object) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    let fields: Vec<String> = match request.query("fields") {
        Some(names) => names.split(',').map(str::to_owned).collect(),
        None => found
            .fields
            .values()
            .filter(|field| field.visible)
            .map(|field| field.name.clone())
            .collect(),
    };
    if let Some(unknown) = unknown_field(world, object, &fields) {
        return errors::one(
            400,
            "INVALID_FIELD",
            &format!("No such column '{unknown}' on sobject of type {object}"),
        );
    }
    match found.records.get(&id).filter(|record| !record.deleted) {
        Some(record) if unchanged(record, object, request) => Answer::empty(304),
        Some(record) => {
            let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let answer = Answer::json(200, &record.json(object, &id, &fields)).with("date", date);
            if object == "Account" {
                answer.with("etag", format!("\"{}\"", record.modified))
            } else {
                answer
            }
        }
        None => errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}

/// `If-Modified-Since`, to the second; `If-None-Match` for accounts only (B3).
fn unchanged(record: &Record, object: &str, request: &Request) -> bool {
    let since =
        request.header("if-modified-since").and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    since.is_some_and(|since| record.modified / 1_000 <= since.timestamp().as_second())
        || object == "Account"
            && request
                .header("if-none-match")
                .is_some_and(|tag| tag.trim_matches('"') == record.modified.to_string())
}

/// The first name that is not a field, or not one that this user sees.
pub(super) fn unknown_field<'n>(
    world: &World,
    object: &str,
    names: &'n [String],
) -> Option<&'n String> {
    let fields = &world.salesforce.objects.get(object)?.fields;
    names.iter().find(|name| {
        !fields.values().any(|field| field.visible && field.name.eq_ignore_ascii_case(name))
    })
}

/// `POST …/sobjects/{Object}`: a new record.
pub(super) fn create(world: &mut World, object: &str, body: &Value) -> Answer {
    let Some(prefix) = world.salesforce.objects.get(object).map(|object| object.prefix.clone())
    else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    let id = ids::record_id(&prefix, 900_000_000 + world.current);
    world.salesforce.put(object, &id, body);
    world.wrote(object, &id, body.as_object().cloned().unwrap_or_default());
    Answer::json(201, &json!({"id": id, "success": true, "errors": []}))
}

/// `DELETE …/sobjects/{Object}/{id}`.
pub(super) fn delete(world: &mut World, object: &str, id: &str) -> Answer {
    world.salesforce.delete(object, id);
    world.wrote(object, id, Map::new());
    Answer::empty(204)
}
