//! Groups and storages as a tracker knows them (spec 03 §T1).

use crate::tracker::config::StoreServer;
use fdfs_core::config::{RwMode, choose_for_peer};
use fdfs_core::file_id::Source;
use fdfs_core::protocol::address::Ip;
use fdfs_core::protocol::cluster::DiskSpace;
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{Group as GroupName, StorageId, StorageStatus, Version};
use fdfs_core::wire::FixedStr;
use std::net::Ipv4Addr;

/// One storage.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Id text: a number, or the address.
    pub id: StorageId,
    /// One or two addresses, the inner one first.
    pub ips: Vec<String>,
    /// Service port.
    pub port: i64,
    /// Where it is in its life.
    pub status: StorageStatus,
    /// What it may be used for.
    pub rw: RwMode,
    /// Version text.
    pub version: Version,
    /// Unix seconds of its very first start.
    pub join_time: i64,
    /// Unix seconds of its present start; 0 when offline.
    pub up_time: i64,
    /// Who sends it the old files.
    pub sync_source: Option<StorageId>,
    /// Old files up to this time.
    pub sync_until: i64,
    /// Bytes of the change log it has been told.
    pub changelog_offset: u64,
    /// Store paths.
    pub store_path_count: i64,
    /// Sub-directories per level.
    pub subdir_count: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// Space of each store path.
    pub paths: Vec<DiskSpace>,
    /// MiB over all store paths.
    pub total_mb: i64,
    /// MiB over all store paths.
    pub free_mb: i64,
    /// Round-robin position, or the path with most space.
    pub current_write_path: usize,
    /// Counters it reported.
    pub stats: StorageStats,
    /// The connection it joined on last; an older one that ends says nothing about it.
    pub session: Option<u64>,
    /// The sources that its files may name, read from `id` and `ips` once: queries compare them.
    sources: [Option<Source>; 3],
}

impl Storage {
    /// A storage nothing is known about yet.
    pub fn new(id: StorageId, ips: Vec<String>, rw: RwMode) -> Self {
        let mut storage = Self {
            id: StorageId::EMPTY,
            ips: Vec::new(),
            rw,
            port: 0,
            status: StorageStatus::INIT,
            version: Version::EMPTY,
            join_time: 0,
            up_time: 0,
            sync_source: None,
            sync_until: 0,
            changelog_offset: 0,
            store_path_count: 0,
            subdir_count: 0,
            upload_priority: 0,
            paths: Vec::new(),
            total_mb: 0,
            free_mb: 0,
            current_write_path: 0,
            stats: StorageStats::default(),
            session: None,
            sources: [None; 3],
        };
        storage.set_identity(id, ips);
        storage
    }

    /// Sets id and addresses.
    pub fn set_identity(&mut self, id: StorageId, ips: Vec<String>) {
        let number = id.as_str().and_then(|id| id.parse().ok()).map(Source::Id);
        let mut ipv4 = ips.iter().map(|ip| ip.parse::<Ipv4Addr>().ok().map(Source::Ip));
        self.sources = [number, ipv4.next().flatten(), ipv4.next().flatten()];
        (self.id, self.ips) = (id, ips);
    }

    /// The address shown to `peer`.
    pub fn ip_for(&self, peer: &str) -> Ip {
        Ip::new(choose_for_peer(&self.ips, peer).as_bytes()).unwrap_or_default()
    }

    /// The record in change lists, with the address for `peer`.
    pub fn brief(&self, peer: &str) -> Brief {
        Brief {
            status: self.status.0,
            port: i32::try_from(self.port).unwrap_or(0),
            id: self.id,
            ip: FixedStr::truncated(self.ip_for(peer).as_bytes()),
        }
    }

    /// Whether a file's name says that it was uploaded here.
    pub fn is_source(&self, source: Source) -> bool {
        self.sources.contains(&Some(source))
    }

    fn is_writable(&self) -> bool {
        self.status == StorageStatus::ACTIVE && self.rw.writes()
    }

    fn is_readable(&self) -> bool {
        self.status == StorageStatus::ACTIVE && self.rw.reads()
    }

    /// Whether it has told how much space its store paths have, which it does after its first beat.
    pub fn is_space_known(&self) -> bool {
        !self.paths.is_empty()
    }
}

