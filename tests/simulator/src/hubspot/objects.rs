//! Records: update, batch update, read, batch read (A3 to A6).

use super::{
    errors::{self, Invalid},
    properties,
    store::{iso, modified_property, now},
};
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Inputs of one batch (A5).
const MAX_BATCH: usize = 100;
/// With property history (A4).
const MAX_HISTORY_BATCH: usize = 50;

/// `PATCH …/{id}`: follows merged ids, answers with the surviving one (A3, A6).
pub(super) fn update(
    world: &mut World,
    object: &str,
    id: &str,
    request: &Request,
    body: &Value,
) -> Answer {
    if let Some(property) = request.query("idProperty") {
        let message = format!("Unable to perform update/upsert by non-unique property {property}");
        return errors::whole(400, &message, Some("VALIDATION_ERROR"));
    }
    let Some(properties) = body.get("properties").and_then(Value::as_object) else {
        return errors::whole(
            400,
            "Some required fields were not set: [properties]",
            Some("VALIDATION_ERROR"),
        );
    };
    if properties.is_empty() {
        return errors::whole(
            400,
            "No properties found to update, please provide at least one.",
            Some("VALIDATION_ERROR"),
        );
    }
    if id.parse::<u64>().is_err() {
        return errors::not_numeric(id);
    }
    let store = &world.hubspot.objects[object];
    let survivor = store.aliases.get(id).map_or(id, String::as_str).to_owned();
    if store.records.get(&survivor).is_none_or(|record| record.archived) {
        return errors::not_found(world.config.switches.hubspot_404_category);
    }
    let invalid = validate(world, object, &survivor, properties);
    if !invalid.is_empty() {
        return errors::invalid(&invalid);
    }
    apply(world, object, &survivor, properties);
    let record = &world.hubspot.objects[object].records[&survivor];
    Answer::json(200, &record.json(&survivor, &answered(object, properties), &[]))
}

/// `POST …/batch/update` (A5).
pub(super) fn batch_update(world: &mut World, object: &str, body: &Value) -> Answer {
    let Some(inputs) = body.get("inputs").and_then(Value::as_array) else {
        return errors::whole(
            400,
            "Some required fields were not set: [inputs]",
            Some("VALIDATION_ERROR"),
        );
    };
    if inputs.len() > MAX_BATCH {
        return errors::whole(
            400,
            &format!(
                "The maximum number of inputs supported in a batch is {MAX_BATCH}, got {}",
                inputs.len()
            ),
            Some("VALIDATION_ERROR"),
        );
    }
    let mut parsed: Vec<(String, &Map<String, Value>, Option<&Value>)> =
        Vec::with_capacity(inputs.len());
    for input in inputs {
        let id = input.get("id").and_then(Value::as_str);
        let properties = input.get("properties").and_then(Value::as_object);
        let (Some(id), Some(properties)) = (id, properties) else {
            return errors::whole(
                400,
                "Some required fields were not set: [id, properties]",
                Some("VALIDATION_ERROR"),
            );
        };
        if let Some(property) = input.get("idProperty").and_then(Value::as_str) {
            let message =
                format!("Unable to perform update/upsert by non-unique property {property}");
            return errors::whole(400, &message, Some("VALIDATION_ERROR"));
        }
        parsed.push((id.to_owned(), properties, input.get("objectWriteTraceId")));
    }
    // The whole request is refused, and nothing written, for a duplicate id or an invalid value
    // anywhere.
    let mut seen = HashSet::new();
    let duplicates: Vec<&str> =
        parsed.iter().map(|(id, ..)| id.as_str()).filter(|id| !seen.insert(*id)).collect();
    if !duplicates.is_empty() {
        let body = json!({
            "status": "error", "message": format!("Duplicate IDs found in batch input: [{}]. IDs must be unique", duplicates.join(", ")),
            "context": {"ids": duplicates}, "category": "VALIDATION_ERROR",
        });
        return Answer::json(400, &body);
    }
    let invalid: Vec<Invalid> = parsed
        .iter()
        .flat_map(|(id, properties, _)| validate(world, object, id, properties))
        .collect();
    if !invalid.is_empty() {
        return errors::invalid(&invalid);
    }
    let started = iso(now());
    let mut results = Vec::with_capacity(parsed.len());
    let (mut missing, mut traces) = (Vec::new(), Vec::new());
    for (id, properties, trace) in parsed {
        let store = &world.hubspot.objects[object];
        if store.aliases.contains_key(&id) {
            // Merged away: silently dropped, without an error entry.
            continue;
        }
        if store.records.get(&id).is_none_or(|record| record.archived) {
            missing.push(id);
            traces.extend(trace);
            continue;
        }
        apply(world, object, &id, properties);
        let record = &world.hubspot.objects[object].records[&id];
        results.push(record.json(&id, &answered(object, properties), &[]));
    }
    world.random.shuffle(&mut results);
    batch_answer(world, object, results, &missing, &traces, &started)
}

