//! Dry runs, and the plans that they leave.

use super::{
    body::{JsonBody, PathId, Query, bad_cursor, is_id, limit},
    destinations,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    api::{
        auth::{Operator, Viewer},
        body::List,
    },
    app::App,
    jobs::planning::{self, DryRunError, PlanJson},
    store::{Member, PlanRow},
};
use axum::{Json, extract::State, http::StatusCode};
use reverse_sync::plan::{
    self, ChangeFilter, Cursor, Page, PlanError, PlanId, PlanMode, PlannedChange, SkippedRows,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(dry_run))
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(changes))
        .routes(routes!(skipped))
}

/// What a dry run may ask.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DryRunRequest {
    /// `offline` (the default) needs no credential and asks nobody; `online` reads the CRM's
    /// metadata; `compare` its records too, so that the run can be undone.
    #[schema(value_type = PlanMode, required = false)]
    mode: Option<PlanMode>,
}

/// Plans, and writes nothing.
#[utoipa::path(
    post, path = "/destinations/{destination_id}/reverse-dry-run", operation_id = "createPlan", tag = "plans",
    params(("destination_id" = String, Path, description = "The destination")),
    request_body = DryRunRequest,
    responses(
        (status = 200, description = "The plan, which is kept", body = PlanJson),
        (status = 409, description = "The golden records were replaced while they were read, or the source cannot be used", body = ProblemJson, content_type = "application/problem+json"),
        (status = 424, description = "The CRM, or its credential", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many dry runs of this org wait already", body = ProblemJson, content_type = "application/problem+json"),
        (status = 507, description = "The org keeps as much as it may", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn dry_run(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    JsonBody(request): JsonBody<DryRunRequest>,
) -> Answer<Json<PlanJson>> {
    let to = destinations::found(&app, &member.org_id, &id).await?;
    Ok(Json(planning::dry_run(&app, &member, &to, request.mode.unwrap_or_default()).await?.json))
}

impl From<DryRunError> for Problem {
    fn from(error: DryRunError) -> Problem {
        let text = error.to_string();
        let invalid =
            |code, text: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, text);
        match error {
            DryRunError::NoGoldenRecords(_) => invalid("no_golden_records", text),
            DryRunError::Records { .. } => invalid("golden_records", text),
            DryRunError::Replaced => Problem::conflict("golden_records_replaced", text),
            DryRunError::NoSource => Problem::conflict("no_source", text),
            DryRunError::Link(_) => Problem::conflict("source_unusable", text),
            DryRunError::Failed(failure) => failure.into(),
            DryRunError::Line(_) => Problem::too_many(text, 5),
            DryRunError::NoRoom(error) => error.into(),
            DryRunError::Store(error) => error.into(),
            DryRunError::Internal(error) => Problem::internal(&error),
        }
    }
}

/// Which plans are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PlansQuery {
    /// Only of this destination.
    destination_id: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Plans, the newest first, without their sample and skipped rows.
#[utoipa::path(
    get, path = "/plans", operation_id = "listPlans", tag = "plans", params(PlansQuery),
    responses((status = 200, description = "A page of plans", body = List<PlanJson>)),
    extensions(("x-role" = json!("viewer")))
)]
async fn list(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    Query(query): Query<PlansQuery>,
) -> Answer<Json<List<PlanJson>>> {
    let limit = limit(query.limit)?;
    let before = match &query.after {
        None => (i64::MAX, String::new()),
        Some(cursor) => position(cursor)?,
    };
    if query.destination_id.as_deref().is_some_and(|id| !is_id(id)) {
        return Ok(Json(List::new(Vec::new(), None)));
    }
    let rows = app
        .store
        .plans(
            &member.org_id,
            query.destination_id.as_deref(),
            (before.0, &before.1),
            limit as i64 + 1,
        )
        .await?;
    let cursor = |row: &PlanRow| format!("{}-{}", row.planned_at, row.plan_id);
    Ok(Json(List::page(rows, limit, cursor, |row| {
        let json = PlanJson::of(row)?;
        Ok(PlanJson { plan: json.plan.listed(), ..json })
    })))
}

/// The plan after which a page begins.
pub(super) fn position(cursor: &str) -> Answer<(i64, String)> {
    let parts = cursor
        .split_once('-')
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse::<PlanId>().ok()?.to_string())));
    parts.ok_or_else(bad_cursor)
}

