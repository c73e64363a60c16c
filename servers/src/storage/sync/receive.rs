//! What peers send, put into files (spec 03 §C4). Functions here may block; `service` decides where
//! they run. Every change is idempotent: peers repeat what they are not sure of.

use super::back::{self, Verdict};
use super::{has_states, is_metadata, of_metadata};
use crate::storage::binlog::{Operation, Record};
use crate::storage::disk::{DiskFile, Stat};
use crate::storage::engine::Engine;
use crate::storage::locks::FileGuard;
use crate::storage::ops::{self, Done, status};
use crate::storage::pending::Pending;
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::cluster::{SyncFile, SyncNames, SyncRange, SyncTruncate};
use fdfs_core::protocol::replication::{GIVES_BACK, GIVES_BACK_UNSURE};
use fdfs_core::protocol::{Name, Status};
use std::fmt::Arguments;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What becomes of a request: the change, and the status that its reply has all the same.
pub(super) type Made = Done<(Pending<()>, Status)>;

fn record(operation: Operation, name: &Name) -> Record {
    Record::new(operation, name).of_peer()
}

fn record_with(operation: Operation, name: &Name, extra: Arguments<'_>) -> Done<Record> {
    ops::record_with(operation, name, extra).map(Record::of_peer)
}

/// Records a change; its reply is a success.
fn made(engine: &Engine, timestamp: i32, record: Record) -> Made {
    Ok((Pending::done(engine, (), timestamp.into(), &[record])?, Status::OK))
}

/// Nothing is changed, and the peer is told why.
fn left_alone(why: Status) -> Made {
    Ok((Pending::unchanged(()), why))
}

fn lstat(engine: &Engine, path: &Path) -> Done<Option<Stat>> {
    match engine.disk.lstat(path) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(status(error)),
    }
}

/// A name that this server can keep a file under: not one inside a trunk file.
fn plain<'n>(engine: &Engine, name: &'n Name) -> Done<(LogicName<'n>, PathBuf)> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    match logic.trunk_place() {
        Some(_) => Err(Status::EOPNOTSUPP),
        None => Ok((logic, engine.store.file(&logic)?)),
    }
}

/// The CRC-32 that the content of a file must have, when its name tells that.
fn promised_crc(logic: &LogicName<'_>, size: u64) -> Option<u32> {
    if logic.kind() != Kind::Normal || is_metadata(logic) {
        return None;
    }
    let stamp = logic.stamp().filter(|stamp| stamp.size.bytes() == size)?;
    Some(stamp.crc32)
}

/// A peer says that its file is here already (spec 03 §C4.1): only the record is missing.
pub(super) fn present(engine: &Engine, name: &Name, operation: Operation, timestamp: i32) -> Made {
    let (pending, _) = made(engine, timestamp, record(operation, name))?;
    Ok((pending, Status::EEXIST))
}

/// Whether a file that a peer sends was deleted, or the file whose metadata it is.
fn is_buried(engine: &Engine, name: &Name, timestamp: i32) -> Done<bool> {
    let file = of_metadata(name);
    let is_known = match &file {
        None => engine.graves.hold(name, timestamp.into()),
        Some(file) => engine.graves.know(file),
    };
    if !is_known {
        return Ok(false);
    }
    // A deletion that was recorded may not have been made: a crash came between. Only names of
    // slaves are used again.
    let (logic, path) = plain(engine, file.as_ref().unwrap_or(name))?;
    let is_again = file.is_none() && logic.kind() == Kind::Slave;
    Ok(is_again || lstat(engine, &path)?.is_none())
}

/// What a peer says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the peer's.
    New,
    /// It was made here before and may be lost. The peer may be unsure of what it has, too.
    Back { is_unsure: bool },
}

impl Claim {
    /// What the status of a request says.
    pub(super) fn of(status: Status) -> Self {
        match status {
            Status(GIVES_BACK) => Self::Back { is_unsure: false },
            Status(GIVES_BACK_UNSURE) => Self::Back { is_unsure: true },
            _ => Self::New,
        }
    }

