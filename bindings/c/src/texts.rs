//! Texts and arrays as C has them.

use crate::boundary::invalid;
use fdfs_core::Result;
use std::ffi::{CStr, CString, c_char};
use std::slice;

/// A text with its NULs left out: none of ours has one.
pub(crate) fn c_text(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// A text of the caller.
///
/// # Safety
/// The pointer is NULL or points to a NUL-terminated text that stays while `'a` lasts.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    // SAFETY: as the caller promises.
    let text = unsafe { text_or_none(pointer, what) }?;
    text.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// The same where NULL means none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn text_or_none<'a>(
    pointer: *const c_char,
    what: &str,
) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map(Some).map_err(|_| invalid(&format!("{what} is not UTF-8")))
}

/// Elements of the caller.
///
/// # Safety
/// The pointer is NULL or points to `len` elements that stay while `'a` lasts.
pub(crate) unsafe fn elements<'a, T>(pointer: *const T, len: usize, what: &str) -> Result<&'a [T]> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(invalid(&format!("{what} is NULL"))),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { slice::from_raw_parts(pointer, len) }),
    }
}

/// A text in an array of fixed size, cut where it does not fit.
pub(crate) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    let room = array.iter_mut().take(N.saturating_sub(1));
    for (to, from) in room.zip(text.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    array
}

/// A text that the caller frees with `fdfs_string_free`.
pub(crate) fn owned(text: &str) -> *mut c_char {
    c_text(text).into_raw()
}

/// Frees a text that this library gave out. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `owned`.
        drop(unsafe { CString::from_raw(text) });
    }
}
