//! The description of the API, OpenAPI 3.1: generated from the handlers, and completed by what
//! holds for many of them.

use super::problem::ProblemJson;
use crate::app::App;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
    routing::get,
};
use std::{collections::BTreeSet, sync::Arc};
use utoipa::{
    OpenApi,
    openapi::{
        Content, ContentBuilder, PathItem, Ref, RefOr, ResponseBuilder, Schema,
        path::Operation,
        schema::AdditionalProperties,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "reverse-sync",
        description = "Golden records, written back to the CRM they came from: UPDATE only, by the CRM's own record id, behind a dry run and an explicit confirmation."
    ),
    paths(openapi_json),
    components(schemas(ProblemJson)),
    security(("api_key" = []), ("session" = [])),
    tags(
        (name = "sources", description = "Connected CRM accounts, whose credentials go in and never come out"),
        (name = "destinations", description = "Where golden records are written"),
        (name = "golden records", description = "What is written"),
        (name = "plans", description = "Dry runs: what would be written"),
        (name = "runs", description = "Confirmed pushes, and what became of each change"),
        (name = "audit", description = "What was done, by whom"),
        (name = "api keys", description = "Who may do what"),
        (name = "session", description = "Signing in with a browser"),
        (name = "service", description = "Health, metrics, this description"),
    )
)]
struct Description;

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
#[expect(dead_code, reason = "describes what `router` answers")]
fn openapi_json() {}

/// What the routes are added to.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    if let Some(components) = &mut description.components {
        let key = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("rsk_…").build();
        components.add_security_scheme("api_key", SecurityScheme::Http(key));
        let cookie = ApiKeyValue::with_description(
            super::auth::COOKIE,
            "from POST /session; what changes something needs x-reverse-sync: 1 beside it",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
    description
}

/// Adds the answers that any handler of its kind can give, and that a body has no keys but those it
/// is described with.
pub(super) fn complete(mut description: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut bodies = BTreeSet::new();
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            let has_role = operation
                .extensions
                .as_ref()
                .is_some_and(|extensions| extensions.contains_key("x-role"));
            let mut statuses = vec![("400", "The request makes no sense")];
            if has_role {
                statuses.push(("401", "No valid key or session"));
                statuses.push((
                    "403",
                    "The role does not suffice, or a session's request lacks its header",
                ));
            }
            if path.contains('{') {
                statuses.push(("404", "There is no such thing in this org"));
            }
            if let Some(body) = &operation.request_body {
                if let RefOr::T(body) = body {
                    bodies.extend(body.content.get("application/json").and_then(schema_name));
                }
                statuses.push(("408", "The body does not end"));
                statuses.push(("413", "The body is too large"));
                statuses.push(("415", "The body is of another kind"));
                statuses.push(("422", "Something in the body is wrong; `pointer` says where"));
            }
            for (status, what) in statuses {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| problem(what));
            }
        }
    }
    if let Some(components) = &mut description.components {
        for (name, schema) in &mut components.schemas {
            if let RefOr::T(Schema::Object(object)) = schema
                && bodies.contains(name)
            {
                object.additional_properties =
                    Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
    description
}

/// The name of the schema that a content has.
fn schema_name(content: &RefOr<Content>) -> Option<String> {
    match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(to)), .. }) => {
            Some(to.ref_location.rsplit('/').next()?.to_owned())
        }
        _ => None,
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let named = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    named.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// `get_runs_outcomes` for `GET /runs/{run_id}/outcomes`; with `_by_id` where one thing is asked
/// for, so that no two are the same.
fn operation_id(method: &str, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let words = parts
        .iter()
        .filter(|part| !part.starts_with('{'))
        .map(|part| part.replace(['-', '.'], "_"));
    let by_id = if parts.last().is_some_and(|part| part.starts_with('{')) { "_by_id" } else { "" };
    format!("{method}_{}{by_id}", words.collect::<Vec<_>>().join("_"))
}

fn problem(description: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build(),
    )
}

/// Serves the description.
pub(super) fn router(description: &utoipa::openapi::OpenApi) -> Router<Arc<App>> {
    // What was generated is maps, lists and texts.
    let text = Bytes::from(description.to_json().unwrap_or_default());
    let answer = move || {
        std::future::ready((
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            text.clone(),
        ))
    };
    Router::new().route("/openapi.json", get(answer))
}
