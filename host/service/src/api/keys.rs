//! API keys of an org.

use super::{
    auth::Admin,
    body::{JsonBody, List, PathId, Query, bad_cursor},
    fields::Name,
    paging::Paging,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    app::App,
    store::{ApiKeyRow, Revoked, Role, time_text},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyJson {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it may be used for.
    role: Role,
    /// When it was made.
    created_at: String,
}

/// An API key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub(super) struct CreatedApiKeyJson {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it may be used for.
    role: Role,
    /// When it was made.
    created_at: String,
    /// The key itself. It is shown this once.
    api_key: String,
}

/// An API key that is about to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub(super) struct NewApiKeyJson {
    /// Whose it is, or what for. Keys of one name are of one user.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "nightly")]
    name: Name,
    /// What it may be used for.
    role: Role,
}

fn shown(row: ApiKeyRow) -> ApiKeyJson {
    ApiKeyJson {
        id: row.key_id,
        name: row.name,
        role: row.role,
        created_at: time_text(row.created_at),
    }
}

/// The API keys of the org.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = "api keys", params(Paging),
    responses((status = 200, description = "The keys that can be used", body = List<ApiKeyJson>)),
    extensions(("x-role" = json!("admin"))))]
async fn list(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<ApiKeyJson>>> {
    let (limit, after) = (paging.limit()?, position(&paging)?);
    let mut rows = app.store.keys(&member.org_id).await?;
    // One that cannot be read is on the first page, wherever its place would be.
    rows.retain(|row| {
        after.as_ref().is_none_or(|(at, id)| {
            row.as_ref().is_ok_and(|row| (row.created_at, row.key_id.as_str()) > (*at, id.as_str()))
        })
    });
    let cursor = |row: &ApiKeyRow| format!("{}-{}", row.created_at, row.key_id);
    Ok(Json(List::page(rows, limit, cursor, |row| Ok(shown(row)))))
}

/// The key after which a page begins. It may be revoked by now, so its place is told by what orders
/// the list.
pub(super) fn position(paging: &Paging) -> Answer<Option<(i64, String)>> {
    let after = paging.after()?;
    if after.is_empty() {
        return Ok(None);
    }
    let parts = after.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.map(Some).ok_or_else(bad_cursor)
}

/// Makes an API key.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = "api keys", request_body = NewApiKeyJson,
    responses((status = 201, description = "The key, which is shown this once", body = CreatedApiKeyJson)),
    extensions(("x-role" = json!("admin"))))]
async fn create(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    JsonBody(NewApiKeyJson { name: Name(name), role }): JsonBody<NewApiKeyJson>,
) -> Answer<(StatusCode, [(HeaderName, &'static str); 1], Json<CreatedApiKeyJson>)> {
    let key = app.store.add_key(&member.org_id, &name, &name, role, &member.who()).await?;
    let created = CreatedApiKeyJson {
        id: key.row.key_id,
        name,
        role,
        created_at: time_text(key.row.created_at),
        api_key: key.api_key.expose_secret().to_owned(),
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(created)))
}

/// Revokes an API key, and ends the sessions that were opened with it. The last admin key of an org
/// stays.
#[utoipa::path(delete, path = "/api-keys/{key_id}", operation_id = "revokeApiKey", tag = "api keys", params(("key_id" = String, Path, description = "The key")),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 409, description = "It is the last admin key of the org: make another one first", body = ProblemJson,
            content_type = "application/problem+json")),
    extensions(("x-role" = json!("admin"))))]
async fn revoke(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    PathId(key_id): PathId,
) -> Answer<StatusCode> {
    match app.store.revoke_key(&member.org_id, &key_id, &member.who()).await? {
        Revoked::Done => Ok(StatusCode::NO_CONTENT),
        Revoked::Missing => Err(Problem::missing("API key", &key_id)),
        Revoked::LastAdmin => {
            let detail = format!(
                "`{key_id}` is the org's last admin key, and only an admin can make keys; make another one first with POST /api-keys and \
                 \"role\": \"admin\""
            );
            Err(Problem::conflict("last_admin_key", detail))
        }
    }
}
