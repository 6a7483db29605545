//! Confirmed runs: begun, cancelled, resumed, undone.

use super::{
    body::{JsonBody, PathId, Query, read},
    destinations,
    plans::plan_error,
    problem::{Answer, Problem, ProblemJson},
    run_json::{ERRORS, RunAnswer, RunJson},
    runs::run,
};
use crate::{
    api::auth::Operator,
    app::App,
    jobs::{
        beginning::{self, NotBegun, RunRequest},
        execution,
        planning::{self, PlanJson},
    },
    scheduler::live::Live,
    store::{AuditEntry, DestinationRow, Member, RunRow},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use reverse_sync::{
    digest::Digest,
    failure::Failure,
    gate::Refused,
    passes::{Checks, HowMany},
    plan::PlanId,
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};
use std::{num::NonZeroU64, sync::Arc, time::Duration};
use tracing::Instrument;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The header whose value keeps a request from starting a second run.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest of its values.
const MAX_KEY: usize = 255;
/// Seconds that an answer waits for the end of its run, if nothing else is asked for, and at most.
const WAIT: u64 = 30;
const MAX_WAIT: u64 = 300;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(reverse_run))
        .routes(routes!(forward))
        .routes(routes!(cancel))
        .routes(routes!(resume))
        .routes(routes!(undo))
}

/// The confirmation of a run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RunRequest)]
struct RunRequestJson {
    /// must be true: somebody has looked, and says yes.
    #[expect(dead_code, reason = "it is looked at before all else")]
    confirm: bool,
    /// Exactly this plan. Left out, the destination is planned now, and what comes out is written.
    #[schema(nullable = false)]
    plan_id: Option<String>,
    /// Names of guards to continue despite.
    #[schema(nullable = false)]
    r#override: Option<Vec<String>>,
    /// Write this many changes first, read them back, and continue only if each holds what was
    /// written.
    #[serde(default, deserialize_with = "canary")]
    #[schema(value_type = Option<u64>, nullable = false, minimum = 1)]
    canary: Option<NonZeroU64>,
    /// Read records back after the run: 100 of them, or all.
    #[schema(nullable = false)]
    verify: Option<HowMany>,
}

fn canary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU64>, D::Error> {
    let Some(size) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    size.as_u64()
        .and_then(NonZeroU64::new)
        .map(Some)
        .ok_or_else(|| D::Error::custom("it is a whole number of at least 1"))
}

/// How long to wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// Seconds to wait for the end of the run before it is answered with 202: 0 to 300, 30 by
    /// default.
    #[param(minimum = 0, maximum = 300)]
    wait: Option<u64>,
}

/// Reads a confirmation. Without it, nothing else is looked at.
fn confirmed(body: &Value, destination_id: &str) -> Answer<RunRequestJson> {
    if body.get("confirm") == Some(&Value::Bool(true)) {
        return read(body);
    }
    let detail = format!(
        "nothing was written: look at what would be, with POST /destinations/{destination_id}/reverse-dry-run, then send {{\"confirm\": true}} (and the plan_id of what you saw)"
    );
    Err(Problem::bad("not_confirmed", detail))
}

