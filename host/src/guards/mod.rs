//! Guards: what is suspicious about a whole plan, though each of its changes is in order.
//!
//! A guard that trips keeps the plan from being confirmed until somebody overrides it by its name.
//! The guards look at the previous values, so all but the number of changes apply only to plans that
//! were compared with the CRM; and they look at shares, so they stay silent about a handful of
//! records, which a person sees one by one.
//!
//! ```
//! use reverse_sync::{Destination, Guards};
//!
//! # fn main() -> Result<(), String> {
//! let mut people = Destination::new("people", "hubspot_dest", "person");
//! people.guards =
//!     Guards { max_changes: 500, max_lossy_percent: 5.0.try_into()?, ..Guards::default() };
//! # Ok(())
//! # }
//! ```

mod frequent;
mod lossy;

use crate::values::{is_empty, members, shown, text};
use frequent::Frequent;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;

/// Below this many records, a share says nothing.
const ENOUGH: u64 = 20;
/// Fields that are watched; a CRM object has a few hundred.
const MAX_FIELDS: usize = 1_000;
/// Changes that a message shows.
const EXAMPLES: usize = 3;

/// Something that keeps a plan from being confirmed until somebody overrides it by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Guard {
    /// A snake_case code, such as `email_taken`.
    pub name: String,
    /// What was found, and what it may mean.
    pub message: String,
}

/// The limits of the host's own guards, per destination. Each guard has the name of its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// Most records that a plan updates.
    #[serde(deserialize_with = "whole")]
    pub max_changes: u64,
    /// Largest share of the records read from the CRM that would lose a value. Filling what is
    /// empty loses none.
    pub max_changed_percent: Percent,
    /// Largest share of a field's changes that leaves a filled field empty.
    pub max_emptied_percent: Percent,
    /// Largest share of a field's changes that writes one and the same value over different ones.
    pub max_same_value_percent: Percent,
    /// Largest share of a field's changes that cuts a value off or takes its format away.
    pub max_lossy_percent: Percent,
}

/// A whole number, also if it is written `5.0`. As many as are counted exactly.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    let is_whole = number.fract() == 0.0 && (0.0..=9e15).contains(&number);
    if is_whole {
        Ok(number as u64)
    } else {
        Err(D::Error::custom("it is a whole number of records"))
    }
}

/// Names of the host's own guards.
pub const NAMES: [&str; 5] = [
    "max_changes",
    "max_changed_percent",
    "max_emptied_percent",
    "max_same_value_percent",
    "max_lossy_percent",
];

/// The names of guards, each once.
pub fn name_list(guards: &[Guard]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for guard in guards {
        if !names.contains(&guard.name.as_str()) {
            names.push(&guard.name);
        }
    }
    names
}

impl Default for Guards {
    fn default() -> Guards {
        Guards {
            max_changes: 100_000,
            max_changed_percent: Percent(50.0),
            max_emptied_percent: Percent(50.0),
            max_same_value_percent: Percent(90.0),
            max_lossy_percent: Percent(1.0),
        }
    }
}

/// A share, from 0 to 100. At 100 a guard never trips.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(f64);

impl Percent {
    /// Never passed.
    pub(crate) const ALL: Percent = Percent(100.0);

    fn is_passed(self, part: u64, whole: u64) -> bool {
        part as f64 * 100.0 > self.0 * whole as f64
    }
}

impl TryFrom<f64> for Percent {
    type Error = String;

    fn try_from(number: f64) -> Result<Percent, String> {
        if (0.0..=100.0).contains(&number) {
            Ok(Percent(number))
        } else {
            Err("it is a percentage, 0 to 100".to_owned())
        }
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> f64 {
        percent.0
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What guards found in a plan.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Those that have tripped.
    pub(crate) guards: Vec<Guard>,
    /// What is too little to trip, and still worth a look.
    pub(crate) warnings: Vec<String>,
}

/// Sees every change of a plan and remembers what the guards need, in memory that does not grow
/// with the changes.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    changes: u64,
    /// Changes with previous values, of which at least one is not empty.
    replacing: u64,
    fields: BTreeMap<String, Field>,
}

/// One field over all changes that write it and have a value before.
#[derive(Debug, Default)]
struct Field {
    changes: u64,
    emptied: u64,
    lossy: u64,
    lossy_examples: Vec<String>,
    before: Frequent,
    after: Frequent,
}

impl Watcher {
    pub(crate) fn see(&mut self, row: u64, id: &str, fields: &str, before: Option<&str>) {
        self.changes += 1;
        let Some(before) = before else { return };
        let before = members(before);
        self.replacing += u64::from(before.values().any(|value| !is_empty(value)));
        for (name, after) in members(fields) {
            let Some(before) = before.get(&name) else { continue };
            if !self.fields.contains_key(&name) && self.fields.len() >= MAX_FIELDS {
                continue;
            }
            self.fields.entry(name).or_default().see(row, id, before, &after);
        }
    }

