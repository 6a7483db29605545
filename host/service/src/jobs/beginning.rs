//! How a run begins: what was confirmed becomes a run that is queued, or continues after it ended
//! early.

use super::planning::{self, DryRunError};
use crate::{
    app::App,
    scheduler::{Jobs, live::Live},
    store::{
        AuditEntry, Begun, DestinationRow, Member, NewRun, Resumed, RunOptions, RunRow, Status,
        StoreError,
    },
};
use reverse_sync::{
    failure::Kind,
    gate::{Confirmation, ConfirmedPlan, Refused},
    journal,
    passes::Checks,
    plan::{Plan, PlanError, PlanId, PlanMode},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, io, sync::Arc};
use tokio::task::{JoinError, spawn_blocking};

/// A confirmation.
pub struct RunRequest {
    /// Exactly this plan; without it, one of the golden records as they are now.
    pub plan_id: Option<String>,
    /// Names of guards to continue despite.
    pub overridden: Vec<String>,
    /// A canary, and reading back.
    pub checks: Checks,
    /// A key by which the request never starts a second run, and the digest of the request.
    pub idempotency: Option<(String, String)>,
}

/// Why no run began, or continued.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// Something has happened in between.
    #[error("{message}")]
    Conflict {
        /// Such as `stale_plan`.
        code: &'static str,
        /// What happened, and what to do.
        message: String,
    },
    /// The key belongs to another request.
    #[error(
        "this Idempotency-Key came with another request before, which began run {0}; take a new key"
    )]
    KeyReused(String),
    /// The org has no such plan for this destination.
    #[error("there is no plan `{0}` in this org")]
    UnknownPlan(String),
    /// The gate stays shut.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The org's quota is used up.
    #[error("{message}")]
    Wait {
        /// What the quota is.
        message: String,
        /// For so long.
        seconds: u64,
    },
    /// The plan cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The destination could not be planned.
    #[error(transparent)]
    Planning(#[from] DryRunError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service itself.
    #[error("{0}")]
    Internal(String),
}

impl NotBegun {
    fn conflict(code: &'static str, message: impl Into<String>) -> NotBegun {
        NotBegun::Conflict { code, message: message.into() }
    }

    fn running(run_id: &str) -> NotBegun {
        let message = format!(
            "run {run_id} of this destination, or of one that is defined alike, is running; wait until it has ended, or stop it with POST /runs/{run_id}/cancel"
        );
        NotBegun::conflict("run_under_way", message)
    }

    async fn wait(app: &App, org_id: &str, ms: i64) -> Result<NotBegun, StoreError> {
        let quota = app.store.usage(org_id).await?.quota;
        let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1_000).max(1);
        let message = format!(
            "an org may start {} runs an hour and {} in 30 days, and this one has; come back in {seconds} s",
            quota.runs_an_hour, quota.runs_a_month
        );
        Ok(NotBegun::Wait { message, seconds })
    }
}

impl From<JoinError> for NotBegun {
    fn from(error: JoinError) -> NotBegun {
        NotBegun::Internal(error.to_string())
    }
}

impl From<io::Error> for NotBegun {
    fn from(error: io::Error) -> NotBegun {
        NotBegun::Internal(error.to_string())
    }
}

/// What to do about a plan that cannot be run any more.
fn again(to: &DestinationRow) -> String {
    format!("make a new one with POST /destinations/{}/reverse-dry-run", to.destination_id)
}

/// What is begun: the run, and what follows it as long as it runs here.
type Started = (RunRow, Option<Arc<Live>>);

/// From a confirmation to a run that is queued, or to the run that the same request has begun
/// before.
///
/// # Errors
/// See [`NotBegun`].
pub async fn begin(
    app: &Arc<App>,
    member: &Member,
    to: &DestinationRow,
    request: &RunRequest,
) -> Result<Started, NotBegun> {
    let org_id = &member.org_id;
    let idempotency =
        request.idempotency.as_ref().map(|(key, digest)| (key.as_str(), digest.as_str()));
    let _turn = app.jobs.beginning(org_id, &to.destination_id).await;
    if let Some((key, digest)) = idempotency
        && let Some(row) = app.store.run_by_key(org_id, key).await?
    {
        return already(app, row, digest);
    }
    if let Some(run_id) = app.store.unfinished_run(org_id, &to.destination_id).await? {
        return Err(NotBegun::running(&run_id));
    }
    let plan = match &request.plan_id {
        Some(plan_id) => kept_plan(app, member, to, plan_id).await?,
        None => fresh_plan(app, member, to).await?,
    };
    let options = RunOptions::new(plan.header(), request.overridden.clone(), request.checks);
    let confirmed = confirm(app, org_id, to, plan, &options).await?;
    let who = member.who();
    let (runs_dir, plan_id) = (app.folder(org_id).runs(), confirmed.plan().id().clone());
    let last_number = spawn_blocking(move || journal::last_number(&runs_dir, &plan_id)).await??;
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
        Begun::Unfinished(run_id) => Err(NotBegun::running(&run_id)),
        Begun::Changed => Err(NotBegun::conflict(
            "stale_plan",
            format!(
                "the destination was changed while it was planned; {} and look at it",
                again(to)
            ),
        )),
        Begun::Wait(ms) => Err(NotBegun::wait(app, org_id, ms).await?),
    }
}

/// The run that a request has begun before, if it was this request.
fn already(app: &App, row: RunRow, digest: &str) -> Result<Started, NotBegun> {
    if row.request_hash.as_deref() != Some(digest) {
        return Err(NotBegun::KeyReused(row.run_id));
    }
    let live = app.jobs.live(&row.org_id, &row.run_id);
    Ok((row, live))
}

