//! HubSpot: routes, authentication and limits (crm-apis part A).

mod account;
mod errors;
mod listing;
mod objects;
mod properties;
mod scopes;
mod search;
mod store;

pub use properties::Property;
pub use store::{HubSpot, Object, Record};

use crate::{
    World,
    faults::Fault,
    message::{Answer, Request},
    oauth::{self, Form},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Answers a request to HubSpot: authentication, limits, route, headers (A1, A7, A9, A10).
pub(crate) fn answer(world: &mut World, request: &Request, fault: Option<&Fault>) -> Answer {
    let segments: Vec<&str> = request.path().trim_matches('/').split('/').collect();
    if let (&http::Method::POST, ["oauth", _, "token"]) = (&request.method, segments.as_slice()) {
        return grant_token(world, request);
    }
    let refused = authenticate(world, request, fault).or_else(|| limit(world, request, fault));
    let answer = refused.unwrap_or_else(|| route(world, request));
    // Searches tell nothing about limits (A9).
    let answer = if is_search(request) { answer } else { with_limits(world, answer) };
    errors::correlated(answer, world.current)
}

fn authenticate(world: &World, request: &Request, fault: Option<&Fault>) -> Option<Answer> {
    let Some((token, expired)) = request.bearer().and_then(|bearer| world.token(bearer)) else {
        return Some(errors::unauthenticated());
    };
    if expired || fault == Some(&Fault::ExpiredToken) {
        return Some(errors::expired());
    }
    if account::is_asked(request.path()) {
        let forbidden = account::is_forbidden(world);
        return forbidden.then(|| {
            errors::missing_scopes(
                &["oauth".to_owned()],
                world.config.switches.hubspot_old_scope_shape,
            )
        });
    }
    let writes = request.method != http::Method::GET
        && !request.path().ends_with("/batch/read")
        && !is_search(request);
    let object = request
        .path()
        .split('/')
        .find_map(|part| world.hubspot.object_type(part))
        .unwrap_or_default();
    let one_of = scopes::one_of(&object, writes, request.path().contains("/properties/"));
    let has_one = token
        .scopes
        .as_ref()
        .is_none_or(|scopes| one_of.iter().any(|scope| scopes.contains(scope)));
    let may = has_one && (token.can_write || !writes);
    (!may).then(|| errors::missing_scopes(&one_of, world.config.switches.hubspot_old_scope_shape))
}

fn is_search(request: &Request) -> bool {
    request.method == http::Method::POST && request.path().ends_with("/search")
}

/// A token bucket per window and per day, and another one for searches, which are exempt from the
/// window (A9; OpenAPI documents of the objects, `x-hubspot-rate-limit-exemptions:
/// ["ten-secondly"]`). Whether they count for the day is not known; here they do.
fn limit(world: &mut World, request: &Request, fault: Option<&Fault>) -> Option<Answer> {
    let now = Instant::now();
    let hubspot = &mut world.hubspot;
    let (calls, window_ms, most, policy, message) = if is_search(request) {
        (
            &mut hubspot.searches,
            1_000,
            world.config.hubspot_search_limit,
            "SECONDLY",
            "You have reached your secondly limit.",
        )
    } else {
        let message = "You have reached your ten_secondly_rolling limit.";
        (
            &mut hubspot.calls,
            world.config.hubspot_window_ms,
            world.config.hubspot_limit,
            "TEN_SECONDLY_ROLLING",
            message,
        )
    };
    let window = Duration::from_millis(u64::from(window_ms));
    while calls.front().is_some_and(|call| now.duration_since(*call) >= window) {
        calls.pop_front();
    }
    let (policy, message) =
        if fault == Some(&Fault::DailyLimit) || hubspot.today >= world.config.hubspot_daily {
            ("DAILY", "You have reached your daily limit.")
        } else if fault == Some(&Fault::Throttle) || calls.len() >= most as usize {
            (policy, message)
        } else {
            calls.push_back(now);
            hubspot.today += 1;
            return None;
        };
    world.throttled += 1;
    let mut body = json!({"status": "error", "message": message, "errorType": "RATE_LIMIT", "policyName": policy});
    if policy == "TEN_SECONDLY_ROLLING" {
        body["groupName"] = json!("publicapi:private_app-api-calls-ten-secondly:1111:2222222");
    }
    let answer = Answer::json(429, &body);
    Some(if world.config.switches.hubspot_retry_after {
        answer.with("retry-after", 1)
    } else {
        answer
    })
}

fn with_limits(world: &World, answer: Answer) -> Answer {
    let config = &world.config;
    answer
        .with("x-hubspot-ratelimit-max", config.hubspot_limit)
        .with(
            "x-hubspot-ratelimit-remaining",
            (config.hubspot_limit as usize).saturating_sub(world.hubspot.calls.len()),
        )
        .with("x-hubspot-ratelimit-interval-milliseconds", config.hubspot_window_ms)
        .with("x-hubspot-ratelimit-daily", config.hubspot_daily)
        .with(
            "x-hubspot-ratelimit-daily-remaining",
            config.hubspot_daily.saturating_sub(world.hubspot.today),
        )
}

/// `/crm/v3/objects/…` and `/crm/objects/2026-03/…` are the same (A1).
fn route(world: &mut World, request: &Request) -> Answer {
    let path = request.path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if account::is_asked(&path) && request.method == http::Method::GET {
        let portal_id = request
            .bearer()
            .and_then(|bearer| world.token(bearer))
            .map_or(0, |(token, _)| token.portal_id);
        return account::details(portal_id);
    }
    let (area, rest) = match segments.as_slice() {
        ["crm", "v3", area, rest @ ..] => (*area, rest),
        ["crm", area, version, rest @ ..] if is_dated(version) => (*area, rest),
        _ => return errors::no_route(&path),
    };
    let Some((object, rest)) = rest.split_first() else { return errors::no_route(&path) };
    let Some(object) = world.hubspot.object_type(object) else {
        return errors::unknown_object_type(object);
    };
    if matches!(request.method, http::Method::POST | http::Method::PATCH)
        && !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    {
        return errors::whole(415, "Unsupported Media Type", None);
    }
    match (area, request.method.as_str(), rest) {
        ("objects", "POST", ["batch", "update"]) => {
            with_body(request, |body| objects::batch_update(world, &object, &body))
        }
        ("objects", "POST", ["batch", "read"]) => {
            with_body(request, |body| objects::batch_read(world, &object, &body, request))
        }
        ("objects", "POST", ["search"]) => {
            with_body(request, |body| search::search(world, &object, &body))
        }
        ("objects", "GET", []) => listing::list(world, &object, request),
        ("objects", "PATCH", [id]) => {
            with_body(request, |body| objects::update(world, &object, id, request, &body))
        }
        ("objects", "GET", [id]) => objects::read(world, &object, id, request),
        // They exist, and a client that may only update must never get here.
        ("objects", "POST", []) => {
            with_body(request, |body| objects::create(world, &object, &body))
        }
        ("objects", "DELETE", [id]) => objects::archive(world, &object, id),
        ("properties", "GET", []) => properties::list(world, &object),
        ("properties", "GET", [name]) => properties::one(world, &object, name),
        ("properties", "POST", ["batch", "read"]) => {
            with_body(request, |body| properties::batch_read(world, &object, &body))
        }
        _ => errors::no_route(&path),
    }
}

/// Such as `2026-03`.
fn is_dated(version: &str) -> bool {
    version.len() >= 7 && version.as_bytes()[4] == b'-' && version.starts_with("20")
}

fn with_body(request: &Request, handle: impl FnOnce(Value) -> Answer) -> Answer {
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(body) => handle(body),
        Err(error) => {
            let message = format!(
                "Invalid input JSON on line {}, column {}: {error}",
                error.line(),
                error.column()
            );
            errors::whole(400, &message, Some("VALIDATION_ERROR"))
        }
    }
}

