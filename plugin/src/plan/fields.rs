//! Which columns are written and which are not, and what the person who confirms is told about it.
//! (SPEC 3)

use super::columns::{View, malformed};
use super::host::PlanHost;
use super::writable::{Coercion, Remarks, Writable};
use crate::config::hint::closest;
use crate::config::policy::NullPolicy;
use crate::config::{Config, FieldRule, invalid, invalid_key};
use crate::contract::types::{Error, RecordBatch};
use crate::provider::Provider;
use crate::provider_id::shown;
use crate::values::encode;
use crate::values::{coerce, field::Metadata};
use std::collections::{BTreeMap, BTreeSet};

/// What was said about columns so far, over all batches: nothing is said twice.
#[derive(Default)]
pub(crate) struct Said {
    /// Every column of every batch. Files differ in their columns, but not by the thousand.
    seen: BTreeSet<String>,
    dropped: BTreeSet<String>,
    remarks: BTreeMap<String, Remarks>,
    /// CRM fields that are written, and the column that each comes from.
    written: BTreeMap<String, String>,
    joined: BTreeSet<String>,
}

/// More names than this are not remembered for hints.
const MAX_SEEN: usize = 10_000;

/// The rule of a column, where the configuration has rules.
fn rule<'c>(config: &'c Config, column: &str) -> Option<&'c FieldRule> {
    config.fields.iter().flatten().find(|rule| rule.column == column)
}

/// The CRM field that a column is written to, or why it is not.
fn target<'a>(
    config: &'a Config,
    metadata: Option<&'a Metadata>,
    compares: bool,
    view: &View<'a>,
) -> Result<&'a str, &'static str> {
    let name = view.name;
    if name == config.provider_id_field {
        return Err("provider_id");
    }
    if name.starts_with("__") {
        return Err("internal");
    }
    let rule = rule(config, name);
    let field = rule.map_or(name, |rule| rule.field.as_str());
    if config.provider.is_system_field(field) {
        return Err("read_only");
    }
    if config.fields.is_some() && rule.is_none() {
        return Err("not_in_fields");
    }
    if view.kind().is_none() {
        return Err("unsupported_type");
    }
    if config.provider.is_one_way(field) && !compares {
        return Err("needs_compare");
    }
    match metadata.map(|metadata| metadata.field(config.provider, field)) {
        None => Ok(field),
        Some(None) => Err("unknown_field"),
        Some(Some(known)) => known.barred.map_or(Ok(known.name.as_str()), Err),
    }
}

/// Splits the columns of a batch into those that are written, in their order, and the rest.
///
/// # Errors
/// If two columns are one field to the CRM: which of them would win is nobody's decision.
pub(crate) fn writable<'a>(
    config: &'a Config,
    metadata: Option<&'a Metadata>,
    views: &[View<'a>],
    said: &mut Said,
    host: &mut impl PlanHost,
) -> Result<Vec<Writable<'a>>, Error> {
    let mut written: Vec<Writable<'a>> = Vec::with_capacity(views.len());
    for view in views {
        let new = !said.seen.contains(view.name) && said.seen.len() < MAX_SEEN;
        if new {
            said.seen.insert(view.name.to_owned());
        }
        let name = match target(config, metadata, host.compares(), view) {
            Ok(field) => field,
            Err(reason) => {
                if !said.dropped.contains(view.name) && said.dropped.len() < MAX_SEEN {
                    said.dropped.insert(view.name.to_owned());
                    host.drop_column(view.name, reason);
                    if let Some(rule) = rule(config, view.name).filter(|_| reason != "provider_id")
                    {
                        let meant = metadata
                            .filter(|_| reason == "unknown_field")
                            .and_then(|known| closest(&rule.field, known.names()));
                        let meant = match (reason, meant) {
                            ("needs_compare", _) => {
                                "; HubSpot moves it forward only, and only a plan in the mode `compare` sees where a record is".to_owned()
                            }
                            (_, Some(field)) => format!("; did you mean `{field}`?"),
                            _ => String::new(),
                        };
                        host.warn(&format!(
                            "`fields` lists `{}`, which is never written ({reason}){meant}",
                            view.name
                        ));
                    }
                }
                continue;
            }
        };
        let Some(kind) = view.kind() else { continue };
        if let Some(other) =
            written.iter().find(|other| config.provider.same_field(other.field, name))
        {
            return Err(invalid(format!(
                "the golden records have the columns `{}` and `{}`, which are one field of {}; rename one, or leave it out",
                other.view.name,
                view.name,
                config.provider.name()
            )));
        }
        if new && !config.provider.may_name_a_field(name) {
            let (crm, term) = (config.provider.name(), config.provider.field_name_term());
            host.warn(&format!(
                "`{}` does not look like the {term}; {crm} will most likely refuse it. Rename the column, or leave it out of `fields`",
                shown(name)
            ));
        }
        if new
            && config.provider == Provider::Salesforce
            && name.eq_ignore_ascii_case("CurrencyIsoCode")
        {
            host.warn(&format!(
                "`{}` changes the currency of a record and converts none of its amounts; leave it out of `fields` unless you mean that",
                shown(view.name)
            ));
        }
        if new {
            said.written.insert(name.to_owned(), view.name.to_owned());
        }
        let known = metadata.and_then(|metadata| metadata.field(config.provider, name));
        let quoted = match known {
            Some(known) => coerce::in_quotes(config.provider, &known.kind),
            None => encode::in_quotes(config.provider, kind),
        };
        let mut before = String::with_capacity(name.len() + 8);
        before.push(',');
        encode::push_json_string(&mut before, name);
        before.push(':');
        let cleared =
            (config.policy.nulls.of(config.provider, name) == NullPolicy::Clear).then(|| {
                match config.provider {
                    Provider::HubSpot => format!("{before}\"\""),
                    Provider::Salesforce => format!("{before}null"),
                }
            });
        if quoted {
            before.push('"');
        }
        written.push(Writable {
            view: *view,
            field: name,
            before,
            after: if quoted { "\"" } else { "" },
            cleared,
            null_values: &config.policy.null_values,
            bare: known.is_none()
                && kind == encode::Kind::Json
                && config.provider == Provider::Salesforce,
            map: config.policy.map_of(config.provider, name),
            joined: false,
            coercion: known.map(|field| Coercion { field, zone: config.policy.time_zone }),
            remarks: Remarks::default(),
        });
    }
    Ok(written)
}