/// One group of storages that mirror each other.
#[derive(Debug, Clone)]
pub struct Group {
    /// Name.
    pub name: GroupName,
    /// Store paths of each storage; 0 until known.
    pub store_path_count: i64,
    /// Sub-directories per level; 0 until known.
    pub subdir_count: i64,
    /// Port of all storages; 0 until known, −1 when they differ.
    pub storage_port: i64,
    /// The storages in the order they joined.
    pub storages: Vec<Storage>,
    /// Indexes of `storages` in id order.
    pub sorted: Vec<usize>,
    /// Indexes of those that serve reads, in id order.
    pub readable: Vec<usize>,
    /// Indexes of those that take uploads, in id order.
    pub writable: Vec<usize>,
    /// The one for uploads unless they go round robin, and the fall-back for downloads.
    pub store_server: Option<usize>,
    /// The trunk server.
    pub trunk_server: Option<StorageId>,
    /// The trunk server before.
    pub last_trunk_server: StorageId,
    /// MiB of the fullest writable storage.
    pub total_mb: i64,
    /// MiB of the fullest writable storage.
    pub free_mb: i64,
    /// MiB free in trunk files.
    pub trunk_free_mb: i64,
    /// Last trunk file.
    pub current_trunk_file_id: i32,
    /// Round-robin position of uploads.
    pub current_write_server: usize,
    /// Round-robin position of downloads.
    pub current_read_server: usize,
    /// `[source][destination]`, by index of `storages`: files up to this time have arrived.
    pub synced: Vec<Vec<i32>>,
    /// Raised by every change that storages must hear of.
    pub changes: u64,
    /// Raised by every change of the trunk server.
    pub trunk_changes: u64,
    /// Unix seconds before which no trunk server is looked for again.
    pub trunk_retry_at: i64,
}

impl Group {
    /// An empty group.
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            store_path_count: 0,
            subdir_count: 0,
            storage_port: 0,
            storages: Vec::new(),
            sorted: Vec::new(),
            readable: Vec::new(),
            writable: Vec::new(),
            store_server: None,
            trunk_server: None,
            last_trunk_server: StorageId::EMPTY,
            total_mb: 0,
            free_mb: 0,
            trunk_free_mb: 0,
            current_trunk_file_id: 0,
            current_write_server: 0,
            current_read_server: 0,
            synced: Vec::new(),
            changes: 0,
            trunk_changes: 0,
            trunk_retry_at: 0,
        }
    }

    /// Index of the storage with this id.
    pub fn index_of(&self, id: &[u8]) -> Option<usize> {
        let id_at = |at: &usize| self.storages.get(*at).map(|s| s.id.as_bytes());
        let found =
            self.sorted.binary_search_by(|at| id_at(at).unwrap_or_default().cmp(id)).ok()?;
        self.sorted.get(found).copied()
    }

    /// The storage with this id.
    pub fn storage(&self, id: &[u8]) -> Option<&Storage> {
        self.index_of(id).and_then(|at| self.storages.get(at))
    }

    /// The storage with this id.
    pub fn storage_mut(&mut self, id: &[u8]) -> Option<&mut Storage> {
        self.index_of(id).and_then(|at| self.storages.get_mut(at))
    }

    /// The storages in id order.
    pub fn in_order(&self) -> impl Iterator<Item = &Storage> {
        self.sorted.iter().filter_map(|at| self.storages.get(*at))
    }

    /// The storages behind indexes such as `readable`.
    pub fn at(&self, index: usize) -> Option<&Storage> {
        self.storages.get(index)
    }

    /// Indexes of those that take uploads and have told their space, in id order.
    pub fn with_space(&self) -> impl Iterator<Item = usize> {
        let known = |at: &usize| self.at(*at).is_some_and(Storage::is_space_known);
        self.writable.iter().copied().filter(known)
    }

    /// Adds a storage and returns its index.
    pub fn add(&mut self, storage: Storage) -> usize {
        self.storages.push(storage);
        let count = self.storages.len();
        self.synced.resize_with(count, Vec::new);
        for row in &mut self.synced {
            row.resize(count, 0);
        }
        self.changes += 1;
        self.sort();
        count - 1
    }

    /// Brings `sorted` in order after an id was added or changed.
    pub fn sort(&mut self) {
        let mut sorted: Vec<usize> = (0..self.storages.len()).collect();
        sorted.sort_by_key(|at| self.storages.get(*at).map(|storage| storage.id));
        self.sorted = sorted;
    }

    /// Brings the sets of serving storages up to date.
    pub fn refresh(&mut self, rule: StoreServer) {
        let filter = |wanted: fn(&Storage) -> bool| -> Vec<usize> {
            let wanted = |at: &usize| self.storages.get(*at).is_some_and(wanted);
            self.sorted.iter().copied().filter(wanted).collect()
        };
        let (readable, writable) = (filter(Storage::is_readable), filter(Storage::is_writable));
        let priority = |at: &usize| self.storages.get(*at).map(|s| s.upload_priority);
        self.store_server = match rule {
            // `min_by_key` takes the first of equals.
            StoreServer::Priority => writable.iter().copied().min_by_key(|at| priority(at)),
            StoreServer::First | StoreServer::RoundRobin => writable.first().copied(),
        };
        (self.readable, self.writable) = (readable, writable);
    }

    /// Sets a storage's status, counts the change and brings the sets of serving storages up to
    /// date, so that nobody is sent to a storage that has just left them.
    pub fn set_status(&mut self, id: &[u8], status: StorageStatus, rule: StoreServer) {
        if let Some(storage) = self.storage_mut(id)
            && storage.status != status
        {
            storage.status = status;
            self.changes += 1;
            self.refresh(rule);
        }
    }

    /// Sets or clears the trunk server and counts the change.
    pub fn set_trunk_server(&mut self, id: Option<StorageId>) {
        self.trunk_server = id;
        self.trunk_changes += 1;
    }
}
