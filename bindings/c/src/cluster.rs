//! Looking at the cluster and changing it.

use crate::boundary::{invalid, put, room, run};
use crate::client::fdfs_client;
use crate::file_id::id;
use crate::lists::{
    fdfs_address, fdfs_group_info, fdfs_pool_info, fdfs_storage_info, fdfs_tracker_info,
    fdfs_upload_target, give,
};
use crate::texts::{owned, text, text_or_none};
use std::ffi::{c_char, c_int};
use std::time::{Duration, UNIX_EPOCH};

/// All groups. End the list with `fdfs_groups_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_list_groups(
    client: *const fdfs_client,
    out: *mut *mut fdfs_group_info,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(out)?;
        room(count)?;
        // SAFETY: the rules of the header.
        unsafe { give(&fdfs_client::calls(client)?.list_groups()?, out, count) }
    })
}

/// The storages of a group, or the one with the id `storage` unless that is NULL. End the list with
/// `fdfs_storages_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_list_storages(
    client: *const fdfs_client,
    group: *const c_char,
    storage: *const c_char,
    out: *mut *mut fdfs_storage_info,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(out)?;
        room(count)?;
        // SAFETY: the rules of the header.
        let (client, group) = unsafe { (fdfs_client::calls(client)?, text(group, "group")?) };
        // SAFETY: the rules of the header.
        let storage = unsafe { text_or_none(storage, "storage") }?;
        // SAFETY: the rules of the header.
        unsafe { give(&client.list_storages(group, storage)?, out, count) }
    })
}

/// The configured trackers, asked one by one. End the list with `fdfs_trackers_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_list_trackers(
    client: *const fdfs_client,
    out: *mut *mut fdfs_tracker_info,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(out)?;
        room(count)?;
        // SAFETY: the rules of the header.
        unsafe { give(&fdfs_client::calls(client)?.list_trackers()?, out, count) }
    })
}

/// Storages that hold a file: one, or all of them. End the list with `fdfs_addresses_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_locate(
    client: *const fdfs_client,
    file_id: *const c_char,
    all: bool,
    out: *mut *mut fdfs_address,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(out)?;
        room(count)?;
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        unsafe { give(&client.locate(&id, all)?, out, count) }
    })
}

/// The storage that the tracker would send an upload to; `group` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_pick_upload(
    client: *const fdfs_client,
    group: *const c_char,
    out: *mut fdfs_upload_target,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, group) =
            unsafe { (fdfs_client::calls(client)?, text_or_none(group, "group")?) };
        let target = client.pick_upload(group)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, (&target).into()) }
    })
}

/// What the pool did, by server. End the list with `fdfs_pool_stats_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_pool_stats(
    client: *const fdfs_client,
    out: *mut *mut fdfs_pool_info,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(out)?;
        room(count)?;
        // SAFETY: the rules of the header.
        unsafe { give(&fdfs_client::calls(client)?.pool_stats(), out, count) }
    })
}

/// Removes a storage that is offline, at every tracker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_admin_delete_storage(
    client: *const fdfs_client,
    group: *const c_char,
    storage: *const c_char,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, group) = unsafe { (fdfs_client::calls(client)?, text(group, "group")?) };
        // SAFETY: the rules of the header.
        client.delete_storage(group, unsafe { text(storage, "storage") }?)
    })
}

/// Removes an empty group, at every tracker.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_admin_delete_group(
    client: *const fdfs_client,
    group: *const c_char,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, group) = unsafe { (fdfs_client::calls(client)?, text(group, "group")?) };
        client.delete_group(group)
    })
}

/// Chooses the trunk server of a group, or has one chosen when `storage` is NULL; `out` is its id,
/// to be ended with `fdfs_string_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_admin_set_trunk_server(
    client: *const fdfs_client,
    group: *const c_char,
    storage: *const c_char,
    out: *mut *mut c_char,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, group) = unsafe { (fdfs_client::calls(client)?, text(group, "group")?) };
        // SAFETY: the rules of the header.
        let storage = unsafe { text_or_none(storage, "storage") }?;
        let chosen = client.set_trunk_server(group, storage)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, owned(&chosen)) }
    })
}

/// The URL of a file behind the web front at `base`, with a token when the client has a secret.
/// `filename` may be NULL; `expires` is the moment in Unix seconds that the token carries, -1 for
/// now. Asks no server. End `out` with `fdfs_string_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_http_url(
    client: *const fdfs_client,
    file_id: *const c_char,
    base: *const c_char,
    filename: *const c_char,
    expires: i64,
    out: *mut *mut c_char,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (client, id) = unsafe { (fdfs_client::calls(client)?, id(file_id)?) };
        // SAFETY: the rules of the header.
        let (base, filename) =
            unsafe { (text(base, "base")?, text_or_none(filename, "filename")?) };
        let expires = match expires {
            -1 => None,
            secs => {
                let secs = u64::try_from(secs).map_err(|_| invalid("expires is below -1"))?;
                let moment = UNIX_EPOCH.checked_add(Duration::from_secs(secs));
                Some(moment.ok_or_else(|| invalid("expires is beyond all times"))?)
            }
        };
        let url = client.http_url(&id, base, filename, expires);
        // SAFETY: the rules of the header.
        unsafe { room(out).and_then(|()| put(out, owned(&url))) }
    })
}
