//! HubSpot's error bodies (A7). Every member but the message is optional in practice.

use crate::message::Answer;
use serde_json::{Value, json};

/// Every answer has a correlation id in its header, and an error repeats it in its body.
pub(super) fn correlated(mut answer: Answer, request: u64) -> Answer {
    let id = format!("5d1b1c0e-5a0e-4f6e-9a11-{request:012x}");
    if answer.status >= 400
        && let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body)
    {
        body.insert("correlationId".to_owned(), json!(id));
        answer.body = Value::Object(body).to_string().into();
    }
    answer.with("x-hubspot-correlation-id", id)
}

pub(super) fn whole(status: u16, message: &str, category: Option<&str>) -> Answer {
    let mut body = json!({"status": "error", "message": message});
    if let Some(category) = category {
        body["category"] = json!(category);
    }
    Answer::json(status, &body)
}

pub(super) fn no_route(path: &str) -> Answer {
    whole(404, &format!("Unable to find resource {path}"), None)
}

pub(super) fn unknown_object_type(name: &str) -> Answer {
    whole(400, &format!("Unable to infer object type from: {name}"), None)
}

pub(super) fn unauthenticated() -> Answer {
    whole(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        Some("INVALID_AUTHENTICATION"),
    )
}

pub(super) fn expired() -> Answer {
    let body = json!({
        "status": "error", "message": "The OAuth token used to make this call expired 0 second(s) ago.",
        "category": "EXPIRED_AUTHENTICATION", "context": {"expire time": ["2026-03-10T23:04:41.164Z"]},
    });
    Answer::json(401, &body)
}

pub(super) fn missing_scopes(one_of: &[String], old_shape: bool) -> Answer {
    let message = "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.";
    let scopes = json!({"requiredGranularScopes": one_of});
    let mut body = json!({"status": "error", "message": message, "category": "MISSING_SCOPES"});
    if old_shape {
        body["context"] = scopes;
        body["context"]["links"] = json!(["https://developers.hubspot.com/scopes"]);
    } else {
        body["errors"] = json!([{"message": "One or more of the following scopes are required.", "context": scopes}]);
        body["links"] = json!({"scopes": "https://developers.hubspot.com/scopes"});
    }
    Answer::json(403, &body)
}

pub(super) fn not_found(with_category: bool) -> Answer {
    whole(404, "resource not found", with_category.then_some("OBJECT_NOT_FOUND"))
}

pub(super) fn not_numeric(id: &str) -> Answer {
    let body = json!({
        "status": "error", "message": "Object not found.  objectId are usually numeric.",
        "context": {"id": [id]}, "category": "OBJECT_NOT_FOUND",
    });
    Answer::json(404, &body)
}

/// Values that were not valid: a list of items in the message's own JSON, and again in `errors`
/// (A5).
pub(super) fn invalid(items: &[Invalid]) -> Answer {
    let listed: Vec<Value> =
        items.iter().map(|item| json!({"isValid": false, "message": item.message, "error": item.code, "name": item.property})).collect();
    // `errors` may hold fewer items than the message, so clients must not count on their number.
    let errors: Vec<Value> = items
        .iter()
        .take(3)
        .map(|item| json!({"message": item.message, "code": item.code, "context": {"propertyName": [item.property]}}))
        .collect();
    let body = json!({
        "status": "error", "message": format!("Property values were not valid: {}", Value::Array(listed)),
        "errors": errors, "category": "VALIDATION_ERROR",
    });
    Answer::json(400, &body)
}

/// One value that HubSpot refuses.
pub(super) struct Invalid {
    pub(super) property: String,
    pub(super) code: &'static str,
    pub(super) message: String,
}
