//! One batch of changes, many records in a call, until each has its outcome.

use super::doubt::{changed_in_doubt, gone_in_doubt, no_answer, refused, silent, unreadable};
use super::refusals::{Next, Reason, Refusals};
use super::runner::Runner;
use super::settle::Finding;
use crate::contract::changes::{Changes, Failure, Outcomes};
use crate::contract::types::Error;
use crate::crm::exchange::Exchange;
use crate::crm::network::Network;
use crate::crm::reconciled::Reconciled;
use crate::crm::salesforce::answers::Collection;
use crate::crm::verdict::exhausted;
use crate::crm::{hubspot::answers as hubspot, salesforce::answers as salesforce};
use crate::provider::Provider;

/// Writes without an answer before the fate of a change stays unknown.
pub(crate) const MAX_DOUBTS: u32 = 3;
/// How often a locked record is tried again.
pub(crate) const MAX_LOCKS: u32 = 5;

/// Changes that are sent in one call.
struct Group {
    members: Vec<usize>,
    /// Why it is not known whether they were applied.
    doubt: Option<Doubt>,
    /// Writes that got no answer.
    doubts: u32,
    /// They may have been written: by one of those, or by an earlier attempt.
    doubted: bool,
    /// "Locked" answers.
    locks: u32,
    /// An answer has passed over this change once already.
    silent_before: bool,
    /// Why a batch with these in it was refused, if they have not been sent since.
    refused_for: Option<Reason>,
}

enum Doubt {
    /// An earlier attempt may have sent them.
    Earlier,
    /// Sent, and no usable answer came.
    Lost(String),
    /// The answer says nothing about them.
    Silent,
}

impl Group {
    fn new(members: Vec<usize>) -> Group {
        Group {
            members,
            doubt: None,
            doubts: 0,
            doubted: false,
            locks: 0,
            silent_before: false,
            refused_for: None,
        }
    }

    /// Other members with the same history.
    fn with(&self, members: Vec<usize>) -> Group {
        Group { members, doubt: None, refused_for: None, ..*self }
    }
}

