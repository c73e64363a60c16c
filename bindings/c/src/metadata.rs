//! Metadata of files.

use crate::boundary::{put, quietly, room, run};
use crate::client::fdfs_client;
use crate::file_id::id;
use crate::texts::{elements, fdfs_string_free, owned, text};
use fdfs_core::Result;
use fdfs_core::client::Metadata;
use std::ffi::{c_char, c_int, c_uint};

/// An item of metadata: up to 64 bytes of name and 256 of value.
#[repr(C)]
pub struct fdfs_pair {
    /// Not empty.
    pub name: *const c_char,
    /// May be empty.
    pub value: *const c_char,
}

/// Metadata of a file; ended by `fdfs_metadata_free`.
#[repr(C)]
pub struct fdfs_metadata {
    /// The items, by name.
    pub pairs: *const fdfs_pair,
    /// How many.
    pub count: usize,
}

/// Flag of `fdfs_set_metadata`: items that are not named stay.
pub const FDFS_MERGE: c_uint = 1;

/// # Safety
/// The pointer is NULL or points to `count` items with valid texts.
pub(crate) unsafe fn from_pairs(pairs: *const fdfs_pair, count: usize) -> Result<Metadata> {
    // SAFETY: as the caller promises.
    unsafe {
        let item = |pair: &fdfs_pair| {
            let name = text(pair.name, "a metadata name")?.to_owned();
            Ok((name, text(pair.value, "a metadata value")?.to_owned()))
        };
        elements(pairs, count, "metadata")?.iter().map(item).collect()
    }
}

/// The metadata of a file; no items when it has none. End it with `fdfs_metadata_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_get_metadata(
    client: *const fdfs_client,
    file_id: *const c_char,
    out: *mut *mut fdfs_metadata,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        let items = client.get_metadata(&id)?;
        let pair = |(name, value): (String, String)| fdfs_pair {
            name: owned(&name),
            value: owned(&value),
        };
        let pairs: Box<[fdfs_pair]> = items.into_iter().map(pair).collect();
        let count = pairs.len();
        let pairs = Box::into_raw(pairs).cast::<fdfs_pair>();
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(Box::new(fdfs_metadata { pairs, count }))) }
    })
}

/// Sets the metadata of a file: all of it, or with the flag `FDFS_MERGE` the items named here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_set_metadata(
    client: *const fdfs_client,
    file_id: *const c_char,
    pairs: *const fdfs_pair,
    count: usize,
    flags: c_uint,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        let items = unsafe { from_pairs(pairs, count) }?;
        client.set_metadata(&id, &items, flags & FDFS_MERGE != 0)
    })
}

/// Ends metadata. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_metadata_free(metadata: *mut fdfs_metadata) {
    if metadata.is_null() {
        return;
    }
    quietly((), || {
        // SAFETY: both came from `fdfs_get_metadata`, and so did the texts.
        unsafe {
            let metadata = Box::from_raw(metadata);
            let pairs =
                std::ptr::slice_from_raw_parts_mut(metadata.pairs.cast_mut(), metadata.count);
            for pair in Box::from_raw(pairs) {
                fdfs_string_free(pair.name.cast_mut());
                fdfs_string_free(pair.value.cast_mut());
            }
        }
    });
}
