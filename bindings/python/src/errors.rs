//! From the core's errors to Python's exceptions, whose classes are written in `fdfs.errors`.

use fdfs_core::{Error, ErrorKind};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;

static CLASSES: PyOnceLock<HashMap<ErrorKind, Py<PyAny>>> = PyOnceLock::new();

/// Name, number and `retryable` of every kind.
pub(crate) fn kinds(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let row = |kind: &ErrorKind| (kind.name(), kind.number(), kind.retryable());
    PyTuple::new(py, ErrorKind::ALL.iter().map(row).collect::<Vec<_>>())
}

fn class(py: Python<'_>, kind: ErrorKind) -> PyResult<Bound<'_, PyAny>> {
    let classes = CLASSES.get_or_try_init(py, || {
        let by_name = py.import("fdfs.errors")?.getattr("KINDS")?;
        let class = |kind: &ErrorKind| Ok((*kind, by_name.get_item(kind.name())?.unbind()));
        ErrorKind::ALL.iter().map(class).collect::<PyResult<_>>()
    })?;
    let missing = || PyOSError::new_err(format!("fdfs.errors has no class for {}", kind.name()));
    classes.get(&kind).map(|class| class.bind(py).clone()).ok_or_else(missing)
}

/// A call that cannot be made as it is.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    raise(py, &Error::new(ErrorKind::InvalidArgument, message))
}

/// The exception for an error: where reading the caller's source or writing its sink failed, the
/// exception that was raised there.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let local = error.kind() == ErrorKind::LocalIo;
    let original =
        if local { error.source().and_then(|cause| os_error(py, cause, error)) } else { None };
    original.unwrap_or_else(|| made(py, error).unwrap_or_else(|failed| failed))
}

fn made(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    fields.set_item("server", error.peer())?;
    fields.set_item("command", error.command().map(|command| command.0))?;
    fields.set_item("file_id", error.file_id())?;
    fields.set_item("errno", error.status().map(|status| status.0))?;
    fields.set_item("retryable", error.retryable())?;
    fields.set_item("outcome_unknown", error.outcome_unknown())?;
    let message = error.to_string();
    let kind = class(py, error.kind())?;
    // A cancelled call is asyncio's own error, which has no fields.
    let fields = (error.kind() != ErrorKind::Cancelled).then_some(&fields);
    let raised = PyErr::from_value(kind.call((message,), fields)?);
    let cause = error.source().and_then(|cause| match cause.downcast_ref::<Error>() {
        Some(inner) => Some(raise(py, inner)),
        None => os_error(py, cause, error),
    });
    raised.set_cause(py, cause);
    Ok(raised)
}

/// What the caller's file object raised, or what the operating system said.
fn os_error(py: Python<'_>, cause: &(dyn StdError + 'static), whole: &Error) -> Option<PyErr> {
    let mut next = Some(cause);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if let Some(raised) = error.get_ref().and_then(|inner| inner.downcast_ref::<PyErr>()) {
                return Some(raised.clone_ref(py));
            }
            if let Some(number) = error.raw_os_error() {
                return Some(PyOSError::new_err((number, whole.to_string())));
            }
        }
        next = cause.source();
    }
    None
}
