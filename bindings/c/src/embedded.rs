//! A cluster inside the process.

use crate::boundary::{free, handle, handle_mut, invalid, put, quietly, room, run};
use crate::options::check_size;
use crate::texts::{c_text, elements, text, text_or_none};
use fdfs_core::Result;
use fdfs_servers::embedded::{Background, EmbeddedOptions};
use std::ffi::{CString, c_char, c_int};
use std::path::PathBuf;
use std::ptr::null;

/// A tracker and storages inside this process, for development and tests. All threads may ask it
/// for its addresses.
pub struct fdfs_embedded {
    cluster: Background,
    tracker: CString,
    storages: Vec<CString>,
}

/// A group and its storages.
#[repr(C)]
pub struct fdfs_embedded_group {
    /// 1 to 16 letters and digits.
    pub name: *const c_char,
    /// 1 to 250.
    pub storages: c_int,
}

/// What an embedded cluster consists of. Begin with `fdfs_embedded_options_init`.
#[repr(C)]
pub struct fdfs_embedded_options {
    /// Set by `fdfs_embedded_options_init`.
    pub struct_size: usize,
    /// Folder for everything, kept at the end; NULL for a temporary one.
    pub dir: *const c_char,
    /// The groups; none for `group1` with one storage.
    pub groups: *const fdfs_embedded_group,
    /// How many.
    pub group_count: usize,
    /// Port of the tracker; 0 for a free one.
    pub tracker_port: u16,
}

/// Sets all fields to their defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_options_init(options: *mut fdfs_embedded_options) {
    let defaults = fdfs_embedded_options {
        struct_size: size_of::<fdfs_embedded_options>(),
        dir: null(),
        groups: null(),
        group_count: 0,
        tracker_port: 0,
    };
    if !options.is_null() {
        // SAFETY: it points to the caller's structure.
        unsafe { options.write(defaults) };
    }
}

/// # Safety
/// The pointer is NULL, for the defaults, or points to options whose pointers are valid.
unsafe fn options(given: *const fdfs_embedded_options) -> Result<EmbeddedOptions> {
    let mut options = EmbeddedOptions::default();
    // SAFETY: as the caller promises.
    unsafe {
        let Some(given) = given.as_ref() else { return Ok(options) };
        check_size::<fdfs_embedded_options>(given.struct_size)?;
        options.dir = text_or_none(given.dir, "dir")?.map(PathBuf::from);
        options.tracker_port = given.tracker_port;
        let groups = elements(given.groups, given.group_count, "groups")?;
        if !groups.is_empty() {
            options.groups.clear();
        }
        for group in groups {
            let count = u8::try_from(group.storages).ok().filter(|it| (1..=250).contains(it));
            let count = count.ok_or_else(|| invalid("a group has 1 to 250 storages"))?;
            options.groups.push((text(group.name, "a group's name")?.to_owned(), count));
        }
    }
    Ok(options)
}

/// Starts a cluster on free ports of the loopback interface and waits until uploads can come.
/// `options` may be NULL. End it with `fdfs_embedded_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_start(
    given: *const fdfs_embedded_options,
    out: *mut *mut fdfs_embedded,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let cluster = Background::start(unsafe { options(given) }?)?;
        let tracker = c_text(&cluster.tracker_addr().to_string());
        let storages = cluster.storage_addrs().iter().map(|addr| c_text(&addr.to_string()));
        let storages = storages.collect();
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(Box::new(fdfs_embedded { cluster, tracker, storages }))) }
    })
}

/// `host:port` of the tracker, valid until the cluster is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_tracker(cluster: *const fdfs_embedded) -> *const c_char {
    // SAFETY: the rules of the header.
    quietly(null(), || unsafe { cluster.as_ref() }.map_or(null(), |it| it.tracker.as_ptr()))
}

/// `host:port` of a storage, counted from 0 in the order of the groups; NULL beyond the last. Valid
/// until the cluster is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_storage(
    cluster: *const fdfs_embedded,
    index: usize,
) -> *const c_char {
    quietly(null(), || {
        // SAFETY: the rules of the header.
        let cluster = unsafe { handle(cluster, "cluster") }.ok();
        let addr = cluster.and_then(|cluster| cluster.storages.get(index));
        addr.map_or(null(), |addr| addr.as_ptr())
    })
}

/// Ends all servers in order. Doing it again is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_stop(cluster: *mut fdfs_embedded) -> c_int {
    // SAFETY: the rules of the header.
    run(|| unsafe { handle_mut(cluster, "cluster") }?.cluster.stop())
}

/// Ends the cluster, and removes its folder if that was a temporary one. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_embedded_free(cluster: *mut fdfs_embedded) {
    // SAFETY: the rules of the header.
    unsafe { free(cluster) }
}
