//! Who sends a request, and whether they may.
//!
//! A handler says by the type of its first argument what it takes: [`Viewer`], [`Operator`] or
//! [`Admin`]. There is no other way to a [`Member`], whose org every question to the store names.

use super::problem::Problem;
use crate::store::{Member, Role, Store};
use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use std::net::SocketAddr;

/// The cookie of a session.
pub const COOKIE: &str = "reverse_sync_session";
/// What a request has to carry beside the cookie if it changes something. Another site's page
/// cannot send it.
pub const CSRF_HEADER: &str = "x-reverse-sync";

/// Anybody with a key.
pub struct Viewer(pub Member);
/// Who may bring golden records, plan, run, stop and undo.
pub struct Operator(pub Member);
/// Who may set things up.
pub struct Admin(pub Member);

macro_rules! extractor {
    ($name:ident) => {
        impl<S: Send + Sync> FromRequestParts<S> for $name
        where
            Store: FromRef<S>,
        {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let member = member(parts, &Store::from_ref(state)).await?;
                if member.role < Role::$name {
                    let detail = format!(
                        "this needs the role {}; the key has the role {}",
                        Role::$name,
                        member.role
                    );
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

async fn member(parts: &Parts, store: &Store) -> Result<Member, Problem> {
    let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let key = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let key = key.ok_or_else(|| refused("the Authorization header must be `Bearer rsk_…`"))?;
        return store.member_by_key(key.trim()).await?.ok_or_else(|| {
            store.key_refused(
                key.trim(),
                parts
                    .extensions
                    .get::<ConnectInfo<SocketAddr>>()
                    .map(|ConnectInfo(peer)| peer.ip()),
            );
            refused("there is no such API key, or it was revoked")
        });
    }
    let Some(session) = session(&parts.headers) else {
        return Err(refused("this needs an API key: Authorization: Bearer rsk_…"));
    };
    let harmless = parts.method == Method::GET || parts.method == Method::HEAD;
    if !harmless && !parts.headers.contains_key(CSRF_HEADER) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("a request with a session's cookie needs the header {CSRF_HEADER}: 1"),
        ));
    }
    store
        .member_by_session(session)
        .await?
        .ok_or_else(|| refused("the session has ended; sign in again"))
}

/// The session that a request carries.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|text| text.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;
    use axum::{
        Json, Router,
        body::Body,
        http::{Request, Response},
        routing::{get, post},
    };
    use http_body_util::BodyExt;
    use secrecy::ExposeSecret;
    use tower_service::Service;

    async fn answer(router: &Router, request: Request<Body>) -> (u16, String, serde_json::Value) {
        let response: Response<Body> = router.clone().call(request).await.unwrap();
        let (status, kind) =
            (response.status().as_u16(), response.headers().get(header::CONTENT_TYPE).cloned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let kind = kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned());
        (status, kind, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_key_opens_what_its_role_may_and_nothing_else() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        let router = Router::new()
            .route("/viewer", get(|Viewer(member): Viewer| async move { Json(member.org_id) }))
            .route(
                "/operator",
                get(|Operator(member): Operator| async move { Json(member.org_id) }),
            )
            .route("/admin", get(|Admin(member): Admin| async move { Json(member.org_id) }))
            .with_state(store.clone());
        for (role, allowed) in [(Role::Viewer, 1), (Role::Operator, 2), (Role::Admin, 3)] {
            let key = store.add_key(&org, "ada", "test", role, "ada").await.unwrap().api_key;
            let bearer = format!("Bearer {}", key.expose_secret());
            for (at, path) in ["/viewer", "/operator", "/admin"].into_iter().enumerate() {
                let (status, kind, body) =
                    answer(&router, request("GET", path, &[("authorization", &bearer)])).await;
                if at < allowed {
                    assert_eq!((status, &body), (200, &serde_json::json!(org)), "{role} {path}");
                } else {
                    assert_eq!(
                        (status, kind.as_str(), &body["code"]),
                        (403, "application/problem+json", &"forbidden".into()),
                        "{role} {path}"
                    );
                }
            }
        }
        for bad in [None, Some("Bearer "), Some("Bearer rsk_0_0"), Some("Basic cm9vdA==")] {
            let headers: Vec<_> = bad.iter().map(|value| ("authorization", *value)).collect();
            assert_eq!(
                answer(&router, request("GET", "/viewer", &headers)).await.0,
                401,
                "{bad:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_cookie_changes_nothing_without_the_header_that_only_our_page_sends() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        let key = store.add_key(&org, "ada", "test", Role::Admin, "ada").await.unwrap();
        let session = store.open_session(&key.row.key_id, "api_key").await.unwrap().unwrap();
        let cookie = format!("other=1; {COOKIE}={}", session.expose_secret());
        let handler = |Viewer(member): Viewer| async move { Json(member.user_name) };
        let router = Router::new()
            .route("/", get(handler))
            .route("/do", post(handler))
            .with_state(store.clone());
        assert_eq!(answer(&router, request("GET", "/", &[("cookie", &cookie)])).await.0, 200);
        assert_eq!(answer(&router, request("POST", "/do", &[("cookie", &cookie)])).await.0, 403);
        assert_eq!(
            answer(&router, request("POST", "/do", &[("cookie", &cookie), (CSRF_HEADER, "1")]))
                .await
                .0,
            200
        );
        store.close_session(session.expose_secret()).await.unwrap();
        assert_eq!(answer(&router, request("GET", "/", &[("cookie", &cookie)])).await.0, 401);
    }
}
