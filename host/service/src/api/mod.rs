//! The API: what every route is built from, and the routes.
//!
//! - [`auth`]: who sends a request, and whether they may
//! - [`body`], [`fields`], [`paging`]: what it carries
//! - [`problem`]: what is answered when something cannot be done
//! - [`router`]: all routes, with the page, and the description that is generated from them
//!
//! Each of the other modules is a resource: its routes, and the JSON that they answer with;
//! `destination_body` and `run_json` are parts of one, `json` reads bodies, `document` completes the description.

mod audit;
pub mod auth;
pub mod body;
mod destination_body;
mod destinations;
mod document;
mod events;
pub mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
mod golden;
mod health;
mod json;
mod keys;
pub mod paging;
mod plans;
pub mod problem;
mod reverse_run;
mod run_json;
mod runs;
pub mod session;
mod source_check;
mod sources;

use super::{
    app::App,
    observe::{metrics, request_id},
    page,
};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use problem::Problem;
use std::{any::Any, sync::Arc};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Where a browser shows the description.
const DOCS: &str = "/docs";
/// What a browser may do with the page that shows the description. Its library sets styles from its
/// script.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

/// All that the service answers.
pub fn router(app: Arc<App>) -> Router {
    routes()
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(not_kept))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.metrics), metrics::count))
        .layer(middleware::from_fn(request_id::identify))
        .with_state(app)
}

/// Those that are described, and the two pages that are not: that of the description, and the one
/// for people.
fn routes() -> Router<Arc<App>> {
    let (routes, mut description) = described().split_for_parts();
    let parameters = document::Parameters::of(&mut description);
    let docs: Router<Arc<App>> = SwaggerUi::new(DOCS).config(Config::new(["/openapi.json"])).into();
    let docs = docs.layer(middleware::from_fn(docs_policy));
    routes
        .route_layer(middleware::from_fn_with_state(parameters, document::known_parameters))
        .merge(document::router(&document::complete(description)))
        .merge(docs)
        .merge(page::router())
}

/// The routes that are described.
fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(document::description())
        .merge(health::routes())
        .merge(session::routes())
        .merge(keys::routes())
        .merge(source_check::routes())
        .merge(sources::routes())
        .merge(destinations::routes())
        .merge(golden::routes())
        .merge(plans::routes())
        .merge(reverse_run::routes())
        .merge(runs::routes())
        .merge(events::routes())
        .merge(audit::routes())
}

/// Answers have personal data in them: nothing on the way keeps them. Pages say for themselves what
/// may be kept.
async fn not_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn docs_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    response
}

async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such route; GET /openapi.json describes those there are",
    )
}

async fn not_this_method() -> Problem {
    let detail = "this route does not take this method; GET /openapi.json describes what it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // What it was is in the log, by the panic hook; it may hold anything.
    Problem::internal(&"a handler panicked").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Who may use a route is tested by its description, so nothing else may be served.
    #[test]
    fn what_is_not_described_is_a_page() {
        // A router says what is in it to nobody but a debugger, to whom it shows its fallback too.
        let shown = format!("{:?}", routes());
        let served: BTreeSet<&str> = shown
            .split('"')
            .filter(|text| text.starts_with('/') && !text.contains("__private__"))
            .collect();
        let described = described().to_openapi();
        let described: BTreeSet<&str> = described.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(
            served.intersection(&described).count(),
            described.len(),
            "routers are shown in another way now: {shown}"
        );

        let docs = [DOCS.to_owned(), format!("{DOCS}/"), format!("{DOCS}/{{*rest}}")];
        let hidden: Vec<_> = served
            .difference(&described)
            .filter(|path| !docs.iter().any(|docs| docs == *path))
            .collect();
        assert!(
            hidden.iter().all(|path| page::is_asset(path)),
            "describe these routes: {hidden:?}"
        );
    }
}
