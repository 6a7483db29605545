//! Runs as a whole, against the CRM simulator's core.

mod any_fault;
mod blocked;
mod bulk;
mod evidence;
mod fixture;
mod hubspot;
mod refused;
mod salesforce;
