//! Changing appender files in place (spec 01 §8.4 to §8.7). The caller holds the file's lock.

use super::{Done, NAME_TRIES, record_with, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::disk::DiskFile;
use crate::storage::engine::Engine;
use crate::storage::locks::FileGuard;
use crate::storage::names::{Names, NewKind};
use crate::storage::pending::Pending;
use fdfs_core::protocol::{Name, Status};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read at a time for a checksum.
const READ_LEN: usize = 256 * 1024;

/// What `open` says of a directory, and of a link that it does not follow.
const NO_FILE: [i32; 2] = [21, 40];

/// Opens the appender file with this name; tells its size.
fn appender(engine: &Engine, name: &Name) -> Done<(Box<dyn DiskFile>, PathBuf, u64)> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let path = engine.store.file(&logic)?;
    let file = engine.disk.open_write(&path).map_err(|error| match error.raw_os_error() {
        Some(errno) if NO_FILE.contains(&errno) => Status::EINVAL,
        _ => status(error),
    })?;
    let stat = file.stat().map_err(status)?;
    if !stat.is_file || !logic.has_appender_mark() {
        return Err(Status::EINVAL);
    }
    engine.check_room()?;
    Ok((file, path, stat.size))
}

/// The time of a change that began at `began` and is done now: that of the file (spec 04 §A.5.2).
fn time_of(engine: &Engine, file: &dyn DiskFile, began: i64) -> Done<i64> {
    // Within one second it needs no look at the file.
    match engine.now() == began {
        true => Ok(began),
        false => file.stat().map(|stat| stat.modified).map_err(status),
    }
}

/// Content on its way into an appender file. Dropped before it is finished, an append is cut off
/// again; a modification stays as far as it came, as in the original, and is recorded so.
#[derive(Debug)]
pub(in crate::storage) struct Writing {
    engine: Arc<Engine>,
    file: Box<dyn DiskFile>,
    name: Name,
    operation: Operation,
    record: Record,
    start: u64,
    len: u64,
    written: u64,
    /// Where the last piece that was tried ends: some of it may be there.
    tried: u64,
    /// Second in which the last piece began to be written.
    wrote: i64,
    finished: bool,
    /// Held until the last byte is where it belongs, whatever becomes of the connection.
    _guard: FileGuard,
}

impl Writing {
    /// Begins an append of `len` bytes, or with an offset a modification.
    pub(in crate::storage) fn begin(
        engine: Arc<Engine>,
        name: &Name,
        offset: Option<u64>,
        len: u64,
        guard: FileGuard,
    ) -> Done<Self> {
        let (file, _, old_size) = appender(&engine, name)?;
        let (operation, start) = match offset {
            None => (Operation::Append, old_size),
            Some(offset) if offset <= old_size => (Operation::Modify, offset),
            Some(_) => return Err(Status::EINVAL),
        };
        start.checked_add(len).and_then(|end| i64::try_from(end).ok()).ok_or(Status::EINVAL)?;
        let record = record_with(operation, name, format_args!("{start} {len}"))?;
        Ok(Self {
            wrote: engine.now(),
            engine,
            file,
            name: *name,
            operation,
            record,
            start,
            len,
            written: 0,
            tried: 0,
            finished: false,
            _guard: guard,
        })
    }

    /// Adds a piece.
    pub(in crate::storage) fn write(&mut self, piece: &[u8]) -> Done<()> {
        self.wrote = self.engine.now();
        self.tried = self.written + piece.len() as u64;
        self.file.write_at(piece, self.start + self.written).map_err(status)?;
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Records the change once all content is there.
    pub(in crate::storage) fn finish(mut self) -> Done<Pending<()>> {
        if self.written != self.len {
            return Err(Status::EIO);
        }
        let time = time_of(&self.engine, &*self.file, self.wrote)?;
        self.finished = true;
        let (engine, record) = (self.engine.clone(), self.record);
        match self.operation {
            Operation::Append => {
                Pending::undone_by(&engine, (), time, &[record], move |_| self.undo())
            }
            _ => Pending::done(&engine, (), time, &[record]),
        }
    }

    fn undo(&self) {
        let undone = match self.operation {
            Operation::Append => self.file.set_len(self.start).map_err(status),
            // What a modification has overwritten is lost; the other storages must get the same.
            _ if self.tried > 0 => self.record_what_came(),
            _ => Ok(()),
        };
        // What can neither be cut off nor be told is there for all members, whatever it is.
        if let Err(status) = undone.or_else(|_| self.record_whole()) {
            tracing::error!(name = %self.name, %status, "cannot undo an unfinished change");
        }
    }
}

impl Writing {
    fn record_what_came(&self) -> Done<()> {
        let size = self.file.stat().map_err(status)?.size;
        let len = size.min(self.start + self.tried).saturating_sub(self.start);
        if len == 0 {
            return Ok(());
        }
        let extra = format_args!("{} {len}", self.start);
        self.record(record_with(self.operation, &self.name, extra)?)
    }

    fn record_whole(&self) -> Done<()> {
        self.record(Record::new(Operation::Update, &self.name))
    }

    fn record(&self, record: Record) -> Done<()> {
        let ticket = self.engine.record_done(self.engine.now(), &[record])?;
        self.engine.commit(&ticket)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.finished && self.len > 0 {
            self.undo();
        }
    }
}

/// Sets the size of an appender file.
pub(in crate::storage) fn truncate(engine: &Engine, name: &Name, size: u64) -> Done<Pending<()>> {
    let (file, _, old_size) = appender(engine, name)?;
    if size == old_size {
        return Ok(Pending::unchanged(()));
    }
    let record = record_with(Operation::Truncate, name, format_args!("{old_size} {size}"))?;
    let began = engine.now();
    file.set_len(size).map_err(status)?;
    // It is done, whatever its time.
    let time = time_of(engine, &*file, began).unwrap_or(began);
    Pending::done(engine, (), time, &[record])
}

/// Turns an appender file into a normal one under a new name.
pub(in crate::storage) fn regenerate(engine: &Engine, name: &Name) -> Done<Pending<Name>> {
    let (file, path, _) = appender(engine, name)?;
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let (crc32, size) = checksum(&*file)?;
    let tail = logic.tail().try_into().map_err(|_| Status::EINVAL)?;
    let place = Names::place_of(logic.store_path(), logic.directories(), tail);
    let now = engine.now();
    for _ in 0..NAME_TRIES {
        let new_name = engine.names.name(&place, NewKind::Normal, size, crc32, now);
        let record = record_with(Operation::Rename, &new_name, format_args!("{name}"))?;
        let new_path = engine.file(&new_name)?;
        match engine.disk.publish(&path, &new_path) {
            Ok(()) => {
                let give_back = move |engine: &Engine| {
                    if let Err(error) = engine.disk.publish(&new_path, &path) {
                        tracing::error!(%error, "cannot give a file its old name back");
                    }
                };
                return Pending::undone_by(engine, new_name, now, &[record], give_back);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(status(error)),
        }
    }
    Err(Status::EEXIST)
}

/// CRC-32 and size of a file's content.
pub(in crate::storage) fn checksum(file: &dyn DiskFile) -> Done<(u32, u64)> {
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
