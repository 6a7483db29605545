//! Runs, as they are looked at: the list, one of them, and what became of each change.

use super::{
    body::{Query, bad_cursor, is_id, limit},
    plans::{cursor, plan_error, shown_page},
    problem::{Answer, Problem, ProblemJson},
    run_json::{RunJson, RunStatus},
};
use crate::{
    api::{
        auth::Viewer,
        body::{List, PathId},
    },
    app::{App, OrgFolder},
    observe::request_log::{self, Calls, Entry, KEPT, ReadError},
    scheduler::turns::Turn,
    store::{Member, RunFilter, RunRow, now_ms},
};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use reverse_sync::{
    egress::pacing::Pace,
    journal::{self, ChangeOutcome, Outcome, OutcomesError, RunId},
    plan::{Plan, PlanId},
    rejects::{self, RejectsError},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Bytes of a file that are sent at once.
const PIECE: usize = 256 << 10;
/// How long a download may take.
const DOWNLOAD: Duration = Duration::from_secs(600);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(outcomes))
        .routes(routes!(rejects_csv))
        .routes(routes!(requests))
        .routes(routes!(rate))
}

/// A run of the member's org.
pub(super) async fn run(app: &App, member: &Member, id: &str) -> Answer<RunRow> {
    app.store.run(&member.org_id, id).await?.ok_or_else(|| Problem::missing("run", id))
}

/// Which runs are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    /// Only of this destination.
    destination_id: Option<String>,
    /// Only in this state.
    #[param(inline)]
    status: Option<RunStatus>,
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default. With `status` a page may be shorter, or empty,
    /// and still have a `next`.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Runs, the newest first.
#[utoipa::path(
    get, path = "/runs", operation_id = "listRuns", tag = "runs", params(RunsQuery),
    responses((status = 200, description = "A page of runs", body = List<RunJson>)),
    extensions(("x-role" = json!("viewer")))
)]
async fn list(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    Query(query): Query<RunsQuery>,
) -> Answer<Json<List<RunJson>>> {
    let limit = limit(query.limit)?;
    let before =
        query.after.map(|cursor| cursor.parse::<i64>().map_err(|_| bad_cursor())).transpose()?;
    if query.destination_id.as_deref().is_some_and(|id| !is_id(id)) {
        return Ok(Json(List::new(Vec::new(), None)));
    }
    let filter = RunFilter {
        destination_id: query.destination_id.as_deref(),
        status: query.status.map(RunStatus::stored),
        before,
    };
    let rows = app.store.runs(&member.org_id, filter, limit as i64 + 1).await?;
    let show = |row: RunRow| Ok(RunJson::of(&app, &row));
    let mut page = List::page(rows, limit, |row| row.number.to_string(), show);
    if let Some(asked) = query.status {
        // A row may lag behind what its run does.
        page.items.retain(|run: &RunJson| run.status == asked);
    }
    Ok(Json(page))
}

/// A run.
#[utoipa::path(
    get, path = "/runs/{run_id}", operation_id = "getRun", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunJson)),
    extensions(("x-role" = json!("viewer")))
)]
async fn one(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Json<RunJson>> {
    let row = run(&app, &member, &id).await?;
    Ok(Json(RunJson::of(&app, &row)))
}

/// Where the files of a run are.
struct Files {
    plans: PathBuf,
    plan_id: PlanId,
    folder: OrgFolder,
    run_id: RunId,
}

impl Files {
    fn of(app: &App, row: &RunRow) -> Answer<Files> {
        let internal = |error: String| Problem::internal(&error);
        let folder = app.folder(&row.org_id);
        let plan_id = row.plan_id.parse().map_err(internal)?;
        Ok(Files {
            plans: folder.plans(),
            plan_id,
            run_id: row.run_id.parse().map_err(internal)?,
            folder,
        })
    }

    /// The journal, if the run has begun.
    fn journal(&self) -> Option<PathBuf> {
        Some(journal::file(&self.folder.runs(), &self.run_id)).filter(|file| file.exists())
    }
}

/// On a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
}

