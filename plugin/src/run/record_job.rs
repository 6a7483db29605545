//! One batch of changes, one record in a call (`write_mode: record`), several calls on their way.

use super::batch_job::{MAX_DOUBTS, MAX_LOCKS};
use super::doubt::{changed_in_doubt, gone_in_doubt, no_answer, unreadable};
use super::runner::Runner;
use super::settle::Finding;
use crate::contract::changes::{Changes, Failure, Outcomes};
use crate::contract::types::Error;
use crate::crm::exchange::Exchange;
use crate::crm::held::{Held, merged};
use crate::crm::network::{Answer, Network};
use crate::crm::{hubspot::answers as hubspot, salesforce::answers as salesforce};
use crate::provider::Provider;
use futures_util::stream::{StreamExt, iter};

impl<N: Network> Runner<'_, N> {
    pub(super) async fn record_job(&self, changes: Changes) -> Result<(), Error> {
        let members = self.writable(&changes).await?;
        let changes = &changes;
        let members = self.admit(changes, members, changes.doubtful()).await?;
        let mut writes = iter(members)
            .map(|(member, unmodified_since)| self.write_one(changes, member, unmodified_since))
            .buffer_unordered(self.crm.config.in_flight);
        let mut end = Ok(());
        while let Some(done) = writes.next().await {
            if let Err(error) = done {
                if end.is_ok() {
                    end = Err(error);
                }
                // Those on their way are finished; none is begun.
                self.crm.stopped.set(true);
            }
        }
        if end.is_err() {
            // The scheduler stops the run, and reports the first error it sees.
            self.crm.stopped.set(false);
        }
        end
    }

    /// The members that may be written by their path; the others get their outcome here.
    async fn writable(&self, changes: &Changes) -> Result<Vec<usize>, Error> {
        let mut members = changes.members();
        let mut outcomes = Outcomes::new();
        if changes.doubtful() {
            let mut rest = Vec::new();
            for (member, finding) in self.look(changes, &members).await? {
                match finding {
                    Finding::Equal => outcomes.updated(changes.row(member)),
                    Finding::Gone(failure) => {
                        outcomes.unknown(changes.row(member), &gone_in_doubt(failure))
                    }
                    Finding::Unreadable(why) => {
                        outcomes.unknown(changes.row(member), &unreadable(changes.id(member), &why))
                    }
                    Finding::Neither(what) => outcomes
                        .unknown(changes.row(member), &changed_in_doubt(changes.id(member), &what)),
                    Finding::Again | Finding::Untouched => rest.push(member),
                }
            }
            members = rest;
        } else if self.crm.config.provider == Provider::HubSpot {
            let mut rest = Vec::new();
            for (member, held) in self.crm.look_at_ids(changes, &members).await? {
                match held {
                    Held::Gone(failure) => outcomes.failed(changes.row(member), &failure),
                    Held::Unreadable(why) => {
                        let message = format!(
                            "record {} was not written, because HubSpot would not show whether it was merged ({why})",
                            changes.id(member)
                        );
                        outcomes.failed(changes.row(member), &Failure::ours("unreadable", message));
                    }
                    Held::Values(_) => rest.push(member),
                }
            }
            members = rest;
        }
        self.push(&outcomes)?;
        Ok(members)
    }

    /// Writes one record, if the CRM can tell by its date that nobody has modified it.
    async fn write_one(
        &self,
        changes: &Changes,
        member: usize,
        unmodified_since: Option<String>,
    ) -> Result<(), Error> {
        let conditional = unmodified_since.is_some();
        let request = self.crm.requests.update_one(changes, member, unmodified_since);
        let row = changes.row(member);
        let mut outcomes = Outcomes::new();
        let (mut doubts, mut locks) = (0, 0);
        loop {
            let why = match self.crm.exchange(&request).await? {
                Exchange::Accepted(answer) => match self.written(changes.id(member), &answer) {
                    Written::Yes => {
                        outcomes.updated(row);
                        break;
                    }
                    Written::Elsewhere(survivor) => {
                        let mut failure = merged(changes.id(member), &survivor);
                        failure.http_status = Some(answer.status);
                        failure.message = format!(
                            "record {} was merged into record {survivor} while it was being written, and HubSpot wrote the values to {survivor} by its redirect; look at that record",
                            changes.id(member)
                        );
                        outcomes.failed(row, &failure);
                        break;
                    }
                    Written::Unclear => "the answer is not in the documented form".to_owned(),
                },
                Exchange::Refused(_, error)
                    if self.crm.config.provider == Provider::Salesforce
                        && salesforce::is_transient(&error)
                        && locks < MAX_LOCKS =>
                {
                    locks += 1;
                    self.crm.back_off(locks).await;
                    continue;
                }
                // Our own write, applied late, may be what has modified it.
                Exchange::Refused(412, _) if conditional && (doubts > 0 || changes.doubtful()) => {
                    let finding = self.look(changes, &[member]).await?.pop();
                    self.settle_for_good(changes, member, finding, &mut outcomes);
                    break;
                }
                Exchange::Refused(412, _) if conditional => {
                    let message = format!(
                        "record {} was modified between reading and writing it; plan again to see it",
                        changes.id(member)
                    );
                    outcomes.drifted(
                        row,
                        &Failure { http_status: Some(412), code: "drifted".to_owned(), message },
                    );
                    break;
                }
                Exchange::Refused(status, error) => {
                    let failure = match self.crm.config.provider {
                        Provider::HubSpot => error.failure(status),
                        Provider::Salesforce => salesforce::failure(&error, status),
                    };
                    match doubts > 0 || changes.doubtful() {
                        true => {
                            self.refused_in_doubt(changes, member, &failure, &mut outcomes).await?
                        }
                        false => outcomes.failed(row, &failure),
                    }
                    break;
                }
                Exchange::Doubtful(why) => why,
            };
            doubts += 1;
            self.crm.back_off(doubts).await;
            match self.look(changes, &[member]).await?.pop() {
                Some((_, Finding::Again | Finding::Untouched)) if doubts < MAX_DOUBTS => continue,
                Some((_, Finding::Again | Finding::Untouched)) => {
                    outcomes.unknown(row, &no_answer(changes.id(member), doubts, &why))
                }
                finding => self.settle_for_good(changes, member, finding, &mut outcomes),
            }
            break;
        }
        self.push(&outcomes)
    }

    /// The end of a change that may have been written and is not sent again.
    fn settle_for_good(
        &self,
        changes: &Changes,
        member: usize,
        finding: Option<(usize, Finding)>,
        outcomes: &mut Outcomes,
    ) {
        let (row, id) = (changes.row(member), changes.id(member));
        match finding.map(|(_, finding)| finding) {
            Some(Finding::Equal) => outcomes.updated(row),
            Some(Finding::Gone(failure)) => outcomes.unknown(row, &gone_in_doubt(failure)),
            Some(Finding::Neither(what)) => outcomes.unknown(row, &changed_in_doubt(id, &what)),
            Some(Finding::Unreadable(why)) => outcomes.unknown(row, &unreadable(id, &why)),
            Some(Finding::Again | Finding::Untouched) => {
                outcomes.unknown(row, &unreadable(id, "the record was modified after it was read"))
            }
            None => outcomes.unknown(row, &unreadable(id, "there is no answer to the read")),
        }
    }

    /// Whether an accepted PATCH wrote the record it was for.
    fn written(&self, id: &str, answer: &Answer) -> Written {
        match self.crm.config.provider {
            // 204 and no body; an empty answer or a page of some gateway proves nothing.
            Provider::Salesforce if answer.status == 204 && answer.body.is_empty() => Written::Yes,
            Provider::Salesforce => Written::Unclear,
            Provider::HubSpot => match hubspot::record_id(&answer.body) {
                Some(found) if found == id => Written::Yes,
                Some(found) => Written::Elsewhere(found.into_owned()),
                None => Written::Unclear,
            },
        }
    }
}

enum Written {
    Yes,
    /// To the record that this one was merged into.
    Elsewhere(String),
    Unclear,
}
