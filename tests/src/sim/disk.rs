//! The disk of a simulated host: real files in memory, that can be full, fail, or be those of a
//! host that died in the middle of a call.

use super::cluster::HostClock;
use super::unsynced::Unsynced;
use fdfs_core::net::sim::EPOCH;
use fdfs_servers::storage::clock::Clock as _;
use fdfs_servers::storage::disk::{Disk, DiskFile, RealDisk, Stat};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What every simulated disk says of its space, in MiB.
const TOTAL_MB: i64 = 10_000;
const FREE_MB: i64 = 9_000;

/// No clock is wrong by more seconds.
pub(super) const SKEW_MAX: i64 = 1_000_000;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

type Died = Box<dyn Fn() + Send + Sync>;

struct Fate {
    /// The host is dead: no call has an effect any more.
    dead: AtomicBool,
    full: AtomicBool,
    /// A sync has failed: a server takes no more changes until it is restarted.
    unsure: AtomicBool,
    /// Calls until one fails, and until the host dies in one.
    fails_in: AtomicI64,
    dies_in: AtomicI64,
    died: Died,
    clock: HostClock,
    unsynced: Arc<Mutex<Unsynced>>,
}

/// The disk of one life of a host.
#[derive(Clone)]
pub struct SimDisk(Arc<Fate>);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

/// What becomes of a call.
enum Turn {
    Works,
    /// The host dies while it is under way.
    Dies,
}

impl SimDisk {
    /// A disk without fault; `died` is called when the host dies in a call.
    pub fn new(
        clock: HostClock,
        unsynced: Arc<Mutex<Unsynced>>,
        died: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Fate {
            dead: AtomicBool::new(false),
            full: AtomicBool::new(false),
            unsure: AtomicBool::new(false),
            fails_in: AtomicI64::new(i64::MAX),
            dies_in: AtomicI64::new(i64::MAX),
            died: Box::new(died),
            clock,
            unsynced,
        }))
    }

    /// From now on no call has an effect.
    pub fn die(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
    }

    /// Whether the host is dead.
    pub fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::SeqCst)
    }

    /// Lets the host die in the call number `nth`.
    pub fn die_in(&self, nth: i64) {
        self.0.dies_in.store(nth, Ordering::SeqCst);
    }

    /// Lets the call number `nth` fail.
    pub fn fail_in(&self, nth: i64) {
        self.0.fails_in.store(nth, Ordering::SeqCst);
    }

    /// Whether an operator has to restart the server, after a look at the disk.
    pub fn is_unsure(&self) -> bool {
        self.0.unsure.load(Ordering::SeqCst)
    }

    /// Fills the disk, or makes room again.
    pub fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    fn is_full(&self) -> bool {
        self.0.full.load(Ordering::SeqCst)
    }

    fn turn(&self) -> io::Result<Turn> {
        let failed = || io::Error::from_raw_os_error(EIO);
        if self.is_dead() {
            return Err(failed());
        }
        if self.0.dies_in.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.die();
            (self.0.died)();
            return Ok(Turn::Dies);
        }
        match self.0.fails_in.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(failed()),
            _ => Ok(Turn::Works),
        }
    }

    /// A call that happens whole or not at all.
    fn whole<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.turn()? {
            Turn::Works => call(),
            Turn::Dies => Err(io::Error::from_raw_os_error(EIO)),
        }
    }

    /// What is about to be done to these names gets to the disk later.
    fn touch(&self, paths: &[&Path]) {
        let mut unsynced = self.unsynced();
        paths.iter().for_each(|path| unsynced.touch(path));
    }

    /// The content of this file is about to change.
    fn write(&self, path: &Path) {
        self.touch(&[path]);
        self.unsynced().write(path, self.0.clock.unix_secs());
    }

    /// Files that nobody gave a time have one of the host that plays; here all have one of the run.
    fn in_time(&self, path: &Path, stat: Stat) -> Stat {
        let is_set = stat.modified >= EPOCH - SKEW_MAX;
        let known = || self.unsynced().written_at(path);
        let modified = if is_set { stat.modified } else { known().unwrap_or(EPOCH) };
        Stat { modified, ..stat }
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.0.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needs_room(&self) -> io::Result<()> {
        match self.is_full() {
            true => Err(io::Error::from_raw_os_error(ENOSPC)),
            false => Ok(()),
        }
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let (path, disk) = (path.to_owned(), self.clone());
        Box::new(SimFile { path, file, disk, reserved: AtomicU64::new(0) })
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let create = || {
            self.write(path);
            RealDisk.create_new(path)
        };
        self.whole(create).map(|file| self.file(path, file))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.whole(|| RealDisk.open_read(path)).map(|file| self.file(path, file))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.whole(|| RealDisk.open_write(path)).map(|file| self.file(path, file))
    }
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole(|| {
            self.touch(&[from, to]);
            RealDisk.publish(from, to)?;
            self.unsynced().rename(from, to);
            Ok(())
        })
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole(|| {
            self.touch(&[from, to]);
            RealDisk.replace(from, to)?;
            self.unsynced().rename(from, to);
            Ok(())
        })
    }
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.needs_room()?;
        self.whole(|| {
            self.touch(&[link]);
            RealDisk.symlink(target, link)
        })
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole(|| {
            self.touch(&[path]);
            RealDisk.remove(path)
        })
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.whole(|| RealDisk.stat(path)).map(|stat| self.in_time(path, stat))
    }
    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        self.whole(|| RealDisk.lstat(path)).map(|stat| self.in_time(path, stat))
    }
    fn space(&self, _: &Path) -> io::Result<(i64, i64)> {
        Ok((TOTAL_MB, if self.is_full() { 0 } else { FREE_MB }))
    }
}

#[derive(Debug)]
struct SimFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    disk: SimDisk,
    /// Where the space set aside for it ends.
    reserved: AtomicU64,
}

impl SimFile {
    fn first_half(&self, bytes: &[u8], offset: u64) {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        // What comes of it is what a crash leaves.
        let _ = self.file.write_at(half, offset);
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.write(&self.path);
        if let Turn::Dies = self.disk.turn()? {
            self.first_half(bytes, offset);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let has_room = || offset + bytes.len() as u64 <= self.reserved.load(Ordering::SeqCst);
        if self.disk.is_full() && !has_room() {
            self.first_half(bytes, offset);
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.file.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.whole(|| self.file.read_at(buffer, offset))
    }
    fn stat(&self) -> io::Result<Stat> {
        self.disk.whole(|| self.file.stat()).map(|stat| self.disk.in_time(&self.path, stat))
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.write(&self.path);
        self.disk.whole(|| self.file.set_len(len))?;
        self.reserved.fetch_min(len, Ordering::SeqCst);
        Ok(())
    }
    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        self.disk.whole(|| self.file.set_modified(unix_secs))
    }
    fn sync(&self) -> io::Result<()> {
        let sync = || {
            self.disk.unsynced().sync(&self.path);
            Ok(())
        };
        let synced = self.disk.whole(sync);
        if synced.is_err() {
            self.disk.0.unsure.store(true, Ordering::SeqCst);
        }
        synced
    }
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.needs_room()?;
        // Counted instead of done: memory is what these files cost.
        self.disk.whole(|| Ok(()))?;
        self.reserved.fetch_max(offset + len, Ordering::SeqCst);
        Ok(())
    }
}
