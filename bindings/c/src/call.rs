//! What single calls can be told, and how another thread ends them.

use crate::boundary::{free, handle, put, room, run};
use crate::options::{check_size, millis};
use fdfs_core::Result;
use fdfs_core::client::{CallOptions, Cancel, Progress};
use std::ffi::{c_int, c_void};
use std::ptr::null;
use std::sync::Arc;

/// Ends calls from another thread. All threads may use it at the same time.
pub struct fdfs_cancel(Cancel);

/// Called with the bytes moved so far, on the thread that called.
pub type fdfs_progress_cb = Option<unsafe extern "C" fn(ctx: *mut c_void, moved: u64)>;

/// What calls can be told; see `fdfs_client_with`. Begin with `fdfs_call_options_init`.
#[repr(C)]
pub struct fdfs_call_options {
    /// Set by `fdfs_call_options_init`.
    pub struct_size: usize,
    /// Milliseconds that the whole call may take; 0 for what the client says.
    pub timeout_ms: i64,
    /// Called as content moves, or NULL.
    pub progress: fdfs_progress_cb,
    /// Its first argument.
    pub progress_ctx: *mut c_void,
    /// Ends the calls when it is triggered, or NULL.
    pub cancel: *const fdfs_cancel,
}

/// Sets all fields to their defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_call_options_init(options: *mut fdfs_call_options) {
    let defaults = fdfs_call_options {
        struct_size: size_of::<fdfs_call_options>(),
        timeout_ms: 0,
        progress: None,
        progress_ctx: std::ptr::null_mut(),
        cancel: null(),
    };
    if !options.is_null() {
        // SAFETY: it points to the caller's structure.
        unsafe { options.write(defaults) };
    }
}

/// A pointer of the caller that calls give back to its callbacks.
#[derive(Clone, Copy)]
pub(crate) struct Context(pub(crate) *mut c_void);

// SAFETY: callbacks run on the thread that made the call, inside the call.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// # Safety
/// The pointer is NULL or points to options whose pointers are valid.
pub(crate) unsafe fn call_options(options: *const fdfs_call_options) -> Result<CallOptions> {
    // SAFETY: as the caller promises.
    let given = unsafe { handle(options, "options") }?;
    check_size::<fdfs_call_options>(given.struct_size)?;
    let context = Context(given.progress_ctx);
    let progress = given.progress.map(|callback| -> Progress {
        // SAFETY: the rules of the header.
        Arc::new(move |moved| unsafe { callback(context.pointer(), moved) })
    });
    // SAFETY: as the caller promises.
    let cancel = unsafe { given.cancel.as_ref() }.map(|cancel| cancel.0.clone());
    Ok(CallOptions { timeout: millis(given.timeout_ms, "timeout_ms")?, progress, cancel })
}

/// Makes a handle that ends calls. End it with `fdfs_cancel_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_cancel_new(out: *mut *mut fdfs_cancel) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(Box::new(fdfs_cancel(Cancel::new())))) }
    })
}

/// Ends all calls that were given this handle, now and in future, with `FDFS_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_cancel_trigger(cancel: *const fdfs_cancel) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        unsafe { handle(cancel, "cancel") }?.0.cancel();
        Ok(())
    })
}

/// Ends the handle; calls that have it go on. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_cancel_free(cancel: *mut fdfs_cancel) {
    // SAFETY: the rules of the header.
    unsafe { free(cancel) }
}