/// Which changes are shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OutcomesQuery {
    /// Only those that ended like this.
    #[param(inline)]
    outcome: Option<Outcome>,
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default. With a filter a page may be shorter, or empty,
    /// and still have a `next`.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// What became of each change, in the order of the plan, also while the run is running.
#[utoipa::path(
    get, path = "/runs/{run_id}/outcomes", operation_id = "listRunOutcomes", tag = "runs", params(("run_id" = String, Path, description = "The run"), OutcomesQuery),
    responses(
        (status = 200, description = "A page of outcomes", body = List<ChangeOutcome>),
        (status = 409, description = "The plan was altered on disk, or cannot be read any more", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn outcomes(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    Query(query): Query<OutcomesQuery>,
) -> Answer<Json<List<ChangeOutcome>>> {
    let (limit, cursor) = (limit(query.limit)?, cursor(query.after)?);
    let files = Files::of(&app, &run(&app, &member, &id).await?)?;
    let page = blocking(move || {
        journal::outcomes_page(
            &files.plans,
            &files.plan_id,
            files.journal().as_deref(),
            query.outcome,
            cursor,
            limit,
        )
    });
    let page = page.await?.map_err(|error| match error {
        OutcomesError::Plan(error) => plan_error(error),
        error => Problem::internal(&error),
    })?;
    Ok(Json(shown_page(page)))
}

/// The golden records that were not written, each with its reason, as CSV: to be fixed and handed
/// in again.
#[utoipa::path(
    get, path = "/runs/{run_id}/rejects.csv", operation_id = "getRunRejects", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/csv"),
        (status = 409, description = "Its plan was altered on disk", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many downloads of this org wait already", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn rejects_csv(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Response> {
    let files = Files::of(&app, &run(&app, &member, &id).await?)?;
    let turn = app
        .jobs
        .rejecting(&member.org_id)
        .await
        .map_err(|error| Problem::too_many(error.to_string(), 5))?;
    let written = blocking(move || {
        let plan = Plan::load(&files.plans, &files.plan_id).map_err(RejectsError::Plan)?;
        rejects::csv_file(&files.plans, &plan, files.journal().as_deref())
    });
    let (file, _) = written.await?.map_err(|error| match error {
        RejectsError::Plan(error) => plan_error(error),
        error => Problem::internal(&error),
    })?;
    let mut response = Response::new(streamed(file, turn));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{id}-rejects.csv\""))
    {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// A file as a body. A piece is read when the one before was sent, so that a slow client holds no
/// thread, and for as long as a download may take.
fn streamed(file: File, turn: Turn) -> Body {
    let until = Instant::now() + DOWNLOAD;
    let pieces =
        futures_util::stream::try_unfold((file, turn), move |(mut file, turn)| async move {
            if Instant::now() > until {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; PIECE];
                let length = file.read(&mut piece)?;
                piece.truncate(length);
                Ok::<_, io::Error>((file, piece))
            });
            let (file, piece) = read.await.map_err(io::Error::other)??;
            Ok(if piece.is_empty() { None } else { Some((Bytes::from(piece), (file, turn))) })
        });
    Body::from_stream(pieces)
}

/// Which requests are shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RequestsQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A page of a run's requests.
#[derive(Serialize, ToSchema)]
struct Requests {
    /// In the order in which they ended.
    items: Vec<Entry>,
    /// What to send as `after` for those that follow; null at the end.
    next: Option<String>,
    /// Requests that are missing here, because the disk was too slow for them.
    dropped: u64,
}

