//! Cases side by side, and how many there were.

use crate::{disk::Kept, seeded::Seeded};
use std::{
    collections::BTreeMap,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};
use tokio::runtime::Runtime;

/// Works on all cases, as many at once as the machine has processors; those that fail are named,
/// all of them.
pub(crate) fn each<C: Sync>(
    cases: &[C],
    name: impl Fn(&C) -> String + Sync,
    work: impl Fn(&C) + Sync,
) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(case))) {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text
                            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                            .unwrap_or_default();
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(format!("{}: {text}", name(case)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n\n")
    );
}

/// How many of each there were, in one line.
pub(crate) fn summed<K: Ord + Display>(keys: impl Iterator<Item = K>) -> String {
    let mut counts = BTreeMap::<K, usize>::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts.iter().map(|(key, count)| format!("{key} {count}")).collect::<Vec<_>>().join(", ")
}

/// Whether all cases are tried.
pub(crate) fn all() -> bool {
    std::env::var("REVERSE_SYNC_FAULTS").is_ok_and(|value| value == "all")
}

/// The seed of what is drawn.
pub(crate) fn seed() -> u64 {
    std::env::var("REVERSE_SYNC_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Which states are tried where the power goes: with all, and at the last place, where all was
/// reported, each of those that have a name and several mixed ones; else two of them for each
/// place. Each case has a seed of its own.
pub(crate) fn states<P: Copy>(places: &[P]) -> Vec<(P, Kept, u64)> {
    let named = [Kept::Nothing, Kept::Names, Kept::Content, Kept::All];
    let mut seeded = Seeded::new(seed());
    let mut cases = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let each = all() || number + 1 == places.len();
        let drawn = named[seeded.below(named.len())];
        for kept in named.into_iter().filter(|kept| each || *kept == drawn) {
            cases.push((*place, kept, 0));
        }
        for _ in 0..if each { 8 } else { 1 } {
            cases.push((*place, Kept::Mixed, seeded.next()));
        }
    }
    cases
}

/// So many of the cases, or all if all are tried. They keep their order.
pub(crate) fn drawn<C>(mut cases: Vec<C>, many: usize) -> Vec<C> {
    let mut seeded = Seeded::new(seed());
    while !all() && cases.len() > many {
        cases.remove(seeded.below(cases.len()));
    }
    cases
}

/// What simulators and clients run on.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
