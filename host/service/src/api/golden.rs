//! Golden records of an org: uploads, which are streamed, and queries.

use super::{
    auth::{Operator, Viewer},
    body::{JsonBody, List, PathId, Query, throw_away},
    fields::{ENTITY_TYPE, Secret, is_entity_type},
    paging::Paging,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    app::App,
    golden::{
        GoldenError, GoldenFiles, StagedFile, UploadFormat, Validated,
        query::{GoldenQuery, QueryError, QueryLimits},
    },
    storage::{self, Room},
    store::{GoldenRow, Member, NewGolden, Stored, random_id, time_text},
};
use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, io, path::Path, sync::Arc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, replace))
}

/// A golden set.
#[derive(Serialize, ToSchema)]
#[schema(as = GoldenSet)]
pub(super) struct GoldenJson {
    /// Its id.
    id: String,
    /// What the records are, such as `person`.
    entity_type: String,
    /// `csv`, `jsonl`, `parquet` or `query`.
    #[schema(example = "csv")]
    format: String,
    /// How many records.
    records: i64,
    /// Bytes of the file that is kept.
    bytes: i64,
    /// Names of the columns.
    columns: Vec<String>,
    /// SHA-256 of the file that is kept.
    sha256: String,
    /// The query that it came from, or null. It was read once, when it was handed in.
    query: Option<String>,
    /// When it came.
    created_at: String,
    /// Who brought it.
    created_by: String,
}

/// A query whose answer becomes the golden set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GoldenQuery)]
pub(super) struct GoldenQueryJson {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:///ABSOLUTE/PATH`; which of them
    /// may be read is the operator's decision. It is used once and not kept.
    #[schema(value_type = String, example = "postgres://reader@db.example.com/crm")]
    database_url: Secret,
    /// One `SELECT`.
    #[schema(example = "SELECT * FROM golden_person")]
    query: String,
}

/// A content type that says nothing about what is in a body.
const BYTES: &str = "application/octet-stream";

/// Golden records as bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes what is streamed")]
struct Records(Vec<u8>);

/// What is in a body of bytes.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UploadFormat)]
enum FormatJson {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// What an upload says in its query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// What is in a body of the content type `application/octet-stream`.
    #[param(inline)]
    format: Option<FormatJson>,
}

fn shown(row: GoldenRow) -> GoldenJson {
    GoldenJson {
        id: row.set_id,
        entity_type: row.entity_type,
        format: row.format,
        records: row.records,
        bytes: row.bytes,
        columns: row.columns,
        sha256: row.sha256,
        query: row.query,
        created_at: time_text(row.created_at),
        created_by: row.created_by,
    }
}

impl From<GoldenError> for Problem {
    fn from(error: GoldenError) -> Problem {
        let problem = |status, code| Problem::new(status, code, error.to_string());
        match &error {
            GoldenError::UnsupportedType { .. } | GoldenError::UnsupportedEncoding { .. } => {
                problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            GoldenError::TooLarge { .. } => problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            GoldenError::Interrupted { .. } => problem(StatusCode::BAD_REQUEST, "bad_body"),
            GoldenError::Invalid { .. } => {
                problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_records")
            }
            GoldenError::Io(_) => Problem::internal(&error),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let text = error.to_string();
        let unprocessable = |code, text| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, text);
        match error {
            QueryError::Forbidden { .. } => {
                Problem::new(StatusCode::FORBIDDEN, "database_not_allowed", text)
            }
            QueryError::Url(_) => Problem::invalid("invalid", "/database_url", text),
            QueryError::Statement(_) => Problem::invalid("invalid", "/query", text),
            QueryError::Database { .. } => unprocessable("database_refused", text),
            QueryError::TimedOut { .. } => unprocessable("query_too_slow", text),
            QueryError::TooManyRows { .. }
            | QueryError::TooLong { .. }
            | QueryError::Column { .. }
            | QueryError::Value { .. } => unprocessable("invalid_records", text),
            QueryError::Golden(error) => error.into(),
        }
    }
}

/// The golden sets of the org.
#[utoipa::path(get, path = "/golden", operation_id = "listGoldenSets", tag = "golden records", params(Paging),
    responses((status = 200, description = "The current set of each entity type", body = List<GoldenJson>)),
    extensions(("x-role" = json!("viewer"))))]
