use super::*;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use tower_service::Service;

async fn ask(method: Method, path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let response = router::<()>().call(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/assets")
}

fn files(folder: &Path, into: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.insert(path);
        }
    }
}

/// The texts between these quotes that follow this word.
fn quoted<'a>(text: &'a str, before: &str, quote: char) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(quote).next()).collect()
}

#[tokio::test]
async fn every_asset_is_served_with_its_type_and_the_policy() {
    for asset in ASSETS {
        let (status, headers, body) = ask(Method::GET, asset.path, None).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, asset.content), "{}", asset.path);
        assert_eq!(headers[CONTENT_TYPE], asset.content_type, "{}", asset.path);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY, "{}", asset.path);
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{}", asset.path);
        assert_eq!(headers[CACHE_CONTROL], "no-cache", "{}", asset.path);
        assert!(headers.contains_key("cross-origin-opener-policy"), "{}", asset.path);
    }
    assert!(!POLICY.contains("unsafe"));
}

#[tokio::test]
async fn a_browser_that_has_an_asset_is_told_so() {
    let (_, headers, _) = ask(Method::GET, "/assets/app.js", None).await;
    let tag = headers[ETAG].to_str().unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let (status, headers, body) = ask(Method::GET, "/assets/app.js", Some(&known)).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(headers[ETAG], tag.as_str());
    }
    let (status, _, body) = ask(Method::GET, "/assets/base.css", Some(&tag)).await;
    assert_eq!(status, StatusCode::OK, "another file's tag");
    assert!(!body.is_empty());
}

#[tokio::test]
async fn nothing_else_is_served_and_nothing_is_written() {
    for path in ["/assets/", "/assets/mod.rs", "/assets/../mod.rs", "/index.html", "/assets/views"]
    {
        assert_eq!(ask(Method::GET, path, None).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask(Method::POST, "/", None).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _, body) = ask(Method::HEAD, "/", None).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
}

#[test]
fn every_file_is_an_asset_and_every_import_is_a_file() {
    let folder = folder();
    let mut there = BTreeSet::new();
    files(&folder, &mut there);
    let served: BTreeSet<PathBuf> = ASSETS
        .iter()
        .map(|asset| {
            folder.join(if asset.path == "/" {
                "index.html"
            } else {
                &asset.path["/assets/".len()..]
            })
        })
        .collect();
    assert_eq!(there, served);
    for file in
        there.iter().filter(|file| file.extension().is_some_and(|extension| extension == "js"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        // Not those of comments, which name types.
        let imports = text
            .lines()
            .filter(|line| line.starts_with("import "))
            .flat_map(|line| quoted(line, " from '", '\''));
        for import in imports {
            let target = file.parent().unwrap().join(import);
            assert!(
                target.canonicalize().is_ok_and(|target| served.contains(&target)),
                "{} imports {import}",
                file.display()
            );
        }
    }
}

#[test]
fn nothing_is_inline_nothing_is_markup_and_nothing_comes_from_elsewhere() {
    let html = ASSETS[0].content;
    assert_eq!(
        html.matches("<script").count(),
        quoted(html, "<script type=\"module\" src=\"", '"').len(),
        "inline scripts"
    );
    for attribute in quoted(html, "src=\"", '"').into_iter().chain(quoted(html, "href=\"", '"')) {
        assert!(attribute.starts_with('/') || attribute.starts_with('#'), "{attribute}");
    }
    for asset in ASSETS {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "<style",
            "style=",
            "onclick=\"",
            "javascript:",
            "@import",
            "url(",
        ] {
            // In a script it names types, in a comment.
            let names_types = forbidden == "@import" && asset.content_type == SCRIPT;
            assert!(
                names_types || !asset.content.contains(forbidden),
                "{} has {forbidden}",
                asset.path
            );
        }
        // Addresses that are words for people or names of XML; none of them is asked for.
        let words = [
            "http://www.w3.org/2000/svg",
            "https://api.hubapi.com",
            "https://yourdomain.my.salesforce.com",
            // Links that people follow.
            "https://app.hubspot.com",
        ];
        for address in quoted(asset.content, "://", '\'')
            .iter()
            .filter_map(|rest| rest.split(['"', '.', ' ']).next())
        {
            let known = words
                .iter()
                .any(|word| word.split("://").nth(1).is_some_and(|word| word.starts_with(address)));
            let scheme_only = address.is_empty()
                || address == "user:password@host/database"
                // The source's own address, checked by recordLink of links.js.
                || address == "${host}/${id}`"
                || address.starts_with('…');
            assert!(known || scheme_only, "{} names {address}", asset.path);
        }
    }
}
