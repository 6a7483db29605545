//! Reading what a request carries, with errors that say where it is wrong.

use super::{
    fields::{kind, shown, step},
    json::{Json, Misfit},
    problem::{Answer, Problem},
};
use crate::store::{Stored, Unreadable};
use axum::{
    body::BodyDataStream,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, header, request::Parts},
};
use futures_util::StreamExt;
use reverse_sync::mistakes::{explained, listed, nearest, type_name};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::{
    PartialSchema,
    openapi::{RefOr, Schema},
};

/// The key of a body that holds a secret.
const CREDENTIAL: &str = "credential";
/// Largest JSON body, in bytes. Golden records are not JSON bodies.
pub const MAX_JSON: usize = 1 << 20;
/// How long a body that is read whole may take, all in all. Nobody who waits for an answer sends a
/// megabyte more slowly.
const WHOLE_TIME: Duration = Duration::from_secs(30);
/// How much of a body that is refused is read on, and for how long.
const REFUSED_BYTES: usize = 16 << 20;
const REFUSED_TIME: Duration = Duration::from_secs(2);
/// Entries of a page, if nothing is asked for.
const PAGE: usize = 100;
/// Most entries of a page.
const MAX_PAGE: usize = 500;

/// A JSON body. An empty one counts as `{}`.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + PartialSchema, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap_or_default().to_ascii_lowercase());
        if kind
            .is_some_and(|kind| kind.split(';').next().map(str::trim) != Some("application/json"))
        {
            let detail = "the body must be JSON: content-type: application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        let bytes = whole(request.into_body().into_data_stream()).await?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(JsonBody)
    }
}

/// All of a body, if it is not too large and does not take too long.
async fn whole(stream: BodyDataStream) -> Answer<Vec<u8>> {
    let too_slow = || {
        let detail = format!(
            "the body did not end within {} seconds; send it again, in one go",
            WHOLE_TIME.as_secs()
        );
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    };
    timeout(WHOLE_TIME, collected(stream)).await.map_err(|_| too_slow())?
}

async fn collected(mut stream: BodyDataStream) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece =
            piece.map_err(|_| Problem::bad("bad_body", "the body broke off; send it again"))?;
        if bytes.len() + piece.len() > MAX_JSON {
            throw_away(stream).await;
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("a JSON body may have {MAX_JSON} bytes"),
            ));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads the rest of a body that is refused, within limits: many a client reads no answer before it
/// has sent all, and would only see its connection break.
pub async fn throw_away(mut stream: BodyDataStream) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(piece)) = stream.next().await {
            read += piece.len();
            if read > REFUSED_BYTES {
                return;
            }
        }
    };
    // Whether it ended makes no difference.
    let _ = timeout(REFUSED_TIME, reading).await;
}

/// Reads JSON. No message repeats a value: it may be a secret.
pub fn parse<T: DeserializeOwned + PartialSchema>(bytes: &[u8]) -> Answer<T> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad(
            "bad_json",
            format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
        )
    })?;
    read(&value)
}

/// Reads a body that was parsed already.
pub fn read<T: DeserializeOwned + PartialSchema>(body: &Value) -> Answer<T> {
    serde_path_to_error::deserialize(Json(body)).map_err(|error| {
        let steps = error.path().iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(step(key)),
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        refused(body, steps.collect(), error.into_inner(), &T::schema())
    })
}

/// The keys of a body.
pub fn keys(body: &Value) -> Vec<String> {
    body.as_object().into_iter().flat_map(Map::keys).cloned().collect()
}

