//! Content on its way between Python and the core: memory, file objects, and pieces that an event
//! loop pushes or takes.

use crate::call::Call;
use crate::errors::invalid;
use crate::event_loop::EventLoop;
use bytes::Bytes;
use fdfs_core::client::{self, Feed};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBlockingIOError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf};

/// Bytes that are read from a file object at once.
const CHUNK_LEN: usize = 256 << 10;

/// Bytes under way to a sink of an event loop.
const PIPE_LEN: usize = 1 << 20;

/// The caller's memory, which cannot move or go while it is held.
enum Body {
    Bytes(PyBackedBytes),
    Buffer(PyUntypedBuffer),
}

/// Content in the caller's memory.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Body>);

impl Shared {
    /// The memory of anything with a contiguous buffer.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let body = match object.cast::<PyBytes>() {
            Ok(bytes) => Body::Bytes(bytes.clone().into()),
            Err(_) => Body::Buffer(contiguous(object)?),
        };
        Ok(Self(Arc::new(body)))
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        match &*self.0 {
            Body::Bytes(bytes) => bytes,
            Body::Buffer(buffer) if buffer.len_bytes() == 0 => &[],
            // SAFETY: the buffer is contiguous (see `contiguous`), and as long as it is held its
            // owner keeps this memory where it is. One who writes to it meanwhile decides what is
            // sent, as with Python's own sockets.
            Body::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes())
            },
        }
    }
}

fn contiguous(object: &Bound<'_, PyAny>) -> PyResult<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(object)?;
    match buffer.is_c_contiguous() {
        true => Ok(buffer),
        false => Err(invalid(object.py(), "the buffer is not contiguous")),
    }
}

/// Memory that a download fills.
pub(crate) struct Target {
    start: *mut u8,
    len: usize,
    owner: Owner,
}

enum Owner {
    Buffer(#[expect(dead_code, reason = "held so that the memory stays")] PyUntypedBuffer),
    Bytes(Py<PyBytes>),
}

// SAFETY: the memory belongs to `owner`, which is Send, and is written by whoever has the target.
unsafe impl Send for Target {}

impl Target {
    /// The caller's own memory.
    pub(crate) fn buffer(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = contiguous(object)?;
        if buffer.readonly() {
            return Err(PyTypeError::new_err("the buffer to read into must be writable"));
        }
        let (start, len) = (buffer.buf_ptr().cast(), buffer.len_bytes());
        Ok(Self { start, len, owner: Owner::Buffer(buffer) })
    }

    /// A new `bytes` object of this length, to be filled before anybody sees it.
    pub(crate) fn bytes(py: Python<'_>, len: usize) -> PyResult<Self> {
        let size = isize::try_from(len).map_err(|_| invalid(py, "more than memory can hold"))?;
        // SAFETY: without a source the call makes an object of this size, or raises.
        let object: Bound<'_, PyBytes> = unsafe {
            let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked()
        };
        // SAFETY: it is a bytes object; nobody else has a reference to it yet.
        let start = unsafe { ffi::PyBytes_AsString(object.as_ptr()) }.cast();
        Ok(Self { start, len, owner: Owner::Bytes(object.unbind()) })
    }

    /// The memory to be filled.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: `owner` keeps these bytes in place. Of a new object only this target knows; in
        // a caller's buffer, others who touch it meanwhile see and make the disorder they asked
        // for, as with `socket.recv_into`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// The new object, cut where `filled` ends.
    pub(crate) fn finish<'py>(self, py: Python<'py>, filled: usize) -> PyResult<Bound<'py, PyAny>> {
        match self.owner {
            Owner::Bytes(bytes) if filled >= self.len => Ok(bytes.into_bound(py).into_any()),
            Owner::Bytes(bytes) => {
                let filled = bytes.as_bytes(py).get(..filled).unwrap_or_default();
                Ok(PyBytes::new(py, filled).into_any())
            }
            Owner::Buffer(_) => Ok(filled.into_pyobject(py)?.into_any()),
        }
    }
}

/// Content to send.
pub(crate) enum Source {
    Bytes(Shared),
    Stream(Box<dyn AsyncRead + Send + Unpin>, Option<u64>),
}

impl Source {
    /// From what the caller gave: a buffer, a feeder, or, where the calling thread waits and can
    /// read it, a file object.
    pub(crate) fn of(object: &Bound<'_, PyAny>, size: Option<i64>) -> PyResult<Self> {
        let py = object.py();
        let negative = |_| invalid(py, "size must not be negative");
        let size = size.map(u64::try_from).transpose().map_err(negative)?;
        if let Ok(feeder) = object.cast::<Feeder>() {
            let feed = feeder.get().feed.lock().unwrap_or_else(PoisonError::into_inner).take();
            let feed = feed.ok_or_else(|| invalid(py, "the feeder is in use"))?;
            return Ok(Self::Stream(Box::new(feed), size));
        }
        // SAFETY: any object may be asked.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 1 {
            let content = Shared::of(object)?;
            let len = content.as_ref().len() as u64;
            return match size {
                Some(size) if size != len => {
                    Err(invalid(py, format!("size is {size}, but the data has {len} bytes")))
                }
                _ => Ok(Self::Bytes(content)),
            };
        }
        if object.hasattr("read")? {
            let file = File(object.clone().unbind());
            return Ok(Self::Stream(Box::new(file), size));
        }
        Err(PyTypeError::new_err(hint(object)))
    }
}

