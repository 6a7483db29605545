//! Which part of the product a file belongs to.

use std::path::Path;

/// What keeps something on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subsystem {
    Journal,
    Plan,
    Component,
    AuditLog,
    RefreshToken,
    Artefact,
    /// The service's database, with SQLite's log and index beside it.
    Store,
    /// The service's `state.json` and `keys`, which are written alike.
    StateFiles,
    Golden,
    /// Folders that hold the others.
    Folders,
}

/// The part that a path belongs to, relative to the folder that is watched; `None` if it is not part
/// of the state.
pub(crate) fn subsystem(path: &Path) -> Option<Subsystem> {
    let text = path.to_str()?;
    let holds = |part: &str| path.iter().any(|name| name == part);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Some(match () {
        () if holds("runs") => Subsystem::Journal,
        () if holds("plans") => Subsystem::Plan,
        () if holds("components") => Subsystem::Component,
        () if holds("audit_log.jsonl") => Subsystem::AuditLog,
        () if holds("credentials") || holds("secrets") => Subsystem::RefreshToken,
        () if holds("cache") => Subsystem::Artefact,
        () if holds("golden") => Subsystem::Golden,
        () if name.starts_with("reverse-sync.db") => Subsystem::Store,
        () if text.starts_with("state/") && (holds("orgs") || name == "lock") => Subsystem::Folders,
        () if text.starts_with("state/") => Subsystem::StateFiles,
        () if text == ".reverse-sync" || text == "state" => Subsystem::Folders,
        () => return None,
    })
}