/// A plan of the member's org.
pub(super) async fn plan(app: &App, member: &Member, id: &str) -> Answer<PlanRow> {
    app.store.plan(&member.org_id, id).await?.ok_or_else(|| Problem::missing("plan", id))
}

/// A plan.
#[utoipa::path(
    get, path = "/plans/{plan_id}", operation_id = "getPlan", tag = "plans", params(("plan_id" = String, Path, description = "The plan")),
    responses((status = 200, description = "The plan", body = PlanJson)),
    extensions(("x-role" = json!("viewer")))
)]
async fn one(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Json<PlanJson>> {
    Ok(Json(PlanJson::of(plan(&app, &member, &id).await?)?))
}

/// Which changes are shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// Only changes of this field.
    field: Option<String>,
    /// Only the change of this record.
    provider_id: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default. With a filter a page may be shorter, or empty,
    /// and still have a `next`.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// What a plan would write, in its order. A page costs the same wherever it is.
#[utoipa::path(
    get, path = "/plans/{plan_id}/changes", operation_id = "listPlanChanges", tag = "plans", params(("plan_id" = String, Path, description = "The plan"), ChangesQuery),
    responses(
        (status = 200, description = "A page of changes", body = List<PlannedChange>),
        (status = 409, description = "The plan was altered on disk, or cannot be read any more", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn changes(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    Query(query): Query<ChangesQuery>,
) -> Answer<Json<List<PlannedChange>>> {
    let (limit, cursor, plan_id) = paged(&app, &member, &id, query.limit, query.after).await?;
    let plans_dir = app.folder(&member.org_id).plans();
    let filter = ChangeFilter { field: query.field, provider_id: query.provider_id };
    let page =
        blocking(move || plan::changes_page(&plans_dir, &plan_id, cursor, limit, &filter)).await?;
    Ok(Json(shown_page(page)))
}

/// Which rows are shown.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SkippedQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// What a plan leaves out, and why.
#[utoipa::path(
    get, path = "/plans/{plan_id}/skipped", operation_id = "listPlanSkipped", tag = "plans", params(("plan_id" = String, Path, description = "The plan"), SkippedQuery),
    responses(
        (status = 200, description = "A page of skipped rows", body = List<SkippedRows>),
        (status = 409, description = "The plan was altered on disk, or cannot be read any more", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("viewer")))
)]
async fn skipped(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    Query(query): Query<SkippedQuery>,
) -> Answer<Json<List<SkippedRows>>> {
    let (limit, cursor, plan_id) = paged(&app, &member, &id, query.limit, query.after).await?;
    let plans_dir = app.folder(&member.org_id).plans();
    let page = blocking(move || plan::skipped_page(&plans_dir, &plan_id, cursor, limit)).await?;
    Ok(Json(shown_page(page)))
}

async fn paged(
    app: &App,
    member: &Member,
    id: &str,
    asked: Option<u32>,
    after: Option<String>,
) -> Answer<(usize, Option<Cursor>, PlanId)> {
    let (limit, cursor) = (limit(asked)?, cursor(after)?);
    let row = plan(app, member, id).await?;
    let plan_id = row.plan_id.parse().map_err(|error: String| Problem::internal(&error))?;
    Ok((limit, cursor, plan_id))
}

/// A page of the library, as it is answered.
pub(super) fn shown_page<T>(page: Page<T>) -> List<T> {
    List::new(page.items, page.next.map(|next| next.to_string()))
}

/// A cursor of a plan's pages.
pub(super) fn cursor(after: Option<String>) -> Answer<Option<Cursor>> {
    after.map(|text| text.parse::<Cursor>().map_err(|_| bad_cursor())).transpose()
}

/// Reads files on a thread that may block.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, PlanError> + Send + 'static,
) -> Answer<T> {
    let read =
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))?;
    read.map_err(plan_error)
}

pub(super) fn plan_error(error: PlanError) -> Problem {
    match error {
        PlanError::Cursor { .. } => bad_cursor(),
        PlanError::Tampered { .. } | PlanError::Stale { .. } | PlanError::OtherRecords { .. } => {
            Problem::conflict("stale_plan", error.to_string())
        }
        PlanError::Unreadable { id, error } => {
            tracing::warn!(plan_id = %id, error, "a plan cannot be read");
            Problem::conflict(
                "stale_plan",
                format!("plan {id} cannot be read any more; plan again"),
            )
        }
        error => Problem::internal(&error),
    }
}