/// What could have been meant by something that is no content.
fn hint(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    let hint = if object.is_instance_of::<PyString>() {
        "encode text first, or pass a path to upload_file"
    } else if object.hasattr("__fspath__").unwrap_or(false) {
        "pass a path to upload_file"
    } else {
        "a bytes-like object or a binary file is needed (AsyncClient: or an async iterable)"
    };
    format!("data cannot be {name}: {hint}")
}

/// A file object, used by the thread that waits for the call.
struct File(Py<PyAny>);

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining().min(CHUNK_LEN);
        let read = with_file(|py| {
            let read = self.0.bind(py).call_method1("read", (room,))?;
            if read.is_none() {
                return Err(PyBlockingIOError::new_err("the source has no data yet"));
            }
            let Ok(bytes) = read.cast::<PyBytes>() else {
                let read = Shared::of(&read).map_err(|_| {
                    PyTypeError::new_err("the source must be opened in binary mode")
                })?;
                return put(buffer, read.as_ref(), room);
            };
            put(buffer, bytes.as_bytes(), room)
        });
        Poll::Ready(read)
    }
}

/// Uses a file object, while there is an interpreter to do it.
fn with_file<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> io::Result<T> {
    let done = Python::try_attach(work).ok_or_else(|| io::Error::other("the interpreter ends"))?;
    done.map_err(io::Error::other)
}

fn put(buffer: &mut ReadBuf<'_>, bytes: &[u8], room: usize) -> PyResult<()> {
    if bytes.len() > room {
        let text = format!("read({room}) of the source returned {} bytes", bytes.len());
        return Err(PyValueError::new_err(text));
    }
    buffer.put_slice(bytes);
    Ok(())
}

/// A file object that takes content, used by the thread that waits for the call.
pub(crate) struct Sink(pub(crate) Py<PyAny>);

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = with_file(|py| {
            let written = self.0.call_method1(py, "write", (PyBytes::new(py, bytes),))?;
            // Some file-likes return nothing, which means that all was written.
            let written = match written.is_none(py) {
                true => bytes.len(),
                false => written.extract(py)?,
            };
            match written <= bytes.len() {
                true => Ok(written),
                false => Err(PyValueError::new_err("write of the sink returned too much")),
            }
        });
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Pushes content of an event loop into a call that takes this as its data.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Feeder {
    feeder: client::Feeder,
    feed: Mutex<Option<Feed>>,
}

#[pymethods]
impl Feeder {
    #[new]
    fn new() -> Self {
        let (feeder, feed) = client::feed();
        Self { feeder, feed: Mutex::new(Some(feed)) }
    }

    /// Adds content: whether the call still wants more, or a future for that while it has enough.
    fn push<'py>(
        &self,
        event_loop: Bound<'py, EventLoop>,
        content: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let content = match content.cast::<PyBytes>() {
            Ok(bytes) => Bytes::from_owner(PyBackedBytes::from(bytes.clone())),
            // It may change as soon as the loop runs.
            Err(_) => Bytes::copy_from_slice(Shared::of(content)?.as_ref()),
        };
        let feeder = self.feeder.clone();
        at_once_or_later(event_loop, async move { feeder.push(content).await })
    }

    /// Says that all content has been pushed.
    fn finish<'py>(&self, event_loop: Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyAny>> {
        let feeder = self.feeder.clone();
        at_once_or_later(event_loop, async move { feeder.finish().await })
    }

    /// Lets the call fail with this exception.
    fn fail<'py>(
        &self,
        event_loop: Bound<'py, EventLoop>,
        error: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (feeder, error) = (self.feeder.clone(), PyErr::from_value(error));
        let error = io::Error::other(error);
        at_once_or_later(event_loop, async move { feeder.fail(error).await })
    }
}

/// Most pushes find room: those cost no turn of the event loop.
fn at_once_or_later<'py>(
    event_loop: Bound<'py, EventLoop>,
    push: impl Future<Output = bool> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let mut push = Box::pin(push);
    match push.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(wanted) => Ok(wanted.into_pyobject(py)?.to_owned().into_any()),
        Poll::Pending => Call::new(py, Some(event_loop))?.run(async move { Ok(push.await) }),
    }
}

/// Content of a download, which an event loop takes piece by piece.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Pipe {
    ours: Arc<tokio::sync::Mutex<DuplexStream>>,
    theirs: Mutex<Option<DuplexStream>>,
}

impl Pipe {
    /// The end that a call writes to.
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<DuplexStream> {
        let end = self.theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
        end.ok_or_else(|| invalid(py, "the pipe is in use"))
    }
}

#[pymethods]
impl Pipe {
    #[new]
    fn new() -> Self {
        let (ours, theirs) = tokio::io::duplex(PIPE_LEN);
        Self { ours: Arc::new(tokio::sync::Mutex::new(ours)), theirs: Mutex::new(Some(theirs)) }
    }

    /// The next bytes; none when the call has ended, well or not.
    fn take<'py>(&self, event_loop: Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyAny>> {
        let ours = self.ours.clone();
        Call::new(event_loop.py(), Some(event_loop))?.run(async move {
            let mut ours = ours.lock().await;
            let mut piece = Vec::with_capacity(CHUNK_LEN);
            // A pipe fails only when its other end is gone, which is its end.
            let _ = pin!(ours.read_buf(&mut piece)).await;
            Ok(piece)
        })
    }
}
