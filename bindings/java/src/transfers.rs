//! Calls with bodies.

use crate::answer::Answer;
use crate::clients::{calls, file_id, metadata, optional, range, text, unsigned};
use crate::content::{self, Given};
use crate::handles::{Content, Handle};
use crate::java::{Direct, internal};
use fdfs_core::Result;
use fdfs_core::client::UploadOptions;
use jni::Env;
use jni::EnvUnowned;
use jni::jni_mangle;
use jni::objects::{JByteArray, JByteBuffer, JClass, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes under way between a download and the one who fetches them.
const PIPE_LEN: usize = 1 << 20;

/// What an upload is told: extension and group (null: none), store path (negative: any), whether
/// it can grow, and metadata.
pub(crate) fn upload_options(
    env: &mut Env<'_>,
    ext: &JString<'_>,
    group: &JString<'_>,
    store_path: jint,
    appender: jboolean,
    items: &JObjectArray<'_, JString<'_>>,
) -> Result<UploadOptions> {
    Ok(UploadOptions {
        ext: optional(env, ext)?,
        metadata: metadata(env, items)?,
        group: optional(env, group)?,
        store_path_index: match store_path {
            ..0 => None,
            index => Some(u8::try_from(index).map_err(|_| {
                let text = format!("store path {index}: at most 255");
                fdfs_core::Error::new(fdfs_core::ErrorKind::InvalidArgument, text)
            })?),
        },
        appender,
    })
}

calls! {
    upload(
        env, op, client,
        array: JByteArray<'_>, buffer: JByteBuffer<'_>, path: JString<'_>, feed: jlong,
        offset: jint, len: jlong,
        ext: JString<'_>, group: JString<'_>, store_path: jint, appender: jboolean,
        items: JObjectArray<'_, JString<'_>>
    ) {
        let options = upload_options(env, &ext, &group, store_path, appender, &items)?;
        let given = Given { array: &array, buffer: &buffer, path: &path, feed, offset, len };
        let source = given.source(env)?;
        async move { source.upload(client, options).await.map(|id| Answer::Text(id.to_string())) }
    }
    upload_slave(
        env, op, client,
        array: JByteArray<'_>, buffer: JByteBuffer<'_>, path: JString<'_>, feed: jlong,
        offset: jint, len: jlong,
        master: JString<'_>, prefix: JString<'_>,
        ext: JString<'_>, items: JObjectArray<'_, JString<'_>>
    ) {
        let (master, prefix) = (file_id(env, &master)?, text(env, &prefix)?);
        let options = upload_options(env, &ext, &JString::null(), -1, false, &items)?;
        let given = Given { array: &array, buffer: &buffer, path: &path, feed, offset, len };
        let source = given.source(env)?;
        async move {
            let id = source.upload_slave(client, master, prefix, options).await?;
            Ok(Answer::Text(id.to_string()))
        }
    }
    append(
        env, op, client,
        array: JByteArray<'_>, buffer: JByteBuffer<'_>, path: JString<'_>, feed: jlong,
        offset: jint, len: jlong,
        id: JString<'_>
    ) {
        let id = file_id(env, &id)?;
        let given = Given { array: &array, buffer: &buffer, path: &path, feed, offset, len };
        let source = given.source(env)?;
        async move { source.append(client, id).await.map(Answer::from) }
    }
    modify(
        env, op, client,
        array: JByteArray<'_>, buffer: JByteBuffer<'_>, path: JString<'_>, feed: jlong,
        offset: jint, len: jlong,
        id: JString<'_>, position: jlong
    ) {
        let (id, position) = (file_id(env, &id)?, unsigned(position, "offset")?);
        let given = Given { array: &array, buffer: &buffer, path: &path, feed, offset, len };
        let source = given.source(env)?;
        async move { source.modify(client, id, position).await.map(Answer::from) }
    }
    create(
        env, op, client,
        ext: JString<'_>, group: JString<'_>, store_path: jint, appender: jboolean,
        items: JObjectArray<'_, JString<'_>>
    ) {
        let options = upload_options(env, &ext, &group, store_path, true, &items)?;
        async move {
            let writer = client.create(options, !appender).await?;
            let id = writer.id().to_string();
            Handle::Writer(Arc::new(tokio::sync::Mutex::new(Some(writer)))).keep(op);
            Ok(Answer::Text(id))
        }
    }
    download(env, op, client, id: JString<'_>, offset: jlong, length: jlong) {
        let id = file_id(env, &id)?;
        content::download(client, id, range(offset, length))
    }
    download_into(
        env, op, client,
        id: JString<'_>, offset: jlong,
        buffer: JByteBuffer<'_>, position: jlong, len: jlong
    ) {
        let id = file_id(env, &id)?;
        let mut direct = Direct::new(env, &buffer, position, len).map_err(internal)?;
        async move { client.download_into(&id, direct.as_mut(), offset).await.map(Answer::from) }
    }
    download_file(env, op, client, id: JString<'_>, offset: jlong, length: jlong, path: JString<'_>) {
        let (id, path) = (file_id(env, &id)?, PathBuf::from(text(env, &path)?));
        async move { client.download_file(&id, path, range(offset, length)).await.map(Answer::from) }
    }
    download_pipe(env, op, client, id: JString<'_>, offset: jlong, length: jlong, pipe: jlong) {
        let id = file_id(env, &id)?;
        let (mut sink, content) = tokio::io::duplex(PIPE_LEN);
        Handle::Content(Arc::new(tokio::sync::Mutex::new(Content::Pipe(content)))).keep(pipe);
        async move { client.download_to(&id, &mut sink, range(offset, length)).await.map(Answer::from) }
    }
    open(env, op, client, id: JString<'_>, offset: jlong, length: jlong) {
        let id = file_id(env, &id)?;
        async move {
            let reader = client.open(&id, range(offset, length)).await?;
            let len = reader.len();
            Handle::Content(Arc::new(tokio::sync::Mutex::new(Content::File(Box::new(reader))))).keep(op);
            Ok(Answer::from(len))
        }
    }
}
