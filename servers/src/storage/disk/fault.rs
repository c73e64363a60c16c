//! A disk whose n-th call fails, or part of which hangs, for tests of what becomes of the rest.

use super::{Disk, DiskFile, Path, Stat, io};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Hung {
    below: Mutex<Option<PathBuf>>,
    changed: Condvar,
}

/// Calls hang until this is dropped.
#[derive(Debug)]
pub struct Hang(Arc<Hung>);

impl Drop for Hang {
    fn drop(&mut self) {
        *self.0.below.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.changed.notify_all();
    }
}

/// Counts calls down to the one that fails.
#[derive(Debug, Clone)]
pub struct FaultDisk {
    disk: Arc<dyn Disk>,
    calls_left: Arc<AtomicI64>,
    /// How many fail in a row.
    count: Arc<AtomicI64>,
    errno: i32,
    hung: Arc<Hung>,
}

impl FaultDisk {
    /// A disk that works like `disk` until told otherwise.
    pub fn new(disk: Arc<dyn Disk>, errno: i32) -> Self {
        let calls_left = Arc::new(AtomicI64::new(i64::MAX));
        let count = Arc::new(AtomicI64::new(1));
        Self { disk, calls_left, count, errno, hung: Arc::default() }
    }

    /// Lets the call number `nth`, counted from 1 now, fail; with 0 none.
    pub fn fail_call(&self, nth: i64) {
        self.fail_calls(nth, 1);
    }

    /// The same for `count` calls in a row.
    pub fn fail_calls(&self, nth: i64, count: i64) {
        self.count.store(count, Ordering::SeqCst);
        self.calls_left.store(if nth == 0 { i64::MAX } else { nth }, Ordering::SeqCst);
    }

    /// Whether the failure has happened.
    pub fn has_failed(&self) -> bool {
        self.calls_left.load(Ordering::SeqCst) <= 0
    }

    /// Lets every call for something below `path` hang.
    #[must_use = "it hangs only while this lives"]
    pub fn hang_below(&self, path: &Path) -> Hang {
        let below = Some(path.to_owned());
        *self.hung.below.lock().unwrap_or_else(PoisonError::into_inner) = below;
        Hang(self.hung.clone())
    }

    fn wait(&self, path: &Path) {
        let mut below = self.hung.below.lock().unwrap_or_else(PoisonError::into_inner);
        while below.as_ref().is_some_and(|below| path.starts_with(below)) {
            below = self.hung.changed.wait(below).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn enter(&self, path: &Path) -> io::Result<()> {
        self.wait(path);
        self.pass()
    }

    fn pass(&self) -> io::Result<()> {
        let left = self.calls_left.fetch_sub(1, Ordering::SeqCst);
        match (2 - self.count.load(Ordering::SeqCst)..=1).contains(&left) {
            true => Err(io::Error::from_raw_os_error(self.errno)),
            false => Ok(()),
        }
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultFile(file, self.clone()))
    }
}

impl Disk for FaultDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.enter(path)?;
        Ok(self.wrap(self.disk.create_new(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.enter(path)?;
        Ok(self.wrap(self.disk.open_read(path)?))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.enter(path)?;
        Ok(self.wrap(self.disk.open_write(path)?))
    }
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(to)?;
        self.disk.publish(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(to)?;
        self.disk.replace(from, to)
    }
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.enter(link)?;
        self.disk.symlink(target, link)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.enter(path)?;
        self.disk.remove(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.enter(path)?;
        self.disk.stat(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        self.enter(path)?;
        self.disk.lstat(path)
    }
    // Asked at times of its own, which would make the count of calls random.
    fn space(&self, path: &Path) -> io::Result<(i64, i64)> {
        self.wait(path);
        self.disk.space(path)
    }
}

#[derive(Debug)]
struct FaultFile(Box<dyn DiskFile>, FaultDisk);

impl DiskFile for FaultFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.1.pass() {
            // What a full disk does: some of it is there.
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            let _ = self.0.write_at(half, offset);
            return Err(error);
        }
        self.0.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.pass()?;
        self.0.read_at(buffer, offset)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.1.pass()?;
        self.0.stat()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.pass()?;
        self.0.set_len(len)
    }
    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        self.1.pass()?;
        self.0.set_modified(unix_secs)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.pass()?;
        self.0.sync()
    }
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.1.pass()?;
        self.0.reserve(offset, len)
    }
}
