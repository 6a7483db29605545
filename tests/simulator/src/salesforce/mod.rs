//! Salesforce: routes, authentication and limits (crm-apis part B).

mod bulk;
mod collections;
mod errors;
mod ids;
mod organization;
mod query;
mod resources;
mod rows;
mod schema;
mod soql;
mod store;

pub use bulk::Bulk;
pub use ids::record_id;
pub use schema::Field;
pub use store::{Record, SObject, Salesforce};

use crate::{
    World,
    faults::Fault,
    message::{Answer, Request},
    oauth::{self, Form},
};
use serde_json::{Value, json};

/// URI and headers together (B8).
const MAX_HEAD: usize = 16_384;

/// Answers a request to Salesforce (B1, B5, B7, B8).
pub(crate) fn answer(world: &mut World, request: &Request, fault: Option<&Fault>) -> Answer {
    let path = request.path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["services", "oauth2", "token"] => grant_token(world, request),
        ["services", "data"] => resources::versions(),
        ["services", "data", version, rest @ ..] => {
            if let Some(refused) = gone(version)
                .or_else(|| authenticate(world, request, fault))
                .or_else(|| limit(world, fault))
            {
                return with_limit_info(world, refused);
            }
            let answer = route(world, request, version, rest);
            with_limit_info(world, answer)
        }
        _ => errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}

/// Old versions are gone (B1).
fn gone(version: &str) -> Option<Answer> {
    let number: f64 = version.strip_prefix('v')?.parse().ok()?;
    (number <= 30.0)
        .then(|| errors::one(410, "UNSUPPORTED_API_VERSION", "This API version has been retired"))
}