/// What does not fit at the end of these steps, without the value.
fn refused(
    body: &Value,
    mut steps: Vec<String>,
    misfit: Misfit,
    schema: &RefOr<Schema>,
) -> Problem {
    let pointer =
        |steps: &[String]| steps.iter().map(|step| format!("/{step}")).collect::<String>();
    let named = |steps: &[String]| match steps {
        [] => "the body".to_owned(),
        steps => format!("`{}`", steps.join(".")),
    };
    let detail = match misfit {
        Misfit::Missing(key) => {
            steps.push(key.to_owned());
            let detail =
                format!("Required: `{}`{}", steps.join("."), described(&pointer(&steps), schema));
            return Problem::invalid("missing_key", pointer(&steps), detail);
        }
        Misfit::UnknownKey(keys) => {
            let key = steps.pop().unwrap_or_default();
            let within =
                if steps.is_empty() { String::new() } else { format!(" in {}", named(&steps)) };
            // A name in a credential is not repeated: people paste secrets anywhere.
            if steps.first().is_some_and(|step| step == CREDENTIAL) {
                let detail = format!("unknown key{within} (the keys are {})", listed(keys));
                return Problem::invalid("unknown_key", pointer(&steps), detail);
            }
            let hint = match nearest(&key, keys.iter().copied()) {
                Some(meant) => format!("(did you mean `{meant}`?)"),
                None => format!("(the keys are {})", listed(keys)),
            };
            let detail = format!("unknown key `{key}`{within} {hint}");
            steps.push(key);
            return Problem::invalid("unknown_key", pointer(&steps), detail);
        }
        Misfit::Kind(expected) => {
            let found = body.pointer(&pointer(&steps)).map_or("something else", kind);
            format!("{} is {found}; it must be {}", named(&steps), type_name(&expected))
        }
        Misfit::UnknownWord([one, other]) => {
            format!("{} must be `{one}` or `{other}`", named(&steps))
        }
        Misfit::UnknownWord(words) => {
            format!("{} must be one of {}", named(&steps), listed(words))
        }
        Misfit::Value(expected) => {
            format!("{} must be {}", named(&steps), type_name(&expected))
        }
        Misfit::Said(text) => format!("{} is invalid: {text}", named(&steps)),
    };
    Problem::invalid("invalid", pointer(&steps), detail)
}

/// What the description of the API says about a key, and its example.
fn described(pointer: &str, schema: &RefOr<Schema>) -> String {
    let schema = serde_json::to_value(schema).unwrap_or_default();
    let Some(property) = schema.pointer(&format!("/properties{pointer}")) else {
        return String::new();
    };
    let description =
        property["description"].as_str().map_or_else(String::new, |text| format!(". {text}"));
    let example =
        property.get("example").map_or_else(String::new, |example| format!(" Example: {example}"));
    description + &example
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Query(query.0)),
            Err(error) => Err(Problem::bad("bad_query", wrong_parameter(&error.body_text()))),
        }
    }
}

/// What is wrong with a query, in the words that bodies have.
fn wrong_parameter(text: &str) -> String {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    match text.split_once(": ") {
        Some((name, said))
            if said.starts_with("invalid digit") || said.starts_with("number too") =>
        {
            format!("`{name}` must be a whole number that fits")
        }
        Some((name, said)) if !name.contains(' ') => explained("the query", &[name], said),
        _ => explained("the query", &[] as &[&str], text),
    }
}

/// A parameter that a route does not take.
pub fn unknown_parameter(name: &str, names: &[String]) -> Problem {
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if names.is_empty() => "this route takes none".to_owned(),
        None => format!("the parameters are {}", listed(names)),
    };
    Problem::bad("bad_query", format!("unknown parameter `{}` in the query ({hint})", shown(name)))
}

/// An id in a path. What cannot be one names nothing.
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(id)) if is_id(&id) => Ok(PathId(id)),
            _ => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is nothing of this name in this org",
            )),
        }
    }
}

/// Whether a text can be an id: no database and no file system has its own ideas about it.
pub fn is_id(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The id after which a page of a list begins; empty for the first page.
pub fn after(cursor: Option<String>) -> Answer<String> {
    match cursor {
        None => Ok(String::new()),
        Some(id) if is_id(&id) => Ok(id),
        Some(_) => Err(bad_cursor()),
    }
}

/// An invalid cursor.
pub fn bad_cursor() -> Problem {
    Problem::bad(
        "bad_query",
        "invalid cursor: take `after` from `next` of the page before, or leave it out",
    )
}

/// How many entries a page has.
pub fn limit(asked: Option<u32>) -> Answer<usize> {
    match asked.map_or(PAGE, |limit| limit as usize) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Problem::bad("bad_query", format!("`limit` is a number from 1 to {MAX_PAGE}"))),
    }
}

