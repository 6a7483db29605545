//! How sure the resolver is of a golden record, where a column says so. Changes below the floor need an override.

use crate::columns::{Values, View};
use crate::config::Config;
use crate::encode::shown_number;
use crate::plan::PlanHost;

/// The name to override by.
const GUARD: &str = "low_confidence";

/// What was found so far.
#[derive(Default)]
pub(crate) struct Confidence {
    seen: bool,
    low: u64,
    /// The first of them: row and confidence.
    first: Option<(u64, f64)>,
    unreadable: u64,
}

impl Confidence {
    /// The confidence column of a batch.
    pub(crate) fn column<'a>(&mut self, config: &Config, views: &[View<'a>]) -> Option<View<'a>> {
        let name = config.policy.confidence_field.as_deref()?;
        let column = views.iter().find(|view| view.name == name).copied();
        self.seen |= column.is_some();
        column
    }

    /// Judges a row that becomes a change.
    #[inline]
    pub(crate) fn judge(&mut self, config: &Config, column: Option<&View<'_>>, at: usize, row: u64) {
        let Some(column) = column else { return };
        // A record that was never merged has no confidence, which is no low one.
        let empty = !column.is_valid(at) && column.odd(at).is_none();
        if empty || matches!(&column.values, Some(Values::Text { texts, .. }) if texts.get(at).trim().is_empty()) {
            return;
        }
        let value = match &column.values {
            Some(Values::Number(values)) => values.get(at).copied(),
            Some(Values::Integer(values)) => values.get(at).map(|value| *value as f64),
            Some(Values::Text { texts, .. } | Values::Decimal(texts)) => serde_json::from_str(texts.get(at).trim()).ok(),
            _ => None,
        };
        match value.filter(|value| (0.0..=1.0).contains(value)) {
            None => self.unreadable += 1,
            Some(value) if value < config.policy.min_confidence => {
                self.low += 1;
                self.first.get_or_insert((row, value));
            }
            Some(_) => {}
        }
    }

    pub(crate) fn finish(&self, config: &Config, any_record: bool, host: &mut impl PlanHost) {
        let Some(name) = &config.policy.confidence_field else { return };
        let floor = config.policy.min_confidence;
        if any_record && !self.seen {
            host.guard(GUARD, &format!("no golden record has the column `{name}` that says how sure the resolver is (`confidence_field`)"));
        }
        if let Some((row, value)) = self.first {
            host.guard(
                GUARD,
                &format!(
                    "{} changes have a confidence below {} in `{name}`; the first is row {row} with {}",
                    self.low,
                    shown_number(floor),
                    shown_number(value)
                ),
            );
        }
        if self.unreadable > 0 {
            host.guard(GUARD, &format!("{} changes have something else than a confidence from 0 to 1 in `{name}`", self.unreadable));
        }
    }
}