/// Writes what was confirmed.
#[utoipa::path(
    post, path = "/destinations/{destination_id}/reverse-run", operation_id = "confirmRun", tag = "runs",
    params(
        ("destination_id" = String, Path, description = "The destination"), WaitQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key never starts a second run: 1 to 255 visible ASCII characters"),
    ),
    request_body = RunRequestJson,
    responses(
        (status = 200, description = "The run has ended", body = RunAnswer),
        (status = 202, description = "The run has not finished; `Location` says where to follow it", body = RunJson, headers(("location" = String, description = "The run"))),
        (status = 409, description = "The plan is stale or was applied, a guard has tripped, or a run of the destination is running", body = ProblemJson, content_type = "application/problem+json"),
        (status = 424, description = "The CRM, or its credential, while comparing", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "The org's quota is used up; `Retry-After` says when to come back", body = ProblemJson, content_type = "application/problem+json"),
        (status = 507, description = "The org keeps as much as it may: no new plan is made", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn reverse_run(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Value>,
) -> Answer<Response> {
    let to = destinations::found(&app, &member.org_id, &id).await?;
    let key = idempotency_key(&headers)?;
    let wait = query.wait.unwrap_or(WAIT);
    if wait > MAX_WAIT {
        return Err(Problem::bad(
            "bad_query",
            format!("`wait` is a number of seconds from 0 to {MAX_WAIT}"),
        ));
    }
    let digest = Digest::of(json!([id, body]).to_string().as_bytes()).hex();
    let RunRequestJson { plan_id, r#override, canary, verify, .. } = confirmed(&body, &id)?;
    let request = RunRequest {
        plan_id,
        overridden: r#override.unwrap_or_default(),
        checks: Checks { canary, verify },
        idempotency: key.map(|key| (key, digest)),
    };
    let beginning = {
        let (app, member) = (Arc::clone(&app), member.clone());
        async move {
            let begun = beginning::begin(&app, &member, &to, &request).await.map_err(Problem::from);
            if let Err(problem) = &begun {
                log_refused(&app, &member, &to, request.plan_id, problem).await?;
            }
            begun
        }
    };
    let (row, live) = whatever_the_client_does(beginning).await?;
    answer(&app, row, live, wait).await
}

/// Logs a confirmation that came to nothing for a reason of its own.
async fn log_refused(
    app: &App,
    member: &Member,
    to: &DestinationRow,
    plan_id: Option<String>,
    problem: &Problem,
) -> Answer<()> {
    let (status, code) = problem.what();
    let is_a_plan = plan_id.as_deref().is_none_or(|plan_id| plan_id.parse::<PlanId>().is_ok());
    if !status.is_client_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::FAILED_DEPENDENCY
        || !is_a_plan
    {
        return Ok(());
    }
    let entry = AuditEntry {
        destination_id: Some(to.destination_id.clone()),
        plan_id,
        ..AuditEntry::new(&member.org_id, &member.who(), "run.refused", &json!({ "code": code }))
    };
    Ok(app.store.log(&entry).await?)
}

fn idempotency_key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| {
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    });
    let wrong = || {
        Problem::bad(
            "bad_idempotency_key",
            format!("Idempotency-Key is 1 to {MAX_KEY} visible ASCII characters"),
        )
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// Waits for the end of a run, as long as was asked for.
async fn answer(
    app: &Arc<App>,
    row: RunRow,
    live: Option<Arc<Live>>,
    wait: u64,
) -> Answer<Response> {
    if let Some(live) = live {
        let mut ending = app.ending.subscribe();
        tokio::select! {
            () = live.end() => {}
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            // An error says that nobody is there any more to end it.
            _ = ending.wait_for(|ending| *ending) => {}
        }
    }
    let row = app.store.run(&row.org_id, &row.run_id).await?.unwrap_or(row);
    let run = RunJson::of(app, &row);
    if row.status.is_unfinished() {
        let location = format!("/runs/{}", row.run_id);
        return Ok(
            (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(run)).into_response()
        );
    }
    let errors = app.store.problems(&row.org_id, &row.run_id, ERRORS as i64).await?;
    let errors_truncated = run.problems() > errors.len() as u64;
    Ok(Json(RunAnswer { run, errors, errors_truncated }).into_response())
}

impl From<NotBegun> for Problem {
    fn from(error: NotBegun) -> Problem {
        let text = error.to_string();
        match error {
            NotBegun::Conflict { code, .. } => Problem::conflict(code, text),
            NotBegun::KeyReused(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", text)
            }
            NotBegun::UnknownPlan(id) => Problem::missing("plan", &id),
            NotBegun::Refused(Refused::Plan(error)) => plan_error(error),
            NotBegun::Refused(error) => {
                let failure = Failure::from(&error);
                match error {
                    Refused::Guarded { plan, guards } => {
                        Problem::from(failure).guarded(&plan, guards)
                    }
                    Refused::NoSuchGuard { .. } => {
                        Problem::invalid(failure.code, "/override", failure.message)
                    }
                    _ => failure.into(),
                }
            }
            NotBegun::Wait { seconds, .. } => Problem::too_many(text, seconds),
            NotBegun::Plan(error) => plan_error(error),
            NotBegun::Planning(error) => error.into(),
            NotBegun::Store(error) => error.into(),
            NotBegun::Internal(_) => Problem::internal(&text),
        }
    }
}

/// The forward path, which a reverse destination does not have.
#[utoipa::path(
    post, path = "/destinations/{destination_id}/run", operation_id = "refuseForwardRun", tag = "runs",
    params(("destination_id" = String, Path, description = "The destination")),
    responses((status = 409, description = "Always: a reverse destination is run by `reverse-run`", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("operator")))
)]
async fn forward(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<()> {
    let to = destinations::found(&app, &member.org_id, &id).await?;
    let detail = format!(
        "`{}` is a reverse destination: it has no forward run. Write golden records back with POST /destinations/{id}/reverse-run",
        to.destination.name
    );
    Err(Problem::conflict("reverse_destination", detail))
}

/// Stops a run between batches.
#[utoipa::path(
    post, path = "/runs/{run_id}/cancel", operation_id = "cancelRun", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 202, description = "It stops after the requests in flight", body = RunJson),
        (status = 409, description = "It has ended", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn cancel(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<(StatusCode, Json<RunJson>)> {
    whatever_the_client_does(async move {
        let row = run(&app, &member, &id).await?;
        if !row.status.is_unfinished() {
            return Err(Problem::conflict(
                "run_ended",
                format!("run {id} has ended: it {}", row.status),
            ));
        }
        execution::cancel(&app, &row, &member.who()).await?;
        let row = run(&app, &member, &id).await?;
        Ok((StatusCode::ACCEPTED, Json(RunJson::of(&app, &row))))
    })
    .await
}

/// In a task of its own: a client that goes away in the middle leaves nothing half done.
async fn whatever_the_client_does<T: Send + 'static>(
    work: impl Future<Output = Answer<T>> + Send + 'static,
) -> Answer<T> {
    tokio::spawn(work.in_current_span()).await.map_err(|error| Problem::internal(&error))?
}

/// Goes on with a run that ended early, with what was confirmed.
#[utoipa::path(
    post, path = "/runs/{run_id}/resume", operation_id = "resumeRun", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 202, description = "It continues", body = RunJson),
        (status = 409, description = "It is running, has finished, or another run came after it", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "The org's quota is used up; `Retry-After` says when to come back", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn resume(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<(StatusCode, Json<RunJson>)> {
    whatever_the_client_does(async move {
        let row = run(&app, &member, &id).await?;
        let row = beginning::resume(&app, &member, &row).await?;
        Ok((StatusCode::ACCEPTED, Json(RunJson::of(&app, &row))))
    })
    .await
}

/// Plans the way back from a run. The plan is confirmed as any other.
#[utoipa::path(
    post, path = "/runs/{run_id}/undo", operation_id = "planUndo", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "A plan that puts back what the CRM held before", body = PlanJson),
        (status = 409, description = "It cannot be undone", body = ProblemJson, content_type = "application/problem+json"),
        (status = 424, description = "The CRM, or its credential", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many dry runs of this org wait already", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn undo(
    Operator(member): Operator,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Json<PlanJson>> {
    let row = run(&app, &member, &id).await?;
    if row.status.is_unfinished() {
        return Err(Problem::conflict(
            "not_undoable",
            format!("run {id} is running; wait for its end, or cancel it"),
        ));
    }
    let to = app.store.destination(&member.org_id, &row.destination_id).await?;
    let to = to.ok_or_else(|| {
        Problem::conflict("not_undoable", format!("the destination of run {id} is gone"))
    })?;
    Ok(Json(planning::undo(&app, &member, &row, &to).await?))
}
