//! What a destination's `config_json` says about values: which are mapped, what a null means, and
//! when a record is left alone. Names in it are those of the CRM's fields.

use super::reader::{Reader, kind};
use crate::provider::Provider;
use crate::values::times::offset;
use hashbrown::HashMap;
use serde_json::Value;

/// The part of a configuration that is about values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Plan with the values that the CRM holds, unless the host is told otherwise.
    pub compare: bool,
    /// Golden value to CRM value, by field.
    pub value_map: HashMap<String, HashMap<String, String>>,
    /// Fields that a null clears.
    pub nulls: Nulls,
    /// Golden texts that mean null.
    pub null_values: Vec<String>,
    /// Fields that are written only where the CRM's are empty.
    pub fill_only: Vec<String>,
    /// How many minutes golden times without a zone are ahead of UTC.
    pub time_zone: Option<i64>,
    /// What happens to a record that changed since it was planned.
    pub on_drift: OnDrift,
    /// What happens to a record that was merged into another one.
    pub on_merged: OnMerged,
    /// The golden column that says how sure the resolver is of a record.
    pub confidence_field: Option<String>,
    /// Below this, the plan needs an override.
    pub min_confidence: f64,
}

/// What a null, or an empty value, does to a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    default: NullPolicy,
    fields: HashMap<String, NullPolicy>,
}

/// What a null, or an empty value, does to a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NullPolicy {
    /// Nothing: the field is left alone.
    #[default]
    Skip,
    /// It empties the field.
    Clear,
}

/// What happens to a record that changed since it was planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// It is left alone, and reported.
    #[default]
    Skip,
    /// It is written all the same.
    Overwrite,
}

/// What happens to a record that was merged into another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMerged {
    /// It is skipped; the reason names the survivor.
    #[default]
    Skip,
    /// The survivor is updated.
    Follow,
}

impl Nulls {
    /// The policy of a field.
    pub fn of(&self, provider: Provider, field: &str) -> NullPolicy {
        of_field(&self.fields, provider, field).copied().unwrap_or(self.default)
    }
}

impl Policy {
    /// The CRM values of a field by golden values, if it has such a map.
    pub fn map_of(&self, provider: Provider, field: &str) -> Option<&HashMap<String, String>> {
        of_field(&self.value_map, provider, field)
    }

    /// The names of CRM fields that the configuration says something about, each with the key that
    /// says it.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let mapped = self.value_map.keys().map(|name| ("value_map", name.as_str()));
        let nulls = self.nulls.fields.keys().map(|name| ("null_policy", name.as_str()));
        self.fill_only.iter().map(|name| ("fill_only", name.as_str())).chain(mapped).chain(nulls)
    }
}

/// What is said of a field. Salesforce ignores the letter case of names.
fn of_field<'m, T>(
    fields: &'m HashMap<String, T>,
    provider: Provider,
    name: &str,
) -> Option<&'m T> {
    fields.get(name).or_else(|| {
        fields.iter().find(|(field, _)| provider.same_field(field, name)).map(|(_, said)| said)
    })
}

/// The keys that are read here.
pub(super) const KEYS: [&str; 10] = [
    "compare",
    "value_map",
    "null_policy",
    "null_values",
    "fill_only",
    "time_zone",
    "on_drift",
    "on_merged",
    "confidence_field",
    "min_confidence",
];

impl Reader {
    pub(super) fn policy(&mut self) -> Policy {
        let policy = self.read_policy();
        self.once("value_map", policy.value_map.keys());
        self.once("null_policy", policy.nulls.fields.keys());
        if policy.on_drift == OnDrift::Overwrite && !policy.fill_only.is_empty() {
            self.problems.push((
                "on_drift".to_owned(),
                "`on_drift` is `overwrite`, which would overwrite a field of `fill_only` that somebody fills after the plan; leave one of them out".to_owned(),
            ));
        }
        policy
    }

