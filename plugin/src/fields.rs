//! Which columns are written and which are not, and what the person who confirms is told about it. (SPEC 3)

use crate::bindings::reverse_sync::destination::types::{Error, RecordBatch};
use crate::columns::View;
use crate::config::{Config, invalid};
use crate::encode;
use crate::hint::closest;
use crate::plan::PlanHost;
use crate::provider_id::shown;
use std::collections::{BTreeMap, BTreeSet};

/// A column that is written, with the text around its values.
pub(crate) struct Writable<'a> {
    pub(crate) view: View<'a>,
    /// `,"name":` and the opening quotation mark, if the value is a JSON string.
    pub(crate) before: String,
    pub(crate) after: &'static str,
    /// Values left out because they are empty.
    pub(crate) empty: u64,
}

/// What was said about columns so far, over all batches: nothing is said twice.
#[derive(Default)]
pub(crate) struct Said {
    /// Every column of every batch. Files differ in their columns, but not by the thousand.
    seen: BTreeSet<String>,
    dropped: BTreeSet<String>,
    empty: BTreeMap<String, u64>,
}

/// More names than this are not remembered for hints.
const MAX_SEEN: usize = 10_000;

/// Why a column is not written, if it is not.
fn dropped(config: &Config, view: &View<'_>) -> Option<&'static str> {
    let name = view.name;
    if name == config.provider_id_field {
        Some("provider_id")
    } else if name.starts_with("__") {
        Some("internal")
    } else if config.provider.is_system_field(name) {
        Some("read_only")
    } else if config.fields.as_ref().is_some_and(|fields| !fields.iter().any(|field| field == name)) {
        Some("not_in_fields")
    } else if view.kind().is_none() {
        Some("unsupported_type")
    } else {
        None
    }
}

/// Splits the columns of a batch into those that are written, in their order, and the rest.
///
/// # Errors
/// If two columns are one field to the CRM: which of them would win is nobody's decision.
pub(crate) fn writable<'a>(
    config: &Config,
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
        if let Some(reason) = dropped(config, view) {
            if !said.dropped.contains(view.name) && said.dropped.len() < MAX_SEEN {
                said.dropped.insert(view.name.to_owned());
                host.drop_column(view.name, reason);
                if reason != "provider_id"
                    && reason != "not_in_fields"
                    && config.fields.as_ref().is_some_and(|fields| fields.iter().any(|field| field == view.name))
                {
                    host.warn(&format!("`fields` lists `{}`, which is never written ({reason})", view.name));
                }
            }
            continue;
        }
        let (Some(kind), name) = (view.kind(), view.name) else { continue };
        if let Some(other) = written.iter().find(|other| config.provider.same_field(other.view.name, name)) {
            return Err(invalid(format!(
                "the golden records have the columns `{}` and `{name}`, which are one field of {}; rename one, or leave it out",
                other.view.name,
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
        let quoted = encode::in_quotes(config.provider, kind);
        let mut before = String::with_capacity(name.len() + 8);
        before.push(',');
        encode::push_json_string(&mut before, name);
        before.push_str(if quoted { ":\"" } else { ":" });
        written.push(Writable { view: *view, before, after: if quoted { "\"" } else { "" }, empty: 0 });
    }
    Ok(written)
}

/// The provider id column of a batch.
///
/// # Errors
/// If there are two of them.
pub(crate) fn id_column<'v, 'a>(config: &Config, views: &'v [View<'a>]) -> Result<Option<&'v View<'a>>, Error> {
    let mut named = views.iter().filter(|view| view.name == config.provider_id_field);
    let found = named.next();
    if named.next().is_some() {
        let name = &config.provider_id_field;
        return Err(invalid(format!("the golden records have the columns `{name}` and `{name}`; which of them holds the record id?")));
    }
    Ok(found)
}

/// The columns of a batch, typed.
///
/// # Errors
/// If the host packed one wrongly.
pub(crate) fn views(batch: &RecordBatch) -> Result<Vec<View<'_>>, Error> {
    batch.columns.iter().map(|column| View::new(column, batch).ok_or_else(|| crate::plan::malformed(&column.name))).collect()
}

impl Said {
    /// Remembers what a batch left out.
    pub(crate) fn count_empty(&mut self, written: &[Writable<'_>]) {
        for column in written.iter().filter(|column| column.empty > 0) {
            match self.empty.get_mut(column.view.name) {
                Some(count) => *count += column.empty,
                None => {
                    self.empty.insert(column.view.name.to_owned(), column.empty);
                }
            }
        }
    }

    /// What can be said only after the last record.
    pub(crate) fn finish(&self, config: &Config, any_record: bool, host: &mut impl PlanHost) {
        if !any_record {
            return;
        }
        for name in config.fields.iter().flatten().filter(|name| !self.seen.contains(*name)) {
            host.drop_column(name, "not_in_records");
            let meant = self.hint(config, name);
            host.warn(&format!("`fields` lists `{name}`, but the golden records have no such column{meant}"));
        }
        if !self.seen.contains(&config.provider_id_field) {
            let name = &config.provider_id_field;
            let meant = match self.hint(config, name) {
                hint if hint.is_empty() => {
                    format!(
                        "; ingest and resolve the {} source first, so that its record ids come with the golden records",
                        config.provider.name()
                    )
                }
                hint => hint,
            };
            host.warn(&format!("no golden record has the column `{name}` that holds the record id (`provider_id_field`){meant}"));
        }
        if config.fields.is_none() {
            host.warn("all writable columns are written, as the configuration has no `fields`; an allowlist of the columns you mean is recommended");
        }
        for (name, count) in &self.empty {
            let values = if *count == 1 { "1 empty value is" } else { &format!("{count} empty values are") };
            host.warn(&format!("`{name}`: {values} not written, because an empty value would clear the CRM's"));
        }
    }

    fn hint(&self, config: &Config, name: &str) -> String {
        let candidates = self.seen.iter().map(String::as_str).filter(|seen| !config.fields.iter().flatten().any(|field| field == seen));
        match closest(name, candidates) {
            Some(column) => format!("; did you mean `{column}`?"),
            None => String::new(),
        }
    }
}