    /// The time that tells how far the peer has come with its own changes, when it is that.
    pub(super) fn progress(self, timestamp: i32) -> i32 {
        if self == Self::New { timestamp } else { 0 }
    }
}

/// A whole file on its way here. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(super) struct Incoming {
    engine: Arc<Engine>,
    name: Name,
    operation: Operation,
    claim: Claim,
    size: u64,
    timestamp: i32,
    path: PathBuf,
    /// Absent when the content is not needed, or once the file has its name.
    file: Option<(PathBuf, Box<dyn DiskFile>)>,
    promised_crc: Option<u32>,
    hasher: crc32fast::Hasher,
    written: u64,
}

impl Incoming {
    /// Begins a file, whose content is dropped when the same is here already, or any when it is
    /// given back and never changes.
    pub(super) fn begin(
        engine: Arc<Engine>,
        head: &SyncFile,
        operation: Operation,
        claim: Claim,
    ) -> Done<Self> {
        let (name, size) = (head.name, u64::try_from(head.size).map_err(|_| Status::EINVAL)?);
        let (logic, path) = plain(&engine, &name)?;
        let is_state = operation == Operation::Update;
        let is_back = claim != Claim::New;
        // Slaves are uploaded anywhere, and nothing in their names tells what they contain.
        let is_slave = logic.kind() == Kind::Slave;
        let is_fine =
            is_slave && is_state || engine.is_source_of(&logic) && is_state == has_states(&logic);
        if is_back && !is_fine {
            return Err(Status::EINVAL);
        }
        let (promised_crc, store_path) = (promised_crc(&logic, size), logic.store_path());
        let there = lstat(&engine, &path)?;
        let same = there.is_some_and(|stat| stat.is_file && stat.size == size);
        let file = match operation {
            Operation::Create if same || is_back && there.is_some() => None,
            _ => {
                engine.check_room()?;
                let temporary = engine.store.temporary(store_path)?;
                let file = engine.disk.create_new(&temporary).map_err(status)?;
                Some((temporary, file))
            }
        };
        let (timestamp, hasher) = (head.timestamp, crc32fast::Hasher::new());
        let written = 0;
        Ok(Self {
            engine,
            name,
            operation,
            claim,
            size,
            timestamp,
            path,
            file,
            promised_crc,
            hasher,
            written,
        })
    }

    /// Adds a piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Done<()> {
        if let Some((_, file)) = &self.file {
            file.write_at(piece, self.written).map_err(status)?;
            if self.promised_crc.is_some() {
                self.hasher.update(piece);
            }
        }
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Gives the whole file its name.
    pub(super) fn finish(mut self) -> Made {
        if self.written != self.size {
            return Err(Status::EIO);
        }
        if is_buried(&self.engine, &self.name, self.timestamp)? {
            tracing::debug!(name = %self.name, "a peer's file was deleted: it is not taken over");
            return left_alone(Status::OK);
        }
        // Other peers may not have what was lost here, and hear of it from nobody else.
        let is_back = self.claim != Claim::New;
        let done = match is_back {
            true => Record::new(self.operation, &self.name),
            false => record(self.operation, &self.name),
        };
        let Some((temporary, file)) = &self.file else {
            if is_back {
                return left_alone(Status::EEXIST);
            }
            let (pending, _) = made(&self.engine, self.timestamp, done)?;
            return Ok((pending, Status::EEXIST));
        };
        if self.promised_crc.is_some_and(|crc| crc != self.hasher.clone().finalize()) {
            // Sent again it would be no better: what the peer has is damaged. Others may have it
            // whole; a damaged copy here would only hide that.
            self.engine.arrivals.note_damaged();
            tracing::error!(name = %self.name,
                "a peer's file does not match the checksum in its name; it is not taken over");
            return left_alone(Status::OK);
        }
        let time = self.timestamp.into();
        let is_state = self.operation == Operation::Update;
        if let Claim::Back { is_unsure } = self.claim
            && is_state
        {
            let modified = (!is_unsure).then_some(time);
            match back::judge(&self.engine, &self.name, &self.path, &**file, modified)? {
                Verdict::Theirs => {}
                Verdict::Either => return left_alone(Status::EEXIST),
                // All are to have it. The record of it may be lost.
                Verdict::Ours(time) => {
                    let pending = Pending::done(&self.engine, (), time, &[done])?;
                    return Ok((pending, Status::EEXIST));
                }
            }
        }
        file.set_modified(time).map_err(status)?;
        let disk = &self.engine.disk;
        let published = match is_back && !is_state {
            true => disk.publish(temporary, &self.path),
            false => disk.replace(temporary, &self.path),
        };
        published.map_err(status)?;
        self.file = None;
        made(&self.engine, self.timestamp, done)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some((temporary, _)) = self.file.take() {
            self.engine.undo(&temporary);
        }
    }
}

