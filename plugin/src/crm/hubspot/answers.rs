//! HubSpot's answers, as pure functions on bytes. (crm-apis A5 to A7)
//!
//! A batch answer is joined by id: results come in any order, missing records are named in groups,
//! and records that were merged away are in neither. Nothing counts as updated but what the results
//! name.

use crate::contract::changes::{Changes, Failure};
use crate::crm::error::{CrmError, Item};
use crate::crm::reconciled::Reconciled;
use crate::values::encode::push_json_string;
use crate::values::json::Object;
use crate::values::members::Members;
use crate::values::normal::Values;
use hashbrown::{HashMap, HashSet};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// A batch answer; only ids are looked at.
#[derive(Deserialize)]
struct Updated<'a> {
    #[serde(borrow, default)]
    results: Option<Vec<Object<Named<'a>>>>,
    #[serde(default)]
    errors: Option<Value>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// A 2xx answer to `batch/update`. `None`: it is not such an answer.
pub(crate) fn reconcile_accepted(
    changes: &Changes,
    members: &[usize],
    status: u16,
    body: &[u8],
) -> Option<Reconciled> {
    if let Some(ids) = json_outline::result_ids(body) {
        let updated: HashSet<&str> = ids.into_iter().collect();
        let mut reconciled = Reconciled::new();
        for member in members {
            if updated.contains(changes.id(*member)) {
                reconciled.outcomes.updated(changes.row(*member));
            } else {
                reconciled.silent.push(*member);
            }
        }
        return Some(reconciled);
    }
    let Object(answer) = serde_json::from_slice::<Object<Updated<'_>>>(body).ok()?;
    let groups: Vec<CrmError> = match &answer.errors {
        Some(Value::Array(groups)) => groups.iter().map(CrmError::hubspot).collect(),
        _ => Vec::new(),
    };
    let results = answer.results.unwrap_or_default();
    let updated: HashSet<&str> =
        results.iter().filter_map(|Object(result)| result.id.as_deref()).collect();
    let refused: HashMap<&str, &CrmError> = groups
        .iter()
        .flat_map(|group| group.ids.iter().map(move |id| (id.as_str(), group)))
        .collect();
    let mut reconciled = Reconciled::new();
    for member in members {
        let (row, id) = (changes.row(*member), changes.id(*member));
        match (refused.get(id), groups.first()) {
            // A record that is named on both sides was not written as a whole.
            (Some(group), _) => reconciled.outcomes.failed(row, &group.failure(status)),
            (None, _) if updated.contains(id) => reconciled.outcomes.updated(row),
            // An error that names nobody can only be about the one record that was sent.
            (None, Some(group)) if members.len() == 1 && group.ids.is_empty() => {
                reconciled.outcomes.failed(row, &group.failure(status))
            }
            _ => reconciled.silent.push(*member),
        }
    }
    Some(reconciled)
}

/// A refused `batch/update`: nothing of it was applied, and the answer does not say which input is
/// to blame.
pub(crate) fn reconcile_refused(
    changes: &Changes,
    members: &[usize],
    status: u16,
    error: &CrmError,
) -> Reconciled {
    let mut reconciled = Reconciled::new();
    if let [only] = members {
        reconciled.outcomes.failed(changes.row(*only), &error.failure(status));
        return reconciled;
    }
    // A property that does not exist or cannot be written fails every change that has it: no need
    // to search.
    let hopeless =
        |item: &&Item| matches!(item.code.as_str(), "PROPERTY_DOESNT_EXIST" | "READ_ONLY_VALUE");
    let barred = properties(error.items.iter().filter(hopeless));
    let mut rest = Vec::with_capacity(members.len());
    for member in members {
        match barred.iter().find(|(property, _)| has_property(changes.fields(*member), property)) {
            Some((_, item)) => {
                let message = if item.message.is_empty() {
                    error.failure(status).message
                } else {
                    item.message.clone()
                };
                let failure =
                    Failure { http_status: Some(status), code: item.code.clone(), message };
                reconciled.outcomes.failed(changes.row(*member), &failure);
            }
            None => rest.push(*member),
        }
    }
    if rest.len() < members.len() {
        reconciled.split.extend((!rest.is_empty()).then_some(rest));
        return reconciled;
    }
    // Records with a property that was complained about are the likelier culprits: try the others
    // first.
    let suspected = properties(error.items.iter());
    let (suspects, others): (Vec<usize>, Vec<usize>) = members.iter().partition(|member| {
        suspected.iter().any(|(property, _)| has_property(changes.fields(**member), property))
    });
    if suspects.is_empty() || others.is_empty() {
        reconciled.halve(members);
    } else {
        reconciled.split.extend([suspects, others]);
    }
    reconciled
}

/// Properties that items complain about, as they stand in a JSON object.
fn properties<'i>(items: impl Iterator<Item = &'i Item>) -> Vec<(String, &'i Item)> {
    items
        .flat_map(|item| {
            item.properties.iter().map(move |property| {
                let mut name = String::new();
                push_json_string(&mut name, property);
                name.push(':');
                (name, item)
            })
        })
        .collect()
}

/// Whether an object of a change has a member. In such an object nothing but a name follows `{` or
/// `,` with an unescaped quotation mark, so this needs no parser.
fn has_property(fields: &str, quoted_name: &str) -> bool {
    let mut from = 0;
    while let Some(at) =
        fields.get(from..).and_then(|rest| rest.find(quoted_name)).map(|at| at + from)
    {
        if at > 0 && matches!(fields.as_bytes().get(at - 1), Some(b'{' | b',')) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// A record as HubSpot shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) properties: Values,
}

/// The answer to a read of one record, or to a PATCH.
pub(crate) fn record(body: &[u8]) -> Option<Record> {
    serde_json::from_slice(body).ok().map(|Object(record)| record)
}

/// The id in the answer to a PATCH.
pub(crate) fn record_id(body: &[u8]) -> Option<Cow<'_, str>> {
    let Object(named) = serde_json::from_slice::<Object<Named<'_>>>(body).ok()?;
    named.id
}

/// The records in the answer to `batch/read`.
pub(crate) fn records(body: &[u8]) -> Option<Vec<Record>> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        results: Vec<Object<Record>>,
    }
    let Object(found) = serde_json::from_slice::<Object<Found>>(body).ok()?;
    Some(found.results.into_iter().map(|Object(record)| record).collect())
}

/// HubSpot: the records that were found, in any order, by id.
pub(crate) fn held(body: &[u8]) -> Option<Vec<(Cow<'_, str>, Members<'_>)>> {
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        results: Vec<Object<Record<'a>>>,
    }
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow, default)]
        properties: Members<'a>,
    }
    if let Some(records) = json_outline::result_records(body) {
        return Some(
            records
                .into_iter()
                .map(|(id, properties)| (id.into(), Members::Outlined(properties)))
                .collect(),
        );
    }
    let Object(found) = serde_json::from_slice::<Object<Found<'_>>>(body).ok()?;
    Some(found.results.into_iter().map(|Object(record)| (record.id, record.properties)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_read_are_known_by_their_ids() {
        let body = br#"{"status":"COMPLETE","results":[{"id":"7","properties":{"a":"x"},"archived":false}],"numErrors":1}"#;
        let found = held(body).unwrap();
        assert_eq!(
            (found.len(), found[0].0.as_ref(), found[0].1.get("a")),
            (1, "7", Some("\"x\""))
        );
        assert!(held(b"{}").is_none());
    }
}
