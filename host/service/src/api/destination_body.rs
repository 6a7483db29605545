//! What a request says about a destination: read key by key, and judged, last of all by the component itself.

use super::{
    object::{self, Object, kind, listed, step},
    problem::{Answer, Problem},
};
use crate::{app::App, store::SourceRow};
use reverse_sync::{
    component::DestinationType,
    destination::{Destination, OnDuplicateId},
    guards::{self, Guards},
    planner,
};
use serde_json::{Map, Value, json};

const KEYS: [&str; 6] = ["name", "destination_type", "entity_type", "config_json", "on_duplicate_id", "guards"];
/// The one guard that is a number of records; the others are percentages.
pub(super) const MAX_CHANGES: &str = "max_changes";

/// Reads a destination out of a body and judges it. What is not in the body is as it was `before`. With it comes the id of its source.
pub(super) async fn judged(
    app: &App,
    org_id: &str,
    body: Map<String, Value>,
    before: Option<Destination>,
) -> Answer<(Destination, String)> {
    if let Some(key) = body.iter().find_map(|(key, value)| is_connection(&KEYS, key, value).then_some(key)) {
        return Err(no_connection(&format!("/{}", step(key))));
    }
    let mut object = Object::body(body, &KEYS)?;
    let missing = |object: &Object, key: &str| object.missing(key, meaning(key));
    let before = before.as_ref();

    let name = if object.has("name") { object.name("name")? } else { before.map(|before| before.name.clone()) };
    let name = name.ok_or_else(|| missing(&object, "name"))?;
    let served = match (object.has("destination_type"), before) {
        (false, Some(before)) => Some(before.destination_type.clone()),
        _ => object.text("destination_type")?,
    };
    let served = served.ok_or_else(|| missing(&object, "destination_type"))?;
    let served = app.component.destination_type(&object::shown(&served)).map_err(|_| {
        let names = listed(app.component.descriptor().destinations.iter().map(|served| &served.name));
        object.wrong("destination_type", &format!("`{}`, which there is not; there are {names}", object::shown(&served)))
    })?;
    let entity_type = if object.has("entity_type") { entity_type(&mut object)? } else { before.map(|before| before.entity_type.clone()) };
    let entity_type = entity_type.ok_or_else(|| missing(&object, "entity_type"))?;
    let config_json = match (object.has("config_json"), before) {
        (false, Some(before)) => before.config_json.clone(),
        _ => match object.take("config_json") {
            Some(Value::Object(config)) => config,
            Some(other) => return Err(object.wrong("config_json", &format!("{}; it has to be an object", kind(&other)))),
            None => return Err(missing(&object, "config_json")),
        },
    };
    let on_duplicate_id = match (object.has("on_duplicate_id"), before) {
        (false, Some(before)) => before.on_duplicate_id,
        _ => duplicates(&mut object)?,
    };
    let guards = match (object.has("guards"), before) {
        (false, Some(before)) => before.guards.clone(),
        _ => object.take("guards").map(limits).transpose()?.unwrap_or_default(),
    };

    let csv = before.map(|before| before.csv).unwrap_or_default();
    let destination = Destination { name, destination_type: served.name.clone(), entity_type, config_json, on_duplicate_id, guards, csv };
    let source_id = fitting(app, org_id, served, &destination).await?;
    Ok((destination, source_id))
}

fn meaning(key: &str) -> &'static str {
    match key {
        "name" => "it is the name people use, for example `\"name\": \"HubSpot reverse\"`",
        "destination_type" => "it is one of `GET /destination-types`, for example `\"destination_type\": \"hubspot_dest\"`",
        "entity_type" => "it says what the golden records are, for example `\"entity_type\": \"person\"`",
        _ => {
            "it says what is written where, for example `\"config_json\": {\"provider_id_field\": \"hs_object_id\", \"source_id\": \"src_1\"}`"
        }
    }
}

