//! See [`crate::fuzzing`].

use super::{Header, Plan, PlanId, sample};
use std::path::Path;

/// A small plan, made by the code that makes all of them.
pub fn sample_plan(plans_dir: &Path, count: u64) -> Plan {
    sample::plan(plans_dir, count)
}

/// Puts a folder's files under the header that fits them, as if that plan had been made: what is
/// behind the digests is read then. The folder's name is the one that the plan then has.
pub fn reseal(plans_dir: &Path, header: &[u8], changes: &[u8], skipped: &[u8]) -> Option<PlanId> {
    Header::reseal(plans_dir, header, changes, skipped)
}
