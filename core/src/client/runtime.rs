//! The one runtime that all clients without a runtime of their own share: blocking calls, and calls
//! that bindings start and collect later.

use crate::error::{Error, ErrorKind, Result};
use crate::net::{block_on, process, sleep_until, works_for};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Threads that move bytes for all blocking clients.
const THREADS: usize = 2;

/// Time between looks at whether a waiting caller has been interrupted.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A runtime and the process that has its threads.
type Owned = (u32, Runtime);

/// The first one: all there is, unless this process was forked from one that had it.
static FIRST: OnceLock<Owned> = OnceLock::new();

/// The one of a process that was forked later. Not looked at on the way of every call: whoever held
/// this when a process was forked holds it in the child for ever.
static FORKED: Mutex<Option<Owned>> = Mutex::new(None);

/// The process that made something: connections and threads do not survive a fork.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(u32);

impl Process {
    pub(super) fn current() -> Self {
        Self(process())
    }

    pub(super) fn check(self) -> Result<()> {
        if self.0 == process() {
            return Ok(());
        }
        let text = "this was made before a fork; make a new one in the child process";
        Err(Error::new(ErrorKind::Closed, text))
    }
}

/// The runtime of this process; one made before a fork has lost its threads, so it is made anew
/// in the child.
pub fn handle() -> Result<Handle> {
    of_this_process().map(|(handle, _)| handle)
}

fn of_this_process() -> Result<(Handle, u32)> {
    let process = process();
    let is_ours = |(owner, _): &&Owned| *owner == process;
    if let Some((_, runtime)) = FIRST.get().filter(is_ours) {
        return Ok((runtime.handle().clone(), process));
    }
    let mut forked = FORKED.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may just have made it.
    let there = FIRST.get().filter(is_ours).or(forked.as_ref().filter(is_ours));
    if let Some((_, runtime)) = there {
        return Ok((runtime.handle().clone(), process));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("fdfs-client")
        .on_thread_start(move || works_for(process))
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot start threads").with_source(error)
        })?;
    let handle = runtime.handle().clone();
    if let Err(made) = FIRST.set((process, runtime))
        && let Some((_, dead)) = forked.replace(made)
    {
        // Its threads belong to the parent; waiting for them would never end.
        std::mem::forget(dead);
    }
    Ok((handle, process))
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

/// The runtime and its process, for a thread that may wait.
fn for_waiting() -> Result<(Handle, u32)> {
    if Handle::try_current().is_ok() {
        let text = "a blocking call inside of another, or on a thread of an asynchronous runtime";
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    of_this_process()
}

/// Runs a call to its end on this thread. From a runtime's own threads, or within another such
/// call, it is an error.
pub fn wait<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    block_on(&for_waiting()?, call)
}

/// Runs a call to its end on this thread, or until `interrupted` says that the caller has to go:
/// then the call is cancelled. It is asked twenty times a second.
pub fn wait_unless<T>(
    call: impl Future<Output = Result<T>>,
    mut interrupted: impl FnMut() -> bool,
) -> Result<T> {
    block_on(&for_waiting()?, async {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                done = &mut call => return done,
                () = sleep_until(Instant::now() + LOOK_INTERVAL) => {}
            }
            if interrupted() {
                return Err(Error::new(ErrorKind::Cancelled, "the caller was interrupted"));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_caller_does_not_wait() {
        let mut looks = 0;
        let ended: Result<()> = wait_unless(std::future::pending(), || {
            looks += 1;
            looks == 2
        });
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(wait_unless(async { Ok(7) }, || false).unwrap(), 7);
        let nested = wait(async { wait(async { Ok(()) }) });
        assert_eq!(nested.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
