//! See [`crate::fuzzing`].

use crate::config::Config;
use crate::contract::changes::{Changes, Outcomes};
use crate::contract::types::{ChangeBatch, Status, Strings};
use crate::crm::error::CrmError;
use crate::crm::network::{Answer, Media, Request};
use crate::crm::reconciled::Reconciled;
use crate::crm::salesforce::answers::Collection;
use crate::crm::verdict::judge;
use crate::crm::{hubspot::answers as hubspot, salesforce::answers as salesforce};
use crate::provider::Provider;

/// Confirmed changes; their members are named by their places.
pub struct Confirmed(pub(in crate::run) Changes);

/// What an answer says about each member that was sent, by their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Written.
    pub updated: Vec<usize>,
    /// Not written.
    pub failed: Vec<usize>,
    /// To be sent again: locked, or in smaller groups.
    pub again: Vec<usize>,
    /// Nobody knows.
    pub silent: Vec<usize>,
    /// The limit of a day ran out within the request.
    pub exhausted: bool,
}

impl Settled {
    fn of(reconciled: &Reconciled) -> Settled {
        let mut settled = Settled::default();
        settled.add(&reconciled.outcomes);
        settled.silent.clone_from(&reconciled.silent);
        settled.again = reconciled
            .locked
            .iter()
            .map(|(member, _)| *member)
            .chain(reconciled.split.iter().flatten().copied())
            .collect();
        settled
    }

    fn add(&mut self, outcomes: &Outcomes) {
        let Some(batch) = outcomes.batch() else { return };
        for (row, status) in batch.rows.iter().zip(&batch.statuses) {
            let member = *row as usize - 1;
            match status {
                Status::Updated => self.updated.push(member),
                _ => self.failed.push(member),
            }
        }
    }
}

impl Confirmed {
    /// Of ids and JSON objects. Rows are counted from 1.
    pub fn new(records: &[(String, String)]) -> Confirmed {
        let mut batch = ChangeBatch {
            rows: (1..=records.len() as u64).collect(),
            ids: Strings { bytes: String::new(), offsets: vec![0] },
            fields: Strings { bytes: String::new(), offsets: vec![0] },
            before: None,
            doubtful: false,
        };
        for (id, fields) in records {
            for (strings, text) in [(&mut batch.ids, id), (&mut batch.fields, fields)] {
                strings.bytes.push_str(text);
                strings.offsets.push(strings.bytes.len() as u32);
            }
        }
        Confirmed(Changes::new(batch).unwrap_or_else(|error| panic!("{error:?}")))
    }

    /// A 2xx answer to an update of all of them. `None`: it is not such an answer.
    pub fn accepted(&self, provider: Provider, status: u16, body: &[u8]) -> Option<Settled> {
        let members = self.0.members();
        match provider {
            Provider::HubSpot => hubspot::reconcile_accepted(&self.0, &members, status, body)
                .as_ref()
                .map(Settled::of),
            Provider::Salesforce => {
                match salesforce::reconcile_accepted(&self.0, &members, status, body) {
                    Collection::Reconciled(reconciled) => Some(Settled::of(&reconciled)),
                    Collection::Exhausted(reconciled, _) => {
                        Some(Settled { exhausted: true, ..Settled::of(&reconciled) })
                    }
                    Collection::Unusable(_) => None,
                }
            }
        }
    }

    /// An update that was refused.
    pub fn refused(&self, provider: Provider, status: u16, body: &[u8]) -> Settled {
        let (members, error) = (self.0.members(), CrmError::of_body(provider, body));
        match provider {
            Provider::HubSpot => {
                Settled::of(&hubspot::reconcile_refused(&self.0, &members, status, &error))
            }
            Provider::Salesforce => {
                Settled::of(&salesforce::reconcile_refused(&self.0, &members, status, &error))
            }
        }
    }

    /// How many records a read of all of them shows. `None`: it is not such an answer.
    pub fn read(&self, provider: Provider, body: &[u8]) -> Option<usize> {
        match provider {
            Provider::HubSpot => {
                hubspot::record(body);
                hubspot::record_id(body);
                hubspot::records(body).map(|records| records.len())
            }
            Provider::Salesforce => salesforce::records(&self.0, &self.0.members(), body)
                .map(|records| records.iter().flatten().count()),
        }
    }
}

/// Judges an answer.
pub fn is_judged(
    config: &Config,
    writes: bool,
    many: bool,
    status: u16,
    retry_after: Option<u64>,
    body: &[u8],
) {
    let (method, body_sent) = if many { ("POST", "{}") } else { ("GET", "") };
    let request = Request {
        writes,
        method,
        path: "/x".to_owned(),
        headers: Vec::new(),
        body: body_sent.to_owned(),
        media: Media::Json,
    };
    judge(config, &request, &Answer { status, retry_after, body: body.to_vec() });
}
