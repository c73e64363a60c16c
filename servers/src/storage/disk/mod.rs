//! The file system as the storage uses it: real, or failing on purpose in tests.

pub mod fault;
pub(super) mod sync_every;

use std::fmt::Debug;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Permission bits of stored files, as the original gives them.
const FILE_MODE: u32 = 0o644;

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Unix seconds.
    pub modified: i64,
    /// A regular file.
    pub is_file: bool,
    /// A symbolic link.
    pub is_link: bool,
}

/// Files and directories.
pub trait Disk: Debug + Send + Sync {
    /// Makes a file that must not exist.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for changing it in place.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file its name for good; fails when the name is taken.
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a name, replacing the file that had it.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a symbolic link that must not exist.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;
    /// Removes a file or link.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Looks at a file, or at the one a link points to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Looks at a file or link itself.
    fn lstat(&self, path: &Path) -> io::Result<Stat>;
    /// Total and free MiB of the file system.
    fn space(&self, path: &Path) -> io::Result<(i64, i64)>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all bytes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads up to the buffer's length at an offset; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Looks at the file.
    fn stat(&self) -> io::Result<Stat>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets the time of the last change.
    fn set_modified(&self, unix_secs: i64) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
    /// Sets disk space aside for bytes to come, without changing the file's size.
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()>;
}

/// The file system of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

fn stat_of(meta: &fs::Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt as _;
    Stat {
        size: meta.len(),
        modified: meta.mtime(),
        is_file: meta.is_file(),
        is_link: meta.is_symlink(),
    }
}

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).read(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems that cannot do this in one step, such as NFS, say so like this.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            done => Ok(done?),
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        symlink(target, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(&fs::metadata(path)?))
    }

    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(&fs::symlink_metadata(path)?))
    }

    fn space(&self, path: &Path) -> io::Result<(i64, i64)> {
        let space = rustix::fs::statvfs(path)?;
        let mb = |blocks: u64| {
            i64::try_from((u128::from(blocks) * u128::from(space.f_frsize)) >> 20)
                .unwrap_or(i64::MAX)
        };
        Ok((mb(space.f_blocks), mb(space.f_bavail)))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&self.0.metadata()?))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        let time = UNIX_EPOCH + Duration::from_secs(unix_secs.max(0).unsigned_abs());
        self.0.set_times(FileTimes::new().set_modified(time).set_accessed(time))
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::KEEP_SIZE, offset, len)?)
    }
}
