//! What the fuzz targets reach of the inside: thin functions around parsers that are private. Only
//! in builds of `cargo xtask fuzz`.

pub use crate::{
    api::fuzzing::{keys_cursor, number_cursor, plans_cursor},
    golden::query::fuzzing::single_select,
    observe::request_log::fuzzing::log_page,
};
