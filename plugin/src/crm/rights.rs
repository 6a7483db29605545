//! The rights that a credential needs: in the CRM's words, and scope by scope for each object
//! (crm-apis A2, B10).

use crate::contract::capabilities::{RequiredScope, RequiredScopes};
use crate::provider::Provider;

/// The rights a credential needs, in the CRM's own words.
pub(crate) fn required_rights(provider: Provider) -> &'static str {
    match provider {
        Provider::HubSpot => {
            "the scopes crm.objects.<object>.write and crm.objects.<object>.read, such as crm.objects.contacts.write (tickets: the scope tickets; custom objects: crm.objects.custom.write and .read)"
        }
        Provider::Salesforce => {
            "the OAuth scope api, and for its user: API Enabled, Edit on the object, Edit on each written field, access to the records"
        }
    }
}

/// HubSpot: name in the path, type id, scopes. Either may stand in `object`.
const HUBSPOT: [(&str, &str, &[Scope]); 7] = [
    ("contacts", "0-1", &[("crm.objects.contacts.read", &[]), ("crm.objects.contacts.write", &[])]),
    (
        "companies",
        "0-2",
        &[("crm.objects.companies.read", &[]), ("crm.objects.companies.write", &[])],
    ),
    ("deals", "0-3", &[("crm.objects.deals.read", &[]), ("crm.objects.deals.write", &[])]),
    ("tickets", "0-5", &[("tickets", &[])]),
    (
        "products",
        "0-7",
        &[("crm.objects.products.read", &[]), ("crm.objects.products.write", &["e-commerce"])],
    ),
    (
        "line_items",
        "0-8",
        &[("crm.objects.line_items.read", &[]), ("crm.objects.line_items.write", &[])],
    ),
    ("leads", "0-136", &[("crm.objects.leads.read", &[]), ("crm.objects.leads.write", &[])]),
];
/// HubSpot's own objects whose scopes are not among the facts.
const HUBSPOT_UNKNOWN: [(&str, &str); 8] = [
    ("quotes", "0-14"),
    ("communications", "0-18"),
    ("tasks", "0-27"),
    ("notes", "0-46"),
    ("meetings", "0-47"),
    ("calls", "0-48"),
    ("emails", "0-49"),
    ("users", "0-115"),
];
const HUBSPOT_CUSTOM: [Scope; 2] =
    [("crm.objects.custom.read", &[]), ("crm.objects.custom.write", &[])];
/// `full` stands for every scope but `refresh_token` (help.salesforce.com, "OAuth Tokens and
/// Scopes").
const SALESFORCE: [Scope; 1] = [("api", &["full"])];

/// A scope, and those that do instead.
type Scope = (&'static str, &'static [&'static str]);

pub(crate) fn required_scopes(provider: Provider) -> Vec<RequiredScopes> {
    match provider {
        Provider::HubSpot => {
            let known = HUBSPOT.iter().flat_map(|(name, id, scopes)| {
                [entry(Some(name), scopes), entry(Some(id), scopes)]
            });
            let unknown = HUBSPOT_UNKNOWN
                .iter()
                .flat_map(|(name, id)| [entry(Some(name), &[]), entry(Some(id), &[])]);
            known.chain(unknown).chain([entry(None, &HUBSPOT_CUSTOM)]).collect()
        }
        Provider::Salesforce => vec![entry(None, &SALESFORCE)],
    }
}

fn entry(object: Option<&str>, scopes: &[Scope]) -> RequiredScopes {
    let scope = |(name, alternatives): &Scope| RequiredScope {
        name: (*name).to_owned(),
        alternatives: alternatives.iter().map(|name| (*name).to_owned()).collect(),
    };
    RequiredScopes { object: object.map(str::to_owned), scopes: scopes.iter().map(scope).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_named_once_and_the_others_have_an_entry() {
        for provider in Provider::ALL {
            let entries = required_scopes(provider);
            let mut objects: Vec<_> = entries.iter().map(|entry| entry.object.as_deref()).collect();
            objects.sort_unstable();
            objects.dedup();
            assert_eq!(objects.len(), entries.len(), "{provider:?}");
            assert_eq!(objects[0], None, "{provider:?}");
        }
    }
}
