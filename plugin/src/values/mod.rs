//! Values: how they are spelled (`encode`, `json`, `members`, `times`), which fields take them
//! (`field`), what they become on their way into one (`coerce`), and when two are one (`normal`).
//! No network, no contract.

pub mod coerce;
pub mod encode;
pub mod field;
pub(crate) mod json;
pub(crate) mod members;
pub(crate) mod normal;
pub(crate) mod times;
