//! HubSpot: its routes, its answers, its definitions of properties.

pub(crate) mod answers;
pub(crate) mod metadata;
pub(crate) mod routes;
