//! Clients: making them, and what they do without bodies.

use crate::answer::{Answer, Record, fields};
use crate::handles::{self, Handle};
use crate::java::{self, internal};
use crate::ops::now;
use fdfs_core::client::{CallOptions, Client, ClientOptions, Metadata, Range, make_token};
use fdfs_core::file_id::FileId;
use fdfs_core::{Error, ErrorKind, Result};
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, EnvUnowned, jni_mangle};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A text that must be there.
pub(crate) fn text(env: &Env<'_>, string: &JString<'_>) -> Result<String> {
    optional(env, string).map(Option::unwrap_or_default)
}

/// A text that may be missing.
pub(crate) fn optional(env: &Env<'_>, string: &JString<'_>) -> Result<Option<String>> {
    java::text(env, string).map_err(internal)
}

/// A file id.
pub(crate) fn file_id(env: &Env<'_>, string: &JString<'_>) -> Result<FileId> {
    text(env, string)?.parse()
}

/// Metadata, from names and values in turn.
pub(crate) fn metadata(
    env: &mut Env<'_>,
    items: &JObjectArray<'_, JString<'_>>,
) -> Result<Metadata> {
    let mut texts = java::texts(env, items).map_err(internal)?.into_iter();
    Ok(std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect())
}

/// A range; a negative length stands for all to the end.
pub(crate) fn range(offset: jlong, length: jlong) -> Range {
    Range { offset, length: u64::try_from(length).ok() }
}

fn duration(nanos: jlong) -> Option<Duration> {
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// A client whose calls have these options.
pub(crate) fn client(
    number: jlong,
    op: jlong,
    timeout: jlong,
    progress: jboolean,
) -> Result<Client> {
    let client = handles::client(number)?;
    let timeout = duration(timeout);
    if timeout.is_none() && !progress {
        return Ok(client);
    }
    let mut call = CallOptions { timeout, ..CallOptions::default() };
    if progress {
        call.progress = Some(Arc::new(move |moved| java::progress(op, moved)));
    }
    Ok(client.with(call))
}

/// Native functions that are one call of a client: they begin with the operation, the client, the
/// call's time in nanoseconds (negative: none) and whether progress is wanted.
macro_rules! calls {
    ($($name:ident($env:ident, $op:ident, $client:ident $(, $arg:ident: $ty:ty)*) $call:block)*) => {$(
        #[jni_mangle("io.github.fdfs.Native")]
        pub fn $name<'l>(
            env: EnvUnowned<'l>,
            _class: JClass<'l>,
            $op: jlong,
            client: jlong,
            timeout: jlong,
            progress: jboolean
            $(, $arg: $ty)*
        ) {
            crate::ops::start(env, $op, |$env| {
                let $client = crate::clients::client(client, $op, timeout, progress)?;
                Ok($call)
            });
        }
    )*};
}
pub(crate) use calls;

calls! {
    exists(env, op, client, id: JString<'_>) {
        let id = file_id(env, &id)?;
        async move { client.exists(&id).await.map(Answer::from) }
    }
    stat(env, op, client, id: JString<'_>) {
        let id = file_id(env, &id)?;
        async move { client.stat(&id).await.map(Answer::from) }
    }
    delete(env, op, client, id: JString<'_>) {
        let id = file_id(env, &id)?;
        async move { client.delete(&id, true).await.map(Answer::from) }
    }
    truncate(env, op, client, id: JString<'_>, size: jlong) {
        let id = file_id(env, &id)?;
        let size = unsigned(size, "size")?;
        async move { client.truncate(&id, size).await.map(Answer::from) }
    }
    finalize_file(env, op, client, id: JString<'_>) {
        let id = file_id(env, &id)?;
        async move { client.finalize(&id).await.map(|id| Answer::Text(id.to_string())) }
    }
    get_metadata(env, op, client, id: JString<'_>) {
        let id = file_id(env, &id)?;
        async move { client.get_metadata(&id).await.map(Answer::from) }
    }
    set_metadata(env, op, client, id: JString<'_>, items: JObjectArray<'_, JString<'_>>, merge: jboolean) {
        let id = file_id(env, &id)?;
        let items = metadata(env, &items)?;
        async move { client.set_metadata(&id, &items, merge).await.map(Answer::from) }
    }
    list_groups(_env, op, client) {
        async move { client.list_groups().await.map(Answer::from) }
    }
    list_storages(env, op, client, group: JString<'_>, storage: JString<'_>) {
        let (group, storage) = (text(env, &group)?, optional(env, &storage)?);
        async move { client.list_storages(&group, storage.as_deref()).await.map(Answer::from) }
    }
    list_trackers(_env, op, client) {
        async move { client.list_trackers().await.map(Answer::from) }
    }
    locate(env, op, client, id: JString<'_>, all: jboolean) {
        let id = file_id(env, &id)?;
        async move { client.locate(&id, all).await.map(Answer::from) }
    }
    pick_upload(env, op, client, group: JString<'_>) {
        let group = optional(env, &group)?;
        async move { client.pick_upload(group.as_deref()).await.map(Answer::from) }
    }
    ping(_env, op, client) {
        async move { client.ping().await.map(Answer::from) }
    }
    delete_storage(env, op, client, group: JString<'_>, id: JString<'_>) {
        let (group, id) = (text(env, &group)?, text(env, &id)?);
        async move { client.admin().delete_storage(&group, &id).await.map(Answer::from) }
    }
    delete_group(env, op, client, group: JString<'_>) {
        let group = text(env, &group)?;
        async move { client.admin().delete_group(&group).await.map(Answer::from) }
    }
    set_trunk_server(env, op, client, group: JString<'_>, id: JString<'_>) {
        let (group, id) = (text(env, &group)?, optional(env, &id)?);
        async move { client.admin().set_trunk_server(&group, id.as_deref()).await.map(Answer::from) }
    }
}

