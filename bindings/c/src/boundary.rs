//! The border to C: no panic crosses it, and every error leaves its detail on the thread.

use crate::texts::c_text;
use fdfs_core::client::caught;
use fdfs_core::{Error, ErrorKind, Result};
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;

/// What went wrong in a call: see `fdfs_last_error`, and `fdfs_completion` for calls on a queue.
#[repr(C)]
pub struct fdfs_error {
    /// `FDFS_E_…`, or `FDFS_OK` when nothing has failed yet.
    pub code: c_int,
    /// One line: what failed, where, and what came back.
    pub message: *const c_char,
    /// `host:port` of the server, or NULL when none was involved.
    pub server: *const c_char,
    /// The file the call was about, or the one that was stored before the call failed; or NULL.
    pub file_id: *const c_char,
    /// The number of the command that was sent, or -1.
    pub command: c_int,
    /// The status that the server answered, an errno value as on Linux, or 0.
    pub status: c_int,
    /// Whether the same call may succeed later or elsewhere.
    pub retryable: bool,
    /// Whether the server may have done the work although no answer came.
    pub outcome_unknown: bool,
}

/// The detail and the texts it points to.
pub(crate) struct Kept {
    pub(crate) shown: fdfs_error,
    _texts: [Option<CString>; 3],
}

impl Kept {
    pub(crate) fn new(error: &Error) -> Self {
        let texts = [
            Some(c_text(&error.to_string())),
            error.peer().map(c_text),
            error.file_id().map(c_text),
        ];
        let [message, server, file_id] = &texts;
        let pointer = |text: &Option<CString>| text.as_ref().map_or(null(), |text| text.as_ptr());
        let shown = fdfs_error {
            code: error.kind().number(),
            message: pointer(message),
            server: pointer(server),
            file_id: pointer(file_id),
            command: error.command().map_or(-1, |command| c_int::from(command.0)),
            status: error.status().map_or(0, |status| c_int::from(status.0)),
            retryable: error.retryable(),
            outcome_unknown: error.outcome_unknown(),
        };
        Self { shown, _texts: texts }
    }
}

thread_local! {
    static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// The body of every function that can fail.
pub(crate) fn run(body: impl FnOnce() -> Result<()>) -> c_int {
    let Err(error) = caught(body) else { return 0 };
    let code = error.kind().number();
    // A thread that is ending keeps no detail.
    let _ = LAST.try_with(|last| last.replace(Some(Kept::new(&error))));
    code
}

/// The body of functions that give something back instead of failing.
pub(crate) fn quietly<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Detail of the last call of this thread that failed; valid until this thread's next call that
/// fails. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn fdfs_last_error() -> *const fdfs_error {
    struct None_(fdfs_error);
    // SAFETY: it holds no pointer but NULL and a literal, and nobody writes to it.
    unsafe impl Sync for None_ {}
    static NONE: None_ = None_(fdfs_error {
        code: 0,
        message: c"".as_ptr(),
        server: null(),
        file_id: null(),
        command: -1,
        status: 0,
        retryable: false,
        outcome_unknown: false,
    });
    let none = &raw const NONE.0;
    let shown = |last: &RefCell<Option<Kept>>| {
        last.borrow().as_ref().map_or(none, |kept| &raw const kept.shown)
    };
    LAST.try_with(shown).unwrap_or(none)
}

/// An error about an argument.
pub(crate) fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// The object behind a handle.
///
/// # Safety
/// The pointer is NULL or one that this library gave out and that has not been freed.
pub(crate) unsafe fn handle<'a, T>(pointer: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// The same for handles that one thread at a time uses.
///
/// # Safety
/// As [`handle`]; and nobody else uses it meanwhile.
pub(crate) unsafe fn handle_mut<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_mut() }.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// Writes a result.
///
/// # Safety
/// The pointer is NULL or points to room for a `T`.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(invalid("the pointer for the result is NULL"));
    }
    // SAFETY: as the caller promises.
    unsafe { out.write(value) };
    Ok(())
}

/// Checks a pointer for a result before the work is done.
pub(crate) fn room<T>(out: *mut T) -> Result<()> {
    match out.is_null() {
        true => Err(invalid("the pointer for the result is NULL")),
        false => Ok(()),
    }
}

/// Ends a handle.
///
/// # Safety
/// The pointer is NULL or was given out as a box and has not been freed.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as the caller promises.
        let owned = unsafe { Box::from_raw(pointer) };
        quietly((), || drop(owned));
    }
}
