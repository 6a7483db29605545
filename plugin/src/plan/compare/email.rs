//! E-mail addresses that another record of the CRM has already. Writing one would be refused
//! (HubSpot) or make a duplicate (Salesforce), and most likely the resolver has put two people into
//! one; so a plan with such a change needs an override.

use super::comparer::{Compared, Comparer};
use crate::contract::types::Error;
use crate::crm::exchange::Exchange;
use crate::crm::network::{Network, Request};
use crate::crm::route::BodyForm;
use crate::crm::template::{Filling, Template, push_query_value};
use crate::crm::{hubspot::answers as hubspot, routes, salesforce::answers as salesforce};
use crate::provider::Provider;
use crate::provider_id::shown;
use crate::values::encode::push_json_string;
use crate::values::field::Kind;
use crate::values::json::text;
use crate::values::members::Members;

/// The name to override by.
const GUARD: &str = "email_taken";
/// Addresses in one query: its URL has to stay far below Salesforce's 16,384 bytes (crm-apis B8).
const QUERY_ADDRESSES: usize = 60;
/// Addresses in one read of HubSpot (crm-apis A4).
const READ_ADDRESSES: usize = 100;

/// What is the matter with a change that writes one.
const TAKEN: &str = "with an e-mail address that another record has";
/// What is the matter with a change whose address could not be looked up.
const UNCHECKED: &str =
    "with an e-mail address that another record may have, because it could not be looked up";

/// An address that is about to be written.
struct Address {
    row: u64,
    id: String,
    address: String,
}

impl<N: Network> Comparer<'_, N> {
    /// Looks for the owners of the addresses in these changes.
    pub(super) async fn look_for_owners(&self, compared: &mut Compared) -> Result<(), Error> {
        for (name, addresses) in self.addresses(compared) {
            let most = match self.crm.config.provider {
                Provider::HubSpot => READ_ADDRESSES,
                Provider::Salesforce => QUERY_ADDRESSES,
            };
            for addresses in addresses.chunks(most) {
                let owners = match self.owners(&name, addresses).await? {
                    Ok(owners) => owners,
                    Err(why) => {
                        addresses.iter().for_each(|unchecked| {
                            compared.flag(GUARD, UNCHECKED, unchecked.row, &why)
                        });
                        continue;
                    }
                };
                for wanted in addresses {
                    let is_taken = |(owner, held): &&(String, String)| {
                        wanted.id != *owner && wanted.address.to_lowercase() == held.to_lowercase()
                    };
                    if let Some((owner, _)) = owners.iter().find(is_taken) {
                        compared.flag(
                            GUARD,
                            TAKEN,
                            wanted.row,
                            &format!("record {owner} has `{}`", shown(&wanted.address)),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// By field: what would be written.
    fn addresses(&self, compared: &Compared) -> Vec<(String, Vec<Address>)> {
        let mut fields: Vec<(String, Vec<Address>)> = Vec::new();
        for (at, row) in compared.rows.iter().enumerate() {
            let Some(members) = Members::parse(compared.fields.get(at)) else { continue };
            for (name, value) in members.iter() {
                let known = self.metadata.field(self.crm.config.provider, name);
                let Some(address) = text(value).filter(|text| text.contains('@')) else { continue };
                if !known.is_some_and(|field| matches!(field.kind, Kind::Email { .. }))
                    || !self.can_look_up(name)
                {
                    continue;
                }
                let address = Address {
                    row: *row,
                    id: compared.ids.get(at).to_owned(),
                    address: address.into_owned(),
                };
                match fields.iter_mut().find(|(field, _)| field == name) {
                    Some((_, addresses)) => addresses.push(address),
                    None => fields.push((name.to_owned(), vec![address])),
                }
            }
        }
        fields
    }

    /// HubSpot finds contacts by e-mail, and no other object (crm-apis A3).
    fn can_look_up(&self, name: &str) -> bool {
        self.crm.config.provider == Provider::Salesforce
            || (name == "email" && matches!(self.crm.config.object.as_str(), "contacts" | "0-1"))
    }

    /// The records that have these addresses: id and address. `Err`: why the CRM does not tell.
    async fn owners(
        &self,
        name: &str,
        addresses: &[Address],
    ) -> Result<Result<Vec<(String, String)>, String>, Error> {
        let Some(route) = &routes::of(self.crm.config.provider).by_email else {
            return Ok(Ok(Vec::new()));
        };
        let config = self.crm.config;
        let template = |text: &str| Template::new(text, config);
        let (mut path, mut body) = (template(route.path).filled(Filling::default()), String::new());
        match self.crm.config.provider {
            Provider::HubSpot => {
                let BodyForm::Many { open, item, close, .. } = route.body else {
                    return Ok(Ok(Vec::new()));
                };
                body.push_str(open);
                let item = template(item);
                for (at, wanted) in addresses.iter().enumerate() {
                    if at > 0 {
                        body.push(',');
                    }
                    let mut text = String::new();
                    push_json_string(&mut text, &wanted.address);
                    item.push(&mut body, Filling { text: &text, ..Filling::default() });
                }
                body.push_str(close);
            }
            Provider::Salesforce => {
                let quoted = |wanted: &Address| {
                    format!("'{}'", wanted.address.replace('\\', "\\\\").replace('\'', "\\'"))
                };
                let listed: Vec<String> = addresses.iter().map(quoted).collect();
                let object = &self.crm.config.object;
                let query = format!(
                    "SELECT Id,IsDeleted,{name} FROM {object} WHERE {name} IN ({})",
                    listed.join(",")
                );
                path.push_str("?q=");
                push_query_value(&mut path, &query);
            }
        }
        let request = Request::read(route.method, path, body);
        let usable = |body: &[u8]| match self.crm.config.provider {
            Provider::HubSpot => hubspot::records(body).is_some(),
            Provider::Salesforce => salesforce::rows(body).is_some(),
        };
        let answer = match self.crm.read(&request, usable).await? {
            Exchange::Accepted(answer) => answer,
            Exchange::Refused(status, error) => {
                return Ok(Err(format!("HTTP {status}, {}", error.told())));
            }
            Exchange::Doubtful(why) => return Ok(Err(why)),
        };
        Ok(Ok(match self.crm.config.provider {
            Provider::HubSpot => {
                let records = hubspot::records(&answer.body).unwrap_or_default().into_iter();
                records
                    .filter_map(|record| {
                        Some((record.id, text(record.properties.get("email")?.get())?.into_owned()))
                    })
                    .collect()
            }
            Provider::Salesforce => {
                let rows = salesforce::rows(&answer.body).unwrap_or_default().into_iter();
                let live = rows.filter(|row| row["IsDeleted"].as_bool() != Some(true));
                live.filter_map(|row| {
                    Some((row["Id"].as_str()?.to_owned(), row[name].as_str()?.to_owned()))
                })
                .collect()
            }
        }))
    }
}
