//! The library as a Python module: `import reverse_sync`. Golden records come by the Arrow PyCapsule
//! interface or from files, plans and runs are those of the library, and nothing runs that was not
//! confirmed by its id.
//!
//! The classes are thin: `plan` and `run` hold the library's values, `settings` turns what
//! Python passes into them, `process` keeps Python's threads and signals working while the library
//! works, `errors` turns its failures into exceptions. `python/reverse_sync/_native.pyi` has the
//! types.

mod errors;
mod html;
mod plan;
mod process;
mod run;
mod settings;

/// The extension module; `python/reverse_sync/__init__.py` shows what is public of it.
#[pyo3::pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use crate::{
        errors::{
            AccountError, ConfigError, ConflictError, CrmError, Error, GrantError, InputError,
            InternalError, RefusedError, TooLongError,
        },
        plan::{Changes, ConfirmedPlan, Plan, load_plan, plan, undo},
        run::{Progress, Run},
    };

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::errors::with_defaults(module.py())
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name of it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
