//! Salesforce's Bulk API 2.0: the steps of a job, its CSV, and what it says about itself and its
//! rows. (crm-apis B9)

pub(crate) mod csv;
pub(crate) mod job;
pub(crate) mod step;