fn authenticate(world: &World, request: &Request, fault: Option<&Fault>) -> Option<Answer> {
    let Some(bearer) = request.bearer() else {
        return Some(errors::one(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
    };
    match world.token(bearer) {
        Some((token, false)) if fault != Some(&Fault::ExpiredToken) => {
            let reads = request.method == http::Method::GET
                || (request.method == http::Method::POST
                    && request.path().contains("/composite/sobjects/"));
            (!reads && !token.can_write).then(|| {
                errors::one(
                    403,
                    "INSUFFICIENT_ACCESS_OR_READONLY",
                    "insufficient access rights on object id",
                )
            })
        }
        _ => Some(errors::one(401, "INVALID_SESSION_ID", "Session expired or invalid")),
    }
}

/// The daily limit, and too many at once: both 403 with the same code, told apart by their text
/// (B8).
fn limit(world: &mut World, fault: Option<&Fault>) -> Option<Answer> {
    let message = if fault == Some(&Fault::DailyLimit)
        || world.salesforce.today >= world.config.salesforce_daily
    {
        "TotalRequests Limit exceeded."
    } else if fault == Some(&Fault::Throttle) {
        "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
    } else {
        world.salesforce.today += 1;
        return None;
    };
    world.throttled += 1;
    Some(errors::one(403, "REQUEST_LIMIT_EXCEEDED", message))
}

fn with_limit_info(world: &World, answer: Answer) -> Answer {
    answer.with(
        "sforce-limit-info",
        format!("api-usage={}/{}", world.salesforce.today, world.config.salesforce_daily),
    )
}

fn route(world: &mut World, request: &Request, version: &str, rest: &[&str]) -> Answer {
    let headers: usize =
        request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if request.target.len() + headers > MAX_HEAD {
        return errors::one(414, "URI_TOO_LONG", "The URI and the headers are too long");
    }
    let has_body = matches!(request.method, http::Method::POST | http::Method::PATCH);
    if has_body
        && !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    {
        return errors::one(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type is not supported");
    }
    match (request.method.as_str(), rest) {
        ("PATCH", ["composite", "sobjects"]) => {
            with_body(request, |body| collections::update(world, &body))
        }
        ("GET", ["composite", "sobjects", object]) => {
            let list = |key: &str| -> Vec<String> {
                request
                    .query(key)
                    .map(|text| text.split(',').map(str::to_owned).collect())
                    .unwrap_or_default()
            };
            collections::read(world, object, &list("ids"), &list("fields"), 800)
        }
        ("POST", ["composite", "sobjects", object]) => with_body(request, |body| {
            let list = |key: &str| -> Vec<String> {
                let items = body.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            };
            collections::read(world, object, &list("ids"), &list("fields"), 2_000)
        }),
        ("GET", ["sobjects", object, "describe"]) => schema::describe(world, object),
        ("PATCH", ["sobjects", object, id]) => {
            with_body(request, |body| rows::update(world, object, id, request, &body))
        }
        ("GET", ["sobjects", object, id]) => rows::read(world, object, id, request),
        // They exist, and a client that may only update must never get here.
        ("POST", ["sobjects", object]) => {
            with_body(request, |body| rows::create(world, object, &body))
        }
        ("DELETE", ["sobjects", object, id]) => rows::delete(world, object, id),
        ("GET", ["connect", "organization"]) => organization::answer(world, request),
        ("GET", []) => resources::of_version(version),
        ("GET", ["sobjects"]) => resources::describe_global(world, version),
        ("GET", ["sobjects", object]) => resources::basic_information(world, version, object),
        ("GET", ["query"]) => query::run(world, request, false),
        ("GET", ["queryAll"]) => query::run(world, request, true),
        ("GET", ["query" | "queryAll", locator]) => query::more(world, request, locator),
        ("GET", ["limits"]) => {
            let (max, used) = (world.config.salesforce_daily, world.salesforce.today);
            Answer::json(
                200,
                &json!({"DailyApiRequests": {"Max": max, "Remaining": max.saturating_sub(used)}}),
            )
        }
        (_, ["jobs", "ingest", rest @ ..]) => bulk::route(world, request, rest),
        _ => errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}

fn with_body(request: &Request, handle: impl FnOnce(Value) -> Answer) -> Answer {
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(body) => handle(body),
        Err(error) => errors::one(
            400,
            "JSON_PARSER_ERROR",
            &format!("{error} at [line:{}, column:{}]", error.line(), error.column()),
        ),
    }
}

/// Refresh token, client credentials, JWT bearer (B10). Errors here are an object, not a list. What
/// is said about an invalid form or a client is RFC 6749's, and what about an assertion is a
/// guess: the facts do not tell Salesforce's own words.
fn grant_token(world: &mut World, request: &Request) -> Answer {
    let refused = |error: &str, description: &str| {
        Answer::json(400, &json!({"error": error, "error_description": description}))
    };
    let Some(form) = Form::of(request) else {
        return refused("invalid_request", "the body is not a form");
    };
    let own_url = format!("http://{}", request.header("host").unwrap_or_default());
    let grant = form.field("grant_type");
    match grant {
        "client_credentials" if form.header_is_from_the_client(world) => {}
        "refresh_token" | "client_credentials" if !form.is_from_the_client(world) => {
            return refused("invalid_client", "invalid client credentials");
        }
        "refresh_token" if form.field("refresh_token") != world.salesforce.refresh_token => {
            return refused("invalid_grant", "expired access/refresh token");
        }
        "refresh_token" | "client_credentials" => {}
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            if let Err(why) = oauth::check_assertion(world, form.field("assertion"), &own_url) {
                return refused("invalid_grant", why);
            }
        }
        _ => return refused("unsupported_grant_type", "grant type not supported"),
    }
    let token = oauth::issue(world, "00D5t0000000001!AQ", world.config.salesforce_session_ms, None);
    let (organization, user) = (&token.organization_id, record_id("005", 0));
    let mut body = json!({
        "access_token": token.text, "instance_url": own_url, "id": format!("https://login.salesforce.com/id/{organization}/{user}"),
        "token_type": "Bearer", "issued_at": store::now().to_string(), "signature": "x", "scope": world.salesforce.oauth_scope,
    });
    if world.salesforce.rotate_refresh_token && grant == "refresh_token" {
        world.salesforce.refresh_token = oauth::successor(world, "5Aep");
        body["refresh_token"] = json!(world.salesforce.refresh_token);
    }
    Answer::json(200, &body)
}
