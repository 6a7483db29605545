//! Salesforce's answers, as pure functions on bytes. (crm-apis B2, B4, B5, B11)
//!
//! A collection answers in the order of the request, and failed records come without their id: the
//! join is by position, so an answer of another length tells nothing about anybody.

use crate::contract::changes::{Changes, Failure};
use crate::crm::error::CrmError;
use crate::crm::reconciled::Reconciled;
use crate::crm::verdict::is_daily;
use crate::provider::Provider;
use crate::provider_id;
use crate::values::json::{self, Object};
use crate::values::members::Members;
use crate::values::normal::Values;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Saved<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    success: bool,
    #[serde(default)]
    errors: Value,
}

/// What a collection's answer comes to.
pub(crate) enum Collection {
    Reconciled(Reconciled),
    /// The daily limit ran out within the request; what else it says is in here.
    Exhausted(Reconciled, CrmError),
    /// It is not an answer to this request.
    Unusable(&'static str),
}

/// A 2xx answer to an update of a collection.
pub(crate) fn reconcile_accepted(
    changes: &Changes,
    members: &[usize],
    status: u16,
    body: &[u8],
) -> Collection {
    let Ok(saved) = serde_json::from_slice::<Vec<Object<Saved<'_>>>>(body) else {
        return Collection::Unusable("its body is not a list of results");
    };
    let saved: Vec<Saved<'_>> = saved.into_iter().map(|Object(saved)| saved).collect();
    if saved.len() != members.len() {
        return Collection::Unusable("it has another number of results than records were sent");
    }
    for (member, result) in members.iter().zip(&saved) {
        if result.id.as_deref().is_some_and(|id| !is_record(id, changes.id(*member))) {
            return Collection::Unusable("its results are not in the order of the request");
        }
    }
    let mut reconciled = Reconciled::new();
    let mut exhausted = None;
    for (member, result) in members.iter().zip(saved) {
        let row = changes.row(*member);
        if result.success {
            reconciled.outcomes.updated(row);
            continue;
        }
        let error = CrmError::salesforce(&result.errors);
        if error.is("REQUEST_LIMIT_EXCEEDED") && is_daily(&error.message) {
            exhausted = Some(error);
        } else if is_transient(&error) {
            reconciled.locked.push((*member, failure(&error, status)));
        } else {
            reconciled.outcomes.failed(row, &failure(&error, status));
        }
    }
    match exhausted {
        None => Collection::Reconciled(reconciled),
        Some(error) => Collection::Exhausted(reconciled, error),
    }
}

/// A refused collection: nothing of it was applied.
pub(crate) fn reconcile_refused(
    changes: &Changes,
    members: &[usize],
    status: u16,
    error: &CrmError,
) -> Reconciled {
    let mut reconciled = Reconciled::new();
    if is_transient(error) {
        reconciled.locked.extend(members.iter().map(|member| (*member, failure(error, status))));
    } else if let [only] = members {
        reconciled.outcomes.failed(changes.row(*only), &failure(error, status));
    } else {
        reconciled.halve(members);
    }
    reconciled
}

/// Passes by itself.
pub(crate) fn is_transient(error: &CrmError) -> bool {
    error.is("UNABLE_TO_LOCK_ROW") || error.is("REQUEST_LIMIT_EXCEEDED")
}

/// Why a record was not updated, in Salesforce's words, with what they leave open.
pub(crate) fn failure(error: &CrmError, status: u16) -> Failure {
    let mut failure = error.failure(status);
    if error.is("ENTITY_IS_DELETED") {
        failure.message.push_str(" (the record was deleted, or merged into another record)");
    }
    failure
}

/// Whether two spellings, of 15 or 18 characters, are one record's id.
pub(crate) fn is_record(found: &str, id: &str) -> bool {
    let mut normal = String::new();
    found == id
        || (provider_id::append_normal(Provider::Salesforce, found, &mut normal).is_ok()
            && normal == id)
}

/// The answer to a read of a collection: one entry for each id, in order; `None` where there is no
/// such record.
pub(crate) fn records(
    changes: &Changes,
    members: &[usize],
    body: &[u8],
) -> Option<Vec<Option<Values>>> {
    let found: Vec<Option<Values>> = serde_json::from_slice(body).ok()?;
    let fits = found.len() == members.len()
        && members.iter().zip(&found).all(|(member, record)| {
            let is = |record: &Values| {
                record
                    .get("Id")
                    .and_then(|id| json::text(id.get()))
                    .is_some_and(|id| is_record(&id, changes.id(*member)))
            };
            record.as_ref().is_none_or(is)
        });
    fits.then_some(found)
}

/// Salesforce: one entry for each id, in order; `None` where there is no such record.
pub(crate) fn held(body: &[u8]) -> Option<Vec<Option<Members<'_>>>> {
    match json_outline::list(body) {
        Some(list) => Some(list.into_iter().map(|record| record.map(Members::Outlined)).collect()),
        None => serde_json::from_slice(body).ok(),
    }
}

/// The rows of a query's answer.
pub(crate) fn rows(body: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice::<Value>(body).ok()?.get_mut("records")?.take() {
        Value::Array(rows) => Some(rows),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_read_are_known_by_their_places() {
        let found =
            held(br#"[{"attributes":{"type":"Contact"},"Id":"003","A":true},null]"#).unwrap();
        assert_eq!(
            (found.len(), found[0].as_ref().unwrap().get("a"), found[1].is_none()),
            (2, Some("true"), true)
        );
        assert!(held(b"{}").is_none());
    }
}
