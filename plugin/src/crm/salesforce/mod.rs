//! Salesforce: its routes, its answers, its description of objects, its Bulk API.

pub(crate) mod answers;
pub(crate) mod bulk;
pub(crate) mod metadata;
pub(crate) mod routes;
