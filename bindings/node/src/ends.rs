//! The ends of promises. The thread of the core that knows one queues it here, and the event loop
//! is woken once for all that wait: a wake for each, as the promises of napi-rs have, and what it
//! takes to make and to free it, cost more than the call.

use crate::failure;
use fdfs_core::Result;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsError, check_status, sys};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What is done on the script's thread when a call has ended.
type End = Box<dyn FnOnce(Env) + Send>;

/// The ends of one environment (the main thread, a worker).
pub(crate) struct Ends {
    queue: Mutex<Vec<End>>,
    /// Promises without an end; only the script's thread counts. As long as there are any, the
    /// event loop goes on.
    open: AtomicUsize,
    bell: Bell,
}

/// Calls [`ring`] on the script's thread.
struct Bell(sys::napi_threadsafe_function);

// SAFETY: that it may be called from any thread is what it is for.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

/// A promise that has no end yet.
pub(crate) struct Deferred {
    ends: Arc<Ends>,
    raw: Raw,
}

/// The same for the script's thread.
struct Raw(sys::napi_deferred);

// SAFETY: it is used again only on the script's thread, by an `End`.
unsafe impl Send for Raw {}

impl Raw {
    fn settle(self, env: Env, value: napi::Result<sys::napi_value>) {
        // SAFETY: this is the script's thread, and the promise has no end yet.
        unsafe {
            match value {
                Ok(value) => sys::napi_resolve_deferred(env.raw(), self.0, value),
                Err(error) => {
                    let error = JsError::from(error).into_value(env.raw());
                    sys::napi_reject_deferred(env.raw(), self.0, error)
                }
            };
        }
    }
}

impl Ends {
    /// None so far. To be made before the hook that waits for all calls: then whoever ends one still
    /// finds the bell.
    pub(crate) fn new(env: &Env) -> napi::Result<Arc<Self>> {
        let name = env.create_string("fdfs")?;
        let mut bell = null_mut();
        let ends = Arc::new_cyclic(|ends: &Weak<Self>| {
            let context = ends.clone().into_raw().cast_mut().cast::<c_void>();
            // SAFETY: `ring` gets the context, which `forget` frees when the environment ends.
            let made = unsafe {
                sys::napi_create_threadsafe_function(
                    env.raw(),
                    null_mut(),
                    null_mut(),
                    napi::JsValue::raw(&name),
                    0,
                    1,
                    context,
                    Some(forget),
                    context,
                    Some(ring),
                    &raw mut bell,
                )
            };
            if made != sys::Status::napi_ok {
                bell = null_mut();
            }
            Self { queue: Mutex::default(), open: AtomicUsize::new(0), bell: Bell(bell) }
        });
        if bell.is_null() {
            return Err(napi::Error::from_reason("cannot listen to other threads"));
        }
        // SAFETY: this is the script's thread.
        check_status!(unsafe { sys::napi_unref_threadsafe_function(env.raw(), bell) })?;
        Ok(ends)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<End>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A promise, for the script and for who ends it.
    pub(crate) fn promise<'env>(
        self: &Arc<Self>,
        env: &'env Env,
    ) -> napi::Result<(Deferred, Object<'env>)> {
        let (mut raw, mut promise) = (null_mut(), null_mut());
        // SAFETY: this is the script's thread, and both places are there.
        check_status!(unsafe {
            sys::napi_create_promise(env.raw(), &raw mut raw, &raw mut promise)
        })?;
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            // SAFETY: this is the script's thread.
            check_status!(unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.bell.0) })?;
        }
        Ok((Deferred { ends: self.clone(), raw: Raw(raw) }, Object::from_raw(env.raw(), promise)))
    }

    fn push(&self, end: End) {
        let is_first = {
            let mut queue = self.lock();
            queue.push(end);
            queue.len() == 1
        };
        if is_first {
            // SAFETY: it is there as long as calls are under way; it fails when the environment ends,
            // and then nobody waits.
            unsafe {
                sys::napi_call_threadsafe_function(
                    self.bell.0,
                    null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }

    /// Lets go of what no script will see any more, on its own thread.
    pub(crate) fn drop_queued(&self) {
        let ends = std::mem::take(&mut *self.lock());
        drop(ends);
    }

    /// Ends all promises that wait for it.
    fn run(&self, env: Env) {
        let ends = std::mem::take(&mut *self.lock());
        let count = ends.len();
        for end in ends {
            // The promise of one that panics has no end; the others have theirs.
            let _ = catch_unwind(AssertUnwindSafe(|| end(env)));
        }
        if self.open.fetch_sub(count, Ordering::Relaxed) == count && count > 0 {
            // SAFETY: this is the script's thread.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.bell.0) };
        }
    }
}

impl Deferred {
    /// Gives the promise its end, from any thread.
    pub(crate) fn settle<T: ToNapiValue + Send + 'static>(self, done: Result<T>) {
        let Self { ends, raw } = self;
        ends.push(Box::new(move |env| {
            let value = done.map_err(|error| failure::thrown(&env, &error));
            // SAFETY: this is the script's thread.
            let value = value.and_then(|value| unsafe { T::to_napi_value(env.raw(), value) });
            raw.settle(env, value);
        }));
    }
}

/// Runs on the script's thread when the bell was rung.
unsafe extern "C" fn ring(
    env: sys::napi_env,
    _: sys::napi_value,
    context: *mut c_void,
    _: *mut c_void,
) {
    // SAFETY: the context is what `new` made of it, and lives on.
    let ends = unsafe { ManuallyDrop::new(Weak::<Ends>::from_raw(context.cast())) };
    if let Some(ends) = ends.upgrade().filter(|_| !env.is_null()) {
        ends.run(Env::from_raw(env));
    }
}

/// Runs when the environment ends.
unsafe extern "C" fn forget(_: sys::napi_env, context: *mut c_void, _: *mut c_void) {
    // SAFETY: nobody rings any more, and this runs once.
    drop(unsafe { Weak::<Ends>::from_raw(context.cast()) });
}
