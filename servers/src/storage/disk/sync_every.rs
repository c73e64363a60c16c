//! Files that are made durable while they grow (`fsync_after_written_bytes`, spec 06).
//!
//! The disk then works all the time instead of in bursts that stall readers. It is no promise about
//! the last bytes of a file.

use super::{Disk, DiskFile, Stat};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A disk whose files are synced each time this many bytes were written.
#[derive(Debug)]
pub(in crate::storage) struct SyncEvery {
    disk: Arc<dyn Disk>,
    bytes: u64,
}

impl SyncEvery {
    /// The disk itself for 0.
    pub(in crate::storage) fn wrap(disk: Arc<dyn Disk>, bytes: u64) -> Arc<dyn Disk> {
        if bytes == 0 { disk } else { Arc::new(Self { disk, bytes }) }
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(Synced { file, bytes: self.bytes, unsynced: AtomicU64::new(0) })
    }
}

impl Disk for SyncEvery {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.disk.create_new(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.disk.open_write(path)?))
    }
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.publish(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.replace(from, to)
    }
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.disk.symlink(target, link)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.disk.stat(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        self.disk.lstat(path)
    }
    fn space(&self, path: &Path) -> io::Result<(i64, i64)> {
        self.disk.space(path)
    }
}

#[derive(Debug)]
struct Synced {
    file: Box<dyn DiskFile>,
    bytes: u64,
    unsynced: AtomicU64,
}

impl DiskFile for Synced {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)?;
        let len = bytes.len() as u64;
        if self.unsynced.fetch_add(len, Ordering::Relaxed) + len >= self.bytes {
            self.sync()?;
        }
        Ok(())
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        self.file.set_modified(unix_secs)
    }
    fn sync(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync()
    }
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.reserve(offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RealDisk, fault::FaultDisk};
    use super::*;

    #[test]
    fn files_are_synced_each_time_enough_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let fault = FaultDisk::new(Arc::new(RealDisk), 5);
        let disk = SyncEvery::wrap(Arc::new(fault.clone()), 10);
        let file = disk.create_new(&dir.path().join("a")).unwrap();
        // Calls below: write, write and sync, write, write, write and sync.
        fault.fail_call(8);
        for (at, len) in [(0, 9), (9, 1), (10, 4), (14, 5), (19, 30)] {
            file.write_at(&[7; 30][..len], at).unwrap();
        }
        assert!(!fault.has_failed(), "seven calls");
        fault.fail_call(2);
        assert_eq!(file.write_at(&[7; 10], 49).unwrap_err().raw_os_error(), Some(5));
    }
}