    /// What is suspicious about the plan as a whole. `read` is the number of records that the CRM
    /// has shown.
    pub(crate) fn judge(self, limits: &Guards, read: u64) -> Findings {
        let mut found = Findings::default();
        let mut trip = |name: &str, message: String| {
            found.guards.push(Guard { name: name.to_owned(), message })
        };
        if self.changes > limits.max_changes {
            trip(
                "max_changes",
                format!(
                    "{} records would be updated; the limit is {}",
                    self.changes, limits.max_changes
                ),
            );
        }
        if read >= ENOUGH && limits.max_changed_percent.is_passed(self.replacing, read) {
            let message = format!(
                "{} of the {read} records read ({}) hold other values, which would be replaced; the limit is {}. Is this the right destination, and are the golden records those of this CRM?",
                self.replacing,
                share(self.replacing, read),
                limits.max_changed_percent
            );
            trip("max_changed_percent", message);
        }
        for (name, field) in &self.fields {
            let enough = field.changes >= ENOUGH;
            if enough && limits.max_emptied_percent.is_passed(field.emptied, field.changes) {
                let message = format!(
                    "{name} would be emptied in {} of {} records that change it ({}); the limit is {}",
                    field.emptied,
                    field.changes,
                    share(field.emptied, field.changes),
                    limits.max_emptied_percent
                );
                trip("max_emptied_percent", message);
            }
            if let Some((count, value)) = field.becomes_one_value(limits.max_same_value_percent)
                && enough
            {
                let message = format!(
                    "{name} would become `{value}` in at least {count} of {} records that change it ({}); the limit is {}",
                    field.changes,
                    share(count, field.changes),
                    limits.max_same_value_percent
                );
                trip("max_same_value_percent", message);
            }
            if field.lossy > 0 {
                let message = format!(
                    "{name} would be cut off or lose its format in {} of {} records that change it ({}): {}",
                    field.lossy,
                    field.changes,
                    share(field.lossy, field.changes),
                    field.lossy_examples.join("; ")
                );
                if enough && limits.max_lossy_percent.is_passed(field.lossy, field.changes) {
                    trip(
                        "max_lossy_percent",
                        format!("{message}. The limit is {}", limits.max_lossy_percent),
                    );
                } else {
                    found.warnings.push(message);
                }
            }
        }
        // In the order of their names, so that what belongs together stands together.
        found.guards.sort_by_key(|guard| NAMES.iter().position(|name| *name == guard.name));
        found
    }
}

impl Field {
    fn see(&mut self, row: u64, id: &str, before: &Value, after: &Value) {
        self.changes += 1;
        if is_empty(after) {
            if !is_empty(before) {
                self.emptied += 1;
            }
            return;
        }
        self.before.see(&text(before));
        self.after.see(&text(after));
        if let (Value::String(old), Value::String(new)) = (before, after)
            && lossy::is_lossy(old, new)
        {
            self.lossy += 1;
            if self.lossy_examples.len() < EXAMPLES {
                self.lossy_examples.push(format!(
                    "row {row}, record {id}: {} -> {}",
                    shown(Some(before)),
                    shown(Some(after))
                ));
            }
        }
    }