async fn list(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<GoldenJson>>> {
    let (limit, after) = (paging.limit()?, paging.after()?);
    let mut rows = app.store.golden_sets(&member.org_id).await?;
    // By bytes, which a database's own order need not be.
    let entity_type = |row: &Stored<GoldenRow>| match row {
        Ok(row) => row.entity_type.clone(),
        Err(unreadable) => unreadable.id.clone(),
    };
    rows.sort_by_key(entity_type);
    rows.retain(|row| entity_type(row).as_str() > after);
    Ok(Json(List::page(rows, limit, |row| row.entity_type.clone(), |row| Ok(shown(row)))))
}

/// The golden set of an entity type.
#[utoipa::path(get, path = "/golden/{entity_type}", operation_id = "getGoldenSet", tag = "golden records",
    params(("entity_type" = String, Path, description = "What the records are, such as `person`")),
    responses((status = 200, description = "The current set", body = GoldenJson)),
    extensions(("x-role" = json!("viewer"))))]
async fn show(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    PathId(entity_type): PathId,
) -> Answer<Json<GoldenJson>> {
    let row = app.store.golden(&member.org_id, &entity_type).await?;
    Ok(Json(shown(row.ok_or_else(|| Problem::missing("golden set of", &entity_type))?)))
}

/// Replaces the golden records of an entity type, or refuses and leaves them as they are.
///
/// The body is streamed: its size is the operator's decision. A query is read once, now.
#[utoipa::path(put, path = "/golden/{entity_type}", operation_id = "replaceGoldenSet", tag = "golden records",
    params(
        ("entity_type" = String, Path, description = "What the records are: 1 to 100 letters, digits, `_` and `-`"),
        UploadQuery,
        ("content-encoding" = Option<String>, Header, description = "`gzip` or `zstd`, of CSV and JSON Lines")),
    request_body(description = "The records, or a query that gives them. Records may have the content type `text/csv`, `application/x-ndjson` or `application/vnd.apache.parquet` instead, without `format`", content(
        (inline(Records) = "application/octet-stream"),
        (GoldenQueryJson = "application/json"))),
    responses(
        (status = 200, description = "The set, which is the current one now", body = GoldenJson),
        (status = 429, description = "The org hands in as many sets at once as it may", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 507, description = "The org keeps as much as it may", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("operator"))))]
async fn replace(
    State(app): State<Arc<App>>,
    Operator(member): Operator,
    PathId(entity_type): PathId,
    Query(UploadQuery { format: named_format }): Query<UploadQuery>,
    request: Request,
) -> Answer<Json<GoldenJson>> {
    let (parts, body) = request.into_parts();
    let header =
        |name: HeaderName| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let kind = header(header::CONTENT_TYPE);
    if kind.is_some_and(is_json) {
        let turn = app.jobs.receiving(&member.org_id).await.map_err(busy)?;
        let JsonBody(body) =
            JsonBody::<GoldenQueryJson>::from_request(Request::from_parts(parts, body), &())
                .await?;
        let named = named(&entity_type)?;
        let room = room(&app, &member, None).await?;
        let incoming = queried(&app, &member, named, body, room).await?;
        drop(turn);
        return keep(app, member, entity_type, incoming).await;
    }
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut stream = body.into_data_stream();
    let format = named(&entity_type)
        .and_then(|_| content_type(kind, named_format))
        .and_then(|kind| Ok(UploadFormat::of(kind, header(header::CONTENT_ENCODING))?));
    let received = async {
        let format = format?;
        let _turn = app.jobs.receiving(&member.org_id).await.map_err(busy)?;
        let mut room = room(&app, &member, length).await?;
        let limit = room.bytes.min(app.golden_limits.bytes);
        let staged = files(&app, &member)?.receive(&mut stream, format, limit).await;
        let staged = staged.map_err(|error| more_than_room(&app, &room, error))?;
        // Others may have taken what was left when it began.
        room.hold(staged.bytes).await?;
        let validated = staged.validate(app.golden_limits).await?;
        Ok(Incoming { staged, validated, query: None, room })
    };
    match received.await {
        Ok(incoming) => keep(app, member, entity_type, incoming).await,
        Err(problem) => {
            throw_away(stream).await;
            Err(problem)
        }
    }
}

