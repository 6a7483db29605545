//! Confirmed runs: begun, cancelled, resumed, undone.

use super::{
    body::{JsonBody, PathId, Query},
    destinations,
    object::Object,
    plans::{plan, plan_error},
    problem::{Answer, Problem, ProblemJson},
    run_json::{ERRORS, RunAnswer, RunJson},
    runs::run,
};
use crate::{
    api::auth::Operator,
    app::App,
    jobs::{
        Jobs,
        live::Live,
        planning::{self, PlanJson},
    },
    store::{AuditEntry, Begun, DestinationRow, Member, NewRun, Resumed, RunOptions, RunRow, Status, StoreError},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use reverse_sync::{
    digest::Digest,
    gate::{Confirmation, ConfirmedPlan, Refused},
    journal,
    passes::{Checks, HowMany},
    plan::{Plan, PlanId, PlanMode},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, num::NonZeroU64, sync::Arc, time::Duration};
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
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read key by key, so that each error has its place")]
struct RunRequest {
    /// Has to be true: somebody has looked, and says yes.
    confirm: bool,
    /// Exactly this plan. Left out, the destination is planned now, and what comes out is written.
    #[schema(nullable = false)]
    plan_id: Option<String>,
    /// Names of guards to go on in spite of.
    #[schema(nullable = false)]
    r#override: Option<Vec<String>>,
    /// Write this many changes first, read them back, and go on only if each holds what was written.
    #[schema(nullable = false, minimum = 1)]
    canary: Option<u64>,
    /// Read records back after the run: 100 of them, or all.
    #[schema(nullable = false)]
    verify: Option<HowMany>,
}

/// How long to wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// Seconds to wait for the end of the run before it is answered with 202: 0 to 300, 30 by default.
    #[param(minimum = 0, maximum = 300)]
    wait: Option<u64>,
}

/// What was asked for.
struct Asked {
    plan_id: Option<String>,
    overridden: Vec<String>,
    checks: Checks,
}

impl Asked {
    /// Reads a confirmation. Without it, nothing else is looked at.
    fn read(body: serde_json::Map<String, Value>, destination_id: &str) -> Answer<Asked> {
        if body.get("confirm") != Some(&Value::Bool(true)) {
            return Err(Problem::bad(
                "not_confirmed",
                format!(
                    "nothing was written: look at what would be, with POST /destinations/{destination_id}/reverse-dry-run, then send {{\"confirm\": true}} (and the plan_id of what you saw)"
                ),
            ));
        }
        let mut body = Object::body(body, &["confirm", "plan_id", "override", "canary", "verify"])?;
        let plan_id = body.text("plan_id")?;
        let names = |value| serde_json::from_value::<Vec<String>>(value).ok();
        let overridden = match body.take("override").map(names) {
            None => Vec::new(),
            Some(Some(names)) => names,
            Some(None) => return Err(body.wrong("override", "no list of texts; it has to be the names of guards")),
        };
        let canary = match body.take("canary") {
            None => None,
            Some(value) => match value.as_u64().and_then(NonZeroU64::new) {
                None => return Err(body.wrong("canary", "no whole number from 1")),
                size => size,
            },
        };
        let verify = match body.text("verify")?.map(|how| how.parse::<HowMany>()) {
            None => None,
            Some(Ok(how)) => Some(how),
            Some(Err(right)) => return Err(body.wrong("verify", &format!("something else; {right}"))),
        };
        Ok(Asked { plan_id, overridden, checks: Checks { canary, verify } })
    }
}

