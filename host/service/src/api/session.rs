//! Signing in and out with a browser, and who one is.

use super::{
    auth::{COOKIE, Viewer, session},
    body::JsonBody,
    fields::Secret,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    app::App,
    store::{Member, Role},
};
use axum::{
    Extension, Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a browser keeps the cookie: as long as the store keeps the session.
const SESSION_SECONDS: u32 = 12 * 3600;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(open, close)).routes(routes!(me))
}

/// What opens a session: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSession)]
pub struct NewSessionJson {
    /// An API key.
    #[schema(value_type = Option<String>, example = "rsk_…")]
    api_key: Option<Secret>,
    /// The code of the link that `reverse-sync serve` prints. It works once.
    #[schema(value_type = Option<String>)]
    login_code: Option<Secret>,
}

/// Who one is, and what one may do.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeJson {
    /// The user.
    user: UserJson,
    /// The org.
    org: OrgJson,
    /// What the key may be used for.
    role: Role,
    /// What the org may do and keep, and what it has.
    quota: QuotaJson,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserJson {
    /// Their id.
    id: String,
    /// Their name.
    name: String,
}

/// An org.
#[derive(Serialize, ToSchema)]
#[schema(as = Org)]
pub struct OrgJson {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Whether it is of one person.
    solo: bool,
}

/// Runs of an org, and what it keeps.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaJson {
    /// Most runs within any hour.
    runs_an_hour: i64,
    /// Runs of the last hour.
    used: i64,
    /// Most runs within any 30 days.
    runs_a_month: i64,
    /// Runs of the last 30 days.
    used_this_month: i64,
    /// Most bytes of plans, runs and golden records that it may keep.
    stored_bytes: i64,
    /// Bytes that it keeps. What its runs write is counted some seconds later.
    used_bytes: u64,
}

/// Opens a session, whose cookie stands for the key.
#[utoipa::path(post, path = "/session", operation_id = "signIn", tag = "session", security(()), request_body = NewSessionJson,
    responses(
        (status = 204, description = "A cookie was set. Requests that carry it and are not GET need the header `x-reverse-sync: 1` too",
            headers(("set-cookie" = String, description = "`reverse_sync_session`"))),
        (status = 401, description = "There is no such key or code", body = ProblemJson, content_type = "application/problem+json")))]
async fn open(
    State(app): State<Arc<App>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewSessionJson>,
) -> Answer<Response> {
    let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    let no_key = || refused("there is no such API key, or it was revoked");
    let from = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let (key_id, by) = match (body.api_key, body.login_code) {
        (Some(Secret(api_key)), None) => {
            // PostgreSQL's text has no zero characters.
            let api_key = Some(api_key.expose_secret().trim())
                .filter(|key| key.bytes().all(|b| b.is_ascii_graphic()))
                .ok_or_else(no_key)?;
            let Some(member) = app.store.member_by_key(api_key).await? else {
                app.store.key_refused(api_key, from);
                return Err(no_key());
            };
            (member.key_id, "api_key")
        }
        (None, Some(Secret(code))) => match app.login_codes.redeem(code.expose_secret().trim()) {
            Some(key_id) => (key_id, "login_code"),
            None => {
                app.store.key_refused("", from);
                return Err(refused(
                    "this link was used already, or is too old; sign in with an API key, or start the service again",
                ));
            }
        },
        (None, None) => {
            return Err(Problem::invalid(
                "missing_key",
                "/api_key",
                "Required: `api_key` or `login_code`",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "invalid",
                "/login_code",
                "`api_key` and `login_code` exclude each other; send one of them",
            ));
        }
    };
    // The key of a code may have been revoked since.
    let session = app.store.open_session(&key_id, by).await?.ok_or_else(no_key)?;
    answer(&headers, session.expose_secret(), SESSION_SECONDS)
}

/// Ends the session of the request's cookie.
#[utoipa::path(delete, path = "/session", operation_id = "signOut", tag = "session",
    responses((status = 204, description = "The cookie opens nothing any more")),
    extensions(("x-role" = json!("viewer"))))]
async fn close(
    State(app): State<Arc<App>>,
    Viewer(_member): Viewer,
    headers: HeaderMap,
) -> Answer<Response> {
    if let Some(session) = session(&headers) {
        app.store.close_session(session).await?;
    }
    answer(&headers, "", 0)
}

/// Sets the cookie, for so long. Its page came by https if the proxy says so.
fn answer(headers: &HeaderMap, session: &str, seconds: u32) -> Answer<Response> {
    let https = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if https { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    let mut cookie = HeaderValue::try_from(cookie).map_err(|error| Problem::internal(&error))?;
    cookie.set_sensitive(true);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Who one is, and what the org may do and keep.
#[utoipa::path(get, path = "/me", operation_id = "getMe", tag = "session",
    responses((status = 200, description = "The user, the org and the role of the key", body = MeJson)),
    extensions(("x-role" = json!("viewer"))))]
async fn me(State(app): State<Arc<App>>, Viewer(member): Viewer) -> Answer<Json<MeJson>> {
    let usage = app.store.usage(&member.org_id).await?;
    let used_bytes =
        app.storage.used(&member.org_id).await.map_err(|error| Problem::internal(&error))?;
    let Member { org_id, org_name, solo, user_id, user_name, role, .. } = member;
    Ok(Json(MeJson {
        user: UserJson { id: user_id, name: user_name },
        org: OrgJson { id: org_id, name: org_name, solo },
        role,
        quota: QuotaJson {
            runs_an_hour: usage.quota.runs_an_hour,
            used: usage.used,
            runs_a_month: usage.quota.runs_a_month,
            used_this_month: usage.used_this_month,
            stored_bytes: usage.quota.stored_bytes,
            used_bytes,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_https_where_the_page_came_by_it() {
        let cookie = |proto: &'static str| {
            let headers = HeaderMap::from_iter([(
                header::HeaderName::from_static("x-forwarded-proto"),
                HeaderValue::from_static(proto),
            )]);
            answer(&headers, "sesame", 60).ok().unwrap().headers()[header::SET_COOKIE]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            cookie("http"),
            "reverse_sync_session=sesame; HttpOnly; SameSite=Strict; Path=/; Max-Age=60"
        );
        assert_eq!(cookie("https"), format!("{}; Secure", cookie("http")));
    }
}
