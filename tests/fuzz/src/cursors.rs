//! Cursors and names that people hand back: any text is refused, or is one that reads back.

use crate::plan::{COUNT, sample};
use reverse_sync::{
    digest::Digest,
    journal::{JournalId, RunId, outcomes_page},
    plan::{ChangeFilter, Cursor, PlanError, PlanId, changes_page, skipped_page},
};
use reverse_sync_service::fuzzing::{keys_cursor, log_page, number_cursor, plans_cursor};
use std::sync::OnceLock;

/// A request log: entries, what was dropped, a line that a crash has torn, and one that is being
/// written.
const LOG: &str = concat!(
    r#"{"at":"2026-11-30T08:34:54Z","method":"GET","path":"/x","status":200,"milliseconds":3}"#,
    "\n{\"dropped\":2}\n{\"torn\n{\"dropped\":1}\n{\"dropp"
);

pub(crate) fn cursor(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<PlanId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(id) = text.parse::<RunId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(id) = text.parse::<JournalId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert!(digest.to_string().eq_ignore_ascii_case(text));
    }
    for read in [keys_cursor, plans_cursor] {
        if let Some(written) = read(text) {
            assert_eq!(read(&written), Some(written));
        }
    }
    number_cursor(text);
    if let Ok(after) = text.parse::<u64>() {
        static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
        let dir = FOLDER.get_or_init(|| {
            let dir = crate::plan::folder();
            assert!(log_page(dir.path(), Some(LOG.as_bytes()), None, 10).is_some());
            dir
        });
        let begins = after == 0
            || (after <= LOG.len() as u64 && LOG.as_bytes()[after as usize - 1] == b'\n');
        assert_eq!(log_page(dir.path(), None, Some(after), 2).is_some(), begins, "{after}");
    }
    let Ok(cursor) = text.parse::<Cursor>() else { return };
    assert_eq!(cursor.to_string().parse::<Cursor>().as_ref(), Ok(&cursor));
    let plan = sample();
    let (plans, id) = (plan.dir.path(), &plan.id);
    match changes_page(plans, id, Some(cursor), 4, &ChangeFilter::default()) {
        Ok(page) => {
            assert!(page.items.iter().all(|change| change.change < COUNT
                && change.row % 2 == 1
                && !change.provider_id.is_empty()));
            assert!(page.items.windows(2).all(|pair| pair[0].change < pair[1].change));
        }
        Err(PlanError::Cursor { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    assert!(matches!(
        skipped_page(plans, id, Some(cursor), 4),
        Ok(_) | Err(PlanError::Cursor { .. })
    ));
    if let Ok(page) = outcomes_page(plans, id, None, None, Some(cursor), 4) {
        assert!(page.items.iter().all(|change| change.change < COUNT));
    }
}
