//! When to stop halving a refused batch: if all of its records fail for one reason, a few calls
//! show it.
//!
//! Nothing of a refused batch was applied, so it is halved to find the records that can be written.
//! Once three records have been refused one by one for the reason that their batch was refused for,
//! with none written in between, the next ones are taken from the middle of what is left. If those
//! fail too, the rest is not tried.

use crate::crm::error::CrmError;
use crate::crm::salesforce::answers::is_transient;
use std::cell::RefCell;

/// Records refused one by one for one reason, after which the next ones are taken from the middle
/// of what is left.
const SAMPLE_FROM: u32 = 3;
/// After so many, the rest is not tried.
const GIVE_UP_AT: u32 = 7;
/// After so many already, if a batch of this run was given up for the same reason before.
const KNOWN_GIVE_UP_AT: u32 = 2;
/// Reasons that are remembered.
const MAX_KNOWN: usize = 100;

/// Why something was refused, without what is about one record: status, code, and each property
/// with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason(u16, String, Vec<(String, String)>);

impl Reason {
    /// `None` if it passes by itself, or may be another one for each record.
    pub(super) fn of(status: u16, error: &CrmError) -> Option<Reason> {
        if error.is_blocked() || is_transient(error) {
            return None;
        }
        let mut items: Vec<(String, String)> = error
            .items
            .iter()
            .flat_map(|item| {
                item.properties.iter().map(|property| (item.code.clone(), property.clone()))
            })
            .collect();
        items.sort_unstable();
        items.dedup();
        Some(Reason(status, error.code.clone().unwrap_or_default(), items))
    }

    /// The CRM's code.
    pub(super) fn code(&self) -> &str {
        if self.1.is_empty() { "refused" } else { &self.1 }
    }

    /// In words, for a record that was not tried alone.
    pub(super) fn told(&self) -> String {
        let mut told = format!("HTTP {}, {}", self.0, self.code());
        for (code, property) in &self.2 {
            told.push_str(&format!(", `{property}`: {code}"));
        }
        told
    }
}

/// Reasons that whole batches of this run were given up for.
#[derive(Debug, Default)]
pub(super) struct Known(RefCell<Vec<Reason>>);

/// What is to be done about the rest of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Halve,
    /// Next is a record from the middle of what was refused for this reason.
    Sample,
    /// What was refused for this reason is not tried.
    GiveUp,
}

/// Refusals of one batch.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    reason: Option<Reason>,
    alone: u32,
}

impl Refusals {
    /// Something of the batch was written.
    pub(super) fn accepted(&mut self) {
        *self = Refusals::default();
    }

    /// So many records were refused together.
    pub(super) fn refused(
        &mut self,
        members: usize,
        reason: Option<&Reason>,
        known: &Known,
    ) -> Next {
        if self.reason.as_ref() != reason {
            *self = Refusals { reason: reason.cloned(), alone: 0 };
        }
        let Some(reason) = reason else { return Next::Halve };
        self.alone += u32::from(members == 1);
        let is_known = known.0.borrow().contains(reason);
        match self.alone {
            alone if alone >= GIVE_UP_AT || (is_known && alone >= KNOWN_GIVE_UP_AT) => {
                let mut known = known.0.borrow_mut();
                if !is_known && known.len() < MAX_KNOWN {
                    known.push(reason.clone());
                }
                Next::GiveUp
            }
            alone if alone >= SAMPLE_FROM || is_known => Next::Sample,
            _ => Next::Halve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What comes of this many records that are refused one by one for this reason.
    fn alone(times: u32, error: &CrmError) -> Next {
        let (mut refusals, known) = (Refusals::default(), Known::default());
        let mut next = Next::Halve;
        for _ in 0..times {
            next = refusals.refused(1, Reason::of(400, error).as_ref(), &known);
        }
        next
    }

    #[test]
    fn what_passes_by_itself_is_no_reason_to_stop_however_often_it_comes() {
        let refused =
            |code: &str| CrmError::salesforce(&json!([{"errorCode": code, "message": "no"}]));
        assert_eq!(alone(GIVE_UP_AT, &refused("FIELD_INTEGRITY_EXCEPTION")), Next::GiveUp);
        assert_eq!(alone(GIVE_UP_AT - 1, &refused("FIELD_INTEGRITY_EXCEPTION")), Next::Sample);
        assert_eq!(alone(GIVE_UP_AT * 10, &refused("UNABLE_TO_LOCK_ROW")), Next::Halve);
    }
}