    /// Two spellings of one field would say two things of it.
    fn once<'n>(&mut self, key: &str, names: impl Iterator<Item = &'n String>) {
        let mut names: Vec<&String> = names.collect();
        names.sort_unstable_by_key(|name| (name.to_ascii_lowercase(), *name));
        for pair in names.windows(2) {
            if let [one, other] = pair
                && self.provider.same_field(one, other)
            {
                let text = format!(
                    "`{key}` names one field twice, `{one}` and `{other}`: letter case makes no difference to {}",
                    self.provider.name()
                );
                self.problems.push((key.to_owned(), text));
            }
        }
    }

    fn read_policy(&mut self) -> Policy {
        Policy {
            compare: self.compare(),
            value_map: self.value_map(),
            nulls: self.nulls(),
            null_values: self.names("null_values", r#"["NULL"]"#),
            fill_only: self.names("fill_only", r#"["phone"]"#),
            time_zone: self.time_zone(),
            on_drift: self
                .choice("on_drift", &[("skip", OnDrift::Skip), ("overwrite", OnDrift::Overwrite)]),
            on_merged: self
                .choice("on_merged", &[("skip", OnMerged::Skip), ("follow", OnMerged::Follow)]),
            confidence_field: self.confidence_field(),
            min_confidence: self.min_confidence(),
        }
    }

    /// One of a few words; the first is the default.
    fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T); 2]) -> T {
        match self.map.get(key) {
            None => return choices[0].1,
            Some(Value::String(word)) => {
                if let Some((_, choice)) = choices.iter().find(|(name, _)| name == word) {
                    return *choice;
                }
            }
            Some(_) => {}
        }
        let found = format!("neither `{}` nor `{}`", choices[0].0, choices[1].0);
        self.wrong(key, &found, "one of these", &format!("\"{}\"", choices[1].0));
        choices[0].1
    }

    fn compare(&mut self) -> bool {
        match self.map.get("compare") {
            None => false,
            Some(Value::Bool(compare)) => *compare,
            Some(other) => {
                let found = kind(other);
                self.wrong("compare", found, "true or false", "true");
                false
            }
        }
    }

    fn value_map(&mut self) -> HashMap<String, HashMap<String, String>> {
        let Some(found) = self.map.get("value_map") else { return HashMap::new() };
        let read = || -> Option<HashMap<String, HashMap<String, String>>> {
            let fields = found.as_object()?.iter();
            fields
                .map(|(field, values)| {
                    let values = values.as_object()?.iter();
                    let values = values
                        .map(|(from, to)| Some((from.clone(), to.as_str()?.to_owned())))
                        .collect::<Option<_>>()?;
                    Some((field.clone(), values))
                })
                .collect()
        };
        match read() {
            Some(map) => map,
            None => {
                self.wrong(
                    "value_map",
                    "not of its form",
                    "for each CRM field an object of golden value and CRM value, both texts",
                    r#"{"lifecyclestage": {"Prospect": "lead"}}"#,
                );
                HashMap::new()
            }
        }
    }

    fn nulls(&mut self) -> Nulls {
        let policy = |value: &Value| match value.as_str()? {
            "skip" => Some(NullPolicy::Skip),
            "clear" => Some(NullPolicy::Clear),
            _ => None,
        };
        let read = match self.map.get("null_policy") {
            None => return Nulls::default(),
            Some(Value::Object(fields)) => fields
                .iter()
                .map(|(field, value)| Some((field.clone(), policy(value)?)))
                .collect::<Option<_>>()
                .map(|fields| Nulls { default: NullPolicy::Skip, fields }),
            Some(word) => policy(word).map(|default| Nulls { default, fields: HashMap::new() }),
        };
        read.unwrap_or_else(|| {
            self.wrong(
                "null_policy",
                "not of its form",
                "`skip`, `clear`, or one of them for each CRM field",
                r#"{"fax": "clear"}"#,
            );
            Nulls::default()
        })
    }

    /// A list of texts that are not empty.
    fn names(&mut self, key: &str, example: &str) -> Vec<String> {
        let names = match self.map.get(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().filter(|name| !name.is_empty()).map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            Some(_) => None,
        };
        names.unwrap_or_else(|| {
            self.wrong(key, "not a list of strings", "a list of non-empty strings", example);
            Vec::new()
        })
    }

    fn time_zone(&mut self) -> Option<i64> {
        let found = self.map.get("time_zone")?;
        let minutes = found.as_str().and_then(|zone| match zone {
            "UTC" => Some(0),
            zone if zone.len() == 6 => offset(zone),
            _ => None,
        });
        if minutes.is_none() {
            let found = found.to_string();
            self.wrong(
                "time_zone",
                &found,
                "`UTC`, or hours and minutes ahead of it",
                "\"+02:00\"",
            );
        }
        minutes
    }

    fn confidence_field(&mut self) -> Option<String> {
        match self.map.get("confidence_field")? {
            Value::String(name) if !name.is_empty() => Some(name.clone()),
            _ => {
                self.wrong(
                    "confidence_field",
                    "not a column name",
                    "the golden column with the confidence, 0 to 1",
                    "\"__confidence\"",
                );
                None
            }
        }
    }

    fn min_confidence(&mut self) -> f64 {
        const DEFAULT: f64 = 0.5;
        match self.map.get("min_confidence") {
            None => DEFAULT,
            Some(value) => match value.as_f64().filter(|number| (0.0..=1.0).contains(number)) {
                Some(number) => number,
                None => {
                    let found = value.to_string();
                    self.wrong("min_confidence", &found, "a number from 0 to 1", "0.8");
                    DEFAULT
                }
            },
        }
    }
}
