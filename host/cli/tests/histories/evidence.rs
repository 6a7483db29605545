//! Everything that the checker looks at, when a history is over: plain data, from each place that
//! has it.

use crate::history::History;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A history, and what each witness says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) history: History,
    /// What the CRM held at the beginning: record, field, value.
    pub(crate) held: BTreeMap<(String, String), String>,
    /// What the CRM saw, in order.
    pub(crate) writes: Vec<Seen>,
    pub(crate) plans: BTreeMap<String, Planned>,
    pub(crate) runs: BTreeMap<String, Run>,
    /// Rows of the audit log, oldest first, as the database has them.
    pub(crate) log: Vec<LogRow>,
    /// What `audit verify` said, if it was not a yes.
    pub(crate) log_is_broken: Option<String>,
    /// The entity type of each destination.
    pub(crate) entities: BTreeMap<String, String>,
    /// Destinations that write over what somebody has changed.
    pub(crate) overwrites: BTreeSet<String>,
}

/// A write that the CRM applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) fields: BTreeMap<String, String>,
    /// The answer did not arrive, or was not a yes.
    pub(crate) lost: bool,
}

/// A plan, as it was shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    pub(crate) destination: String,
    pub(crate) undoes: Option<String>,
    pub(crate) changes: Vec<Change>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) before: Option<BTreeMap<String, String>>,
}

/// A run, from four sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// What the API says in the end.
    pub(crate) told: Value,
    /// Outcome of each change, as the API lists them.
    pub(crate) outcomes: Vec<(u64, String)>,
    /// The same from the journal's lines; a change that has two is here twice.
    pub(crate) journal: Vec<(u64, String)>,
    /// Its row in the database.
    pub(crate) row: Row,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) plan: String,
    pub(crate) destination: String,
    pub(crate) status: String,
    pub(crate) key: Option<String>,
    pub(crate) result: Value,
}

/// A row of the audit log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogRow {
    pub(crate) seq: i64,
    pub(crate) action: String,
    pub(crate) destination: Option<String>,
    pub(crate) run: Option<String>,
    pub(crate) counts: Value,
    pub(crate) hash: String,
}
