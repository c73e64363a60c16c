//! Content in pieces, each way.

use crate::call::{Held, promise};
use crate::failure::invalid;
use bytes::Bytes;
use fdfs_core::client::{CallOptions, Client, Feed, Feeder, Reader, Writer, feed};
use fdfs_core::file_id::FileId;
use fdfs_core::{Error, ErrorKind, Result};
use napi::Env;
use napi::bindgen_prelude::{Either, Object, Uint8Array};
use napi_derive::napi;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, watch};

/// Time for removing a file that was given up: the one who gave it up waits for it.
const REMOVAL_TIME: Duration = Duration::from_secs(5);

fn closed(what: &str) -> Error {
    Error::new(ErrorKind::Closed, format!("the {what} is closed"))
}

/// An open file.
#[napi]
pub struct NativeReader {
    reader: Arc<AsyncMutex<Option<Reader>>>,
    closed: Arc<watch::Sender<bool>>,
    length: i64,
}

impl NativeReader {
    pub(crate) fn new(reader: Reader) -> Self {
        let length = i64::try_from(reader.len()).unwrap_or(i64::MAX);
        let reader = Arc::new(AsyncMutex::new(Some(reader)));
        Self { reader, closed: Arc::new(watch::Sender::new(false)), length }
    }
}

#[napi]
impl NativeReader {
    /// Bytes of the part that was asked for.
    #[napi(getter, catch_unwind)]
    pub fn length(&self) -> i64 {
        self.length
    }

    /// Reads the next bytes into memory that nobody else looks at until then; how many there were,
    /// none at the end.
    ///
    /// The script allocates: its collector counts what it gave itself, not what it was handed.
    #[napi(catch_unwind)]
    pub fn read<'env>(&self, env: &'env Env, mut piece: Uint8Array) -> napi::Result<Object<'env>> {
        let (reader, closing) = (self.reader.clone(), self.closed.clone());
        promise(env, async move {
            let mut reader = reader.lock().await;
            let open = reader.as_mut().ok_or_else(|| closed("stream"))?;
            let mut closing = closing.subscribe();
            // SAFETY: the reference keeps the memory alive, and calls end before their
            // environment does.
            let into = unsafe { piece.as_mut() };
            let read = tokio::select! {
                read = open.read(into) => read?,
                _ = closing.wait_for(|closing| *closing) => {
                    *reader = None;
                    return Err(closed("stream"));
                }
            };
            Ok(Held(i64::try_from(read).unwrap_or(i64::MAX), Some(piece)))
        })
    }

    /// Ends it, and a read under way with it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.closed.send_replace(true);
        if let Ok(mut reader) = self.reader.try_lock() {
            *reader = None;
        }
    }
}

/// A file that grows.
#[napi]
pub struct NativeWriter {
    writer: Arc<AsyncMutex<Option<Writer>>>,
    id: FileId,
    /// Not cancelled with the writer: what has been written must be deleted even then.
    client: Client,
}

impl NativeWriter {
    pub(crate) fn new(writer: Writer, client: Client) -> Self {
        let id = writer.id().clone();
        Self { writer: Arc::new(AsyncMutex::new(Some(writer))), id, client }
    }
}

#[napi]
impl NativeWriter {
    /// Adds bytes.
    #[napi(catch_unwind)]
    pub fn write<'env>(&self, env: &'env Env, bytes: Uint8Array) -> napi::Result<Object<'env>> {
        let writer = self.writer.clone();
        promise(env, async move {
            let mut writer = writer.lock().await;
            writer.as_mut().ok_or_else(|| closed("stream"))?.write(&bytes).await?;
            Ok(Held((), Some(bytes)))
        })
    }

    /// Sends the rest and gives the id.
    #[napi(catch_unwind)]
    pub fn finish<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let writer = self.writer.clone();
        promise(env, async move {
            let writer = writer.lock().await.take().ok_or_else(|| closed("stream"))?;
            Ok(writer.finish().await?.to_string())
        })
    }

    /// Gives the file up and deletes what has been sent.
    #[napi(catch_unwind)]
    pub fn abort<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (writer, client, id) = (self.writer.clone(), self.client.clone(), self.id.clone());
        promise(env, async move {
            drop(writer.lock().await.take());
            client.with(CallOptions::timeout(REMOVAL_TIME)).delete(&id, true).await
        })
    }
}

/// Carries a stream of the script to a call.
#[napi]
pub struct NativeFeeder {
    feeder: Feeder,
    feed: Mutex<Option<Feed>>,
}

impl NativeFeeder {
    /// The end that the call reads.
    pub(crate) fn take(&self) -> Result<Feed> {
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        feed.ok_or_else(|| invalid("this stream has been given to a call already"))
    }
}

#[napi]
impl NativeFeeder {
    /// A stream without content yet.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default, reason = "called by scripts only")]
    pub fn new() -> Self {
        let (feeder, feed) = feed();
        Self { feeder, feed: Mutex::new(Some(feed)) }
    }

    /// Adds a copy of these bytes.
    #[napi(catch_unwind)]
    pub fn push<'env>(
        &self,
        env: &'env Env,
        bytes: &[u8],
    ) -> napi::Result<Either<bool, Object<'env>>> {
        let (feeder, bytes) = (self.feeder.clone(), Bytes::copy_from_slice(bytes));
        more(env, async move { feeder.push(bytes).await })
    }

    /// Gives the stream up unless a call has it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        // Nothing is left to do for a stream that has been taken.
        let _ = self.take();
    }

    /// Says that this was all.
    #[napi(catch_unwind)]
    pub fn finish<'env>(&self, env: &'env Env) -> napi::Result<Either<bool, Object<'env>>> {
        let feeder = self.feeder.clone();
        more(env, async move { feeder.finish().await })
    }

    /// Says that there will be no more.
    #[napi(catch_unwind)]
    pub fn fail<'env>(
        &self,
        env: &'env Env,
        reason: String,
    ) -> napi::Result<Either<bool, Object<'env>>> {
        let feeder = self.feeder.clone();
        more(env, async move { feeder.fail(io::Error::other(reason)).await })
    }
}

/// Whether the other end still reads: at once when there is room, otherwise as a promise.
fn more<'env>(
    env: &'env Env,
    step: impl Future<Output = bool> + Send + 'static,
) -> napi::Result<Either<bool, Object<'env>>> {
    let mut step = Box::pin(step);
    match step.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(more) => Ok(Either::A(more)),
        Poll::Pending => Ok(Either::B(promise(env, async move { Ok(step.await) })?)),
    }
}
