//! How sure the resolver is of a golden record, where a column says so. Changes below the floor
//! need an override.

use super::columns::{Values, View};
use super::host::PlanHost;
use crate::config::Config;
use crate::contract::packed::Packed;
use crate::contract::types::{Error, FlaggedBatch};
use crate::provider_id::shown;
use crate::values::encode::shown_number;

/// The name to override by.
const GUARD: &str = "low_confidence";

/// What was found so far.
#[derive(Default)]
pub(crate) struct Confidence {
    seen: bool,
    /// Rows below the floor, and rows whose confidence cannot be read, each with what stands there,
    /// that have yet to be handed over.
    low: (Vec<u64>, Packed),
    unreadable: (Vec<u64>, Packed),
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
    pub(crate) fn judge(
        &mut self,
        config: &Config,
        column: Option<&View<'_>>,
        at: usize,
        row: u64,
    ) {
        let Some(column) = column else { return };
        // A record that was never merged has no confidence, which is not a low one.
        if column.absence(at).is_some()
            || column.as_text(at).is_some_and(|text| text.trim().is_empty())
        {
            return;
        }
        let value = match (&column.values, column.as_text(at)) {
            (Some(Values::Number(values)), _) => values.get(at).copied(),
            (Some(Values::Integer(values)), _) => values.get(at).map(|value| *value as f64),
            (Some(Values::Decimal(texts) | Values::Json(texts)), None) => {
                serde_json::from_str(texts.get(at)).ok()
            }
            (_, text) => text.and_then(|text| serde_json::from_str(text.trim()).ok()),
        };
        let (flagged, detail) = match value.filter(|value| (0.0..=1.0).contains(value)) {
            Some(value) if value >= config.policy.min_confidence => return,
            Some(value) => (&mut self.low, shown_number(value)),
            None => {
                let mut text = String::new();
                column.append_unescaped(at, &mut text);
                (&mut self.unreadable, format!("`{}`", shown(&text)))
            }
        };
        flagged.0.push(row);
        flagged.1.push(&detail);
    }

    /// Hands over what was found in a batch. The host counts what is planned in the end.
    pub(crate) fn flush(&mut self, config: &Config, host: &mut impl PlanHost) -> Result<(), Error> {
        let Some(name) = &config.policy.confidence_field else { return Ok(()) };
        let floor = shown_number(config.policy.min_confidence);
        let whats = [
            format!("with a confidence below {floor} in `{name}`"),
            format!("without a confidence from 0 to 1 in `{name}`"),
        ];
        for ((rows, details), what) in [&mut self.low, &mut self.unreadable].into_iter().zip(whats)
        {
            if !rows.is_empty() {
                let (rows, details) = (std::mem::take(rows), std::mem::take(details).0);
                host.flag(&FlaggedBatch { guard: GUARD.to_owned(), what, rows, details })?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&self, config: &Config, any_record: bool, host: &mut impl PlanHost) {
        let Some(name) = &config.policy.confidence_field else { return };
        if any_record && !self.seen {
            host.guard(GUARD, &format!("no golden record has the column `{name}` that says how sure the resolver is (`confidence_field`)"));
        }
    }
}