/// The content type of a body, which `format` says where the header only says that it is bytes.
fn content_type(kind: Option<&str>, format: Option<FormatJson>) -> Answer<Option<&str>> {
    let is_bytes = kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(BYTES));
    match format {
        Some(format) if is_bytes => Ok(Some(match format {
            FormatJson::Csv => "text/csv",
            FormatJson::Jsonl => "application/x-ndjson",
            FormatJson::Parquet => "application/vnd.apache.parquet",
        })),
        Some(_) => Err(Problem::bad(
            "bad_query",
            format!(
                "`format` goes with the content type {BYTES}; another one says itself what is in the body"
            ),
        )),
        None if is_bytes => Err(Problem::bad(
            "bad_query",
            format!("a body of the content type {BYTES} needs `format`: csv, jsonl or parquet"),
        )),
        None => Ok(kind),
    }
}

/// Golden records that have come in whole.
struct Incoming {
    staged: StagedFile,
    validated: Validated,
    /// What they were asked for by.
    query: Option<String>,
    /// Held until they are in their place.
    room: Room,
}

/// Room for golden records of this length, or of any that is taken. If the length is known, room
/// for it is held, and nothing is begun that cannot be ended.
async fn room(app: &App, member: &Member, length: Option<u64>) -> Answer<Room> {
    let allowed = u64::try_from(app.store.quota(&member.org_id).await?.stored_bytes).unwrap_or(0);
    let mut room = app.storage.room(&member.org_id, allowed).await?;
    if let Some(length) = length {
        room.hold(length.min(app.golden_limits.bytes)).await?;
    }
    Ok(room)
}

/// Whose limit it was: the org's, or that of any upload.
fn more_than_room(app: &App, room: &Room, error: GoldenError) -> Problem {
    match error {
        GoldenError::TooLarge { unpacked: false, .. } if room.bytes < app.golden_limits.bytes => {
            room.full().into()
        }
        error => error.into(),
    }
}

