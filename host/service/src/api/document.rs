//! The description of the API, OpenAPI 3.1: generated from the handlers, and completed by what
//! holds for many of them.

use super::{
    body::unknown_parameter,
    problem::{Answer, ProblemJson},
};
use crate::app::App;
use axum::{
    Router,
    body::Bytes,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
    routing::get,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use url::form_urlencoded;
use utoipa::{
    OpenApi,
    openapi::{
        Content, ContentBuilder, PathItem, Ref, RefOr, ResponseBuilder, Schema,
        path::{Operation, ParameterIn},
        schema::{AdditionalProperties, ArrayItems},
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
    servers((url = "/", description = "Where this description comes from")),
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
    get, path = "/openapi.json", operation_id = "getDescription", tag = "service", security(()),
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

/// Adds the answers that any handler of its kind can give, that a body has no keys but those it is
/// described with, and the names of lists and of what is in them.
pub(super) fn complete(mut description: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut bodies = BTreeSet::new();
    for (path, item) in &mut description.paths.paths {
        for (_, operation) in operations(item) {
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
                statuses.push(("500", "The service failed; its log says why, by `request_id`"));
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
        name_lists(&mut components.schemas);
    }
    for item in description.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let answers = operation.responses.responses.values_mut();
            let contents = answers.filter_map(|answer| match answer {
                RefOr::T(answer) => Some(answer.content.values_mut()),
                RefOr::Ref(_) => None,
            });
            for content in contents.flatten() {
                if let Some(name) = schema_name(content).as_deref().and_then(listed_in)
                    && let RefOr::T(content) = content
                {
                    content.schema = Some(Ref::from_schema_name(list_of(name)).into());
                }
            }
        }
    }
    description
}

/// What is in a list, by the name that is derived for the list.
fn listed_in(name: &str) -> Option<&str> {
    name.strip_prefix("List_")
}

fn list_of(item: &str) -> String {
    format!("{item}List")
}

/// Names each list after what is in it, which it refers to by name: a client has one type for it
/// then, wherever it is.
fn name_lists(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let lists: Vec<String> =
        schemas.keys().filter(|name| listed_in(name).is_some()).cloned().collect();
    for derived in lists {
        let (Some(mut list), Some(name)) = (schemas.remove(&derived), listed_in(&derived)) else {
            continue;
        };
        if let RefOr::T(Schema::Object(object)) = &mut list
            && let Some(RefOr::T(Schema::Array(items))) = object.properties.get_mut("items")
            && let ArrayItems::RefOrSchema(item) = &mut items.items
        {
            let named = Ref::from_schema_name(name).into();
            let item = std::mem::replace(&mut **item, named);
            schemas.entry(name.to_owned()).or_insert(item);
        }
        schemas.insert(list_of(name), list);
    }
}

/// The parameters that each route takes in its query, by method and path. Those without a role
/// are not among them: what asks for them is not a client of the API.
#[derive(Clone)]
pub(super) struct Parameters(Arc<HashMap<(&'static str, String), Vec<String>>>);

impl Parameters {
    pub(super) fn of(description: &mut utoipa::openapi::OpenApi) -> Parameters {
        let mut known = HashMap::new();
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                if operation.extensions.as_ref().is_some_and(|more| more.contains_key("x-role")) {
                    let parameters = operation.parameters.iter().flatten();
                    let names = parameters.filter_map(|parameter| match parameter {
                        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
                            Some(parameter.name.clone())
                        }
                        _ => None,
                    });
                    known.insert((method, path.clone()), names.collect());
                }
            }
        }
        Parameters(Arc::new(known))
    }
}

/// Refuses a parameter that the route does not take: a filter that is misspelled would show
/// everything.
pub(super) async fn known_parameters(
    State(Parameters(known)): State<Parameters>,
    request: Request,
    next: Next,
) -> Answer<Response> {
    if let Some(query) = request.uri().query()
        && let Some(path) = request.extensions().get::<MatchedPath>()
        && let Some(method) = METHODS.iter().find(|name| {
            request.method().as_str().eq_ignore_ascii_case(name)
                || (**name == "get" && request.method() == axum::http::Method::HEAD)
        })
        && let Some(names) = known.get(&(*method, path.as_str().to_owned()))
        && let Some((name, _)) = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| !names.iter().any(|known| known == name))
    {
        return Err(unknown_parameter(&name, names));
    }
    Ok(next.run(request).await)
}

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

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
    let named = METHODS.into_iter().zip([get, put, post, delete, patch]);
    named.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::described;

    #[test]
    fn operations_and_lists_have_names_that_read_well() {
        let mut description = complete(described().to_openapi());
        let mut ids = BTreeSet::new();
        for item in description.paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                assert!(
                    id.len() > 4 && id.bytes().all(|b| b.is_ascii_alphabetic()),
                    "`{id}` is not a name: give the route an operation_id"
                );
                assert!(ids.insert(id.clone()), "two operations are called {id}");
            }
        }
        let schemas = serde_json::to_value(description.components.unwrap().schemas).unwrap();
        for name in schemas.as_object().unwrap().keys() {
            assert!(!name.contains('_'), "{name} is derived and not named");
        }
        let items = &schemas["RunList"]["properties"]["items"]["items"];
        assert_eq!(items["$ref"], "#/components/schemas/Run");
        let parts = schemas["Run"]["allOf"].as_array().unwrap();
        assert!(parts.iter().any(|part| part["properties"]["status"]["$ref"].is_string()));
    }
}
