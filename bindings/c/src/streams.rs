//! Streams of the caller: callbacks in place of readers and writers.

use crate::boundary::invalid;
use crate::call::Context;
use fdfs_core::Result;
use std::ffi::{c_int, c_void};
use std::io;

/// Gives content: writes up to `capacity` bytes to `buffer` and returns how many; 0 at the end,
/// negative to give up. Called on the thread that called.
pub type fdfs_read_cb =
    Option<unsafe extern "C" fn(ctx: *mut c_void, buffer: *mut c_void, capacity: usize) -> i64>;

/// Takes content: `len` bytes at `data`; returns 0 to go on, anything else to give up. Called on
/// the thread that called.
pub type fdfs_write_cb =
    Option<unsafe extern "C" fn(ctx: *mut c_void, data: *const c_void, len: usize) -> c_int>;

/// A size where -1 means unknown.
pub(crate) fn size(size: i64) -> Result<Option<u64>> {
    match size {
        -1 => Ok(None),
        size => u64::try_from(size).map(Some).map_err(|_| invalid("the size is below -1")),
    }
}

pub(crate) struct Source(unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> i64, Context);

impl Source {
    pub(crate) fn new(callback: fdfs_read_cb, ctx: *mut c_void) -> Result<Self> {
        let callback = callback.ok_or_else(|| invalid("the read callback is NULL"))?;
        Ok(Self(callback, Context(ctx)))
    }
}

impl io::Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the buffer is as long as we say; the rest is the rules of the header.
        let read = unsafe { (self.0)(self.1.pointer(), buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(read) {
            Ok(read) if read <= buffer.len() => Ok(read),
            Ok(_) => Err(io::Error::other("the read callback returned more than there was room")),
            Err(_) => Err(io::Error::other("the read callback gave up")),
        }
    }
}

pub(crate) struct Sink(unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int, Context);

impl Sink {
    pub(crate) fn new(callback: fdfs_write_cb, ctx: *mut c_void) -> Result<Self> {
        let callback = callback.ok_or_else(|| invalid("the write callback is NULL"))?;
        Ok(Self(callback, Context(ctx)))
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: there are as many bytes as we say; the rest is the rules of the header.
        match unsafe { (self.0)(self.1.pointer(), bytes.as_ptr().cast(), bytes.len()) } {
            0 => Ok(bytes.len()),
            _ => Err(io::Error::other("the write callback gave up")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
