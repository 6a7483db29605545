//! When halving a refused batch stops: if every record fails for one reason, a few calls find that out.
//!
//! A refused batch was applied to nobody, so halving it looks for those that can be written. Once some records have been refused alone for
//! the reason that their batch was refused for, and none has been written in between, others of it are tried alone, from here and there.
//! If they fail for it too, so do the rest.

use super::crm_error::CrmError;
use std::cell::RefCell;

/// Records that are refused alone for one reason before others are tried from here and there, and before the rest is given up.
const SAMPLE_FROM: u32 = 3;
const GIVE_UP_AT: u32 = 7;
/// As many are enough if the reason has been met in this run before.
const KNOWN_GIVE_UP_AT: u32 = 2;
/// Reasons that are remembered.
const MAX_KNOWN: usize = 100;

/// Why something was refused, without what is about one record: status, code, and each property with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason(u16, String, Vec<(String, String)>);

impl Reason {
    /// `None` if the reason may be another one for each record.
    pub(super) fn of(status: u16, error: &CrmError) -> Option<Reason> {
        if error.is_blocked() {
            return None;
        }
        let mut items: Vec<(String, String)> =
            error.items.iter().flat_map(|item| item.properties.iter().map(|property| (item.code.clone(), property.clone()))).collect();
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
    /// One of those that were refused for this reason is tried alone.
    Sample,
    /// Those that were refused for this reason are not tried.
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
    pub(super) fn refused(&mut self, members: usize, reason: Option<&Reason>, known: &Known) -> Next {
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
