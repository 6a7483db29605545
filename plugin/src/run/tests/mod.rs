//! Runs as a whole, against a small CRM in memory.

mod any_fault;
mod crm;
mod hubspot;
mod salesforce;
