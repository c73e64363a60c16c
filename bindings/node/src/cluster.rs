//! The embedded cluster.

use crate::call::promise;
use crate::failure::{invalid, thrown};
use fdfs_core::{Error, ErrorKind, Result};
use fdfs_servers::embedded::{Background, EmbeddedOptions};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A cluster inside this process. It ends in order with `stop`, with its environment, and when it
/// is collected.
#[napi]
pub struct NativeCluster {
    running: Arc<Mutex<Background>>,
    tracker: String,
    storages: Vec<String>,
}

/// Starts a cluster; storages by group.
#[napi(catch_unwind)]
pub fn start_cluster(
    env: &Env,
    dir: Option<String>,
    groups: Option<HashMap<String, u32>>,
) -> napi::Result<Object<'_>> {
    let mut options = EmbeddedOptions { dir: dir.map(Into::into), ..EmbeddedOptions::default() };
    if let Some(groups) = groups {
        let count = |(group, count): (String, u32)| match u8::try_from(count) {
            Ok(1..) => Ok((group, u8::try_from(count).unwrap_or(1))),
            _ => Err(invalid(format!("{group}: 1 to 255 storages, not {count}"))),
        };
        let groups: Result<Vec<_>> = groups.into_iter().map(count).collect();
        options.groups = groups.map_err(|error| thrown(env, &error))?;
        options.groups.sort();
    }
    promise(env, async move {
        let running = aside(move || Background::start(options)).await?;
        Ok(NativeCluster {
            tracker: running.tracker_addr().to_string(),
            storages: running.storage_addrs().iter().map(ToString::to_string).collect(),
            running: Arc::new(Mutex::new(running)),
        })
    })
}

fn lock(running: &Mutex<Background>) -> MutexGuard<'_, Background> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what waits for a runtime of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "the embedded cluster").with_source(error))
    })
}

#[napi]
impl NativeCluster {
    /// Address of the tracker.
    #[napi(getter, catch_unwind)]
    pub fn tracker(&self) -> String {
        self.tracker.clone()
    }

    /// Addresses of the storages.
    #[napi(getter, catch_unwind)]
    pub fn storages(&self) -> Vec<String> {
        self.storages.clone()
    }

    /// Ends all servers in order.
    #[napi(catch_unwind)]
    pub fn stop<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let running = self.running.clone();
        promise(env, async move { aside(move || lock(&running).stop()).await })
    }

    /// The same while the script waits, for the end of the process.
    #[napi(catch_unwind)]
    pub fn stop_now(&self, env: &Env) -> napi::Result<()> {
        lock(&self.running).stop().map_err(|error| thrown(env, &error))
    }
}
