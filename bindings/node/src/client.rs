//! The client.

use crate::arguments::{Id, Natural, Place, Settings};
use crate::call::{Held, NativeCall, promise};
use crate::failure::thrown;
use crate::streams::{NativeFeeder, NativeReader, NativeWriter};
use crate::types::{PoolStats, Shown};
use fdfs_core::client::{Client, Feed, Range};
use napi::Env;
use napi::bindgen_prelude::{Buffer, ClassInstance, Either, Object, Uint8Array};
use napi_derive::napi;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

/// What is uploaded: bytes, or a stream that the script feeds.
type Source<'s> = Either<Uint8Array, ClassInstance<'s, NativeFeeder>>;
type Call<'s> = Option<ClassInstance<'s, NativeCall>>;

/// Content on its way to a call.
enum Content {
    Bytes(Uint8Array),
    Stream(Feed),
}

impl Content {
    fn new(env: &Env, source: Source<'_>) -> napi::Result<Self> {
        match source {
            Either::A(bytes) => Ok(Self::Bytes(bytes)),
            Either::B(feeder) => {
                feeder.take().map(Self::Stream).map_err(|error| thrown(env, &error))
            }
        }
    }
}

/// A client of one cluster.
#[napi]
pub struct NativeClient(Client);

#[napi]
#[allow(missing_docs, reason = "told by index.d.ts")]
impl NativeClient {
    #[napi(constructor, catch_unwind)]
    pub fn new(options: Settings) -> Self {
        Self(options.0.connect())
    }

    #[napi(catch_unwind)]
    pub fn http_url(
        &self,
        id: Id,
        base: String,
        filename: Option<String>,
        unix_secs: Option<Natural>,
    ) -> String {
        let expires = unix_secs.map(|secs| UNIX_EPOCH + Duration::from_secs(secs.0));
        self.0.http_url(&id.0, &base, filename.as_deref(), expires)
    }

    #[napi(catch_unwind)]
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        self.0.pool_stats().shown()
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.0.close();
    }
}

/// Methods that make a call and give the promise of its result. The last argument is always what
/// the call is told.
macro_rules! calls {
    ($($name:ident($($arg:ident: $ty:ty),*) = |$client:ident| $call:expr;)*) => {
        #[napi]
        #[allow(missing_docs, reason = "told by index.d.ts")]
        impl NativeClient {$(
            #[napi(catch_unwind)]
            pub fn $name<'env>(
                &self,
                env: &'env Env,
                $($arg: $ty,)*
                call: Call<'_>,
            ) -> napi::Result<Object<'env>> {
                let $client = NativeCall::on(&self.0, call.as_deref());
                promise(env, async move { $call.await.map(Shown::shown) })
            }
        )*}
    };
}

calls! {
    upload_file(path: String, place: Place) = |client| client.upload_file(path, place.0);
    truncate(id: Id, size: Natural) = |client| client.truncate(&id.0, size.0);
    finalize(id: Id) = |client| client.finalize(&id.0);
    download_file(id: Id, path: String, offset: i64, length: Option<Natural>) =
        |client| client.download_file(&id.0, path, range(offset, length));
    delete(id: Id, missing_ok: bool) = |client| client.delete(&id.0, missing_ok);
    exists(id: Id) = |client| client.exists(&id.0);
    stat(id: Id) = |client| client.stat(&id.0);
    get_metadata(id: Id) = |client| client.get_metadata(&id.0);
    set_metadata(id: Id, metadata: HashMap<String, String>, merge: bool) =
        |client| client.set_metadata(&id.0, &metadata.into_iter().collect(), merge);
    list_groups() = |client| client.list_groups();
    list_storages(group: String, storage: Option<String>) =
        |client| client.list_storages(&group, storage.as_deref());
    list_trackers() = |client| client.list_trackers();
    locate(id: Id, every: bool) = |client| client.locate(&id.0, every);
    pick_upload(group: Option<String>) = |client| client.pick_upload(group.as_deref());
    delete_storage(group: String, storage: String) =
        |client| client.admin().delete_storage(&group, &storage);
    delete_group(group: String) = |client| client.admin().delete_group(&group);
    set_trunk_server(group: String, storage: Option<String>) =
        |client| client.admin().set_trunk_server(&group, storage.as_deref());
    ping() = |client| client.ping();
}