/// A changed range on its way into a file that is here. Dropped before it is finished, an append
/// is cut off again; a modification is repeated by the peer.
#[derive(Debug)]
pub(super) struct Range {
    engine: Arc<Engine>,
    record: Record,
    operation: Operation,
    start: u64,
    len: u64,
    timestamp: i32,
    /// Where the bytes go, or why they are dropped.
    file: Result<Box<dyn DiskFile>, Status>,
    written: u64,
    finished: bool,
    _guard: FileGuard,
}

impl Range {
    /// Looks at how the range fits the file here (the table of spec 03 §C4.2).
    pub(super) fn begin(
        engine: Arc<Engine>,
        head: &SyncRange,
        operation: Operation,
        guard: FileGuard,
    ) -> Done<Self> {
        let start = u64::try_from(head.offset).map_err(|_| Status::EINVAL)?;
        let len = u64::try_from(head.content_len).map_err(|_| Status::EINVAL)?;
        let end = start.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
        let end = end.ok_or(Status::EINVAL)?;
        let (_, path) = plain(&engine, &head.name)?;
        let record = record_with(operation, &head.name, format_args!("{start} {len}"))?;
        let appends = operation == Operation::Append;
        let file = match lstat(&engine, &path)? {
            None => Err(Status::ENOENT),
            Some(stat) if !stat.is_file => Err(Status::EEXIST),
            Some(stat) if stat.size < start => Err(Status::ENOENT),
            Some(stat) if appends && stat.size >= end && stat.size > start => Err(Status::EEXIST),
            Some(stat) if appends && stat.size > start => Err(Status::ENOENT),
            Some(_) => {
                engine.check_room()?;
                Ok(engine.disk.open_write(&path).map_err(status)?)
            }
        };
        let timestamp = head.timestamp;
        let (written, finished) = (0, false);
        Ok(Self {
            engine,
            record,
            operation,
            start,
            len,
            timestamp,
            file,
            written,
            finished,
            _guard: guard,
        })
    }

    /// Adds a piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Done<()> {
        if let Ok(file) = &self.file {
            file.write_at(piece, self.start + self.written).map_err(status)?;
        }
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Records the change once all content is there.
    pub(super) fn finish(mut self) -> Made {
        if self.written != self.len {
            return Err(Status::EIO);
        }
        match &self.file {
            Err(why) => return left_alone(*why),
            Ok(file) => file.set_modified(self.timestamp.into()).map_err(status)?,
        }
        let (pending, outcome) = made(&self.engine, self.timestamp, self.record)?;
        self.finished = true;
        Ok((pending, outcome))
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        let unfinished = !self.finished && self.written > 0;
        if let Ok(file) = &self.file
            && unfinished
            && self.operation == Operation::Append
            && let Err(error) = file.set_len(self.start)
        {
            tracing::error!(%error, "cannot cut off an append that did not arrive whole");
        }
    }
}

