//! Runs: confirmed changes, written, with progress.

use crate::{
    errors::{OrRaise, internal, raised},
    plan::Plan,
    settings::{Place, to_python},
};
use parking_lot::Mutex;
use pyo3::{exceptions::PyTypeError, prelude::*};
use reverse_sync::{
    Checks, ConfirmedPlan, Counts, RunId, RunSummary, StopSignal, Watch, audit,
    failure::{Failure, Kind},
    journal,
    summary::ErrorEntry,
};
use std::{path::PathBuf, sync::Arc};

impl Run {
    /// Runs a confirmed plan. An exception of a signal or of `progress` stops it between batches,
    /// and is raised when what is in flight has ended.
    pub(crate) fn of(
        py: Python<'_>,
        place: &Place,
        confirmed: &Arc<ConfirmedPlan>,
        checks: Checks,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Run> {
        if progress.as_ref().is_some_and(|progress| !progress.bind(py).is_callable()) {
            return Err(PyTypeError::new_err("progress must be callable"));
        }
        let header = confirmed.plan().header();
        if header.writable == 0 {
            let summary = RunSummary { ok: Some(true), ..RunSummary::begun(header) };
            return Ok(Run { place: place.clone(), summary, journal: None });
        }
        let (stop, watched) = (StopSignal::new(), Arc::new(Mutex::new(None::<Watch>)));
        let running = {
            let (place, confirmed) = (place.clone(), Arc::clone(confirmed));
            let (stop, watched) = (stop.clone(), Arc::clone(&watched));
            async move {
                let watching = move |watch| *watched.lock() = Some(watch);
                let Place { process, target, audit_log, .. } = &place;
                let component = &process.component;
                // On disk before the first request: whatever happens, it is known who said yes.
                audit::append_begin(audit_log, &confirmed, component)?;
                let done = target.run(&confirmed).checks(checks).stop(&stop).watch(watching).await;
                let summary = done.as_ref().map(RunSummary::of);
                audit::append(audit_log, &confirmed, component, summary.as_ref())?;
                done
            }
        };
        let mut last = None;
        let watch = |py: Python<'_>| {
            let Some(progress) = &progress else { return Ok(()) };
            let Some(watch) = watched.lock().clone() else { return Ok(()) };
            let counts = *watch.counts.borrow();
            if last == Some((counts, watch.writable)) {
                return Ok(());
            }
            last = Some((counts, watch.writable));
            progress.call1(py, (Progress::of(&watch, counts),)).map(drop)
        };
        let done = place.process.wait(py, running, Some(&stop), watch)?.or_raise(py)?;
        let summary = RunSummary::of(&done);
        Ok(Run { place: place.clone(), summary, journal: Some(done.report.journal) })
    }
}

/// How far a run is, as its `progress` is told. Only what is safely in the journal counts.
#[pyclass(frozen, get_all, module = "reverse_sync")]
pub(crate) struct Progress {
    run_id: String,
    /// Changes of the plan, or of its canary.
    total: u64,
    /// Changes with an outcome.
    done: u64,
    updated: u64,
    unchanged: u64,
    failed: u64,
    drifted: u64,
    unknown: u64,
}

impl Progress {
    fn of(watch: &Watch, counts: Counts) -> Progress {
        let Counts { updated, unchanged, failed, drifted, unknown } = counts;
        let (run_id, total, done) = (watch.run_id.to_string(), watch.writable, counts.done());
        Progress { run_id, total, done, updated, unchanged, failed, drifted, unknown }
    }
}

#[pymethods]
impl Progress {
    fn __repr__(&self) -> String {
        format!("<reverse_sync.Progress {}: {} of {}>", self.run_id, self.done, self.total)
    }
}

/// A run that has ended, early or not.
#[pyclass(frozen, module = "reverse_sync")]
pub(crate) struct Run {
    place: Place,
    summary: RunSummary,
    journal: Option<PathBuf>,
}

#[pymethods]
impl Run {
    /// Its id; `None` if there was nothing to write.
    #[getter]
    fn id(&self) -> Option<String> {
        self.summary.run_id.as_ref().map(RunId::to_string)
    }

    /// Whether every change is in the CRM now, as far as anybody looked.
    #[getter]
    fn ok(&self) -> bool {
        self.summary.ok == Some(true)
    }

    /// Counts, and why it ended early, if it did: the JSON of `reverse-sync run --json`.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.summary)
    }

    /// The records that were not updated, with the CRM's answers; `limit` at most.
    #[pyo3(signature = (limit = 1_000))]
    fn errors<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyAny>> {
        let mut errors = Vec::new();
        if let Some(journal) = &self.journal {
            let read = py.detach(|| {
                journal::read(journal, |ending, problem| {
                    if errors.len() < limit {
                        errors.push(ErrorEntry::new(ending, problem));
                    }
                })
            });
            read.map_err(internal)?;
        }
        to_python(py, &errors)
    }

    /// Plans the way back. Like any plan it has to be confirmed.
    fn undo(&self, py: Python<'_>) -> PyResult<Plan> {
        let Some(run_id) = self.summary.run_id.clone() else {
            let message = "there was nothing to write, so there is nothing to undo".to_owned();
            let (kind, code) = (Kind::Conflict, "not_undoable");
            return Err(raised(py, &Failure { kind, code, pointer: None, message, hint: None }));
        };
        Plan::undoing(py, self.place.clone(), run_id)
    }

    fn __repr__(&self) -> String {
        let RunSummary { counts, pending, stopped, .. } = &self.summary;
        let id = self.id().unwrap_or_else(|| "(nothing to write)".to_owned());
        let stopped = if stopped.is_some() { "; it ended early" } else { "" };
        let Some(counts) = counts.known() else {
            return format!("<reverse_sync.Run {id}: its counts are not known{stopped}>");
        };
        let others = [
            (counts.unchanged, "unchanged"),
            (counts.failed, "failed"),
            (counts.drifted, "drifted"),
            (counts.unknown, "unknown"),
            (pending.unwrap_or_default(), "pending"),
        ];
        let others: String = others
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!(", {count} {what}"))
            .collect();
        format!("<reverse_sync.Run {id}: {} updated{others}{stopped}>", counts.updated)
    }
}