/// Writes what was confirmed.
#[utoipa::path(
    post, path = "/destinations/{destination_id}/reverse-run", tag = "runs",
    params(
        ("destination_id" = String, Path, description = "The destination"), WaitQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key never starts a second run: 1 to 255 visible ASCII characters"),
    ),
    request_body = RunRequest,
    responses(
        (status = 200, description = "The run has ended", body = RunAnswer),
        (status = 202, description = "The run is under way; `Location` says where to follow it", body = RunJson, headers(("location" = String, description = "The run"))),
        (status = 409, description = "The plan is stale or was applied, a guard has tripped, or a run of the destination is under way", body = ProblemJson, content_type = "application/problem+json"),
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
    JsonBody(body): JsonBody<serde_json::Map<String, Value>>,
) -> Answer<Response> {
    let to = destinations::found(&app, &member.org_id, &id).await?;
    let key = idempotency_key(&headers)?;
    let wait = query.wait.unwrap_or(WAIT);
    if wait > MAX_WAIT {
        return Err(Problem::bad("bad_query", format!("`wait` is a number of seconds from 0 to {MAX_WAIT}")));
    }
    let digest = Digest::of(json!([id, body]).to_string().as_bytes()).hex();
    let asked = Asked::read(body, &id)?;
    let beginning = {
        let (app, member) = (Arc::clone(&app), member.clone());
        async move {
            let plan_id = asked.plan_id.clone();
            let begun = begin(&app, &member, &to, asked, key.as_deref().map(|key| (key, digest.as_str()))).await;
            if let Err(problem) = &begun {
                log_refused(&app, &member, &to, plan_id, problem).await?;
            }
            begun
        }
    };
    let (row, live) = whatever_the_client_does(beginning).await?;
    answer(&app, row, live, wait).await
}

/// Logs a confirmation that came to nothing for a reason of its own.
async fn log_refused(app: &App, member: &Member, to: &DestinationRow, plan_id: Option<String>, problem: &Problem) -> Answer<()> {
    let (status, code) = problem.what();
    let is_a_plan = plan_id.as_deref().is_none_or(|plan_id| plan_id.parse::<PlanId>().is_ok());
    if !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FAILED_DEPENDENCY || !is_a_plan {
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
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    let wrong = || Problem::bad("bad_idempotency_key", format!("Idempotency-Key is 1 to {MAX_KEY} visible ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// Waits for the end of a run, as long as was asked for.
async fn answer(app: &Arc<App>, row: RunRow, live: Option<Arc<Live>>, wait: u64) -> Answer<Response> {
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
    if row.status.is_under_way() {
        let location = format!("/runs/{}", row.run_id);
        return Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(run)).into_response());
    }
    let errors = app.store.problems(&row.org_id, &row.run_id, ERRORS as i64).await?;
    let errors_truncated = run.problems() > errors.len() as u64;
    let errors = errors.into_iter().map(Into::into).collect();
    Ok(Json(RunAnswer { run, dry_run: false, errors, errors_truncated }).into_response())
}

/// From a confirmation to a run that is queued, or to the run that the same request has begun before.
async fn begin(
    app: &Arc<App>,
    member: &Member,
    to: &DestinationRow,
    asked: Asked,
    idempotency: Option<(&str, &str)>,
) -> Answer<(RunRow, Option<Arc<Live>>)> {
    let org_id = &member.org_id;
    let _turn = app.jobs.beginning(org_id, &to.destination_id).await;
    if let Some((key, digest)) = idempotency
        && let Some(row) = app.store.run_by_key(org_id, key).await?
    {
        return already(app, row, digest);
    }
    if let Some(run_id) = app.store.run_under_way(org_id, &to.destination_id).await? {
        return Err(under_way(&run_id));
    }
    let plan = match &asked.plan_id {
        Some(plan_id) => kept_plan(app, member, to, plan_id).await?,
        None => fresh_plan(app, member, to).await?,
    };
    let options = RunOptions::new(plan.header(), asked.overridden, asked.checks);
    let confirmed = confirm(app, org_id, to, plan, &options).await?;
    let who = member.who();
    let (runs_dir, plan_id) = (app.folder(org_id).runs(), confirmed.plan().id().clone());
    let last_number = tokio::task::spawn_blocking(move || journal::last_number(&runs_dir, &plan_id)).await;
    let last_number = last_number.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::internal(&error))?;
    let header = confirmed.plan().header();
    let detail = json!({
        "override": confirmed.overridden(), "canary": options.checks.canary, "verify": options.checks.verify, "total": header.total,
        "writable": header.writable, "undoes": options.undoes, "component": header.component.digest,
    });
    let new = NewRun {
        org_id,
        plan_id: confirmed.plan().id(),
        destination_id: &to.destination_id,
        destination_updated_at: to.updated_at,
        options: &options,
        idempotency,
        started_by: &who,
        last_number,
        detail: &detail,
    };
    match app.store.begin_run(&new).await? {
        Begun::Queued(row) => {
            let live = Jobs::submit(app, (*row).clone(), Some(confirmed));
            Ok((*row, Some(live)))
        }
        Begun::Already(row) => already(app, *row, idempotency.map_or("", |(_, digest)| digest)),
        Begun::UnderWay(run_id) => Err(under_way(&run_id)),
        Begun::Changed => {
            let detail = format!(
                "the destination was changed while it was planned; look at it again with POST /destinations/{}/reverse-dry-run",
                to.destination_id
            );
            Err(Problem::conflict("stale_plan", detail))
        }
        Begun::Wait(ms) => Err(wait(app, org_id, ms).await?),
    }
}

fn already(app: &App, row: RunRow, digest: &str) -> Answer<(RunRow, Option<Arc<Live>>)> {
    if row.request_hash.as_deref() != Some(digest) {
        let detail = format!("this Idempotency-Key came with another request before, which began run {}; take a new key", row.run_id);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
    }
    let live = app.jobs.live(&row.org_id, &row.run_id);
    Ok((row, live))
}

fn under_way(run_id: &str) -> Problem {
    let detail = format!(
        "run {run_id} of this destination, or of one that is defined alike, is under way; wait for its end, or stop it with POST /runs/{run_id}/cancel"
    );
    Problem::conflict("run_under_way", detail)
}

async fn wait(app: &App, org_id: &str, ms: i64) -> Result<Problem, StoreError> {
    let quota = app.store.usage(org_id).await?.quota;
    let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1_000).max(1);
    let detail = format!(
        "an org may start {} runs an hour and {} in 30 days, and this one has; come back in {seconds} s",
        quota.runs_an_hour, quota.runs_a_month
    );
    Ok(Problem::too_many(detail, seconds))
}

