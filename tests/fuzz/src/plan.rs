//! Plans on disk: a folder that was altered is refused, and one that was altered by whoever knows
//! how to seal it is survived.

use crate::input::Input;
use reverse_sync::{
    fuzzing::{reseal, sample_plan},
    plan::{ChangeFilter, Plan, PlanId, changes_page, skipped_page},
};
use std::{fs, path::Path, sync::OnceLock};
use tempfile::TempDir;

pub(crate) struct Sample {
    pub(crate) dir: TempDir,
    pub(crate) id: PlanId,
    header: Vec<u8>,
    changes: Vec<u8>,
    skipped: Vec<u8>,
}

/// Changes of the plan that all inputs begin with.
pub(crate) const COUNT: u64 = 6;

/// In memory, where there is a file system that is.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

pub(crate) fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let dir = folder();
        let plan = sample_plan(dir.path(), COUNT);
        let id = plan.id().clone();
        let read = |name: &str| fs::read(dir.path().join(id.as_str()).join(name)).unwrap();
        let (header, changes, skipped) =
            (read("plan.json"), read("changes.arrow"), read("skipped.arrow"));
        Sample { id, header, changes, skipped, dir }
    })
}

pub(crate) fn plan(bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let plans = FOLDER.get_or_init(folder).path();
    let sample = sample();
    let mut input = Input(bytes);
    let kind = input.byte();
    let mut files = [sample.header.clone(), sample.changes.clone(), sample.skipped.clone()];
    let edited = &mut files[usize::from(kind % 3)];
    let altered = if kind / 4 % 4 == 0 {
        *edited = input.0.to_vec();
        true
    } else {
        input.edit(edited)
    };
    let sealed = kind / 64 % 2 == 1;
    let id = if sealed {
        let Some(id) = reseal(plans, &files[0], &files[1], &files[2]) else { return };
        id
    } else {
        let dir = plans.join(sample.id.as_str());
        fs::create_dir_all(&dir).unwrap();
        for (name, bytes) in ["plan.json", "changes.arrow", "skipped.arrow"].iter().zip(&files) {
            fs::write(dir.join(name), bytes).unwrap();
        }
        sample.id.clone()
    };
    let loaded = Plan::load(plans, &id);
    if let Ok(plan) = &loaded {
        // JSON has several spellings of one header.
        let same = kind % 3 == 0
            && !sealed
            && serde_json::to_string(plan.header()).unwrap() == compact(&sample.header);
        assert!(sealed || !altered || same, "a plan that was altered is loaded");
        let mut changes = 0;
        let read = plan.for_each_change(|change| {
            changes += 1;
            assert!(change.provider_id.len() + change.fields.len() <= files[1].len());
        });
        assert!(altered || (read.is_ok() && changes == COUNT));
        if let Ok(rows) = plan.skipped_rows() {
            rows.take(1_000).for_each(drop);
        }
        let _ = plan.explained_rows(5);
        plan.header().hint();
    } else {
        assert!(altered, "{:?}", loaded.err());
    }
    pages(plans, &id);
    fs::remove_dir_all(plans.join(id.as_str())).unwrap();
}

fn compact(json: &[u8]) -> String {
    let header: reverse_sync::plan::Header = serde_json::from_slice(json).unwrap();
    serde_json::to_string(&header).unwrap()
}

/// Every page from the first on.
fn pages(plans: &Path, id: &PlanId) {
    let filters = [
        ChangeFilter::default(),
        ChangeFilter { field: Some("phone".to_owned()), provider_id: None },
    ];
    for filter in &filters {
        let mut after = None;
        for _ in 0..8 {
            let Ok(page) = changes_page(plans, id, after, 4, filter) else { break };
            assert!(page.items.len() <= 4);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    let mut after = None;
    for _ in 0..8 {
        let Ok(page) = skipped_page(plans, id, after, 4) else { break };
        after = page.next;
        if after.is_none() {
            break;
        }
    }
}
