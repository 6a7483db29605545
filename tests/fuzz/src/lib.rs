//! Fuzz targets: whatever parses what is not ours, each as a function of any bytes that panics if
//! something does not hold.
//!
//! `cargo xtask fuzz` runs them under libFuzzer; README.md says how. Without `--cfg fuzzing` there
//! is nothing here, for the parsers are private.

#![cfg(fuzzing)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a target that panics has found something, which is what it is for"
)]

mod answers;
mod bulk;
mod cursors;
mod golden;
mod input;
mod journal;
mod outline;
mod parquet;
mod plan;
mod run;
mod statement;
mod templates;
mod upload;
mod values;
mod witness;

/// What is fuzzed: it panics if something does not hold.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 18] = [
    ("answers_hubspot", answers::hubspot),
    ("answers_salesforce", answers::salesforce),
    ("bulk_csv", bulk::bulk_csv),
    ("cursor", cursors::cursor),
    ("golden_csv", golden::csv),
    ("golden_jsonl", golden::jsonl),
    ("golden_parquet", parquet::parquet),
    ("journal", journal::journal),
    ("metadata", values::metadata),
    ("outline", outline::outline),
    ("plan", plan::plan),
    ("run_hubspot", run::hubspot),
    ("run_salesforce", run::salesforce),
    ("statement", statement::statement),
    ("template", templates::template),
    ("upload_csv", upload::upload_csv),
    ("value", values::value),
    ("witness", witness::witness),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|(known, _)| *known == name).map(|(_, target)| target)
}