/// A page of a list.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// The entries.
    pub items: Vec<T>,
    /// What to send as `after` for those that follow; null at the end.
    pub next: Option<String>,
    /// Entries of this page that the service cannot read. Nothing is done with them until the
    /// service's operator has repaired them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub unreadable: Vec<UnreadableJson>,
}

/// An entry that the service cannot read.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = Unreadable)]
pub struct UnreadableJson {
    /// Its id.
    pub id: String,
    /// The table and column of the service's database, such as `runs.options`.
    pub place: String,
}

impl<T> List<T> {
    /// A list of these, which have `next` behind them.
    pub fn new(items: Vec<T>, next: Option<String>) -> List<T> {
        List { items, next, unreadable: Vec::new() }
    }

    /// A page of a list of which one more than `limit` was asked for.
    pub fn page<R>(
        mut rows: Vec<Stored<R>>,
        limit: usize,
        cursor: impl Fn(&R) -> String,
        show: impl Fn(R) -> Stored<T>,
    ) -> List<T> {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| row.as_ref().map_or_else(Unreadable::cursor, cursor));
        let mut page = List::new(Vec::new(), next);
        for row in rows {
            match row.and_then(&show) {
                Ok(item) => page.items.push(item),
                Err(error) => {
                    tracing::error!(%error, "a list leaves a row out");
                    let Unreadable { id, place, .. } = error;
                    page.unreadable.push(UnreadableJson { id, place });
                }
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fields::{Name, present};
    use axum::body::Body;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, utoipa::ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "what is in it does not matter")]
    struct Wanted {
        /// How many.
        #[schema(example = 3)]
        count: u32,
        part: Option<Part>,
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = String)]
        named: Option<Option<Name>>,
    }

    #[derive(Debug, Deserialize, utoipa::ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "what is in it does not matter")]
    struct Part {
        size: f64,
        mode: Option<Mode>,
    }

    #[derive(Debug, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Slow,
    }

    async fn read(kind: Option<&str>, body: &str) -> Result<JsonBody<Wanted>, serde_json::Value> {
        let mut request = Request::builder();
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        JsonBody::from_request(request, &())
            .await
            .map_err(|problem| serde_json::to_value(problem).unwrap())
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_body_is_said_without_repeating_it() {
        assert!(read(Some("application/json; charset=utf-8"), r#"{"count": 1}"#).await.is_ok());
        let large = format!(r#"{{"count": 1, "x": "{}"}}"#, "x".repeat(MAX_JSON));
        for (kind, body, status, code, pointer) in [
            (Some("text/plain"), "{}", 415, "unsupported_media_type", None),
            (None, "{\"count\": sesame", 400, "bad_json", None),
            (None, "", 422, "missing_key", Some("/count")),
            (None, r#"{"count": 1, "sesame": 2}"#, 422, "unknown_key", Some("/sesame")),
            (None, r#"{"count": "sesame"}"#, 422, "invalid", Some("/count")),
            (None, r#"["sesame"]"#, 422, "invalid", Some("")),
            (None, large.as_str(), 413, "too_large", None),
        ] {
            let problem = read(kind, body).await.err().unwrap();
            assert_eq!(
                (problem["status"].as_u64(), problem["code"].as_str()),
                (Some(status), Some(code)),
                "{problem}"
            );
            assert_eq!(
                problem.get("pointer").and_then(|pointer| pointer.as_str()),
                pointer,
                "{problem}"
            );
            assert!(
                !problem["detail"].as_str().unwrap().contains("sesame") || code == "unknown_key",
                "{problem}"
            );
        }
    }

    #[test]
    fn what_is_wrong_has_its_pointer_and_says_what_would_be_right() {
        for (body, pointer, detail) in [
            ("{}", "/count", "Required: `count`. How many. Example: 3"),
            (r#"{"cuont": 1}"#, "/cuont", "unknown key `cuont` (did you mean `count`?)"),
            (
                r#"{"sesame": 1}"#,
                "/sesame",
                "unknown key `sesame` (the keys are `count`, `part`, `named`)",
            ),
            (r#"{"count": ["sesame"]}"#, "/count", "`count` is a list; it must be a whole number"),
            (r#"{"count": 1, "part": [1]}"#, "/part", "`part` is a list; it must be an object"),
            (r#"{"count": 1, "part": {}}"#, "/part/size", "Required: `part.size`"),
            (
                r#"{"count": 1, "part": {"a/b": 1}}"#,
                "/part/a~1b",
                "unknown key `a~1b` in `part` (the keys are `size`, `mode`)",
            ),
            (
                r#"{"count": 1, "part": {"size": "expected sesame"}}"#,
                "/part/size",
                "`part.size` is a string; it must be a number",
            ),
            (
                r#"{"count": 1, "part": {"size": 1, "mode": "sesame"}}"#,
                "/part/mode",
                "`part.mode` must be `fast` or `slow`",
            ),
            (
                r#"{"count": 1, "named": "sesame\n1"}"#,
                "/named",
                "`named` is invalid: a name has 1 to 100 characters on one line",
            ),
        ] {
            let problem =
                serde_json::to_value(parse::<Wanted>(body.as_bytes()).err().unwrap()).unwrap();
            assert_eq!(
                (problem["pointer"].as_str(), problem["detail"].as_str()),
                (Some(pointer), Some(detail)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_like_what_is_wrong_with_a_body() {
        for (text, said) in [
            (
                "Failed to deserialize query string: status: unknown variant `done`, expected one of `queued`, `running`",
                "`status` must be one of `queued`, `running`",
            ),
            (
                "Failed to deserialize query string: limit: invalid digit found in string",
                "`limit` must be a whole number",
            ),
        ] {
            assert!(wrong_parameter(text).starts_with(said), "{}", wrong_parameter(text));
        }
        let names = ["status".to_owned(), "limit".to_owned()];
        let said = |name: &str, names: &[String]| {
            let problem = serde_json::to_value(unknown_parameter(name, names)).unwrap();
            problem["detail"].as_str().unwrap().to_owned()
        };
        assert!(said("stauts", &names).ends_with("(did you mean `status`?)"));
        assert!(said("x", &names).ends_with("(the parameters are `status`, `limit`)"));
        assert!(said("x", &[]).ends_with("(this route takes none)"));
    }

    #[test]
    fn null_is_something_else_than_nothing() {
        let named = |body: &str| {
            parse::<Wanted>(body.as_bytes())
                .ok()
                .unwrap()
                .named
                .map(|name| name.map(|Name(name)| name))
        };
        assert_eq!(named(r#"{"count": 1}"#), None);
        assert_eq!(named(r#"{"count": 1, "named": null}"#), Some(None));
        assert_eq!(named(r#"{"count": 1, "named": " x "}"#), Some(Some("x".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        use tokio::time::{Instant, sleep};
        let trickle = |seconds: u64| {
            let bytes = futures_util::stream::unfold((), move |()| async move {
                sleep(Duration::from_secs(seconds)).await;
                Some((Ok::<_, std::convert::Infallible>(" "), ()))
            });
            Request::builder().body(Body::from_stream(bytes)).unwrap()
        };
        // Neither a byte now and then nor many of them keep a connection for longer.
        for seconds in [1, 20, 3_600] {
            let began = Instant::now();
            let problem =
                JsonBody::<Wanted>::from_request(trickle(seconds), &()).await.err().unwrap();
            let problem = serde_json::to_value(problem).unwrap();
            assert_eq!(
                (&problem["status"], &problem["code"]),
                (&408.into(), &"body_too_slow".into()),
                "{problem}"
            );
            assert_eq!(began.elapsed().as_secs(), 30);
        }
        let began = Instant::now();
        throw_away(trickle(1).into_body().into_data_stream()).await;
        assert_eq!(began.elapsed(), REFUSED_TIME);
    }

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        let page =
            |rows: Vec<u32>| List::page(rows.into_iter().map(Ok).collect(), 2, u32::to_string, Ok);
        assert_eq!(
            (page(vec![1, 2, 3]).items, page(vec![1, 2, 3]).next),
            (vec![1, 2], Some("2".to_owned()))
        );
        assert_eq!(page(vec![1, 2]).next, None);
        assert!(
            limit(Some(0)).is_err()
                && limit(Some(501)).is_err()
                && limit(None).is_ok_and(|limit| limit == 100)
        );
    }
}
