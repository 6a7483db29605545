//! What the fuzz targets reach of the inside: thin functions around parsers that are private. Only
//! in builds of `cargo xtask fuzz`.

pub use crate::{
    capability::fuzzing::{are_jobs_allowed, csv_ids, job_names},
    config_values::ConfigValues,
    journal::fuzzing::{JournalText, read_journal, sealed_lines},
    plan::fuzzing::{reseal, sample_plan},
    records::fuzzing::{Table, csv, jsonl, marked_csv, parquet},
};
