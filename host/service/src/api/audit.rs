//! The audit log as it is read. It is written by the store, in one transaction with what it is
//! about.

use super::{
    auth::Viewer,
    body::{List, Query},
    paging::Paging,
    problem::Answer,
};
use crate::{
    app::App,
    store::{AuditRow, Stored, Unreadable, time_text},
};
use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A row of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow)]
pub(super) struct AuditJson {
    /// Its number. Those between two of an org's are other orgs'.
    seq: i64,
    /// When.
    at: String,
    /// What, such as `destination.reverse_run`.
    action: String,
    /// Who: their name and id.
    who: String,
    /// The org.
    org_id: String,
    /// The plan, or null.
    plan_id: Option<String>,
    /// The run, or null.
    run_id: Option<String>,
    /// The destination, or null.
    destination_id: Option<String>,
    /// The component's digest, or null.
    component: Option<String>,
    /// Counts of a run, or null.
    #[schema(value_type = Option<Object>)]
    counts: Option<Map<String, Value>>,
    /// Anything else.
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
    /// Hash of this row and of the one before.
    hash: String,
}

fn shown(row: AuditRow) -> Stored<AuditJson> {
    let AuditRow { seq, at, entry, hash, .. } = row;
    let object = |place, text: &str| -> Stored<Map<String, Value>> {
        serde_json::from_str(text).map_err(|error| Unreadable::new(place, &seq.to_string(), error))
    };
    Ok(AuditJson {
        seq,
        at: time_text(at),
        action: entry.action,
        who: entry.who,
        org_id: entry.org_id,
        plan_id: entry.plan_id,
        run_id: entry.run_id,
        destination_id: entry.destination_id,
        component: entry.component,
        counts: entry
            .counts
            .as_deref()
            .map(|counts| object("audit_log.counts", counts))
            .transpose()?,
        detail: object("audit_log.detail", &entry.detail)?,
        hash,
    })
}

/// What was done in the org, the newest first.
#[utoipa::path(get, path = "/audit-log", operation_id = "listAuditLog", tag = "audit", params(Paging),
    responses((status = 200, description = "A page of the log", body = List<AuditJson>)),
    extensions(("x-role" = json!("viewer"))))]
async fn list(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<AuditJson>>> {
    let (limit, before) = (paging.limit()?, paging.number()?.unwrap_or(i64::MAX));
    let rows = app.store.audit_log(&member.org_id, before, limit as i64 + 1).await?;
    Ok(Json(List::page(rows, limit, |row| row.seq.to_string(), shown)))
}