fn entity_type(object: &mut Object) -> Answer<Option<String>> {
    let text = object.text("entity_type")?;
    if text.as_deref().is_some_and(|text| !object::is_entity_type(text)) {
        return Err(
            object.wrong("entity_type", "not of its form; it has to be 1 to 100 letters, digits, `_` and `-`, for example `person`")
        );
    }
    Ok(text)
}

fn duplicates(object: &mut Object) -> Answer<OnDuplicateId> {
    match object.take("on_duplicate_id").map(serde_json::from_value) {
        None => Ok(OnDuplicateId::default()),
        Some(Ok(policy)) => Ok(policy),
        Some(Err(_)) => Err(object.wrong("on_duplicate_id", "none of `skip`, `first` and `last`; it has to be one of these")),
    }
}

fn limits(value: Value) -> Answer<Guards> {
    let mut object = Object::within(value, "/guards", &guards::NAMES)?;
    let mut limits = Map::new();
    for name in guards::NAMES {
        // As many as are counted exactly.
        let whole = |number: f64| number.fract() == 0.0 && (0.0..=9e15).contains(&number);
        let limit = if name == MAX_CHANGES {
            object.number(name, "a whole number of records", whole)?.map(|number| json!(number as u64))
        } else {
            object.number(name, "a percentage, 0 to 100", |number| (0.0..=100.0).contains(&number))?.map(|number| json!(number))
        };
        limits.extend(limit.map(|limit| (name.to_owned(), limit)));
    }
    serde_json::from_value(Value::Object(limits)).map_err(|error| Problem::internal(&error))
}

/// Whether an unknown key is one by which people connect a destination elsewhere. Its value may hold a password.
fn is_connection<'k>(known: impl IntoIterator<Item = &'k &'k str>, key: &str, value: &Value) -> bool {
    let named = key.to_ascii_lowercase();
    let looks = named.contains("connection") || matches!(named.as_str(), "dsn" | "url" | "database_url");
    !known.into_iter().any(|known| *known == key) && (looks || value.as_str().is_some_and(|text| text.contains("://")))
}

fn no_connection(pointer: &str) -> Problem {
    let detail = "a reverse destination has no connection string: it uses the connection and the credential of the source that `config_json.source_id` names";
    Problem::invalid("connection_string", pointer, detail)
}

