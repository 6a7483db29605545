//! Reading what the CRM holds of confirmed changes: before they are written, where their fate is
//! open, and to verify them. Reads only; whatever the answer, nothing is applied here.

use super::conversation::Conversation;
use super::exchange::Exchange;
use super::network::Network;
use super::template::json_names;
use super::{hubspot::answers as hubspot, salesforce::answers as salesforce};
use crate::contract::changes::{Changes, Failure};
use crate::contract::types::Error;
use crate::provider::Provider;
use crate::values::normal::{NOTHING, Values, member};
use crate::values::{
    encode::push_json_string,
    field::{Kind, Metadata},
};
use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;

/// What a read says about a record.
#[derive(Debug)]
pub(crate) enum Held {
    /// Its values, in the fields that were asked for.
    Values(Values),
    /// There is no such record under this id; it cannot be updated.
    Gone(Failure),
    /// The read was refused, so it tells nothing.
    Unreadable(String),
}

/// Most fields that a read asks for at once.
const MAX_NAMES: usize = 500;

impl<N: Network> Conversation<'_, N> {
    /// Reads the fields of these members' changes, in the order of the members.
    ///
    /// # Errors
    /// What ends the whole run.
    pub(crate) async fn held(
        &self,
        changes: &Changes,
        members: &[usize],
        confirmed: &HashMap<usize, Values>,
    ) -> Result<Vec<(usize, Held)>, Error> {
        match self.config.provider {
            Provider::HubSpot => self.held_by_hubspot(changes, members, confirmed).await,
            Provider::Salesforce => self.held_by_salesforce(changes, members, confirmed).await,
        }
    }

    async fn held_by_hubspot(
        &self,
        changes: &Changes,
        members: &[usize],
        confirmed: &HashMap<usize, Values>,
    ) -> Result<Vec<(usize, Held)>, Error> {
        let mut all = Vec::with_capacity(members.len());
        let mut found = self.present(changes, members, &names(confirmed)).await?;
        for member in members {
            let held = match found.remove(changes.id(*member)) {
                Some(held) => shown(held, confirmed.get(member)),
                None => self.look_at_one(changes, *member, confirmed.get(member)).await?,
            };
            all.push((*member, held));
        }
        Ok(all)
    }

    /// The records that HubSpot has under these very ids. Merged and deleted ones are not among
    /// them.
    async fn present(
        &self,
        changes: &Changes,
        members: &[usize],
        names: &[&str],
    ) -> Result<HashMap<String, Values>, Error> {
        let mut found = HashMap::new();
        if members.len() > 1 {
            let request = self.requests.read_many(
                changes,
                members,
                &json_names(names.iter().take(MAX_NAMES).copied()),
            );
            match self.read(&request, |body| hubspot::records(body).is_some()).await? {
                Exchange::Accepted(answer) => {
                    for record in hubspot::records(&answer.body).unwrap_or_default() {
                        found.insert(record.id, record.properties);
                    }
                }
                // Too many long values at once.
                Exchange::Refused(413, _) => {
                    let (first, second) = members.split_at(members.len() / 2);
                    found.extend(Box::pin(self.present(changes, first, names)).await?);
                    found.extend(Box::pin(self.present(changes, second, names)).await?);
                }
                // They are looked at one by one.
                Exchange::Refused(..) | Exchange::Doubtful(_) => {}
            }
        }
        Ok(found)
    }

    /// One record by its path, which follows merges: the id in the answer tells.
    async fn look_at_one(
        &self,
        changes: &Changes,
        member: usize,
        wanted: Option<&Values>,
    ) -> Result<Held, Error> {
        let id = changes.id(member);
        let names = wanted.into_iter().flat_map(|wanted| wanted.keys().map(String::as_str));
        let request = self.requests.read_one(changes, member, names);
        Ok(match self.read(&request, |body| hubspot::record(body).is_some()).await? {
            Exchange::Accepted(answer) => match hubspot::record(&answer.body) {
                Some(record) if record.id == id => shown(record.properties, wanted),
                Some(record) => Held::Gone(merged(id, &record.id)),
                None => Held::Unreadable("the answer is not a record".to_owned()),
            },
            Exchange::Refused(404, error) => {
                let mut failure = error.failure(404);
                failure.message = format!(
                    "there is no record {id} (HubSpot: {}); it was deleted, or never existed",
                    failure.message
                );
                Held::Gone(failure)
            }
            Exchange::Refused(status, error) => {
                Held::Unreadable(format!("HTTP {status}, {}", error.told()))
            }
            Exchange::Doubtful(why) => Held::Unreadable(why),
        })
    }

    /// Which of these HubSpot has under their very ids, before they are written by path. `PATCH`
    /// follows merges, and so would write to a record that nobody confirmed. A merge between this
    /// read and the write is not seen.
    pub(crate) async fn look_at_ids(
        &self,
        changes: &Changes,
        members: &[usize],
    ) -> Result<Vec<(usize, Held)>, Error> {
        let found = self.present(changes, members, &["hs_object_id"]).await?;
        let mut all = Vec::with_capacity(members.len());
        for member in members {
            let present = found.contains_key(changes.id(*member));
            all.push((
                *member,
                if present {
                    Held::Values(Values::new())
                } else {
                    self.look_at_one(changes, *member, None).await?
                },
            ));
        }
        Ok(all)
    }

    async fn held_by_salesforce(
        &self,
        changes: &Changes,
        members: &[usize],
        confirmed: &HashMap<usize, Values>,
    ) -> Result<Vec<(usize, Held)>, Error> {
        let mut held: HashMap<usize, Values> = HashMap::new();
        let mut gone: HashSet<usize> = HashSet::new();
        let mut refusal = None;
        let names = names(confirmed);
        // A field that cannot be read fails the whole call, so the others are asked for without it.
        let mut asking: Vec<Vec<&str>> = names.chunks(MAX_NAMES).map(<[&str]>::to_vec).collect();
        while let Some(chunk) = asking.pop() {
            let request = self.requests.read_many(
                changes,
                members,
                &json_names(std::iter::once("Id").chain(chunk.iter().copied())),
            );
            match self
                .read(&request, |body| salesforce::records(changes, members, body).is_some())
                .await?
            {
                Exchange::Accepted(answer) => {
                    let records =
                        salesforce::records(changes, members, &answer.body).unwrap_or_default();
                    for (member, record) in members.iter().zip(records) {
                        match record {
                            Some(record) => held.entry(*member).or_default().extend(record),
                            None => {
                                gone.insert(*member);
                            }
                        }
                    }
                }
                // Too many long values at once.
                Exchange::Refused(413, _) if members.len() > 1 => {
                    let (first, second) = members.split_at(members.len() / 2);
                    let mut all =
                        Box::pin(self.held_by_salesforce(changes, first, confirmed)).await?;
                    all.extend(
                        Box::pin(self.held_by_salesforce(changes, second, confirmed)).await?,
                    );
                    return Ok(all);
                }
                Exchange::Refused(status, error) => {
                    let (named, others): (Vec<&str>, Vec<&str>) =
                        chunk.iter().partition(|name| error.message.contains(&format!("'{name}'")));
                    if !named.is_empty() && !others.is_empty() {
                        asking.push(others);
                    } else if named.is_empty() && chunk.len() > 1 {
                        let (first, second) = chunk.split_at(chunk.len() / 2);
                        asking.extend([first.to_vec(), second.to_vec()]);
                    }
                    refusal = Some(format!("HTTP {status}, {}", error.told()));
                }
                Exchange::Doubtful(why) => refusal = Some(why),
            }
        }
        let mut held_by = |member: &usize| {
            if gone.contains(member) {
                let id = changes.id(*member);
                return Held::Gone(Failure::ours(
                    "not_found",
                    format!(
                        "Salesforce shows no record {id}; it was deleted, or merged into another record, or the source's user may not see it"
                    ),
                ));
            }
            let held = held.remove(member).unwrap_or_default();
            let hidden = confirmed
                .get(member)
                .into_iter()
                .flat_map(Values::keys)
                .find(|name| self::member(&held, name).is_none());
            match (hidden, &refusal) {
                (None, _) => Held::Values(held),
                (Some(_), Some(why)) => Held::Unreadable(why.clone()),
                (Some(name), None) => {
                    Held::Unreadable(format!("the answer does not show `{name}`"))
                }
            }
        };
        Ok(members.iter().map(|member| (*member, held_by(member))).collect())
    }
}