    /// The one value that different ones would become. One value that becomes another, or an empty
    /// field that is filled, loses nothing.
    fn becomes_one_value(&self, limit: Percent) -> Option<(u64, &str)> {
        let (count, value) = self.after.top()?;
        let was_one_value =
            self.before.top().is_some_and(|(count, _)| limit.is_passed(count, self.changes));
        (limit.is_passed(count, self.changes) && !was_one_value).then_some((count, value))
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(findings: &Findings) -> Vec<&str> {
        findings.guards.iter().map(|guard| guard.name.as_str()).collect()
    }

    /// `count` changes of one field, of `total` records read.
    fn judge(
        limits: &Guards,
        total: u64,
        count: u64,
        change: impl Fn(u64) -> (String, String),
    ) -> Findings {
        let mut watcher = Watcher::default();
        for row in 1..=count {
            let (before, after) = change(row);
            let object = |value: String| serde_json::json!({"x": value}).to_string();
            watcher.see(row, &format!("id{row}"), &object(after), Some(&object(before)));
        }
        watcher.judge(limits, total)
    }

    fn distinct(row: u64) -> (String, String) {
        (format!("old {row}"), format!("new {row}"))
    }

    #[test]
    fn an_offline_plan_is_held_against_the_number_of_changes_only() {
        let see = |count: u64| {
            let mut watcher = Watcher::default();
            (1..=count).for_each(|row| watcher.see(row, "1", r#"{"city":"Bozeman"}"#, None));
            watcher.judge(&Guards::default(), count)
        };
        assert_eq!(names(&see(100_000)), [""; 0]);
        let found = see(100_001);
        assert_eq!(names(&found), ["max_changes"]);
        assert!(
            found.guards[0]
                .message
                .contains("100001 records would be updated; the limit is 100000")
        );
    }

    #[test]
    fn a_plan_that_changes_most_of_what_was_read_trips() {
        let limits = Guards::default();
        assert_eq!(names(&judge(&limits, 100, 51, distinct)), ["max_changed_percent"]);
        assert_eq!(
            names(&judge(&limits, 100, 50, distinct)),
            [""; 0],
            "the limit itself is allowed"
        );
        assert_eq!(
            names(&judge(&limits, 19, 19, distinct)),
            [""; 0],
            "few records are looked at one by one"
        );
        assert_eq!(names(&judge(&limits, 20, 20, distinct)), ["max_changed_percent"]);
    }

    #[test]
    fn filling_what_is_empty_is_no_change_of_what_is_there() {
        assert_eq!(
            names(&judge(&Guards::default(), 20, 20, |row| (String::new(), format!("new {row}")))),
            [""; 0]
        );
    }

    #[test]
    fn a_field_that_would_be_emptied_trips() {
        let limits = Guards::default();
        let emptied = |of: u64| {
            move |row| if row <= of { (format!("old {row}"), String::new()) } else { distinct(row) }
        };
        assert_eq!(names(&judge(&limits, 1_000, 100, emptied(51))), ["max_emptied_percent"]);
        assert_eq!(names(&judge(&limits, 1_000, 100, emptied(50))), [""; 0]);
        assert_eq!(names(&judge(&limits, 1_000, 19, emptied(19))), [""; 0]);
        // What is empty already is not emptied.
        assert_eq!(names(&judge(&limits, 1_000, 100, |_| (String::new(), String::new()))), [""; 0]);
    }

    #[test]
    fn different_values_that_become_one_trip_and_one_value_that_becomes_another_does_not() {
        let limits = Guards::default();
        let city = |row| (format!("city {row}"), "Bozeman".to_owned());
        let found = judge(&limits, 1_000, 100, city);
        assert_eq!(names(&found), ["max_same_value_percent"]);
        assert!(
            found.guards[0].message.contains("x would become `Bozeman` in at least 100 of 100"),
            "{found:?}"
        );
        assert_eq!(
            names(&judge(&limits, 1_000, 100, |row| if row <= 90 {
                city(row)
            } else {
                distinct(row)
            })),
            [""; 0]
        );
        assert_eq!(
            names(&judge(&limits, 1_000, 100, |_| ("USA".to_owned(), "United States".to_owned()))),
            [""; 0]
        );
        assert_eq!(
            names(&judge(&limits, 1_000, 100, |_| (String::new(), "yes".to_owned()))),
            [""; 0]
        );
        assert_eq!(names(&judge(&limits, 1_000, 19, city)), [""; 0]);
    }

    #[test]
    fn values_that_lose_their_format_trip_with_examples_and_a_few_are_a_warning() {
        let limits = Guards::default();
        let phones = |of: u64| {
            move |row: u64| {
                if row <= of {
                    (format!("+1 406-555-{:04}", row), format!("406555{row:04}"))
                } else {
                    distinct(row)
                }
            }
        };
        let found = judge(&limits, 1_000, 100, phones(2));
        assert_eq!(names(&found), ["max_lossy_percent"]);
        assert!(
            found.guards[0].message.contains("row 1, record id1: +1 406-555-0001 -> 4065550001"),
            "{found:?}"
        );
        let found = judge(&limits, 1_000, 100, phones(1));
        assert!(found.guards.is_empty() && found.warnings[0].contains("1 of 100"), "{found:?}");
        let found = judge(&limits, 1_000, 5, phones(5));
        assert!(found.guards.is_empty() && found.warnings[0].contains("5 of 5"), "{found:?}");
    }

    #[test]
    fn limits_can_be_set_and_switched_off() {
        let limits: Guards =
            serde_json::from_str(r#"{"max_changed_percent": 100, "max_same_value_percent": 12.5}"#)
                .unwrap();
        assert_eq!(
            names(&judge(&limits, 100, 100, |row| (row.to_string(), (row % 7).to_string()))),
            ["max_same_value_percent"]
        );
        for bad in [
            r#"{"max_changed_percent": 101}"#,
            r#"{"max_lossy_percent": -1}"#,
            r#"{"max_change": 1}"#,
        ] {
            assert!(serde_json::from_str::<Guards>(bad).is_err(), "{bad}");
        }
    }
}
