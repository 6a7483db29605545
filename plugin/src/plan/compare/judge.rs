//! One change against what its record holds.

use super::comparer::{Compared, Comparer, UNCHANGED};
use crate::crm::{held::put_back, network::Network};
use crate::plan::writable::is_null_word;
use crate::provider::Provider;
use crate::values::encode::push_json_string;
use crate::values::json::text;
use crate::values::members::Members;
use crate::values::normal::{Likeness, Rules};

/// What differs is not to be written.
const HELD_BACK: &str = "held_back";

impl<N: Network> Comparer<'_, N> {
    /// Puts what is left of a change into `compared`: the fields that differ, and what they hold
    /// now.
    pub(super) fn judge(
        &self,
        row: u64,
        id: &str,
        wanted: &Members<'_>,
        held: &Members<'_>,
        compared: &mut Compared,
    ) {
        let (fields_start, before_start) =
            (compared.fields.open().len(), compared.before.open().len());
        let rules = Rules { provider: self.crm.config.provider, metadata: self.metadata };
        let mut any = false;
        let mut held_back = None;
        for (name, value) in wanted.iter() {
            let Some(now) = held.get(name) else {
                // Not shown is not empty.
                compared.fields.open().truncate(fields_start);
                compared.before.open().truncate(before_start);
                let crm = self.crm.config.provider.name();
                compared.skip(
                    "unreadable",
                    row,
                    id,
                    &format!("{crm} would not show `{name}` of record {id}, so nobody knows what it holds"),
                );
                return;
            };
            let why = match rules.likeness(name, value, now) {
                Likeness::Exact | Likeness::Same => continue,
                Likeness::Masked => Some(
                    "the CRM shows a mask, so nobody can tell what it holds; plan online to write it",
                ),
                Likeness::Different => self.bar(name, value, now),
            };
            if let Some(why) = why {
                self.hold_back(name, why, row);
                held_back.get_or_insert((name, why));
                continue;
            }
            if now != "null" && now != "\"\"" && text(value).is_some_and(|word| is_null_word(&word))
            {
                compared.flag(
                    "null_words",
                    "with a word that may mean null over a value",
                    row,
                    &format!("{value} into `{name}`, which holds {now}"),
                );
            }
            let before = put_back(self.crm.config.provider, self.metadata, name, now);
            for (out, value) in
                [(compared.fields.open(), value), (compared.before.open(), &*before)]
            {
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
            match held_back {
                None => compared.skip(UNCHANGED, row, id, ""),
                Some((name, why)) => compared.skip(
                    HELD_BACK,
                    row,
                    id,
                    &format!("`{name}` of record {id} differs and is not written, because {why}"),
                ),
            }
            return;
        }
        for packed in [&mut compared.fields, &mut compared.before] {
            packed.open().push('}');
            packed.close();
        }
        compared.rows.push(row);
        compared.ids.push(id);
    }

    /// Why a value that differs is not written all the same.
    fn bar(&self, name: &str, wanted: &str, held: &str) -> Option<&'static str> {
        let empty = held == "null" || held == "\"\"";
        if !empty
            && self
                .crm
                .config
                .policy
                .fill_only
                .iter()
                .any(|field| self.crm.config.provider.same_field(field, name))
        {
            return Some("it is filled only where the CRM's is empty (fill_only)");
        }
        if self.crm.config.provider == Provider::HubSpot && !empty {
            return self
                .metadata
                .goes_back(Provider::HubSpot, name, wanted, held)
                .then_some("HubSpot does not move a lifecycle stage back in one write");
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
}
