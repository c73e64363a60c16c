//! What clients are told.

use super::address::ServerAddress;
use crate::file_id::Kind;
use crate::protocol::StorageStatus;
pub use crate::protocol::stats::StorageStats;
use crate::protocol::tracker::{GroupStat, StorageStat};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a storage knows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// CRC-32 of the content; 0 where it was not asked for.
    pub crc32: u32,
    /// Address of the storage it was uploaded to; empty when unknown.
    pub source_ip: String,
    /// What its name says it is.
    pub kind: Kind,
}

/// Where a tracker sends an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTarget {
    /// The group.
    pub group: String,
    /// The storage.
    pub server: ServerAddress,
    /// The store path.
    pub store_path_index: u8,
}

/// A group of storages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub struct GroupInfo {
    pub name: String,
    pub total_mb: i64,
    pub free_mb: i64,
    pub reserved_mb: i64,
    pub trunk_free_mb: i64,
    pub storage_count: i64,
    pub storage_port: i64,
    pub readable_count: i64,
    pub writable_count: i64,
    pub current_write_server: i64,
    pub store_path_count: i64,
    pub subdir_count_per_path: i64,
    pub current_trunk_file_id: Option<i64>,
}

impl From<GroupStat> for GroupInfo {
    fn from(stat: GroupStat) -> Self {
        Self {
            name: stat.group.to_string(),
            total_mb: stat.total_mb,
            free_mb: stat.free_mb,
            reserved_mb: stat.reserved_mb,
            trunk_free_mb: stat.trunk_free_mb,
            storage_count: stat.storage_count,
            storage_port: stat.storage_port,
            readable_count: stat.readable_count,
            writable_count: stat.writable_count,
            current_write_server: stat.current_write_server,
            store_path_count: stat.store_path_count,
            subdir_count_per_path: stat.subdir_count_per_path,
            current_trunk_file_id: Some(stat.current_trunk_file_id).filter(|id| *id >= 0),
        }
    }
}

/// A storage as the tracker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub struct StorageInfo {
    pub id: String,
    pub address: ServerAddress,
    pub status: StorageStatus,
    /// What it may be used for: 0 nothing, 2 uploads, 4 downloads, 6 both.
    pub rw_mode: u8,
    pub version: String,
    pub joined: SystemTime,
    pub up_since: Option<SystemTime>,
    pub total_mb: i64,
    pub free_mb: i64,
    pub reserved_mb: i64,
    pub upload_priority: i64,
    pub store_path_count: i64,
    pub subdir_count_per_path: i64,
    pub current_write_path: i64,
    pub sync_source: Option<String>,
    pub is_trunk_server: bool,
    pub stats: StorageStats,
}

impl From<StorageStat> for StorageInfo {
    fn from(stat: StorageStat) -> Self {
        Self {
            id: stat.id.to_string(),
            address: ServerAddress {
                host: stat.ip.to_string(),
                port: u16::try_from(stat.port).unwrap_or(0),
            },
            status: StorageStatus(stat.status),
            rw_mode: stat.rw_mode,
            version: stat.version.to_string(),
            joined: time(stat.join_time),
            up_since: (stat.up_time > 0).then(|| time(stat.up_time)),
            total_mb: stat.total_mb,
            free_mb: stat.free_mb,
            reserved_mb: stat.reserved_mb,
            upload_priority: stat.upload_priority,
            store_path_count: stat.store_path_count,
            subdir_count_per_path: stat.subdir_count_per_path,
            current_write_path: stat.current_write_path,
            sync_source: Some(stat.sync_source.to_string()).filter(|id| !id.is_empty()),
            is_trunk_server: stat.is_trunk_server != 0,
            stats: stat.stats,
        }
    }
}

/// A configured tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerInfo {
    /// As configured.
    pub address: String,
    /// Whether it answered.
    pub alive: bool,
    /// Whether it leads the trackers.
    pub is_leader: bool,
}

/// A moment as the protocol counts it.
pub(super) fn time(unix_secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_secs.max(0).unsigned_abs())
}
