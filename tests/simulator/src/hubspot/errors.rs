//! HubSpot's error bodies (A7). Every member but the message is optional in practice.

use crate::message::Answer;
use serde_json::{Value, json};

pub(super) fn correlation_id(number: u64) -> String {
    format!("5d1b1c0e-5a0e-4f6e-9a11-{number:012x}")
}

pub(super) fn whole(status: u16, message: &str, category: Option<&str>) -> Answer {
    let mut body = json!({"status": "error", "message": message, "correlationId": correlation_id(0)});
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
        "status": "error", "message": "The OAuth token used to make this call expired 0 second(s) ago.", "correlationId": correlation_id(0),
        "category": "EXPIRED_AUTHENTICATION", "context": {"expire time": ["2026-03-10T23:04:41.164Z"]},
    });
    Answer::json(401, &body)
}

pub(super) fn missing_scopes(old_shape: bool) -> Answer {
    let message = "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.";
    let scopes = json!({"requiredGranularScopes": ["crm.objects.contacts.write"]});
    let mut body = json!({"status": "error", "message": message, "correlationId": correlation_id(0), "category": "MISSING_SCOPES"});
    if old_shape {
        body["context"] = scopes;
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
        "status": "error", "message": "Object not found.  objectId are usually numeric.", "correlationId": correlation_id(0),
        "context": {"id": [id]}, "category": "OBJECT_NOT_FOUND",
    });
    Answer::json(404, &body)
}

/// Values that were not valid: a list of items in the message's own JSON, and again in `errors` (A5).
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
        "correlationId": correlation_id(0), "errors": errors, "category": "VALIDATION_ERROR",
    });
    Answer::json(400, &body)
}

/// One value that HubSpot refuses.
pub(super) struct Invalid {
    pub(super) property: String,
    pub(super) code: &'static str,
    pub(super) message: String,
}
