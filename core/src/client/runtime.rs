//! The one runtime that all clients without a runtime of their own share: blocking calls, and calls
//! that bindings start and collect later.

use crate::error::{Error, ErrorKind, Result};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Threads that move bytes for all blocking clients.
const THREADS: usize = 2;

static SHARED: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

/// The runtime of this process; one made before a fork has lost its threads, so it is made anew
/// in the child.
pub fn handle() -> Result<Handle> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    if let Some((owner, runtime)) = &*shared
        && *owner == pid
    {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("fdfs-client")
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot start threads").with_source(error)
        })?;
    let handle = runtime.handle().clone();
    if let Some((_, dead)) = shared.replace((pid, runtime)) {
        // Its threads belong to the parent; waiting for them would never end.
        std::mem::forget(dead);
    }
    Ok(handle)
}

/// Runs a call in the background. Aborting the task cancels the call and closes its connection.
///
/// ```no_run
/// # fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
/// let task = fdfs_core::client::runtime::spawn(async move { client.ping().await })?;
/// task.abort();
/// # Ok(()) }
/// ```
pub fn spawn<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<JoinHandle<T>> {
    Ok(handle()?.spawn(call))
}

/// Runs a call to its end on this thread.
pub(super) fn wait<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    handle()?.block_on(call)
}