/// The plan that was confirmed by its id.
async fn kept_plan(app: &App, member: &Member, to: &DestinationRow, id: &str) -> Answer<Plan> {
    let unknown = || Problem::missing("plan", id);
    let plan_id: PlanId = id.parse().map_err(|_| unknown())?;
    let row = plan(app, member, id).await?;
    let made = load(app, &member.org_id, plan_id).await?;
    // Two destinations of the same definition share their plans; any other one's plan is not there.
    if row.destination_id != to.destination_id && made.header().destination != to.destination {
        return Err(unknown());
    }
    let again = format!("make a new one with POST /destinations/{}/reverse-dry-run", to.destination_id);
    // What was planned again after its last run has ended may be run again.
    if let Some(run) = app.store.last_run_of_plan(&member.org_id, id).await?
        && run.ended_at.is_none_or(|ended_at| ended_at >= row.planned_at)
    {
        let run_id = run.run_id;
        return Err(match run.status {
            Status::Stopped => {
                let detail = format!("run {run_id} of this plan ended early; go on with it by POST /runs/{run_id}/resume, or {again}");
                Problem::conflict("run_stopped", detail)
            }
            _ => Problem::conflict("plan_applied", format!("plan {id} was applied already, by run {run_id}; {again}")),
        });
    }
    if let Some(set_id) = &row.set_id {
        let now = app.store.golden(&member.org_id, &made.header().destination.entity_type).await?;
        if now.is_none_or(|now| now.set_id != *set_id) {
            return Err(Problem::conflict("stale_plan", format!("plan {id} is stale: the golden records were replaced since; {again}")));
        }
    }
    Ok(made)
}

