//! The spelling of requests: the component writes it, and the host lets nothing out that is spelled
//! otherwise. What both have to agree on, byte for byte, stands here once.
//!
//! - [`template`]: the placeholders of the descriptor's templates
//! - [`csv`]: uploads of Salesforce's Bulk API

pub mod csv;
pub mod template;
