//! Bodies: where Java's come from, and how they come back.

use crate::answer::Answer;
use crate::java::{self, Direct, enter, internal, signed, signed_mut};
use bytes::Bytes;
use fdfs_core::client::{Client, Feed, Range, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_core::{Error, ErrorKind, Result};
use jni::Env;
use jni::objects::{JByteArray, JByteBuffer, JString};
use jni::refs::Global;
use jni::sys::{jint, jlong};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Arrays up to this length are copied at once; longer ones piece by piece, when they are needed.
const PIECE_LEN: usize = 256 << 10;

/// The longest array of Java.
const ARRAY_LEN_MAX: u64 = i32::MAX as u64 - 8;

/// A body to send.
pub(crate) enum Source {
    Bytes(Bytes),
    Stream(Box<dyn AsyncRead + Send + Unpin>, Option<u64>),
    File(PathBuf),
}

/// What a native function gets as a body: whichever of the four is there.
pub(crate) struct Given<'a> {
    pub(crate) array: &'a JByteArray<'a>,
    pub(crate) buffer: &'a JByteBuffer<'a>,
    pub(crate) path: &'a JString<'a>,
    pub(crate) feed: jlong,
    pub(crate) offset: jint,
    /// Negative: unknown.
    pub(crate) len: jlong,
}

impl Given<'_> {
    pub(crate) fn source(&self, env: &Env<'_>) -> Result<Source> {
        let size = u64::try_from(self.len).ok();
        if !self.buffer.is_null() {
            let direct = Direct::new(env, self.buffer, self.offset.into(), self.len);
            return Ok(Source::Bytes(Bytes::from_owner(direct.map_err(internal)?)));
        }
        if let Some(path) = java::text(env, self.path).map_err(internal)? {
            return Ok(Source::File(path.into()));
        }
        if self.array.is_null() {
            let end = crate::handles::feed_end(self.feed)?;
            let feed: Option<Feed> = crate::handles::lock(&end).take();
            let text = "the stream has a reader already";
            let feed = feed.ok_or_else(|| Error::new(ErrorKind::Internal, text))?;
            return Ok(Source::Stream(Box::new(feed), size));
        }
        let len = usize::try_from(self.len).unwrap_or(0);
        if len <= PIECE_LEN {
            let len = jint::try_from(len).unwrap_or(0);
            let bytes = java::region(env, self.array, self.offset, len).map_err(internal)?;
            return Ok(Source::Bytes(bytes.into()));
        }
        let array = env.new_global_ref(self.array).map_err(internal)?;
        let reader = ArrayReader { array, position: self.offset, left: len };
        Ok(Source::Stream(Box::new(reader), size))
    }
}

