//! What clients and uploads can be told.

use crate::boundary::{handle, invalid};
use crate::metadata::{self, fdfs_pair};
use crate::texts::{elements, text, text_or_none};
use fdfs_core::Result;
use fdfs_core::client::{ClientOptions, UploadOptions};
use std::ffi::{c_char, c_int};
use std::ptr::null;
use std::time::Duration;

/// An advertised storage address and where it really is, each `host[:port]`.
#[repr(C)]
pub struct fdfs_address_pair {
    /// As the tracker tells it.
    pub advertised: *const c_char,
    /// Where to connect instead.
    pub actual: *const c_char,
}

/// What a client can be told. Begin with `fdfs_options_init`; NULL and 0 mean the default.
#[repr(C)]
pub struct fdfs_options {
    /// Set by `fdfs_options_init`.
    pub struct_size: usize,
    /// The trackers, each `host[:port]`; the port is 22122 when absent.
    pub trackers: *const *const c_char,
    /// How many.
    pub tracker_count: usize,
    /// Group for uploads that name none; NULL lets the tracker choose.
    pub group: *const c_char,
    /// Milliseconds until a connection must stand (5000).
    pub connect_timeout_ms: i64,
    /// Milliseconds without a byte until a call fails (30000).
    pub io_timeout_ms: i64,
    /// Milliseconds that a whole call may take; 0 for no bound.
    pub timeout_ms: i64,
    /// Connections to one server at the same time (16).
    pub pool_size: usize,
    /// How often a call that has changed nothing yet is tried again; negative for the default (2).
    pub retries: c_int,
    /// Where advertised storage addresses really are.
    pub address_map: *const fdfs_address_pair,
    /// How many.
    pub address_map_count: usize,
    /// The secret of download tokens.
    pub token_secret: *const c_char,
}

/// Sets all fields to their defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_options_init(options: *mut fdfs_options) {
    let defaults = fdfs_options {
        struct_size: size_of::<fdfs_options>(),
        trackers: null(),
        tracker_count: 0,
        group: null(),
        connect_timeout_ms: 0,
        io_timeout_ms: 0,
        timeout_ms: 0,
        pool_size: 0,
        retries: -1,
        address_map: null(),
        address_map_count: 0,
        token_secret: null(),
    };
    if !options.is_null() {
        // SAFETY: it points to the caller's structure.
        unsafe { options.write(defaults) };
    }
}

/// What an upload can be told. Begin with `fdfs_upload_options_init`.
#[repr(C)]
pub struct fdfs_upload_options {
    /// Set by `fdfs_upload_options_init`.
    pub struct_size: usize,
    /// Extension of the name: up to 6 characters, without the dot; or NULL.
    pub ext: *const c_char,
    /// Metadata to set, or NULL.
    pub metadata: *const fdfs_pair,
    /// How many items.
    pub metadata_count: usize,
    /// Group to upload to, or NULL.
    pub group: *const c_char,
    /// Store path to upload to, 0 to 255; -1 lets the tracker choose.
    pub store_path_index: c_int,
    /// Make a file that can grow.
    pub appender: bool,
}

/// Sets all fields to their defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_upload_options_init(options: *mut fdfs_upload_options) {
    let defaults = fdfs_upload_options {
        struct_size: size_of::<fdfs_upload_options>(),
        ext: null(),
        metadata: null(),
        metadata_count: 0,
        group: null(),
        store_path_index: -1,
        appender: false,
    };
    if !options.is_null() {
        // SAFETY: it points to the caller's structure.
        unsafe { options.write(defaults) };
    }
}

/// A bound in milliseconds, unless it is 0.
pub(crate) fn millis(value: i64, what: &str) -> Result<Option<Duration>> {
    match u64::try_from(value) {
        Ok(0) => Ok(None),
        Ok(millis) => Ok(Some(Duration::from_millis(millis))),
        Err(_) => Err(invalid(&format!("{what} is negative"))),
    }
}

/// Refuses structures that were not initialised.
pub(crate) fn check_size<T>(struct_size: usize) -> Result<()> {
    match struct_size >= size_of::<T>() {
        true => Ok(()),
        false => Err(invalid("struct_size is too small: call the structure's init function")),
    }
}

/// # Safety
/// The pointer is NULL or points to options whose pointers are valid.
pub(crate) unsafe fn client_options(options: *const fdfs_options) -> Result<ClientOptions> {
    // SAFETY: as the caller promises.
    unsafe {
        let given = handle(options, "options")?;
        check_size::<fdfs_options>(given.struct_size)?;
        let trackers = elements(given.trackers, given.tracker_count, "trackers")?;
        let trackers = trackers.iter().map(|tracker| text(*tracker, "tracker"));
        let mut options = ClientOptions::new(trackers.collect::<Result<Vec<_>>>()?)?;
        options.group = text_or_none(given.group, "group")?.map(str::to_owned);
        if let Some(limit) = millis(given.connect_timeout_ms, "connect_timeout_ms")? {
            options.connect_timeout = limit;
        }
        if let Some(limit) = millis(given.io_timeout_ms, "io_timeout_ms")? {
            options.io_timeout = limit;
        }
        options.timeout = millis(given.timeout_ms, "timeout_ms")?;
        if given.pool_size > 0 {
            options.pool_size = given.pool_size;
        }
        if let Ok(retries) = u32::try_from(given.retries) {
            options.retries = retries;
        }
        for pair in elements(given.address_map, given.address_map_count, "address_map")? {
            let from = text(pair.advertised, "advertised address")?;
            options.address_map.insert(from, text(pair.actual, "actual address")?)?;
        }
        let secret = text_or_none(given.token_secret, "token_secret")?;
        options.token_secret = secret.map(str::to_owned);
        Ok(options)
    }
}

/// # Safety
/// The pointer is NULL, for the defaults, or points to options whose pointers are valid.
pub(crate) unsafe fn upload_options(options: *const fdfs_upload_options) -> Result<UploadOptions> {
    // SAFETY: as the caller promises.
    unsafe {
        let Some(given) = options.as_ref() else { return Ok(UploadOptions::default()) };
        check_size::<fdfs_upload_options>(given.struct_size)?;
        let index = |index: c_int| {
            u8::try_from(index).map_err(|_| invalid("store_path_index is not -1 to 255"))
        };
        let store_path_index = Some(given.store_path_index).filter(|index| *index != -1);
        Ok(UploadOptions {
            ext: text_or_none(given.ext, "ext")?.map(str::to_owned),
            metadata: metadata::from_pairs(given.metadata, given.metadata_count)?,
            group: text_or_none(given.group, "group")?.map(str::to_owned),
            store_path_index: store_path_index.map(index).transpose()?,
            appender: given.appender,
        })
    }
}
