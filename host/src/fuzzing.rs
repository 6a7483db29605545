//! What the fuzz targets reach of the inside: thin functions around parsers that are private. Only in builds of `cargo xtask fuzz`.

#[cfg(feature = "server")]
pub use crate::server::{
    api::fuzzing::{keys_cursor, number_cursor, plans_cursor},
    golden::query::fuzzing::single_select,
    observe::request_log::fuzzing::log_page,
};
pub use crate::{
    capability::fuzzing::{are_jobs_allowed, csv_ids, job_names},
    config_values::ConfigValues,
    journal::fuzzing::{JournalText, read_journal, sealed_lines},
    plan::fuzzing::{reseal, sample_plan},
    records::fuzzing::{Table, csv, jsonl, marked_csv, parquet},
};
