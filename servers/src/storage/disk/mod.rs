//! The file system as the storage uses it: real, or failing on purpose in tests.

pub mod fault;
pub(super) mod sync_every;

use rustix::fs::{self, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Timespec};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// After this time the disk has what the kernel was given, with a margin: it waits 30 seconds before
/// it begins to write, and looks every 5.
pub(super) const WRITE_BACK_TIME: Duration = Duration::from_secs(90);

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
    /// Opens a file for changing it in place; links are not followed.
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

fn stat_of(stat: fs::Stat) -> Stat {
    let kind = FileType::from_raw_mode(stat.st_mode);
    Stat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: stat.st_mtime,
        is_file: kind == FileType::RegularFile,
        is_link: kind == FileType::Symlink,
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<Box<dyn DiskFile>> {
    let flags = flags | OFlags::CLOEXEC;
    let file = retry_on_intr(|| fs::open(path, flags, Mode::from(FILE_MODE)))?;
    Ok(Box::new(RealFile(file)))
}

/// Straight system calls: what `std::fs` does beside them is seen in the rate of small files.
impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open(path, OFlags::RDONLY)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open(path, OFlags::RDWR | OFlags::NOFOLLOW)
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems that cannot do this in one step, such as NFS, say so like this.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::link(from, to)?;
                Ok(fs::unlink(from)?)
            }
            done => Ok(done?),
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(fs::rename(from, to)?)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        Ok(fs::symlink(target, link)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlink(path)?)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(fs::stat(path)?))
    }

    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(fs::lstat(path)?))
    }

    fn space(&self, path: &Path) -> io::Result<(i64, i64)> {
        let space = fs::statvfs(path)?;
        let mb = |blocks: u64| {
            i64::try_from((u128::from(blocks) * u128::from(space.f_frsize)) >> 20)
                .unwrap_or(i64::MAX)
        };
        Ok((mb(space.f_blocks), mb(space.f_bavail)))
    }
}

#[derive(Debug)]
struct RealFile(OwnedFd);

impl DiskFile for RealFile {
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match retry_on_intr(|| pwrite(&self.0, bytes, offset))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    offset += written as u64;
                }
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match retry_on_intr(|| pread(&self.0, &mut *rest, offset + filled as u64))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(fs::fstat(&self.0)?))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::ftruncate(&self.0, len))?)
    }

    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        let time = Timespec { tv_sec: unix_secs, tv_nsec: 0 };
        Ok(fs::futimens(&self.0, &fs::Timestamps { last_access: time, last_modification: time })?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::fdatasync(&self.0))?)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, offset, len)?)
    }
}