/// The provider id column of a batch.
///
/// # Errors
/// If there are two of them.
pub(crate) fn id_column<'v, 'a>(
    config: &Config,
    views: &'v [View<'a>],
) -> Result<Option<&'v View<'a>>, Error> {
    let mut named = views.iter().filter(|view| view.name == config.provider_id_field);
    let found = named.next();
    if named.next().is_some() {
        let name = &config.provider_id_field;
        let text = format!(
            "the golden records have the columns `{name}` and `{name}`; which of them holds the record id?"
        );
        return Err(invalid_key("provider_id_field", text));
    }
    Ok(found)
}

/// The columns of a batch, typed.
///
/// # Errors
/// If the host packed one wrongly.
pub(crate) fn views<'a>(config: &Config, batch: &'a RecordBatch) -> Result<Vec<View<'a>>, Error> {
    let zone = config.policy.time_zone;
    batch
        .columns
        .iter()
        .map(|column| View::new(column, batch, zone).ok_or_else(|| malformed(&column.name)))
        .collect()
}

impl Said {
    /// Remembers what happened to the values of a batch.
    pub(crate) fn remember(&mut self, written: &[Writable<'_>], host: &mut impl PlanHost) {
        for column in written.iter().filter(|column| column.joined) {
            if self.joined.insert(column.field.to_owned()) {
                host.joined(column.field);
            }
        }
        for column in written.iter().filter(|column| column.remarks != Remarks::default()) {
            self.remarks.entry(column.view.name.to_owned()).or_default().add(&column.remarks);
        }
    }

    /// What can be said only after the last record.
    pub(crate) fn finish(&self, config: &Config, any_record: bool, host: &mut impl PlanHost) {
        if !any_record {
            return;
        }
        for name in config
            .fields
            .iter()
            .flatten()
            .map(|rule| rule.column.as_str())
            .filter(|name| !self.seen.contains(*name))
        {
            host.drop_column(name, "not_in_records");
            let meant = self.hint(config, name);
            host.warn(&format!(
                "`fields` lists `{name}`, but the golden records have no such column{meant}"
            ));
        }
        if !self.seen.contains(&config.provider_id_field) {
            let name = &config.provider_id_field;
            let meant = self.hint(config, name);
            host.warn(&format!("no golden record has the column `{name}` that holds the record id (`provider_id_field`){meant}"));
        }
        if config.fields.is_none() {
            host.warn("all writable columns are written, as the configuration has no `fields`; an allowlist of the columns you mean is recommended");
        }
        for (key, name) in config.policy.names() {
            if !self.written.keys().any(|field| config.provider.same_field(field, name)) {
                let meant = closest(name, self.written.keys().map(String::as_str));
                let meant =
                    meant.map_or_else(String::new, |field| format!("; did you mean `{field}`?"));
                host.warn(&format!("`{key}` names `{name}`, and no field that is written has this name, so it does nothing{meant}"));
            }
        }
        for (name, remarks) in &self.remarks {
            for warning in remarks.warnings(name, config.provider) {
                host.warn(&warning);
            }
        }
    }

    fn hint(&self, config: &Config, name: &str) -> String {
        let candidates =
            self.seen.iter().map(String::as_str).filter(|seen| rule(config, seen).is_none());
        match closest(name, candidates) {
            Some(column) => format!("; did you mean `{column}`?"),
            None => String::new(),
        }
    }
}