/// Judges what a destination says about its CRM: first its source, then, in the component's own words, the rest. The id of its source.
async fn fitting(app: &App, org_id: &str, served: &DestinationType, destination: &Destination) -> Answer<String> {
    let config = &destination.config_json;
    let schema = schema_of(served)?;
    let known: Vec<&str> = properties(&schema).into_iter().flat_map(Map::keys).map(String::as_str).collect();
    if let Some(key) = config.iter().find_map(|(key, value)| is_connection(&known, key, value).then_some(key)) {
        return Err(no_connection(&format!("/config_json/{}", step(key))));
    }
    let source = source_of(app, org_id, served, config).await?;
    let base_url = app.base_url(org_id, &source.provider, &source.settings).await.map_err(|error| {
        let detail = format!("the source `{}` cannot be used: {error}", source.source_id);
        Problem::invalid("source_unusable", "/config_json/source_id", detail)
    })?;
    match planner::check_config(&app.component, destination, &app.grant, &base_url).await {
        Ok(()) => Ok(source.source_id),
        Err(error) if error.is_config() => Err(wrong_config(&error.to_string(), config, &schema)),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// The source that a configuration names, which has to be of the org and of the type's provider.
pub(super) async fn source_of(app: &App, org_id: &str, served: &DestinationType, config: &Map<String, Value>) -> Answer<SourceRow> {
    const POINTER: &str = "/config_json/source_id";
    const RIGHT: &str = "the id of one of the org's sources, for example `\"source_id\": \"src_1\"`";
    let id = match config.get("source_id") {
        Some(Value::String(id)) => id,
        None => {
            return Err(Problem::invalid("missing_key", POINTER, format!("`source_id` is missing in `config_json`; it is {RIGHT}")));
        }
        Some(other) => return Err(Problem::invalid("invalid", POINTER, format!("`source_id` is {}; it has to be {RIGHT}", kind(other)))),
    };
    // What cannot be an id is not asked for: PostgreSQL's text has no zero characters.
    let source = if *id == object::shown(id) { app.store.source(org_id, id).await? } else { None };
    let unknown = || {
        let detail = format!("`source_id` names `{}`, and the org has no such source; it has to be {RIGHT}", object::shown(id));
        Problem::invalid("unknown_source", POINTER, detail)
    };
    let source = source.ok_or_else(unknown)?;
    if source.provider != served.provider {
        let detail = format!(
            "`source_id` names `{}`, a {} source; a {} destination needs a {} source",
            source.source_id, source.provider, served.name, served.provider
        );
        return Err(Problem::invalid("other_provider", POINTER, detail));
    }
    Ok(source)
}

pub(super) fn schema_of(served: &DestinationType) -> Answer<Value> {
    serde_json::from_str(&served.config_schema)
        .map_err(|error| Problem::internal(&format!("the component's JSON Schema for {} is not JSON: {error}", served.name)))
}

pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// The component's complaint about a configuration, with a pointer to the key that it names first.
fn wrong_config(message: &str, config: &Map<String, Value>, schema: &Value) -> Problem {
    let is_known = |word: &str| properties(schema).is_some_and(|properties| properties.contains_key(word));
    let named = message.split('`').skip(1).step_by(2).find(|word| config.contains_key(*word) || is_known(word));
    let code = match named {
        Some(key) if !config.contains_key(key) => "missing_key",
        Some(key) if !is_known(key) => "unknown_key",
        _ => "invalid",
    };
    let pointer = named.map_or_else(|| "/config_json".to_owned(), |key| format!("/config_json/{}", step(key)));
    Problem::invalid(code, pointer, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::tests::refused;

    #[test]
    fn the_components_words_have_the_pointer_of_the_key_that_they_name() {
        let schema = json!({"properties": {"fields": {}, "object": {}, "provider_id_field": {}}});
        let config = json!({"feilds": [], "object": 1}).as_object().unwrap().clone();
        for (message, code, pointer) in [
            ("`feilds` is no key of hubspot_dest; did you mean `fields`?", "unknown_key", "/config_json/feilds"),
            ("`provider_id_field` is missing; for example `\"provider_id_field\": \"x\"`", "missing_key", "/config_json/provider_id_field"),
            ("`object` is a number; it has to be a text", "invalid", "/config_json/object"),
            ("this does not fit together", "invalid", "/config_json"),
        ] {
            assert_eq!(refused(&wrong_config(message, &config, &schema)), (code.to_owned(), pointer.to_owned()), "{message}");
        }
    }

    #[test]
    fn only_keys_that_are_not_known_are_connection_strings() {
        for (key, value, expected) in [
            ("connection_string", json!("x"), true),
            ("DSN", json!(1), true),
            ("target", json!("postgres://crm/db"), true),
            ("target", json!("x"), false),
            ("name", json!("see https://example.com"), false),
        ] {
            assert_eq!(is_connection(&KEYS, key, &value), expected, "{key}");
        }
    }

    #[test]
    fn guards_are_read_key_by_key() {
        let read = limits(json!({"max_changes": 2.0, "max_lossy_percent": 5})).ok().unwrap();
        assert_eq!((read.max_changes, f64::from(read.max_lossy_percent)), (2, 5.0));
        assert_eq!(read.max_changed_percent, Guards::default().max_changed_percent);
        for (bad, code, pointer) in [
            (json!({"max_chnages": 1}), "unknown_key", "/guards/max_chnages"),
            (json!({"max_changes": 1.5}), "invalid", "/guards/max_changes"),
            (json!({"max_changed_percent": 101}), "invalid", "/guards/max_changed_percent"),
            (json!([]), "invalid", "/guards"),
        ] {
            assert_eq!(refused(&limits(bad.clone()).unwrap_err()), (code.to_owned(), pointer.to_owned()), "{bad}");
        }
    }
}