/// 200, or 207 with all missing ids in one group, which echoes the trace ids they were sent with;
/// `numErrors` counts groups.
fn batch_answer(
    world: &World,
    object: &str,
    results: Vec<Value>,
    missing: &[String],
    traces: &[&Value],
    started: &str,
) -> Answer {
    let mut body = json!({"status": "COMPLETE", "results": results, "startedAt": started, "completedAt": iso(now())});
    if missing.is_empty() {
        return Answer::json(200, &body);
    }
    let singular = if object == "companies" {
        "COMPANY".to_owned()
    } else {
        object.trim_end_matches('s').to_uppercase()
    };
    body["errors"] = json!([{
        "status": "error", "category": "OBJECT_NOT_FOUND",
        "message": format!("Could not get some {singular} objects, they may be deleted or not exist. Check that ids are valid."),
        "context": {"ids": missing},
    }]);
    if !traces.is_empty() {
        body["errors"][0]["context"]["objectWriteTraceId"] = json!(traces);
    }
    if world.config.switches.hubspot_207_has_links {
        body["errors"][0]["links"] = json!({});
        body["errors"][0]["errors"] = json!([]);
    }
    body["numErrors"] = json!(1);
    Answer::json(207, &body)
}

/// `POST …/batch/read` (A4).
pub(super) fn batch_read(
    world: &mut World,
    object: &str,
    body: &Value,
    request: &Request,
) -> Answer {
    let Some(inputs) = body.get("inputs").and_then(Value::as_array) else {
        return errors::whole(
            400,
            "Some required fields were not set: [inputs]",
            Some("VALIDATION_ERROR"),
        );
    };
    let names = |key: &str| -> Vec<String> {
        let list = body.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (wanted, history) = (names("properties"), names("propertiesWithHistory"));
    if !history.is_empty() && inputs.len() > MAX_HISTORY_BATCH {
        let message = format!(
            "The maximum number of inputs supported in a batch request for property histories is {MAX_HISTORY_BATCH}"
        );
        return errors::whole(400, &message, Some("VALIDATION_ERROR"));
    }
    if inputs.len() > MAX_BATCH {
        return errors::whole(
            400,
            &format!(
                "The maximum number of inputs supported in a batch is {MAX_BATCH}, got {}",
                inputs.len()
            ),
            Some("VALIDATION_ERROR"),
        );
    }
    let archived = request.query("archived").as_deref() == Some("true");
    let started = iso(now());
    let store = &world.hubspot.objects[object];
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    let by_email = match body.get("idProperty").and_then(Value::as_str) {
        None => false,
        // Contacts may be read by e-mail (A3, A4).
        Some("email") if object == "contacts" => true,
        Some(property) => {
            return errors::whole(
                400,
                &format!("{property} is not a unique property of {object}"),
                Some("VALIDATION_ERROR"),
            );
        }
    };
    for input in inputs {
        let id = input.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = match by_email {
            true => store.with_email(id).unwrap_or(id),
            false => id,
        };
        match store.records.get(id).filter(|record| record.archived == archived) {
            Some(record) => {
                results.push(record.json(id, &shown(world, object, &wanted, &history), &history))
            }
            None => missing.push(id.to_owned()),
        }
    }
    world.random.shuffle(&mut results);
    batch_answer(world, object, results, &missing, &[], &started)
}

/// `GET …/{id}`: follows merged ids (A4, A6).
pub(super) fn read(world: &World, object: &str, id: &str, request: &Request) -> Answer {
    if id.parse::<u64>().is_err() {
        return errors::not_numeric(id);
    }
    let history = request.query_list("propertiesWithHistory");
    let wanted = shown(world, object, &request.query_list("properties"), &history);
    let archived = request.query("archived").as_deref() == Some("true");
    let store = &world.hubspot.objects[object];
    let survivor = store.aliases.get(id).map_or(id, String::as_str);
    match store.records.get(survivor).filter(|record| record.archived == archived) {
        Some(record) => Answer::json(200, &record.json(survivor, &wanted, &history)),
        None => errors::not_found(world.config.switches.hubspot_404_category),
    }
}

/// `POST …`: a new record.
pub(super) fn create(world: &mut World, object: &str, body: &Value) -> Answer {
    let id = (700_000_000_000 + world.current).to_string();
    let properties = body.get("properties").cloned().unwrap_or_default();
    world.hubspot.put(object, &id, &properties);
    world.wrote(object, &id, properties.as_object().cloned().unwrap_or_default());
    let record = &world.hubspot.objects[object].records[&id];
    Answer::json(201, &record.json(&id, &["hs_object_id".to_owned()], &[]))
}

/// `DELETE …/{id}`: 204 whether it was there or not (A6).
pub(super) fn archive(world: &mut World, object: &str, id: &str) -> Answer {
    world.hubspot.archive(object, id);
    world.wrote(object, id, Map::new());
    Answer::empty(204)
}

/// What a read shows: what was asked for, those of which the history was asked for, and always a
/// default set (recorded lists and batch reads: amp-labs/connectors, HubSpot/hubspot-api-nodejs
/// issue 154). One that does not exist is silently left out (A4).
pub(super) fn shown(
    world: &World,
    object: &str,
    names: &[String],
    history: &[String],
) -> Vec<String> {
    let known = &world.hubspot.objects[object].properties;
    let asked = names.iter().chain(history).filter(|name| known.contains_key(*name)).cloned();
    always(object).into_iter().chain(asked).collect()
}

fn always(object: &str) -> Vec<String> {
    ["createdate", "hs_object_id", modified_property(object)].map(str::to_owned).to_vec()
}

/// What an update answers with: a default set and what was changed, not the whole record (A3).
fn answered(object: &str, properties: &Map<String, Value>) -> Vec<String> {
    always(object).into_iter().chain(properties.keys().cloned()).collect()
}

fn validate(
    world: &World,
    object: &str,
    id: &str,
    properties: &Map<String, Value>,
) -> Vec<Invalid> {
    let store = &world.hubspot.objects[object];
    properties
        .iter()
        .filter_map(|(name, value)| {
            properties::check(store, id, name, value, world.config.switches)
        })
        .collect()
}

fn apply(world: &mut World, object: &str, id: &str, properties: &Map<String, Value>) {
    let keep_date = world.config.switches.hubspot_unchanged_keeps_date;
    let Some(store) = world.hubspot.objects.get_mut(object) else { return };
    let definitions = &store.properties;
    if let Some(record) = store.records.get_mut(id) {
        for (name, value) in properties {
            let text = value.as_str().unwrap_or_default();
            let before = record.properties.get(name).map_or("", String::as_str);
            if let Some(stored) = definitions
                .get(name)
                .map_or(Some(text.to_owned()), |definition| definition.stored(text, before))
            {
                record.set(name, &stored, modified_property(object), "INTEGRATION", keep_date);
            }
        }
    }
    world.wrote(object, id, properties.clone());
}
