//! What an answer to an update of several records says about each of them. The CRM modules fill it
//! in.

use crate::contract::changes::Outcomes;

/// Every member that was sent is in exactly one of these.
#[derive(Debug)]
pub(crate) struct Reconciled {
    /// What is settled.
    pub(crate) outcomes: Outcomes,
    /// Locked for the moment: these may be sent again, and this is what the CRM said.
    pub(crate) locked: Vec<(usize, crate::contract::changes::Failure)>,
    /// The answer passes over these in silence: only a read can tell.
    pub(crate) silent: Vec<usize>,
    /// Nothing of these was applied: each group is to be sent on its own.
    pub(crate) split: Vec<Vec<usize>>,
}

impl Reconciled {
    pub(crate) fn new() -> Reconciled {
        Reconciled {
            outcomes: Outcomes::new(),
            locked: Vec::new(),
            silent: Vec::new(),
            split: Vec::new(),
        }
    }

    /// Two halves, until the culprit stands alone.
    pub(crate) fn halve(&mut self, members: &[usize]) {
        let (first, second) = members.split_at(members.len() / 2);
        self.split.extend(
            [first, second].into_iter().filter(|half| !half.is_empty()).map(<[usize]>::to_vec),
        );
    }
}