async fn load(app: &App, org_id: &str, plan_id: PlanId) -> Answer<Plan> {
    let plans_dir = app.folder(org_id).plans();
    let loaded = tokio::task::spawn_blocking(move || Plan::load(&plans_dir, &plan_id));
    loaded.await.map_err(|error| Problem::internal(&error))?.map_err(plan_error)
}

/// A plan of the golden records as they are now. It asks the CRM only if the destination wants to be compared: the run itself reads the
/// metadata before it writes.
async fn fresh_plan(app: &Arc<App>, member: &Member, to: &DestinationRow) -> Answer<Plan> {
    let compares = to.destination.config_json.get("compare").and_then(Value::as_bool) == Some(true);
    let mode = if compares { PlanMode::Compare } else { PlanMode::Offline };
    match planning::dry_run(app, member, to, mode).await {
        Ok(planned) => Ok(planned.plan),
        Err(error) => {
            if let planning::DryRunError::Crm { message, .. } | planning::DryRunError::Account { message, .. } = &error {
                // A run that somebody confirmed and that could not begin is a run all the same.
                app.store.log(&unplanned(app, member, to, message)).await?;
            }
            Err(error.into())
        }
    }
}

fn unplanned(app: &App, member: &Member, to: &DestinationRow, message: &str) -> AuditEntry {
    AuditEntry {
        destination_id: Some(to.destination_id.clone()),
        component: Some(app.component.digest().to_string()),
        ..AuditEntry::new(&member.org_id, &member.who(), "destination.reverse_run.failed", &json!({ "error": message }))
    }
}

/// Opens the gate.
async fn confirm(app: &App, org_id: &str, to: &DestinationRow, plan: Plan, options: &RunOptions) -> Answer<ConfirmedPlan> {
    let overridden: BTreeSet<String> = options.overridden.iter().cloned().collect();
    let source = app.store.source(org_id, &to.source_id).await?.ok_or_else(|| Problem::conflict("no_source", "the source is gone"))?;
    let base_url = app
        .base_url(org_id, &source.provider, &source.settings)
        .await
        .map_err(|error| Problem::conflict("source_unusable", error.to_string()))?;
    let confirmation = Confirmation::explicit(plan.id().clone()).overriding(overridden);
    plan.confirm(confirmation, &to.destination, &base_url, &app.component).map_err(|error| match error {
        Refused::NoSuchGuard { .. } => Problem::invalid("unknown_guard", "/override", error.to_string()),
        Refused::Guarded { guards, plan } => {
            let found: Vec<String> = guards.iter().map(|guard| format!("{} ({})", guard.name, guard.message)).collect();
            let names: Vec<&str> = reverse_sync::guards::name_list(&guards);
            let detail = format!(
                "nothing was written: {}. Look at the plan, then go on in spite of it with \"override\": {}",
                found.join(", "),
                json!(names)
            );
            Problem::guarded(&plan, guards, detail)
        }
        Refused::Plan(reverse_sync::plan::PlanError::Stale { id, what }) => {
            // The command's words name a file; whose golden records these are was looked at before.
            let what = if what.starts_with("golden records") { "the golden records were replaced since".to_owned() } else { what };
            let again = format!("make a new one with POST /destinations/{}/reverse-dry-run and look at what changed", to.destination_id);
            Problem::conflict("stale_plan", format!("plan {id} is stale: {what}; {again}"))
        }
        Refused::Plan(error) => plan_error(error),
        Refused::OtherPlan { .. } => Problem::conflict("stale_plan", error.to_string()),
    })
}

/// The forward path, which a reverse destination does not have.
#[utoipa::path(
    post, path = "/destinations/{destination_id}/run", tag = "runs",
    params(("destination_id" = String, Path, description = "The destination")),
    responses((status = 409, description = "Always: a reverse destination is run by `reverse-run`", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("operator")))
)]
async fn forward(Operator(member): Operator, State(app): State<Arc<App>>, PathId(id): PathId) -> Answer<()> {
    let to = destinations::found(&app, &member.org_id, &id).await?;
    let detail = format!(
        "`{}` is a reverse destination: it has no forward run. Write golden records back with POST /destinations/{id}/reverse-run",
        to.destination.name
    );
    Err(Problem::conflict("reverse_destination", detail))
}

