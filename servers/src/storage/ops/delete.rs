//! Deleting files with their metadata (spec 01 §8.8). The caller holds the file's lock.

use super::{Done, existing, metadata, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::engine::Engine;
use crate::storage::stats::Op;
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::{Name, Status};
use std::io;

/// Removes a file, what it links to when it is a linked slave, and its metadata.
pub(in crate::storage) fn delete(engine: &Engine, name: &Name) -> Done<()> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let path = engine.store.file(&logic)?;
    let now = engine.now();
    // Deleting needs no room, it makes some; but it must be possible to record it.
    engine.binlog.check().map_err(status)?;
    // Only slaves have content of their own behind a link; other links leave theirs alone.
    if logic.kind() == Kind::Slave && existing(engine, &path)?.is_link {
        let deleted = delete_target(engine, &logic, now);
        engine.stats.count(Op::DeleteLinkCount, 1, deleted.is_ok());
        deleted?;
    }
    match engine.disk.remove(&path) {
        Ok(()) => {}
        // A directory; no request names one that a server made.
        Err(error) if matches!(error.raw_os_error(), Some(1 | 21)) => return Err(Status::EINVAL),
        Err(error) => return Err(status(error)),
    }
    let record = Record::new(Operation::Delete, name);
    engine.record(now, &[record])?;
    metadata::remove(engine, &logic, now).map(|_| ())
}

fn delete_target(engine: &Engine, link: &LogicName<'_>, now: i64) -> Done<()> {
    let Some(target) = engine.link_target(link) else { return Ok(()) };
    match engine.disk.remove(&engine.file(&target)?) {
        Ok(()) => engine.record(now, &[Record::new(Operation::Delete, &target)]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(status(error)),
    }
}
