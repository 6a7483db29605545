//! Dry runs of the service: an org's golden records in, a plan that is kept out. And undoing, which
//! is a plan too.

use crate::{
    app::App,
    links::LinkError,
    scheduler::turns::LineTooLong,
    storage::{self, NoRoom},
    store::{
        DestinationRow, GoldenRow, Kept, Member, PlanRow, RunRow, SourceRow, StoreError, Stored,
        Unreadable, now_ms,
    },
};
use reverse_sync::{
    egress::Link,
    failure::{Failure, Kind},
    journal::{JournalError, RunId},
    plan::{Plan, PlanError, PlanMode, SkippedRows},
    planner::PlanningError,
    records::{RecordSource, RecordsError},
    source::Source,
    summary::PlanSummary,
    undo::UndoError,
    workspace::Target,
};
use serde::Serialize;
use std::{sync::Arc, time::Instant};

/// Skipped rows that are shown with a plan, and the longest sentence about one of them, in
/// characters.
const EXPLAINED: usize = 10;
const LONGEST_DETAIL: usize = 500;

/// A plan: what a dry run is answered with.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Plan)]
pub struct PlanJson {
    /// The plan. It has the first 10 of `skipped_rows`; `GET /plans/{plan_id}/skipped` has all.
    #[serde(flatten)]
    pub plan: PlanSummary,
    /// Where it would be written.
    pub destination_id: String,
    /// Who had it made.
    pub planned_by: String,
}

impl PlanJson {
    /// As it is kept.
    ///
    /// # Errors
    /// If it is not what was kept.
    pub fn of(row: PlanRow) -> Stored<PlanJson> {
        let plan = serde_json::from_str(&row.summary)
            .map_err(|error| Unreadable::new("plans.summary", &row.plan_id, error))?;
        Ok(PlanJson { plan, destination_id: row.destination_id, planned_by: row.planned_by })
    }
}

/// Why there is no plan. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The org has no golden records of the destination's type.
    #[error(
        "there are no golden records of type `{0}` in this org; bring them with PUT /golden/{0}"
    )]
    NoGoldenRecords(String),
    /// They were replaced while they were read.
    #[error("the golden records were replaced while they were read; plan again")]
    Replaced,
    /// They cannot be read as this destination wants them.
    #[error("golden records{}: {reason}", line.map_or_else(String::new, |line| format!(", line {line}")))]
    Records {
        /// The line, where there are lines.
        line: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// The source is gone.
    #[error(
        "the destination's source is gone; give it another one with PATCH /destinations/{{id}}"
    )]
    NoSource,
    /// There is no way to the CRM.
    #[error(transparent)]
    Link(LinkError),
    /// It cannot be planned, or not be undone.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Too many wait.
    #[error(transparent)]
    Line(#[from] LineTooLong),
    /// The org keeps as much as it may.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service itself.
    #[error("{0}")]
    Internal(String),
}

/// A plan that was made.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// How it is shown.
    pub json: PlanJson,
    /// The golden set that it was made from.
    pub set_id: Option<String>,
}

/// Plans a destination, and keeps the plan.
///
/// # Errors
/// See [`DryRunError`].
pub async fn dry_run(
    app: &Arc<App>,
    member: &Member,
    to: &DestinationRow,
    mode: PlanMode,
) -> Result<Planned, DryRunError> {
    let org_id = &member.org_id;
    let golden = app.store.golden(org_id, &to.destination.entity_type).await?;
    let golden =
        golden.ok_or_else(|| DryRunError::NoGoldenRecords(to.destination.entity_type.clone()))?;
    let source = source_of(app, org_id, to).await?;
    // Before its turn: it may wait for a walk of the org's folder, which is nobody else's business.
    has_room(app, org_id).await?;
    let turns =
        if mode == PlanMode::Offline { &app.jobs.offline_plans } else { &app.jobs.online_plans };
    let _turn = turns.take(org_id).await?;
    let began = Instant::now();
    let planned = plan(app, org_id, to, &source, &golden, mode).await;
    app.metrics.planned(mode, planned.is_ok(), began.elapsed());
    let plan = match planned {
        Err(DryRunError::Records { .. } | DryRunError::Internal(_))
            if is_replaced(app, org_id, &golden).await? =>
        {
            return Err(DryRunError::Replaced);
        }
        planned => planned?,
    };
    let set_id = Some(golden.set_id);
    let json = keep(app, member, to, &plan, set_id.clone()).await?;
    Ok(Planned { plan, json, set_id })
}

