//! Where the CRM of a provider and its token endpoint are, where all its customers have them at the
//! same place; and by what name an answer of that endpoint calls the account.
//!
//! The one thing that the host knows about CRMs by name: a component must not be the one to say
//! where credentials go.
//!
//! ```
//! use reverse_sync::egress::credential::well_known;
//!
//! assert_eq!(well_known::base_url("hubspot"), Some("https://api.hubapi.com"));
//! assert_eq!(well_known::base_url("salesforce"), None);
//! ```

use crate::{egress::base_url::BaseUrl, ids::Account};
use serde_json::Value;

/// The base URL that all customers of a provider share, if they do.
pub fn base_url(provider: &str) -> Option<&'static str> {
    (provider == "hubspot").then_some("https://api.hubapi.com")
}

/// A base URL that is a place of the CRM's, but not the one where its API is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("base_url `{url}`: {what}; the API is at {right}")]
pub struct NotTheApi {
    url: String,
    what: &'static str,
    right: String,
}

/// Whether a provider's API can be at a base URL. Credentials go there, so this is asked before
/// anything leaves.
///
/// # Errors
/// Places of the CRM's own that people see in their browser, or that only log them in; and its API
/// with a path, which requests bring along.
pub fn check_base_url(provider: &str, base_url: &BaseUrl) -> Result<(), NotTheApi> {
    let host = base_url.host().trim_end_matches('.');
    let wrong = |what, right| {
        Err(NotTheApi { url: base_url.as_str().chars().take(200).collect(), what, right })
    };
    match provider {
        "hubspot" => {
            let right = || "https://api.hubapi.com".to_owned();
            match host {
                "hubspot.com" => wrong("this is HubSpot's website", right()),
                host if host.ends_with(".hubspot.com") && host != "api.hubspot.com" => {
                    wrong("this is what people see in their browser", right())
                }
                host if host.ends_with(".hubapi.com") && base_url.has_path() => wrong(
                    "a base URL of HubSpot's API ends with its host",
                    format!("https://{host}"),
                ),
                _ => Ok(()),
            }
        }
        "salesforce" => {
            let my_domain = || {
                "https://MYDOMAIN.my.salesforce.com, with the org's own My Domain (Setup > My Domain)".to_owned()
            };
            if matches!(host, "login.salesforce.com" | "test.salesforce.com") {
                return wrong("this host only logs people in", my_domain());
            }
            if matches!(
                host,
                "salesforce.com"
                    | "www.salesforce.com"
                    | "help.salesforce.com"
                    | "developer.salesforce.com"
                    | "force.com"
            ) {
                return wrong("this is a website of Salesforce's", my_domain());
            }
            // These begin with the My Domain, and with the sandbox or kind of org, as the right one
            // does.
            for suffix in [".lightning.force.com", ".my.salesforce-setup.com"] {
                if let Some(name) = host.strip_suffix(suffix) {
                    return wrong(
                        "this is what people see in their browser",
                        format!("https://{name}.my.salesforce.com"),
                    );
                }
            }
            let pages = [
                ".force.com",
                ".visualforce.com",
                ".salesforce-setup.com",
                ".salesforce-sites.com",
                ".salesforce-experience.com",
                ".site.com",
            ];
            if pages.iter().any(|suffix| host.ends_with(suffix)) {
                return wrong("this is where an org's pages and sites are", my_domain());
            }
            if host.ends_with(".salesforce.com") && base_url.has_path() {
                return wrong(
                    "a base URL of Salesforce's API ends with its host",
                    format!("https://{host}"),
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where a provider's access tokens come from (crm-apis A10, B10).
pub fn token_url(provider: &str, base_url: &BaseUrl) -> Option<String> {
    match provider {
        "hubspot" => Some(format!("{base_url}/oauth/v3/token")),
        "salesforce" => Some(format!("{base_url}/services/oauth2/token")),
        _ => None,
    }
}

/// What a provider's token endpoint calls itself in assertions (crm-apis B10).
pub fn audience(provider: &str, base_url: &BaseUrl) -> Option<String> {
    (provider == "salesforce").then(|| base_url.to_string())
}

/// Where the answer of a token endpoint names the account that the token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountInAnswer {
    member: &'static str,
    /// The account is the segment that follows this in a URL.
    after: Option<&'static str>,
    /// A spelling of so many characters means the same as any that begins with it.
    short: Option<usize>,
}

/// Where a provider's token endpoint names the account: HubSpot in `hub_id`; Salesforce in `id`,
/// the URL of the user (`https://login.salesforce.com/id/<org>/<user>`), with the org's id in 18
/// characters or the first 15 of them (crm-apis A10, B10).
pub fn account_in_answer(provider: &str) -> Option<AccountInAnswer> {
    match provider {
        "hubspot" => Some(AccountInAnswer { member: "hub_id", after: None, short: None }),
        "salesforce" => {
            Some(AccountInAnswer { member: "id", after: Some("/id/"), short: Some(15) })
        }
        _ => None,
    }
}

impl AccountInAnswer {
    /// The account, if the answer names one. What is not of this form says nothing.
    pub(super) fn read(self, answer: &Value) -> Option<Account> {
        match (answer.get(self.member)?, self.after) {
            (Value::Number(number), None) => number.as_u64()?.to_string().parse().ok(),
            (Value::String(text), None) => text.parse().ok(),
            (Value::String(url), Some(after)) => {
                let (account, user) = url.split_once(after)?.1.split_once('/')?;
                if user.is_empty() { None } else { account.parse().ok() }
            }
            _ => None,
        }
    }

    /// Whether two names are those of one account.
    pub(super) fn same(self, one: &Account, other: &Account) -> bool {
        let (one, other) = (one.as_str(), other.as_str());
        let begins =
            |short: &str, long: &str| self.short == Some(short.len()) && long.starts_with(short);
        one == other || begins(one, other) || begins(other, one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(provider: &str, url: &str) -> Option<String> {
        check_base_url(provider, &BaseUrl::parse(url, false).unwrap())
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn places_of_a_crm_where_its_api_is_not_are_refused_with_the_right_one() {
        for (provider, url, right) in [
            ("salesforce", "https://login.salesforce.com", "https://MYDOMAIN.my.salesforce.com"),
            ("salesforce", "https://test.salesforce.com/", "https://MYDOMAIN.my.salesforce.com"),
            (
                "salesforce",
                "https://LOGIN.salesforce.com:443",
                "https://MYDOMAIN.my.salesforce.com",
            ),
            ("salesforce", "https://login.salesforce.com.", "https://MYDOMAIN.my.salesforce.com"),
            ("salesforce", "https://www.salesforce.com", "https://MYDOMAIN.my.salesforce.com"),
            ("salesforce", "https://acme.lightning.force.com", "https://acme.my.salesforce.com"),
            (
                "salesforce",
                "https://acme.lightning.force.com/lightning/o/Contact/list",
                "https://acme.my.salesforce.com",
            ),
            (
                "salesforce",
                "https://acme--dev.sandbox.lightning.force.com",
                "https://acme--dev.sandbox.my.salesforce.com",
            ),
            (
                "salesforce",
                "https://acme.my.salesforce-setup.com",
                "https://acme.my.salesforce.com",
            ),
            ("salesforce", "https://acme--c.vf.force.com", "https://MYDOMAIN.my.salesforce.com"),
            (
                "salesforce",
                "https://acme--c.na139.visual.force.com",
                "https://MYDOMAIN.my.salesforce.com",
            ),
            ("salesforce", "https://acme--c.visualforce.com", "https://MYDOMAIN.my.salesforce.com"),
            ("salesforce", "https://acme.my.site.com", "https://MYDOMAIN.my.salesforce.com"),
            (
                "salesforce",
                "https://acme.my.salesforce-sites.com",
                "https://MYDOMAIN.my.salesforce.com",
            ),
            (
                "salesforce",
                "https://acme.my.salesforce.com/services/data/v67.0",
                "https://acme.my.salesforce.com",
            ),
            ("hubspot", "https://app.hubspot.com", "https://api.hubapi.com"),
            ("hubspot", "https://app-eu1.hubspot.com/contacts/2222222", "https://api.hubapi.com"),
            ("hubspot", "https://hubspot.com", "https://api.hubapi.com"),
            ("hubspot", "https://api.hubapi.com/crm/v3", "https://api.hubapi.com"),
        ] {
            let said = checked(provider, url).unwrap_or_else(|| panic!("{url} is taken"));
            assert!(
                said.contains("base_url") && said.contains(&format!("the API is at {right}")),
                "{url}: {said}"
            );
        }
        for (provider, url) in [
            ("salesforce", "https://acme.my.salesforce.com"),
            ("salesforce", "https://acme--dev.sandbox.my.salesforce.com/"),
            ("salesforce", "https://na139.salesforce.com"),
            ("salesforce", "https://acme.my.salesforce.mil"),
            ("salesforce", "https://notlightning.force.com.example"),
            ("salesforce", "http://127.0.0.1:8099"),
            ("salesforce", "https://gateway.acme.example/salesforce"),
            ("hubspot", "https://api.hubapi.com"),
            ("hubspot", "https://api-eu1.hubapi.com"),
            ("hubspot", "http://localhost:8099/crm"),
            ("hubspot", "https://app.nothubspot.com"),
            ("other", "https://login.salesforce.com"),
        ] {
            assert_eq!(checked(provider, url), None, "{url}");
        }
    }

    #[test]
    fn a_token_endpoint_names_the_account_in_its_own_way() {
        for (provider, answer, account) in [
            ("hubspot", json!({"hub_id": 2_222_222}), Some("2222222")),
            ("hubspot", json!({"hub_id": "2222222"}), Some("2222222")),
            ("hubspot", json!({"hub_id": 1.5}), None),
            ("hubspot", json!({"hub_id": null}), None),
            ("hubspot", json!({"id": "https://login.salesforce.com/id/00D/005"}), None),
            (
                "salesforce",
                json!({"id": "https://login.salesforce.com/id/00D5t0000000001EAA/0055t000000001AAA"}),
                Some("00D5t0000000001EAA"),
            ),
            (
                "salesforce",
                json!({"id": "https://test.salesforce.com/id/00D5t0000000001/0055t000000001"}),
                Some("00D5t0000000001"),
            ),
            (
                "salesforce",
                json!({"id": "https://login.salesforce.com/id/00D5t0000000001EAA"}),
                None,
            ),
            (
                "salesforce",
                json!({"id": "https://login.salesforce.com/id//0055t000000001AAA"}),
                None,
            ),
            ("salesforce", json!({"id": 7, "hub_id": 2_222_222}), None),
            ("salesforce", json!([]), None),
        ] {
            let read = account_in_answer(provider).unwrap().read(&answer);
            assert_eq!(read.as_ref().map(Account::as_str), account, "{answer}");
        }
        assert_eq!(account_in_answer("other"), None);
    }

    #[test]
    fn an_org_is_known_by_its_short_id_too_and_by_nothing_shorter() {
        let same = |provider: &str, one: &str, other: &str| {
            account_in_answer(provider)
                .unwrap()
                .same(&one.parse().unwrap(), &other.parse().unwrap())
        };
        assert!(same("salesforce", "00D5t0000000001EAA", "00D5t0000000001EAA"));
        assert!(same("salesforce", "00D5t0000000001", "00D5t0000000001EAA"));
        assert!(same("salesforce", "00D5t0000000001EAA", "00D5t0000000001"));
        assert!(!same("salesforce", "00D5t0000000002", "00D5t0000000001EAA"));
        assert!(!same("salesforce", "00d5t0000000001", "00D5t0000000001EAA"));
        assert!(!same("salesforce", "00D5t", "00D5t0000000001EAA"));
        assert!(!same("hubspot", "222222222222222", "222222222222222333"));
    }
}
