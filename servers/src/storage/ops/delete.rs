//! Deleting files with their metadata (spec 01 §8.8). The caller holds the file's lock.

use super::{Done, existing, metadata, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::engine::Engine;
use crate::storage::pending::Pending;
use crate::storage::stats::Op;
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::{Name, Status};
use std::io;

/// Removes a file and its metadata once that is recorded: a process that dies in between leaves a
/// file that is still everywhere, instead of one that is gone here alone. What it links to, when it
/// is a linked slave, is removed before.
pub(in crate::storage) fn delete(engine: &Engine, name: &Name) -> Done<Pending<()>> {
    // Deleting needs no room, it makes some; but it must be possible to record it.
    engine.binlog.check().map_err(status)?;
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let stat = existing(engine, &engine.store.file(&logic)?)?;
    if !stat.is_file && !stat.is_link {
        // A directory; no request names one that a server made.
        return Err(Status::EINVAL);
    }
    // Only slaves have content of their own behind a link; other links leave theirs alone.
    if stat.is_link && logic.kind() == Kind::Slave {
        let removed = remove_target(engine, &logic);
        engine.stats.count(Op::DeleteLinkCount, 1, removed.is_ok());
        if let Some(removed) = removed? {
            // Written with what follows, or owed.
            let _ = engine.record_done(engine.now(), &[removed])?;
        }
    }
    let mut records = vec![Record::new(Operation::Delete, name)];
    let metadata = metadata::removal(engine, &logic)?;
    records.extend(metadata);
    let name = *name;
    let then = move |engine: &Engine| remove(engine, &name, metadata.is_some());
    Pending::intended(engine, (), engine.now(), &records, then)
}

/// Removes a file whose deletion is recorded, with its metadata if it has any.
pub(in crate::storage) fn remove(engine: &Engine, name: &Name, has_metadata: bool) -> Done<()> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let path = engine.store.file(&logic)?;
    let created = match logic.kind() {
        Kind::Slave => Some(existing(engine, &path)?.modified),
        _ => None,
    };
    engine.graves.dig(&logic.canonical(), engine.now(), created);
    engine.disk.remove(&path).map_err(status)?;
    if has_metadata {
        metadata::remove(engine, &logic)?;
    }
    Ok(())
}

fn remove_target(engine: &Engine, link: &LogicName<'_>) -> Done<Option<Record>> {
    let Some(target) = engine.link_target(link) else { return Ok(None) };
    match engine.disk.remove(&engine.file(&target)?) {
        Ok(()) => Ok(Some(Record::new(Operation::Delete, &target))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(status(error)),
    }
}
