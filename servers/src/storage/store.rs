//! Store paths: directories, free space, and where a name lies on disk (spec 04 §A.2).

use super::config::StorePathConfig;
use super::disk::Disk;
use super::lane::Lane;
use super::spare::Spare;
use fdfs_core::config::Reserved;
use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::Status;
use fdfs_core::protocol::cluster::DiskSpace;
use fdfs_core::protocol::storage::ANY_STORE_PATH;
use rustix::fs::mkdirat;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Beginning of the names of files under way; removed at start.
const TEMP_PREFIX: &str = ".fdfs-";

/// Permission bits of directories, as the original gives them.
const DIR_MODE: u32 = 0o755;

/// One store path.
#[derive(Debug)]
pub struct StorePath {
    root: PathBuf,
    data: PathBuf,
    read_only: bool,
    /// Where its file work runs.
    pub(super) lane: Lane,
    /// Where something in it is made durable.
    pub(super) sync_lane: Lane,
    total_mb: AtomicI64,
    free_mb: AtomicI64,
    /// The second in which the space was last looked at.
    looked_at: AtomicI64,
    /// Whether somebody is looking now: a dead disk must not collect threads that do.
    looking: AtomicBool,
}

impl StorePath {
    /// The directory above `data`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that holds the files.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Whether the caller should look at the space now: once a second, and one caller at a time.
    pub(super) fn is_look_due(&self, now: i64) -> bool {
        if self.looked_at.load(Ordering::Relaxed) == now
            || self.looking.swap(true, Ordering::Relaxed)
        {
            return false;
        }
        self.looked_at.store(now, Ordering::Relaxed);
        true
    }

    /// Looks at the space; may hang on a sick disk.
    pub(super) fn look(&self, disk: &dyn Disk) {
        if let Ok((total_mb, free_mb)) = disk.space(&self.root) {
            self.total_mb.store(total_mb, Ordering::Relaxed);
            self.free_mb.store(free_mb, Ordering::Relaxed);
        }
        self.looking.store(false, Ordering::Relaxed);
    }

    /// Looks at the space when that has not happened in this second.
    pub(super) fn look_if_due(&self, disk: &dyn Disk, now: i64) {
        if self.is_look_due(now) {
            self.look(disk);
        }
    }

    /// Total and free MiB as last seen.
    pub fn known_space(&self) -> DiskSpace {
        DiskSpace {
            total_mb: self.total_mb.load(Ordering::Relaxed),
            free_mb: self.free_mb.load(Ordering::Relaxed),
        }
    }
}

/// All store paths of a storage.
#[derive(Debug)]
pub struct Store {
    paths: Vec<StorePath>,
    next_path: AtomicUsize,
    temp_seq: AtomicU64,
    pid: u32,
}

