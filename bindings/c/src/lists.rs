//! What lists of the cluster consist of, and their end.

use crate::boundary::{put, quietly};
use crate::texts::fixed;
use fdfs_core::Result;
use fdfs_core::client::{
    GroupInfo, PoolStats, ServerAddress, StorageInfo, StorageStats, TrackerInfo, UploadTarget,
};
use std::ffi::{CString, c_char, c_int};
use std::ptr::{null, slice_from_raw_parts_mut};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers in the statistics of a storage.
pub const FDFS_STAT_COUNT: usize = 45;
const _: () = assert!(FDFS_STAT_COUNT == StorageStats::NAMES.len());

/// Where a server is.
#[repr(C)]
pub struct fdfs_address {
    /// Address or name.
    pub host: [c_char; 128],
    /// TCP port.
    pub port: u16,
}

impl From<&ServerAddress> for fdfs_address {
    fn from(address: &ServerAddress) -> Self {
        Self { host: fixed(&address.host), port: address.port }
    }
}

/// Where a tracker sends an upload.
#[repr(C)]
pub struct fdfs_upload_target {
    /// The group.
    pub group: [c_char; 17],
    /// The storage.
    pub server: fdfs_address,
    /// The store path, 0 to 255.
    pub store_path_index: c_int,
}

impl From<&UploadTarget> for fdfs_upload_target {
    fn from(target: &UploadTarget) -> Self {
        Self {
            group: fixed(&target.group),
            server: (&target.server).into(),
            store_path_index: target.store_path_index.into(),
        }
    }
}

/// A group of storages. Sizes are in MiB.
#[repr(C)]
pub struct fdfs_group_info {
    /// The group.
    pub name: [c_char; 17],
    /// Space in all.
    pub total_mb: i64,
    /// Space left.
    pub free_mb: i64,
    /// Space that uploads leave.
    pub reserved_mb: i64,
    /// Space left inside trunk files.
    pub trunk_free_mb: i64,
    /// Storages.
    pub storage_count: i64,
    /// Their port.
    pub storage_port: i64,
    /// Storages that can be read from.
    pub readable_count: i64,
    /// Storages that can be written to.
    pub writable_count: i64,
    /// Store paths of each.
    pub store_path_count: i64,
    /// Folders in each folder of a store path.
    pub subdir_count_per_path: i64,
    /// -1 when there is none.
    pub current_trunk_file_id: i64,
}

impl From<&GroupInfo> for fdfs_group_info {
    fn from(group: &GroupInfo) -> Self {
        Self {
            name: fixed(&group.name),
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb: group.reserved_mb,
            trunk_free_mb: group.trunk_free_mb,
            storage_count: group.storage_count,
            storage_port: group.storage_port,
            readable_count: group.readable_count,
            writable_count: group.writable_count,
            store_path_count: group.store_path_count,
            subdir_count_per_path: group.subdir_count_per_path,
            current_trunk_file_id: group.current_trunk_file_id.unwrap_or(-1),
        }
    }
}

/// A storage as the tracker knows it. Sizes are in MiB, moments in Unix seconds.
#[repr(C)]
pub struct fdfs_storage_info {
    /// Its id, or its address where ids are not used.
    pub id: [c_char; 48],
    /// Where it is.
    pub address: fdfs_address,
    /// 0 init, 1 waiting for sync, 2 syncing, 3 address changed, 4 deleted, 5 offline, 6 online,
    /// 7 active, 9 recovery, 99 none.
    pub status: c_int,
    /// Of its software.
    pub version: [c_char; 16],
    /// When it joined the group.
    pub joined: i64,
    /// When it started, or -1.
    pub up_since: i64,
    /// Space in all.
    pub total_mb: i64,
    /// Space left.
    pub free_mb: i64,
    /// Space that uploads leave.
    pub reserved_mb: i64,
    /// The lower, the sooner it is chosen.
    pub upload_priority: i64,
    /// Its store paths.
    pub store_path_count: i64,
    /// Folders in each folder of a store path.
    pub subdir_count_per_path: i64,
    /// The store path of the next upload.
    pub current_write_path: i64,
    /// Which storage brought it its files; empty when none did.
    pub sync_source: [c_char; 48],
    /// Whether it gives out space in trunk files.
    pub is_trunk_server: bool,
    /// Statistics; `fdfs_stat_name` tells which is which.
    pub stats: [i64; FDFS_STAT_COUNT],
}