impl<N: Network> Runner<'_, N> {
    pub(super) async fn batch_job(&self, changes: Changes) -> Result<(), Error> {
        let doubtful = changes.doubtful();
        let members = if doubtful {
            changes.members()
        } else {
            self.admitted(&changes, changes.members(), false).await?
        };
        self.batch_members(&changes, members, doubtful).await
    }

    /// Some members of a batch, no more than one call takes.
    pub(super) async fn batch_members(
        &self,
        changes: &Changes,
        members: Vec<usize>,
        doubtful: bool,
    ) -> Result<(), Error> {
        let doubt = doubtful.then_some(Doubt::Earlier);
        self.until_settled(changes, Group { doubt, doubted: doubtful, ..Group::new(members) }).await
    }

    /// Members that may have been written, and that were read since.
    pub(super) async fn batch_again(
        &self,
        changes: &Changes,
        members: Vec<usize>,
    ) -> Result<(), Error> {
        self.until_settled(changes, Group { doubted: true, ..Group::new(members) }).await
    }

    async fn until_settled(&self, changes: &Changes, group: Group) -> Result<(), Error> {
        let mut groups = vec![group];
        let mut refusals = Refusals::default();
        while let Some(mut group) = groups.pop() {
            if group.members.is_empty() {
                continue;
            }
            if let Some(doubt) = group.doubt.take() {
                self.settle(changes, group, doubt, &mut groups).await?;
                continue;
            }
            let request = self.crm.requests.update_many(changes, &group.members);
            let exchanged = self.crm.exchange(&request).await?;
            drop(request);
            match exchanged {
                Exchange::Doubtful(why) => self.doubt(why, group, &mut groups).await,
                Exchange::Refused(status, error) => {
                    let reason = Reason::of(status, &error);
                    let next =
                        refusals.refused(group.members.len(), reason.as_ref(), &self.refused);
                    let reconciled = match self.crm.config.provider {
                        Provider::HubSpot => {
                            hubspot::reconcile_refused(changes, &group.members, status, &error)
                        }
                        Provider::Salesforce => {
                            salesforce::reconcile_refused(changes, &group.members, status, &error)
                        }
                    };
                    let below = groups.len();
                    self.go_on(changes, reconciled, &group, &mut groups).await?;
                    for group in groups.iter_mut().skip(below).filter(|group| group.doubt.is_none())
                    {
                        group.refused_for.clone_from(&reason);
                    }
                    match (next, reason) {
                        (Next::Sample, Some(reason)) => sample(&mut groups, &reason),
                        (Next::GiveUp, Some(reason)) => {
                            self.leave_untried(changes, &reason, status, &mut groups).await?
                        }
                        _ => {}
                    }
                }
                Exchange::Accepted(answer) => match self.crm.config.provider {
                    Provider::HubSpot => match hubspot::reconcile_accepted(
                        changes,
                        &group.members,
                        answer.status,
                        &answer.body,
                    ) {
                        Some(reconciled) => {
                            refusals.accepted();
                            self.go_on(changes, reconciled, &group, &mut groups).await?;
                        }
                        None => {
                            self.doubt(
                                "the answer is not in the documented form".to_owned(),
                                group,
                                &mut groups,
                            )
                            .await
                        }
                    },
                    Provider::Salesforce => match salesforce::reconcile_accepted(
                        changes,
                        &group.members,
                        answer.status,
                        &answer.body,
                    ) {
                        Collection::Reconciled(reconciled) => {
                            refusals.accepted();
                            self.go_on(changes, reconciled, &group, &mut groups).await?;
                        }
                        Collection::Exhausted(reconciled, error) => {
                            self.push(
                                &self.after_doubt(changes, &group, reconciled.outcomes).await?,
                            )?;
                            return Err(exhausted(
                                self.crm.config,
                                &error,
                                "within the next 24 hours",
                            ));
                        }
                        Collection::Unusable(why) => {
                            self.doubt(why.to_owned(), group, &mut groups).await
                        }
                    },
                },
            }
        }
        Ok(())
    }

    pub(super) async fn admitted(
        &self,
        changes: &Changes,
        members: Vec<usize>,
        doubtful: bool,
    ) -> Result<Vec<usize>, Error> {
        if members.is_empty() {
            return Ok(members);
        }
        Ok(self
            .admit(changes, members, doubtful)
            .await?
            .into_iter()
            .map(|(member, _)| member)
            .collect())
    }

    /// A write got no answer that can be used: it is settled before anything else happens to its
    /// changes.
    async fn doubt(&self, why: String, mut group: Group, groups: &mut Vec<Group>) {
        group.doubts += 1;
        group.doubted = true;
        group.doubt = Some(Doubt::Lost(why));
        self.crm.back_off(group.doubts).await;
        groups.push(group);
    }

    /// Reports what is settled and queues what is not.
    async fn go_on(
        &self,
        changes: &Changes,
        reconciled: Reconciled,
        group: &Group,
        groups: &mut Vec<Group>,
    ) -> Result<(), Error> {
        let Reconciled { mut outcomes, locked, silent, split } = reconciled;
        let mut again = group.with(Vec::new());
        if group.locks >= MAX_LOCKS {
            for (member, failure) in &locked {
                outcomes.failed(changes.row(*member), failure);
            }
        } else if !locked.is_empty() {
            self.crm.slowed.set(true);
            again.members = locked.iter().map(|(member, _)| *member).collect();
            again.locks += 1;
        }
        self.push(&self.after_doubt(changes, group, outcomes).await?)?;
        groups.extend(split.into_iter().rev().map(|members| group.with(members)));
        if !silent.is_empty() {
            groups.push(Group { doubt: Some(Doubt::Silent), ..group.with(silent) });
        }
        if !again.members.is_empty() {
            self.crm.back_off(again.locks).await;
            groups.push(again);
        }
        Ok(())
    }

    /// What was refused for this reason in larger batches is not tried in smaller ones.
    async fn leave_untried(
        &self,
        changes: &Changes,
        reason: &Reason,
        status: u16,
        groups: &mut Vec<Group>,
    ) -> Result<(), Error> {
        let is_refused = |group: &Group| group.refused_for.as_ref() == Some(reason);
        for group in groups.extract_if(.., |group| is_refused(group)).collect::<Vec<_>>() {
            let mut outcomes = Outcomes::new();
            for member in &group.members {
                let message = format!(
                    "record {} was not written: {} refused its batch, and other records of it that were sent one by one, for the same reason ({}); so it was not sent again",
                    changes.id(*member),
                    self.crm.config.provider.name(),
                    reason.told()
                );
                outcomes.failed(
                    changes.row(*member),
                    &Failure { http_status: Some(status), code: reason.code().to_owned(), message },
                );
            }
            self.push(&self.after_doubt(changes, &group, outcomes).await?)?;
        }
        Ok(())
    }

    /// That a repetition was refused says nothing about the write before it: what failed is looked
    /// at again.
    async fn after_doubt(
        &self,
        changes: &Changes,
        group: &Group,
        mut outcomes: Outcomes,
    ) -> Result<Outcomes, Error> {
        if !group.doubted {
            return Ok(outcomes);
        }
        for (row, failure) in outcomes.take_failed() {
            match group.members.iter().find(|member| changes.row(**member) == row) {
                Some(member) => {
                    self.refused_in_doubt(changes, *member, &failure, &mut outcomes).await?
                }
                None => outcomes.unknown(row, &failure),
            }
        }
        Ok(outcomes)
    }

    /// What became of a change that may have been written, and whose repetition was refused.
    pub(super) async fn refused_in_doubt(
        &self,
        changes: &Changes,
        member: usize,
        failure: &Failure,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let (row, id) = (changes.row(member), changes.id(member));
        match self.look(changes, &[member]).await?.pop().map(|(_, finding)| finding) {
            Some(Finding::Equal) => outcomes.updated(row),
            Some(Finding::Untouched) => outcomes.failed(row, failure),
            Some(Finding::Neither(what)) => outcomes.unknown(row, &changed_in_doubt(id, &what)),
            Some(Finding::Gone(gone)) => outcomes.unknown(row, &gone_in_doubt(gone)),
            Some(Finding::Again | Finding::Unreadable(_)) | None => {
                outcomes.unknown(row, &refused(id, failure))
            }
        }
        Ok(())
    }

    /// Reads what the CRM holds; what was not applied is sent again, as long as that can help.
    async fn settle(
        &self,
        changes: &Changes,
        group: Group,
        doubt: Doubt,
        groups: &mut Vec<Group>,
    ) -> Result<(), Error> {
        let mut outcomes = Outcomes::new();
        let mut rest = Vec::new();
        for (member, finding) in self.look(changes, &group.members).await? {
            let row = changes.row(member);
            match finding {
                Finding::Equal => outcomes.updated(row),
                // An answer that passes over a record that is gone has not written it.
                Finding::Gone(failure) if matches!(doubt, Doubt::Silent) && !group.doubted => {
                    outcomes.failed(row, &failure)
                }
                Finding::Gone(failure) => outcomes.unknown(row, &gone_in_doubt(failure)),
                Finding::Unreadable(why) => {
                    outcomes.unknown(row, &unreadable(changes.id(member), &why))
                }
                Finding::Neither(what) => {
                    outcomes.unknown(row, &changed_in_doubt(changes.id(member), &what))
                }
                Finding::Again | Finding::Untouched => match &doubt {
                    Doubt::Lost(why) if group.doubts >= MAX_DOUBTS => {
                        outcomes.unknown(row, &no_answer(changes.id(member), group.doubts, why))
                    }
                    Doubt::Silent if group.silent_before => {
                        outcomes.unknown(row, &silent(changes.id(member)))
                    }
                    _ => rest.push(member),
                },
            }
        }
        self.push(&outcomes)?;
        match doubt {
            // Alone, so that the next answer can be about nothing else.
            Doubt::Silent => groups.extend(
                rest.into_iter()
                    .map(|member| Group { silent_before: true, ..group.with(vec![member]) }),
            ),
            Doubt::Earlier => groups.push(group.with(self.admitted(changes, rest, true).await?)),
            Doubt::Lost(_) => groups.push(group.with(rest)),
        }
        Ok(())
    }
}

/// Puts one record in front: the one in the middle of the largest group that was refused for this
/// reason.
fn sample(groups: &mut Vec<Group>, reason: &Reason) {
    let refused = groups
        .iter_mut()
        .filter(|group| group.refused_for.as_ref() == Some(reason) && group.members.len() > 1);
    let Some(largest) = refused.max_by_key(|group| group.members.len()) else { return };
    let member = largest.members.remove(largest.members.len() / 2);
    let alone = Group { refused_for: largest.refused_for.clone(), ..largest.with(vec![member]) };
    groups.push(alone);
}
