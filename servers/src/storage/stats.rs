//! Counters of a storage: reported to trackers and saved in `storage_stat.dat` (spec 04 §A.4).

use fdfs_core::config::Ini;
use fdfs_core::protocol::stats::StorageStats;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A pair of counters: all attempts, and those that succeeded.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub enum Op {
    UploadCount,
    AppendCount,
    ModifyCount,
    TruncateCount,
    SetMetaCount,
    DeleteCount,
    DownloadCount,
    GetMetaCount,
    CreateLinkCount,
    DeleteLinkCount,
    UploadBytes,
    AppendBytes,
    ModifyBytes,
    DownloadBytes,
    SyncInBytes,
    SyncOutBytes,
    FileOpenCount,
    FileReadCount,
    FileWriteCount,
}

/// Position of the first pair among [`StorageStats::NAMES`].
const FIRST_PAIR: usize = 3;
const COUNT: usize = StorageStats::NAMES.len();
const LAST_SOURCE_UPDATE: usize = COUNT - 4;
const LAST_SYNC_UPDATE: usize = COUNT - 3;

/// Keys of `storage_stat.dat` in its order: the two times stand in the middle, for history's sake.
fn file_keys() -> impl Iterator<Item = &'static str> {
    let names = &StorageStats::NAMES;
    let starts = |prefixes: &'static [&'static str]| {
        let wanted = |name: &&&str| {
            prefixes.iter().any(|p| {
                name.strip_prefix("total_")
                    .or(name.strip_prefix("success_"))
                    .is_some_and(|rest| rest == *p)
            })
        };
        names.iter().filter(wanted).copied()
    };
    starts(&["upload_count", "append_count", "modify_count", "truncate_count", "download_count"])
        .chain(["last_source_update", "last_sync_update"])
        .chain(starts(&[
            "set_meta_count",
            "delete_count",
            "get_meta_count",
            "create_link_count",
            "delete_link_count",
        ]))
        .chain(starts(&[
            "upload_bytes",
            "append_bytes",
            "modify_bytes",
            "download_bytes",
            "sync_in_bytes",
            "sync_out_bytes",
            "file_open_count",
            "file_read_count",
            "file_write_count",
        ]))
}

/// The counters, shared by all connections.
#[derive(Debug)]
pub struct Stats {
    values: [AtomicI64; COUNT],
    changes: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { values: [const { AtomicI64::new(0) }; COUNT], changes: AtomicU64::new(1) }
    }
}

impl Stats {
    fn add(&self, at: usize, by: i64) {
        if let Some(value) = self.values.get(at) {
            value.fetch_add(by, Ordering::Relaxed);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an attempt of `op` by `by`, and its success.
    pub fn count(&self, op: Op, by: u64, succeeded: bool) {
        let at = FIRST_PAIR + op as usize * 2;
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        self.add(at, by);
        if succeeded {
            self.add(at + 1, by);
        }
    }

    /// Notes that a client changed something here.
    pub fn source_update(&self, now: i64) {
        if let Some(value) = self.values.get(LAST_SOURCE_UPDATE) {
            value.store(now, Ordering::Relaxed);
        }
    }

    /// Notes that another storage changed something here.
    pub fn sync_update(&self, now: i64) {
        if let Some(value) = self.values.get(LAST_SYNC_UPDATE) {
            value.store(now, Ordering::Relaxed);
        }
    }

    /// Raised by every change.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// All counters now.
    pub fn snapshot(&self) -> StorageStats {
        let mut stats = StorageStats::default();
        for (name, value) in StorageStats::NAMES.iter().zip(&self.values) {
            stats.set(name, value.load(Ordering::Relaxed));
        }
        stats
    }

    /// The text of `storage_stat.dat`; `distribution` are its last three lines.
    pub fn to_text(&self, distribution: [u32; 3]) -> String {
        let stats = self.snapshot();
        let mut text = String::new();
        // Writing to a String cannot fail.
        for key in file_keys() {
            let _ = writeln!(text, "{key}={}", stats.get(key).unwrap_or(0));
        }
        for (key, value) in DISTRIBUTION_KEYS.iter().zip(distribution) {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    /// Reads `storage_stat.dat`.
    pub fn parse(text: &str) -> (Self, [u32; 3]) {
        let (ini, stats) = (Ini::parse(text), Self::default());
        let scope = ini.global();
        let read = |key: &str| scope.int(key, 0).unwrap_or(0);
        for (name, value) in StorageStats::NAMES.iter().zip(&stats.values).skip(FIRST_PAIR) {
            value.store(read(name), Ordering::Relaxed);
        }
        let distribution = DISTRIBUTION_KEYS.map(|key| u32::try_from(read(key)).unwrap_or(0));
        (stats, distribution)
    }
}

const DISTRIBUTION_KEYS: [&str; 3] =
    ["dist_path_index_high", "dist_path_index_low", "dist_write_file_count"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_file_is_read_and_written_alike() {
        let golden =
            include_str!("../../../tests/vectors/golden/disk/plain/storage1/data/storage_stat.dat");
        let (stats, distribution) = Stats::parse(golden);
        assert_eq!(stats.to_text(distribution), golden);
        stats.count(Op::UploadBytes, 10, true);
        stats.count(Op::FileWriteCount, 1, false);
        stats.source_update(5);
        stats.sync_update(6);
        let snapshot = stats.snapshot();
        assert_eq!(snapshot.total_upload_bytes, 3022);
        assert_eq!((snapshot.last_source_update, snapshot.last_sync_update), (5, 6));
        assert_eq!((snapshot.total_file_write_count, snapshot.success_file_write_count), (13, 12));
    }
}