/// Stops a run between batches.
#[utoipa::path(
    post, path = "/runs/{run_id}/cancel", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 202, description = "It stops after the requests in flight", body = RunJson),
        (status = 409, description = "It has ended", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn cancel(Operator(member): Operator, State(app): State<Arc<App>>, PathId(id): PathId) -> Answer<(StatusCode, Json<RunJson>)> {
    whatever_the_client_does(async move {
        let row = run(&app, &member, &id).await?;
        if !row.status.is_under_way() {
            return Err(Problem::conflict("run_ended", format!("run {id} has ended: it {}", row.status)));
        }
        Jobs::cancel(&app, &row, &member.who()).await?;
        let row = run(&app, &member, &id).await?;
        Ok((StatusCode::ACCEPTED, Json(RunJson::of(&app, &row))))
    })
    .await
}

/// In a task of its own: a client that goes away in the middle leaves nothing half done.
async fn whatever_the_client_does<T: Send + 'static>(work: impl Future<Output = Answer<T>> + Send + 'static) -> Answer<T> {
    tokio::spawn(work.in_current_span()).await.map_err(|error| Problem::internal(&error))?
}

/// Goes on with a run that ended early, with what was confirmed.
#[utoipa::path(
    post, path = "/runs/{run_id}/resume", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 202, description = "It goes on", body = RunJson),
        (status = 409, description = "It is under way, has come to its end, or another run came after it", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "The org's quota is used up; `Retry-After` says when to come back", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn resume(Operator(member): Operator, State(app): State<Arc<App>>, PathId(id): PathId) -> Answer<(StatusCode, Json<RunJson>)> {
    whatever_the_client_does(async move {
        let row = run(&app, &member, &id).await?;
        let _turn = app.jobs.beginning(&member.org_id, &row.destination_id).await;
        let row = match app.store.resume_run(&member.org_id, &id, &member.who()).await? {
            Resumed::Queued(row) => *row,
            Resumed::UnderWay(run_id) => return Err(under_way(&run_id)),
            Resumed::Ended => {
                return Err(Problem::conflict("run_ended", format!("run {id} has come to its end: nothing is pending")));
            }
            Resumed::Superseded(run_id) => {
                let detail = format!(
                    "run {run_id} came after it, and may have written the same records; make a new plan with POST /destinations/{}/reverse-dry-run",
                    row.destination_id
                );
                return Err(Problem::conflict("run_superseded", detail));
            }
            Resumed::Wait(ms) => return Err(wait(&app, &member.org_id, ms).await?),
        };
        Jobs::submit(&app, row.clone(), None);
        Ok((StatusCode::ACCEPTED, Json(RunJson::of(&app, &row))))
    })
    .await
}

/// Plans the way back from a run. The plan is confirmed as any other.
#[utoipa::path(
    post, path = "/runs/{run_id}/undo", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "A plan that puts back what the CRM held before", body = PlanJson),
        (status = 409, description = "It cannot be undone", body = ProblemJson, content_type = "application/problem+json"),
        (status = 424, description = "The CRM, or its credential", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many dry runs of this org wait already", body = ProblemJson, content_type = "application/problem+json"),
    ),
    extensions(("x-role" = json!("operator")))
)]
async fn undo(Operator(member): Operator, State(app): State<Arc<App>>, PathId(id): PathId) -> Answer<Json<PlanJson>> {
    let row = run(&app, &member, &id).await?;
    if row.status.is_under_way() {
        return Err(Problem::conflict("not_undoable", format!("run {id} is under way; wait for its end, or cancel it")));
    }
    let to = app.store.destination(&member.org_id, &row.destination_id).await?;
    let to = to.ok_or_else(|| Problem::conflict("not_undoable", format!("the destination of run {id} is gone")))?;
    Ok(Json(planning::undo(&app, &member, &row, &to).await?))
}
