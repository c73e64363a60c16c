//! Changing appender files in place (spec 01 §8.4 to §8.7). The caller holds the file's lock.

use super::{Done, existing, status};
use crate::storage::binlog::Operation;
use crate::storage::disk::DiskFile;
use crate::storage::engine::Engine;
use crate::storage::names::{Names, NewKind};
use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::{Name, Status};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Shortest logic name of an appender file.
const APPENDER_NAME_LEN_MIN: usize = 44;
/// Bytes read at a time for a checksum.
const READ_LEN: usize = 256 * 1024;
/// Names drawn until one is free.
const NAME_TRIES: usize = 10;

/// Finds the appender file with this name, and its size.
fn appender(engine: &Engine, name: &[u8]) -> Done<(PathBuf, u64)> {
    if name.len() < APPENDER_NAME_LEN_MIN {
        return Err(Status::EINVAL);
    }
    let (logic, _) = engine.store.locate(name)?;
    let path = engine.store.file(&logic)?;
    let stat = existing(engine, &path)?;
    if !stat.is_file || !logic.has_appender_mark() {
        return Err(Status::EINVAL);
    }
    Ok((path, stat.size))
}

/// Content on its way into an appender file. Dropped before it is finished, an append is cut off
/// again; a modification stays as far as it came, as in the original.
#[derive(Debug)]
pub(in crate::storage) struct Writing {
    engine: Arc<Engine>,
    name: Name,
    file: Box<dyn DiskFile>,
    operation: Operation,
    old_size: u64,
    start: u64,
    len: u64,
    written: u64,
    finished: bool,
}

impl Writing {
    /// Begins an append of `len` bytes, or with an offset a modification.
    pub(in crate::storage) fn begin(
        engine: Arc<Engine>,
        name: Name,
        offset: Option<u64>,
        len: u64,
    ) -> Done<Self> {
        let (path, old_size) = appender(&engine, name.as_bytes())?;
        let (operation, start) = match offset {
            None => (Operation::Append, old_size),
            Some(offset) if offset <= old_size => (Operation::Modify, offset),
            Some(_) => return Err(Status::EINVAL),
        };
        start.checked_add(len).and_then(|end| i64::try_from(end).ok()).ok_or(Status::EINVAL)?;
        let file = engine.disk.open_write(&path).map_err(status)?;
        let (written, finished) = (0, false);
        Ok(Self { engine, name, file, operation, old_size, start, len, written, finished })
    }

    /// Adds a piece.
    pub(in crate::storage) fn write(&mut self, piece: &[u8]) -> Done<()> {
        self.file.write_at(piece, self.start + self.written).map_err(status)?;
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Records the change once all content is there.
    pub(in crate::storage) fn finish(mut self) -> Done<()> {
        if self.written != self.len {
            return Err(Status::EIO);
        }
        let time = self.file.stat().map_err(status)?.modified;
        let extra = format_args!("{} {}", self.start, self.len);
        self.engine.record(time, self.operation, self.name.as_bytes(), extra)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.finished || self.operation != Operation::Append {
            return;
        }
        if let Err(error) = self.file.set_len(self.old_size) {
            tracing::error!(%error, name = %self.name, "cannot cut off an unfinished append");
        }
    }
}

/// Sets the size of an appender file.
pub(in crate::storage) fn truncate(engine: &Engine, name: &[u8], size: i64) -> Done<()> {
    let size = u64::try_from(size).map_err(|_| Status::EINVAL)?;
    let (path, old_size) = appender(engine, name)?;
    if size == old_size {
        return Ok(());
    }
    let mut file = engine.disk.open_write(&path).map_err(status)?;
    file.set_len(size).map_err(status)?;
    let time = file.stat().map_err(status)?.modified;
    engine.record(time, Operation::Truncate, name, format_args!("{old_size} {size}"))
}

/// Turns an appender file into a normal one under a new name.
pub(in crate::storage) fn regenerate(engine: &Engine, name: &[u8]) -> Done<Name> {
    let (path, _) = appender(engine, name)?;
    let (logic, _) = engine.store.locate(name)?;
    let file = engine.disk.open_read(&path).map_err(status)?;
    let (crc32, size) = checksum(&*file)?;
    drop(file);
    let tail = logic.tail().try_into().map_err(|_| Status::EINVAL)?;
    let place = Names::place_of(logic.store_path(), logic.directories(), tail);
    let now = engine.now();
    for _ in 0..NAME_TRIES {
        let new_name = engine.names.name(&place, NewKind::Normal, size, crc32, now);
        let new_path = engine.file(new_name.as_bytes())?;
        match engine.disk.publish(&path, &new_path) {
            Ok(()) => {
                let old = LogicName::parse(name).map_err(|_| Status::EINVAL)?;
                let extra = format_args!("{}", old.canonical());
                let recorded = engine.record(now, Operation::Rename, new_name.as_bytes(), extra);
                if recorded.is_err()
                    && let Err(error) = engine.disk.publish(&new_path, &path)
                {
                    tracing::error!(%error, "cannot give a file its old name back");
                }
                return recorded.map(|()| new_name);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(status(error)),
        }
    }
    Err(Status::EEXIST)
}

/// CRC-32 and size of a file's content.
pub(super) fn checksum(file: &dyn DiskFile) -> Done<(u32, u64)> {
    let mut buffer = vec![0; READ_LEN];
    let mut hasher = crc32fast::Hasher::new();
    let mut size = 0;
    loop {
        let read = file.read_at(&mut buffer, size).map_err(status)?;
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
        if read < READ_LEN {
            return Ok((hasher.finalize(), size));
        }
    }
}
