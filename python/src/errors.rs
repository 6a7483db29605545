//! The library's failures as exceptions: a class for each kind, with `code`, `pointer` and `hint`.

use pyo3::{PyTypeInfo, create_exception, exceptions::PyException, prelude::*};
use reverse_sync::failure::{Failure, Hint, Kind};

create_exception!(reverse_sync, Error, PyException, "What failed, with code, pointer and hint.");
create_exception!(reverse_sync, ConfigError, Error, "The destination's configuration.");
create_exception!(
    reverse_sync,
    InputError,
    Error,
    "The golden records, the source, or a name that names nothing."
);
create_exception!(reverse_sync, GrantError, Error, "The plugin may not do what this takes.");
create_exception!(reverse_sync, ConflictError, Error, "What it is about does not allow it.");
create_exception!(reverse_sync, RefusedError, Error, "As things are now, it is refused.");
create_exception!(
    reverse_sync,
    AccountError,
    Error,
    "The credential opens another account than the one that is meant, or which is not known."
);
create_exception!(reverse_sync, CrmError, Error, "The CRM, or the credential.");
create_exception!(reverse_sync, TooLongError, Error, "It took longer than it may.");
create_exception!(
    reverse_sync,
    InternalError,
    Error,
    "Anything else: the disk, or a plugin that breaks the contract."
);

/// The exception of a failure.
pub(crate) fn raised(py: Python<'_>, failure: &Failure) -> PyErr {
    let message = failure.message.clone();
    let error = match failure.kind {
        Kind::Config => ConfigError::new_err(message),
        Kind::Input => InputError::new_err(message),
        Kind::Grant => GrantError::new_err(message),
        Kind::Conflict => ConflictError::new_err(message),
        Kind::Refused => RefusedError::new_err(message),
        Kind::Account => AccountError::new_err(message),
        Kind::Crm(_) => CrmError::new_err(message),
        Kind::TooLong => TooLongError::new_err(message),
        Kind::Internal => InternalError::new_err(message),
    };
    // Of the plugin it points into `config_json`; here, into the destination.
    let pointer = failure.pointer.as_ref().map(|pointer| match failure.code {
        INVALID_KEY => pointer.clone(),
        _ => format!("/config_json{pointer}"),
    });
    let hint = failure.hint.as_ref().map(advice);
    match described(error.value(py), failure.code, pointer, hint) {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

fn described(
    error: &Bound<'_, PyAny>,
    code: &str,
    pointer: Option<String>,
    hint: Option<String>,
) -> PyResult<()> {
    error.setattr("code", code)?;
    error.setattr("pointer", pointer)?;
    // A traceback shows notes.
    if let Some(hint) = &hint {
        error.call_method1("add_note", (hint,))?;
    }
    error.setattr("hint", hint)
}

/// The code of a mistake in the arguments.
pub(crate) const INVALID_KEY: &str = "invalid_key";

/// A mistake in the arguments. `pointer` points into the one that is wrong.
pub(crate) fn mistake(py: Python<'_>, kind: Kind, pointer: String, message: String) -> PyErr {
    let failure = Failure { kind, code: INVALID_KEY, pointer: Some(pointer), message, hint: None };
    raised(py, &failure)
}

/// A hint as it is typed here.
fn advice(hint: &Hint) -> String {
    match hint {
        Hint::Override(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            format!(
                "look at the plan, then confirm it despite that: plan.confirm(plan.id, override=[{}])",
                names.join(", ")
            )
        }
        Hint::NameRecords => "pass the path of the golden records, or an Arrow stream".to_owned(),
        Hint::Compare => "plan with mode=\"compare\" to be able to undo".to_owned(),
        Hint::Less => "plan fewer golden records".to_owned(),
        Hint::SetBack => "undo with the destination and source of that time".to_owned(),
        Hint::ListRuns => "the folder `runs` below `state` has the journals of the runs".to_owned(),
        Hint::Grant => "use the plugin that comes with this package".to_owned(),
        Hint::Rights(rights) => format!("the credential needs: {rights}"),
    }
}

/// What fails with a [`Failure`] raises its exception.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T, E> OrRaise<T> for Result<T, E>
where
    for<'e> Failure: From<&'e E>,
{
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &Failure::from(&error)))
    }
}

/// Anything that has no kind of its own.
pub(crate) fn internal(error: impl ToString) -> PyErr {
    Python::attach(|py| {
        let message = error.to_string();
        let failure =
            Failure { kind: Kind::Internal, code: "internal", pointer: None, message, hint: None };
        raised(py, &failure)
    })
}

/// Sets what every instance has, for those that Python makes.
pub(crate) fn with_defaults(py: Python<'_>) -> PyResult<()> {
    for name in ["code", "pointer", "hint"] {
        Error::type_object(py).setattr(name, py.None())?;
    }
    Ok(())
}
