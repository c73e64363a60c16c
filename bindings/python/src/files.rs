//! Files that are read or written piece by piece.

use crate::body::{Shared, Target};
use crate::call::Call;
use crate::errors::invalid;
use crate::event_loop::EventLoop;
use crate::fork::Owned;
use crate::values::ToPython;
use fdfs_core::client::{Reader, Writer};
use fdfs_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use std::io::SeekFrom;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// What is open until it is taken out; calls wait for each other.
struct Slot<T>(Arc<Owned<Mutex<Option<T>>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Slot<T> {
    fn new(content: T) -> Self {
        Self(Arc::new(Owned::new(Mutex::new(Some(content)))))
    }

    async fn take(&self) -> Option<T> {
        if self.0.is_ours() { self.0.lock().await.take() } else { None }
    }

    async fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().await
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the file is closed")
}

/// Sets a reader back unless it has got where it was to go: who is cancelled has read nothing.
struct Rewind<'r> {
    reader: &'r mut Reader,
    start: u64,
}

impl Drop for Rewind<'_> {
    fn drop(&mut self) {
        // The position it came from is a valid one.
        let _ = self.reader.seek(SeekFrom::Start(self.start));
    }
}

/// Fills as much of the memory as the file has.
async fn fill(slot: Slot<Reader>, mut target: Target) -> Result<(Target, usize)> {
    let mut open = slot.lock().await;
    let reader = open.as_mut().ok_or_else(closed)?;
    let mut rewind = Rewind { start: reader.position(), reader };
    let mut filled = 0;
    while let Some(room) = target.memory().get_mut(filled..).filter(|room| !room.is_empty()) {
        match rewind.reader.read(room).await? {
            0 => break,
            read => filled += read,
        }
    }
    rewind.start = rewind.reader.position();
    Ok((target, filled))
}

/// A file open for reading.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct OpenFile {
    slot: Slot<Reader>,
    /// Bytes of the part that was opened.
    #[pyo3(get)]
    size: u64,
}

impl ToPython for Reader {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let file = OpenFile { size: self.len(), slot: Slot::new(self) };
        Ok(file.into_pyobject(py)?.into_any())
    }
}

#[pymethods]
impl OpenFile {
    /// The next bytes: `size`, or fewer at the end.
    fn read<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
        size: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let target = Target::bytes(py, size)?;
        Call::new(py, event_loop)?.run(fill(self.slot.clone(), target))
    }

    /// Fills the buffer with the next bytes, and says with how many.
    fn readinto<'py>(
        &self,
        event_loop: Option<Bound<'py, EventLoop>>,
        buffer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let target = Target::buffer(buffer)?;
        let mut call = Call::new(buffer.py(), event_loop)?;
        call.lends();
        call.run(fill(self.slot.clone(), target))
    }

    /// Continues elsewhere; returns the position.
    fn seek<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
        offset: i64,
        whence: u8,
    ) -> PyResult<Bound<'py, PyAny>> {
        let to = match whence {
            0 => match u64::try_from(offset) {
                Ok(offset) => SeekFrom::Start(offset),
                Err(_) => return Err(invalid(py, "seeking before the beginning")),
            },
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(invalid(py, "whence is 0, 1 or 2")),
        };
        let slot = self.slot.clone();
        Call::new(py, event_loop)?.run(async move {
            let mut open = slot.lock().await;
            open.as_mut().ok_or_else(closed)?.seek(to)
        })
    }

    /// Closes it, and its connection if it was not read to its end.
    fn close<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = self.slot.clone();
        Call::new(py, event_loop)?.run(async move {
            drop(slot.take().await);
            Ok(())
        })
    }
}

/// A file that is being written.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Growing {
    slot: Slot<Writer>,
    /// The id while it is written.
    #[pyo3(get)]
    id: String,
}

impl ToPython for Writer {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let file = Growing { id: self.id().as_str().to_owned(), slot: Slot::new(self) };
        Ok(file.into_pyobject(py)?.into_any())
    }
}

#[pymethods]
impl Growing {
    /// Adds content.
    fn write<'py>(
        &self,
        event_loop: Option<Bound<'py, EventLoop>>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (slot, content) = (self.slot.clone(), Shared::of(data)?);
        let mut call = Call::new(data.py(), event_loop)?;
        call.keep(&content);
        call.run(async move {
            let mut open = slot.lock().await;
            open.as_mut().ok_or_else(closed)?.write(content.as_ref()).await
        })
    }

    /// Sends what has been collected.
    fn flush<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = self.slot.clone();
        Call::new(py, event_loop)?.run(async move {
            let mut open = slot.lock().await;
            open.as_mut().ok_or_else(closed)?.flush().await
        })
    }

    /// Sends the rest and returns the id of the whole file.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = self.slot.clone();
        Call::new(py, event_loop)?
            .run(async move { slot.take().await.ok_or_else(closed)?.finish().await })
    }

    /// Gives the file up and deletes what has been sent.
    fn abort<'py>(
        &self,
        py: Python<'py>,
        event_loop: Option<Bound<'py, EventLoop>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = self.slot.clone();
        Call::new(py, event_loop)?
            .run(async move { slot.take().await.ok_or_else(closed)?.abort().await })
    }
}
