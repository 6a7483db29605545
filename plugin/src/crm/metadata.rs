//! What the CRM says about the fields of the configured object: asked once in a plan or a run, read
//! as each CRM answers.

use super::exchange::{Exchange, exchange, unavailable};
use super::network::{Network, Request};
use super::template::{Filling, Template};
use super::{hubspot, routes, salesforce};
use crate::config::{Config, invalid_key};
use crate::contract::types::{Error, ErrorKind};
use crate::provider::Provider;
use crate::values::field::Metadata;
use std::cell::Cell;

/// Asks the CRM for the fields of the configured object.
///
/// # Errors
/// If it cannot be had: an object that does not exist, a missing right, a CRM that is down.
pub(crate) async fn read<N: Network>(config: &Config, network: &N) -> Result<Metadata, Error> {
    let route = &routes::of(config.provider).describe;
    let path = Template::new(route.path, config).filled(Filling::default());
    let request = Request::read(route.method, path, String::new());
    let crm = config.provider.name();
    for _ in 0..3 {
        match exchange(config, network, &request, &Cell::default(), &Cell::default()).await? {
            Exchange::Accepted(answer) => {
                if let Some(metadata) = parsed(config.provider, &answer.body) {
                    return Ok(metadata);
                }
            }
            Exchange::Refused(400 | 404, error) => {
                let text = format!(
                    "{crm} knows no object `{}`, or this credential does not see it ({}); check `object`",
                    config.object,
                    error.told()
                );
                return Err(invalid_key("object", text));
            }
            Exchange::Refused(status, error) => {
                let message = format!(
                    "{crm} does not show the fields of `{}`: HTTP {status}, {}",
                    config.object,
                    error.told()
                );
                return Err(Error::new(ErrorKind::Rejected, error.code, message));
            }
            Exchange::Doubtful(_) => {}
        }
    }
    Err(unavailable(
        config,
        3,
        "an answer to a read of its metadata that is not in the documented form",
    ))
}

/// What an answer in the documented form tells of.
pub(crate) fn parsed(provider: Provider, body: &[u8]) -> Option<Metadata> {
    let fields = match provider {
        Provider::HubSpot => hubspot::metadata::parse(body),
        Provider::Salesforce => salesforce::metadata::parse(body),
    };
    fields.map(|fields| Metadata::new(provider, fields))
}