/// Whether an org may keep one more plan, however large it becomes: nobody knows that before it is
/// made.
async fn has_room(app: &App, org_id: &str) -> Result<(), DryRunError> {
    let allowed = u64::try_from(app.store.quota(org_id).await?.stored_bytes).unwrap_or(0);
    Ok(app.storage.has_room(org_id, allowed).await?)
}

async fn source_of(app: &App, org_id: &str, to: &DestinationRow) -> Result<SourceRow, DryRunError> {
    app.store.source(org_id, &to.source_id).await?.ok_or(DryRunError::NoSource)
}

async fn is_replaced(app: &App, org_id: &str, golden: &GoldenRow) -> Result<bool, StoreError> {
    Ok(app
        .store
        .golden(org_id, &golden.entity_type)
        .await?
        .is_none_or(|now| now.set_id != golden.set_id))
}

async fn plan(
    app: &App,
    org_id: &str,
    to: &DestinationRow,
    source: &SourceRow,
    golden: &GoldenRow,
    mode: PlanMode,
) -> Result<Plan, DryRunError> {
    let path = app.folder(org_id).golden().join(&golden.file_name);
    let records =
        RecordSource::of(vec![path], to.destination.record_options()).map_err(records_error)?;
    let source = if mode == PlanMode::Offline {
        app.base_url(org_id, &source.provider, &source.settings)
            .await
            .map_err(DryRunError::Link)?
            .into()
    } else {
        observed(app, org_id, source).await?.into()
    };
    let target = target(app, org_id, to, &source)?;
    target.plan(mode, records).await.map_err(|error| planning_error(error, &rights(app, to)))
}

fn target(
    app: &App,
    org_id: &str,
    to: &DestinationRow,
    source: &Source,
) -> Result<Target, DryRunError> {
    app.workspace(org_id, app.jobs.limits.plan_time)
        .target(to.destination.clone(), source)
        .map_err(|error| Failure::from(&error).into())
}

/// The way to the CRM, whose requests are counted.
async fn observed(app: &App, org_id: &str, source: &SourceRow) -> Result<Link, DryRunError> {
    let link = app.link(org_id, source).await.map_err(DryRunError::Link)?;
    Ok(Link { observer: Some(Arc::new(app.metrics.crm(&source.provider))), ..link })
}

fn rights(app: &App, to: &DestinationRow) -> String {
    app.component
        .destination_type(&to.destination.destination_type)
        .map_or_else(|_| String::new(), |served| served.required_rights.clone())
}

fn records_error(error: RecordsError) -> DryRunError {
    match error {
        RecordsError::Malformed { line, reason, .. } => DryRunError::Records { line, reason },
        // It may name a file, which is nobody's business.
        other => DryRunError::Internal(other.to_string()),
    }
}

fn planning_error(error: PlanningError, rights: &str) -> DryRunError {
    if let PlanningError::Records(error) = error {
        return records_error(error);
    }
    match Failure::from(&error).needing(rights) {
        Failure { kind: Kind::Internal, message, .. } => DryRunError::Internal(message),
        failure => failure.into(),
    }
}

/// A sentence of no more than so many characters: the row is kept with the plan's.
fn short(rows: SkippedRows) -> SkippedRows {
    SkippedRows {
        detail: rows.detail.map(|detail| detail.chars().take(LONGEST_DETAIL).collect()),
        ..rows
    }
}

