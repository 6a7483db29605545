//! Whether the service is there and can work, and what it counts.

use super::{
    auth::Viewer,
    problem::{Answer, Problem, ProblemJson},
};
use crate::app::App;
use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use serde::Serialize;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Longer than this, and the database is as good as gone.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the service can work.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct ReadinessJson {
    /// Whether the database answers.
    database: DatabaseState,
    /// Digest of the component that plans and writes.
    component: String,
}

/// How the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DatabaseState {
    /// It answers.
    Ok,
    /// It does not.
    Unavailable,
}

/// Whether the service is there.
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "service", security(()),
    responses((status = 200, description = "It is: `ok`", body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok"
}

/// Whether the service can work.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "service", security(()),
    responses(
        (status = 200, description = "It can", body = ReadinessJson),
        (status = 503, description = "It cannot: the database does not answer", body = ReadinessJson)))]
async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<ReadinessJson>) {
    let (status, database) = match timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, DatabaseState::Ok),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, DatabaseState::Unavailable)
        }
        Err(_) => {
            tracing::warn!(seconds = PATIENCE.as_secs(), "the database gave no answer in time");
            (StatusCode::SERVICE_UNAVAILABLE, DatabaseState::Unavailable)
        }
    };
    (status, Json(ReadinessJson { database, component: app.component.digest().to_string() }))
}

/// What the service counts, for Prometheus. From another machine it takes an API key.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "service", security(()),
    responses(
        (status = 200, description = "The metrics", content((String = "application/openmetrics-text"), (String = "text/plain"))),
        (status = 401, description = "From another machine, without a valid API key", body = ProblemJson,
            content_type = "application/problem+json")))]
async fn metrics(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let (mut parts, _) = request.into_parts();
    if !is_from_here(&parts) {
        Viewer::from_request_parts(&mut parts, &app).await?;
    }
    // Clients that were generated from the description know texts alone.
    let accepted = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let plain = accepted.is_some_and(|kinds| kinds.trim_start().starts_with("text/plain"));
    app.metrics.answer(plain).map_err(|error| Problem::internal(&error))
}

/// Whether the request comes from this machine itself. One that a proxy on this machine passes on
/// does not.
fn is_from_here(parts: &Parts) -> bool {
    let passed_on = parts.headers.contains_key("x-forwarded-for")
        || parts.headers.contains_key(header::FORWARDED);
    let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    !passed_on && from.is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_itself_needs_no_key() {
        let parts = |from: Option<&str>, forwarded: bool| {
            let mut request = Request::builder();
            if forwarded {
                request = request.header("x-forwarded-for", "192.0.2.1");
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            if let Some(from) = from {
                parts.extensions.insert(ConnectInfo(from.parse::<SocketAddr>().unwrap()));
            }
            parts
        };
        for here in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_from_here(&parts(Some(here), false)), "{here}");
            assert!(!is_from_here(&parts(Some(here), true)), "{here}, passed on");
        }
        assert!(
            !is_from_here(&parts(Some("192.0.2.1:1"), false)) && !is_from_here(&parts(None, false))
        );
    }
}