/// Queues a run that ended early once more, with what was confirmed.
///
/// # Errors
/// See [`NotBegun`].
pub async fn resume(app: &Arc<App>, member: &Member, row: &RunRow) -> Result<RunRow, NotBegun> {
    let (org_id, id) = (&member.org_id, &row.run_id);
    let _turn = app.jobs.beginning(org_id, &row.destination_id).await;
    match app.store.resume_run(org_id, id, &member.who()).await? {
        Resumed::Queued(row) => {
            Jobs::submit(app, (*row).clone(), None);
            Ok(*row)
        }
        Resumed::Unfinished(run_id) => Err(NotBegun::running(&run_id)),
        Resumed::Ended => Err(NotBegun::conflict(
            "run_ended",
            format!("run {id} has finished: nothing is pending"),
        )),
        Resumed::Superseded(run_id) => {
            let message = format!(
                "run {run_id} came after it, and may have written the same records; make a new plan with POST /destinations/{}/reverse-dry-run",
                row.destination_id
            );
            Err(NotBegun::conflict("run_superseded", message))
        }
        Resumed::Wait(ms) => Err(NotBegun::wait(app, org_id, ms).await?),
    }
}

/// The plan that was confirmed by its id.
async fn kept_plan(
    app: &App,
    member: &Member,
    to: &DestinationRow,
    id: &str,
) -> Result<Plan, NotBegun> {
    let unknown = || NotBegun::UnknownPlan(id.to_owned());
    let plan_id: PlanId = id.parse().map_err(|_| unknown())?;
    let row = app.store.plan(&member.org_id, id).await?.ok_or_else(unknown)?;
    let plans_dir = app.folder(&member.org_id).plans();
    let made = spawn_blocking(move || Plan::load(&plans_dir, &plan_id)).await??;
    // Two destinations of the same definition share their plans; any other one's plan is not there.
    if row.destination_id != to.destination_id && made.header().destination != to.destination {
        return Err(unknown());
    }
    let again = again(to);
    // What was planned again after its last run has ended may be run again.
    if let Some(run) = app.store.last_run_of_plan(&member.org_id, id).await?
        && run.ended_at.is_none_or(|ended_at| ended_at >= row.planned_at)
    {
        let run_id = run.run_id;
        return Err(match run.status {
            Status::Stopped => {
                let message = format!(
                    "run {run_id} of this plan ended early; resume it with POST /runs/{run_id}/resume, or {again}"
                );
                NotBegun::conflict("run_stopped", message)
            }
            _ => NotBegun::conflict(
                "plan_applied",
                format!("plan {id} was applied already, by run {run_id}; {again}"),
            ),
        });
    }
    if let Some(set_id) = &row.set_id {
        let now = app.store.golden(&member.org_id, &made.header().destination.entity_type).await?;
        if now.is_none_or(|now| now.set_id != *set_id) {
            return Err(NotBegun::conflict(
                "stale_plan",
                format!("plan {id} is stale: the golden records were replaced since; {again}"),
            ));
        }
    }
    Ok(made)
}

/// A plan of the golden records as they are now. It asks the CRM only if the destination wants to
/// be compared: the run itself reads the metadata before it writes.
async fn fresh_plan(
    app: &Arc<App>,
    member: &Member,
    to: &DestinationRow,
) -> Result<Plan, NotBegun> {
    let compares = to.destination.config_json.get("compare").and_then(Value::as_bool) == Some(true);
    let mode = if compares { PlanMode::Compare } else { PlanMode::Offline };
    match planning::dry_run(app, member, to, mode).await {
        Ok(planned) => Ok(planned.plan),
        Err(error) => {
            if let DryRunError::Failed(failure) = &error
                && matches!(failure.kind, Kind::Crm(_) | Kind::Account)
            {
                // A run that somebody confirmed and that could not begin is a run all the same.
                app.store.log(&unplanned(app, member, to, &failure.message)).await?;
            }
            Err(error.into())
        }
    }
}

fn unplanned(app: &App, member: &Member, to: &DestinationRow, message: &str) -> AuditEntry {
    AuditEntry {
        destination_id: Some(to.destination_id.clone()),
        component: Some(app.component.digest().to_string()),
        ..AuditEntry::new(
            &member.org_id,
            &member.who(),
            "destination.reverse_run.failed",
            &json!({ "error": message }),
        )
    }
}

/// Opens the gate.
async fn confirm(
    app: &App,
    org_id: &str,
    to: &DestinationRow,
    plan: Plan,
    options: &RunOptions,
) -> Result<ConfirmedPlan, NotBegun> {
    let overridden: BTreeSet<String> = options.overridden.iter().cloned().collect();
    let source = app
        .store
        .source(org_id, &to.source_id)
        .await?
        .ok_or_else(|| NotBegun::conflict("no_source", "the source is gone"))?;
    let base_url = app
        .base_url(org_id, &source.provider, &source.settings)
        .await
        .map_err(|error| NotBegun::conflict("source_unusable", error.to_string()))?;
    let confirmation = Confirmation::explicit(plan.id().clone()).overriding(overridden);
    plan.confirm(confirmation, &to.destination, &base_url, &app.component).map_err(|error| {
        let (id, what) = match error {
            // Files have no names here: whose golden records these are was looked at before.
            Refused::Plan(PlanError::OtherRecords { id, .. }) => {
                (id, "the golden records were replaced since".to_owned())
            }
            Refused::Plan(PlanError::Stale { id, what }) => (id, what),
            error => return error.into(),
        };
        let again = again(to);
        let message = format!("plan {id} is stale: {what}; {again} and look at what changed");
        NotBegun::conflict("stale_plan", message)
    })
}