/// Keeps a plan's row, so that it is listed and its golden set stays.
async fn keep(
    app: &App,
    member: &Member,
    to: &DestinationRow,
    plan: &Plan,
    set_id: Option<String>,
) -> Result<PlanJson, DryRunError> {
    let of = plan.clone();
    let summary = tokio::task::spawn_blocking(move || PlanSummary::of(&of, EXPLAINED))
        .await
        .map_err(|error| DryRunError::Internal(error.to_string()))?;
    let mut summary = summary.map_err(|error| DryRunError::Internal(error.to_string()))?;
    summary.skipped_rows = summary.skipped_rows.map(|rows| rows.into_iter().map(short).collect());
    let planned_at = summary
        .planned_at
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| now_ms(), jiff::Timestamp::as_millisecond);
    let row = PlanRow {
        plan_id: summary.plan_id.to_string(),
        destination_id: to.destination_id.clone(),
        set_id,
        undoes: summary.undoes.as_ref().map(ToString::to_string),
        summary: serde_json::to_string(&summary)
            .map_err(|error| DryRunError::Internal(error.to_string()))?,
        planned_at,
        planned_by: member.who(),
    };
    let json = PlanJson {
        plan: summary,
        destination_id: row.destination_id.clone(),
        planned_by: row.planned_by.clone(),
    };
    match app.store.keep_plan(&member.org_id, row).await? {
        Kept::Replaced => return Err(DryRunError::Replaced),
        Kept::Again => {}
        Kept::New => {
            // Three files, whose names are in the cache.
            let dir = app.folder(&member.org_id).plans().join(json.plan.plan_id.to_string());
            let bytes =
                storage::size(&dir).map_err(|error| DryRunError::Internal(error.to_string()))?;
            app.storage.added(&member.org_id, bytes);
        }
    }
    Ok(json)
}

/// Plans the way back from a run. Only reads leave. An org that keeps as much as it may can do this
/// too: no undo is larger than the plan that it undoes, which is kept.
///
/// # Errors
/// See [`DryRunError`].
pub async fn undo(
    app: &Arc<App>,
    member: &Member,
    run: &RunRow,
    to: &DestinationRow,
) -> Result<PlanJson, DryRunError> {
    let org_id = &member.org_id;
    let run_id: RunId = run.run_id.parse().map_err(DryRunError::Internal)?;
    let (workspace, of) = (app.workspace(org_id, app.jobs.limits.plan_time), run_id.clone());
    let rights = rights(app, to);
    let failed = |error: UndoError| undo_error(&error, &run_id, &rights);
    // Before its turn: what cannot be undone does not wait to learn that.
    let past = tokio::task::spawn_blocking(move || workspace.past_run(of))
        .await
        .map_err(|error| DryRunError::Internal(error.to_string()))?
        .map_err(failed)?;
    let source = source_of(app, org_id, to).await?;
    let _turn = app.jobs.online_plans.take(org_id).await?;
    let link = observed(app, org_id, &source).await?;
    let plan = target(app, org_id, to, &link.into())?.undo_run(&past).await.map_err(failed)?;
    keep(app, member, to, &plan, None).await
}

fn undo_error(error: &UndoError, run_id: &RunId, rights: &str) -> DryRunError {
    let not = |message: String| {
        DryRunError::from(Failure {
            kind: Kind::Conflict,
            code: "not_undoable",
            pointer: None,
            message,
            hint: None,
        })
    };
    match error {
        UndoError::Journal(JournalError::Unknown(_)) => {
            not(format!("run {run_id} has written nothing; there is nothing to undo"))
        }
        UndoError::Journal(JournalError::Busy(_)) => {
            not(format!("run {run_id} is running; wait until it has ended, or cancel it"))
        }
        UndoError::Plan(error @ (PlanError::Io(_) | PlanError::Unreadable { .. })) => {
            DryRunError::Internal(error.to_string())
        }
        UndoError::Plan(error) => not(error.to_string()),
        error => Failure::from(error).needing(rights).into(),
    }
}
