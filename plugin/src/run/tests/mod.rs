//! Runs as a whole, against a small CRM in memory.

mod any_fault;
mod bulk;
mod crm;
mod hubspot;
mod jobs;
mod salesforce;
