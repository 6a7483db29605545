//! Runs as a whole, against a small CRM in memory.

mod any_fault;
mod blocked;
mod bulk;
mod crm;
mod evidence;
mod hubspot;
mod jobs;
mod refused;
mod salesforce;