/// A number that must not be negative.
pub(crate) fn unsigned(number: jlong, what: &str) -> Result<u64> {
    u64::try_from(number)
        .map_err(|_| Error::new(ErrorKind::InvalidArgument, format!("{what} {number} is negative")))
}

/// Makes a client, known by the number of this operation. What is null or negative keeps its
/// default, or what the file `conf` says.
#[jni_mangle("io.github.fdfs.Native")]
pub fn connect<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    conf: JString<'_>,
    trackers: JObjectArray<'_, JString<'_>>,
    group: JString<'_>,
    secret: JString<'_>,
    address_map: JObjectArray<'_, JString<'_>>,
    connect_timeout: jlong,
    io_timeout: jlong,
    timeout: jlong,
    pool_size: jint,
    retries: jint,
) {
    now(env, op, |env| {
        let trackers = java::texts(env, &trackers).map_err(internal)?;
        let mut options = match optional(env, &conf)? {
            Some(path) => ClientOptions::from_conf(path)?,
            None => ClientOptions::new(&trackers)?,
        };
        if !trackers.is_empty() {
            options.trackers = ClientOptions::new(&trackers)?.trackers;
        }
        options.group = optional(env, &group)?.or(options.group);
        options.token_secret = optional(env, &secret)?.or(options.token_secret);
        for (advertised, real) in metadata(env, &address_map)? {
            options.address_map.insert(&advertised, &real)?;
        }
        options.connect_timeout = duration(connect_timeout).unwrap_or(options.connect_timeout);
        options.io_timeout = duration(io_timeout).unwrap_or(options.io_timeout);
        options.timeout = duration(timeout).or(options.timeout);
        options.pool_size = usize::try_from(pool_size).unwrap_or(options.pool_size);
        options.retries = u32::try_from(retries).unwrap_or(options.retries);
        Handle::Client(options.connect()).keep(op);
        Ok(Answer::from(()))
    });
}

/// What the pool of a client did.
#[jni_mangle("io.github.fdfs.Native")]
pub fn pool_stats<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong, client: jlong) {
    now(env, op, |_| Ok(handles::client(client)?.pool_stats().into()));
}

/// The URL of a file; a negative time stands for now.
#[jni_mangle("io.github.fdfs.Native")]
pub fn http_url<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    client: jlong,
    id: JString<'_>,
    base: JString<'_>,
    filename: JString<'_>,
    expires: jlong,
) {
    now(env, op, |env| {
        let (id, base) = (file_id(env, &id)?, text(env, &base)?);
        let filename = optional(env, &filename)?;
        let expires = u64::try_from(expires).ok().map(|at| UNIX_EPOCH + Duration::from_secs(at));
        let client = handles::client(client)?;
        Ok(client.http_url(&id, &base, filename.as_deref(), expires).into())
    });
}

/// A token; see `Tokens`.
#[jni_mangle("io.github.fdfs.Native")]
pub fn token<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    id: JString<'_>,
    unix_secs: jlong,
    secret: JString<'_>,
) {
    now(env, op, |env| Ok(make_token(&file_id(env, &id)?, unix_secs, &text(env, &secret)?).into()));
}

/// What a file id says.
#[jni_mangle("io.github.fdfs.Native")]
pub fn parse<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong, id: JString<'_>) {
    now(env, op, |env| Ok(Answer::Fields(file_id(env, &id)?.fields())));
}

/// The id of a slave.
#[jni_mangle("io.github.fdfs.Native")]
pub fn slave_id<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    id: JString<'_>,
    prefix: JString<'_>,
    ext: JString<'_>,
) {
    now(env, op, |env| {
        let slave = file_id(env, &id)?.slave(&text(env, &prefix)?, &text(env, &ext)?)?;
        Ok(Answer::Text(slave.to_string()))
    });
}

/// The table of error kinds, and the version of this library.
#[jni_mangle("io.github.fdfs.Native")]
pub fn about<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong) {
    now(env, op, |_| {
        let kinds = ErrorKind::ALL.iter();
        let kinds = kinds.flat_map(|kind| fields![kind.name(), kind.number(), kind.retryable()]);
        let version = fields![fdfs_core::VERSION];
        Ok(Answer::Fields(version.into_iter().chain(kinds).collect()))
    });
}
