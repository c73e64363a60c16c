//! Uploading, and files that are written piece by piece.

use crate::boundary::{free, handle_mut, invalid, put, room, run};
use crate::client::fdfs_client;
use crate::file_id::{c_id, fdfs_file_id, id};
use crate::options::{fdfs_upload_options, upload_options};
use crate::streams::{Source, fdfs_read_cb, size};
use crate::texts::{elements, text};
use fdfs_core::client::blocking::Writer;
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// Uploads `len` bytes. `options` may be NULL. They are sent from where they are, uncopied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_buffer(
    client: *const fdfs_client,
    data: *const c_void,
    len: usize,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        // SAFETY: the rules of the header.
        let data = unsafe { elements(data.cast::<u8>(), len, "data") }?;
        let id = client.upload(data, options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// Uploads what a callback gives: `len` bytes, or with -1 all until it ends. Of unknown length,
/// 8 MiB are kept in memory and more in a temporary file until the length is known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_stream(
    client: *const fdfs_client,
    read: fdfs_read_cb,
    ctx: *mut c_void,
    len: i64,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        let id = client.upload_reader(Source::new(read, ctx)?, size(len)?, options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// Uploads a local file; its extension is taken from its name unless the options give one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_file(
    client: *const fdfs_client,
    path: *const c_char,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        // SAFETY: the rules of the header.
        let id = client.upload_file(Path::new(unsafe { text(path, "path") }?), options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// Uploads `len` bytes as a slave of `master`: a file whose name is the master's with `prefix`
/// (1 to 16 characters) added. Group, store path and kind follow from the master.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_slave_buffer(
    client: *const fdfs_client,
    master: *const c_char,
    prefix: *const c_char,
    data: *const c_void,
    len: usize,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        // SAFETY: the rules of the header.
        let (master, prefix) = unsafe { (id(master)?, text(prefix, "prefix")?) };
        // SAFETY: the rules of the header.
        let data = unsafe { elements(data.cast::<u8>(), len, "data") }?;
        let id = client.upload_slave(&master, prefix, data, options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// The same with what a callback gives; see `fdfs_upload_stream`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_slave_stream(
    client: *const fdfs_client,
    master: *const c_char,
    prefix: *const c_char,
    read: fdfs_read_cb,
    ctx: *mut c_void,
    len: i64,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        // SAFETY: the rules of the header.
        let (master, prefix) = unsafe { (id(master)?, text(prefix, "prefix")?) };
        let (source, len) = (Source::new(read, ctx)?, size(len)?);
        let id = client.upload_slave_reader(&master, prefix, source, len, options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// The same with a local file; see `fdfs_upload_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_slave_file(
    client: *const fdfs_client,
    master: *const c_char,
    prefix: *const c_char,
    path: *const c_char,
    options: *const fdfs_upload_options,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        // SAFETY: the rules of the header.
        let (master, prefix) = unsafe { (id(master)?, text(prefix, "prefix")?) };
        // SAFETY: the rules of the header.
        let path = Path::new(unsafe { text(path, "path") }?);
        let id = client.upload_slave_file(&master, prefix, path, options)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// A file that is written piece by piece. One thread at a time may use it.
pub struct fdfs_writer(Option<Writer>);

impl fdfs_writer {
    fn open(&mut self) -> fdfs_core::Result<&mut Writer> {
        self.0.as_mut().ok_or_else(|| invalid("the writer is closed"))
    }
}

/// Begins a file that is written piece by piece: an appender file, which `fdfs_writer_close` turns
/// into a normal one when `finalize` is set. End it with `fdfs_writer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_writer_open(
    client: *const fdfs_client,
    options: *const fdfs_upload_options,
    finalize: bool,
    out: *mut *mut fdfs_writer,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, options) = unsafe { (fdfs_client::calls(client)?, upload_options(options)?) };
        let writer = client.create(options, finalize)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(Box::new(fdfs_writer(Some(writer))))) }
    })
}

/// Adds bytes. They are sent in pieces of 256 KiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_writer_write(
    writer: *mut fdfs_writer,
    data: *const c_void,
    len: usize,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let writer = unsafe { handle_mut(writer, "writer") }?.open()?;
        // SAFETY: the rules of the header.
        writer.add(unsafe { elements(data.cast::<u8>(), len, "data") }?)
    })
}

/// Sends the rest; `out` is the id of the whole file. The writer takes nothing more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_writer_close(
    writer: *mut fdfs_writer,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let writer = unsafe { handle_mut(writer, "writer") }?;
        writer.open()?;
        let Some(writer) = writer.0.take() else { return Ok(()) };
        let id = writer.finish()?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&id)) }
    })
}

/// Gives the file up and deletes what has been sent. The writer takes nothing more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_writer_abort(writer: *mut fdfs_writer) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let writer = unsafe { handle_mut(writer, "writer") }?;
        writer.0.take().map_or(Ok(()), Writer::abort)
    })
}

/// Ends a writer. What was sent by one that was neither closed nor aborted stays as an appender
/// file. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_writer_free(writer: *mut fdfs_writer) {
    // SAFETY: the rules of the header.
    unsafe { free(writer) }
}
