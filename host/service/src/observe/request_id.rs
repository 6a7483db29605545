//! Request ids: each answer of the API has one, and so has every line that is logged for it.

use super::metrics;
use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use rand::{TryRngCore, rngs::OsRng};
use std::{fmt, sync::Arc, time::Instant};
use tracing::{Instrument, Span, field};

/// The header, in requests and in answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a request.
const MAX_LENGTH: usize = 64;

/// The id of a request: what its client said it is, or one of ours. It is an extension of the
/// request too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The text: letters, digits, `-`, `_` and `.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Another than any before.
    fn fresh() -> RequestId {
        let mut bytes = [0; 16];
        // Without randomness the id is a poor one, and the request is none the worse.
        let _ = OsRng.try_fill_bytes(&mut bytes);
        RequestId(format!("req_{:032x}", u128::from_be_bytes(bytes)).into())
    }

    /// What a client chose, if it can go into a header and a log line as it is.
    fn sane(value: &HeaderValue) -> Option<RequestId> {
        let text = value.to_str().ok()?;
        let sane = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        sane.then(|| RequestId(Arc::from(text)))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of the request that this task answers, for errors that want to name it.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Middleware: gives a request its id and its span. To be the outermost layer of the whole router,
/// its fallback included.
pub async fn identify(matched: Option<MatchedPath>, mut request: Request, next: Next) -> Response {
    let id =
        request.headers().get(HEADER).and_then(RequestId::sane).unwrap_or_else(RequestId::fresh);
    let (method, route) = (
        metrics::method(request.method()),
        matched.as_ref().map_or(metrics::UNMATCHED, MatchedPath::as_str),
    );
    let span = tracing::error_span!(
        "request",
        request_id = id.as_str(),
        method,
        route,
        status = field::Empty,
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
    );
    request.extensions_mut().insert(id.clone());
    let answering = async {
        let began = Instant::now();
        let mut response = next.run(request).await;
        let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis() as u64);
        Span::current().record("status", status);
        if status >= 500 {
            tracing::warn!(ms, "answered");
        } else {
            tracing::debug!(ms, "answered");
        }
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(HEADER, value);
        }
        response
    };
    CURRENT.scope(id.clone(), answering.instrument(span)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use http_body_util::BodyExt;
    use tower_service::Service;

    async fn answer(asked: Option<&'static str>, path: &str) -> (String, String) {
        let handler = get(async || current().map_or_else(String::new, |id| id.to_string()));
        let mut router = Router::new().route("/x", handler).layer(from_fn(identify));
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        if let Some(asked) = asked {
            request.headers_mut().insert(HEADER, HeaderValue::from_static(asked));
        }
        let response = Service::call(&mut router, request).await.unwrap();
        let header = response.headers()[HEADER].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (header, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_sane_id_is_kept_and_the_handler_knows_it() {
        assert_eq!(
            answer(Some("trace-7.a_B"), "/x").await,
            ("trace-7.a_B".to_owned(), "trace-7.a_B".to_owned())
        );
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn any_other_request_gets_one_of_its_own() {
        const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert_eq!(LONG.len(), MAX_LENGTH + 1);
        let mut seen = std::collections::BTreeSet::new();
        for insane in [None, Some(""), Some("a b"), Some("a\"b"), Some("<script>"), Some(LONG)] {
            let (header, body) = answer(insane, "/x").await;
            assert!(
                header.starts_with("req_") && header.len() == 36 && header == body,
                "{insane:?}: {header}"
            );
            assert!(seen.insert(header));
        }
        assert!(
            answer(None, "/nowhere").await.0.starts_with("req_"),
            "an answer without a route has one too"
        );
    }
}
