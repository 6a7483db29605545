//! What a CRM holds, record by record, and what has become of it.

use crate::golden::Crm;
use crm_simulator::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// All contacts of a CRM, with their values.
pub(crate) struct Ledger(BTreeMap<String, BTreeMap<String, Value>>);

/// How two ledgers differ.
pub(crate) struct Verdict {
    /// Records that hold other values now.
    pub(crate) changed: usize,
    /// Records that do not hold what they should.
    pub(crate) wrong: Vec<String>,
}

/// What the CRM itself moves when a record is updated.
const MODIFIED: &str = "lastmodifieddate";

impl Ledger {
    pub(crate) fn of(world: &World, crm: Crm) -> Ledger {
        let text = |values: &BTreeMap<String, String>| {
            values.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        Ledger(match crm {
            Crm::HubSpot => {
                let records =
                    world.hubspot.objects.get("contacts").map(|contacts| &contacts.records);
                records
                    .into_iter()
                    .flatten()
                    .map(|(id, record)| (id.clone(), text(&record.properties)))
                    .collect()
            }
            Crm::Salesforce => {
                let records =
                    world.salesforce.objects.get("Contact").map(|contacts| &contacts.records);
                records
                    .into_iter()
                    .flatten()
                    .map(|(id, record)| (id.clone(), record.fields.clone()))
                    .collect()
            }
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A record in one line.
    pub(crate) fn show(&self, id: &str) -> String {
        const LEFT_OUT: [&str; 5] = ["hs_object_id", "createdate", MODIFIED, "company", "lastname"];
        let values = self
            .0
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
        values.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

/// Holds what was and what is against what should be: a record in `golden` has its golden values,
/// in the `fields` that may be written; every other field and every other record is as it was.
pub(crate) fn compare(
    before: &Ledger,
    after: &Ledger,
    golden: &BTreeMap<String, Map<String, Value>>,
    fields: &[&str],
) -> Verdict {
    let mut verdict = Verdict { changed: 0, wrong: Vec::new() };
    let ids = before.0.keys().chain(after.0.keys().filter(|id| !before.0.contains_key(*id)));
    for id in ids {
        let mut expected = before.0.get(id).cloned().unwrap_or_default();
        for (name, value) in
            golden.get(id).into_iter().flatten().filter(|(name, _)| fields.contains(&name.as_str()))
        {
            expected.insert(name.clone(), value.clone());
        }
        let mut found = after.0.get(id).cloned().unwrap_or_default();
        let changed = before.0.get(id) != Some(&found);
        if changed && let Some(moved) = found.get(MODIFIED) {
            expected.insert(MODIFIED.to_owned(), moved.clone());
        }
        verdict.changed += usize::from(changed);
        found.retain(|_, value| !value.is_null());
        if found != expected {
            verdict.wrong.push(id.clone());
        }
    }
    verdict
}
