//! Where the CRM of a provider and its token endpoint are, where all its customers have them at the same place.
//!
//! The one thing that the host knows about CRMs by name: a component must not be the one to say where credentials go.

use crate::egress::base_url::BaseUrl;

/// The base URL that all customers of a provider share, if they do.
pub fn base_url(provider: &str) -> Option<&'static str> {
    (provider == "hubspot").then_some("https://api.hubapi.com")
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
