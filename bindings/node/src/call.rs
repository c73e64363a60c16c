//! Calls under way: promises for futures of the core, their options, and their end with the
//! environment that made them.

use crate::ends::Ends;
use crate::failure::{self, invalid};
use fdfs_core::Result;
use fdfs_core::client::{self, CallOptions, Cancel, Caught, Client, runtime};
use napi::bindgen_prelude::{Object, ToNapiValue, Uint8Array};
use napi::threadsafe_function::{
    ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue,
};
use napi::{Env, Status};
use napi_derive::napi;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Runs a call on the runtime of the core and gives its promise.
pub(crate) fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let runtime = runtime::handle().map_err(|error| failure::thrown(env, &error))?;
    let calls = Calls::of(env)?;
    let (deferred, promise) = calls.ends.promise(env)?;
    calls.start(&runtime, async move {
        deferred.settle(Caught::new(call).await);
    });
    Ok(promise)
}

/// A result with the memory of the script that the call used, which is let go of on the script's
/// own thread.
pub(crate) struct Held<T>(pub(crate) T, pub(crate) Option<Uint8Array>);

impl<T: ToNapiValue> ToNapiValue for Held<T> {
    unsafe fn to_napi_value(
        env: napi::sys::napi_env,
        value: Self,
    ) -> napi::Result<napi::sys::napi_value> {
        let Self(value, used) = value;
        drop(used);
        // SAFETY: the caller's promises are passed on.
        unsafe { T::to_napi_value(env, value) }
    }
}

/// The calls that one environment (the main thread, a worker) has under way.
///
/// They may use memory of the script, so they must have ended before the environment is gone.
struct Calls {
    ends: Arc<Ends>,
    running: Mutex<Running>,
    ended: Condvar,
}

/// The number of the last call, and those under way; one that is just being started has no handle.
type Running = (u64, HashMap<u64, Option<AbortHandle>>);

thread_local! {
    static CALLS: RefCell<Option<Arc<Calls>>> = const { RefCell::new(None) };
}

impl Calls {
    fn of(env: &Env) -> napi::Result<Arc<Self>> {
        if let Some(calls) = CALLS.with_borrow(Clone::clone) {
            return Ok(calls);
        }
        let ends = Ends::new(env)?;
        let calls = Arc::new(Self { ends, running: Mutex::default(), ended: Condvar::new() });
        env.add_env_cleanup_hook(calls.clone(), |calls| {
            CALLS.set(None);
            calls.end();
            calls.ends.drop_queued();
        })?;
        CALLS.set(Some(calls.clone()));
        Ok(calls)
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(
        self: Arc<Self>,
        runtime: &tokio::runtime::Handle,
        call: impl Future<Output = ()> + Send + 'static,
    ) {
        let number = {
            let mut running = self.lock();
            running.0 += 1;
            let number = running.0;
            running.1.insert(number, None);
            number
        };
        let entry = Entry { calls: self.clone(), number };
        // Without the lock: starting it may wake a thread, and those that end others would wait.
        let task = runtime.spawn(async move {
            call.await;
            drop(entry);
        });
        // It may have ended already.
        if let Some(running) = self.lock().1.get_mut(&number) {
            *running = Some(task.abort_handle());
        }
    }

    /// Cancels all calls and waits until they let go of everything.
    fn end(&self) {
        let mut running = self.lock();
        // Calls are started on this thread, so all have their handles.
        for call in running.1.values().flatten() {
            call.abort();
        }
        while !running.1.is_empty() {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A call's place among those of its environment, until it ends or is dropped.
struct Entry {
    calls: Arc<Calls>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.calls.lock();
        running.1.remove(&self.number);
        if running.1.is_empty() {
            self.calls.ended.notify_all();
        }
    }
}

type Notify = ThreadsafeFunction<(), UnknownReturnValue, (), Status, false, true>;

/// What one call is told, and the handle that cancels it.
#[napi]
pub struct NativeCall {
    timeout: Option<Duration>,
    cancel: Cancel,
    moved: Option<Arc<Moved>>,
}

/// How much content has moved. The script is told when it has taken note of the last time.
struct Moved {
    bytes: AtomicU64,
    told: AtomicBool,
    tell: Notify,
}

#[napi]
impl NativeCall {
    /// A call bounded by `timeoutMs`; `moving` is called when there is something new to read from
    /// `moved`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, timeout_ms: Option<f64>, moving: Option<Notify>) -> napi::Result<Self> {
        let timeout = timeout_ms.map(|ms| millis(ms, "timeoutMs")).transpose();
        let timeout = timeout.map_err(|error| failure::thrown(env, &error))?;
        let moved = moving.map(|tell| {
            Arc::new(Moved { bytes: AtomicU64::new(0), told: AtomicBool::new(false), tell })
        });
        Ok(Self { timeout, cancel: Cancel::new(), moved })
    }

    /// Ends the call.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Bytes of content moved so far.
    #[napi(catch_unwind)]
    pub fn moved(&self) -> i64 {
        self.moved.as_ref().map_or(0, |moved| {
            moved.told.store(false, Ordering::Release);
            i64::try_from(moved.bytes.load(Ordering::Acquire)).unwrap_or(i64::MAX)
        })
    }
}

impl NativeCall {
    fn options(&self) -> CallOptions {
        let progress = self.moved.clone().map(|moved| -> client::Progress {
            Arc::new(move |bytes| {
                moved.bytes.store(bytes, Ordering::Release);
                if !moved.told.swap(true, Ordering::AcqRel) {
                    moved.tell.call((), ThreadsafeFunctionCallMode::NonBlocking);
                }
            })
        });
        CallOptions { timeout: self.timeout, progress, cancel: Some(self.cancel.clone()) }
    }

    /// The client as this call sees it.
    pub(crate) fn on(client: &Client, call: Option<&Self>) -> Client {
        match call {
            Some(call) => client.with(call.options()),
            None => client.clone(),
        }
    }
}

/// A time that the script gives in milliseconds.
pub(crate) fn millis(ms: f64, what: &str) -> Result<Duration> {
    let time = Duration::try_from_secs_f64(ms / 1000.0).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| invalid(format!("{what} {ms}: a number of milliseconds above 0")))
}