/// The same for methods that send content: as bytes, or as a stream that may have a size.
macro_rules! sends {
    ($($name:ident($($arg:ident: $ty:ty),*) =
        |$client:ident, $bytes:ident| $send:expr, |$feed:ident, $size:ident| $stream:expr;)*) => {
        #[napi]
        #[allow(missing_docs, reason = "told by index.d.ts")]
        #[allow(clippy::too_many_arguments, reason = "the script's call, one by one")]
        impl NativeClient {$(
            #[napi(catch_unwind)]
            pub fn $name<'env>(
                &self,
                env: &'env Env,
                $($arg: $ty,)*
                source: Source<'_>,
                size: Option<Natural>,
                call: Call<'_>,
            ) -> napi::Result<Object<'env>> {
                let $client = NativeCall::on(&self.0, call.as_deref());
                let (content, $size) = (Content::new(env, source)?, size.map(|size| size.0));
                promise(env, async move {
                    match content {
                        Content::Bytes(held) => {
                            let $bytes = &held[..];
                            Ok(Held($send.await?.shown(), Some(held)))
                        }
                        Content::Stream($feed) => Ok(Held($stream.await?.shown(), None)),
                    }
                })
            }
        )*}
    };
}

sends! {
    upload(place: Place) =
        |client, bytes| client.upload(bytes, place.0),
        |feed, size| client.upload_reader(feed, size, place.0);
    upload_slave(master: Id, prefix: String, place: Place) =
        |client, bytes| client.upload_slave(&master.0, &prefix, bytes, place.0),
        |feed, size| client.upload_slave_reader(&master.0, &prefix, feed, size, place.0);
    append(id: Id) =
        |client, bytes| client.append(&id.0, bytes),
        |feed, size| client.append_reader(&id.0, feed, size);
    modify(id: Id, offset: Natural) =
        |client, bytes| client.modify(&id.0, offset.0, bytes),
        |feed, size| client.modify_reader(&id.0, offset.0, feed, size);
}

#[napi]
#[allow(missing_docs, reason = "told by index.d.ts")]
impl NativeClient {
    #[napi(catch_unwind)]
    pub fn download<'env>(
        &self,
        env: &'env Env,
        id: Id,
        offset: i64,
        length: Option<Natural>,
        call: Call<'_>,
    ) -> napi::Result<Object<'env>> {
        let client = NativeCall::on(&self.0, call.as_deref());
        promise(env, async move {
            client.download(&id.0, range(offset, length)).await.map(Buffer::from)
        })
    }

    #[napi(catch_unwind)]
    pub fn download_into<'env>(
        &self,
        env: &'env Env,
        id: Id,
        mut buffer: Uint8Array,
        offset: i64,
        call: Call<'_>,
    ) -> napi::Result<Object<'env>> {
        let client = NativeCall::on(&self.0, call.as_deref());
        promise(env, async move {
            // SAFETY: the reference keeps the memory alive, calls end before their environment
            // does, and index.d.ts asks the script to leave the array alone until then.
            let into = unsafe { buffer.as_mut() };
            let filled = client.download_into(&id.0, into, offset).await?;
            Ok(Held(filled.shown(), Some(buffer)))
        })
    }

    #[napi(catch_unwind)]
    pub fn open<'env>(
        &self,
        env: &'env Env,
        id: Id,
        offset: i64,
        length: Option<Natural>,
        call: Call<'_>,
    ) -> napi::Result<Object<'env>> {
        let client = NativeCall::on(&self.0, call.as_deref());
        promise(env, async move {
            client.open(&id.0, range(offset, length)).await.map(NativeReader::new)
        })
    }

    #[napi(catch_unwind)]
    pub fn create<'env>(
        &self,
        env: &'env Env,
        place: Place,
        finalize: bool,
        call: Call<'_>,
    ) -> napi::Result<Object<'env>> {
        let (client, plain) = (NativeCall::on(&self.0, call.as_deref()), self.0.clone());
        promise(env, async move {
            Ok(NativeWriter::new(client.create(place.0, finalize).await?, plain))
        })
    }
}

fn range(offset: i64, length: Option<Natural>) -> Range {
    Range { offset, length: length.map(|length| length.0) }
}