/// Too many wait for the same already.
fn busy(error: impl Display) -> Problem {
    Problem::too_many(error.to_string(), 5)
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn named(entity_type: &str) -> Answer<&str> {
    if is_entity_type(entity_type) {
        return Ok(entity_type);
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", ENTITY_TYPE))
}

fn files(app: &App, member: &Member) -> Answer<GoldenFiles> {
    GoldenFiles::open(&app.folder(&member.org_id).golden())
        .map_err(|error| GoldenError::Io(error).into())
}

async fn queried(
    app: &App,
    member: &Member,
    entity_type: &str,
    body: GoldenQueryJson,
    mut room: Room,
) -> Answer<Incoming> {
    let GoldenQueryJson { database_url: Secret(database_url), query } = body;
    if query.contains('\0') {
        return Err(Problem::invalid("invalid", "/query", "`query` has a NUL in it"));
    }
    let id_columns = id_columns(app, &member.org_id, entity_type).await?;
    let asked = GoldenQuery { database_url, query, id_columns };
    let limits =
        QueryLimits { bytes: room.bytes.min(app.golden_limits.bytes), ..QueryLimits::default() };
    let answer = files(app, member)?.query(&app.query_policy, &asked, limits).await;
    let (staged, validated) = answer.map_err(|error| match error {
        QueryError::Golden(error) => more_than_room(app, &room, error),
        error => error.into(),
    })?;
    room.hold(staged.bytes).await?;
    Ok(Incoming { staged, validated, query: Some(asked.query), room })
}

/// The columns that destinations of this entity type take CRM ids from.
async fn id_columns(app: &App, org_id: &str, entity_type: &str) -> Answer<Vec<String>> {
    let rows = app.store.destinations(org_id, "", i64::MAX).await?;
    let readable = rows.into_iter().filter_map(|row| match row {
        Ok(row) => Some(row.destination),
        // It cannot be planned either before it is repaired.
        Err(error) => {
            tracing::error!(%error, "the id column of a destination is not known");
            None
        }
    });
    let own = readable.filter(|destination| destination.entity_type == entity_type);
    let mut columns: Vec<String> = own
        .filter_map(|destination| {
            Some(destination.config_json.get("provider_id_field")?.as_str()?.to_owned())
        })
        .collect();
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}

/// Makes what came in the current set. It continues when nobody waits for the answer any more, so
/// that no file is left without its row.
async fn keep(
    app: Arc<App>,
    member: Member,
    entity_type: String,
    incoming: Incoming,
) -> Answer<Json<GoldenJson>> {
    let keeping = tokio::spawn(async move { publish(&app, &member, &entity_type, incoming).await });
    keeping.await.map_err(|error| Problem::internal(&error))?.map(|row| Json(shown(row)))
}

async fn publish(
    app: &App,
    member: &Member,
    entity_type: &str,
    incoming: Incoming,
) -> Answer<GoldenRow> {
    let Incoming { staged, validated, query, room } = incoming;
    let set_id = random_id("set_", 10);
    let (upload, bytes, digest) = (staged.format, staged.bytes, staged.digest);
    let format = if query.is_some() { "query" } else { upload.name() };
    let id = set_id.clone();
    // It waits for the disk.
    let published = tokio::task::spawn_blocking(move || staged.publish(&id)).await;
    let path = published.map_err(|error| Problem::internal(&error))??;
    let file_name = format!("{set_id}.{}", upload.ending());
    let new = NewGolden {
        set_id: &set_id,
        entity_type,
        format,
        file_name: &file_name,
        query: query.as_deref(),
        records: validated.records,
        bytes,
        columns: &validated.columns,
        sha256: &digest.hex(),
        created_by: &member.who(),
    };
    let (row, unused) = match app.store.set_golden(&member.org_id, new).await {
        Ok(set) => set,
        Err(error) => {
            remove(&path).await;
            return Err(error.into());
        }
    };
    app.storage.added(&member.org_id, storage::on_disk(bytes));
    drop(room);
    for name in unused {
        let removed = remove(&app.folder(&member.org_id).golden().join(name)).await;
        app.storage.removed(&member.org_id, storage::on_disk(removed));
    }
    Ok(row)
}

/// Removes a file that nothing refers to; how long it was. One that stays takes up room, and no
/// more than that.
async fn remove(path: &Path) -> u64 {
    let length = tokio::fs::metadata(path).await.map_or(0, |metadata| metadata.len());
    match tokio::fs::remove_file(path).await {
        Ok(()) => length,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, path = %path.display(), "golden records that nothing refers to cannot be removed");
            }
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use std::time::Duration;

    #[test]
    fn what_is_refused_has_the_right_status() {
        let status = |problem: Problem| problem.into_response().status().as_u16();
        for (error, expected) in [
            (GoldenError::UnsupportedType { found: None }, 415),
            (GoldenError::UnsupportedEncoding { format: "csv", found: "br".to_owned() }, 415),
            (GoldenError::TooLarge { limit: 1, unpacked: true }, 413),
            (GoldenError::Interrupted { received: 1, reason: "reset".to_owned() }, 400),
            (GoldenError::Invalid { line: Some(3), reason: "two fields".to_owned() }, 422),
            (GoldenError::Io(io::Error::other("disk")), 500),
        ] {
            assert_eq!(status(error.into()), expected);
        }
        let database = || "db.example.com:5432".to_owned();
        for (error, expected) in [
            (QueryError::Forbidden { database: database(), reason: "no flag".to_owned() }, 403),
            (QueryError::Url("none".to_owned()), 422),
            (QueryError::Database { database: database(), message: "no table".to_owned() }, 422),
            (QueryError::TimedOut { limit: Duration::from_secs(1) }, 422),
            (QueryError::Golden(GoldenError::TooLarge { limit: 1, unpacked: false }), 413),
        ] {
            assert_eq!(status(error.into()), expected);
        }
        let of = |kind, format| content_type(kind, format).map_err(status);
        for (kind, format, expected) in [
            (Some("text/csv"), None, Ok(Some("text/csv"))),
            (
                Some("application/octet-stream"),
                Some(FormatJson::Jsonl),
                Ok(Some("application/x-ndjson")),
            ),
            (Some("application/octet-stream"), None, Err(400)),
            (Some("text/csv"), Some(FormatJson::Csv), Err(400)),
            (None, None, Ok(None)),
        ] {
            assert_eq!(of(kind, format), expected);
        }
        assert!(is_json("Application/JSON; charset=utf-8") && !is_json("application/jsonl"));
        assert!(named("person_2-x").is_ok() && named("a/b").is_err() && named("").is_err());
    }
}