/// Refresh tokens (A10): a refresh gives a new access token, which is accepted from then on, until
/// it ends. What is said about an invalid form or a client is RFC 6749's, as the facts do not
/// tell HubSpot's own words.
fn grant_token(world: &mut World, request: &Request) -> Answer {
    let Some(form) = Form::of(request) else {
        return Answer::json(
            400,
            &json!({"error": "invalid_request", "error_description": "the body is not a form"}),
        );
    };
    if form.field("grant_type") != "refresh_token" {
        return Answer::json(
            400,
            &json!({"error": "unsupported_grant_type", "error_description": "grant type not supported"}),
        );
    }
    if !form.is_from_the_client(world) {
        return Answer::json(
            400,
            &json!({"error": "invalid_client", "error_description": "missing or unknown client"}),
        );
    }
    if form.field("refresh_token") != world.hubspot.refresh_token {
        let body = json!({"error": "invalid_grant", "error_description": "refresh token is invalid, expired or revoked", "status": "BAD_REFRESH_TOKEN", "message": "refresh token is invalid, expired or revoked"});
        return Answer::json(400, &body);
    }
    let lives_ms = world.config.hubspot_token_ms;
    let scopes = world.hubspot.oauth_scopes.clone();
    let token = oauth::issue(world, "CJ", lives_ms, Some(scopes.clone()));
    if world.hubspot.rotate_refresh_token {
        world.hubspot.refresh_token = oauth::successor(world, "6f1c");
    }
    let body = json!({
        "access_token": token.text, "refresh_token": world.hubspot.refresh_token, "expires_in": lives_ms / 1_000, "token_type": "bearer",
        "hub_id": token.portal_id, "scopes": scopes, "token_use": "access_token", "user_id": 33,
    });
    Answer::json(200, &body)
}
