//! Records that a read of many did not show: deleted, merged into another one, or out of this
//! credential's sight.

use super::comparer::{Compared, Comparer};
use crate::config::policy::OnMerged;
use crate::contract::changes::Changes;
use crate::contract::types::Error;
use crate::crm::exchange::{Exchange, unavailable};
use crate::crm::network::{Network, Request};
use crate::crm::template::{Filling, Template, json_names, push_query_value};
use crate::crm::{hubspot::answers as hubspot, routes, salesforce::answers as salesforce};
use crate::provider::Provider;
use crate::values::json::text;
use crate::values::members::Members;
use hashbrown::HashMap;

/// Ids in one query: its URL has to stay far below Salesforce's 16,384 bytes (crm-apis B8).
const QUERY_IDS: usize = 300;

/// Where a record has gone.
enum Gone {
    Merged(String),
    Deleted,
    NotFound,
    Unreadable(String),
}

impl<N: Network> Comparer<'_, N> {
    /// Compares the changes of one read.
    pub(super) async fn compare(&self, changes: Changes) -> Result<Compared, Error> {
        let members = changes.members();
        let wanted: Vec<Members<'_>> = members
            .iter()
            .map(|member| Members::parse(changes.fields(*member)).unwrap_or_default())
            .collect();
        let names = names(&wanted);
        let mut compared = Compared::default();
        let mut missing = Vec::new();
        let mut asking = vec![members.as_slice()];
        while let Some(part) = asking.pop() {
            let Some(body) = self.read_many(&changes, part, &names).await? else {
                let (first, second) = part.split_at(part.len() / 2);
                asking.extend([second, first]);
                continue;
            };
            match self.crm.config.provider {
                Provider::HubSpot => {
                    let found = hubspot::held(&body).unwrap_or_default();
                    let found: HashMap<&str, &Members<'_>> =
                        found.iter().map(|(id, held)| (id.as_ref(), held)).collect();
                    for member in part {
                        match found.get(changes.id(*member)) {
                            Some(held) => self.judge(
                                changes.row(*member),
                                changes.id(*member),
                                &wanted[*member],
                                held,
                                &mut compared,
                            ),
                            None => missing.push(*member),
                        }
                    }
                }
                Provider::Salesforce => {
                    let found = salesforce::held(&body).unwrap_or_default();
                    for (member, held) in part.iter().zip(&found) {
                        match held {
                            Some(held) => self.judge(
                                changes.row(*member),
                                changes.id(*member),
                                &wanted[*member],
                                held,
                                &mut compared,
                            ),
                            None => missing.push(*member),
                        }
                    }
                }
            }
        }
        if !missing.is_empty() {
            self.find(&changes, &wanted, &missing, &mut compared).await?;
        }
        self.look_for_owners(&mut compared).await?;
        Ok(compared)
    }

    /// What the CRM holds of these members, or `None` if that is too much for one answer.
    async fn read_many(
        &self,
        changes: &Changes,
        members: &[usize],
        names: &[&str],
    ) -> Result<Option<Vec<u8>>, Error> {
        let id = (self.crm.config.provider == Provider::Salesforce).then_some("Id");
        let request = self.crm.requests.read_many(
            changes,
            members,
            &json_names(id.into_iter().chain(names.iter().copied())),
        );
        let usable = |body: &[u8]| match self.crm.config.provider {
            Provider::HubSpot => hubspot::held(body).is_some(),
            Provider::Salesforce => salesforce::held(body).is_some_and(|found| {
                let is = |(member, record): (&usize, &Option<Members<'_>>)| match record {
                    Some(record) => record
                        .get("Id")
                        .and_then(text)
                        .is_some_and(|id| salesforce::is_record(&id, changes.id(*member))),
                    None => true,
                };
                found.len() == members.len() && members.iter().zip(&found).all(is)
            }),
        };
        let answer = match self.crm.read(&request, usable).await? {
            Exchange::Refused(413, _) if members.len() > 1 => return Ok(None),
            other => self.accepted(other)?,
        };
        self.answer.set(Some(answer.len()));
        Ok(Some(answer))
    }

    /// A read, until it has an answer that can be used.
    async fn read(
        &self,
        request: &Request,
        usable: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Error> {
        self.accepted(self.crm.read(request, usable).await?)
    }

    fn accepted(&self, exchange: Exchange) -> Result<Vec<u8>, Error> {
        match exchange {
            Exchange::Accepted(answer) => Ok(answer.body),
            Exchange::Refused(status, error) => Err(unavailable(
                self.crm.config,
                1,
                &format!("HTTP {status} to a read of records, {}", error.told()),
            )),
            Exchange::Doubtful(why) => Err(unavailable(self.crm.config, 1, &why)),
        }
    }

    async fn find(
        &self,
        changes: &Changes,
        wanted: &[Members<'_>],
        missing: &[usize],
        compared: &mut Compared,
    ) -> Result<(), Error> {
        let crm = self.crm.config.provider.name();
        let gone = match self.crm.config.provider {
            Provider::HubSpot => self.find_in_hubspot(changes, missing).await?,
            Provider::Salesforce => self.find_in_salesforce(changes, missing).await?,
        };
        // Those to follow go behind the others: a batch of changes has to ascend.
        let mut followed = Vec::new();
        for (member, gone) in missing.iter().zip(gone) {
            let (row, id) = (changes.row(*member), changes.id(*member));
            match gone {
                Gone::Merged(survivor) if self.crm.config.policy.on_merged == OnMerged::Follow => followed.push((*member, survivor)),
                Gone::Merged(survivor) => {
                    compared.skip(
                        "merged",
                        row,
                        id,
                        &format!(
                            "record {id} was merged into record {survivor}; resolve the golden records again, or set on_merged to follow"
                        ),
                    );
                }
                Gone::Deleted => compared.skip("deleted", row, id, &format!("{crm} has deleted record {id}")),
                Gone::NotFound => compared.skip(
                    "not_found",
                    row,
                    id,
                    &format!("{crm} shows no record {id}; it was deleted, never existed, or this credential may not see it"),
                ),
                Gone::Unreadable(why) => compared.skip("unreadable", row, id, &format!("{crm} would not show record {id} ({why})")),
            }
        }
        for (member, survivor) in followed {
            self.follow(changes, &wanted[member], member, &survivor, compared).await?;
        }
        compared.sort();
        Ok(())
    }

    async fn find_in_hubspot(
        &self,
        changes: &Changes,
        missing: &[usize],
    ) -> Result<Vec<Gone>, Error> {
        let mut all = Vec::with_capacity(missing.len());
        for member in missing {
            let request = self.crm.requests.read_one(changes, *member, std::iter::empty());
            all.push(
                match self.crm.read(&request, |body| hubspot::record_id(body).is_some()).await? {
                    Exchange::Accepted(answer) => match hubspot::record_id(&answer.body) {
                        Some(id) if id != changes.id(*member) => Gone::Merged(id.into_owned()),
                        // It is there after all: created, or restored, since the read of many.
                        _ => Gone::Unreadable(
                            "it came while the plan was made; plan again".to_owned(),
                        ),
                    },
                    Exchange::Refused(404, _) => Gone::NotFound,
                    Exchange::Refused(status, error) => {
                        Gone::Unreadable(format!("HTTP {status}, {}", error.told()))
                    }
                    Exchange::Doubtful(why) => Gone::Unreadable(why),
                },
            );
        }
        Ok(all)
    }

    async fn find_in_salesforce(
        &self,
        changes: &Changes,
        missing: &[usize],
    ) -> Result<Vec<Gone>, Error> {
        let Some(route) = &routes::of(self.crm.config.provider).survivors else {
            return Ok(Vec::new());
        };
        let mut rows: HashMap<String, (bool, Option<String>)> = HashMap::new();
        let mut refused = None;
        for ids in missing.chunks(QUERY_IDS) {
            let listed: Vec<String> =
                ids.iter().map(|member| format!("'{}'", changes.id(*member))).collect();
            let query = format!(
                "SELECT Id,IsDeleted,MasterRecordId FROM {} WHERE Id IN ({})",
                self.crm.config.object,
                listed.join(",")
            );
            let mut path = Template::new(route.path, self.crm.config).filled(Filling::default());
            path.push_str("?q=");
            push_query_value(&mut path, &query);
            let request = Request::read(route.method, path, String::new());
            match self.crm.read(&request, |body| salesforce::rows(body).is_some()).await? {
                Exchange::Accepted(answer) => {
                    for row in salesforce::rows(&answer.body).unwrap_or_default() {
                        let id = row["Id"].as_str().unwrap_or_default().to_owned();
                        rows.insert(
                            id,
                            (
                                row["IsDeleted"].as_bool() == Some(true),
                                row["MasterRecordId"].as_str().map(str::to_owned),
                            ),
                        );
                    }
                }
                // An object that cannot be merged has no MasterRecordId (crm-apis B11).
                Exchange::Refused(400, _) => {}
                Exchange::Refused(status, error) => {
                    refused = Some(format!("HTTP {status}, {}", error.told()))
                }
                Exchange::Doubtful(why) => refused = Some(why),
            }
        }
        Ok(missing
            .iter()
            .map(|member| match (rows.remove(changes.id(*member)), &refused) {
                (Some((_, Some(master))), _) => Gone::Merged(master),
                (Some((true, None)), _) => Gone::Deleted,
                (_, Some(why)) => Gone::Unreadable(why.clone()),
                _ => Gone::NotFound,
            })
            .collect())
    }

    /// Compares with the record that another one was merged into, whose id the change takes.
    async fn follow(
        &self,
        changes: &Changes,
        wanted: &Members<'_>,
        member: usize,
        survivor: &str,
        compared: &mut Compared,
    ) -> Result<(), Error> {
        let row = changes.row(member);
        let one = changes.under_another_id(member, survivor);
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name).collect();
        let names = match self.crm.config.provider {
            Provider::HubSpot => json_names(names.into_iter()),
            Provider::Salesforce => json_names(std::iter::once("Id").chain(names)),
        };
        let request = self.crm.requests.read_many(&one, &[0], &names);
        match self.crm.config.provider {
            Provider::HubSpot => {
                let body = self.read(&request, |body| hubspot::held(body).is_some()).await?;
                match hubspot::held(&body)
                    .unwrap_or_default()
                    .into_iter()
                    .find(|(id, _)| id == survivor)
                {
                    Some((_, held)) => self.judge(row, survivor, wanted, &held, compared),
                    None => compared.skip(
                        "merged",
                        row,
                        changes.id(member),
                        &format!(
                            "record {} was merged into record {survivor}, which is gone too",
                            changes.id(member)
                        ),
                    ),
                }
            }
            Provider::Salesforce => {
                let body = self
                    .read(&request, |body| {
                        salesforce::held(body).is_some_and(|found| found.len() == 1)
                    })
                    .await?;
                match salesforce::held(&body).unwrap_or_default().into_iter().next().flatten() {
                    Some(held) => self.judge(row, survivor, wanted, &held, compared),
                    None => compared.skip(
                        "merged",
                        row,
                        changes.id(member),
                        &format!(
                            "record {} was merged into record {survivor}, which is gone too",
                            changes.id(member)
                        ),
                    ),
                }
            }
        }
        Ok(())
    }
}

/// All names of these changes, each once, in the order in which they come.
fn names<'w>(wanted: &'w [Members<'_>]) -> Vec<&'w str> {
    let mut names: Vec<&str> = Vec::new();
    for members in wanted {
        for (at, (name, _)) in members.iter().enumerate() {
            // Most records have the fields of the first, in the same order.
            if names.get(at) != Some(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
