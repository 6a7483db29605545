//! A destination for Roster, a CRM that does not exist: a template for plugins of your own.
//!
//! Roster has people, each with a number and texts in named fields:
//!
//! - `POST /v1/people/update` with `{"people":[{"id":"7","fields":{"city":"Ghent"}}]}`, 100 at most,
//!   is answered with `{"results":[{"id":"7"}]}`; a person who was not updated has an `error` there
//! - `GET /v1/people/7` is answered with `{"id":"7","fields":{…}}`, or with 404
//! - 429 means "slow down", or "come back tomorrow" where the body contains `quota`
//!
//! [`crm`] knows these requests and answers, [`plan`] turns golden records into changes, [`run`]
//! turns changes into outcomes. What has to be another way for another CRM is in `crm` and in
//! `describe`.

mod crm;
mod packed;
mod plan;
mod run;
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "reverse-sync", generate_all });
}

use bindings::{
    exports::reverse_sync::destination::destination::{Guest, Target},
    reverse_sync::destination::{
        capabilities::{
            Body, Capability, Descriptor, DestinationType, Effect, Many, Pacing, Phase, Throttle,
        },
        streams::{Confirmed, OutcomeSink, PlanSink, Records, VerifySink},
        types::{Error, ErrorKind, PlanMode},
    },
};
use serde_json::{Value, json};

struct Roster;
bindings::export!(Roster with_types_in bindings);

impl Guest for Roster {
    fn describe() -> Descriptor {
        let read = |phase| Capability {
            phase,
            effect: Effect::Read,
            method: "GET".into(),
            path: "/v1/people/${id}".into(),
            query: vec![],
            headers: vec![],
            body: Body::None,
        };
        let update = Capability {
            effect: Effect::Write,
            method: "POST".into(),
            path: crm::UPDATE.into(),
            body: Body::Many(Many {
                open: crm::OPEN.into(),
                item: "{\"id\":\"${id}\",\"fields\":${fields}}".into(),
                close: crm::CLOSE.into(),
                max: crm::MANY,
            }),
            ..read(Phase::Run)
        };
        let throttle = |contains: Option<&str>, pause_ms| Throttle {
            http_status: 429,
            contains: contains.map(str::to_owned),
            pause_ms,
        };
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["source_id", "id_column", "fields"],
            "additionalProperties": false,
            "properties": {
                "source_id": {"type": "string", "description": "The source whose credential is used."},
                "id_column": {"type": "string", "description": "The column with Roster's number of the person."},
                "fields": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "description": "The columns that are written, each to the field of its name.",
                },
            },
        });
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            destinations: vec![DestinationType {
                name: "roster_dest".into(),
                provider: "roster".into(),
                description: "Updates people in Roster.".into(),
                config_schema: schema.to_string(),
                capabilities: vec![read(Phase::Plan), read(Phase::Run), update],
                pacing: Pacing {
                    limit: None,
                    headers: None,
                    throttles: vec![throttle(Some("quota"), None), throttle(None, Some(1_000))],
                },
                required_rights: "to read and update people".into(),
                required_scopes: vec![],
                account: None,
            }],
        }
    }

    fn plan(
        target: Target,
        mode: PlanMode,
        records: &Records,
        sink: &PlanSink,
    ) -> Result<(), Error> {
        plan::plan(&Config::read(&target)?, &target.base_url, mode, records, sink)
    }

    fn run(
        target: Target,
        mode: PlanMode,
        confirmed: &Confirmed,
        sink: &OutcomeSink,
    ) -> Result<(), Error> {
        Config::read(&target)?;
        run::run(&target.base_url, mode, confirmed, sink)
    }

    fn verify(target: Target, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
        Config::read(&target)?;
        run::verify(&target.base_url, written, sink)
    }
}

/// `config_json`.
struct Config {
    id_column: String,
    fields: Vec<String>,
}

impl Config {
    fn read(target: &Target) -> Result<Config, Error> {
        let config: Value = serde_json::from_str(&target.config)
            .map_err(|error| invalid("", &format!("the configuration is not JSON: {error}")))?;
        for key in config.as_object().into_iter().flat_map(|config| config.keys()) {
            if !["source_id", "id_column", "fields"].contains(&key.as_str()) {
                return Err(invalid(
                    &format!("/{key}"),
                    &format!("`{key}` is not a setting of roster_dest"),
                ));
            }
        }
        let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
        let id_column = text("id_column").ok_or_else(|| {
            invalid(
                "/id_column",
                "`id_column` is missing; it names the column with Roster's number of the person",
            )
        })?;
        let fields: Option<Vec<String>> =
            config["fields"].as_array().filter(|fields| !fields.is_empty()).and_then(|fields| {
                fields.iter().map(|field| field.as_str().map(str::to_owned)).collect()
            });
        let fields = fields.ok_or_else(|| {
            invalid("/fields", "`fields` is missing; it lists the columns to write")
        })?;
        Ok(Config { id_column: id_column.to_owned(), fields })
    }
}

fn invalid(pointer: &str, message: &str) -> Error {
    Error { pointer: Some(pointer.to_owned()), ..error(ErrorKind::InvalidConfig, message) }
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error { kind, code: None, pointer: None, message: message.to_owned(), missing_scopes: vec![] }
}