impl Source {
    /// Leaves the caller's thread before a body that takes its time.
    fn leave_caller(&self) -> impl Future<Output = ()> + Send + use<> {
        let is_short = matches!(self, Self::Bytes(bytes) if bytes.len() <= PIECE_LEN);
        async move {
            if !is_short {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) async fn upload(self, client: Client, options: UploadOptions) -> Result<FileId> {
        self.leave_caller().await;
        match self {
            Self::Bytes(bytes) => client.upload(bytes, options).await,
            Self::Stream(reader, size) => client.upload_reader(reader, size, options).await,
            Self::File(path) => client.upload_file(path, options).await,
        }
    }

    pub(crate) async fn upload_slave(
        self,
        client: Client,
        master: FileId,
        prefix: String,
        options: UploadOptions,
    ) -> Result<FileId> {
        self.leave_caller().await;
        match self {
            Self::Bytes(bytes) => client.upload_slave(&master, &prefix, bytes, options).await,
            Self::Stream(reader, size) => {
                client.upload_slave_reader(&master, &prefix, reader, size, options).await
            }
            Self::File(path) => client.upload_slave_file(&master, &prefix, path, options).await,
        }
    }

    pub(crate) async fn append(self, client: Client, id: FileId) -> Result<()> {
        self.leave_caller().await;
        match self {
            Self::Bytes(bytes) => client.append(&id, bytes).await,
            Self::Stream(reader, size) => client.append_reader(&id, reader, size).await,
            Self::File(path) => client.append_file(&id, path).await,
        }
    }

    pub(crate) async fn modify(self, client: Client, id: FileId, offset: u64) -> Result<()> {
        self.leave_caller().await;
        match self {
            Self::Bytes(bytes) => client.modify(&id, offset, bytes).await,
            Self::Stream(reader, size) => client.modify_reader(&id, offset, reader, size).await,
            Self::File(path) => {
                let failed = |error: io::Error| {
                    let text = format!("opening {}", path.display());
                    Error::new(ErrorKind::LocalIo, text).with_source(error)
                };
                let file = tokio::fs::File::open(&path).await.map_err(failed)?;
                let size = file.metadata().await.map_err(failed)?.len();
                client.modify_reader(&id, offset, file, Some(size)).await
            }
        }
    }
}

/// Reads an array of Java where it lies: it is copied in pieces, into the buffer they are sent
/// from.
struct ArrayReader {
    array: Global<JByteArray<'static>>,
    position: jint,
    left: usize,
}

impl AsyncRead for ArrayReader {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        let len = buffer.remaining().min(reader.left).min(PIECE_LEN);
        let piece = signed_mut(buffer.initialize_unfilled_to(len));
        if let Err(error) = enter(|env| reader.array.get_region(env, reader.position, piece)) {
            return Poll::Ready(Err(io::Error::other(error)));
        }
        buffer.advance(len);
        reader.position += jint::try_from(len).unwrap_or(0);
        reader.left -= len;
        Poll::Ready(Ok(()))
    }
}

/// Takes a download into an array of Java that is made for it when the first bytes are there: while
/// calls wait for a connection, they hold no memory.
struct ArraySink {
    array: Option<Global<JByteArray<'static>>>,
    len: usize,
    filled: usize,
    /// What comes beyond it: the size was a guess from the file's name.
    beyond: Vec<u8>,
}

impl AsyncWrite for ArraySink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sink = self.get_mut();
        let (fits, beyond) = data.split_at(data.len().min(sink.len - sink.filled));
        if let Err(error) = sink.put(fits) {
            return Poll::Ready(Err(io::Error::other(error)));
        }
        sink.beyond.extend_from_slice(beyond);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ArraySink {
    fn put(&mut self, bytes: &[u8]) -> java::JniResult<()> {
        enter(|env| {
            let array = match self.array.take() {
                Some(array) => array,
                None => {
                    let array = env.new_byte_array(self.len)?;
                    env.new_global_ref(array)?
                }
            };
            let at = jint::try_from(self.filled).unwrap_or(jint::MAX);
            array.set_region(env, at, signed(bytes))?;
            self.array = Some(array);
            Ok(())
        })?;
        self.filled += bytes.len();
        Ok(())
    }

    fn finish(self) -> Result<Answer> {
        match self.array {
            Some(array) if self.filled == self.len && self.beyond.is_empty() => {
                Ok(Answer::Array(array))
            }
            array => {
                let filled = jint::try_from(self.filled).unwrap_or(jint::MAX);
                let mut bytes = Vec::new();
                if let Some(array) = array {
                    let head = enter(|env| java::region(env, &array, 0, filled));
                    bytes = head.map_err(internal)?;
                }
                bytes.extend_from_slice(&self.beyond);
                Ok(Answer::Bytes(Box::new(bytes.into())))
            }
        }
    }
}

/// How long the part of a file will be, as far as its name tells.
fn expected_len(id: &FileId, range: Range) -> Option<u64> {
    let size = id.size()?;
    let start = match u64::try_from(range.offset) {
        Ok(offset) => offset,
        Err(_) => size.saturating_sub(range.offset.unsigned_abs()),
    };
    let left = size.saturating_sub(start);
    Some(range.length.map_or(left, |length| length.min(left)))
}

/// Downloads into a new array. A large file whose size is in its name goes there without being
/// held here as a whole.
pub(crate) async fn download(client: Client, id: FileId, range: Range) -> Result<Answer> {
    let too_long = || {
        let text = "the file does not fit an array; use open or downloadTo";
        Error::new(ErrorKind::InvalidArgument, text).with_file_id(id.as_str())
    };
    let expected = expected_len(&id, range);
    if expected.is_some_and(|len| len > ARRAY_LEN_MAX) {
        return Err(too_long());
    }
    match expected.and_then(|len| usize::try_from(len).ok()).filter(|len| *len > PIECE_LEN) {
        Some(len) => {
            let mut sink = ArraySink { array: None, len, filled: 0, beyond: Vec::new() };
            client.download_to(&id, &mut sink, range).await?;
            sink.finish()
        }
        None => {
            let length = range.length.unwrap_or(u64::MAX).min(ARRAY_LEN_MAX + 1);
            let whole = Range { offset: range.offset, length: Some(length) };
            let range = if expected.is_some() { range } else { whole };
            let held = client.download_held(&id, range).await?;
            if held.len() as u64 > ARRAY_LEN_MAX {
                return Err(too_long());
            }
            Ok(Answer::Bytes(held.into()))
        }
    }
}
