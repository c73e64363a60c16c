//! Reading files, and what is known of them.

use crate::boundary::{free, handle_mut, invalid, put, quietly, room, run};
use crate::client::fdfs_client;
use crate::file_id::{fdfs_file_kind, id};
use crate::streams::{Sink, fdfs_write_cb};
use crate::texts::{fixed, text};
use fdfs_core::Result;
use fdfs_core::client::blocking::Reader;
use fdfs_core::client::{FileInfo, Range};
use std::ffi::{c_char, c_int, c_void};
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::slice;

/// Bytes of this library; ended by `fdfs_bytes_free`.
#[repr(C)]
pub struct fdfs_bytes {
    /// The bytes.
    pub data: *mut u8,
    /// How many.
    pub len: usize,
}

/// What a storage knows of a file.
#[repr(C)]
pub struct fdfs_file_info {
    /// Bytes.
    pub size: u64,
    /// Time of the last change, in Unix seconds.
    pub modified: i64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// What the name says it is.
    pub kind: fdfs_file_kind,
    /// Address of the storage it was uploaded to; empty when unknown.
    pub source: [c_char; 48],
}

pub(crate) fn c_info(info: &FileInfo) -> fdfs_file_info {
    fdfs_file_info {
        size: info.size,
        modified: crate::lists::unix_secs(info.modified),
        crc32: info.crc32,
        kind: info.kind.into(),
        source: fixed(&info.source_ip),
    }
}

/// A length where -1 means all to the end.
fn range(offset: i64, length: i64) -> Result<Range> {
    let length = match length {
        -1 => None,
        length => Some(u64::try_from(length).map_err(|_| invalid("the length is below -1"))?),
    };
    Ok(Range { offset, length })
}

/// Room of the caller.
///
/// # Safety
/// The pointer is NULL or points to `len` bytes that nobody else uses meanwhile.
pub(crate) unsafe fn buffer<'a>(pointer: *mut c_void, len: usize) -> Result<&'a mut [u8]> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(invalid("the buffer is NULL")),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { slice::from_raw_parts_mut(pointer.cast(), len) }),
    }
}

/// Downloads a file, or `length` bytes of it from `offset` on, into memory. A negative offset
/// counts from the end; length -1 means all to the end; what lies beyond the end is left out. End
/// the bytes with `fdfs_bytes_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_download_buffer(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: i64,
    length: i64,
    out: *mut fdfs_bytes,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let content = client.download(&id, range(offset, length)?)?.into_boxed_slice();
        let len = content.len();
        // SAFETY: the rules of the header.
        unsafe { put(out, fdfs_bytes { data: Box::into_raw(content).cast(), len }) }
    })
}

/// Ends bytes and sets them to none. NULL is fine, and so is doing it again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_bytes_free(bytes: *mut fdfs_bytes) {
    // SAFETY: the rules of the header.
    let Some(bytes) = (unsafe { bytes.as_mut() }) else { return };
    if !bytes.data.is_null() {
        let content = std::ptr::slice_from_raw_parts_mut(bytes.data, bytes.len);
        // SAFETY: they came from `fdfs_download_buffer`.
        drop(unsafe { Box::from_raw(content) });
    }
    *bytes = fdfs_bytes { data: std::ptr::null_mut(), len: 0 };
}

/// Downloads up to `capacity` bytes from `offset` on straight into the caller's buffer; `got` is how
/// many there were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_download_into(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: i64,
    data: *mut c_void,
    capacity: usize,
    got: *mut usize,
) -> c_int {
    run(|| {
        room(got)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        let len = client.download_into(&id, unsafe { buffer(data, capacity) }?, offset)?;
        // SAFETY: the rules of the header.
        unsafe { put(got, len) }
    })
}

/// Downloads to a local file, which appears under its name only when it is whole. `got`, which may
/// be NULL, is the number of bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_download_file(
    client: *const fdfs_client,
    file_id: *const c_char,
    path: *const c_char,
    offset: i64,
    length: i64,
    got: *mut u64,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        let path = Path::new(unsafe { text(path, "path") }?);
        let len = client.download_file(&id, path, range(offset, length)?)?;
        // SAFETY: the rules of the header.
        if got.is_null() { Ok(()) } else { unsafe { put(got, len) } }
    })
}

/// Downloads to a callback in bounded memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_download_stream(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: i64,
    length: i64,
    write: fdfs_write_cb,
    ctx: *mut c_void,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let mut sink = Sink::new(write, ctx)?;
        client.download_to(&id, &mut sink, range(offset, length)?).map(|_| ())
    })
}

/// An open file, read piece by piece. One thread at a time may use it.
pub struct fdfs_reader(Reader);

/// Opens a file, or a part of it, for reading. End it with `fdfs_reader_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_reader_open(
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: i64,
    length: i64,
    out: *mut *mut fdfs_reader,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let reader = client.open(&id, range(offset, length)?)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(Box::new(fdfs_reader(reader)))) }
    })
}

/// Reads up to `capacity` bytes; `got` is how many came, 0 at the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_reader_read(
    reader: *mut fdfs_reader,
    data: *mut c_void,
    capacity: usize,
    got: *mut usize,
) -> c_int {
    run(|| {
        room(got)?;
        // SAFETY: the rules of the header.
        let (reader, buffer) = unsafe { (handle_mut(reader, "reader")?, buffer(data, capacity)?) };
        let len = reader.0.read_some(buffer)?;
        // SAFETY: the rules of the header.
        unsafe { put(got, len) }
    })
}

/// Continues at a byte of the opened part; the next read makes a new request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_reader_seek(reader: *mut fdfs_reader, position: u64) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let reader = unsafe { handle_mut(reader, "reader") }?;
        reader.0.seek(SeekFrom::Start(position)).map(|_| ()).map_err(|_| invalid("cannot seek"))
    })
}

/// Bytes of the opened part; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_reader_size(reader: *const fdfs_reader) -> u64 {
    // SAFETY: the rules of the header.
    quietly(0, || unsafe { reader.as_ref() }.map_or(0, |reader| reader.0.len()))
}

/// Ends a reader. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_reader_free(reader: *mut fdfs_reader) {
    // SAFETY: the rules of the header.
    unsafe { free(reader) }
}

/// Whether a file is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_exists(
    client: *const fdfs_client,
    file_id: *const c_char,
    out: *mut bool,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let exists = client.exists(&id)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, exists) }
    })
}

/// What its storage knows of a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_stat(
    client: *const fdfs_client,
    file_id: *const c_char,
    out: *mut fdfs_file_info,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let info = client.stat(&id)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, c_info(&info)) }
    })
}
