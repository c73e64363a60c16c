//! One call, run in one of two ways: on the calling thread with the interpreter lock released, or
//! in the background for an event loop. Operations are written once for both.

use crate::body::Shared;
use crate::errors::{invalid, raise};
use crate::event_loop::{EventLoop, Item, Moved, Task};
use crate::values::ToPython;
use fdfs_core::Result;
use fdfs_core::client::{CallOptions, Cancel, Caught, Client, Progress, caught, runtime};
use pyo3::prelude::*;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time that is counted; what is longer is as good as for ever.
const SECONDS_MAX: f64 = 1e9;

/// The event loop to answer to (none: the calling thread waits), the seconds the call may take,
/// and who is told about progress.
pub(crate) type How<'py> = (Option<Bound<'py, EventLoop>>, Option<f64>, Option<Bound<'py, PyAny>>);

/// Seconds as they come from Python.
pub(crate) fn seconds(py: Python<'_>, value: f64, what: &str) -> PyResult<Duration> {
    // Not `min`, which takes anything for less than what is no number.
    let seconds = if value > SECONDS_MAX { SECONDS_MAX } else { value };
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        invalid(py, format!("{what} of {value} seconds: a number from 0 on is needed"))
    })
}

/// The first exception that Python code raised while a call ran on this thread: of a signal's
/// handler, or of the one who is told about progress.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    fn keep(&self, error: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether a signal's handler wants the call to end.
    fn by_signal(&self) -> bool {
        match Python::try_attach(|py| py.check_signals()) {
            Some(Err(error)) => {
                self.keep(error);
                true
            }
            // No handler runs any more when the interpreter ends, and to attach then crashes it.
            Some(Ok(())) | None => false,
        }
    }
}

/// A call that is about to begin.
pub(crate) struct Call<'py> {
    py: Python<'py>,
    /// The loop that waits, and the future it waits for.
    looped: Option<(Bound<'py, EventLoop>, Bound<'py, PyAny>)>,
    raised: Raised,
    kept: Option<Shared>,
    lends: bool,
}

impl<'py> Call<'py> {
    /// A call without bounds.
    pub(crate) fn new(py: Python<'py>, looped: Option<Bound<'py, EventLoop>>) -> PyResult<Self> {
        let looped = match looped {
            Some(looped) => Some((looped.clone(), looped.get().future(py)?)),
            None => None,
        };
        Ok(Self { py, looped, raised: Raised::default(), kept: None, lends: false })
    }

    /// A call of this client, which it returns with the options of the call.
    pub(crate) fn of(client: &Client, py: Python<'py>, how: How<'py>) -> PyResult<(Self, Client)> {
        let (looped, timeout, told) = how;
        let call = Self::new(py, looped)?;
        let timeout = timeout.map(|timeout| seconds(py, timeout, "timeout")).transpose()?;
        let mut options = CallOptions { timeout, ..CallOptions::default() };
        if let Some(told) = told {
            let cancel = Cancel::new();
            options.progress = Some(call.progress(told.unbind(), cancel.clone()));
            options.cancel = Some(cancel);
        }
        Ok((call, client.with(options)))
    }

    fn progress(&self, told: Py<PyAny>, cancel: Cancel) -> Progress {
        if let Some((looped, future)) = &self.looped {
            let looped = looped.clone().unbind();
            let moved = Arc::new(Moved::new(told, future.clone().unbind()));
            return Arc::new(move |bytes| {
                if moved.is_news(bytes) {
                    EventLoop::deliver(&looped, Item::Moved(moved.clone()));
                }
            });
        }
        let raised = self.raised.clone();
        Arc::new(move |bytes| {
            if let Some(Err(error)) = Python::try_attach(|py| told.call1(py, (bytes,))) {
                raised.keep(error);
                cancel.cancel();
            }
        })
    }

    /// Content to be held until the call has ended, and given back by who waits for it.
    pub(crate) fn keep(&mut self, content: &Shared) {
        self.kept = Some(content.clone());
    }

    /// The call writes into the caller's memory: once it is cancelled, nothing may.
    pub(crate) fn lends(&mut self) {
        self.lends = true;
    }

    /// Runs it: the result, or a future for it with the task behind it.
    pub(crate) fn run<T: ToPython>(
        self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let work = Caught::new(work);
        match self.looped {
            None => {
                let raised = self.raised;
                let done = self.py.detach(|| runtime::wait_unless(work, || raised.by_signal()));
                match raised.take() {
                    Some(error) => Err(error),
                    None => done.map_err(|error| raise(self.py, &error))?.to_python(self.py),
                }
            }
            Some((looped, future)) => {
                let (looped, kept) = (looped.unbind(), self.kept);
                let waiting = future.clone().unbind();
                let task = runtime::spawn(async move {
                    let done = work.await;
                    let result = Box::new(move |py: Python<'_>| {
                        // What the caller lent goes back on the loop's own thread, which holds
                        // the interpreter lock anyway.
                        drop(kept);
                        let value = done.map_err(|error| raise(py, &error))?;
                        value.to_python(py).map(Bound::unbind)
                    });
                    EventLoop::deliver(&looped, Item::Done { future: waiting, result });
                });
                let task = task.map_err(|error| raise(self.py, &error))?;
                let pair = (future, Task::new(task, self.lends));
                Ok(pair.into_pyobject(self.py)?.into_any())
            }
        }
    }
}

/// Runs something short on this thread, without the interpreter lock; panics are errors.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| caught(work)).map_err(|error| raise(py, &error))
}
