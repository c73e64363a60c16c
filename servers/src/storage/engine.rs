//! The storage engine: everything that serving a request needs, and the rules that all operations
//! share.

use super::binlog::{Binlog, Position, Record, Ticket};
use super::clock::Clock;
use super::config::StorageConfig;
use super::disk::{Disk, sync_every::SyncEvery};
use super::lane::Lane;
use super::locks::FileLocks;
use super::names::Names;
use super::stats::Stats;
use super::store::Store;
use super::sync::Arrivals;
use super::sync::graves::Graves;
use super::sync::progress::Board;
use super::world::World;
use crate::state_file::{read_optional, safe_write};
use fdfs_core::config::{ClusterParams, StorageIds};
use fdfs_core::file_id::{LogicName, Source};
use fdfs_core::protocol::replication::BootId;
use fdfs_core::protocol::{Group, Name, Status, StorageId};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Who this storage is, as the trackers told it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its group.
    pub group: Group,
    /// Its storage id.
    pub id: StorageId,
    /// How it stands in file names.
    pub source: Source,
}

/// The engine of one storage.
#[derive(Debug)]
pub struct Engine {
    /// Who this storage is.
    pub identity: Identity,
    /// What all servers of the cluster agree on.
    pub params: ClusterParams,
    /// All storages with ids; empty unless ids are in use.
    pub ids: StorageIds,
    /// The store paths.
    pub store: Store,
    /// Names for new files.
    pub names: Names,
    /// The record of changes.
    pub binlog: Binlog,
    /// Where the binlog is written: its disk may be another one than those of the store paths.
    pub(super) records_lane: Lane,
    /// What has arrived from peers.
    pub(super) arrivals: Arrivals,
    /// What senders say of themselves.
    pub(super) board: Board,
    /// What has been deleted.
    pub(super) graves: Graves,
    /// Counters.
    pub stats: Stats,
    /// Files being changed now.
    pub locks: Arc<FileLocks>,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Another text each time the machine starts.
    pub(super) boot: BootId,
    /// Whether the files that the last run left are checked. Peers wait for that: what is damaged is
    /// to be missed when they ask.
    pub checked: watch::Sender<bool>,
    unsure_until: Mutex<Position>,
    stat_file: PathBuf,
    /// The statistics' change counter as last saved. Held while they are saved: two savers would
    /// share one temporary file.
    saved_changes: Mutex<u64>,
}

impl Engine {
    /// Opens the store paths, the binlog and the statistics.
    pub fn open(
        config: &StorageConfig,
        identity: Identity,
        params: ClusterParams,
        ids: StorageIds,
        world: World,
    ) -> io::Result<Self> {
        let World { disk, clock, seed, boot, spare } = world;
        let data = config.framework.base_path.join("data");
        std::fs::create_dir_all(&data)?;
        let keys = &config.keys;
        let threads = keys.disk_reader_threads + keys.disk_writer_threads;
        let subdirs = keys.subdir_count_per_path;
        let store = Store::open(&config.store_paths, subdirs, threads, &*disk, spare.as_ref())?;
        let stat_file = data.join("storage_stat.dat");
        let text = read_optional(&stat_file)?.unwrap_or_default();
        let (stats, position) = Stats::parse(&String::from_utf8_lossy(&text));
        let names = Names::new(
            identity.source,
            u16::try_from(keys.subdir_count_per_path).unwrap_or(256),
            keys.file_distribute_path_mode != 0,
            u32::try_from(keys.file_distribute_rotate_count).unwrap_or(100),
            position,
            seed,
        );
        let binlog = Binlog::open(disk.clone(), data.join("sync"))?;
        let graves = Graves::load(binlog.dir(), *binlog.written().borrow())?;
        Ok(Self {
            identity,
            params,
            ids,
            store,
            names,
            binlog,
            graves,
            records_lane: Lane::new(threads, spare),
            arrivals: Arrivals::default(),
            board: Board::default(),
            stats,
            locks: Arc::default(),
            disk: SyncEvery::wrap(disk, keys.fsync_after_written_bytes),
            clock,
            boot,
            checked: watch::Sender::new(true),
            unsure_until: Mutex::default(),
            stat_file,
            saved_changes: Mutex::new(0),
        })
    }