/// The confirmed values of these members.
pub(crate) fn confirmed(changes: &Changes, members: &[usize]) -> HashMap<usize, Values> {
    members
        .iter()
        .map(|member| (*member, serde_json::from_str(changes.fields(*member)).unwrap_or_default()))
        .collect()
}

/// HubSpot leaves out what it does not know, and shows what is empty as null (crm-apis A4): a field
/// that is left out is not empty.
fn shown(held: Values, wanted: Option<&Values>) -> Held {
    match wanted.into_iter().flat_map(Values::keys).find(|name| !held.contains_key(*name)) {
        None => Held::Values(held),
        Some(name) => Held::Unreadable(format!("the answer does not show `{name}`")),
    }
}

/// The record lives on under another id.
pub(crate) fn merged(id: &str, survivor: &str) -> Failure {
    Failure::ours(
        "merged",
        format!(
            "record {id} was merged into record {survivor}; resolve the golden records again, then plan again"
        ),
    )
}

/// All field names of these changes.
fn names(confirmed: &HashMap<usize, Values>) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in confirmed.values().flat_map(Values::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// The fields of a change with the values that the CRM holds, spelled so that writing them would
/// put them back.
pub(crate) fn restorable(
    provider: Provider,
    metadata: &Metadata,
    fields: &Values,
    held: &Values,
) -> String {
    let mut out = String::from("{");
    for name in fields.keys() {
        if out.len() > 1 {
            out.push(',');
        }
        push_json_string(&mut out, name);
        out.push(':');
        out.push_str(&put_back(provider, metadata, name, member(held, name).unwrap_or(NOTHING)));
    }
    out.push('}');
    out
}

/// What would put the value of a field back, as JSON.
pub(crate) fn put_back<'v>(
    provider: Provider,
    metadata: &Metadata,
    name: &str,
    held: &'v str,
) -> Cow<'v, str> {
    if provider != Provider::HubSpot {
        return held.into();
    }
    if held == NOTHING {
        return "\"\"".into();
    }
    // A `;` in front would append (crm-apis A8).
    let appends = held.strip_prefix("\";").filter(|_| {
        let field = metadata.field(provider, name);
        matches!(field.map(|field| &field.kind), Some(Kind::Choice(choice)) if choice.multi)
    });
    match appends {
        Some(rest) => format!("\"{}", rest.trim_start_matches(';')).into(),
        None => held.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::field::{Choice, Field};

    #[test]
    fn what_is_put_back_replaces_and_does_not_append() {
        let kind = |multi| Kind::Choice(Choice { multi, open: true, options: Vec::new() });
        let field = |name: &str, kind| Field {
            name: name.to_owned(),
            kind,
            barred: None,
            may_be_empty: true,
        };
        let fields = [field("several", kind(true)), field("one", kind(false))];
        let metadata = Metadata::new(Provider::HubSpot, fields);
        for (name, held, back) in [
            ("several", "\";a;b\"", "\"a;b\""),
            ("several", "\"a;b\"", "\"a;b\""),
            ("one", "\";a\"", "\";a\""),
            ("one", "null", "\"\""),
        ] {
            assert_eq!(put_back(Provider::HubSpot, &metadata, name, held), back);
        }
        assert_eq!(put_back(Provider::Salesforce, &metadata, "several", "null"), "null");
    }
}