impl From<&StorageInfo> for fdfs_storage_info {
    fn from(storage: &StorageInfo) -> Self {
        let mut stats = [0; FDFS_STAT_COUNT];
        for (to, name) in stats.iter_mut().zip(StorageStats::NAMES) {
            *to = storage.stats.get(name).unwrap_or(0);
        }
        Self {
            id: fixed(&storage.id),
            address: (&storage.address).into(),
            status: storage.status.0.into(),
            version: fixed(&storage.version),
            joined: unix_secs(storage.joined),
            up_since: storage.up_since.map_or(-1, unix_secs),
            total_mb: storage.total_mb,
            free_mb: storage.free_mb,
            reserved_mb: storage.reserved_mb,
            upload_priority: storage.upload_priority,
            store_path_count: storage.store_path_count,
            subdir_count_per_path: storage.subdir_count_per_path,
            current_write_path: storage.current_write_path,
            sync_source: fixed(storage.sync_source.as_deref().unwrap_or_default()),
            is_trunk_server: storage.is_trunk_server,
            stats,
        }
    }
}

/// Name of a number in the statistics, 0 to `FDFS_STAT_COUNT` - 1; NULL beyond. Needs no end.
#[unsafe(no_mangle)]
pub extern "C" fn fdfs_stat_name(index: usize) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    let name = |name: &&str| crate::texts::c_text(name);
    quietly(null(), || {
        let names = NAMES.get_or_init(|| StorageStats::NAMES.iter().map(name).collect());
        names.get(index).map_or(null(), |name| name.as_ptr())
    })
}

/// A configured tracker.
#[repr(C)]
pub struct fdfs_tracker_info {
    /// As configured.
    pub address: [c_char; 256],
    /// Whether it answered.
    pub alive: bool,
    /// Whether it leads the trackers.
    pub is_leader: bool,
}

impl From<&TrackerInfo> for fdfs_tracker_info {
    fn from(tracker: &TrackerInfo) -> Self {
        Self {
            address: fixed(&tracker.address),
            alive: tracker.alive,
            is_leader: tracker.is_leader,
        }
    }
}

/// Connections to one server.
#[repr(C)]
pub struct fdfs_pool_info {
    /// `host:port`.
    pub server: [c_char; 256],
    /// Lent and kept.
    pub open: usize,
    /// Kept.
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
    /// Ever made.
    pub created: u64,
    /// Closed because a call did not end cleanly.
    pub closed_by_error: u64,
}

impl From<&PoolStats> for fdfs_pool_info {
    fn from(stats: &PoolStats) -> Self {
        Self {
            server: fixed(&stats.server),
            open: stats.open,
            idle: stats.idle,
            waiting: stats.waiting,
            created: stats.created,
            closed_by_error: stats.closed_by_error,
        }
    }
}

/// Seconds since 1970.
pub(crate) fn unix_secs(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Gives a list out.
///
/// # Safety
/// The pointers are NULL or point to room for the results.
pub(crate) unsafe fn give<'a, T: 'a, C: From<&'a T>>(
    items: &'a [T],
    out: *mut *mut C,
    count: *mut usize,
) -> Result<()> {
    let list: Box<[C]> = items.iter().map(C::from).collect();
    // SAFETY: as the caller promises.
    unsafe {
        put(count, list.len())?;
        put(out, Box::into_raw(list).cast())
    }
}

/// Ends a list.
///
/// # Safety
/// The pointer is NULL or came from [`give`] with that count.
unsafe fn take_back<C>(list: *mut C, count: usize) {
    if !list.is_null() {
        // SAFETY: as the caller promises.
        drop(unsafe { Box::from_raw(slice_from_raw_parts_mut(list, count)) });
    }
}

/// Ends a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_groups_free(list: *mut fdfs_group_info, count: usize) {
    // SAFETY: the rules of the header.
    unsafe { take_back(list, count) }
}

/// Ends a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_storages_free(list: *mut fdfs_storage_info, count: usize) {
    // SAFETY: the rules of the header.
    unsafe { take_back(list, count) }
}

/// Ends a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_trackers_free(list: *mut fdfs_tracker_info, count: usize) {
    // SAFETY: the rules of the header.
    unsafe { take_back(list, count) }
}

/// Ends a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_addresses_free(list: *mut fdfs_address, count: usize) {
    // SAFETY: the rules of the header.
    unsafe { take_back(list, count) }
}

/// Ends a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_pool_stats_free(list: *mut fdfs_pool_info, count: usize) {
    // SAFETY: the rules of the header.
    unsafe { take_back(list, count) }
}
