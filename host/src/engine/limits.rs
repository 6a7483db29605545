//! What the memories and tables of one store may come to.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use wasmtime::ResourceLimiter;

/// Core instances, and tables, that a component may have. The bundled one has a dozen.
pub(super) const MAX_CORE_INSTANCES: u32 = 32;
/// Elements of a table.
pub(super) const MAX_TABLE: usize = 50_000;

/// Bytes over all memories and tables of one store, at most.
#[derive(Clone, Default)]
pub(crate) struct PeakMemory(Arc<AtomicU64>);

impl PeakMemory {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes over all memories and tables of one store.
pub(super) struct Limits {
    used: usize,
    max: usize,
    peak: PeakMemory,
}

impl Limits {
    pub(super) fn new(max: usize) -> Limits {
        Limits { used: 0, max, peak: PeakMemory::default() }
    }

    /// The most that they have been; it can be asked when the store is gone.
    pub(super) fn peak(&self) -> PeakMemory {
        self.peak.clone()
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = self.used - current.min(self.used) + desired;
        if used > self.max {
            return false;
        }
        self.used = used;
        self.peak.0.fetch_max(used as u64, Relaxed);
        true
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE
            && self.grow(current * size_of::<usize>(), desired * size_of::<usize>()))
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}
