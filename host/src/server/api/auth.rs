//! Who sends a request, and whether they may.
//!
//! A handler says by the type of its first argument what it takes: [`Viewer`], [`Operator`] or [`Admin`]. There is no other
//! way to a [`Member`], whose org every question to the store names.

use super::problem::Problem;
use crate::server::{
    app::App,
    store::{Member, Role},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use std::sync::Arc;

/// The cookie of a session.
pub(crate) const COOKIE: &str = "reverse_sync_session";
/// What a request has to carry beside the cookie if it changes something. Another site's page cannot send it.
pub(crate) const CSRF_HEADER: &str = "x-reverse-sync";

/// Anybody with a key.
pub(crate) struct Viewer(pub(crate) Member);
/// Who may bring golden records, plan, run, stop and undo.
pub(crate) struct Operator(pub(crate) Member);
/// Who may set things up.
pub(crate) struct Admin(pub(crate) Member);

macro_rules! extractor {
    ($name:ident) => {
        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
                let member = member(parts, app).await?;
                if member.role < Role::$name {
                    let detail = format!("this needs the role {}; the key has the role {}", Role::$name, member.role);
                    return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
                }
                Ok($name(member))
            }
        }
    };
}

extractor!(Viewer);
extractor!(Operator);
extractor!(Admin);

async fn member(parts: &Parts, app: &App) -> Result<Member, Problem> {
    let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let key = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let key = key.ok_or_else(|| refused("the Authorization header has to be `Bearer rsk_…`"))?;
        return app.store.member_by_key(key.trim()).await?.ok_or_else(|| refused("there is no such API key, or it was revoked"));
    }
    let Some(session) = session(&parts.headers) else {
        return Err(refused("this needs an API key: Authorization: Bearer rsk_…"));
    };
    let harmless = parts.method == Method::GET || parts.method == Method::HEAD;
    if !harmless && !parts.headers.contains_key(CSRF_HEADER) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("a request with a session's cookie needs the header {CSRF_HEADER}: 1")));
    }
    app.store.member_by_session(session).await?.ok_or_else(|| refused("the session has ended; sign in again"))
}

/// The session that a request carries.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|text| text.split(';')).find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