/// The requests of a run, kept for 7 days.
#[utoipa::path(
    get, path = "/runs/{run_id}/requests", operation_id = "listRunRequests", tag = "runs", params(("run_id" = String, Path, description = "The run"), RequestsQuery),
    responses(
        (status = 200, description = "A page of requests", body = Requests),
        (status = 410, description = "They are not kept any more", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn requests(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    Query(query): Query<RequestsQuery>,
) -> Answer<Json<Requests>> {
    let limit = limit(query.limit)?;
    let after =
        query.after.map(|cursor| cursor.parse::<u64>().map_err(|_| bad_cursor())).transpose()?;
    let row = run(&app, &member, &id).await?;
    let files = Files::of(&app, &row)?;
    let page =
        blocking(move || request_log::page(&files.folder.requests(), &files.run_id, after, limit))
            .await?;
    let page = match page {
        Ok(Some(page)) => page,
        Ok(None) => {
            return kept_or_gone(&row)
                .map(|()| Json(Requests { items: Vec::new(), next: None, dropped: 0 }));
        }
        Err(ReadError::Cursor) => return Err(bad_cursor()),
        Err(ReadError::Io(error)) => return Err(Problem::internal(&error)),
    };
    Ok(Json(Requests {
        items: page.items,
        next: page.next.map(|next| next.to_string()),
        dropped: page.dropped,
    }))
}

/// A run without a log has sent nothing, or its log is gone by now.
fn kept_or_gone(row: &RunRow) -> Answer<()> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    if row.ended_at.is_none_or(|at| now_ms().saturating_sub(at) <= kept) {
        return Ok(());
    }
    let detail = format!(
        "the requests of run {} were kept for {} days",
        row.run_id,
        KEPT.as_secs() / (24 * 3600)
    );
    Err(Problem::new(StatusCode::GONE, "gone", detail))
}

/// How many requests left, over time.
#[derive(Serialize, ToSchema)]
struct RateOverTime {
    /// Where there is no point there was no request. At most 1,000 points.
    seconds: Vec<Calls>,
    /// How many seconds a point stands for.
    bucket_seconds: u64,
    /// The CRM's limit, as far as it is known.
    limit_per_second: Option<f64>,
    /// The same in the CRM's own window.
    limit: Option<CallLimit>,
}

/// So many calls in so many seconds.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct CallLimit {
    /// How many.
    calls: u32,
    /// The window.
    per_seconds: f64,
}

impl CallLimit {
    pub(super) fn of(pace: &Pace) -> Option<CallLimit> {
        let (calls, window) = pace.limit?;
        Some(CallLimit { calls, per_seconds: window.as_secs_f64() })
    }
}

/// The calls of a run over time, for a chart.
#[utoipa::path(
    get, path = "/runs/{run_id}/rate", operation_id = "getRunRate", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "Calls over time", body = RateOverTime),
        (status = 410, description = "The requests are not kept any more", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn rate(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Json<RateOverTime>> {
    let row = run(&app, &member, &id).await?;
    let files = Files::of(&app, &row)?;
    let found =
        blocking(move || request_log::rate(&files.folder.requests(), &files.run_id)).await?;
    let pace = pace(&app, &row).await?;
    let limit_per_second = pace.as_ref().and_then(per_second);
    let limit = pace.as_ref().and_then(CallLimit::of);
    match found.map_err(|error| Problem::internal(&error))? {
        Some(rate) => Ok(Json(RateOverTime {
            seconds: rate.seconds,
            bucket_seconds: rate.bucket_seconds,
            limit_per_second,
            limit,
        })),
        None => kept_or_gone(&row).map(|()| {
            Json(RateOverTime { seconds: Vec::new(), bucket_seconds: 1, limit_per_second, limit })
        }),
    }
}

/// The pace of the source that a run's destination uses now.
async fn pace(app: &App, row: &RunRow) -> Answer<Option<Pace>> {
    let Some(to) = app.store.destination(&row.org_id, &row.destination_id).await? else {
        return Ok(None);
    };
    let Some(source) = app.store.source(&row.org_id, &to.source_id).await? else { return Ok(None) };
    let link = app.link(&row.org_id, &source).await;
    Ok(link.ok().map(|link| link.pacer.pace()))
}

/// Calls per second.
pub(super) fn per_second(pace: &Pace) -> Option<f64> {
    pace.limit.map(|(calls, window)| f64::from(calls) / window.as_secs_f64())
}
