//! Which CRM has which routes.

use super::route::Routes;
use super::{hubspot, salesforce};
use crate::provider::Provider;

/// The requests of a provider.
pub(crate) fn of(provider: Provider) -> &'static Routes {
    match provider {
        Provider::HubSpot => &hubspot::routes::ROUTES,
        Provider::Salesforce => &salesforce::routes::ROUTES,
    }
}
