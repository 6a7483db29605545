//! The simulator for other processes: `/_sim/…` shows records and requests, and switches faults. No
//! token is needed, and nothing here is in the request log.

use crate::{
    Switches, World,
    faults::Rule,
    message::{Answer, Request},
};
use serde_json::{Map, Value, json};

pub(crate) fn answer(world: &mut World, request: &Request) -> Answer {
    let path = request.path().trim_start_matches("/_sim/").to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["requests"]) => Answer::json(200, &json!(world.requests)),
        ("DELETE", ["requests"]) => {
            world.clear_log();
            Answer::empty(204)
        }
        ("GET", ["writes"]) => Answer::json(200, &json!(world.writes)),
        ("GET", ["counts"]) => Answer::json(
            200,
            &json!({
                "requests": world.requests.len(), "writes": world.writes.len(), "throttled": world.throttled,
                "token_requests": world.token_requests, "tokens_issued": world.tokens_issued,
            }),
        ),
        ("POST", ["faults"]) => match serde_json::from_value::<Rule>(body) {
            Ok(rule) => {
                world.fault(rule);
                Answer::empty(204)
            }
            Err(error) => Answer::json(400, &json!({"error": error.to_string()})),
        },
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Answer::empty(204)
        }
        ("GET", ["switches"]) => Answer::json(200, &json!(world.config.switches)),
        // Those that are not named go back to their defaults.
        ("PUT", ["switches"]) => match serde_json::from_value::<Switches>(body) {
            Ok(switches) => {
                world.config.switches = switches;
                Answer::empty(204)
            }
            Err(error) => Answer::json(400, &json!({"error": error.to_string()})),
        },
        ("GET", ["hubspot", object, id]) => match world.hubspot.record(object, id) {
            Some(record) => Answer::json(
                200,
                &json!({"properties": record.properties, "archived": record.archived}),
            ),
            None => Answer::empty(404),
        },
        ("PUT", ["hubspot", object, id]) => {
            world.hubspot.put(object, id, &body);
            Answer::empty(204)
        }
        ("PATCH", ["hubspot", object, id]) => {
            for (name, value) in body.as_object().unwrap_or(&Map::new()) {
                world.hubspot.edit(object, id, name, value.as_str().unwrap_or_default());
            }
            Answer::empty(204)
        }
        ("POST", ["hubspot", object, id, "archive"]) => {
            world.hubspot.archive(object, id);
            Answer::empty(204)
        }
        ("POST", ["hubspot", object, id, "merge", lost]) => {
            Answer::json(200, &json!({"id": world.hubspot.merge(object, id, lost)}))
        }
        ("GET", ["salesforce", object, id]) => match world.salesforce.record(object, id) {
            Some(record) => Answer::json(
                200,
                &json!({"fields": record.fields, "deleted": record.deleted, "master": record.master}),
            ),
            None => Answer::empty(404),
        },
        ("PUT", ["salesforce", object, id]) => {
            world.salesforce.put(object, id, &body);
            Answer::empty(204)
        }
        ("PATCH", ["salesforce", object, id]) => {
            for (name, value) in body.as_object().unwrap_or(&Map::new()) {
                world.salesforce.edit(object, id, name, value.clone());
            }
            Answer::empty(204)
        }
        ("POST", ["salesforce", object, id, "delete"]) => {
            world.salesforce.delete(object, id);
            Answer::empty(204)
        }
        ("POST", ["salesforce", object, id, "merge", lost]) => {
            world.salesforce.merge(object, id, lost);
            Answer::empty(204)
        }
        _ => Answer::json(404, &json!({"error": "see the simulator's README for what is here"})),
    }
}
