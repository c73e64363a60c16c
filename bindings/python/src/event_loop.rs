//! Answers for an event loop: collected while it is busy, delivered with one wake.

use fdfs_core::client::runtime;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// What a call came to, made into Python's terms on the loop's thread.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What the loop is told.
pub(crate) enum Item {
    /// A call has ended.
    Done { future: Py<PyAny>, result: Outcome },
    /// Content has moved.
    Moved(Arc<Moved>),
}

/// The progress of one call: the loop hears the latest number only.
pub(crate) struct Moved {
    told: Py<PyAny>,
    future: Py<PyAny>,
    bytes: AtomicU64,
    queued: AtomicBool,
}

impl Moved {
    pub(crate) fn new(told: Py<PyAny>, future: Py<PyAny>) -> Self {
        Self { told, future, bytes: AtomicU64::new(0), queued: AtomicBool::new(false) }
    }

    /// Notes the bytes moved; whether the loop must be told that there is something to hear.
    pub(crate) fn is_news(&self, bytes: u64) -> bool {
        self.bytes.store(bytes, Ordering::SeqCst);
        !self.queued.swap(true, Ordering::SeqCst)
    }

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        self.queued.store(false, Ordering::SeqCst);
        if is_done(py, &self.future)? {
            return Ok(());
        }
        match self.told.call1(py, (self.bytes.load(Ordering::SeqCst),)) {
            Ok(_) => Ok(()),
            // The call fails with it.
            Err(error) => {
                self.future.call_method1(py, intern!(py, "set_exception"), (error,)).map(|_| ())
            }
        }
    }
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    /// The loop has been woken and will come.
    woken: bool,
}

/// An asyncio event loop that calls can answer to.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct EventLoop {
    create_future: Py<PyAny>,
    call_soon_threadsafe: Py<PyAny>,
    queue: Mutex<Queue>,
}

#[pymethods]
impl EventLoop {
    /// Answers go to this loop.
    #[new]
    fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            create_future: event_loop.getattr("create_future")?.unbind(),
            call_soon_threadsafe: event_loop.getattr("call_soon_threadsafe")?.unbind(),
            queue: Mutex::default(),
        })
    }

    /// Hands out the answers that have come. The loop calls it.
    fn drain(&self, py: Python<'_>) {
        let items = {
            let mut queue = self.queue();
            queue.woken = false;
            std::mem::take(&mut queue.items)
        };
        for item in items {
            let told = match item {
                Item::Done { future, result } => complete(py, &future, result),
                Item::Moved(moved) => moved.tell(py),
            };
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        }
    }
}

impl EventLoop {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A future of this loop.
    pub(crate) fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.create_future.bind(py).call0()
    }

    /// Tells the loop, from any thread. Nobody is told when the loop or the interpreter has ended.
    pub(crate) fn deliver(this: &Py<Self>, item: Item) {
        let first = {
            let mut queue = this.get().queue();
            queue.items.push(item);
            !std::mem::replace(&mut queue.woken, true)
        };
        if !first {
            return;
        }
        let woken = Python::try_attach(|py| {
            let drain = this.getattr(py, intern!(py, "drain"))?;
            this.get().call_soon_threadsafe.call1(py, (drain,))
        });
        if !matches!(woken, Some(Ok(_))) {
            let mut queue = this.get().queue();
            queue.woken = false;
            let lost = std::mem::take(&mut queue.items);
            drop(queue);
            drop(lost);
        }
    }
}

fn is_done(py: Python<'_>, future: &Py<PyAny>) -> PyResult<bool> {
    future.bind(py).call_method0(intern!(py, "done"))?.is_truthy()
}

fn complete(py: Python<'_>, future: &Py<PyAny>, result: Outcome) -> PyResult<()> {
    // A cancelled future waits for nothing.
    if is_done(py, future)? {
        return Ok(());
    }
    let error = match result(py) {
        Ok(value) => {
            return future.call_method1(py, intern!(py, "set_result"), (value,)).map(|_| ());
        }
        Err(error) => error,
    };
    let set_exception = intern!(py, "set_exception");
    if future.call_method1(py, set_exception, (error.clone_ref(py),)).is_err() {
        // Futures take no StopIteration.
        let text = format!("a source or sink raised {error}");
        future.call_method1(py, set_exception, (PyRuntimeError::new_err(text),))?;
    }
    Ok(())
}

/// A call under way for an event loop.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Task {
    running: Mutex<Option<JoinHandle<()>>>,
    lends: bool,
}

impl Task {
    pub(crate) fn new(running: JoinHandle<()>, lends: bool) -> Self {
        Self { running: Mutex::new(Some(running)), lends }
    }
}

#[pymethods]
impl Task {
    /// Ends the call and closes its connection. Does nothing to one that has ended.
    fn cancel(&self, py: Python<'_>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running.filter(|running| !running.is_finished()) else { return };
        running.abort();
        if self.lends {
            // It may be writing into the caller's memory at this moment. It ends at its next
            // step, which waits for nothing.
            let ended = async {
                let _ = running.await;
                Ok(())
            };
            let _ = py.detach(|| runtime::wait(ended));
        }
    }
}
