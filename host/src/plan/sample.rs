//! Plans for tests that need one without a component to make it.

#![expect(clippy::unwrap_used, reason = "a plan for tests")]

use super::{ChangeBatch, Draft, Plan, PlanMode, PlannedBy, Spool};
use crate::{contract::types as wit, digest::Digest};
use std::path::Path;

/// The provider id of a change.
pub(crate) fn id(change: u64) -> String {
    format!("49{change:010}")
}

/// The row of a change: every other row is skipped, each with a detail, so that there is one entry
/// for each.
pub(crate) fn row(change: u64) -> u64 {
    2 * change + 1
}

/// A plan of `count` changes, and as many skipped rows. Every change has a value that is the name
/// of a field, one in seven writes a phone, all but one in five a city, every other thousand knows
/// what was before, and the last one writes a rare field.
pub(crate) fn plan(plans_dir: &Path, count: u64) -> Plan {
    let mut spool = Spool::new(plans_dir).unwrap();
    for first in (0..count).step_by(1_000) {
        let mut changes = ChangeBatch::new();
        let (mut rows, mut details) =
            (Vec::new(), wit::Strings { bytes: String::new(), offsets: vec![0] });
        for change in first..count.min(first + 1_000) {
            let mut fields = "{\"note\":\"city\"".to_owned();
            if change % 5 != 0 {
                fields += ",\"city\":\"\\\"phone\\\":\"";
            }
            if change % 7 == 0 {
                fields += ",\"phone\":\"5\"";
            }
            if change + 1 == count {
                fields += ",\"rare\":1";
            }
            fields += "}";
            changes.push(
                row(change),
                &id(change),
                &fields,
                (first % 2_000 == 0).then_some("{\"note\":null}"),
            );
            rows.push(row(change) + 1);
            details.bytes += "x";
            details.offsets.push(details.bytes.len() as u32);
        }
        spool.push(changes).unwrap();
        spool
            .skip(wit::SkippedBatch {
                rows,
                reason: "provider_id_null".to_owned(),
                details: Some(details),
                ids: None,
            })
            .unwrap();
    }
    let destination = serde_json::from_str(
        r#"{"name":"people","destination_type":"x","entity_type":"person","config_json":{}}"#,
    );
    let destination: crate::destination::Destination = destination.unwrap();
    let draft = Draft {
        account: None,
        spooled: spool.finish(destination.on_duplicate_id).unwrap(),
        destination,
        base_url: "https://crm.example".to_owned(),
        component: PlannedBy {
            name: "x".to_owned(),
            version: "1".to_owned(),
            digest: Digest::of(b"x"),
        },
        mode: PlanMode::Offline,
        total: 2 * count,
        dropped_fields: Vec::new(),
        warnings: Vec::new(),
        guards: Vec::new(),
        joined: Vec::new(),
        records: Vec::new(),
        undoes: None,
    };
    Plan::seal(draft, plans_dir).unwrap()
}
