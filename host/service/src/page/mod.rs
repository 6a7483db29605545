//! The page at `/`: where a person looks before saying yes.
//!
//! Hand-written HTML, CSS and ES modules, built into the binary as they are. There is no build step
//! and nothing of anybody else's, and the page talks to the API alone, as any client does: whatever
//! it leaves out for a role, the API refuses. Its content security policy allows no inline script
//! or style and no other origin.

use axum::{
    Router,
    body::Body,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::Response,
    routing::get,
};
use sha2::{Digest, Sha256};

/// What a browser may do with what is served here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! assets {
    ($($path:literal => $file:literal, $content_type:expr;)*) => {
        &[$(Asset { path: $path, content_type: $content_type, content: include_str!(concat!("assets/", $file)) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" => "index.html", HTML;
    "/assets/icon.svg" => "icon.svg", IMAGE;
    "/assets/base.css" => "base.css", CSS;
    "/assets/parts.css" => "parts.css", CSS;
    "/assets/api.js" => "api.js", SCRIPT;
    "/assets/app.js" => "app.js", SCRIPT;
    "/assets/changes.js" => "changes.js", SCRIPT;
    "/assets/chart.js" => "chart.js", SCRIPT;
    "/assets/confirm.js" => "confirm.js", SCRIPT;
    "/assets/counts.js" => "counts.js", SCRIPT;
    "/assets/dom.js" => "dom.js", SCRIPT;
    "/assets/known-fields.js" => "known-fields.js", SCRIPT;
    "/assets/links.js" => "links.js", SCRIPT;
    "/assets/mapping.js" => "mapping.js", SCRIPT;
    "/assets/parts.js" => "parts.js", SCRIPT;
    "/assets/schema-form.js" => "schema-form.js", SCRIPT;
    "/assets/session.js" => "session.js", SCRIPT;
    "/assets/words.js" => "words.js", SCRIPT;
    "/assets/views/audit.js" => "views/audit.js", SCRIPT;
    "/assets/views/destination-form.js" => "views/destination-form.js", SCRIPT;
    "/assets/views/destination.js" => "views/destination.js", SCRIPT;
    "/assets/views/destinations.js" => "views/destinations.js", SCRIPT;
    "/assets/views/golden.js" => "views/golden.js", SCRIPT;
    "/assets/views/keys.js" => "views/keys.js", SCRIPT;
    "/assets/views/plan.js" => "views/plan.js", SCRIPT;
    "/assets/views/run.js" => "views/run.js", SCRIPT;
    "/assets/views/runs.js" => "views/runs.js", SCRIPT;
    "/assets/views/sign-in.js" => "views/sign-in.js", SCRIPT;
    "/assets/views/source-form.js" => "views/source-form.js", SCRIPT;
    "/assets/views/sources.js" => "views/sources.js", SCRIPT;
};

/// The page's routes: `GET /` and one for each file below `/assets/`. Whatever else is asked for is
/// the rest of the service's.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = format!("\"{}\"", hex(&Sha256::digest(asset.content)[..16]));
        router.route(
            asset.path,
            get(move |headers: HeaderMap| std::future::ready(serve(asset, &tag, &headers))),
        )
    })
}

#[cfg(test)]
pub(super) fn is_asset(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == path)
}

/// An asset, or that the browser has it already. It asks each time: a newer binary at once has a
/// newer page.
fn serve(asset: &'static Asset, tag: &str, asked: &HeaderMap) -> Response {
    let known = asked.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let has_it = known.is_some_and(|known| {
        known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let mut response =
        Response::new(if has_it { Body::empty() } else { Body::from(asset.content) });
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, asset.content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