    /// Saves `storage_stat.dat` when anything has changed.
    pub fn save_stats(&self) -> io::Result<()> {
        let changes = self.stats.changes();
        let mut saved = self.saved_changes.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved == changes {
            return Ok(());
        }
        safe_write(&self.stat_file, self.stats.to_text(self.names.position()).as_bytes())?;
        *saved = changes;
        Ok(())
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.unix_secs()
    }

    /// Files of peers that were refused because their content did not match the checksum in their
    /// name.
    pub fn damaged_arrivals(&self) -> u64 {
        self.arrivals.damaged()
    }

    /// Notes that of what was recorded before this, some may be lost.
    pub(super) fn be_unsure_until(&self, end: Position) {
        *self.unsure_until.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Where that ends; the beginning when nothing is lost.
    pub(super) fn unsure_until(&self) -> Position {
        *self.unsure_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is here may be older than what it was.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure_until() != Position::default()
    }

    /// Whether a file, or the master of a slave, was uploaded here.
    pub(super) fn is_source_of(&self, name: &LogicName<'_>) -> bool {
        name.stamp().is_some_and(|stamp| stamp.source == self.identity.source)
    }

    /// Requests that name a group must name this one.
    pub fn check_group(&self, group: &Group) -> Result<(), Status> {
        if *group == self.identity.group { Ok(()) } else { Err(Status::EINVAL) }
    }

    /// Where the file of a checked name lies.
    pub fn file(&self, name: &Name) -> Result<PathBuf, Status> {
        let (name, _) = self.store.locate(name.as_bytes())?;
        self.store.file(&name)
    }

    /// Checks before a change that it can be recorded afterwards.
    pub fn check_room(&self) -> Result<(), Status> {
        self.binlog.check_room().map_err(refusal)
    }

    /// Queues the records of a change; what it changed may be changed again after this.
    pub fn record(&self, time: i64, records: &[Record]) -> Result<Ticket, Status> {
        self.binlog.push(time, records).map_err(refusal)
    }

    /// The same for a change that cannot be undone: its records stay queued until they are written.
    pub fn record_done(&self, time: i64, records: &[Record]) -> Result<Ticket, Status> {
        self.binlog.push_done(time, records).map_err(refusal)
    }

    /// Writes queued records; their request may be acknowledged once this succeeds.
    pub fn commit(&self, ticket: &Ticket) -> Result<(), Status> {
        self.binlog.commit(ticket).map_err(refusal)?;
        self.stats.source_update(ticket.time);
        Ok(())
    }

    /// Removes what a failed request has made. There is nobody to tell when that fails too, but
    /// the log.
    pub fn undo(&self, path: &std::path::Path) {
        if let Err(error) = self.disk.remove(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, file = %path.display(), "cannot remove an unacknowledged file");
        }
    }

    /// The name of the file a link points to, when that lies within a store path (spec 04 §A.8.3).
    pub fn link_target(&self, link: &LogicName<'_>) -> Option<Name> {
        let path = self.store.file(link).ok()?;
        let target = std::fs::read_link(path).ok()?;
        let paths = self.store.paths().iter().enumerate();
        paths
            .filter_map(|(index, path)| {
                let rest = target.strip_prefix(path.data()).ok()?.to_str()?;
                Name::new(format!("M{index:02X}/{rest}").as_bytes())
            })
            .find(|name| LogicName::parse(name.as_bytes()).is_ok())
    }
}

fn refusal(error: io::Error) -> Status {
    tracing::error!(%error, "cannot write the binlog, a change is refused");
    Status::of_io(&error)
}