impl Store {
    /// Makes the directories that are missing, and removes what uploads under way left behind when
    /// the process ended.
    pub fn open(
        configs: &[StorePathConfig],
        subdir_count: usize,
        threads: usize,
        disk: &dyn Disk,
        spare: Option<&Arc<Spare>>,
    ) -> io::Result<Self> {
        let mut paths = Vec::new();
        for config in configs {
            if !config.path.is_dir() {
                // Making it would fill the disk below a mount that is missing.
                let text = format!("store path {} does not exist", config.path.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            let data = config.path.join("data");
            make_directories(&data, subdir_count).map_err(|error| {
                let text = format!("cannot prepare store path {}: {error}", config.path.display());
                io::Error::new(error.kind(), text)
            })?;
            remove_temporaries(&data)?;
            let path = StorePath {
                root: config.path.clone(),
                data,
                read_only: config.read_only,
                lane: Lane::new(threads, spare.cloned()),
                sync_lane: Lane::for_syncs(spare.cloned()),
                total_mb: AtomicI64::new(0),
                free_mb: AtomicI64::new(0),
                looked_at: AtomicI64::new(i64::MIN),
                looking: AtomicBool::new(false),
            };
            path.look(disk);
            paths.push(path);
        }
        Ok(Self {
            paths,
            next_path: AtomicUsize::new(0),
            temp_seq: AtomicU64::new(0),
            pid: std::process::id(),
        })
    }

    /// The store paths, by index.
    pub fn paths(&self) -> &[StorePath] {
        &self.paths
    }

    /// The store path with this index.
    pub fn path(&self, index: u8) -> Result<&StorePath, Status> {
        self.paths.get(usize::from(index)).ok_or(Status::EINVAL)
    }

    /// Checks a name and finds its store path.
    pub fn locate<'n>(&self, name: &'n [u8]) -> Result<(LogicName<'n>, &StorePath), Status> {
        let name = LogicName::parse(name).map_err(|_| Status::EINVAL)?;
        Ok((name, self.path(name.store_path())?))
    }

    /// Where a file lies.
    pub fn file(&self, name: &LogicName<'_>) -> Result<PathBuf, Status> {
        Ok(self.path(name.store_path())?.data.join(name.true_name()))
    }

    /// A name for a file under way in a store path.
    pub fn temporary(&self, index: u8) -> Result<PathBuf, Status> {
        let seq = self.temp_seq.fetch_add(1, Ordering::Relaxed);
        let name = format!("{TEMP_PREFIX}{}-{seq}.tmp", self.pid);
        Ok(self.path(index)?.data.join(name))
    }

    /// Whether `size` more bytes leave the store path its share of the reserved space.
    pub fn has_room(&self, path: &StorePath, size: u64, reserved: Reserved) -> bool {
        let size_mb = i64::try_from(size >> 20).unwrap_or(i64::MAX);
        let count = i64::try_from(self.paths.len()).unwrap_or(i64::MAX);
        let space = path.known_space();
        reserved.allows(space.total_mb, space.free_mb.saturating_sub(size_mb), count)
    }

    /// The store path for `size` bytes: the wanted one, or any when that is left open or takes no
    /// new files.
    pub fn choose(
        &self,
        wanted: u8,
        size: u64,
        reserved: Reserved,
        by_space: bool,
    ) -> Result<u8, Status> {
        let fits = |path: &StorePath| self.has_room(path, size, reserved);
        if wanted != ANY_STORE_PATH {
            let path = self.path(wanted)?;
            if !path.read_only {
                return if fits(path) { Ok(wanted) } else { Err(Status::ENOSPC) };
            }
        }
        let usable = |at: &usize| self.paths.get(*at).is_some_and(|p| !p.read_only && fits(p));
        let found = if by_space {
            let free = |at: &usize| self.paths.get(*at).map(|path| path.known_space().free_mb);
            (0..self.paths.len()).filter(usable).max_by_key(free)
        } else {
            let start = self.next_path.fetch_add(1, Ordering::Relaxed) % self.paths.len().max(1);
            (start..self.paths.len()).chain(0..start).find(usable)
        };
        found.and_then(|at| u8::try_from(at).ok()).ok_or(Status::ENOSPC)
    }
}

/// Makes `data/HH/LL` unless the first and the last are there already (spec 04 §A.2.1).
fn make_directories(data: &Path, subdir_count: usize) -> io::Result<()> {
    let dir = |high: usize, low: usize| data.join(format!("{high:02X}/{low:02X}"));
    let last = subdir_count.saturating_sub(1);
    if dir(0, 0).is_dir() && dir(last, last).is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(data)?;
    let level = |parent: &Path, make: &dyn Fn(&File, &str) -> io::Result<()>| {
        let parent = File::open(parent)?;
        (0..subdir_count).try_for_each(|index| make(&parent, &format!("{index:02X}")))
    };
    let make = |parent: &File, name: &str| match mkdirat(parent, name, DIR_MODE.into()) {
        Err(Errno::EXIST) => Ok(()),
        made => Ok(made?),
    };
    level(data, &|parent, name| {
        make(parent, name)?;
        level(&data.join(name), &make)
    })
}

fn remove_temporaries(data: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
            tracing::warn!(file = %entry.path().display(), "removed an unfinished file");
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