/// Removes a file or link with its metadata once that is recorded: killed in between, this storage
/// still knows what the peer may lose. One that is not here yet must not come later. With `is_back`
/// it was removed here before, and a peer tells of it.
pub(super) fn delete(engine: &Engine, name: &Name, timestamp: i32, is_back: bool) -> Made {
    let (logic, path) = plain(engine, name)?;
    engine.binlog.check().map_err(status)?;
    let there = lstat(engine, &path)?;
    match there {
        None => {}
        // Metadata may have been set again since.
        Some(stat) if is_back && is_metadata(&logic) && stat.modified > timestamp.into() => {
            return left_alone(Status::OK);
        }
        Some(stat) if !stat.is_file && !stat.is_link => return Err(Status::EINVAL),
        Some(_) => {}
    }
    // Who deleted the file may not have had its metadata yet, and then has no record of them. They
    // may have come here without the file.
    let (metadata, is_news) = match is_metadata(&logic) {
        true => (None, false),
        false => (ops::metadata::removal(engine, &logic)?, !engine.graves.know(name)),
    };
    let outcome = if there.is_some() { Status::OK } else { Status::ENOENT };
    if there.is_none() && metadata.is_none() && !is_news {
        return Err(outcome);
    }
    let mut records = vec![Record::new(Operation::Delete, name)];
    records.extend(metadata);
    if !is_back {
        records = records.into_iter().map(Record::of_peer).collect();
    }
    let (name, has_metadata) = (*name, metadata.is_some());
    let then = move |engine: &Engine| {
        engine.graves.dig(&name, timestamp.into(), there.map(|stat| stat.modified));
        match engine.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(status(error)),
            _ if has_metadata => ops::metadata::remove(engine, &plain(engine, &name)?.0),
            _ => Ok(()),
        }
    };
    Ok((Pending::intended(engine, (), timestamp.into(), &records, then)?, outcome))
}

/// Sets the size of a file that has the size the peer's had.
pub(super) fn truncate(engine: &Engine, head: &SyncTruncate) -> Made {
    let size = |size: i64| u64::try_from(size).map_err(|_| Status::EINVAL);
    let (old_size, new_size) = (size(head.old_size)?, size(head.new_size)?);
    let (_, path) = plain(engine, &head.name)?;
    match lstat(engine, &path)? {
        None => return Err(Status::ENOENT),
        Some(stat) if !stat.is_file || stat.size != old_size => {
            return left_alone(Status::EEXIST);
        }
        Some(_) => {}
    }
    engine.check_room()?;
    let extra = format_args!("{old_size} {new_size}");
    let record = record_with(Operation::Truncate, &head.name, extra)?;
    let file = engine.disk.open_write(&path).map_err(status)?;
    file.set_len(new_size).map_err(status)?;
    file.set_modified(head.timestamp.into()).map_err(status)?;
    made(engine, head.timestamp, record)
}

/// Makes a link to a file that is here; without that, or with something under the link's name,
/// there is nothing to do but to record it (spec 03 §C4.5).
pub(super) fn link(engine: &Engine, head: &SyncNames) -> Made {
    let (_, path) = plain(engine, &head.name)?;
    let (_, target) = plain(engine, &head.source)?;
    let record = record_with(Operation::Link, &head.name, format_args!("{}", head.source))?;
    engine.check_room()?;
    if lstat(engine, &path)?.is_none() && lstat(engine, &target)?.is_some() {
        match engine.disk.symlink(&target, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(status(error));
            }
            _ => {}
        }
    }
    made(engine, head.timestamp, record)
}

/// Gives a file another name.
pub(super) fn rename(engine: &Engine, head: &SyncNames) -> Made {
    let (_, path) = plain(engine, &head.name)?;
    let (_, old_path) = plain(engine, &head.source)?;
    if is_buried(engine, &head.name, head.timestamp)? {
        // Deleted under its new name, it is not needed under its old one.
        return match delete(engine, &head.source, head.timestamp, false) {
            Err(Status::ENOENT) => left_alone(Status::EEXIST),
            done => done,
        };
    }
    let record = record_with(Operation::Rename, &head.name, format_args!("{}", head.source))?;
    engine.check_room()?;
    match engine.disk.publish(&old_path, &path) {
        Ok(()) => made(engine, head.timestamp, record),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => left_alone(Status::EEXIST),
        // The peer repeats what it is not sure of: then the file has its new name already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match lstat(engine, &path)? {
            Some(_) => left_alone(Status::EEXIST),
            None => Err(Status::ENOENT),
        },
        Err(error) => Err(status(error)),
    }
}
