//! What the fuzz targets reach of the inside: thin functions around parsers that are private. Only
//! in builds of `cargo xtask fuzz`.

pub use crate::run::bulk::fuzzing as bulk;
pub use crate::run::fuzzing::{Confirmed, Settled, is_judged};

use crate::crm::metadata::parsed;
use crate::crm::{hubspot, salesforce};
use crate::provider::Provider;
use crate::provider_id;
use crate::values::field::{Kind, Metadata};
use crate::values::members::Members;
use crate::values::normal::{self, Likeness};
use crate::values::{json, times};

/// The fields that an answer about metadata tells of.
pub fn metadata(provider: Provider, body: &[u8]) -> Option<Metadata> {
    parsed(provider, body)
}

/// What two JSON values of a field have in common: 0 nothing, 1 nobody can tell, 2 one value in two
/// spellings, 3 everything.
pub fn likeness(provider: Provider, kind: Option<&Kind>, wanted: &str, held: &str) -> u8 {
    match normal::likeness(provider, kind, wanted, held) {
        Likeness::Different => 0,
        Likeness::Masked => 1,
        Likeness::Same => 2,
        Likeness::Exact => 3,
    }
}

/// Milliseconds since 1970.
pub fn instant(text: &str) -> Option<i64> {
    times::instant(text)
}

/// Minutes east of UTC.
pub fn offset(text: &str) -> Option<i64> {
    times::offset(text)
}

/// A JSON value as text.
pub fn scalar(json: &str) -> Option<String> {
    json::scalar(json).map(|text| text.into_owned())
}

/// The items of a JSON list as texts.
pub fn items(json: &str) -> Option<Vec<String>> {
    json::items(json).map(|items| items.into_iter().map(|item| item.into_owned()).collect())
}

/// A record id in its normal form, or what is wrong with it.
///
/// # Errors
/// If it is not pristine.
pub fn record_id(provider: Provider, text: &str) -> Result<String, String> {
    let mut normal = String::new();
    provider_id::append_normal(provider, text, &mut normal)
        .map(|()| normal)
        .map_err(|_| provider_id::explain(provider, text))
}

/// The records of an answer to a read while comparing: HubSpot's with their ids, Salesforce's by
/// their places.
pub fn compared(
    provider: Provider,
    body: &[u8],
) -> Option<Vec<Option<(String, Vec<(String, String)>)>>> {
    let texts = |members: &Members<'_>| {
        members.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    match provider {
        Provider::HubSpot => {
            let records = hubspot::answers::held(body)?;
            Some(
                records
                    .iter()
                    .map(|(id, members)| Some((id.to_string(), texts(members))))
                    .collect(),
            )
        }
        Provider::Salesforce => {
            let records = salesforce::answers::held(body)?;
            Some(
                records
                    .iter()
                    .map(|record| record.as_ref().map(|members| (String::new(), texts(members))))
                    .collect(),
            )
        }
    }
}
