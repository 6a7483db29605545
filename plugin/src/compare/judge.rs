//! One change against what its record holds.

use super::answer::{Members, text};
use super::{Compared, Comparer};
use crate::encode::push_json_string;
use crate::metadata::Kind;
use crate::provider::Provider;
use crate::run::compare::{self, same_text};
use crate::run::world::Network;

/// The record holds all values already.
pub(super) const UNCHANGED: &str = "unchanged";

impl<N: Network> Comparer<'_, N> {
    /// Puts what is left of a change into `compared`: the fields that differ, and what they hold now.
    pub(super) fn judge(&self, row: u64, id: &str, wanted: &Members<'_>, held: &Members<'_>, compared: &mut Compared) {
        let (fields_start, before_start) = (compared.fields.open().len(), compared.before.open().len());
        let mut any = false;
        for (name, value) in wanted.iter() {
            let now = held.get(name).unwrap_or("null");
            if self.same(name, value, now) {
                continue;
            }
            if let Some(why) = self.bar(name, value, now) {
                self.hold_back(name, why, row);
                continue;
            }
            for (out, value) in [(compared.fields.open(), value), (compared.before.open(), self.restorable(now))] {
                out.push(if any { ',' } else { '{' });
                push_json_string(out, name);
                out.push(':');
                out.push_str(value);
            }
            any = true;
        }
        if !any {
            compared.fields.open().truncate(fields_start);
            compared.before.open().truncate(before_start);
            compared.skip(UNCHANGED, row, "");
            return;
        }
        for packed in [&mut compared.fields, &mut compared.before] {
            packed.open().push('}');
            packed.close();
        }
        compared.rows.push(row);
        compared.ids.push(id);
    }

    /// Whether two JSON values are one value to the CRM.
    fn same(&self, name: &str, wanted: &str, held: &str) -> bool {
        if wanted == held {
            return true;
        }
        let kind = self.metadata.field(self.config.provider, name).map(|field| &field.kind);
        // Neither is a string: numbers in another spelling, or true against null.
        match (text(wanted), text(held)) {
            (Some(wanted), Some(held)) => same_text(wanted.trim(), held.trim(), kind),
            (Some(wanted), None) => wanted.trim().is_empty() && held == "null",
            (None, Some(held)) => wanted == "null" && held.trim().is_empty() || same_text(wanted, held.trim(), kind),
            (None, None) => wanted != "null" && held != "null" && compare::same_number(wanted, held),
        }
    }

    /// Why a value that differs is not written all the same.
    fn bar(&self, name: &str, wanted: &str, held: &str) -> Option<&'static str> {
        let empty = held == "null" || held == "\"\"";
        if !empty && self.config.policy.fill_only.iter().any(|field| self.config.provider.same_field(field, name)) {
            return Some("it is filled only where the CRM's is empty (fill_only)");
        }
        // crm-apis A8: it moves forward only; to go back, it has to be cleared first.
        if self.config.provider == Provider::HubSpot && name == "lifecyclestage" && !empty {
            let field = self.metadata.field(self.config.provider, name);
            if let Some(Kind::Choice(choice)) = field.map(|field| &field.kind) {
                let place = |value: &str| text(value).and_then(|value| choice.options.iter().position(|option| option.value == value));
                if let (Some(wanted), Some(held)) = (place(wanted), place(held))
                    && wanted < held
                {
                    return Some("HubSpot does not move a lifecycle stage back in one write");
                }
            }
        }
        None
    }

    fn hold_back(&self, name: &str, why: &'static str, row: u64) {
        let mut held_back = self.held_back.borrow_mut();
        match held_back.iter_mut().find(|(field, reason, ..)| field == name && *reason == why) {
            Some((_, _, count, _)) => *count += 1,
            None => held_back.push((name.to_owned(), why, 1, row)),
        }
    }

    /// What would put a value back.
    fn restorable<'v>(&self, held: &'v str) -> &'v str {
        match self.config.provider {
            Provider::HubSpot if held == "null" => "\"\"",
            _ => held,
        }
    }
}
