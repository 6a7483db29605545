//! What a request says about a destination: read, and judged, last of all by the component itself.

use super::{
    body,
    fields::{kind, shown, step},
    problem::{Answer, Problem},
};
use crate::{app::App, store::SourceRow};
use reverse_sync::{
    component::DestinationType, destination::Destination, failure::Failure, mistakes::listed,
    planner,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::PartialSchema;

/// Reads a destination, or changes of one.
pub(super) fn read<T: DeserializeOwned + PartialSchema>(body: &Value) -> Answer<T> {
    body::read(body).map_err(|problem| match problem.unknown_key() {
        Some((pointer, key))
            if body.pointer(pointer).is_some_and(|value| is_connection(key, value)) =>
        {
            no_connection(pointer)
        }
        _ => problem,
    })
}

/// Judges a destination. The id of its source.
pub(super) async fn judged(app: &App, org_id: &str, destination: &Destination) -> Answer<String> {
    let served =
        app.component.destination_type(&shown(&destination.destination_type)).map_err(|_| {
            let names =
                listed(app.component.descriptor().destinations.iter().map(|served| &served.name));
            let detail = format!(
                "there is no destination type `{}`; `destination_type` is one of {names}",
                shown(&destination.destination_type)
            );
            Problem::invalid("invalid", "/destination_type", detail)
        })?;
    fitting(app, org_id, served, destination).await
}

/// Whether an unknown key is one by which people connect a destination elsewhere. Its value may
/// hold a password.
fn is_connection(key: &str, value: &Value) -> bool {
    let named = key.to_ascii_lowercase();
    let looks =
        named.contains("connection") || matches!(named.as_str(), "dsn" | "url" | "database_url");
    looks || value.as_str().is_some_and(|text| text.contains("://"))
}

fn no_connection(pointer: &str) -> Problem {
    let detail = "a reverse destination has no connection string: it uses the connection and the credential of the source that `config_json.source_id` names";
    Problem::invalid("connection_string", pointer, detail)
}

/// Judges what a destination says about its CRM: first its source, then, in the component's own
/// words, the rest. The id of its source.
async fn fitting(
    app: &App,
    org_id: &str,
    served: &DestinationType,
    destination: &Destination,
) -> Answer<String> {
    let config = &destination.config_json;
    let schema = schema_of(served)?;
    let is_known =
        |key: &str| properties(&schema).is_some_and(|properties| properties.contains_key(key));
    if let Some((key, _)) =
        config.iter().find(|(key, value)| !is_known(key) && is_connection(key, value))
    {
        return Err(no_connection(&format!("/config_json/{}", step(key))));
    }
    let source = source_of(app, org_id, served, config).await?;
    let base_url =
        app.base_url(org_id, &source.provider, &source.settings).await.map_err(|error| {
            let detail = format!("the source `{}` cannot be used: {error}", source.source_id);
            Problem::invalid("source_unusable", "/config_json/source_id", detail)
        })?;
    match planner::check_config(&app.component, destination, &app.grant, &base_url).await {
        Ok(()) => Ok(source.source_id),
        Err(error) if error.is_config() => {
            Err(wrong_config(Failure::from(&error), config, &schema))
        }
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// The source that a configuration names, which must be of the org and of the type's provider.
pub(super) async fn source_of(
    app: &App,
    org_id: &str,
    served: &DestinationType,
    config: &Map<String, Value>,
) -> Answer<SourceRow> {
    const POINTER: &str = "/config_json/source_id";
    const RIGHT: &str =
        "the id of one of the org's sources, for example `\"source_id\": \"src_1\"`";
    let id = match config.get("source_id") {
        Some(Value::String(id)) => id,
        None => {
            return Err(Problem::invalid(
                "missing_key",
                POINTER,
                format!("Required: `config_json.source_id`, {RIGHT}"),
            ));
        }
        Some(other) => {
            return Err(Problem::invalid(
                "invalid",
                POINTER,
                format!("`source_id` is {}; it must be {RIGHT}", kind(other)),
            ));
        }
    };
    // What cannot be an id is not asked for: PostgreSQL's text has no zero characters.
    let source = if *id == shown(id) { app.store.source(org_id, id).await? } else { None };
    let unknown = || {
        let detail = format!(
            "`source_id` names `{}`, and the org has no such source; it must be {RIGHT}",
            shown(id)
        );
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
    serde_json::from_str(&served.config_schema).map_err(|error| {
        Problem::internal(&format!(
            "the plugin's JSON Schema for {} is not JSON: {error}",
            served.name
        ))
    })
}

pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// What is wrong with a configuration, by the pointer that the plugin gives.
fn wrong_config(failure: Failure, config: &Map<String, Value>, schema: &Value) -> Problem {
    let pointer = failure.pointer.unwrap_or_default();
    let key = pointer.strip_prefix('/').and_then(|rest| rest.split('/').next());
    let key = key.map(|key| key.replace("~1", "/").replace("~0", "~"));
    let code = match &key {
        Some(key) if !config.contains_key(key) => "missing_key",
        Some(key) if !properties(schema).is_some_and(|known| known.contains_key(key)) => {
            "unknown_key"
        }
        _ => "invalid",
    };
    Problem::invalid(code, format!("/config_json{pointer}"), failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{destinations::DestinationChangesJson, problem::tests::refused};
    use reverse_sync::{failure::Kind, guards::Guards};
    use serde_json::json;

    #[test]
    fn what_the_component_refuses_has_its_pointer_and_a_code() {
        let schema = json!({"properties": {"fields": {}, "object": {}, "provider_id_field": {}}});
        let config = json!({"feilds": [], "object": 1, "a/b": 1}).as_object().unwrap().clone();
        for (pointer, code) in [
            (Some("/feilds"), "unknown_key"),
            (Some("/a~1b"), "unknown_key"),
            (Some("/provider_id_field"), "missing_key"),
            (Some("/object"), "invalid"),
            (None, "invalid"),
        ] {
            let failure = Failure {
                kind: Kind::Config,
                code: "invalid_config",
                pointer: pointer.map(str::to_owned),
                message: "`object` is mentioned".to_owned(),
                hint: None,
            };
            assert_eq!(
                refused(&wrong_config(failure, &config, &schema)),
                (code.to_owned(), format!("/config_json{}", pointer.unwrap_or_default())),
            );
        }
    }

    #[test]
    fn only_keys_that_are_not_known_are_connection_strings() {
        for (key, value, code) in [
            ("connection_string", json!("x"), "connection_string"),
            ("DSN", json!(1), "connection_string"),
            ("target", json!("postgres://crm/db"), "connection_string"),
            ("target", json!("x"), "unknown_key"),
        ] {
            let problem = read::<DestinationChangesJson>(&json!({ key: value })).err().unwrap();
            assert_eq!(refused(&problem), (code.to_owned(), format!("/{key}")), "{key}");
        }
        assert!(
            read::<DestinationChangesJson>(&json!({"name": "see https://example.com"})).is_ok()
        );
    }

    #[test]
    fn guards_are_read_key_by_key() {
        let limits = |limits: Value| read::<DestinationChangesJson>(&json!({ "guards": limits }));
        let read = limits(json!({"max_changes": 2.0, "max_lossy_percent": 5}))
            .ok()
            .unwrap()
            .guards
            .unwrap()
            .unwrap();
        assert_eq!((read.max_changes, f64::from(read.max_lossy_percent)), (2, 5.0));
        assert_eq!(read.max_changed_percent, Guards::default().max_changed_percent);
        for (bad, code, pointer) in [
            (json!({"max_chnages": 1}), "unknown_key", "/guards/max_chnages"),
            (json!({"max_changes": 1.5}), "invalid", "/guards/max_changes"),
            (json!({"max_changed_percent": 101}), "invalid", "/guards/max_changed_percent"),
            (json!([]), "invalid", "/guards"),
        ] {
            assert_eq!(
                refused(&limits(bad.clone()).err().unwrap()),
                (code.to_owned(), pointer.to_owned()),
                "{bad}"
            );
        }
    }
}
