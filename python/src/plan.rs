//! Planning, plans, and the gate.

use crate::{
    errors::{OrRaise, internal, raised},
    html,
    run::Run,
    settings::{Place, place, to_python},
};
use arrow_array::{ffi_stream::FFI_ArrowArrayStream, ffi_stream::RecordBatchStreamReader};
use arrow_pyarrow::FromPyArrow;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyCapsule, PyDict},
};
use reverse_sync::{
    Checks, Confirmation, PlanId, PlanMode, PlanSummary, RecordSource, Records, RunId, UndoError,
    audit,
    failure::{Failure, Kind},
    plan::PlanError,
    records::ArrowRecords,
};
use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where plans and journals are, unless it is said: where the command has them.
const STATE: &str = ".reverse-sync";
/// Skipped rows with a reason of their own that a summary has, as the command's has.
const SKIPPED_ROWS: usize = 10;

/// A plan: what would be written. Nothing is, until it is confirmed by its id.
#[pyclass(frozen, module = "reverse_sync")]
pub(crate) struct Plan {
    place: Place,
    plan: reverse_sync::Plan,
}

/// Plans golden records: what `records` would write to the destination. Nothing is written.
#[pyfunction]
#[pyo3(
    signature = (records, *, destination, source, mode = "compare", state = PathBuf::from(STATE)),
    text_signature = "(records, *, destination, source, mode='compare', state='.reverse-sync')"
)]
pub(crate) fn plan(
    py: Python<'_>,
    records: &Bound<'_, PyAny>,
    destination: &Bound<'_, PyDict>,
    source: &Bound<'_, PyDict>,
    mode: &str,
    state: PathBuf,
) -> PyResult<Plan> {
    let mode = match mode {
        "offline" => PlanMode::Offline,
        "online" => PlanMode::Online,
        "compare" => PlanMode::Compare,
        _ => {
            return Err(PyValueError::new_err("mode must be 'offline', 'online' or 'compare'"));
        }
    };
    let place = place(py, destination, source, state)?;
    if records.hasattr("__arrow_c_stream__")? {
        let reader = RecordBatchStreamReader::from_pyarrow_bound(records)?;
        return Plan::planning(py, place, mode, ArrowRecords::new(reader));
    }
    let Ok(path) = records.extract::<PathBuf>() else {
        return Err(PyTypeError::new_err(format!(
            "records must be an Arrow stream (a DataFrame of pandas or Polars, a relation of DuckDB, a table of pyarrow) or the path of a file, not {}",
            records.get_type().fully_qualified_name()?
        )));
    };
    let pattern = path.to_str().ok_or_else(|| PyValueError::new_err("the path is not text"))?;
    let files =
        RecordSource::open(pattern, Path::new(""), place.target.record_options()).or_raise(py)?;
    Plan::planning(py, place, mode, files)
}

/// A plan that was made before, by its id: in another process, or days ago.
#[pyfunction]
#[pyo3(
    signature = (plan_id, *, destination, source, state = PathBuf::from(STATE)),
    text_signature = "(plan_id, *, destination, source, state='.reverse-sync')"
)]
pub(crate) fn load_plan(
    py: Python<'_>,
    plan_id: &str,
    destination: &Bound<'_, PyDict>,
    source: &Bound<'_, PyDict>,
    state: PathBuf,
) -> PyResult<Plan> {
    let id: PlanId = plan_id.parse().map_err(|error| named_wrongly(py, error))?;
    let place = place(py, destination, source, state)?;
    let plan = py.detach(|| place.workspace.plan(&id)).map_err(|error| match &error {
        PlanError::Unknown(_) => named_wrongly(py, error.to_string()),
        _ => raised(py, &Failure::from(&UndoError::Plan(error))),
    })?;
    Ok(Plan { place, plan })
}

/// Plans the way back from a run that was made before. Like any plan it has to be confirmed.
#[pyfunction]
#[pyo3(
    signature = (run_id, *, destination, source, state = PathBuf::from(STATE)),
    text_signature = "(run_id, *, destination, source, state='.reverse-sync')"
)]
pub(crate) fn undo(
    py: Python<'_>,
    run_id: &str,
    destination: &Bound<'_, PyDict>,
    source: &Bound<'_, PyDict>,
    state: PathBuf,
) -> PyResult<Plan> {
    let run_id: RunId = run_id.parse().map_err(|error| named_wrongly(py, error))?;
    Plan::undoing(py, place(py, destination, source, state)?, run_id)
}

impl Plan {
    fn planning(
        py: Python<'_>,
        place: Place,
        mode: PlanMode,
        records: impl Records + 'static,
    ) -> PyResult<Plan> {
        let planning = {
            let target = place.target.clone();
            async move { target.plan(mode, records).await }
        };
        let plan = place.process.wait(py, planning, None, |_| Ok(()))?.or_raise(py)?;
        Ok(Plan { place, plan })
    }

