//! Clusters inside of the process.

use crate::answer::{Answer, fields};
use crate::clients::optional;
use crate::handles::{self, Handle, lock};
use crate::java::{self, internal};
use crate::ops::start_blocking;
use fdfs_core::{Error, ErrorKind, Result};
use fdfs_servers::embedded::{Background, EmbeddedOptions};
use jni::objects::{JClass, JObjectArray, JString};
use jni::sys::jlong;
use jni::{EnvUnowned, jni_mangle};
use std::sync::{Arc, Mutex};

fn groups(texts: Vec<String>) -> Result<Vec<(String, u8)>> {
    let mut texts = texts.into_iter();
    std::iter::from_fn(|| Some((texts.next()?, texts.next()?)))
        .map(|(name, count)| match count.parse() {
            Ok(0) | Err(_) => {
                let text = format!("group {name}: {count} storages; 1 to 255 are possible");
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
            Ok(count) => Ok((name, count)),
        })
        .collect()
}

/// Starts a cluster, known by the number of this operation; answers the addresses of the tracker
/// and of the storages. Groups are names and numbers of storages in turn.
#[jni_mangle("io.github.fdfs.Native")]
pub fn cluster_start<'l>(
    env: EnvUnowned<'l>,
    _class: JClass<'l>,
    op: jlong,
    dir: JString<'_>,
    names_and_counts: JObjectArray<'_, JString<'_>>,
) {
    start_blocking(env, op, |env| {
        let texts = java::texts(env, &names_and_counts).map_err(internal)?;
        let mut options = EmbeddedOptions { groups: groups(texts)?, ..EmbeddedOptions::default() };
        options.dir = optional(env, &dir)?.map(Into::into);
        Ok(move || {
            let cluster = Background::start(options)?;
            let mut addresses = fields![cluster.tracker_addr()];
            addresses.extend(cluster.storage_addrs().iter().map(|addr| Some(addr.to_string())));
            Handle::Cluster(Arc::new(Mutex::new(cluster))).keep(op);
            Ok(Answer::Fields(addresses))
        })
    });
}

/// Ends a cluster and waits until it has ended.
#[jni_mangle("io.github.fdfs.Native")]
pub fn cluster_stop<'l>(env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong, number: jlong) {
    start_blocking(env, op, |_| {
        let cluster = handles::cluster(number)?;
        Ok(move || lock(&cluster).stop().map(Answer::from))
    });
}
