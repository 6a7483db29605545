//! The digest of the component, which grants and plans pin. A release says in a file which one it
//! has.

use anyhow::{Context, Result, bail};
use reverse_sync_component::{COMPILER, COMPONENT};
use sha2::{Digest, Sha256};
use std::fs;

const RECORD: &str = "plugin/component.digest";

/// Compares the component with the one on record. Another compiler makes another one.
pub(crate) fn check() -> Result<()> {
    let kept = fs::read_to_string(RECORD)
        .with_context(|| format!("{RECORD} is not there; `cargo xtask record` writes it"))?;
    let (built, compiler) = (built(), kept.lines().next().unwrap_or_default());
    if compiler != COMPILER {
        println!(
            "component: on record is one by {compiler}, and this is {COMPILER}; they cannot be compared"
        );
    } else if kept != built {
        bail!(
            "the component is not the one in {RECORD}:\n{built}If it was changed on purpose, `cargo xtask record` puts it on record"
        );
    }
    Ok(())
}

/// Puts the component on record.
pub(crate) fn record() -> Result<()> {
    Ok(fs::write(RECORD, built())?)
}

/// The component that was built, as it is recorded.
pub(crate) fn built() -> String {
    format!("{COMPILER}\nsha256:{}\n", sha256(COMPONENT))
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