    /// The way back from a run.
    pub(crate) fn undoing(py: Python<'_>, place: Place, run_id: RunId) -> PyResult<Plan> {
        let planning = {
            let target = place.target.clone();
            async move { target.undo(&run_id).await }
        };
        let plan = place.process.wait(py, planning, None, |_| Ok(()))?.or_raise(py)?;
        Ok(Plan { place, plan })
    }

    fn described(&self, py: Python<'_>) -> PyResult<PlanSummary> {
        py.detach(|| PlanSummary::of(&self.plan, SKIPPED_ROWS)).map_err(internal)
    }
}

#[pymethods]
impl Plan {
    /// Names the plan: the same for the same golden records, destination and plugin.
    #[getter]
    fn id(&self) -> &str {
        self.plan.id().as_str()
    }

    /// Counts, guards, warnings and the first changes: the JSON of `reverse-sync plan --json`.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.described(py)?)
    }

    /// Every change, as an Arrow stream that reads the plan's file part by part.
    fn changes(&self) -> Changes {
        Changes { plan: self.plan.clone() }
    }

    /// Confirms this plan, by its id, and continues despite the guards that are named.
    #[pyo3(
        signature = (plan_id, *, r#override = Vec::new()),
        text_signature = "($self, plan_id, *, override=())"
    )]
    fn confirm(
        &self,
        py: Python<'_>,
        plan_id: &str,
        r#override: Vec<String>,
    ) -> PyResult<ConfirmedPlan> {
        let id: PlanId = plan_id.parse().map_err(|message| {
            let kind = Kind::Refused;
            let failure = Failure { kind, code: "stale_plan", pointer: None, message, hint: None };
            raised(py, &failure)
        })?;
        let confirmation = Confirmation::explicit(id).overriding(r#override);
        let Place { process, target, audit_log, .. } = &self.place;
        let confirmed = py.detach(|| {
            let confirmed = target.confirm(self.plan.clone(), confirmation);
            if let Err(refused) = &confirmed {
                let (header, component) = (self.plan.header(), &process.component);
                audit::append_refused(audit_log, header, component, refused).map_err(internal)?;
            }
            PyResult::Ok(confirmed)
        });
        let confirmed = Arc::new(confirmed?.or_raise(py)?);
        Ok(ConfirmedPlan { place: self.place.clone(), confirmed })
    }

    fn __repr__(&self) -> String {
        let header = self.plan.header();
        let guards = match header.guards.len() {
            0 => String::new(),
            1 => ", held back by a guard".to_owned(),
            many => format!(", held back by {many} guards"),
        };
        format!(
            "<reverse_sync.Plan {} for {:?}: {} of {} records would be updated{guards}>",
            header.plan_id, header.destination.name, header.writable, header.total
        )
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        Ok(html::plan(&self.described(py)?))
    }
}

/// The changes of a plan: an object with `__arrow_c_stream__`, which any Arrow library reads.
#[pyclass(frozen, module = "reverse_sync")]
pub(crate) struct Changes {
    plan: reverse_sync::Plan,
}

#[pymethods]
impl Changes {
    /// The columns `row`, `provider_id`, and `fields` and `before` as JSON objects.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface lets a producer keep to its own schema.
        drop(requested_schema);
        let batches = py.detach(|| self.plan.change_batches()).map_err(internal)?;
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn __repr__(&self) -> String {
        let header = self.plan.header();
        format!("<reverse_sync.Changes: {} of {}>", header.writable, header.plan_id)
    }
}

/// A plan that somebody said yes to. It is made by `Plan.confirm` alone.
#[pyclass(frozen, module = "reverse_sync")]
pub(crate) struct ConfirmedPlan {
    place: Place,
    confirmed: Arc<reverse_sync::ConfirmedPlan>,
}

#[pymethods]
impl ConfirmedPlan {
    /// Its plan's id.
    #[getter]
    fn id(&self) -> &str {
        self.confirmed.plan().id().as_str()
    }

    /// Writes the changes, or resumes where an earlier run of this plan was stopped.
    #[pyo3(signature = (*, canary = None, verify = None, progress = None))]
    fn run(
        &self,
        py: Python<'_>,
        canary: Option<NonZeroU64>,
        verify: Option<&str>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Run> {
        let verify = verify
            .map(str::parse)
            .transpose()
            .map_err(|error: String| PyValueError::new_err(format!("verify is wrong: {error}")))?;
        let checks = Checks { canary, verify };
        Run::of(py, &self.place, &self.confirmed, checks, progress)
    }

    fn __repr__(&self) -> String {
        let header = self.confirmed.plan().header();
        format!("<reverse_sync.ConfirmedPlan {}: {} changes>", header.plan_id, header.writable)
    }
}

/// A name that names nothing here.
fn named_wrongly(py: Python<'_>, message: String) -> PyErr {
    let failure =
        Failure { kind: Kind::Input, code: "not_found", pointer: None, message, hint: None };
    raised(py, &failure)
}
