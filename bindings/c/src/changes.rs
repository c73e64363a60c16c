//! Changing and deleting files.

use crate::boundary::{put, room, run};
use crate::client::fdfs_client;
use crate::file_id::{c_id, fdfs_file_id, id};
use crate::streams::{Source, fdfs_read_cb, size};
use crate::texts::{elements, text};
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// Adds `len` bytes to the end of an appender file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_append_buffer(
    client: *const fdfs_client,
    file_id: *const c_char,
    data: *const c_void,
    len: usize,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        client.append(&id, unsafe { elements(data.cast::<u8>(), len, "data") }?)
    })
}

/// Adds what a callback gives to the end of an appender file; see `fdfs_upload_stream`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_append_stream(
    client: *const fdfs_client,
    file_id: *const c_char,
    read: fdfs_read_cb,
    ctx: *mut c_void,
    len: i64,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        client.append_reader(&id, Source::new(read, ctx)?, size(len)?)
    })
}

/// Adds a local file to the end of an appender file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_append_file(
    client: *const fdfs_client,
    file_id: *const c_char,
    path: *const c_char,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        client.append_file(&id, Path::new(unsafe { text(path, "path") }?))
    })
}

/// Overwrites part of an appender file with `len` bytes; `offset` is at most its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_modify_buffer(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: u64,
    data: *const c_void,
    len: usize,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        client.modify(&id, offset, unsafe { elements(data.cast::<u8>(), len, "data") }?)
    })
}

/// Overwrites part of an appender file with what a callback gives; see `fdfs_upload_stream`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_modify_stream(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: u64,
    read: fdfs_read_cb,
    ctx: *mut c_void,
    len: i64,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        client.modify_reader(&id, offset, Source::new(read, ctx)?, size(len)?)
    })
}

/// Sets the size of an appender file; a larger one extends it with zero bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_truncate(
    client: *const fdfs_client,
    file_id: *const c_char,
    len: u64,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        client.truncate(&id, len)
    })
}

/// Turns an appender file into a normal one; `out` is its new id, and the old one is gone. Its
/// metadata stays behind under the old name: set it again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_finalize(
    client: *const fdfs_client,
    file_id: *const c_char,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let finalized = client.finalize(&id)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&finalized)) }
    })
}

/// Deletes a file; `FDFS_E_NOT_FOUND` when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_delete(client: *const fdfs_client, file_id: *const c_char) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        client.delete(&id, false).map(|_| ())
    })
}
