//! Bodies that move piece by piece, in both directions.

use crate::answer::Answer;
use crate::clients::{optional, unsigned};
use crate::handles::{self, Content, Handle};
use crate::java::{Direct, internal, region};
use crate::ops::start;
use fdfs_core::client::{Reader, Writer, feed};
use fdfs_core::{Error, ErrorKind, Result};
use jni::objects::{JByteArray, JByteBuffer, JClass, JString};
use jni::sys::{jint, jlong};
use jni::{EnvUnowned, jni_mangle};
use std::io::{self, SeekFrom};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt as _;

/// Opens a stream for uploading from, under this number.
#[jni_mangle("io.github.fdfs.Native")]
pub fn feed_open<'l>(_env: EnvUnowned<'l>, _class: JClass<'l>, number: jlong) {
    let (feeder, end) = feed();
    Handle::Feed(feeder, Arc::new(Mutex::new(Some(end)))).keep(number);
}

/// Adds a piece; answers 0 when nobody reads any more.
#[jni_mangle("io.github.fdfs.Native")]
pub fn feed_push<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    number: jlong,
    array: JByteArray<'_>,
    len: jint,
) {
    start(env, op, |env| {
        let feeder = handles::feed(number)?;
        let piece = region(env, &array, 0, len).map_err(internal)?;
        Ok(async move { Ok(feeder.push(piece.into()).await.into()) })
    });
}

/// Ends the stream, with an error unless that is null.
#[jni_mangle("io.github.fdfs.Native")]
pub fn feed_end<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    number: jlong,
    error: JString<'_>,
) {
    start(env, op, |env| {
        let feeder = handles::feed(number)?;
        let error = optional(env, &error)?;
        Ok(async move {
            let heard = match error {
                Some(error) => feeder.fail(io::Error::other(error)).await,
                None => feeder.finish().await,
            };
            Ok(heard.into())
        })
    });
}

/// Fills a buffer with content, up to its end; answers how much there was.
#[jni_mangle("io.github.fdfs.Native")]
pub fn read<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    number: jlong,
    buffer: JByteBuffer<'_>,
    len: jlong,
) {
    start(env, op, |env| {
        let content = handles::content(number)?;
        let mut direct = Direct::new(env, &buffer, 0, len).map_err(internal)?;
        Ok(async move {
            let mut content = content.lock().await;
            let mut filled = 0;
            while let room = direct.as_mut().get_mut(filled..).unwrap_or_default()
                && !room.is_empty()
            {
                let read = content.read(room).await?;
                if read == 0 {
                    break;
                }
                filled += read;
            }
            Ok(filled.into())
        })
    });
}

impl Content {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::File(reader) => Reader::read(reader, buffer).await,
            Self::Pipe(pipe) => pipe.read(buffer).await.map_err(|error| {
                Error::new(ErrorKind::Internal, "reading a pipe").with_source(error)
            }),
        }
    }
}

/// Moves to another position of an open file.
#[jni_mangle("io.github.fdfs.Native")]
pub fn seek<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    number: jlong,
    position: jlong,
) {
    start(env, op, |_| {
        let content = handles::content(number)?;
        let position = unsigned(position, "position")?;
        Ok(async move {
            match &mut *content.lock().await {
                Content::File(reader) => reader.seek(SeekFrom::Start(position)).map(Answer::from),
                Content::Pipe(_) => Err(Error::new(ErrorKind::Unsupported, "pipes cannot seek")),
            }
        })
    });
}

fn finished() -> Error {
    Error::new(ErrorKind::Closed, "the stream is closed")
}

/// Adds a piece to a file that is being written, and sends it.
#[jni_mangle("io.github.fdfs.Native")]
pub fn write<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    number: jlong,
    array: JByteArray<'_>,
    len: jint,
) {
    start(env, op, |env| {
        let writer = handles::writer(number)?;
        let piece = region(env, &array, 0, len).map_err(internal)?;
        Ok(async move {
            let mut writer = writer.lock().await;
            let writer: &mut Writer = writer.as_mut().ok_or_else(finished)?;
            writer.write(&piece).await?;
            writer.flush().await.map(Answer::from)
        })
    });
}

/// Completes a file that was written; answers its id.
#[jni_mangle("io.github.fdfs.Native")]
pub fn finish<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong, number: jlong) {
    start(env, op, |_| {
        let writer = handles::writer(number)?;
        Ok(async move {
            let writer = writer.lock().await.take().ok_or_else(finished)?;
            writer.finish().await.map(|id| Answer::Text(id.to_string()))
        })
    });
}

/// Gives up a file that was being written, and deletes it.
#[jni_mangle("io.github.fdfs.Native")]
pub fn abort<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong, number: jlong) {
    start(env, op, |_| {
        let writer = handles::writer(number)?;
        Ok(async move {
            let writer = writer.lock().await.take().ok_or_else(finished)?;
            writer.abort().await.map(Answer::from)
        })
    });
}
