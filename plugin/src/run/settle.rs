//! What became of a change that may have been written: what the CRM holds is compared with what was
//! confirmed and with what was there before.

use super::runner::Runner;
use crate::config::policy::OnDrift;
use crate::contract::changes::{Changes, Failure};
use crate::contract::types::Error;
use crate::crm::held::{Held, confirmed};
use crate::crm::network::Network;
use crate::values::normal::{Likeness, Rules, Values, member};

/// What a read says about a change that may have been written.
#[derive(Debug)]
pub(crate) enum Finding {
    /// The CRM holds the confirmed values, and did not before.
    Equal,
    /// It holds what it held before, in every field: nothing shows that it was written.
    Untouched,
    /// It may be sent once more: the record holds what it held before, or nobody looked before, or
    /// a write would not show.
    Again,
    /// It holds neither the confirmed values nor those before. Somebody else has written them,
    /// before our write or after it.
    Neither(String),
    /// There is no such record under this id; it cannot be updated.
    Gone(Failure),
    /// The read was refused, so it tells nothing.
    Unreadable(String),
}

impl<N: Network> Runner<'_, N> {
    /// Reads these members, which may have been written, and holds what the CRM has against what
    /// was confirmed.
    ///
    /// # Errors
    /// What ends the whole run.
    pub(crate) async fn look(
        &self,
        changes: &Changes,
        members: &[usize],
    ) -> Result<Vec<(usize, Finding)>, Error> {
        let confirmed = confirmed(changes, members);
        let found = self.crm.held(changes, members, &confirmed).await?;
        let rules = self.crm.rules().await?;
        Ok(found
            .into_iter()
            .map(|(member, held)| {
                let finding = match held {
                    Held::Values(held) => {
                        self.find(&rules, changes, member, confirmed.get(&member), &held)
                    }
                    Held::Gone(failure) => Finding::Gone(failure),
                    Held::Unreadable(why) => Finding::Unreadable(why),
                };
                (member, finding)
            })
            .collect())
    }

    fn find(
        &self,
        rules: &Rules<'_>,
        changes: &Changes,
        at: usize,
        wanted: Option<&Values>,
        held: &Values,
    ) -> Finding {
        // A change always has a field: one without any was not readable, and proves nothing.
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Finding::Unreadable("its confirmed values cannot be read".to_owned());
        };
        let before: Option<Values> =
            changes.before(at).and_then(|text| serde_json::from_str(text).ok());
        let (mut proven, mut untouched, mut as_before) = (true, true, before.is_some());
        // Where the CRM takes every confirmed value for the one that was there, a read cannot tell
        // a write from none.
        let mut tells = false;
        let mut neither = Vec::new();
        for (name, value) in wanted {
            let value = value.get();
            let Some(now) = member(held, name) else {
                return Finding::Unreadable(format!("the answer does not show `{name}`"));
            };
            let was = before.as_ref().and_then(|before| member(before, name));
            // What was the same before proves nothing, and neither does another spelling where
            // nobody knows what was there.
            let is_wanted = match rules.likeness(name, value, now) {
                Likeness::Exact => {
                    was.is_none_or(|was| rules.likeness(name, value, was) < Likeness::Same)
                }
                Likeness::Same => {
                    was.is_some_and(|was| rules.likeness(name, value, was) < Likeness::Same)
                }
                Likeness::Masked | Likeness::Different => false,
            };
            tells |= was.is_some_and(|was| rules.likeness(name, value, was) < Likeness::Same);
            let is_before = was.is_none_or(|was| rules.likeness(name, was, now) >= Likeness::Same);
            proven &= is_wanted;
            untouched &= is_before || is_wanted;
            as_before &= is_before;
            if !is_before && !is_wanted {
                neither.push(format!(
                    "`{name}` was {} when planned and is {now} now",
                    was.unwrap_or_default()
                ));
            }
        }
        match (proven, untouched || self.crm.config.policy.on_drift == OnDrift::Overwrite) {
            (true, _) => Finding::Equal,
            (false, true) if as_before && tells => Finding::Untouched,
            (false, true) => Finding::Again,
            (false, false) => Finding::Neither(neither.join(", ")),
        }
    }
}
